"""How a deformation stretches a surface that is given as position maps."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.synth.noise import blur


def stretch(deformed_m: Tensor, neutral_m: Tensor) -> Tensor:
    """(B, 2, 128, 128): relative change of length along u and along v, smoothed over 5 texels, clamped to +-1."""
    parts = []
    for axis in (-1, -2):
        now, rest = (_difference(p, axis).square().sum(1).sqrt() for p in (deformed_m, neutral_m))
        floor = 0.25 * rest.flatten(1).median(dim=1).values[:, None, None]
        parts.append((now - rest) / rest.clamp(min=1e-5).maximum(floor))
    both = torch.stack(parts, dim=1).clamp(-1, 1)
    return functional.avg_pool2d(both, 5, 1, 2, count_include_pad=False)


def metric(position_m: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 3, H, W): first fundamental form uu, uv, vv, square metres a texel squared, smoothed with a
    deviation of 2.2 texels."""
    right, down = _difference(position_m, -1), _difference(position_m, -2)
    form = torch.stack([(right * right).sum(1), (right * down).sum(1), (down * down).sum(1)], 1)
    return blur(form * 1e6, 2.2) * 1e-6


def across(rest: Tensor, now: Tensor, along: Tensor) -> Tensor:
    """(N,) relative change of length across lines of direction `along` (N, 2), forms `rest` and `now` (N, 3).

    The direction across is the one that is perpendicular on the surface at rest.
    """
    x = -(rest[:, 1] * along[:, 0] + rest[:, 2] * along[:, 1])
    y = rest[:, 0] * along[:, 0] + rest[:, 1] * along[:, 1]
    before, after = (form[:, 0] * x * x + 2 * form[:, 1] * x * y + form[:, 2] * y * y for form in (rest, now))
    return (after / before.clamp(min=1e-30)).clamp(0, 9).sqrt() - 1


def _difference(values: Tensor, axis: int) -> Tensor:
    """Central difference, edges repeated."""
    return (torch.roll(values, -1, axis) - torch.roll(values, 1, axis)) / 2
