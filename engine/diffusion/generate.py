"""From a GenerateRequest to an ExpressionSet, a Step at a time: `for step in generate(request)`.

Importing this module costs nothing; torch is loaded when the first step after the greeting is asked for. The caller
stops by closing the generator. No gradient context is left open across a yield: the weights carry no gradients at all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from engine.channels import CHANNELS
from engine.diffusion.prompts import parse_prompt
from engine.diffusion.request import GenerateRequest
from engine.errors import EngineError, WeightsError
from engine.expression import Expression, ExpressionSet, ReflectanceChange, Request
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.identity import Identity, Provenance
from engine.jobs import Step
from engine.memory import give_back
from engine.vocabulary import EXPRESSIONS, NEUTRAL, find

if TYPE_CHECKING:
    import torch

    from engine.diffusion.inference import ChangeModel, ExpressionModel, Face, Maps, Neutral

BATCH = 4
"""Expressions made together: fewer start sooner, more finish sooner."""
_NEUTRALS_KEPT = 4
_STEP = 2.0**-13
"""Changes are told in steps of this, a thirtieth of a step of 8 bits: what is finer no eye shows, and it would make
half of a saved file. Nor are there subnormal half floats, which numpy takes 20 times longer to make."""


@dataclass(frozen=True, slots=True)
class _Order:
    """One expression to make."""

    name: str
    prompt: str
    strengths: dict[str, tuple[float, float]]
    """Row of the vocabulary -> strength on the subject's left and right."""

    @property
    def is_neutral(self) -> bool:
        return not any(any(sides) for name, sides in self.strengths.items() if name != NEUTRAL)


def generate(request: GenerateRequest) -> Iterator[Step]:
    """Make the expressions asked for; yields Steps, the last one with the result.

    VocabularyError for an unknown name or prompt, WeightsError for weights that are missing, damaged or foreign,
    EngineError for a device that is not there. The same request on the same machine gives the same bytes; all
    expressions of one identity start from the same noise.
    """
    orders = _orders(request)
    batches = [orders[at : at + BATCH] for at in range(0, len(orders), BATCH)]
    total = 2 + sum(request.steps + 1 for _ in batches)
    yield Step(0, total, "loading the model")
    model = model_for(request.model, request.device, request.model_digest)
    yield Step(1, total, "reading the neutral face")
    neutral, noise = read_neutral(model, request.identity), model.noise(f"{request.seed} {request.identity.hash}")
    done, made, under_way = 2, [], []
    with _beside() as pool:  # vertices are settled while the network goes on with the next maps
        for batch in batches:
            names = ", ".join(order.name for order in batch)
            yield Step(done, total, names)
            latent = noise
            for number, (state, clean) in enumerate(_sampled(model, request, neutral, noise, batch), start=1):
                latent, preview = state, None
                if number == 1 < request.steps:
                    preview = _set(request, _decoded(model, request, batch, clean, neutral, True, pool))
                yield Step(done + number, total, f"{names}: step {number} of {request.steps}", preview)
            before, under_way = under_way, _decoded(model, request, batch, latent, neutral, False, pool)
            made += _set(request, before).expressions
            give_back()
            done += request.steps + 1
        made += _set(request, under_way).expressions
    yield Step(total, total, "done", result=ExpressionSet(request.identity.hash, tuple(made)))


def _set(request: GenerateRequest, under_way: Sequence[Future[Expression]]) -> ExpressionSet:
    """What is `under_way`, waited for; what it raised."""
    return ExpressionSet(request.identity.hash, tuple(each.result() for each in under_way))


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread beside this one; when the block ends, however it does, it has ended too."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _orders(request: GenerateRequest) -> list[_Order]:
    """What to make, names first, each once."""
    entries = dict.fromkeys(find(name).name for name in request.names)
    orders = [_Order(name, find(name).prompt, {name: (1.0, 1.0)}) for name in entries]
    prompt = request.prompt.strip()
    if prompt and prompt not in entries:
        orders.append(_Order(prompt, prompt, parse_prompt(prompt)))
    return orders


@lru_cache(maxsize=2)
def _loaded(folder: Path | None, device: str, digest: str) -> ExpressionModel:
    """`digest` is there for the cache: other weights in the same folder are loaded anew."""
    from engine.diffusion.checkpoint import load_model

    return load_model(folder, device)


