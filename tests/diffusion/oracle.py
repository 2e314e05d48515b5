"""Models without weights for tests of the evaluation: they know the answer, or give nothing, through the interface."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.diffusion.config import Config, read_config
from engine.diffusion.inference import Maps
from engine.synth.batch import Batch
from tests.diffusion.source import WaveSource


@dataclass(frozen=True, eq=False)
class Face:
    """Who it is, and maps that are all grey."""

    who: Tensor
    maps: Tensor


@dataclass(frozen=True, eq=False)
class Oracle:
    """Finds the person by their positions, and answers with what can be foreseen of them, times `scale`, and noise."""

    source: WaveSource
    scale: float = 1.0
    noise_m: float = 0.0
    """Deviation of what the noise adds to every offset."""
    model_id: str = "oracle-0"
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    network: nn.Module = field(default_factory=lambda: nn.Linear(3, 5))
    config: Config = field(default_factory=lambda: replace(read_config(Path("smoke")), seed=3))

    def noise(self, seed: str) -> Tensor:
        rng = torch.Generator().manual_seed(sum(map(ord, seed)))
        return torch.randn((1, 1, 1, 1), generator=rng)

    def read(self, position_m: Tensor, texture_srgb: Tensor) -> Face:
        everyone = torch.arange(len(self.source.traits))
        known = self.source.make(everyone, torch.zeros(len(everyone), 2, 32)).neutral_position_m
        who = torch.cdist(position_m.flatten(1), known.flatten(1)).argmin(1)
        return Face(who, torch.full((len(who), 9, *texture_srgb.shape[-2:]), 0.5))

    def sample(self, neutral: Face, strengths: Tensor, prompts: list[str], noise: Tensor, steps: int):
        assert len(prompts) == len(strengths)
        batch = self.source.make(neutral.who, strengths, explained=True)
        offset_m = batch.offset_m * self.scale + self.noise_m * noise
        latent = torch.cat([offset_m.flatten(1), (batch.change * self.scale).flatten(1)], 1)
        for _ in range(steps):
            yield latent, latent

    def decode(self, latent: Tensor, neutral: Face) -> Maps:
        sizes = (3, self.source.geometry, self.source.geometry), (9, self.source.texture, self.source.texture)
        split = 3 * self.source.geometry**2
        parts = latent[:, :split], latent[:, split:]
        return Maps(*(part.reshape(-1, *size) for part, size in zip(parts, sizes, strict=True)))

    def round_trip(self, batch: Batch) -> Maps:
        return Maps(batch.offset_m, batch.change)
