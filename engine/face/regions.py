"""Where things are in the canonical UV square: outlines of the face's regions and soft masks of them.

Outlines are drawn on the layout itself (`outlines.toml`). They are the same for every head because the layout is.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.face.layout import OUTLINES
from engine.image import resize_bilinear, smoothstep

PAIRED, CENTRAL = OUTLINES["paired"], OUTLINES["central"]
"""Outlines by name, (x, y) each: on the subject's left, mirrored by 1024 - x, and whole."""
LABELS: tuple[str, ...] = (
    "none", "forehead", "brow", "upper_lid", "lower_lid", "nose", "cheek", "upper_lip", "lower_lip",
    "chin", "ear", "neck",
)  # fmt: skip
"""Names of the label map's values; a texel has the last label whose outline holds it."""


@lru_cache(maxsize=96)
def distance(name: str, size: int) -> np.ndarray:
    """(size, size) float32 signed distance to the region's outline in UV units, negative inside; both sides of a
    pair."""
    result = resize_bilinear(_small_distance(name, min(size, 256)), (size, size))
    result.flags.writeable = False
    return result


@lru_cache(maxsize=96)
def _small_distance(name: str, size: int) -> np.ndarray:
    centres = (np.arange(size) + 0.5) / size * 1024
    x, y = np.meshgrid(centres, centres)
    if name in CENTRAL:
        field = _polygon_distance(CENTRAL[name], x, y)
    else:
        field = np.minimum(_polygon_distance(PAIRED[name], x, y), _polygon_distance(PAIRED[name], 1024 - x, y))
    return (field / 1024).astype(np.float32)


def forget() -> None:
    """Let go of the maps in full size that painting a head left: hundreds of megabytes at 4096."""
    distance.cache_clear()
    mask.cache_clear()


@lru_cache(maxsize=64)
def mask(name: str, size: int, soft: float = 0.01) -> np.ndarray:
    """(size, size) float32 0..1: 1 inside the region, falling to 0 over `soft` (UV units) on both sides of its outline.

    Read-only and kept. Made at a size at which the soft edge is eight texels wide, then enlarged.
    """
    small = 1 << max(6, int(np.ceil(np.log2(4 / soft))))
    if small < size:
        result = resize_bilinear(mask(name, small, soft), (size, size))
    else:
        result = smoothstep(0.5 - distance(name, size) / (2 * soft))
    result.flags.writeable = False
    return result


def labels(size: int) -> np.ndarray:
    """(size, size) uint8 indices into `LABELS`."""
    result = np.zeros((size, size), np.uint8)
    for number, name in enumerate(LABELS[1:], start=1):
        result[distance(name, size) < 0] = number
    return result


def left_share(size: int, soft: float = 0.03) -> np.ndarray:
    """(size, size) float32: 1 on the subject's left (image right), 0 on the right, smooth over `soft` at the mid-
    line."""
    share = smoothstep(((np.arange(size) + 0.5) / size - 0.5) / (2 * soft) + 0.5)
    return np.broadcast_to(share.astype(np.float32), (size, size))


def _polygon_distance(outline: list[list[int]], x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed distance of points to a closed polygon, negative inside (even-odd rule; Quilez, 2D distance functions)."""
    points = np.array(outline)
    nearest = np.full(x.shape, np.inf)
    inside = np.zeros(x.shape, bool)
    for (ax, ay), (bx, by) in zip(points, np.roll(points, -1, axis=0), strict=True):
        ex, ey, wx, wy = bx - ax, by - ay, x - ax, y - ay
        along = np.clip((wx * ex + wy * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (wx - along * ex) ** 2 + (wy - along * ey) ** 2)
        crosses = (ay <= y) != (by <= y)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside ^= crosses & (x < ax + (y - ay) / (by - ay) * ex)
    return np.where(inside, -1, 1) * np.sqrt(nearest)
