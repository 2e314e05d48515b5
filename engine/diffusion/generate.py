"""From a GenerateRequest to an ExpressionSet, a Step at a time: `for step in generate(request)`.

Importing this module costs nothing; torch is loaded when the first step after the greeting is asked for. The caller
stops by closing the generator. No gradient context is left open across a yield: the weights carry no gradients at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    condition, noise = _condition(model, request.identity), _noise(model, request)
    done, made = 2, []
    for batch in batches:
        names = ", ".join(order.name for order in batch)
        yield Step(done, total, names)
        latent = noise
        for number, (state, clean) in enumerate(_sampled(model, request, condition, noise, batch), start=1):
            latent = state
            preview = _decoded(model, request, batch, clean, preview=True) if number == 1 < request.steps else None
            yield Step(done + number, total, f"{names}: step {number} of {request.steps}", preview)
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


def _noise(model: Model, request: GenerateRequest) -> torch.Tensor:
    from engine.diffusion.inference import make_noise

    return make_noise(model, f"{request.seed} {request.identity.hash}")


def _sampled(
    model: Model, request: GenerateRequest, condition: torch.Tensor, noise: torch.Tensor, batch: Sequence[_Order]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    import torch

    from engine.diffusion.inference import sample

    rows = [[order.strengths.get(entry.name, 0.0) for entry in EXPRESSIONS] for order in batch]
    strengths = torch.tensor(rows, dtype=torch.float32, device=model.device)
    prompts = [order.prompt for order in batch]
    return sample(model, condition, strengths, prompts, noise, request.steps, request.guidance)


def _decoded(
    model: Model, request: GenerateRequest, batch: Sequence[_Order], latent: torch.Tensor, preview: bool
) -> ExpressionSet:
    """Latents -> expressions on the identity's own vertices and UVs."""
    from engine.diffusion.inference import decode, decode_preview
    from engine.image import resize_bilinear

    made = []
    for order, row in zip(batch, latent.split(1), strict=True):
        maps = (decode_preview if preview else decode)(model, row)
        offset_m, change = (part[0].permute(1, 2, 0).cpu().numpy() for part in (maps.offset_m, maps.change))
        change = resize_bilinear(change, (TEXTURE_SIZE, TEXTURE_SIZE))
        if order.is_neutral:
            offset_m, change = np.zeros_like(offset_m), np.zeros_like(change)
        made.append(_expression(model, request, order, offset_m, change))
    return ExpressionSet(request.identity.hash, tuple(made))


def _expression(
    model: Model, request: GenerateRequest, order: _Order, offset_m: np.ndarray, change: np.ndarray
) -> Expression:
    from engine.face.transfer import decode_change, decode_offsets

    own_offsets = decode_offsets(request.identity, offset_m, _added(order, "arkit"))
    own_change = decode_change(request.identity, change)
    if order.is_neutral:  # exactly nothing, whatever the way there rounds
        own_offsets = np.zeros_like(own_offsets)
        own_change = ReflectanceChange(
            *(
                np.zeros_like(part)
                for part in (own_change.log_diffuse, own_change.log_specular, own_change.roughness, own_change.slope)
            )
        )
    note = f"seed {request.seed}, {request.steps} steps, guidance {request.guidance:g}, prompt '{order.prompt}'"
    provenance = Provenance(f"ExpDiff {model.model_id}", request.identity.provenance.licence, note)
    return Expression(order.name, own_offsets, own_change, order.prompt, _added(order, "facs"), provenance)


def _added(order: _Order, table: Literal["facs", "arkit"]) -> dict[str, float]:
    """The `table` column of the order's rows, each by its strength; what two rows share adds up, kept to -1..1."""
    total: dict[str, float] = {}
    for name, strength in order.strengths.items():
        for key, amount in getattr(find(name), table).items():
            total[key] = min(1.0, max(-1.0, total.get(key, 0.0) + amount * strength))
    return total
