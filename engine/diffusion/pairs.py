"""Where pairs to train on come from, and a pool of them in memory, in which what belongs to a person is kept once."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from engine.diffusion.budget import Budget
from engine.diffusion.config import StageConfig
from engine.diffusion.unified import Unified, guides
from engine.synth.batch import Batch
from engine.synth.generator import Population

FILL_BATCH = {"cpu": 8, "cuda": 64}
"""Pairs made together, by the device that trains; a pool is the same for the same number."""


def fill(
    source: Population, seed: int, settings: StageConfig, budget: Budget, count: int | None, device: torch.device
) -> Iterator[Batch]:
    """Batches until the pool's pairs, or `count`, are made, or its time is over; the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    wanted = settings.pool if count is None else count
    least = min(settings.fit, wanted) if count is None else count
    done = 0
    while done < wanted and budget.wants_pairs(done, least):
        part = min(FILL_BATCH[device.type], wanted - done)
        yield source.batch(part, rng)
        done += part
        budget.tell(f"{done} of {wanted} pairs")


class PeopleOnce:
    """What belongs to the people of batches, kept once for each, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[int, int] = {}
        """Number of each person -> row."""
        self._kept: list[tuple[Tensor, ...]] = []

    def rows(self, batch: Batch, *columns: Tensor) -> Tensor:
        """(B,) row of the person of each pair; of `columns`, (B, ...), those of new people are kept."""
        for index, number in enumerate(batch.identity.tolist()):
            if number not in self.numbers:
                self.numbers[number] = len(self._kept)
                self._kept.append(tuple(column[index].clone() for column in columns))
        return torch.tensor([self.numbers[number] for number in batch.identity.tolist()])

    def columns(self) -> tuple[Tensor, ...]:
        """(P, ...) each, of all people."""
        return tuple(torch.stack(column) for column in zip(*self._kept, strict=True))


class PairPool:
    """Pairs in full size, half floats, on the device they are made on; positions, textures and neutral maps once per
    person."""

    def __init__(
        self,
        source: Population,
        seed: int,
        settings: StageConfig,
        budget: Budget,
        count: int | None,
        device: torch.device,
    ) -> None:
        wanted = settings.pool if count is None else count
        people, pairs = PeopleOnce(), list[tuple[Tensor, ...]]()
        self.change = torch.empty(0)
        done = 0
        for batch in fill(source, seed, settings, budget, count, device):
            if not done:  # one block from the start: joining gigabytes at the end would need them twice
                self.change = batch.change.new_empty(wanted, *batch.change.shape[1:], dtype=torch.float16)
            self.change[done : done + len(batch.change)] = batch.change
            done += len(batch.change)
            person = people.rows(batch, batch.neutral_position_m, batch.texture_srgb.half(), batch.neutral.half())
            pairs.append((batch.offset_m.half(), batch.expression, person))
        self.change = self.change[:done]
        self.position_m, self.texture_srgb, self.neutral = people.columns()
        self.offset_m, self.expression, self.person = (torch.cat(column) for column in zip(*pairs, strict=True))

    @torch.no_grad()
    def read(self, unified: Unified, maps: bool = True) -> None:
        """Keep what the networks see of each person's texture, half floats: `texture_input`, `guides`, and `scale_maps`
        where asked for."""
        device, home = unified.change_mask.device, self.change.device
        textures, scaled, found = [], [], []
        for texture_srgb, neutral in zip(self.texture_srgb.split(4), self.neutral.split(4), strict=True):
            texture = unified.texture_input(texture_srgb.to(device))
            textures.append(texture.half().to(home))
            found.append(guides(texture).half().to(home))
            if maps:
                scaled.append(unified.scale_maps(neutral.to(device), texture).half().to(home))
        self.texture, self.guides = torch.cat(textures), torch.cat(found)
        self.maps = torch.cat(scaled) if maps else torch.empty(0)

    def __len__(self) -> int:
        return len(self.person)
