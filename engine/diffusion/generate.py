"""From a GenerateRequest to an ExpressionSet, a Step at a time: `for step in generate(request)`.

Importing this module costs nothing; torch is loaded when the first step after the greeting is asked for. The caller
stops by closing the generator. No gradient context is left open across a yield: the weights carry no gradients at all.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.diffusion.prompts import parse_prompt
from engine.diffusion.request import GenerateRequest, Step
from engine.errors import WeightsError
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.identity import Identity, Provenance
from engine.vocabulary import EXPRESSIONS, NEUTRAL, find

if TYPE_CHECKING:
    import torch

    from engine.diffusion.checkpoint import Model

BATCH = 4
"""Expressions made together: fewer start sooner, more finish sooner."""
_NEUTRALS_KEPT = 4


@dataclass(frozen=True, slots=True)
class _Order:
    """One expression to make."""

    name: str
    prompt: str
    strengths: dict[str, float]

    @property
    def is_neutral(self) -> bool:
        return not any(strength for name, strength in self.strengths.items() if name != NEUTRAL)


def generate(request: GenerateRequest, *, weights: Path | None = None) -> Iterator[Step]:
    """Make the expressions asked for; yields Steps, the last one with the result.

    `weights` is a folder of weights, the program's own by default. VocabularyError for an unknown name or prompt,
    WeightsError for weights that are missing, damaged or foreign, EngineError for a device that is not there. The
    same request on the same machine gives the same bytes; all expressions of one identity start from the same noise.
    """
    orders = _orders(request)
    batches = [orders[at : at + BATCH] for at in range(0, len(orders), BATCH)]
    total = 2 + sum(request.steps + 1 for _ in batches)
    yield Step(0, total, "loading the model")
    model = _model(weights, request.device)
    yield Step(1, total, "reading the neutral face")
    condition = _condition(model, request.identity)
    done, made = 2, []
    for batch in batches:
        names = ", ".join(order.name for order in batch)
        yield Step(done, total, names)
        latent = None
        for number, (noisy, clean) in enumerate(_sample(model, request, condition, batch), start=1):
            latent = noisy
            preview = _decoded(model, request, batch, clean, preview=True) if number == 1 < request.steps else None
            yield Step(done + number, total, f"{names}: step {number} of {request.steps}", preview)
        assert latent is not None
        made.extend(_decoded(model, request, batch, latent, preview=False).expressions)
        done += request.steps + 1
    yield Step(total, total, "done", result=ExpressionSet(request.identity.hash, tuple(made)))


def _orders(request: GenerateRequest) -> list[_Order]:
    """What to make, names first, each once."""
    entries = dict.fromkeys(find(name).name for name in request.names)
    orders = [_Order(name, find(name).prompt, {name: 1.0}) for name in entries]
    prompt = request.prompt.strip()
    if prompt and prompt not in entries:
        orders.append(_Order(prompt, prompt, parse_prompt(prompt)))
    return orders


@lru_cache(maxsize=2)
def _loaded(folder: Path | None, device: str) -> Model:
    from engine.diffusion.checkpoint import load_model

    return load_model(folder, device)


def _model(folder: Path | None, device: str) -> Model:
    from engine.diffusion.train import use_device

    model = _loaded(folder, str(use_device(device)))
    sizes = model.config.model
    if (sizes.geometry_size, sizes.texture_size) != (GEOMETRY_SIZE, TEXTURE_SIZE):
        raise WeightsError(
            f"{model.model_id}: expected weights for maps of {GEOMETRY_SIZE} and {TEXTURE_SIZE} texels, "
            f"found {sizes.geometry_size} and {sizes.texture_size}; train with another configuration"
        )
    return model


_neutrals: OrderedDict[tuple[str, str, str], torch.Tensor] = OrderedDict()


def _condition(model: Model, identity: Identity) -> torch.Tensor:
    """(1, K, h, w) the neutral as the denoiser sees it; the last few are kept."""
    import torch

    from engine.face.transfer import encode_neutral

    key = (identity.hash, model.model_id, str(model.device))
    if key not in _neutrals:
        neutral = encode_neutral(identity)
        maps = [
            torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)[None], np.float32)).to(model.device)
            for array in (neutral.position_m, neutral.diffuse_srgb)
        ]
        _neutrals[key] = model.unified.encode_condition(*maps)
        while len(_neutrals) > _NEUTRALS_KEPT:
            _neutrals.popitem(last=False)
    _neutrals.move_to_end(key)
    return _neutrals[key]


def _strengths(orders: Sequence[_Order]) -> np.ndarray:
    rows = [[order.strengths.get(entry.name, 0.0) for entry in EXPRESSIONS] for order in orders]
    return np.array(rows, np.float32)


def _sample(
    model: Model, request: GenerateRequest, condition: torch.Tensor, batch: Sequence[_Order]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """After each step the (B, C, h, w) latent and the clean latent estimated from it, in latent units."""
    import torch

    from engine.diffusion.denoiser import velocity
    from engine.diffusion.sampler import euler
    from engine.diffusion.schedule import sampling_times
    from engine.diffusion.stages import spread
    from engine.diffusion.text import tokenize

    sizes, denoiser, count = model.config.model, model.denoiser, len(batch)
    digest = hashlib.sha256(f"{request.seed} {request.identity.hash}".encode()).digest()
    rng = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    noise = torch.randn((1, sum(denoiser.splits), sizes.grid, sizes.grid), generator=rng)
    start = noise.to(model.device).expand(count, -1, -1, -1)
    strengths = torch.from_numpy(_strengths(batch)).to(model.device)
    ids, empty = (
        tokenize(texts, sizes.prompt_length, sizes.prompt_vocabulary).to(model.device)
        for texts in ([order.prompt for order in batch], [""] * count)
    )
    known = torch.ones(count, dtype=torch.bool, device=model.device)
    places = condition.expand(count, -1, -1, -1)
    groups = torch.tensor([0, denoiser.splits[0]])

    def flow(noisy: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        times = time[0, groups, 0, 0].expand(count, -1)
        clean = denoiser(noisy, times, places, strengths, ids, known)
        if request.guidance != 1.0:  # Ho and Salimans 2022
            without = denoiser(noisy, times, places, strengths, empty, ~known)
            clean = without + request.guidance * (clean - without)
        return velocity(noisy, clean, time)

    times = [spread(row[None], denoiser.splits).to(model.device) for row in sampling_times(request.steps)]
    for sample in euler(flow, start, times):
        yield denoiser.restore(sample.state, strengths), denoiser.restore(sample.clean, strengths)


def _decoded(
    model: Model, request: GenerateRequest, batch: Sequence[_Order], latent: torch.Tensor, preview: bool
) -> ExpressionSet:
    """Latents -> expressions on the identity's own vertices and UVs."""
    made = []
    for order, row in zip(batch, latent.split(1), strict=True):
        offset_m, change = _maps(model, row, preview)
        if order.is_neutral:
            offset_m, change = np.zeros_like(offset_m), np.zeros_like(change)
        made.append(_expression(model, request, order, offset_m, change))
    return ExpressionSet(request.identity.hash, tuple(made))


