"""Closing the built-in skin at the crown and down the back of the head.

The head model's mesh ends a few millimetres to two centimetres short of the line where the two sides of the canonical
chart meet. A chain of vertices near that line joins them. Each lies on a smooth surface through the skin around it and
has two texture coordinates, one on either side of the chart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.face import layout

_STEP_M = 0.0035
"""Between neighbours of the chain, on the mean head."""
_NEAREST = 0.3
"""Of the way from one side to the other, the least that the chain stays away from either."""
_LEAST_UV = 1e-7
"""Twice the area of the smallest triangle in the chart: a tenth of a texel of a 1024 map."""
_STAIR = 0.02
"""Length along the seam, in UV, of a step of the mesh's edge, which follows rows and columns of a grid."""
_NEIGHBOURS, _SPREAD_M, _CLOSE_M = 90, 0.012, 0.003
"""Skin vertices that a place on the chain is fitted to, and how their weight falls off: a Gaussian over the square of
the distance, which itself is not taken below about `_CLOSE_M`."""


@dataclass(frozen=True, eq=False, slots=True)
class Seam:
    """N vertices that follow the V of the skin, and what they span."""

    faces: np.ndarray
    """(F, 3) int64; V and above are the seam's own."""
    uv_faces: np.ndarray
    """(F, 3) int64; V to V + N are the own ones' left coordinates, from there their right ones."""
    uvs: np.ndarray
    """(2N, 2) float64."""
    neighbours: np.ndarray
    """(N, K) int64 skin vertices."""
    weights: np.ndarray
    """(N, K) float64, each row of sum 1."""

    def positions_m(self, skin_m: np.ndarray) -> np.ndarray:
        """(N, 3) metres for (V, 3) skin positions."""
        return (skin_m[self.neighbours] * self.weights[..., None]).sum(axis=1)


