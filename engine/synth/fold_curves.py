"""From the pieces of fold lines to points on the canonical layout: bent, wandering, tapered, with the head's metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates

from engine.face import layout, regions
from engine.face.registration import mean_position_m
from engine.synth.fold_atlas import COUNTED, DRAWN, FAMILIES, places

SPACING_MM = 0.35
"""Between the points of a line: less than the width of the narrowest kernel that draws it."""
CHIN_UV = ((0.5, 0.678), (0.064, 0.032))
"""Middle and reach of the chin's dimples."""
_METRIC = 256
_STROKE_POINTS = 9


@dataclass(frozen=True, slots=True)
class FoldLines:
    """N points along one person's fold lines; float32 unless said otherwise."""

    uv: np.ndarray
    """(N, 2) canonical layout."""
    opened_uv: np.ndarray
    """(N, 2) opened layout."""
    along: np.ndarray
    """(N, 2) unit tangent in the opened layout."""
    outward: np.ndarray
    """(N, 2) canonical UV step of 1 mm across the line, away from the mid-line of the face."""
    step_uv: np.ndarray
    """(N,) length of line that the point stands for, canonical UV."""
    uv_per_mm: np.ndarray
    """(N,) across the line, on the mean head."""
    full_mm: np.ndarray
    """(N,) depth of the groove when the fold is driven fully."""
    rest_mm: np.ndarray
    """(N,) depth at rest."""
    width_mm: np.ndarray
    """(N,) of the groove."""
    family: np.ndarray
    """(N,) int64 index into `fold_atlas.FAMILIES`."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One unbroken line."""

    family: str
    right: bool
    """On the subject's right; the atlas gives the left."""
    start_mm: float
    end_mm: float
    """Along s."""
    level_mm: float
    """Of t."""
    full_mm: float
    rest_mm: float
    width_mm: float
    bends_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Legendre modes of t over the piece: tilt, bow, S."""
    wave_mm: float = 0.0
    """Dip in the middle of the face, rise beside it."""
    bow_mm: float = 0.0
    """Outwards at the lower end."""
    straight_uv: tuple[float, float, float, float] | None = None
    """Two ends, for a stroke that follows no lattice."""

    @staticmethod
    def stroke(family: str, uv: np.ndarray, turn_rad: float, half_uv: float, full_mm: float, width_mm: float) -> Piece:
        """A straight line around `uv` that leaves nothing at rest."""
        step = half_uv * np.array([np.cos(turn_rad), np.sin(turn_rad)])
        ends = (*(uv - step).tolist(), *(uv + step).tolist())
        return Piece(family, False, 0.0, 1.0, 0.0, full_mm, 0.0, width_mm, straight_uv=ends)

    @property
    def points(self) -> int:
        """How many stand for it."""
        return _STROKE_POINTS if self.straight_uv else max(int((self.end_mm - self.start_mm) / SPACING_MM), 10)


def curves(rng: np.random.Generator, pieces: list[Piece]) -> FoldLines:
    """The points of all `pieces`."""
    counts = np.array([piece.points for piece in pieces])
    owner = np.repeat(np.arange(len(pieces)), counts)
    family = np.array([FAMILIES.index(piece.family) for piece in pieces])
    e = np.concatenate([np.linspace(-1, 1, count) for count in counts])
    wander = _smooth(rng, counts, 2.5) * np.array([DRAWN[piece.family].wander_mm for piece in pieces])[owner]
    uv = _places(rng, pieces, family, owner, e, wander)
    first, last = np.cumsum(counts) - counts, np.cumsum(counts) - 1
    tangent = np.gradient(uv, axis=0)
    tangent[first], tangent[last] = uv[first + 1] - uv[first], uv[last] - uv[last - 1]
    ends = np.array([DRAWN[piece.family].ends for piece in pieces])[owner]
    rise, fade = np.clip((1 + e) / ends[:, 0], 0, 1), np.clip((1 - e) / ends[:, 1], 0, 1)
    weight = rise * rise * (3 - 2 * rise) * fade**0.9 * np.clip(1 + 0.22 * _smooth(rng, counts, 3.5), 0.4, 1.6)
    weight = np.where(np.array([piece.straight_uv is not None for piece in pieces])[owner], 1.0, weight)
    full, rest, width = (
        np.array([getattr(piece, name) for piece in pieces])[owner] for name in ("full_mm", "rest_mm", "width_mm")
    )
    return _on_the_head(uv, tangent, full * weight, rest * weight, width, family[owner])


def _places(
    rng: np.random.Generator, pieces: list[Piece], family: np.ndarray, owner: np.ndarray, e: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """(N, 2) canonical UVs of points at `e` (-1 to 1) of their pieces, off their levels by `t` (N,) mm."""
    start, end, level, wave, bow, right = (
        np.array([getattr(piece, name) for piece in pieces])[owner]
        for name in ("start_mm", "end_mm", "level_mm", "wave_mm", "bow_mm", "right")
    )
    tilt, bend, third = np.array([piece.bends_mm for piece in pieces])[owner].T
    s = start + (e + 1) / 2 * (end - start)
    t = t + level + tilt * e + bend * (1.5 * e**2 - 0.5) + third * (2.5 * e**3 - 1.5 * e)
    t += bow * (1.5 * e**2 - 0.5 + 0.6 * e**3) + wave * np.cos(np.pi * s / 26) * np.exp(-((s / 55) ** 4))
    uv = np.zeros((len(e), 2))
    for number, name in enumerate(COUNTED):
        for side in (False, True):
            flow = _flow(rng)
            chosen = (family[owner] == number) & (right == side)
            if not chosen.any():
                continue
            waves = s[chosen, None] * flow[0] + t[chosen, None] * flow[1] + flow[2]
            uv[chosen] = places(name, t[chosen] + 0.8 * DRAWN[name].flow_mm * np.sin(waves).sum(1), s[chosen])
    uv[:, 0] = np.where(right, 1 - uv[:, 0], uv[:, 0])
    straight = np.array([piece.straight_uv or (0.0,) * 4 for piece in pieces])[owner]
    share = (e[:, None] + 1) / 2
    is_straight = np.array([piece.straight_uv is not None for piece in pieces])[owner]
    return np.where(is_straight[:, None], straight[:, :2] * (1 - share) + straight[:, 2:] * share, uv)


def _flow(rng: np.random.Generator) -> np.ndarray:
    """(3, 3) of three waves: radians a mm along and across the lines, and phase."""
    length, slant = rng.uniform(20, 50, 3), rng.uniform(-0.4, 0.4, 3)
    return np.stack([2 * np.pi / length, slant * 2 * np.pi / length, rng.uniform(0, 2 * np.pi, 3)])


def _on_the_head(
    uv: np.ndarray, tangent: np.ndarray, full: np.ndarray, rest: np.ndarray, width: np.ndarray, family: np.ndarray
) -> FoldLines:
    """Points with what follows from their place: tangents, the mean head's metric, skin that does not fold."""
    along_uv = tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-12)
    along = layout.open_uv(uv + 2e-3 * along_uv) - layout.open_uv(uv - 2e-3 * along_uv)
    across = np.stack([-along_uv[:, 1], along_uv[:, 0]], -1)
    across *= np.where(across[:, :1] * (uv[:, :1] - 0.5) < 0, -1, 1)
    place = [uv[:, 1] * _METRIC - 0.5, uv[:, 0] * _METRIC - 0.5]
    uu, mixed, vv, bare = (map_coordinates(channel, place, order=1, mode="nearest") for channel in _surface())
    mm_per_uv = np.sqrt(across[:, 0] ** 2 * uu + 2 * across[:, 0] * across[:, 1] * mixed + across[:, 1] ** 2 * vv)
    uv_per_mm = 1 / np.clip(mm_per_uv, 120, 500)
    kept = full * bare > 0.004

    def column(values: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(values[kept], np.float32)

    return FoldLines(
        uv=column(uv),
        opened_uv=column(layout.open_uv(uv)),
        along=column(along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)),
        outward=column(across * uv_per_mm[:, None]),
        step_uv=column(np.linalg.norm(tangent, axis=1)),
        uv_per_mm=column(uv_per_mm),
        full_mm=column(full * bare),
        rest_mm=column(rest * bare),
        width_mm=column(width),
        family=family[kept],
    )


