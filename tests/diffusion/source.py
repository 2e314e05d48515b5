"""A few analytic people for tests: real Batch values in which the expression depends on who makes it."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.synth.batch import Batch

ROWS = 32


class WaveSource:
    """Heads that differ by three numbers; every expression is a smooth field whose size and phase follow from them."""

    def __init__(
        self, geometry: int = 32, texture: int = 64, people: int = 8, seed: int = 0, dense: bool = False
    ) -> None:
        self.geometry, self.texture, self.dense = geometry, texture, dense
        rng = torch.Generator().manual_seed(seed)
        self.traits = torch.rand(people, 3, generator=rng)
        self.motion = torch.randn(ROWS, 3, 2, generator=rng)
        self.colour = torch.randn(ROWS, 9, 2, generator=rng)
        self.motion[0] = self.colour[0] = 0.0
        self.train_identities = tuple(range(people - 2))
        self.test_identities = tuple(range(people - 2, people))

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """Training people with one or two expressions at random strengths, or with all of them where `dense`."""
        who = torch.randint(len(self.train_identities), (count,), generator=rng)
        if self.dense:
            return self.make(who, torch.rand(count, ROWS, generator=rng))
        strengths = torch.zeros(count, ROWS)
        for row in strengths:
            first, second = torch.randint(1, ROWS, (2,), generator=rng)
            row[first] = 1.0
            if torch.rand((), generator=rng) < 0.3:
                row[first], row[second] = torch.rand(2, generator=rng)
        return self.make(who, strengths)

    def pairs(self, identity_indices: list[int], expression_rows: list[int], *, explained: bool = False) -> Batch:
        """Pure expressions of given people; all of these waves can be seen in the neutral."""
        return self.make(torch.tensor(identity_indices), torch.eye(ROWS)[torch.tensor(expression_rows)])

    def make(self, who: Tensor, strengths: Tensor) -> Batch:
        """The pairs themselves, `strengths` (B, 32) on both sides."""
        traits = self.traits[who]
        amount = (0.6 + 0.8 * traits[:, :1])[:, :, None, None]
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, self.geometry),) * 2, indexing="ij")
        inside = (x.square() + y.square() < 0.95).float()
        bulge = torch.stack([x * 0.08, y * 0.12, 0.1 * (1 - x * x - y * y)])
        position = bulge * (0.9 + 0.2 * traits)[:, :, None, None]
        waves = torch.stack([torch.sin(3 * x + 2 * y), torch.cos(2 * x - 3 * y)])
        motion = torch.einsum("be,eck->bck", strengths, self.motion)
        offset = torch.einsum("bck,khw->bchw", motion, waves) * amount * inside * 0.003
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, self.texture),) * 2, indexing="ij")
        phase = 1.2 * traits[:, 1, None, None]
        fine = torch.stack([torch.sin(12 * x + phase), torch.cos(9 * y + phase)], 1)
        colour = torch.einsum("be,eck->bck", strengths, self.colour)
        change = torch.einsum("bck,bkhw->bchw", colour, fine) * amount * 0.05
        neutral = self.neutral(traits, fine)
        light = 0.95 + 0.05 * x  # a side of the texture is lit a little less
        texture = neutral[:, :3].clamp(0, 1) ** (1 / 2.4) * light
        return Batch(position, texture, neutral, strengths[:, None].repeat(1, 2, 1), offset, change, who)

    def neutral(self, traits: Tensor, fine: Tensor) -> Tensor:
        """(B, 9, H, W) the maps at rest: skin of the third trait's tone, all of them with a person's waves."""
        skin = torch.tensor([0.5, 0.3, 0.22])[:, None, None]
        diffuse = skin * (0.6 + 0.4 * traits[:, 2:, None, None]) + 0.02 * fine[:, :1]
        specular = (0.15 + 0.03 * fine[:, 1:]).expand(-1, 3, -1, -1)
        return torch.cat([diffuse, specular, 0.45 + 0.05 * fine[:, :1], 0.1 * fine], 1)
