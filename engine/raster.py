"""Triangles on a texture: which one covers a texel, where in it, and what stands in the gaps between charts."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt


def rasterize(triangles: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which triangle covers each texel centre of a size x size square, and where in it.

    `triangles` is (F, 3, 2) UVs. Returns (size, size) int32 triangle index, -1 where none, and (size, size, 3) float32
    barycentric weights. Where triangles overlap the last one wins.
    """
    corners = np.asarray(triangles, np.float64) * size - 0.5
    low = np.ceil(corners.min(axis=1) - 1e-9).astype(np.int64).clip(0, size)
    high = np.floor(corners.max(axis=1) + 1e-9).astype(np.int64).clip(-1, size - 1)
    extent = high - low + 1
    index = np.full((size, size), -1, np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    reach = extent.max(axis=1)
    for side in np.unique(reach[(extent > 0).all(axis=1)]):
        chosen = np.flatnonzero((reach == side) & (extent > 0).all(axis=1))
        step = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
        for block in np.array_split(chosen, max(1, len(chosen) * side * side // 2_000_000)):
            points = low[block][:, None] + step[None]
            inside_box = (points <= high[block][:, None]).all(axis=2)
            weight = barycentric(corners[block], points.astype(np.float64))
            hit = inside_box & (weight >= -1e-7).all(axis=2)
            x, y = points[hit].T
            index[y, x] = np.broadcast_to(block[:, None], hit.shape)[hit]
            weights[y, x] = weight[hit]
    return index, weights


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
    nearest = distance_transform_edt(~valid, return_distances=False, return_indices=True)
    assert nearest is not None
    return image[nearest[0], nearest[1]]
