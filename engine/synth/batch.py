"""What the generator makes and training eats."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs of a neutral and one of its expressions. All float32 on one device."""

    neutral_position_m: torch.Tensor
    """(B, 3, 128, 128) metres, in the canonical head frame."""
    neutral_diffuse_srgb: torch.Tensor
    """(B, 3, 512, 512) 0..1, display-encoded: what a user's texture is."""
    expression: torch.Tensor
    """(B, 32) strength 0..1 of each row of `vocabulary.EXPRESSIONS`: one 1.0 for a pure expression, several entries for
    a mix, entry 0 alone for Neutral."""
    offset_m: torch.Tensor
    """(B, 3, 128, 128) metres."""
    change: torch.Tensor
    """(B, 9, 512, 512) change of the maps against this person's neutral, in the order of `CHANGE_CHANNELS`."""
    identity: torch.Tensor
    """(B,) int64 number of the person: splits are by it."""
