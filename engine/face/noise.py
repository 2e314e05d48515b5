"""Smooth random fields and blurs for painting."""

from __future__ import annotations

import numpy as np

from engine.image import resize_bilinear


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
