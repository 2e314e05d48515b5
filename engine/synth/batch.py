"""What the generator makes and training eats."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs of a neutral and one of its expressions. All float32 on one device."""

    neutral_position_m: torch.Tensor
    """(B, 3, 128, 128) metres, in the canonical head frame and the opened layout."""
    texture_srgb: torch.Tensor
    """(B, 3, 512, 512) 0..1, what a user's texture is: albedo seen in unknown light, make-up, stray hair."""
    neutral: torch.Tensor
    """(B, 9, 512, 512) true maps of the neutral, in the order of the change: linear diffuse albedo RGB 0..1, specular
    intensity RGB 0..1, perceptual roughness, slopes x y."""
    expression: torch.Tensor
    """(B, 2, 32) strengths 0..1 on the subject's left and right side, columns as `vocabulary.EXPRESSIONS`; equal halves
    are an ordinary two-sided expression, Neutral alone is column 0 at 1 on both."""
    offset_m: torch.Tensor
    """(B, 3, 128, 128) metres."""
    change: torch.Tensor
    """(B, 9, 512, 512) change of the maps against this person's neutral, in the order of `CHANGE_CHANNELS`."""
    identity: torch.Tensor
    """(B,) int64 number of the person: splits are by it."""