def model_for(folder: Path | None, device: str, digest: str = "") -> ExpressionModel:
    """The model in `folder` (the program's own for None) on `device`, kept; WeightsError where it fits no head.

    `digest` of the folder's content (`weights_digest`), where it may have changed since it was last asked for.
    """
    from engine.diffusion.device import use_device

    model = _loaded(folder, str(use_device(device)), digest)
    sizes = model.config.sizes
    if (sizes.geometry_size, sizes.texture_size) != (GEOMETRY_SIZE, TEXTURE_SIZE):
        raise WeightsError(
            f"{model.model_id}: expected weights for maps of {GEOMETRY_SIZE} and {TEXTURE_SIZE} texels, "
            f"found {sizes.geometry_size} and {sizes.texture_size}; train with another configuration"
        )
    return model


_neutrals: OrderedDict[tuple[str, str, str], Face] = OrderedDict()


def read_neutral(model: ExpressionModel, identity: Identity) -> Face:
    """The neutral as `model` sees it; the last few are kept."""
    from engine.face.transfer import encode_neutral

    key = (identity.hash, model.model_id, str(model.device))
    if key not in _neutrals:
        neutral = encode_neutral(identity)
        _neutrals[key] = model.read(
            _tensor(neutral.position_m, model.device), _tensor(neutral.diffuse_srgb, model.device)
        )
        while len(_neutrals) > _NEUTRALS_KEPT:
            _neutrals.popitem(last=False)
        give_back()
    _neutrals.move_to_end(key)
    return _neutrals[key]


def _tensor(image: np.ndarray, device: torch.device) -> torch.Tensor:
    """(H, W, C) -> (1, C, H, W) float32."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)).to(device)


def _sampled(
    model: ExpressionModel, request: GenerateRequest, neutral: Face, noise: torch.Tensor, batch: Sequence[_Order]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    import torch

    strengths = _strengths(model, batch)
    prompts = [order.prompt for order in batch]
    if not request.lock:
        return model.sample(neutral, strengths, prompts, noise, request.steps, request.guidance)
    from engine.diffusion.inference import ChangeModel, Neutral

    if not isinstance(model, ChangeModel) or not isinstance(neutral, Neutral):
        raise EngineError(
            f"generate: expected weights of layout change to keep a {request.lock}, found {model.model_id}"
        )
    kept = torch.cat([_locked(model, request, neutral, order) for order in batch])
    return model.sample(neutral, strengths, prompts, noise, request.steps, request.guidance, kept)


def _locked(model: ChangeModel, request: GenerateRequest, neutral: Neutral, order: _Order) -> torch.Tensor:
    """(1, C, h, w) latent of the part of `order` that stays, NaN for the other."""
    from engine.face.transfer import encode_change, encode_offsets

    assert request.made is not None
    made = request.made[order.name]
    offset_m = _tensor(encode_offsets(request.identity, made.offsets_m), model.device)
    change = _tensor(encode_change(request.identity, made.change), model.device)
    latent = model.encode(offset_m, change, neutral)
    first = 0 if request.lock == "skin" else 1
    latent.split(model.denoiser.splits, 1)[first].fill_(float("nan"))
    return latent


def _decoded(
    model: ExpressionModel,
    request: GenerateRequest,
    batch: Sequence[_Order],
    latent: torch.Tensor,
    neutral: Face,
    preview: bool,
    pool: ThreadPoolExecutor,
) -> list[Future[Expression]]:
    """Latents -> expressions on the identity's own vertices and UVs; the last of it is done in `pool`."""
    from engine.face.registration import registered
    from engine.image import resize_bilinear

    made = []
    for order, row in zip(batch, latent.split(1), strict=True):
        fold = bool(request.folds) and not order.is_neutral
        decode = model.decode_preview if preview else model.decode_coarse if fold else model.decode
        maps = decode(row, neutral)
        if fold:
            maps = _folded(model, request, order, maps, maps.change.shape[-1] if preview else TEXTURE_SIZE)
        seen = (maps.change / _STEP).round_().mul_(_STEP)
        if seen.shape[-1] == TEXTURE_SIZE and registered(request.identity.topology).same_layout:
            seen = seen.half()  # as it is kept: torch is several times as fast as numpy
        offset_m, change = (part[0].permute(1, 2, 0).contiguous().cpu().numpy() for part in (maps.offset_m, seen))
        if change.dtype != np.float16:
            change = resize_bilinear(change, (TEXTURE_SIZE, TEXTURE_SIZE))
        change.flags.writeable = False  # it goes into the expression as it is
        made.append(pool.submit(_made, model, request, order, offset_m, change))
        del maps, seen
        if len(made) == BATCH // 2:
            give_back()
    return made