def _maps(model: Model, latent: torch.Tensor, preview: bool) -> tuple[np.ndarray, np.ndarray]:
    """(1, C, h, w) -> offsets (H, W, 3) m and change (H', W', 9), float32."""
    from engine.image import resize_bilinear

    geometry, reflectance = latent.split(model.denoiser.splits, 1)
    offset = model.unified.decode_offset(geometry)[0].permute(1, 2, 0).cpu().numpy()
    scale = model.unified.change_scale
    if preview:
        small = (model.autoencoder.decode_preview(reflectance) * scale)[0].permute(1, 2, 0).cpu().numpy()
        return offset, resize_bilinear(small, (TEXTURE_SIZE, TEXTURE_SIZE))
    change = model.autoencoder.decode(reflectance) * (scale * model.unified.change_mask)
    return offset, change[0].permute(1, 2, 0).cpu().numpy()


def _expression(
    model: Model, request: GenerateRequest, order: _Order, offset_m: np.ndarray, change: np.ndarray
) -> Expression:
    from engine.face.transfer import decode_change, decode_offsets

    own_offsets = decode_offsets(request.identity, offset_m)
    own_change = decode_change(request.identity, change)
    if order.is_neutral:  # exactly nothing, whatever the way there rounds
        own_offsets = np.zeros_like(own_offsets)
        own_change = ReflectanceChange(
            *(
                np.zeros_like(part)
                for part in (own_change.log_diffuse, own_change.log_specular, own_change.roughness, own_change.slope)
            )
        )
    facs: dict[str, float] = {}
    for name, strength in order.strengths.items():
        for unit, amount in find(name).facs.items():
            facs[unit] = max(facs.get(unit, 0.0), amount * strength)
    note = f"seed {request.seed}, {request.steps} steps, guidance {request.guidance:g}, prompt '{order.prompt}'"
    provenance = Provenance(f"ExpDiff {model.model_id}", request.identity.provenance.licence, note)
    return Expression(order.name, own_offsets, own_change, order.prompt, facs, provenance)
