"""Image arrays: resampling, and tangent-space normals to slopes and back. Row 0 is the top; texel centres at + 0.5."""

from __future__ import annotations

import numpy as np


def resize_bilinear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Sample (h, w) or (h, w, C) at the texel centres of `size` (H, W), edges clamped, float32: what GL_LINEAR does."""
    result = np.asarray(image, np.float32)
    for axis, want in enumerate(size):
        have = result.shape[axis]
        if have == want:
            continue
        at = (np.arange(want, dtype=np.float32) + 0.5) * (have / want) - 0.5
        low = np.floor(at).astype(np.int64)
        share = (at - low).astype(np.float32).reshape((-1,) + (1,) * (result.ndim - axis - 1))
        before = result.take(np.clip(low, 0, have - 1), axis)
        after = result.take(np.clip(low + 1, 0, have - 1), axis)
        result = before + (after - before) * share
    return result


def normal_bytes_from_slope(slope: np.ndarray) -> np.ndarray:
    """(H, W, 2) slopes -> (H, W, 3) uint8 tangent-space normal map, OpenGL (+Y up), 128 = zero slope."""
    slope32 = np.asarray(slope, np.float32)
    normal = np.concatenate([slope32, np.ones((*slope32.shape[:2], 1), np.float32)], axis=2)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return np.clip(np.rint(normal * 127.0 + 128.0), 0, 255).astype(np.uint8)


def slope_from_normal_bytes(normal: np.ndarray, flip_y: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 normal map -> (H, W, 2) float16 slopes; `flip_y` for DirectX maps. nz is kept above 0.1.

    nz is rebuilt from nx and ny: rounded to 8 bits near 1 it would shift every slope, and each save would drift.
    """
    plane = (np.asarray(normal[..., :2], np.float32) - 128.0) / 127.0
    height = np.sqrt(np.maximum(1.0 - plane[..., :1] ** 2 - plane[..., 1:] ** 2, 0.01))
    slope = plane / height
    if flip_y:
        slope[..., 1] *= -1.0
    return slope.astype(np.float16)
