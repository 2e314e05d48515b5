"""Triangles on a texture: which one covers a texel, where in it, and what stands in the gaps between charts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS_AT_ONCE, TEXELS_AT_ONCE = 250_000, 500_000
"""Bound the memory of one step."""
_EDGE, _WIDE = 1e-9, 1e-3
"""Texels by which boxes and rows are taken wider than the triangle; barycentric weights decide."""
_INSIDE = 1e-7
"""How far outside a texel centre may lie, in barycentric weight, so that charts have no seams."""


def rasterize(triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which triangle covers each texel centre of a size x size square, and where in it.

    `triangles` is (F, 3, 2) UVs. Returns (size, size) int32 triangle index, -1 where none, and (size, size, 3) float32
    barycentric weights. Where triangles overlap the one that reaches farthest wins, of equal ones the last. Work and
    memory follow the texels that are covered, row by row, not the boxes around triangles.
    """
    corners = np.asarray(triangles, np.float64) * size - 0.5
    low = np.ceil(corners.min(axis=1) - _EDGE).astype(np.int64).clip(0, size)
    high = np.floor(corners.max(axis=1) + _EDGE).astype(np.int64).clip(-1, size - 1)
    extent = high - low + 1
    order = np.flatnonzero((extent > 0).all(axis=1))
    order = order[np.argsort(extent[order].max(axis=1), kind="stable")]
    index = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    for some in blocks(order, extent[order, 1], ROWS_AT_ONCE):
        triangle, y = counted(some, low[some, 1], extent[some, 1])
        first, last = _span(corners[triangle], y)
        first, last = np.maximum(first, low[triangle, 0]), np.minimum(last, high[triangle, 0])
        rows = np.flatnonzero(first <= last)
        for row in blocks(rows, (last - first + 1)[rows], TEXELS_AT_ONCE):
            at, x = counted(row, first[row], (last - first + 1)[row])
            points = np.stack([x, y[at]], -1)
            weight = barycentric(corners[triangle[at]], points[:, None].astype(np.float64))[:, 0]
            hit = (weight >= -_INSIDE).all(axis=1)
            x, y_hit = points[hit].T
            index[y_hit, x] = triangle[at][hit]
            weights[y_hit, x] = weight[hit]
    return index, weights


def blocks(items: np.ndarray, sizes: np.ndarray, at_once: int) -> Iterator[np.ndarray]:
    """`items` in their order, in blocks whose `sizes` sum up to about `at_once`."""
    block = np.cumsum(sizes) // at_once
    return iter(np.split(items, np.flatnonzero(np.diff(block)) + 1)) if len(items) else iter(())


def counted(items: np.ndarray, first: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each item `count` times, beside `first`, `first` + 1, ... ."""
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(items, count), np.repeat(first, count) + offset


def _span(corners: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last x of (N, 3, 2) triangles in their rows y, (N,) each, a little wide; the first is above the last
    where there is none."""
    start, end = corners, np.roll(corners, -1, axis=1)
    step = end - start
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (y[:, None] - start[..., 1]) / step[..., 1]
    crossing = start[..., 0] + np.clip(share, 0, 1) * step[..., 0]
    near = (np.minimum(start[..., 1], end[..., 1]) - _EDGE <= y[:, None]) & (
        y[:, None] <= np.maximum(start[..., 1], end[..., 1]) + _EDGE
    )
    flat = step[..., 1] == 0  # such an edge lies in the row whole
    left = np.where(flat, np.minimum(start[..., 0], end[..., 0]), crossing)
    right = np.where(flat, np.maximum(start[..., 0], end[..., 0]), crossing)
    first = np.where(near, left, np.inf).min(axis=1) - _WIDE
    last = np.where(near, right, -np.inf).max(axis=1) + _WIDE
    return np.ceil(first).clip(-1, 2**31).astype(np.int64), np.floor(last).clip(-2, 2**31).astype(np.int64)


def barycentric(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3, 2) triangles and (N, K, 2) points -> (N, K, 3) weights; degenerate triangles give -1."""
    a, b, c = corners[:, None, 0], corners[:, None, 1], corners[:, None, 2]
    area = _cross(b - a, c - a)
    safe = np.where(np.abs(area) < 1e-12, 1.0, area)
    first, second = _cross(b - points, c - points) / safe, _cross(c - points, a - points) / safe
    weights = np.stack([first, second, 1 - first - second], -1)
    return np.where(np.abs(area)[..., None] < 1e-12, -1.0, weights)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def fill_nearest(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """`image` (H, W, C) with texels that are not `valid` taken from the nearest valid one."""
    from scipy.ndimage import distance_transform_edt  # late: a quarter of what a start imports of scipy

    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    assert nearest is not None
    return image[nearest[0], nearest[1]]
