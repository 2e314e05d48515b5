"""`expdiff train`: one loop for both stages, on a wall-clock or an image budget, resumable to the bit.

    expdiff train autoencoder --data HEADS --config small --minutes 15 --out RUN
    expdiff train denoiser    --data HEADS --config small --minutes 30 --out RUN
    expdiff train release     --out engine/diffusion/weights --run RUN

Everything random in a step comes from (seed, images seen), so a resumed run continues as if it had not stopped.
Habits from EDM2 (Karras et al. 2024) and nanoGPT: images counted instead of steps, averaged weights, bf16 on CUDA only.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.diffusion.checkpoint import (
    config_of,
    load_into,
    load_tensors,
    save_tensors,
    write_release,
)
from engine.diffusion.config import Config, read_config
from engine.diffusion.stages import AutoencoderStage, DenoiserStage, PairSource, Stage
from engine.errors import EngineError, WeightsError

_MOMENTS = ("exp_avg", "exp_avg_sq")
SAVE_SECONDS = 180.0
"""A checkpoint is written at least this often, however slow the steps are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a stage runs. Whichever of minutes and images is used up first ends it; the rate falls towards that."""

    minutes: float = math.inf
    images: int = 2**62
    stop: int = 2**62
    """Leave after so many images, unfinished, as an interruption would."""

    def progress(self, seconds: float, images: int) -> float:
        """Share of the budget that is used, 0..1."""
        return min(1.0, max(seconds / 60.0 / self.minutes, images / self.images))


@dataclass(slots=True)
class Progress:
    """What the loop counts; saved with the state."""

    images: int = 0
    steps: int = 0
    seconds: float = 0.0
    skipped: int = 0
    """Steps left out because loss or gradient was not finite."""
    pool: int = 0
    loss: float = 0.0
    """Mean of the last logged stretch."""
    started: float = field(default_factory=time.monotonic)


def use_device(name: str, threads: int = 0) -> torch.device:
    """'auto', 'cpu' or 'cuda' -> device, with the CPU's threads set; EngineError where there is no such device."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise EngineError(
            f"device '{name}': expected auto, cpu or cuda, found: {str(error).splitlines()[0]}"
        ) from error
    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    return device


def train(stage: Stage, config: Config, plan: Plan, out: Path, resume: bool = False) -> Progress:
    """Run `stage` to the end of `plan`, writing `NAME.safetensors`, its state and `NAME.jsonl` into `out`."""
    progress = Progress()
    state, metadata = load_tensors(_state_path(out, stage)) if resume else ({}, {})
    if resume:
        progress = _counted(metadata, config, _state_path(out, stage))
        load_into(stage.module, state, "weight", out)
        stage.prepare(math.inf, progress.pool)
    else:
        limit = plan.minutes * 60 * stage.settings.pool_share
        progress.pool = stage.prepare(time.monotonic() + limit, None)
    trained = {name: weight for name, weight in stage.module.named_parameters() if weight.requires_grad}
    optimiser = torch.optim.AdamW(
        trained.values(), stage.settings.learning_rate, (0.9, 0.95), weight_decay=stage.settings.weight_decay
    )
    averages = {name: weight.detach().clone() for name, weight in trained.items()}
    if resume:
        _restore(optimiser, averages, trained, state, progress.steps - progress.skipped)
    _loop(stage, config, plan, out, progress, optimiser, trained, averages)
    return progress


def _loop(
    stage: Stage,
    config: Config,
    plan: Plan,
    out: Path,
    progress: Progress,
    optimiser: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
    averages: dict[str, Tensor],
) -> None:
    settings, before, saved = stage.settings, progress.seconds, progress.seconds
    losses: list[float] = []
    while True:
        progress.seconds = before + time.monotonic() - progress.started
        share = plan.progress(progress.seconds, progress.images)
        done = share >= 1.0 or progress.images >= plan.stop
        if losses and (done or progress.steps % settings.log_every == 0):
            progress.loss = sum(losses) / len(losses)
            losses.clear()
            _log(stage, out, progress, share)
        due = progress.seconds - saved > SAVE_SECONDS or progress.steps % settings.save_every == 0
        if done or (due and progress.steps):
            _save(stage, config, out, progress, optimiser, trained, averages)
            saved = progress.seconds
        if done:
            return
        rate = settings.learning_rate * learning_rate_share(share, progress.steps, settings.warmup, settings.decay)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _step(stage, config.seed, progress, optimiser)
        if math.isfinite(loss):
            losses.append(loss)
            decay = min(settings.ema, (1 + progress.steps) / (10 + progress.steps))
            with torch.no_grad():
                for name, average in averages.items():
                    average.lerp_(trained[name], 1 - decay)
        progress.steps += 1
        progress.images += settings.batch


def learning_rate_share(progress: float, step: int, warmup: int, decay: float) -> float:
    """Linear warm-up over `warmup` steps, then 1, then linear to 0 over the last share `decay` of the budget."""
    falling = min(1.0, (1.0 - progress) / decay) if decay > 0 else 1.0
    return min(1.0, (step + 1) / max(warmup, 1)) * falling


