"""When noise is how strong: rectified flow (Liu et al. 2023; Lipman et al. 2023), z_t = (1 - t) x + t n.

t = 0 is the clean latent, t = 1 pure noise; the velocity is dz/dt = n - x. Two map groups, geometry and reflectance,
each with its own t: geometry is kept cleaner, so that wrinkles follow motion (channel-wise schedules, CVPR 2025).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

GROUPS = 2
"""Geometry, reflectance: each has its own time."""
GEOMETRY_SHIFT = 2.0
"""How much cleaner geometry is: t_g = t / (t + shift (1 - t))."""
FULL_NOISE_SHARE = 0.5
"""Share of training samples at exactly t = 1, so that one step is trained too."""
INDEPENDENT_SHARE = 0.25
"""Share of training samples in which both groups draw their own t."""


def geometry_time(time: Tensor) -> Tensor:
    """The geometry group's t for the reflectance group's `time` 0..1, same shape; 0 and 1 stay."""
    return time / (time + GEOMETRY_SHIFT * (1.0 - time))


def training_times(count: int, generator: torch.Generator) -> Tensor:
    """(count, GROUPS) float32: t from a logit-normal(0, 1) (Esser et al. 2024), a share at exactly 1, a share split."""
    drawn = torch.sigmoid(torch.randn(count, GROUPS, generator=generator))
    chance = torch.rand(count, 2, generator=generator)
    reflectance = drawn[:, 1]
    geometry = torch.where(chance[:, 0] < INDEPENDENT_SHARE, drawn[:, 0], geometry_time(reflectance))
    times = torch.stack([geometry, reflectance], 1)
    return torch.where(chance[:, 1:] < FULL_NOISE_SHARE, torch.ones(()), times)


def spread(times: Tensor, sizes: Sequence[int]) -> Tensor:
    """Times per group (B, G) -> per channel (B, C, 1, 1), `sizes` channels in each group."""
    return torch.cat([times[:, [index]].expand(-1, size) for index, size in enumerate(sizes)], 1)[:, :, None, None]


def sampling_times(steps: int) -> Tensor:
    """(steps + 1, GROUPS) float32 from 1 to 0; evenly spaced for reflectance, geometry ahead of it."""
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, found {steps}")
    time = torch.linspace(1.0, 0.0, steps + 1)
    return torch.stack([geometry_time(time), time], 1)


def euler(
    velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, times: Sequence[Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Integrate dz/dt = velocity(z, t) from `start` at times[0] to times[-1] (Euler, first order in the step).

    After each step the noisy latent at its end, which is the result where the time is 0, and the clean one as it was
    estimated at its start: what a preview shows. Each of `times` broadcasts against `start` (a scalar, or one time per
    channel).
    """
    state = start
    for now, after in pairwise(times):
        slope = velocity(state, now)
        clean = state - now * slope
        state = state + (after - now) * slope
        yield state, clean
