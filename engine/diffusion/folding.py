"""A person's folds drawn on what a model answers: sharp at once, on any head, whatever the weights have learned.

Regressing texels whose place cannot be foreseen gives the mean of all places. So the network says how the face moves
and what blood and gloss do broadly; where its skin folds is drawn by the person's seed (`engine.synth.fold_lines`) and
deepened by the strain of the answer (`engine.synth.folds`). Only what deepens is drawn: a line that lies there at rest
is in the head's own maps, where it is, and is left alone.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from engine.diffusion.inference import Maps
from engine.face.space import GEOMETRY_SIZE
from engine.synth.fold_lines import draw_lines
from engine.synth.folds import Lines, deepened, drive, enlarged, fold_change, shape_change, unit_strengths


def folded(maps: Maps, position_m: Tensor, strengths: Tensor, lines: Lines, amount: float, size: int) -> Maps:
    """`maps` of one answer (B = 1) with the folds of `lines` in shape and skin, `amount` times as deep as usual; the
    change has (`size`, `size`) texels.

    `position_m` (1, 3, 128, 128) is the neutral, `strengths` (1, 2, 32) the vocabulary's. The model's own slopes and
    what else it says finer than 8 texels, which are a mean of many people's folds, give way.
    """
    driven, pull = drive(lines, position_m, maps.offset_m, unit_strengths(strengths))
    depth_mm = deepened(lines, driven, pull, torch.full_like(lines.age_years, amount)).maximum(lines.rest_mm)
    change = fold_change(lines, depth_mm, size).add_(_broad(maps.change, size))
    offset_m = maps.offset_m + shape_change(lines, depth_mm, position_m, maps.offset_m)
    return Maps(offset_m, change)


@lru_cache(maxsize=4)
def lines_of(person: str, age_years: float, device: torch.device) -> Lines:
    """The fold lines of whom the text `person` names, the same for the same text."""
    seed = int(hashlib.sha256(person.encode()).hexdigest()[:12], 16)
    return Lines.of([draw_lines(seed, age_years)], torch.tensor([age_years], device=device))


def _broad(change: Tensor, size: int) -> Tensor:
    """(B, 9, S, S) change in (B, 9, `size`, `size`), without slopes and without what is finer than 8 texels of 512."""
    coarse = functional.interpolate(change[:, :7], (GEOMETRY_SIZE,) * 2, mode="area")
    coarse = functional.avg_pool2d(coarse, 3, 1, 1, count_include_pad=False)
    return functional.pad(enlarged(coarse, size), (0, 0, 0, 0, 0, 2))
