"""Lids that meet when they should, and never sink into the eyeball."""

from __future__ import annotations

import numpy as np

from engine.face import layout
from engine.face.correspondence import Correspondence

_REACH = 0.045
"""How far from the slit, in opened v, the correction of the upper lid fades out."""
_CLEARANCE_M = 0.0003
_OVERLAP_M = 0.0002


def sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the sphere that fits (N, 3) points best (algebraic least squares)."""
    design = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0]
    return solution[:3], float(np.sqrt(max(solution[3] + (solution[:3] ** 2).sum(), 0.0)))


def settle_lids(
    place: Correspondence, rest_m: np.ndarray, moved_m: np.ndarray, eyeball_m: np.ndarray, side: str, closed: bool
) -> np.ndarray:
    """`moved_m` (N, 3), positions of `place.vertices`, with the lids of one eye settled on its eyeball (M, 3 points).

    Where `closed`, the gap between the rims is measured along the slit and the upper lid is brought down by it, fading
    out over `_REACH`. Then lid points nearer to the eyeball's centre than the ball's surface (or than they were at
    rest, if that was deeper) are moved out to it.
    """
    slit = layout.SLITS[2 if side == "Left" else 1]
    uv = place.opened_uv.astype(np.float64)
    along = (uv[:, 0] - slit.u_left) / (slit.u_right - slit.u_left)
    away = uv[:, 1] - slit.v_at(uv[:, 0])
    result = moved_m.copy()
    if closed:
        result += _closing(slit, uv, along, away, moved_m)
    if len(eyeball_m) < 8:
        return result
    centre, radius = sphere(eyeball_m)
    lid = (along > -0.25) & (along < 1.25) & (np.abs(away) < 0.06)
    outward = result[lid] - centre
    distance = np.linalg.norm(outward, axis=1)
    least = np.minimum(radius + _CLEARANCE_M, np.linalg.norm(rest_m[lid] - centre, axis=1))
    push = np.maximum(least - distance, 0.0) * (outward[:, 2] > 0)
    result[lid] += outward / np.maximum(distance, 1e-9)[:, None] * push[:, None]
    return result


def lid_gap_m(place: Correspondence, positions_m: np.ndarray, side: str) -> np.ndarray:
    """(64,) signed height in metres of the upper rim over the lower one along the slit of the eye on `side`.

    `positions_m` is (N, 3) for `place.vertices`. Zero is closed, below zero the rims cross.
    """
    return rim_gap_m(place, positions_m, layout.SLITS[2 if side == "Left" else 1])


def rim_gap_m(place: Correspondence, positions_m: np.ndarray, slit: layout.Slit) -> np.ndarray:
    """(64,) signed height in metres of a slit's upper rim over its lower one, at equal steps along it."""
    uv = place.opened_uv.astype(np.float64)
    stations = np.linspace(slit.u_left, slit.u_right, 66)[1:-1]
    upper, lower = _rims(slit, uv)
    return (_at(upper, uv, positions_m, stations) - _at(lower, uv, positions_m, stations))[:, 1]


def _closing(slit: layout.Slit, uv: np.ndarray, along: np.ndarray, away: np.ndarray, moved_m: np.ndarray) -> np.ndarray:
    """(N, 3) metres that bring the upper rim onto the lower one."""
    upper, lower = _rims(slit, uv)
    if len(upper) < 2 or len(lower) < 2:
        return np.zeros_like(moved_m)
    inside = (along > 0) & (along < 1)
    gap = _at(lower, uv, moved_m, uv[:, 0]) - _at(upper, uv, moved_m, uv[:, 0])
    gap[:, 1] -= _OVERLAP_M
    fade = np.clip(1 - (np.abs(away) - slit.gap_at(uv[:, 0])).clip(min=0) / _REACH, 0, 1) ** 2
    return np.where((inside & (away < 0))[:, None], gap * fade[:, None], 0.0)


def _rims(slit: layout.Slit, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points on the upper and on the lower edge of the lens, by u."""
    inside = (uv[:, 0] > slit.u_left) & (uv[:, 0] < slit.u_right)
    away = uv[:, 1] - slit.v_at(uv[:, 0])
    edge = inside & (np.abs(np.abs(away) - slit.gap_at(uv[:, 0])) < 0.0022)
    upper, lower = np.flatnonzero(edge & (away < 0)), np.flatnonzero(edge & (away > 0))
    return upper[np.argsort(uv[upper, 0])], lower[np.argsort(uv[lower, 0])]


def _at(rim: np.ndarray, uv: np.ndarray, positions_m: np.ndarray, u: np.ndarray) -> np.ndarray:
    """(K, 3) positions along a rim at `u`, constant beyond its ends."""
    return np.stack([np.interp(u, uv[rim, 0], positions_m[rim, axis]) for axis in range(3)], axis=-1)
