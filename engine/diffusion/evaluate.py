"""`expdiff evaluate`: the model against simple answers, on people it never saw.

Rows: ours at 1 and 4 steps; *copy neutral* (no change at all); *mean change* (the training people's average change per
expression, the pivot, decoded); *floor* (the truth through projection and autoencoder: nothing can do better). Errors
are averaged over expressions within a person, then over people; the interval is a bootstrap over people (2,000 draws).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.card import model_card
from engine.diffusion.checkpoint import SHIPPED, Model, load_model
from engine.diffusion.inference import Maps, decode, make_noise, sample
from engine.diffusion.stages import PairSource
from engine.diffusion.train import use_device
from engine.synth.batch import Batch
from engine.vocabulary import EXPRESSIONS

MOVING_M = 0.0005
"""A texel moves where the true offset is longer than this."""
PEAK = 1.0
"""Peak of every change channel for PSNR: fixed, so that rows compare."""
MAPS: dict[str, slice] = {
    "diffuse": slice(0, 3),
    "specular": slice(3, 6),
    "roughness": slice(6, 7),
    "normal": slice(7, 9),
}
_DRAWS = 2000


def measure(batch: Batch, found: Maps, offset_mask: Tensor, change_mask: Tensor) -> dict[str, Tensor]:
    """Errors of each pair, (B,) each: mm over all and over moving texels, and per map RMSE and wrinkle-band L1.

    Masks (H, W) and (H', W') say which texels are face. The wrinkle band (2 to 16 texels at 512) is the difference of a
    3- and a 17-texel box mean, the larger scaled with the map.
    """
    distance = (found.offset_m - batch.offset_m).norm(dim=1) * 1000.0
    moving = (batch.offset_m.norm(dim=1) > MOVING_M).float() * offset_mask
    errors = {"mm": _mean(distance, offset_mask), "mm moving": _mean(distance, moving)}
    error = found.change - batch.change
    band = _band(error)
    for name, part in MAPS.items():
        errors[f"{name} rmse"] = _mean(error[:, part].square().mean(1), change_mask).sqrt()
        errors[f"{name} band"] = _mean(band[:, part].abs().mean(1), change_mask)
    return errors


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """(B, H, W) -> (B,) weighted mean; NaN where nothing weighs (an expression that moves no skin)."""
    weight = weight.expand_as(values)
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


def _band(change: Tensor) -> Tensor:
    wide = max(5, 17 * change.shape[-1] // 512 // 2 * 2 + 1)
    fine = F.avg_pool2d(change, 3, 1, 1, count_include_pad=False)
    return fine - F.avg_pool2d(change, wide, 1, wide // 2, count_include_pad=False)


def answer(model: Model, batch: Batch, steps: int) -> Maps:
    """What the model makes of the batch's neutrals and expressions, with the vocabulary's own prompts."""
    prompts = [EXPRESSIONS[int(row)].prompt for row in batch.expression.argmax(1)]
    condition = model.unified.encode_condition(batch.neutral_position_m, batch.neutral_diffuse_srgb)
    noise = make_noise(model, "evaluate")
    *_, (latent, _) = sample(model, condition, batch.expression, prompts, noise, steps)
    return decode(model, latent)


def round_trip(model: Model, batch: Batch) -> Maps:
    """The truth, encoded and decoded."""
    scaled = batch.change / model.unified.change_scale * model.unified.change_mask
    latent = [model.unified.encode_offset(batch.offset_m), model.autoencoder.encode(scaled)]
    return decode(model, torch.cat(latent, 1))


def answers(model: Model) -> dict[str, Callable[[Batch], Maps]]:
    """Row name -> how it answers a batch."""
    return {
        "copy neutral": lambda batch: Maps(torch.zeros_like(batch.offset_m), torch.zeros_like(batch.change)),
        "mean change": lambda batch: decode(model, model.denoiser.expected(batch.expression)),
        "ours, 1 step": lambda batch: answer(model, batch, 1),
        "ours, 4 steps": lambda batch: answer(model, batch, 4),
        "floor": lambda batch: round_trip(model, batch),
    }


@torch.no_grad()
def evaluate(model: Model, source: PairSource, people: int, rows: Sequence[int]) -> dict[str, dict[str, np.ndarray]]:
    """Row name -> measure -> (people,) error averaged over `rows` of the vocabulary, on test people only."""
    chosen = list(source.test_identities)[:people]
    if not chosen:
        raise ValueError("evaluate: expected test identities, found none")
    collected: dict[str, dict[str, list[float]]] = {}
    for person in chosen:
        per_person: dict[str, dict[str, list[Tensor]]] = {}
        for batch in _batches(source, person, rows, model.device):
            for name, method in answers(model).items():
                errors = measure(batch, method(batch), model.unified.offset_mask, model.unified.change_mask)
                for key, values in errors.items():
                    per_person.setdefault(name, {}).setdefault(key, []).append(values)
        for name, errors in per_person.items():
            for key, parts in errors.items():
                collected.setdefault(name, {}).setdefault(key, []).append(float(torch.cat(parts).nanmean()))
    return {name: {key: np.array(values) for key, values in errors.items()} for name, errors in collected.items()}


def _batches(source: PairSource, person: int, rows: Sequence[int], device: torch.device) -> Iterator[Batch]:
    for at in range(0, len(rows), 4):
        part = list(rows[at : at + 4])
        batch = source.pairs([person] * len(part), part)
        yield Batch(**{name: getattr(batch, name).to(device) for name in Batch.__slots__})


def table(results: dict[str, dict[str, np.ndarray]]) -> str:
    """Markdown: mm with 95% intervals, PSNR of the change per map, wrinkle-band error per map (times 1000)."""
    head = ["", "mm", "mm where it moves", *(f"{name} PSNR" for name in MAPS), *(f"{name} band" for name in MAPS)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, errors in results.items():
        cells = [name, *(_interval(errors[key]) for key in ("mm", "mm moving"))]
        cells += [f"{_psnr(errors[f'{part} rmse']):.1f}" for part in MAPS]
        cells += [f"{1000 * float(np.nanmean(errors[f'{part} band'])):.2f}" for part in MAPS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _psnr(rmse: np.ndarray) -> float:
    """Mean over people of 20 log10(peak / rmse), dB."""
    return float(np.nanmean(20 * np.log10(PEAK / np.maximum(rmse, 1e-9))))


def _interval(values: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    means = np.nanmean(rng.choice(values, (_DRAWS, len(values))), axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{np.nanmean(values):.3f} [{low:.3f}, {high:.3f}]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `expdiff evaluate`."""
    parser.add_argument("--data", type=Path, required=True, help="folder the data generator reads its heads from")
    parser.add_argument("--weights", type=Path, help="folder of weights; the program's own without it")
    parser.add_argument("--people", type=int, default=16, help="test people measured")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--card", type=Path, help="write a model card with the table here")
    parser.add_argument("--json", type=Path, help="also write every number here")


def run(args: argparse.Namespace) -> int:
    """Carry out `expdiff evaluate`; prints the table, returns the exit code."""
    from engine.synth.generator import Generator  # late: the data folder is needed only here

    device = use_device(args.device)
    model = load_model(args.weights, device)
    source = Generator(args.data, model.config.identities, model.config.seed, device)
    started = time.monotonic()
    results = evaluate(model, source, args.people, range(1, len(EXPRESSIONS)))
    people = len(next(iter(results.values()))["mm"])
    said = (
        f"{model.model_id}, {people} unseen people x {len(EXPRESSIONS) - 1} expressions, {device}, "
        f"{time.monotonic() - started:.0f} s. mm: distance of texels, with a 95% interval over people; PSNR of the "
        "change in dB against a peak of 1; band: 1000 x L1 of the change between 2 and 16 texels."
    )
    print(f"{table(results)}\n\n{said}")
    if args.card is not None:
        card = model_card(model, args.weights or SHIPPED, f"{table(results)}\n\n{said}", source, people)
        args.card.write_text(card, encoding="utf-8")
    if args.json is not None:
        numbers = {name: {key: values.tolist() for key, values in errors.items()} for name, errors in results.items()}
        args.json.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    return 0
