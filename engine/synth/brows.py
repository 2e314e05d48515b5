"""Hairs: brows stroke by stroke, the streaks of scalp hair, and stray strands, in batches."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.face.skin import brow_axis
from engine.synth.noise import Noise, blur, floats, splat

STROKES, STEPS = 1000, 14
"""Hairs of a full brow, and points along each."""


def brow_cover(density: Tensor, grey: Tensor, noise: Noise, size: int) -> tuple[Tensor, Tensor]:
    """(B, size, size) cover 0..1 of both brows and the share of it that is grey, for (B,) `density`, 1 a full brow, and
    share of `grey` hairs.

    Short curved strokes, upwards near the nose and outwards beyond, in a brow whose thickness, arch, place and tidiness
    are the person's own.
    """
    us, middle, half = (floats(part, noise.device) for part in brow_axis())
    own = noise.normal(6)[:, :, None]
    thickness, tidy = (1.25 + 0.35 * own[:, 0]).clamp(0.6, 2.2), (0.13 + 0.05 * own[:, 1]).clamp(0.05, 0.3)
    arch, inset, lift = 0.004 * own[:, 2], 0.005 * own[:, 3], 0.004 * own[:, 4] - 0.005
    pieces = []
    for mirrored in (False, True):
        along = noise.uniform(STROKES)
        along = 0.5 + (along - 0.5) * (0.82 + 0.18 * noise.uniform(STROKES))  # fewer at both ends
        at = along * (len(us) - 1)
        low = at.long().clamp(max=len(us) - 2)
        share = at - low
        mid = middle[low] * (1 - share) + middle[low + 1] * share
        wide = half[low] * (1 - share) + half[low + 1] * share
        spread = noise.normal(STROKES).clamp(-1.8, 1.8) * 0.55
        u = us[0] + inset + (us[-1] - us[0]) * along
        v = mid - lift - arch * 4 * along * (1 - along) + wide * thickness * spread
        heading = torch.deg2rad(78 - 95 * along**0.7) + tidy * noise.normal(STROKES)
        # upper hairs lean down, lower ones up, so that the brow closes to a line outwards
        heading = heading + 0.35 * spread * along
        length = (0.008 + 0.007 * noise.uniform(STROKES)) * (1 - 0.3 * along)
        step = torch.linspace(0, 1, STEPS, device=noise.device)
        bend = heading[..., None] - 0.5 * step
        px = u[..., None] + torch.cumsum(torch.cos(bend), -1) * length[..., None] / STEPS
        py = v[..., None] - torch.cumsum(torch.sin(bend), -1) * length[..., None] / STEPS
        grown = (density[:, None] - noise.uniform(STROKES)).mul(8).clamp(0, 1) * (along / 0.2).clamp(0.3, 1)
        weight = (1 - step**2) * (grown * (0.5 + 0.5 * noise.uniform(STROKES)))[..., None]
        faded = ((grey[:, None] - noise.uniform(STROKES)).mul(6) + 0.5).clamp(0, 1)[..., None] * weight
        pieces.append(
            (torch.stack([1 - px if mirrored else px, py], -1).flatten(1, 2), weight.flatten(1), faded.flatten(1))
        )
    points, weights, faded = (torch.cat(part, 1) for part in zip(*pieces, strict=True))
    # a hair covers a small part of a texel's 0.55 mm, and brows grow in layers
    both = torch.stack([splat(points, part, size) for part in (weights, faded)], 1) * (size / 512)
    both = 0.50 * both + 0.40 * blur(both, 1.6 * size / 512)
    return 1 - torch.exp(-both[:, 0]), both[:, 1] / both[:, 0].clamp(min=1e-4)


def hair_streaks(noise: Noise, size: int) -> Tensor:
    """(B, size, size) about -1..1: light and dark strands of scalp hair that lie along the face's outline."""
    coarse, fine = noise.normal(1, 96, 10), noise.normal(1, 512, 28)
    grain = functional.interpolate(coarse, (512, 28), mode="bicubic", align_corners=False)
    grain = functional.interpolate(0.7 * grain + 0.7 * fine, (1024, 112), mode="bicubic", align_corners=False)
    slow = torch.stack([noise.band(size, 2.5), noise.band(size, 6)])
    own = noise.normal(2)[:, :, None, None]
    across, along = _combed(size, noise.device)
    slant = across + 0.05 * slow[0] + 0.02 * slow[1] + (0.25 * own[:, 0] + 0.15 * own[:, 1] * along.sign()) * along
    where = torch.stack([along + 0.05 * slow[1], slant], -1)
    return functional.grid_sample(grain, where, padding_mode="reflection", align_corners=False)[:, 0]


def stray_strands(amount: Tensor, noise: Noise, size: int, count: int = 14, steps: int = 160) -> Tensor:
    """(B, size, size) 0..1 cover of long loose hairs hanging over the forehead; `amount` (B,) 0 none to 1 many."""
    start = noise.uniform(count, 3)
    u = 0.26 + 0.48 * start[..., 0]
    v = 0.135 + 0.02 * start[..., 1] + 0.30 * (u - 0.5) ** 2
    heading = np.pi / 2 + 0.9 * noise.normal(count)
    curl = 1.6 * noise.normal(count)
    length = 0.05 + 0.16 * start[..., 2] ** 2
    step = torch.linspace(0, 1, steps, device=noise.device)
    bend = heading[..., None] + curl[..., None] * step
    px = u[..., None] + torch.cumsum(torch.cos(bend), -1) * length[..., None] / steps
    py = v[..., None] + torch.cumsum(torch.sin(bend), -1).abs() * length[..., None] / steps
    rank = (torch.arange(count, device=noise.device) + 0.5) / count
    grown = ((amount[:, None] - rank) * count + 0.5).clamp(0, 1) * (0.35 + 0.65 * noise.uniform(count))
    weight = grown[..., None] * (1 - step**4)
    texels = length[..., None] * size / steps
    cover = splat(torch.stack([px, py], -1).flatten(1, 2), (weight * texels).flatten(1), size)
    return 1 - torch.exp(-1.2 * blur(cover[:, None], 0.6 * size / 512)[:, 0])


@lru_cache(maxsize=4)
def _combed(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Coordinates of texels across and along the strands, (size, size) each: smooth rings about the face, and the angle
    on them."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size
    dx, dy = (x - 0.5) / 0.42, (y - 0.55) / 0.44
    across = (dx**4 + dy**4) ** 0.25 / 0.6 - 1.6
    along = np.arctan2(dx, -dy) / np.pi * 1.6
    return floats(across, device), floats(along, device)
