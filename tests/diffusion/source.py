"""A few analytic people for tests: real Batch values in which the expression depends on who makes it."""

from __future__ import annotations

from collections.abc import Sequence

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
        self.hidden = (0.03 * torch.randn(people, generator=rng)).exp()
        self.motion[0] = self.colour[0] = 0.0
        self.train_identities = tuple(range(people - 2))
        self.test_identities = tuple(range(people - 2, people))

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """Training people with one or two expressions at random strengths, or with all of them where `dense`."""
        who = torch.randint(len(self.train_identities), (count,), generator=rng)
        if self.dense:
            return self.make(who, torch.rand(count, 1, ROWS, generator=rng).expand(-1, 2, -1))
        strengths = torch.zeros(count, 2, ROWS)
        for row in strengths:
            first, second = torch.randint(1, ROWS, (2,), generator=rng)
            row[:, first] = 1.0
            if torch.rand((), generator=rng) < 0.3:
                row[:, first], row[:, second] = torch.rand(2, generator=rng)
        return self.make(who, strengths)

    def pairs(
        self, identity_indices: Sequence[int], expression_rows: Sequence[int], *, explained: bool = False
    ) -> Batch:
        """Pure expressions of given people, with or without what nothing in the neutral tells."""
        strengths = torch.eye(ROWS)[torch.tensor(expression_rows)][:, None].expand(-1, 2, -1)
        return self.make(torch.tensor(identity_indices), strengths, explained)

    def moves(
        self, numbers: Sequence[int], rng: torch.Generator, strengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """One expression of each of the people at a random strength, or what is given, geometry alone."""
        if strengths is None:
            strengths = torch.zeros(len(numbers), 2, ROWS)
            for row in strengths:
                row[:, torch.randint(1, ROWS, (), generator=rng)] = torch.rand((), generator=rng)
        made = self.make(torch.tensor(numbers), strengths)
        return made.expression, made.offset_m

    def make(self, who: Tensor, strengths: Tensor, explained: bool = False) -> Batch:
        """The pairs themselves."""
        traits = self.traits[who]
        amount = (0.6 + 0.8 * traits[:, :1])[:, :, None, None]
        if not explained:
            amount = amount * self.hidden[who][:, None, None, None]
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, self.geometry),) * 2, indexing="ij")
        inside = (x.square() + y.square() < 0.95).float()
        bulge = torch.stack([x * 0.08, -y * 0.12, 0.1 * (1 - x * x - y * y)])
        position = bulge * (0.9 + 0.2 * traits)[:, :, None, None]
        waves = torch.stack([torch.sin(3 * x + 2 * y), torch.cos(2 * x - 3 * y)])
        even = strengths.mean(1)
        motion = torch.einsum("be,eck->bck", even, self.motion)
        offset = torch.einsum("bck,khw->bchw", motion, waves) * amount * inside * 0.003
        y, x = torch.meshgrid(*(torch.linspace(-1, 1, self.texture),) * 2, indexing="ij")
        phase = 1.2 * traits[:, 1, None, None]
        fine = torch.stack([torch.sin(12 * x + phase), torch.cos(9 * y + phase)], 1)
        colour = torch.einsum("be,eck->bck", even, self.colour)
        change = torch.einsum("bck,bkhw->bchw", colour, fine) * amount * 0.05
        texture, neutral = self.look(traits, fine)
        return Batch(position, texture, neutral, strengths, offset, change, who)

    def look(self, traits: Tensor, fine: Tensor) -> tuple[Tensor, Tensor]:
        """Texture (B, 3, H, W) and true maps (B, 9, H, W) at rest: skin of the third trait's tone, waves in all."""
        skin = torch.tensor([0.78, 0.6, 0.5])[:, None, None]
        diffuse = (skin * (0.7 + 0.3 * traits[:, 2:, None, None]) + 0.03 * fine[:, :1]).clamp(0, 1)
        gloss = 0.14 + 0.03 * traits[:, :1, None, None] + 0.01 * fine[:, 1:]
        return diffuse, torch.cat([diffuse**2.2, gloss.expand(-1, 3, -1, -1), 3 * gloss, 0.1 * fine], 1)
