"""A fixed picture of how training stands: the same people, expressions and noise every time."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.channels import MODEL_MAPS
from engine.diffusion.inference import ExpressionModel, Maps
from engine.synth.generator import Population
from engine.vocabulary import EXPRESSIONS, NAMES

SHOWN = (
    "Eye Blink", "Brows Up", "Brows Down", "Jaw Open", "Face Compression", "Nose Wrinkler", "Lip Corner Puller",
    "Lip Puckerer",
)  # fmt: skip
PEOPLE, TILE = 4, 96
_FULL_ERROR = 0.15
"""An error of this size in a change channel, or of 10 times as many mm of offset, is full red."""


@torch.no_grad()
def evaluation_grid(model: ExpressionModel, source: Population) -> np.ndarray:
    """(H, W, 3) uint8 sRGB: a row for each of `PEOPLE` test people x `SHOWN`; offset, diffuse, specular, roughness and
    normal change as found (grey is none), then the error of each, black to red."""
    rows = []
    for person in list(source.test_identities)[:PEOPLE]:
        wanted = [NAMES.index(name) for name in SHOWN]
        batch = source.pairs([person] * len(wanted), wanted).to(model.device)
        neutral = model.read(batch.neutral_position_m, batch.texture_srgb)
        prompts = [EXPRESSIONS[row].prompt for row in wanted]
        *_, (latent, _) = model.sample(neutral, batch.expression, prompts, model.noise("grid"), 1)
        found, truth = model.decode(latent, neutral), Maps(batch.offset_m, batch.change)
        shown = [0.5 + part for part in _parts(found)]
        errors = [
            (one - other).abs().mean(1, keepdim=True) for one, other in zip(_parts(found), _parts(truth), strict=True)
        ]
        heat = [torch.cat([error / _FULL_ERROR, error * 0, error * 0], 1) for error in errors]
        tiles = torch.cat([F.interpolate(part, (TILE, TILE), mode="area") for part in (*shown, *heat)], 3)
        rows.append(torch.cat(list(tiles), 1))
    picture = torch.cat(rows, 1).clamp(0, 1).mul(255).round().byte()
    return picture.permute(1, 2, 0).cpu().numpy()


def _parts(maps: Maps) -> list[Tensor]:
    """(B, 3, H, W) each: offset in cm, log diffuse, log specular, roughness, slopes."""
    change = maps.change
    diffuse, specular, roughness, slope = (change[:, each.channels] for each in MODEL_MAPS)
    slope = F.pad(slope, (0, 0, 0, 0, 0, 1))
    return [maps.offset_m * 100, diffuse, specular, roughness.expand(-1, 3, -1, -1), slope]
