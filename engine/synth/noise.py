"""Random fields, blurs and spots for painting people in batches: the torch side of `engine.face.noise`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional


class Noise:
    """Random numbers of several people, each from a generator of their own, so that nobody depends on company.

    The order of the calls is part of what is drawn.
    """

    def __init__(self, seeds: Sequence[int], salt: int, device: torch.device) -> None:
        """`salt` keeps what different painters draw for the same person apart."""
        self.device = device
        self._generators = [torch.Generator(device).manual_seed((salt << 32) ^ int(seed)) for seed in seeds]

    def normal(self, *shape: int) -> Tensor:
        """(B, *shape) float32, zero mean and unit variance."""
        return torch.stack([torch.randn(shape, generator=own, device=self.device) for own in self._generators])

    def uniform(self, *shape: int) -> Tensor:
        """(B, *shape) float32 0..1."""
        return torch.stack([torch.rand(shape, generator=own, device=self.device) for own in self._generators])

    def band(self, size: int, cycles: float, width: float = 0.5, heading: float | None = None) -> Tensor:
        """(B, size, size) periodic noise of zero mean and unit variance around `cycles` per side.

        The spectrum is white within a log-normal band of `width` (natural log units). With `heading` (radians) its
        ridges run within some 20 degrees of that direction (0 along u, pi / 2 along v). Slow bands are made small and
        enlarged.
        """
        small = min(size, 1 << max(5, int(np.ceil(np.log2(8 * cycles)))))
        spectrum = torch.view_as_complex(self.normal(small, small // 2 + 1, 2))
        field = torch.fft.irfft2(spectrum * _band_filter(small, cycles, width, heading, self.device), (small, small))
        return enlarge(field[:, None], size)[:, 0]


def enlarge(maps: Tensor, size: int) -> Tensor:
    """(B, C, h, w) -> (B, C, size, size), bilinear at texel centres."""
    if maps.shape[-1] == size:
        return maps
    return functional.interpolate(maps, (size, size), mode="bilinear", align_corners=False)


def blur(maps: Tensor, sigma: float) -> Tensor:
    """(B, C, H, W) convolved with a Gaussian of `sigma` texels cut at 2.5 sigma, edges repeated."""
    reach = max(1, round(2.5 * sigma))
    weights = np.exp(-((np.arange(-reach, reach + 1) / sigma) ** 2) / 2)
    weights = weights / weights.sum()
    for axis in (-1, -2):  # a sum of shifted copies: on a CPU several times faster than a one-channel convolution
        size = maps.shape[axis]
        padding = (reach, reach, 0, 0) if axis == -1 else (0, 0, reach, reach)
        padded = functional.pad(maps, padding, "replicate")
        maps = float(weights[reach]) * padded.narrow(axis, reach, size)
        for step in range(reach):
            pair = padded.narrow(axis, step, size) + padded.narrow(axis, 2 * reach - step, size)
            maps.add_(pair, alpha=float(weights[step]))
    return maps


def splat(uv: Tensor, weight: Tensor, size: int) -> Tensor:
    """Sum of `weight` (B, N) at `uv` (B, N, 2), shared by the four nearest texels: (B, size, size).

    Points off the square are left out.
    """
    at = uv * size - 0.5
    low = at.floor()
    share = at - low
    canvas = weight.new_zeros(len(uv), size * size)
    for across in (0, 1):
        for down in (0, 1):
            x, y = (low[..., 0] + across).long(), (low[..., 1] + down).long()
            part = (share[..., 0] if across else 1 - share[..., 0]) * (share[..., 1] if down else 1 - share[..., 1])
            inside = (x >= 0) & (x < size) & (y >= 0) & (y < size)
            index = torch.where(inside, y * size + x, torch.zeros_like(x))
            canvas.scatter_add_(1, index, torch.where(inside, weight * part, torch.zeros_like(part)))
    return canvas.reshape(-1, size, size)


def floats(values: np.ndarray, device: torch.device) -> Tensor:
    """Values as float32 on `device`."""
    return torch.from_numpy(np.array(values, np.float32)).to(device)


@lru_cache(maxsize=64)
def _band_filter(size: int, cycles: float, width: float, heading: float | None, device: torch.device) -> Tensor:
    """(size, size // 2 + 1) response that gives unit variance to a spectrum of unit normal real and imaginary parts."""
    fy, fx = np.fft.fftfreq(size, 1 / size)[:, None], np.fft.rfftfreq(size, 1 / size)[None]
    radius = np.maximum(np.hypot(fx, fy), 1e-3)
    response = np.exp(-((np.log(radius / cycles) / width) ** 2) / 2)
    if heading is not None:  # a wave's crests lie across its frequency vector
        across = np.abs(-np.sin(heading) * fx + np.cos(heading) * fy) / radius
        response = response * across**12
    weight = np.full(response.shape, 4.0)  # inner columns stand for their mirror images too
    weight[:, [0, -1]] = 1.0
    scale = size**2 / np.sqrt((weight * response**2).sum())
    return floats(response * scale, device)
