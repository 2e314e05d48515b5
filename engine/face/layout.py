"""The canonical UV layout: its slits, the opened layout, its charts, and rasterising a mesh into it.

The layout is FFHQ-UV's (Bai et al. 2023): one chart for the whole bust with straight slits for eyes and mouth, and
four small charts in the upper corners for mouth bag and eye sockets. UV origin top-left.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.mesh import PARTS, Part, boundary_edges


@dataclass(frozen=True, slots=True)
class Slit:
    """A cut of the skin chart, a nearly straight line from `left` to `right` (image left and right)."""

    name: str
    u_left: float
    u_right: float
    v_line: tuple[float, ...]
    """v at equal steps from left to right."""
    half_gap: float
    """How far each side is moved apart in the middle of the opened layout."""

    def along(self, u: np.ndarray) -> np.ndarray:
        """Place along the slit, 0 at its left end and 1 at its right one."""
        return (u - self.u_left) / (self.u_right - self.u_left)

    def v_at(self, u: np.ndarray) -> np.ndarray:
        """The line's v at `u`, constant beyond its ends."""
        return np.interp(u, np.linspace(self.u_left, self.u_right, len(self.v_line)), self.v_line)

    def gap_at(self, u: np.ndarray) -> np.ndarray:
        """Half the opening at `u`: half an ellipse, 0 beyond the ends."""
        along = self.along(u) * 2 - 1
        return self.half_gap * np.sqrt(np.maximum(1 - along**2, 0.0))


_EYE_LINE = (0.3755, 0.3749, 0.3739, 0.3732, 0.3729, 0.3727, 0.3728, 0.3731)
SLITS: tuple[Slit, ...] = (
    Slit("mouth", 0.41865, 0.58135, (0.58, 0.58), 0.022),
    # the subject's right eye is on the image's left
    Slit("eye_right", 0.34063, 0.42881, _EYE_LINE, 0.016),
    Slit("eye_left", 0.57119, 0.65937, _EYE_LINE[::-1], 0.016),
)
OUTLINES = tomllib.loads((Path(__file__).parent / "outlines.toml").read_text("utf-8"))
SEAM = np.array(OUTLINES["seam"])
"""(N, 2) the chart's outer edge from the crown down the back of the head, image left; 1 - u is that on the right."""
REACH = 0.08
"""Beyond this distance in v from a slit the opened layout equals the canonical one."""


def open_uv(uvs: np.ndarray) -> np.ndarray:
    """(..., 2) canonical UVs -> opened layout, in which the two sides of a slit lie 2 * gap apart.

    A point above the line moves up, one below down, by the gap times a linear fall-off over `REACH`. The map is one to
    one because REACH is larger than any gap. Float32.
    """
    u, v = np.asarray(uvs[..., 0], np.float64), np.asarray(uvs[..., 1], np.float64)
    moved = v.copy()
    for slit in SLITS:
        distance = v - slit.v_at(u)
        moved += np.where(distance < 0, -1.0, 1.0) * slit.gap_at(u) * np.maximum(1 - np.abs(distance) / REACH, 0)
    return np.stack([u, moved], -1).astype(np.float32)


