"""Image arrays: resampling, and tangent-space normals to slopes and back. Row 0 is the top; texel centres at + 0.5."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

ROWS_TEXELS = 2**16
"""Texels that work on large images takes at once: a few float32 copies of so many stay in a CPU's cache."""


def strips(size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """(first, end) of the rows of an (H, W) image, top to bottom, `ROWS_TEXELS` at a time, one row at least."""
    height, width = size
    rows = max(ROWS_TEXELS // max(width, 1), 1)
    for first in range(0, height, rows):
        yield first, min(first + rows, height)


def resize_bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Sample (h, w) or (h, w, C) at the texel centres of `size` (H, W), edges clamped, float32: what GL_LINEAR does."""
    result = np.asarray(image, np.float32)
    for axis, want in enumerate(size):
        result = resize_axis(result, axis, want)
    return result


def resize_axis(image: np.ndarray, axis: int, want: int, first: int = 0, end: int | None = None) -> np.ndarray:
    """`image` sampled along one axis at `want` texel centres, of which those from `first` to `end` are given, float32.

    Part of `resize_bilinear`; a part of the result is to the bit what the whole has there.
    """
    have, end = image.shape[axis], want if end is None else end
    if have == want:
        return np.asarray(image[(slice(None),) * axis + (slice(first, end),)], np.float32)
    at = (np.arange(first, end, dtype=np.float32) + 0.5) * (have / want) - 0.5
    low = np.floor(at).astype(np.int64)
    share = (at - low).astype(np.float32).reshape((-1,) + (1,) * (image.ndim - axis - 1))
    before = image.take(np.clip(low, 0, have - 1), axis).astype(np.float32)
    after = image.take(np.clip(low + 1, 0, have - 1), axis).astype(np.float32)
    return before + (after - before) * share


def smoothstep(share: np.ndarray) -> np.ndarray:
    """Hermite step of any shape: 0 up to 0, 1 from 1 on, level at both ends."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def normal_bytes_from_slope(slope: np.ndarray) -> np.ndarray:
    """(H, W, 2) slopes -> (H, W, 3) uint8 tangent-space normal map, OpenGL (+Y up), 128 = zero slope."""
    size = slope.shape[0], slope.shape[1]
    result = np.empty((*size, 3), np.uint8)
    for first, end in strips(size):
        normal = np.ones((end - first, size[1], 3), np.float32)
        normal[..., :2] = slope[first:end]
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        result[first:end] = np.clip(np.rint(normal * 127.0 + 128.0), 0, 255)
    return result


def slope_from_normal_bytes(normal: np.ndarray, flip_y: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 normal map -> (H, W, 2) float16 slopes; `flip_y` for DirectX maps. nz is kept above 0.1.

    nz is rebuilt from nx and ny: rounded to 8 bits near 1 it would shift every slope, and each save would drift.
    """
    size = normal.shape[0], normal.shape[1]
    result = np.empty((*size, 2), np.float16)
    for first, end in strips(size):
        plane = (np.asarray(normal[first:end, :, :2], np.float32) - 128.0) / 127.0
        slope = plane / np.sqrt(np.maximum(1.0 - plane[..., :1] ** 2 - plane[..., 1:] ** 2, 0.01))
        if flip_y:
            slope[..., 1] *= -1.0
        result[first:end] = slope
    return result
