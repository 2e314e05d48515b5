"""Surfaces given as position maps: local frames, and the way to the canonical layout."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.face import layout

_JOINTS, _CHIN = ((0.2273, 0.4121), (0.7727, 0.4121)), (0.5, 0.7)
"""Where the jaw turns, before the ears, and what it carries furthest, in the canonical UV square."""


def local_frames(position_m: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, H, W, 3, 3) rotations: columns are the u tangent, its normal's cross product, the normal."""
    normal, along_u = normals(position_m)
    first = functional.normalize(along_u, dim=1, eps=1e-12)
    second = torch.linalg.cross(normal, first, dim=1)
    return torch.stack([first, second, normal], dim=-1).permute(0, 2, 3, 1, 4)


def normals(position_m: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) -> (B, 3, H, W) unit normals of the surface, smoothed over 9 texels, and its tangents along u."""
    smooth = functional.avg_pool2d(position_m, 9, 1, 4, count_include_pad=False)
    along_u = functional.pad(smooth[..., :, 2:] - smooth[..., :, :-2], (1, 1, 0, 0), mode="replicate")
    along_v = functional.pad(smooth[..., 2:, :] - smooth[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    return functional.normalize(torch.linalg.cross(along_v, along_u, dim=1), dim=1, eps=1e-12), along_u


def jaw_length_m(position_m: Tensor) -> Tensor:
    """(B, 3, H, W) m -> (B, 1, 1, 1) from between the joints of the jaw to the chin.

    A jaw that turns by some angle moves all it carries as far as this says.
    """
    place = torch.tensor([*_JOINTS, _CHIN], device=position_m.device, dtype=position_m.dtype) * 2 - 1
    seen = functional.grid_sample(position_m, place.expand(len(position_m), 1, -1, -1), align_corners=False)
    return (seen[..., :2].mean(-1) - seen[..., 2]).norm(dim=1)[:, None, :, None]


def to_canonical(maps: Tensor, size: int) -> Tensor:
    """(B, C, h, w) in the opened layout -> (B, C, size, size) in the canonical one, bilinear."""
    place = _opened_places(size, maps.device).to(maps.dtype).expand(len(maps), -1, -1, -1)
    return functional.grid_sample(maps, place, mode="bilinear", padding_mode="border", align_corners=False)


@lru_cache(maxsize=8)
def _opened_places(size: int, device: torch.device) -> Tensor:
    """(1, size, size, 2) where each texel of the canonical layout lies in the opened one, -1..1."""
    centres = (np.arange(size, dtype=np.float32) + 0.5) / size
    uv = np.stack(np.meshgrid(centres, centres), -1)
    return (torch.from_numpy(layout.open_uv(uv))[None] * 2.0 - 1.0).to(device)