def _folded(model: ExpressionModel, request: GenerateRequest, order: _Order, maps: Maps, size: int) -> Maps:
    """`maps` with this person's folds, (`size`, `size`)."""
    from engine.diffusion.folding import folded, lines_of
    from engine.face.transfer import encode_neutral

    identity = request.identity
    lines = lines_of(f"{request.seed} {identity.hash}", request.folds_age_years, model.device)
    position_m = _tensor(encode_neutral(identity).position_m, model.device)
    return folded(maps, position_m, _strengths(model, [order]), lines, request.folds, size)


def _strengths(model: ExpressionModel, orders: Sequence[_Order]) -> torch.Tensor:
    """(B, 2, 32) of the vocabulary's rows on the subject's left and right."""
    import torch

    rows = [
        [[order.strengths.get(entry.name, (0.0, 0.0))[side] for entry in EXPRESSIONS] for side in (0, 1)]
        for order in orders
    ]
    return torch.tensor(rows, dtype=torch.float32, device=model.device)


def _made(
    model: ExpressionModel, request: GenerateRequest, order: _Order, offset_m: np.ndarray, change: np.ndarray
) -> Expression:
    from engine.face.transfer import decode_change, decode_offsets

    if order.is_neutral:  # exactly no change, whatever the model says
        change = np.zeros((TEXTURE_SIZE, TEXTURE_SIZE, CHANNELS), np.float16)
        offsets_m = np.zeros_like(request.identity.positions_m)
        return _expression(model, request, order, offsets_m, ReflectanceChange(change))
    kept = request.made[order.name] if request.made is not None and request.lock else None
    offsets_m = (
        kept.offsets_m
        if kept is not None and request.lock == "shape"
        else decode_offsets(request.identity, offset_m, _shapes(order))
    )
    skin = kept.change if kept is not None and request.lock == "skin" else decode_change(request.identity, change)
    return _expression(model, request, order, offsets_m, skin)


def _expression(
    model: ExpressionModel, request: GenerateRequest, order: _Order, offsets_m: np.ndarray, change: ReflectanceChange
) -> Expression:
    how = {part.name: getattr(request, part.name) for part in fields(Request) if part.name != "weights"}
    asked = Request(model.model_id, **how)
    provenance = Provenance(f"ExpDiff {model.model_id}", request.identity.provenance.licence)
    return Expression(order.name, offsets_m, change, order.prompt, _units(order), provenance, asked)


def _units(order: _Order) -> dict[str, float]:
    """FACS units by the order's rows, each by its strength; 'AU12L' where only one side moves, as FACS writes it."""
    left, right = (_added(order, "facs", side) for side in (0, 1))
    total: dict[str, float] = {}
    for unit in dict.fromkeys((*left, *right)):
        pair = left.get(unit, 0.0), right.get(unit, 0.0)
        if pair[0] == pair[1]:
            total[unit] = pair[0]
        else:
            total |= {unit + letter: amount for letter, amount in zip("LR", pair, strict=True) if amount}
    return total


def _shapes(order: _Order) -> dict[str, float]:
    """ARKit shapes by the order's rows, each side's by its own strength, the middle's by the stronger one's."""
    left, right = (_added(order, "arkit", side) for side in (0, 1))
    middle = {shape: max(left.get(shape, 0.0), right.get(shape, 0.0), key=abs) for shape in (*left, *right)}
    by_side = {"Left": left, "Right": right}
    return {
        shape: next((side.get(shape, 0.0) for end, side in by_side.items() if shape.endswith(end)), amount)
        for shape, amount in middle.items()
    }


def _added(order: _Order, table: Literal["facs", "arkit"], side: int) -> dict[str, float]:
    """The `table` column of the order's rows on one side, each by its strength; what two rows share adds up, kept to
    -1..1."""
    total: dict[str, float] = {}
    for name, sides in order.strengths.items():
        for key, amount in getattr(find(name), table).items() if sides[side] else ():
            total[key] = min(1.0, max(-1.0, total.get(key, 0.0) + amount * sides[side]))
    return total
