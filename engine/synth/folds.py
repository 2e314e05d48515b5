"""Skin that folds as skin folds: what an expression does to the maps and, where folds are large, to the shape.

A person's fold lines (`engine.synth.fold_lines`) deepen where the skin is compressed across them, by the first
fundamental form, and where their action units pull: strain decides, action units decide where the shape is too smooth
to tell. A line is a groove with banks that hold what the groove has lost (Hatzis 2004): round in the young, sharp in
the old. Folds shade themselves: colour, gloss and roughness change only a little. Blood leaves compressed skin and
gathers around it (Jimenez et al. 2010); stretch smooths the micro-surface, compression roughens it (Nagano et al.
2015). Amounts are plausible, not measured; how deep folds are follows from age and movement and not from how elastic
skin is (Fujimura 2013 and what docs/model.md names).

Lines are drawn at any size: their points go into canvases, one per width class, each as large as its width needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.channels import MODEL_MAPS
from engine.face.registration import valid_mask
from engine.face.skin import HAEMOGLOBIN_RGB, TEXEL_MM
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.synth.fold_atlas import COUNTED, FAMILIES, LOOK_AGES, atlas
from engine.synth.fold_curves import FoldLines
from engine.synth.frames import normals
from engine.synth.noise import blur, enlarge
from engine.synth.strain import across, metric, stretch
from engine.vocabulary import EXPRESSIONS

WIDTHS_MM: tuple[float, ...] = tuple(0.28 * 2 ** (step / 2) for step in range(10))
"""Deviations of the kernels that lines are drawn with; a line's own lies between two of them."""
GROOVE, BANK = (1 / 5, 1 / 2.8), 0.85
"""Deviations of the sharp and the round part of a groove, and of its banks, in groove widths."""
SHARP_BY_AGE, BANK_BY_AGE = (0.25, 0.5, 0.62), (1.1, 1.0, 0.9)
"""Share of the sharp part, and what banks hold of what a groove has lost, at `LOOK_AGES`."""
STEEPEST = 0.53
"""No slope of a fold is steeper: 28 degrees."""
MOST_DRIVE = 1.2
"""No fold is deeper than so many times its full depth."""
UNITS: tuple[str, ...] = (
    "AU1", "AU2", "AU4", "AU6", "AU7", "AU9", "AU10", "AU12", "AU14", "AU15", "AU17", "AU18", "AU20", "AU24",
)  # fmt: skip
"""Action units that folds follow."""
_CHIN_UNITS = {"AU17": 1.0, "AU15": 0.35, "AU24": 0.2}
_SMILE_FOLDS = ("nasolabial", "cheek")
"""Folds so large that they are shape: drawn into the offsets too."""
_SHARPNESS = {"glabella": 0.5, "cheek": 0.3, "chin": 0.0}
_SOFT_FOLDS = ("nasolabial", "cheek", "mental", "chin", "glabella")
"""Wide folds, that darken half as much."""
_CAVITY_TINT = (0.72, 1.0, 1.06)


@dataclass(frozen=True, slots=True)
class Lines:
    """Fold lines of B people on one device: the columns of `FoldLines`, one after the other."""

    uv: Tensor
    opened_uv: Tensor
    along: Tensor
    outward: Tensor
    step_uv: Tensor
    uv_per_mm: Tensor
    full_mm: Tensor
    rest_mm: Tensor
    width_mm: Tensor
    family: Tensor
    person: Tensor
    """(N,) int64 row of the batch."""
    age_years: Tensor
    """(B,)."""

    @staticmethod
    def of(people: Sequence[FoldLines], age_years: Tensor) -> Lines:
        """Of `people` with ages (B,), on the ages' device."""
        device = age_years.device
        columns = {
            column.name: torch.from_numpy(np.concatenate([getattr(one, column.name) for one in people])).to(device)
            for column in fields(FoldLines)
        }
        counts = torch.tensor([len(one.uv) for one in people], device=device)
        person = torch.repeat_interleave(torch.arange(len(people), device=device), counts)
        return Lines(**columns, person=person, age_years=age_years)

    def by_age(self, values: tuple[float, ...]) -> Tensor:
        """(N,) `values` at `LOOK_AGES`, at the age of each point's person."""
        table = [float(value) for value in np.interp(self.age_years.cpu().numpy(), LOOK_AGES, values)]
        return torch.tensor(table, device=self.uv.device)[self.person]