def _smooth(rng: np.random.Generator, counts: np.ndarray, reach_mm: float) -> np.ndarray:
    """(sum of counts,) smooth noise of unit deviation along each of the lines, independent of the others."""
    sigma = reach_mm / SPACING_MM
    pad = int(3 * sigma)
    noise = gaussian_filter1d(rng.standard_normal(int(counts.sum()) + pad * len(counts)), sigma, mode="nearest")
    kept = np.arange(counts.sum()) + np.repeat(np.arange(len(counts)) * pad, counts)
    return noise[kept] * (2 * np.pi**0.5 * sigma) ** 0.5


@lru_cache(maxsize=1)
def _surface() -> np.ndarray:
    """(4, 256, 256): first fundamental form uu, uv, vv of the mean head (square mm per UV unit), and how freely skin
    folds: brows, lips, nostrils and scalp do not."""
    centres = (np.arange(_METRIC) + 0.5) / _METRIC
    grid = np.stack(np.meshgrid(centres, centres), -1)
    opened = layout.open_uv(grid.reshape(-1, 2))
    position_mm = layout.sample_smooth(mean_position_m(), opened).reshape(_METRIC, _METRIC, 3) * 1000.0
    down, right = (part * _METRIC for part in np.gradient(position_mm, axis=(0, 1)))
    lips = np.maximum(regions.mask("upper_lip", _METRIC, 0.006), regions.mask("lower_lip", _METRIC, 0.006))
    bare = (1 - 0.85 * regions.mask("brow", _METRIC, 0.006)) * (1 - 0.9 * lips)
    bare = bare * (1 - 0.9 * regions.mask("nostril", _METRIC, 0.006))
    bare = bare * (1 - np.clip(regions.distance("hairless", _METRIC) / 0.02, 0, 1))
    return np.stack([(right * right).sum(-1), (right * down).sum(-1), (down * down).sum(-1), bare])