def back_seam(vertex_uv: np.ndarray, faces: np.ndarray, mean_m: np.ndarray) -> Seam:
    """The seam of a skin mesh with (V, 2) canonical UVs and (F, 3) faces, spaced and fitted on the (V, 3) mean head."""
    left, right = _sides(vertex_uv, faces)
    (left_out, left_along), (right_out, right_along) = (_places(vertex_uv[side]) for side in (left, right))
    along = np.union1d(left_along, right_along)
    along = along[(along > 0) & (along <= left_along[-1])]

    def between(side: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(along, places, column) for column in values[side].T], -1)

    # both edges are stairs: the chain goes between their foremost steps, nowhere near to either
    inner = [_foremost(along, places, -out) for places, out in ((left_along, left_out), (right_along, right_out))]
    nearest = _NEAREST * (inner[0] + inner[1])
    outside = np.maximum(nearest - inner[0], 0) - np.maximum(nearest - inner[1], 0)
    for _ in range(8):
        outside = np.convolve(np.pad(outside, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    inner = [np.interp(along, places, -out) for places, out in ((left_along, left_out), (right_along, right_out))]
    gap = inner[0] + inner[1]
    share = ((inner[0] + outside) / gap)[:, None]
    middle_m = between(left, left_along, mean_m) * (1 - share) + between(right, right_along, mean_m) * share
    chosen = _spaced(mean_m[left[0]], middle_m)
    along, outside, middle_m = along[chosen], outside[chosen], middle_m[chosen]
    neighbours, weights = _fit(middle_m, mean_m)
    uvs = np.concatenate([layout.seam_uv(along, outside), layout.seam_uv(along, -outside) * (-1, 1) + (1, 0)])
    count, size = len(along), len(vertex_uv)
    placed_m = np.concatenate([mean_m, (mean_m[neighbours] * weights[..., None]).sum(axis=1)])
    chain = np.concatenate([left[:1], size + np.arange(count)])
    strips = [_zipped(left, chain, np.concatenate([vertex_uv, uvs[:count]]), placed_m)]
    strips.append(_zipped(right, chain, np.concatenate([vertex_uv, uvs[count:]]), placed_m)[:, ::-1])
    second = np.where(strips[1] >= size, strips[1] + count, strips[1])
    return Seam(np.concatenate(strips), np.concatenate([strips[0], second]), uvs, neighbours, weights)


def _sides(vertex_uv: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices of the outer edge from the crown down to the neck, image left and right; the first one is the same."""
    onward = dict(layout.boundary_edges(faces).tolist())
    loop = [int(vertex_uv[:, 1].argmin())]
    while (vertex := onward[loop[-1]]) != loop[0]:
        loop.append(vertex)
    edge = np.array(loop)
    u, v = vertex_uv[edge].T
    top = np.where(v < 0.1, np.abs(u - 0.499), np.inf)  # just left of the middle
    edge = np.roll(edge, -int(top.argmin()))
    u, v = vertex_uv[edge].T
    low = np.flatnonzero(v > v.max() - 1e-6)
    first, last = edge[: low[0] + 1], np.concatenate([edge[:1], edge[: low[-1] - 1 : -1]])
    return (first, last) if vertex_uv[first[-1], 0] < 0.5 else (last, first)


def _places(uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) how far outside of the seam, and along it, never back."""
    outside, along = layout.beyond_seam(uvs)
    return outside, np.maximum.accumulate(along)


def _foremost(along: np.ndarray, places: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The least of `inner`, given at `places`, around each of `along`: within a step of the stairs, less at the tip."""
    near = np.abs(along[:, None] - places) <= np.minimum(_STAIR, 0.25 * along)[:, None] + 1e-9
    plain = np.interp(along, places, inner)
    return np.minimum(plain, np.where(near, inner, np.inf).min(axis=1))


def _spaced(start_m: np.ndarray, points_m: np.ndarray) -> np.ndarray:
    """Numbers of the points that are a step or more from the last one chosen, first from the start; the last is in."""
    chosen, before = [], start_m
    for number, point in enumerate(points_m):
        if np.linalg.norm(point - before) >= _STEP_M:
            chosen.append(number)
            before = point
    return np.array([*chosen[:-1], len(points_m) - 1])


def _fit(places_m: np.ndarray, skin_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours and weights (N, K) of places on the surface through the skin.

    Moving least squares (Lancaster and Salkauskas 1981): position as a quadratic function over the tangent plane. The
    weights are those of the head given; for another one of the same mesh they are as good, being exact for all
    quadratic surfaces over its plane.
    """
    squared = (places_m**2).sum(axis=1)[:, None] - 2 * places_m @ skin_m.T + (skin_m**2).sum(axis=1)
    neighbours = np.argpartition(squared, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    near = skin_m[neighbours] - places_m[:, None]
    squared = (near**2).sum(axis=2)
    fall = np.exp(-squared / _SPREAD_M**2) / (squared + _CLOSE_M**2)
    spread = np.einsum("nk,nki,nkj->nij", fall, near, near)
    x, y = np.moveaxis(near @ np.linalg.eigh(spread)[1][..., 1:] / _SPREAD_M, -1, 0)
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1)
    root = np.sqrt(fall)[..., None]
    return neighbours, np.linalg.pinv(design * root)[:, 0] * root[..., 0]


def _zipped(side: np.ndarray, chain: np.ndarray, uvs: np.ndarray, positions_m: np.ndarray) -> np.ndarray:
    """(F, 3) triangles between a side and the chain, which start in one vertex; counter-clockwise from outside for the
    image's left side. `uvs` and `positions_m` are what both number, `uvs` in the chart of the side.

    Of all ways to go along both the one whose cross edges have the least sum of squares (Fuchs, Kedem and Uselton
    1977) without a triangle turned over in the chart.
    """

    def turned(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> np.ndarray:
        (au, av), (bu, bv) = np.moveaxis(uvs[second] - uvs[first], -1, 0), np.moveaxis(uvs[third] - uvs[first], -1, 0)
        return np.where((au * bv - av * bu) * facing < _LEAST_UV, np.inf, 0.0)

    facing = -1.0 if uvs[side, 0].max() < 0.5 else 1.0
    cross = ((positions_m[side][:, None] - positions_m[chain]) ** 2).sum(axis=2)
    by_side = (cross[1:] + turned(side[:-1, None], chain[None], side[1:, None])).tolist()
    by_chain = (cross[:, 1:] + turned(side[:, None], chain[None, :-1], chain[None, 1:])).tolist()
    best: dict[tuple[int, int], tuple[float, bool]] = {(0, 1): (0.0, False)}
    for i in range(len(side)):
        for j in range(1, len(chain)):
            if i or j > 1:
                over_side = best[i - 1, j][0] + by_side[i - 1][j] if i else np.inf
                over_chain = best[i, j - 1][0] + by_chain[i][j - 1] if j > 1 else np.inf
                best[i, j] = min((over_side, True), (over_chain, False))
    triangles: list[tuple[int, int, int]] = []
    i, j = len(side) - 1, len(chain) - 1
    while i or j > 1:
        if best[i, j][1]:
            i -= 1
            triangles.append((side[i], chain[j], side[i + 1]))
        else:
            j -= 1
            triangles.append((side[i], chain[j], chain[j + 1]))
    return np.array(triangles[::-1])
