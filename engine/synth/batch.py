"""What the generator makes and training eats."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs of a neutral and one of its expressions. All float32 on one device."""

    neutral_position_m: torch.Tensor
    """(B, 3, 128, 128) metres, in the canonical head frame, opened layout."""
    texture_srgb: torch.Tensor
    """(B, 3, 512, 512) 0..1, display-encoded: what a user's texture is, albedo seen in unknown light."""
    neutral: torch.Tensor
    """(B, 9, 512, 512) the neutral's true maps: linear diffuse albedo RGB, specular intensity RGB, perceptual
    roughness, slopes x and y; the order of the change channels."""
    expression: torch.Tensor
    """(B, 2, 32) strength 0..1 of each row of `vocabulary.EXPRESSIONS` on the subject's left [:, 0] and right [:, 1]:
    one 1.0 in both for a pure expression, several columns for a mix, column 0 alone for Neutral."""
    offset_m: torch.Tensor
    """(B, 3, 128, 128) metres, opened layout."""
    change: torch.Tensor
    """(B, 9, 512, 512) change of the maps against this person's neutral (`ReflectanceChange`)."""
    identity: torch.Tensor
    """(B,) int64 number of the person: splits are by it."""

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return Batch(**{name: getattr(self, name).to(device) for name in self.__slots__})