def unit_strengths(strengths: Tensor) -> Tensor:
    """(B, 2, 32) strengths of the vocabulary's rows -> (B, 2, len(UNITS)) of action units, 0..1."""
    table = torch.tensor([[row.facs.get(unit, 0.0) for unit in UNITS] for row in EXPRESSIONS])
    return (strengths @ table.to(strengths)).clamp(0, 1)


def drive(lines: Lines, neutral_m: Tensor, offset_m: Tensor, units: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) 0..`MOST_DRIVE` how far each point's fold is driven, and (N,) 0..1 how far it is pulled flat.

    `neutral_m` and `offset_m` (B, 3, 128, 128) metres, `units` (B, 2, len(UNITS)).
    """
    table = _families(lines.uv.device)
    still, moved = (_at(metric(position), lines) for position in (neutral_m, neutral_m + offset_m))
    change = across(still, moved, lines.along)
    squeeze = (-change / table.full_compression[lines.family]).clamp(0, 1.25)
    pull = (change / 0.15).clamp(0, 1)
    unit = _unit_pull(lines, units, table.units)
    by_strain = torch.maximum(squeeze * (0.5 + unit).clamp(0, 1), 0.5 * squeeze + 0.5 * unit)
    by_unit = torch.where(table.strain[lines.family] > 0, 0.45 * squeeze, 0 * squeeze) + 0.6 * unit
    driven = torch.maximum(by_strain * table.strain[lines.family].clamp(min=0.5), by_unit)
    driven = torch.where(table.by_unit[lines.family], driven, by_strain)
    return torch.where(table.only_unit[lines.family], unit, driven).clamp(0, MOST_DRIVE), pull


def deepened(lines: Lines, driven: Tensor, pull: Tensor, strength: Tensor) -> Tensor:
    """(N,) depth in mm of the groove at each point; `strength` (B,) scales what moves, 1 on average."""
    rest = lines.rest_mm * (1 - driven.clamp(max=1)) * (1 - 0.7 * pull)
    return rest + lines.full_mm * driven * strength[lines.person]


def relief(lines: Lines, depth_mm: Tensor, from_mm: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """(B, S, S) mm and (B, S, S): change of height, and of how much folds shade themselves (-1.3 to 1.3), where
    grooves go from depths `from_mm` to `depth_mm` (N,). Canonical layout, `size` a power of two.

    Heights are scaled so that their slope over texels of `TEXEL_MM` is the slope on the head.
    """
    table = _families(lines.uv.device)
    sharp, held = lines.by_age(SHARP_BY_AGE), lines.by_age(BANK_BY_AGE)
    sharp = sharp * table.sharp[lines.family]
    height = (depth_mm - from_mm) * TEXEL_MM * TEXTURE_SIZE * lines.uv_per_mm
    width, soft = lines.width_mm, table.soft[lines.family]
    canvas = _Canvases(lines, size, 2)
    for share, part in zip((sharp, 1 - sharp), GROOVE, strict=True):
        canvas.add(0, -height * share, width * part)
    # the groove's volume under both Gaussians, spread over the banks' wider one
    volume = (sharp * GROOVE[0] + (1 - sharp) * GROOVE[1]) / BANK * held
    one_sided = table.one_sided[lines.family]
    canvas.add(0, height * volume * ~one_sided, width * BANK)
    out = lines.outward * width[:, None]
    canvas.add(0, 0.55 * height * one_sided, 0.62 * width, out * 0.85)
    canvas.add(0, 0.14 * height * one_sided, 0.5 * width, out * -0.6)
    now, before = ((each / width / 0.2).clamp(0, 1.15) for each in (depth_mm, from_mm))
    canvas.add(1, (now - before) * torch.where(soft, 0.45, 0.9), width / torch.where(soft, 3.2, 4.2))
    height_mm, shade = canvas.finished().unbind(1)
    return height_mm, shade.clamp(-1.3, 1.3)


def slopes(height_mm: Tensor) -> Tensor:
    """(B, H, W) -> (B, 2, H, W): slopes of the normal, OpenGL convention (+Y up the image)."""
    texel = TEXEL_MM * TEXTURE_SIZE / height_mm.shape[-1]
    padded = functional.pad(height_mm[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    right, down = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2], padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    return torch.stack([-right, down], 1) / (2 * texel)


def at_rest(neutral: Tensor, lines: Lines) -> Tensor:
    """`neutral` maps (B, 9, S, S) with the folds that show at rest."""
    height_mm, shade = relief(lines, lines.rest_mm, 0 * lines.rest_mm, neutral.shape[-1])
    log_diffuse, log_specular, roughness = _shading(shade)
    albedo, specular, rough, slope = (neutral[:, each.channels] for each in MODEL_MAPS)
    ratios = [albedo * log_diffuse.exp(), specular * log_specular.exp()]
    return torch.cat([*ratios, rough + roughness, slope + slopes(height_mm)], 1)


def fold_change(lines: Lines, depth_mm: Tensor, size: int = TEXTURE_SIZE) -> Tensor:
    """(B, 9, size, size) change of the maps by the folds alone, from rest to depths (N,)."""
    height_mm, shade = relief(lines, depth_mm, lines.rest_mm, size)
    log_diffuse, log_specular, roughness = _shading(shade)
    change = torch.cat([log_diffuse, log_specular.expand(-1, 3, -1, -1), roughness, _bounded(slopes(height_mm))], 1)
    return change.mul_(enlarge(_valid(lines.uv.device), size))


def skin_change(neutral_m: Tensor, offset_m: Tensor, flush: Tensor, gloss: Tensor) -> Tensor:
    """(B, 9, 512, 512) change of the maps by blood and by stretch of the micro-surface; `flush` and `gloss` (B,) say
    how strongly, 1 on average."""
    strain = stretch(neutral_m + offset_m, neutral_m)
    squeeze, pull = (-strain).clamp(0, 0.5).sum(dim=1), strain.clamp(0, 0.5).sum(dim=1)
    blood = (-0.55 * squeeze + 0.45 * _around(squeeze) - 0.25 * pull) * flush[:, None, None]
    shine, rough = ((a * pull + b * squeeze) * gloss[:, None, None] for a, b in ((0.35, -0.2), (-0.14, 0.16)))
    smooth = enlarge(torch.stack([blood, shine, rough], 1), TEXTURE_SIZE) * _valid(blood.device)
    parts = torch.cat([smooth[:, :1].expand(-1, 3, -1, -1), smooth[:, 1:2].expand(-1, 3, -1, -1), smooth[:, 2:]], 1)
    factors = torch.tensor([*-HAEMOGLOBIN_RGB, 1.0, 1.0, 1.0, 1.0], device=blood.device)
    return functional.pad(parts * factors[:, None, None], (0, 0, 0, 0, 0, 2))


def shape_change(lines: Lines, depth_mm: Tensor, neutral_m: Tensor, offset_m: Tensor) -> Tensor:
    """(B, 3, 128, 128) metres, opened layout: how far the folds of a smile move the surface along its normal.

    The cheek swells over the nasolabial fold and its arcs, the fold itself stays behind.
    """
    depth = (depth_mm - lines.rest_mm) * _families(lines.uv.device).smile[lines.family]
    width, out = lines.width_mm, lines.outward * lines.width_mm[:, None]
    canvas = _Canvases(lines, GEOMETRY_SIZE, 1, opened=True)
    canvas.add(0, -0.9 * depth, width * 0.45)
    canvas.add(0, 1.8 * depth, width * 0.95, out * 1.35)
    return normals(neutral_m + offset_m)[0] * canvas.finished() * 1e-3


def _bounded(slope: Tensor) -> Tensor:
    """(B, 2, H, W) slopes of which the steep ones are bent to stay under `STEEPEST`."""
    size = (slope.square().sum(1, keepdim=True) + 1e-12).sqrt()
    beyond = (size - 0.5 * STEEPEST).clamp(min=0) / (0.5 * STEEPEST)
    return slope * (torch.where(beyond > 0, 0.5 * STEEPEST * (1 + torch.tanh(beyond)), size) / size)


class _Canvases:
    """Sums of lines with Gaussian profiles, in `channels`, exact in volume whatever the size.

    A line under a Gaussian of deviation s has the peak weight / (s sqrt(2 pi)): weights are made for the peak that is
    wanted. Each kernel has a canvas as small as still holds it, and all lie in one buffer. Points go to the nine
    nearest texels by the quadratic B-spline, whose own deviation (half a texel) does not depend on where between
    texels a point lies.
    """

    def __init__(self, lines: Lines, size: int, channels: int, opened: bool = False) -> None:
        self._lines, self._size, self._channels = lines, size, channels
        self._uv = lines.opened_uv if opened else lines.uv
        self._parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, channel: int, peak: Tensor, deviation_mm: Tensor, shift_uv: Tensor | None = None) -> None:
        """Add the lines to `channel` with profiles of `peak` (N,) and `deviation_mm` (N,), moved by `shift_uv`."""
        shown, lines = torch.nonzero(peak.abs() > 1e-4)[:, 0], self._lines
        uv = self._uv[shown] if shift_uv is None else self._uv[shown] + shift_uv[shown]
        row = lines.person[shown] * self._channels + channel
        amount, deviation_uv = (peak * lines.step_uv)[shown], (deviation_mm * lines.uv_per_mm)[shown]
        place = (torch.log2(deviation_uv / _KERNELS_UV[0]) * 2).clamp(0, len(_KERNELS_UV) - 1.001)
        lower = place.long()
        self._parts.append((torch.cat([uv, uv]), torch.cat([row, row]), torch.cat([lower, lower + 1]), amount))
        upper = place - lower
        self._parts[-1] = (*self._parts[-1][:3], torch.cat([amount * (1 - upper), amount * upper]))

    def finished(self) -> Tensor:
        """(B, channels, size, size)."""
        people = len(self._lines.age_years)
        plans = [_plan(width * self._size, self._size) for width in _KERNELS_UV]
        layers = sorted(set(plans))
        numbers = torch.tensor([layers.index(plan) for plan in plans], device=self._uv.device)
        counts = [people * self._channels * size * size for size, _ in layers]
        canvas = self._uv.new_zeros(sum(counts))
        if self._parts:
            uv, row, kernel, amount = (torch.cat(column) for column in zip(*self._parts, strict=True))
            sizes = torch.tensor([size for size, _ in layers], device=uv.device)
            starts = torch.tensor([0, *np.cumsum(counts)[:-1]], device=uv.device)
            widths = torch.tensor(_KERNELS_UV, device=uv.device) * (2 * np.pi) ** 0.5
            size, layer = sizes[numbers[kernel]], numbers[kernel]
            _splat(canvas, uv, amount * widths[kernel] * size * size, size, starts[layer] + row * size * size)
        total = None
        for part, (size, deviation) in zip(canvas.split(counts), layers, strict=True):
            drawn = part.reshape(people, self._channels, size, size)
            drawn = blur(drawn, deviation) if deviation else drawn
            total = drawn if total is None else enlarged(total, size) + drawn
        assert total is not None
        return enlarged(total, self._size)


_KERNELS_UV = tuple(width / (TEXEL_MM * TEXTURE_SIZE) for width in WIDTHS_MM)


def _splat(canvas: Tensor, uv: Tensor, weight: Tensor, size: Tensor, start: Tensor) -> None:
    """Add `weight` (N,) at `uv` (N, 2) to squares of `size` (N,) texels that begin at `start` (N,) of flat `canvas`."""
    at = uv * size[:, None] - 0.5
    near = at.round()
    rest = at - near
    taps = torch.stack([0.5 * (0.5 - rest) ** 2, 0.75 - rest**2, 0.5 * (0.5 + rest) ** 2])
    x, y = near.long().unbind(-1)
    last = size - 1
    columns = [torch.minimum((x + step).clamp(min=0), last) for step in (-1, 0, 1)]
    for j in range(3):
        row = start + torch.minimum((y + j - 1).clamp(min=0), last) * size
        part = weight * taps[j, :, 1]
        for i in range(3):
            canvas.scatter_add_(0, row + columns[i], part * taps[i, :, 0])


def _plan(deviation: float, size: int) -> tuple[int, float]:
    """Size of the canvas of lines that are `deviation` texels of `size` wide, and the blur, in its own texels, that is
    left to do: as small as still holds the line."""
    while deviation > 2 * _LEAST_DEVIATION and size > 64:
        size, deviation = size // 2, deviation / 2
    return size, float((max(deviation, 0.75) ** 2 - 0.25) ** 0.5)


_LEAST_DEVIATION = 1.0
"""Texels of a canvas that a kernel on a coarser one would span at least."""


def enlarged(maps: Tensor, size: int) -> Tensor:
    """(B, C, h, h) -> (B, C, size, size), twofold at a time: towards a quadratic B-spline, without creases."""
    while maps.shape[-1] < size:
        maps = enlarge(maps, 2 * maps.shape[-1])
    return maps


@dataclass(frozen=True, slots=True)
class _Table:
    """What each family does, in the order of `FAMILIES`."""

    full_compression: Tensor
    units: Tensor
    """(F, len(UNITS)) how much each unit drives the family."""
    strain: Tensor
    by_unit: Tensor
    only_unit: Tensor
    soft: Tensor
    sharp: Tensor
    """Dimples are not sharp at any age, frown lines half as sharp as others; sharp arcs of a cheek look like scars."""
    smile: Tensor
    one_sided: Tensor


@lru_cache(maxsize=4)
def _families(device: torch.device) -> _Table:
    looks = [atlas()[name]["look"] for name in COUNTED]
    full = [look["full_compression"] for look in looks] + [1.0]
    pulls = [look["action_units"] for look in looks] + [_CHIN_UNITS]
    chosen = {
        "strain": [0.0 if name == "marionette" else 1.0 for name in FAMILIES],
        "by_unit": [name in ("mental", "nasolabial", "marionette", "cheek", "glabella") for name in FAMILIES],
        "only_unit": [name == "chin" for name in FAMILIES],
        "soft": [name in _SOFT_FOLDS for name in FAMILIES],
        "sharp": [_SHARPNESS.get(name, 1.0) for name in FAMILIES],
        "smile": [name in _SMILE_FOLDS for name in FAMILIES],
        "one_sided": [name == "nasolabial" for name in FAMILIES],
    }
    units = [[pull.get(unit, 0.0) for unit in UNITS] for pull in pulls]
    return _Table(
        torch.tensor(full, device=device),
        torch.tensor(units, device=device),
        **{key: torch.tensor(value, device=device) for key, value in chosen.items()},
    )


def _unit_pull(lines: Lines, units: Tensor, table: Tensor) -> Tensor:
    """(N,) 0..1 how much the action units of its side pull at each point's family: the strongest; on the forehead
    AU1 in the middle and AU2 beside it."""
    left = ((lines.uv[:, 0] - 0.5) / 0.06 + 0.5).clamp(0, 1)
    left = (left * left * (3 - 2 * left))[:, None]
    here = units[lines.person, 0] * left + units[lines.person, 1] * (1 - left)
    pulled = here * table[lines.family]
    inner = (1.2 - (lines.uv[:, 0] - 0.5).abs() * 1024 / 110).clamp(0, 1)
    forehead = pulled[:, UNITS.index("AU1")] * inner + pulled[:, UNITS.index("AU2")] * (1 - 0.6 * inner)
    strongest = pulled.amax(1)
    return torch.where(lines.family == FAMILIES.index("forehead"), forehead, strongest).clamp(0, 1)


def _at(maps: Tensor, lines: Lines) -> Tensor:
    """(B, C, 128, 128) maps of the opened layout at the lines' points: (N, C)."""
    count = torch.bincount(lines.person, minlength=len(maps)).tolist()
    places = lines.opened_uv.split(count)
    sampled = [
        functional.grid_sample(one[None], (place * 2 - 1)[None, None], "bilinear", "border", False)[0, :, 0].T
        for one, place in zip(maps, places, strict=True)
    ]
    return torch.cat(sampled)


def _shading(cavity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log diffuse (B, 3, S, S), log specular and roughness (B, 1, S, S) changes of self-shading folds."""
    tint = torch.tensor(_CAVITY_TINT, device=cavity.device)[None, :, None, None]
    return -0.26 * cavity[:, None] * tint, -0.5 * cavity[:, None], 0.06 * cavity[:, None]


def _around(values: Tensor) -> Tensor:
    """(B, 128, 128) averaged over 11 x 11 texels."""
    return functional.avg_pool2d(values[:, None], 11, 1, 5)[:, 0]


@lru_cache(maxsize=4)
def _valid(device: torch.device) -> Tensor:
    """(1, 1, 512, 512) 1 on skin."""
    return torch.from_numpy(valid_mask().astype(np.float32)).to(device)[None, None]
