"""Dental arches by code, for heads that come without teeth: two rows of fourteen rounded crowns with gums."""

from __future__ import annotations

import numpy as np

from engine.face import layout
from engine.face.assemble import Piece, constant_parts
from engine.mesh import PARTS, Part

_WIDTHS_MM = np.array([8.5, 6.6, 7.6, 7.0, 6.8, 10.2, 9.8])
"""Mesiodistal crown widths, upper central incisor to second molar (Ash and Nelson 2003, Wheeler's Dental Anatomy)."""
_HEIGHTS_MM = np.array([10.0, 8.8, 10.0, 8.5, 8.0, 7.5, 7.0])
_DEPTHS_MM = np.array([3.2, 3.0, 4.2, 7.5, 8.0, 10.0, 10.0])


def dental_arches(head: Piece) -> list[Piece]:
    """Upper and lower row behind the lips of `head`, whose UVs must follow the canonical layout.

    Placed by the mouth slit: 6 mm behind the foremost lip in the middle, as wide as the mouth allows.
    """
    skin = head.parts == PARTS.index(Part.SKIN)
    mouth = layout.SLITS[0]
    uv = head.uvs[head.uv_faces[skin]].reshape(-1, 2)
    on_slit = (np.abs(uv[:, 1] - mouth.v_at(uv[:, 0])) < 0.004) & (uv[:, 0] > mouth.u_left - 0.005)
    on_slit &= uv[:, 0] < mouth.u_right + 0.005
    lips = head.positions_m[np.unique(head.faces[skin].reshape(-1)[on_slit])]
    middle = np.abs(lips[:, 0] - lips[:, 0].mean()) < 0.006
    centre = np.array([lips[:, 0].mean(), np.median(lips[middle, 1]), lips[middle, 2].max()])
    scale = float(np.clip(np.ptp(lips[:, 0]) / 0.052, 0.8, 1.15))
    return [_row(centre, scale, upper) for upper in (True, False)]


def _row(lip_m: np.ndarray, scale: float, upper: bool) -> Piece:
    """One arch: crowns and a gum band, (V, 3) metres."""
    size = 1.0 if upper else 0.88
    widths = _WIDTHS_MM * size
    positions: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    parts: list[np.ndarray] = []
    count = 0
    half_span = widths.sum() * 0.66
    for side in (-1.0, 1.0):
        edge = 0.0
        for width, height, depth in zip(widths, _HEIGHTS_MM * size, _DEPTHS_MM, strict=True):
            along = edge + width / 2
            edge += width
            crown, crown_faces = _crown(width * 1.01, height, depth, upper)
            spot, heading = _arch(along, half_span)
            turn = np.array([[np.cos(heading), 0, np.sin(heading)], [0, 1, 0], [-np.sin(heading), 0, np.cos(heading)]])
            placed = crown @ turn.T + (spot[0], 0, spot[1])
            placed[:, 0] *= side
            positions.append(placed)
            faces.append((crown_faces if side > 0 else crown_faces[:, ::-1]) + count)
            parts.append(constant_parts(len(crown_faces), Part.TEETH))
            count += len(crown)
    gum, gum_faces = _gum(half_span, widths.sum(), upper)
    positions.append(gum)
    faces.append(gum_faces + count)
    parts.append(constant_parts(len(gum_faces), Part.MOUTH))
    millimetres = np.concatenate(positions) * scale
    # upper incisors show 1 to 2 mm under a resting upper lip; lower ones end behind them
    offset = np.array([0.0, -3.0, -6.0]) if upper else np.array([0.0, -4.0, -8.5])
    joined = np.concatenate(faces)
    uvs = np.full((1, 2), 0.5, np.float32)
    metres = (millimetres + offset) / 1000 + lip_m
    return Piece(metres, joined, uvs, np.zeros_like(joined), np.concatenate(parts))


def _arch(along_mm: float, half_span_mm: float) -> tuple[tuple[float, float], float]:
    """Point (x, z) and heading on a parabola at arc length `along_mm` from the middle; z grows to the front."""
    curve = 1 / 38.0
    xs = np.linspace(0, half_span_mm, 400)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(xs), np.diff(curve * xs**2)))])
    x = float(np.interp(along_mm, length, xs))
    return (x, -curve * x * x), float(np.arctan(2 * curve * x))


def _crown(width: float, height: float, depth: float, upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """A superellipsoid (exponent 3) narrowed towards the gum: (V, 3) mm around its biting edge, +Z to the lips."""
    rings, segments = 8, 12
    theta, phi = np.meshgrid(
        np.linspace(0, np.pi, rings + 1), np.arange(segments) * 2 * np.pi / segments, indexing="ij"
    )
    unit = np.stack([np.sin(theta) * np.cos(phi), np.cos(theta), np.sin(theta) * np.sin(phi)], -1).reshape(-1, 3)
    unit /= (np.abs(unit) ** 3).sum(axis=1, keepdims=True) ** (1 / 3)
    towards_gum = (unit[:, 1] + 1) / 2
    points = unit * (width / 2, height / 2, depth / 2)
    points[:, 0] *= 1 - 0.18 * towards_gum
    points[:, 2] *= 0.55 + 0.45 * towards_gum
    points[:, 1] += height / 2
    if not upper:
        points[:, 1] *= -1
    points[:, 2] -= depth / 2
    at = np.arange(theta.size).reshape(theta.shape)
    right = np.roll(at, -1, axis=1)
    faces = np.concatenate(
        [
            np.stack([at[:-1], right[1:], at[1:]], -1).reshape(-1, 3),
            np.stack([at[:-1], right[:-1], right[1:]], -1).reshape(-1, 3),
        ]
    )
    return points, (faces if upper else faces[:, ::-1])


def _gum(half_span: float, reach: float, upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """A tube along the arch over the crowns' roots: (V, 3) mm."""
    stations, segments = 41, 10
    ring = np.arange(segments) * 2 * np.pi / segments
    points = []
    for along in np.linspace(-reach, reach, stations):
        (x, z), heading = _arch(abs(along), half_span)
        side = 1.0 if along >= 0 else -1.0
        outward = np.array([np.sin(heading) * side, 0, np.cos(heading)])
        centre = np.array([x * side, 10.5 if upper else -9.5, z]) - 3.6 * outward
        points.append(centre + np.cos(ring)[:, None] * outward * 4.2 + np.sin(ring)[:, None] * np.array([0, 4.5, 0]))
    at = np.arange(stations * segments).reshape(stations, segments)
    right = np.roll(at, -1, axis=1)
    quads = np.stack([at[:-1], at[1:], right[1:], right[:-1]], -1).reshape(-1, 4)
    return np.concatenate(points), np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
