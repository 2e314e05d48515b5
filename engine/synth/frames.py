"""Local frames of a surface given as a position map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def local_frames(position_m: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, H, W, 3, 3) rotations: columns are the u tangent, its normal's cross product, the normal."""
    smooth = functional.avg_pool2d(position_m, 9, 1, 4, count_include_pad=False)
    along_u = functional.pad(smooth[..., :, 2:] - smooth[..., :, :-2], (1, 1, 0, 0), mode="replicate")
    along_v = functional.pad(smooth[..., 2:, :] - smooth[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    normal = functional.normalize(torch.linalg.cross(along_v, along_u, dim=1), dim=1, eps=1e-12)
    first = functional.normalize(along_u, dim=1, eps=1e-12)
    second = torch.linalg.cross(normal, first, dim=1)
    return torch.stack([first, second, normal], dim=-1).permute(0, 2, 3, 1, 4)