def beyond_seam(uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How far (N, 2) canonical UVs lie outside of `SEAM`, or of its mirror image if right of the middle, negative
    inside; and the length of the seam from the crown to the nearest point of it. Both (N,), UV units."""
    u, v = np.asarray(uvs, np.float64).T
    start, step = SEAM[:-1], np.diff(SEAM, axis=0)
    length = np.linalg.norm(step, axis=1)
    offset = np.stack([np.minimum(u, 1 - u), v], -1)[:, None] - start
    share = np.clip((offset * step).sum(axis=2) / length**2, 0, 1)
    away = offset - share[..., None] * step
    distance = np.linalg.norm(away, axis=2)
    nearest = (np.arange(len(u)), distance.argmin(axis=1))
    along = np.cumsum(length) - length + share * length
    outside = away[..., 1] * step[:, 0] - away[..., 0] * step[:, 1]
    return np.where(outside[nearest] > 0, 1, -1) * distance[nearest], along[nearest]


def seam_uv(along: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """(N, 2) UVs on the image's left, (N,) `along` `SEAM` from the crown and (N,) `outside` of it."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(SEAM, axis=0), axis=1))])
    before, here, after = (
        np.stack([np.interp(along + shift, lengths, SEAM[:, k]) for k in (0, 1)], -1) for shift in (-0.01, 0, 0.01)
    )
    heading = (after - before) / np.linalg.norm(after - before, axis=1, keepdims=True)
    return here + outside[:, None] * np.stack([-heading[:, 1], heading[:, 0]], -1)


def charts(uv_faces: np.ndarray, uv_count: int) -> np.ndarray:
    """(U,) int32 chart number of each texture coordinate, charts being what `uv_faces` connects."""
    from scipy.sparse import coo_matrix  # late: a built-in person's first picture need not wait for it
    from scipy.sparse.csgraph import connected_components

    edges = np.concatenate([uv_faces[:, :2], uv_faces[:, 1:]])
    graph = coo_matrix((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(uv_count, uv_count))
    return connected_components(graph, directed=False)[1]


def canonical_parts(uvs: np.ndarray, uv_faces: np.ndarray) -> np.ndarray | None:
    """(F,) uint8 indices into `PARTS` by chart if the UVs follow the canonical layout, None if they do not.

    They do when the largest chart has boundary points all along each slit and none elsewhere inside the face.
    """
    chart = charts(uv_faces, len(uvs))
    face_chart = chart[uv_faces[:, 0]]
    main = int(np.bincount(face_chart).argmax())
    rim = uvs[np.unique(boundary_edges(uv_faces[face_chart == main]))]
    for slit in SLITS:
        near = np.abs(rim[:, 1] - slit.v_at(rim[:, 0])) < 0.004
        along = rim[near & (rim[:, 0] > slit.u_left - 0.01) & (rim[:, 0] < slit.u_right + 0.01), 0]
        if len(along) < 8 or np.ptp(along) < 0.9 * (slit.u_right - slit.u_left):
            return None
    parts = np.full(len(uv_faces), PARTS.index(Part.SKIN), np.uint8)
    for number in np.unique(face_chart):
        if number == main:
            continue
        centre = uvs[chart == number].mean(axis=0)
        socket = abs(centre[0] - 0.5) < 0.37
        parts[face_chart == number] = PARTS.index(Part.SOCKET if socket else Part.MOUTH)
    return parts


def texel_uv(size: int) -> np.ndarray:
    """(size * size, 2) places of the texels' middles in a map, row by row."""
    v, u = (np.mgrid[0:size, 0:size].reshape(2, -1) + 0.5) / size
    return np.stack([u, v], -1)


def sample_bilinear(image: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """(H, W, C) at (N, 2) UVs -> (N, C) float32, texel centres at + 0.5, edges clamped."""
    height, width = image.shape[:2]
    x = np.clip(uvs[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip(uvs[:, 1] * height - 0.5, 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    share_x, share_y = (x - left)[:, None], (y - top)[:, None]
    upper = image[top, left] * (1 - share_x) + image[top, right] * share_x
    lower = image[bottom, left] * (1 - share_x) + image[bottom, right] * share_x
    return (upper * (1 - share_y) + lower * share_y).astype(np.float32)


def sample_smooth(image: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """(H, W, C) at (N, 2) UVs -> (N, C) float32 by the quadratic B-spline of the texels, edges clamped.

    A little softer than `sample_bilinear` and without its creases between texels: for motions of vertices, of which
    several lie between two texels.
    """
    height, width = image.shape[:2]
    result = np.zeros((len(uvs), image.shape[2]))
    x, y = uvs[:, 0].astype(np.float64) * width - 0.5, uvs[:, 1].astype(np.float64) * height - 0.5
    column, row = np.rint(x), np.rint(y)
    across, down = (
        (0.5 * (0.5 - part) ** 2, 0.75 - part**2, 0.5 * (0.5 + part) ** 2) for part in (x - column, y - row)
    )
    for j in range(3):
        rows = np.clip(row + j - 1, 0, height - 1).astype(np.int64)
        for i in range(3):
            columns = np.clip(column + i - 1, 0, width - 1).astype(np.int64)
            result += (across[i] * down[j])[:, None] * image[rows, columns]
    return result.astype(np.float32)


def close_uv(opened: np.ndarray) -> np.ndarray:
    """(..., 2) opened layout -> canonical UVs: the inverse of `open_uv`; points inside a lens go to the line."""
    u, moved = np.asarray(opened[..., 0], np.float64), np.asarray(opened[..., 1], np.float64)
    v = moved.copy()
    for slit in SLITS:
        line, gap = slit.v_at(u), slit.gap_at(u)
        distance = moved - line
        # forward: d' = d + g (1 - d / R) for 0 <= d <= R, so d = (d' - g) / (1 - g / R)
        closed = np.maximum(np.abs(distance) - gap, 0) / (1 - gap / REACH)
        v = np.where((np.abs(distance) < REACH) & (gap > 0), line + np.sign(distance) * closed, v)
    return np.stack([u, v], -1).astype(np.float32)
