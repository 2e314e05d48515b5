"""What the generator makes and training eats."""

from __future__ import annotations

from dataclasses import dataclass

import torch

GEOMETRY_SIZE = 128
"""Side of position and offset maps, in the opened canonical layout (`engine.face.space`)."""
TEXTURE_SIZE = 512
"""Side of texture and change maps, in the canonical UV layout."""
CHANGE_CHANNELS = 9
"""log diffuse RGB, log specular RGB, roughness, slope x, slope y: `ReflectanceChange` in this order."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B pairs of a neutral and one of its expressions. All float32 on one device."""

    neutral_position_m: torch.Tensor
    """(B, 3, 128, 128) metres, in the canonical head frame."""
    neutral_diffuse_srgb: torch.Tensor
    """(B, 3, 512, 512) 0..1, display-encoded: what a user's texture is."""
    expression: torch.Tensor
    """(B, 32) strength of each expression of `vocabulary.EXPRESSIONS`; a single 1.0 for a pure one, all zero (first entry
    1.0) for Neutral."""
    offset_m: torch.Tensor
    """(B, 3, 128, 128) metres."""
    change: torch.Tensor
    """(B, 9, 512, 512) change of the maps against this person's neutral; for Neutral, the neutral's own specular, roughness
    and slope against the mean maps (diffuse zero)."""
    identity: torch.Tensor
    """(B,) int64 number of the person: splits are by it."""