def _step(stage: Stage, seed: int, progress: Progress, optimiser: torch.optim.Optimizer) -> float:
    """One update; returns the loss, or NaN where loss or gradient was not finite and the weights were left alone."""
    rng = torch.Generator().manual_seed((seed * 1_000_003 + progress.images * 7919 + 17) % 2**63)
    device = next(stage.module.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        loss = stage.loss(rng)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    norm = nn.utils.clip_grad_norm_(weights, stage.settings.clip)
    if not (torch.isfinite(norm) and torch.isfinite(loss)):
        progress.skipped += 1
        return math.nan
    optimiser.step()
    return float(loss.detach())


def _log(stage: Stage, out: Path, progress: Progress, share: float) -> None:
    line = {
        "stage": stage.name,
        "step": progress.steps,
        "images": progress.images,
        "pool": progress.pool,
        "minutes": round(progress.seconds / 60, 2),
        "progress": round(share, 4),
        "loss": round(progress.loss, 6),
        "skipped": progress.skipped,
    }
    text = json.dumps(line)
    print(text, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with (out / f"{stage.name}.jsonl").open("a", encoding="utf-8") as file:
        file.write(text + "\n")


def _state_path(out: Path, stage: Stage) -> Path:
    return out / f"{stage.name}-state.safetensors"


def _save(
    stage: Stage,
    config: Config,
    out: Path,
    progress: Progress,
    optimiser: torch.optim.Optimizer,
    trained: dict[str, nn.Parameter],
    averages: dict[str, Tensor],
) -> None:
    """Averaged weights for use, and the raw state to resume from."""
    counts = {name: str(getattr(progress, name)) for name in ("images", "steps", "seconds", "skipped", "pool", "loss")}
    metadata = {"stage": stage.name, "config": config.to_json(), **counts}
    raw = stage.module.state_dict()
    save_tensors(out / f"{stage.name}.safetensors", {**raw, **averages}, metadata)
    state = {f"weight.{name}": tensor for name, tensor in raw.items()}
    state |= {f"average.{name}": tensor for name, tensor in averages.items()}
    for name, weight in trained.items():
        for moment in _MOMENTS:
            if moment in optimiser.state[weight]:
                state[f"{moment}.{name}"] = optimiser.state[weight][moment]
    save_tensors(_state_path(out, stage), state, metadata)


def _counted(metadata: dict[str, str], config: Config, path: Path) -> Progress:
    if config_of(metadata, path) != config:
        raise WeightsError(f"{path}: expected the configuration given, found another; resume with that or start afresh")
    return Progress(
        images=int(metadata["images"]),
        steps=int(metadata["steps"]),
        seconds=float(metadata["seconds"]),
        skipped=int(metadata["skipped"]),
        pool=int(metadata["pool"]),
    )


def _restore(
    optimiser: torch.optim.Optimizer,
    averages: dict[str, Tensor],
    trained: dict[str, nn.Parameter],
    state: dict[str, Tensor],
    steps: int,
) -> None:
    for name, weight in trained.items():
        averages[name].copy_(state[f"average.{name}"])
        if f"{_MOMENTS[0]}.{name}" in state:
            moments = {moment: state[f"{moment}.{name}"].to(weight.device) for moment in _MOMENTS}
            optimiser.state[weight] = {"step": torch.tensor(float(steps)), **moments}


def make_stage(name: str, config: Config, source: PairSource, device: torch.device, out: Path) -> Stage:
    """The stage called `name`; the denoiser's needs the finished autoencoder in `out`."""
    torch.manual_seed(config.seed)
    if name == "autoencoder":
        return AutoencoderStage(config, source, device)
    path = out / "autoencoder.safetensors"
    tensors, _ = load_tensors(path)
    first = AutoencoderStage(config, source, device)
    load_into(first.unified, tensors, "unified", path)
    load_into(first.autoencoder, tensors, "autoencoder", path)
    return DenoiserStage(config, source, device, first.unified, first.autoencoder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `expdiff train`."""
    parser.add_argument("stage", choices=("autoencoder", "denoiser", "release"), help="what to train, or pack weights")
    parser.add_argument("--data", type=Path, help="folder the data generator reads its heads from")
    parser.add_argument("--config", type=Path, default=Path("small"), help="TOML file, or small, large, smoke")
    parser.add_argument("--minutes", type=float, help="wall-clock budget, data and saving included")
    parser.add_argument("--images", type=int, help="budget in training samples")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, state and log")
    parser.add_argument("--run", type=Path, help="release: the training folder to pack")
    parser.add_argument("--seed", type=int, help="replaces the configuration's")
    parser.add_argument("--resume", action="store_true", help="go on from the state in --out")


def run(args: argparse.Namespace) -> int:
    """Carry out `expdiff train`; returns the exit code."""
    if args.stage == "release":
        if args.run is None:
            raise EngineError("train release: expected --run FOLDER with a finished training, found none")
        print(f"wrote {write_release(args.run, args.out)}")
        return 0
    if args.data is None or (args.minutes is None and args.images is None):
        raise EngineError("train: expected --data FOLDER and one of --minutes and --images, found too little")
    if any(value is not None and value <= 0 for value in (args.minutes, args.images)):
        raise EngineError("train: expected --minutes and --images above 0, found 0 or less")
    from engine.synth.generator import Generator  # late: needs the data folder's readers, which `release` does not

    config = read_config(args.config)
    if args.seed is not None:
        config = replace(config, seed=args.seed)
    device = use_device(args.device, config.threads)
    source = Generator(args.data, config.identities, config.seed, device)
    plan = Plan(args.minutes or math.inf, args.images or 2**62)
    stage = make_stage(args.stage, config, source, device, args.out)
    train(stage, config, plan, args.out, args.resume)
    return 0
