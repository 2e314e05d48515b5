"""Smooth random fields and blurs for painting."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from engine.face.head_model import SKIN_VERTICES, head_model
from engine.image import resize_bilinear

PERIOD_MM = 360.0
"""Side of the square that noise on skin repeats with; about the width of the layout on the front of the face."""
_GRID = 64
"""Texels a side at which the layout's stretch is known."""


def band_noise(rng: np.random.Generator, size: int, cycles: float, width: float = 0.5) -> np.ndarray:
    """(size, size) float32 periodic noise of zero mean and unit variance around `cycles` per side.

    White noise filtered by a log-normal band of `width` (natural log units) in frequency. Slow bands are made small and
    enlarged: nothing above eight times `cycles` is left in them.
    """
    small = 1 << max(5, int(np.ceil(np.log2(16 * cycles))))
    if small < size:
        return resize_bilinear(band_noise(rng, small, cycles, width), (size, size))
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    fy, fx = np.fft.fftfreq(size, 1 / size)[:, None], np.fft.rfftfreq(size, 1 / size)[None]
    frequency = np.maximum(np.hypot(fx, fy), 1e-3)
    field = np.fft.irfft2(spectrum * np.exp(-((np.log(frequency / cycles) / width) ** 2) / 2), (size, size))
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)


def gaussian_blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """(H, W) convolved with a Gaussian of `sigma` texels, periodic at the edges, float32.

    By FFT: scipy.ndimage does the same, but importing it takes longer than painting a face's brows.
    """
    fy = np.fft.fftfreq(image.shape[0])[:, None].astype(np.float32)
    fx = np.fft.rfftfreq(image.shape[1])[None].astype(np.float32)
    response = np.exp(-2 * (np.pi * sigma) ** 2 * (fy**2 + fx**2))
    return np.fft.irfft2(np.fft.rfft2(image) * response, image.shape).astype(np.float32)


def skin_noise(rng: np.random.Generator, size: int, cycles: float, width: float = 0.5) -> np.ndarray:
    """`band_noise` that is as fine across as down on the skin, where the layout is not: `cycles` per `PERIOD_MM`."""
    fine = 1 << max(6, int(np.ceil(np.log2(6 * cycles))))
    if fine < size:
        return resize_bilinear(skin_noise(rng, fine, cycles, width), (size, size))
    tile = band_noise(rng, min(fine, size), cycles, width)
    field = on_skin(tile[..., None], size, 1.0)[..., 0]
    return field / max(float(field.std()), 1e-9)


def on_skin(tile: np.ndarray, size: int, across: float, turned: bool = False) -> np.ndarray:
    """(size, size, C) float32: the periodic (N, N, C) `tile`, `across` of which go to `PERIOD_MM`, laid over the skin
    without stretching it; or `turned` by 90 degrees."""
    count, place = len(tile), even_layout(size) * np.float32(across * len(tile))
    place = place[..., ::-1] if turned else place
    low = np.floor(place)
    share = place - low
    x0, y0 = low[..., 0].astype(np.int32) % count, low[..., 1].astype(np.int32) % count
    x1, y1 = (x0 + 1) % count, (y0 + 1) % count
    rows = np.asarray(tile, np.float32).reshape(count * count, -1)
    right, down = share[..., :1], share[..., 1:]
    above = rows.take(y0 * count + x0, axis=0)
    above += right * (rows.take(y0 * count + x1, axis=0) - above)
    below = rows.take(y1 * count + x0, axis=0)
    below += right * (rows.take(y1 * count + x1, axis=0) - below)
    above += down * (below - above)
    return above


@lru_cache(maxsize=3)
def even_layout(size: int) -> np.ndarray:
    """(size, size, 2) float32 where each texel lies when the mean head's skin is laid out with as little stretch as can
    be, over `PERIOD_MM`; right and down, roughly as the layout has it."""
    return resize_bilinear(_even_grid(_GRID), (size, size))


@lru_cache(maxsize=1)
def _even_grid(size: int) -> np.ndarray:
    """`even_layout` on a grid, as rigid as possible (Liu et al. 2008, "A Local/Global Approach to Mesh
    Parameterization")."""
    stretch = _stretch(size)
    frequency = 2 * np.pi * np.fft.fftfreq(2 * size, 1 / (2 * size)) / 2
    waves = np.stack(np.meshgrid(frequency, frequency), 0)
    power = (waves**2).sum(axis=0)
    power[0, 0] = 1
    along, place = stretch, np.zeros((2, size, size))
    for _ in range(10):  # slopes as the nearest turn of the skin would have them, and what has such slopes
        for axis in (0, 1):
            slopes = np.stack([_mirrored(along[..., side, axis], side) for side in (0, 1)])
            spectrum = (-1j * waves * np.fft.fft2(slopes)).sum(axis=0) / power
            place[axis] = np.fft.ifft2(spectrum).real[:size, :size]
        slope = np.stack([np.gradient(place, 1 / size, axis=2), np.gradient(place, 1 / size, axis=1)])
        turned = np.linalg.solve(stretch, np.moveaxis(slope, (0, 1), (2, 3)))
        angle = np.arctan2(turned[..., 0, 1] - turned[..., 1, 0], turned[..., 0, 0] + turned[..., 1, 1])
        turn = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], -1).reshape(size, size, 2, 2)
        along = stretch @ turn
    return np.moveaxis(place / PERIOD_MM, 0, -1).astype(np.float32)


def _mirrored(slopes: np.ndarray, side: int) -> np.ndarray:
    """(2 S, 2 S): the slopes along u (`side` 0) or v of a field that goes on beyond its edges as in a mirror."""
    sign = (-1, 1) if side == 0 else (1, -1)
    wide = np.concatenate([slopes, sign[0] * slopes[:, ::-1]], axis=1)
    return np.concatenate([wide, sign[1] * wide[::-1]], axis=0)


def _stretch(size: int) -> np.ndarray:
    """(size, size, 2, 2) mm of the mean head's skin per UV unit: the symmetric root of its metric."""
    model = head_model()
    own = (model.uv_faces < SKIN_VERTICES).all(axis=1)
    corners, places = model.mean_mm[model.faces[own]], model.uvs[model.uv_faces[own]]
    edges, across = corners[:, 1:] - corners[:, :1], places[:, 1:] - places[:, :1]
    area = np.linalg.det(across)
    flat = abs(area) > 1e-9
    slopes = np.linalg.solve(across[flat], edges[flat])  # mm along u and v
    slopes *= np.minimum(1.5 * PERIOD_MM / np.linalg.norm(slopes, axis=2).max(axis=1), 1)[:, None, None]  # nostrils
    cell = (places[flat].mean(axis=1) * size).astype(int).clip(0, size - 1) @ (1, size)
    weight = abs(area[flat])
    products = (weight, *(weight * (slopes[:, a] * slopes[:, b]).sum(axis=1) for a, b in ((0, 0), (0, 1), (1, 1))))
    sums = [gaussian_blur(np.bincount(cell, each, size * size).reshape(size, size), size / 30) for each in products]
    little = 0.02 * sums[0].max()  # beyond the skin
    even = (PERIOD_MM**2, 0, PERIOD_MM**2)
    uu, uv, vv = ((each + little * own) / (sums[0] + little) for each, own in zip(sums[1:], even, strict=True))
    root = np.sqrt(np.maximum(uu * vv - uv**2, 1))
    return (
        np.stack([uu + root, uv, uv, vv + root], -1).reshape(size, size, 2, 2)
        / np.sqrt(uu + vv + 2 * root)[..., None, None]
    )
