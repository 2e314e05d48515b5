"""The finished look, in the UV square under four lights: PSNR, and FLIP where its package is installed."""

from __future__ import annotations

import importlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.channels import NORMAL
from engine.color import srgb_from_linear
from engine.diffusion.inference import Maps
from engine.diffusion.shading import absolute, lit, mapped_normal
from engine.synth.batch import Batch

LIGHTS: dict[str, tuple[float, float, float]] = {
    "front": (0.0, 0.3, 1.0),
    "left": (1.0, 0.2, 0.5),
    "right": (-1.0, 0.2, 0.5),
    "above": (0.0, 1.0, 0.3),
}
"""Directions towards the light; the subject's left is +x."""
VIEW = (0.0, 0.0, 1.0)
SIDE = 256
"""Pictures are lit at the texture's size and averaged down to this."""


class RenderedTruth:
    """Pictures of true pairs, and how far an answer's are from them."""

    def __init__(self, batch: Batch, mask: Tensor) -> None:
        """mask (H, W) says which texels are skin."""
        self._position_m = batch.neutral_position_m
        self._pictures = pictures(batch.neutral_position_m + batch.offset_m, absolute(batch.neutral, batch.change))
        seen = F.adaptive_avg_pool2d(mask[None, None], self._pictures.shape[-1])[0, 0].cpu().numpy() > 0.5
        self._seen = (self._pictures.amax(2).numpy() > 0) & seen

    def measure(self, neutral_maps: Tensor, found: Maps) -> dict[str, Tensor]:
        """(B,) PSNR in dB (display-encoded, peak 1) and FLIP, means over the lights of what the truth shows lit.

        neutral_maps (B, 9, H, W) are the neutral's as the answer has them. FLIP is NaN without its package.
        """
        mine = pictures(self._position_m + found.offset_m, absolute(neutral_maps, found.change))
        compare = flip()
        psnr, error = np.zeros(self._seen.shape[:2]), np.zeros(self._seen.shape[:2])
        for place in np.ndindex(psnr.shape):
            true, own, seen = self._pictures[place].numpy(), mine[place].numpy(), self._seen[place]
            mse = np.square(own - true).mean(0)[seen].mean() if seen.any() else np.nan
            psnr[place] = -10 * np.log10(max(mse, 1e-10))
            error[place] = compare(true * seen, own * seen)[seen].mean() if compare and seen.any() else np.nan
        return {"rendered psnr": torch.from_numpy(psnr.mean(0)), "flip": torch.from_numpy(error.mean(0))}


def pictures(position_m: Tensor, maps: Tensor) -> Tensor:
    """(4, B, 3, SIDE, SIDE) display-encoded 0..1 on the CPU: posed positions and maps under each of `LIGHTS`."""
    normal, side = mapped_normal(position_m, maps[:, NORMAL.channels]), min(SIDE, maps.shape[-1])
    shone = [lit(normal, maps, torch.tensor(light), torch.tensor(VIEW)) for light in LIGHTS.values()]
    small = (F.adaptive_avg_pool2d(linear, side).cpu().numpy() for linear in shone)
    return torch.stack([torch.from_numpy(srgb_from_linear(linear)) for linear in small])


def flip():
    """A function of two pictures (3, H, W) 0..1, display-encoded, true one first, giving the (H, W) error map of
    LDR-FLIP (Andersson et al. 2020) at its standard viewing distance; None without the flip-evaluator package."""
    try:
        package = importlib.import_module("flip_evaluator")
    except ImportError:
        return None

    def compare(true: np.ndarray, found: np.ndarray) -> np.ndarray:
        images = (np.ascontiguousarray(picture.transpose(1, 2, 0), np.float32) for picture in (true, found))
        return package.evaluate(*images, "LDR", applyMagma=False)[0][..., 0]

    return compare
