"""Training of the tile layout, in the two stages of `stages`: the image autoencoder first, then, on frozen latents, the
denoiser with its prompt encoder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.budget import Budget
from engine.diffusion.config import Config
from engine.diffusion.language.captions import caption
from engine.diffusion.pairs import fill
from engine.diffusion.schedule import training_times
from engine.diffusion.shading import absolute
from engine.diffusion.stages import WEIGHT_TIME, normal
from engine.diffusion.tile_model import TileParts, encoded_rows
from engine.diffusion.tiles import TILES, ImageAutoencoder, TileSpace
from engine.errors import EngineError
from engine.synth.batch import Batch
from engine.synth.generator import Population

DROP_PROMPT = 0.15
"""Share of training samples without prompt (classifier-free guidance)."""
_KINDS = len(TILES) + 1
"""Images the autoencoder learns: the tiles of an expression, and the neutral's texture."""


class TileAutoencoderStage:
    """Trains the image autoencoder on single tiles of all kinds, after fitting the tile space and the skeleton."""

    name = "autoencoder"

    def __init__(self, whole: Config, source: Population, device: torch.device) -> None:
        config = whole.tiles
        if config.image_autoencoder:
            raise EngineError(
                f"{self.name}: expected our own image autoencoder, found '{config.image_autoencoder}' in the "
                "configuration; a pretrained one is not trained, go on with the denoiser"
            )
        self.config, self.settings, self.seed = config, whole.autoencoder, whole.seed
        self.source, self.device = source, device
        self.space, self.autoencoder = TileSpace(config).to(device), ImageAutoencoder(config).to(device)
        self.module: nn.Module = nn.ModuleDict({"space": self.space, "autoencoder": self.autoencoder})
        self.positions = self.maps = self.textures = torch.empty(0)

    @torch.no_grad()
    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`."""
        settings = self.settings
        wanted = settings.pool if count is None else count
        kept: list[tuple[Tensor, ...]] = []
        columns: list[tuple[Tensor, Tensor]] = []
        made = 0
        for batch in fill(self.source, self.seed, settings, budget, count, self.device):
            if count is None and sum(len(part) for part, *_ in kept) < settings.fit:
                kept.append(_moves(batch))
            if not made:  # one block from the start: joining gigabytes at the end would need them twice
                self.maps = batch.change.new_empty(wanted, *batch.change.shape[1:], dtype=torch.float16)
            self.maps[made : made + len(batch.change)] = absolute(batch.neutral, batch.change)
            made += len(batch.change)
            columns.append((batch.neutral_position_m + batch.offset_m, batch.texture_srgb.half()))
        self.maps = self.maps[:made]
        self.positions, self.textures = (torch.cat(column) for column in zip(*columns, strict=True))
        if count is None:
            budget.check(f"statistics of {len(self.maps)} pairs")
            self.space.fit(*(torch.cat(column) for column in zip(*kept, strict=True)))
            budget.share(self.space)
            chosen = torch.arange(min(settings.fit, len(self.maps)))
            self.autoencoder.skeleton.fit(torch.cat([self._images(part, part).half() for part in chosen.split(16)]))
            budget.share(self.autoencoder)
        return len(self.maps)

    def _images(self, chosen: Tensor, kinds: Tensor) -> Tensor:
        """(N, 3, S, S): of each pair chosen the tile of its kind."""
        position, maps, texture = (
            part[chosen.to(part.device)].to(self.device).float() for part in (self.positions, self.maps, self.textures)
        )
        row = torch.cat([self.space.expression_row(position, maps), (2 * texture - 1)[:, None]], 1)
        return row[torch.arange(len(row), device=row.device), kinds.to(row.device) % _KINDS]

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`: a batch counts images."""
        count = self.settings.batch
        chosen = torch.randint(len(self.maps), (count,), generator=rng)
        images = self._images(chosen, torch.randperm(count, generator=rng))
        latent = self.autoencoder.encode(images)
        noise = normal(latent.shape, rng, self.device) * self.settings.latent_noise
        loss = image_loss(self.autoencoder.decode(latent + noise), images)
        return loss + 1e-3 * (latent.square().mean(1) - 4.0).clamp(min=0.0).mean()  # keeps the code from running away


class TileDenoiserStage:
    """Trains the tile denoiser and our prompt encoder on latents that a finished image autoencoder made once."""

    name = "denoiser"

    def __init__(
        self, whole: Config, source: Population, device: torch.device, first: TileAutoencoderStage | None = None
    ) -> None:
        """`first` is the finished stage before this one; none where the image autoencoder is pretrained."""
        config = whole.tiles
        if (first is None) != bool(config.image_autoencoder):
            raise ValueError("TileDenoiserStage: expected either the finished autoencoder or a pretrained one")
        self.config, self.settings, self.seed = config, whole.denoiser, whole.seed
        self.source, self.device = source, device
        parts = TileParts.fresh(config).moved(device)
        self.first = first
        if first is not None:
            parts = replace(parts, space=first.space, autoencoder=first.autoencoder)
        self.parts = parts
        for part in (parts.space, parts.autoencoder):
            part.eval().requires_grad_(False)
        mine = {name: part for name, part in parts.ours().items() if part is not parts.autoencoder}
        if first is not None:
            del mine["space"]
        self.module: nn.Module = nn.ModuleDict(mine)
        self.clean = self.neutral = self.strengths = torch.empty(0)

    @torch.no_grad()
    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`. Pairs are of other draws than the autoencoder's."""
        settings, statistics = self.settings, self.parts.statistics
        batches = fill(self.source, self.seed + 1, settings, budget, count, self.device)
        waiting: list[Batch] = []
        if count is None and self.first is None:  # nobody has fitted the space yet
            waiting = _first(batches, settings.fit)
            self.parts.space.fit(*(torch.cat(column) for column in zip(*map(_moves, waiting), strict=True)))
            budget.share(self.parts.space)
        columns: list[tuple[Tensor, ...]] = []
        small: list[Tensor] = []
        for batch in chain(waiting, batches):
            *encoded, images = self._encode(batch)
            columns.append(tuple(encoded))
            if count is None and sum(map(len, small)) < settings.fit:
                small.append(images)
        clean, neutral, self.strengths = (torch.cat(column) for column in zip(*columns, strict=True))
        if count is None:
            seen = torch.cat(small)
            budget.check(f"statistics of {len(clean)} pairs")
            statistics.fit(clean[: len(seen)].float(), seen.float())
            budget.share(statistics)
        self.clean, self.neutral = (
            torch.cat([statistics.normalised(part.float()).half() for part in rows.split(64)])
            for rows in (clean, neutral)
        )
        return len(self.clean)

    def _encode(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Latent rows of expression and neutral, strengths, and the expression's row in the preview's size."""
        parts, batch = self.parts, batch.to(self.device)
        position_m = batch.neutral_position_m
        row = parts.space.expression_row(position_m + batch.offset_m, absolute(batch.neutral, batch.change))
        small = F.adaptive_avg_pool2d(row.flatten(0, 1), self.config.grid * self.config.preview_scale)
        clean = encoded_rows(parts.autoencoder, row)
        condition = encoded_rows(parts.autoencoder, parts.space.neutral_row(position_m, batch.texture_srgb))
        return clean.half(), condition.half(), batch.expression, small.unflatten(0, row.shape[:2]).half()

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`: squared velocity error of the flow, written in the clean latent; one time for the whole row."""
        count, parts = self.settings.batch, self.parts
        chosen = torch.randint(len(self.clean), (count,), generator=rng).to(self.device)
        clean, neutral = self.clean[chosen].float(), self.neutral[chosen].float()
        times = training_times(count, rng)[:, -1].to(self.device)
        noise = normal(clean.shape, rng, self.device)
        dropped = torch.rand(count, generator=rng) < DROP_PROMPT
        random = Random(int(torch.randint(2**62, (), generator=rng)))
        spoken = zip(self.strengths[chosen].tolist(), dropped.tolist(), strict=True)
        ids = parts.text.tokens(["" if leave else caption(row, random) for row, leave in spoken])
        time = times[:, None, None, None, None]
        noisy = clean + time * (noise - clean)
        found = parts.denoiser(noisy, times, parts.denoiser.read(neutral), parts.text(ids.to(self.device)))
        error = (found.float() - clean) / time.clamp(min=WEIGHT_TIME)
        return (error.square() * self._weights()).mean()

    def _weights(self) -> Tensor:
        """(5, C, 1, 1) what an error of one unit in a channel does to the image, mean 1 in each tile, at least 0.05."""
        gains = self.parts.statistics.deviation * self.parts.autoencoder.gains[:, None, None]
        return (gains / gains.mean(1, keepdim=True)).clamp(min=0.05)


def image_loss(found: Tensor, wanted: Tensor, scales: int = 3) -> Tensor:
    """L1 plus L1 of image gradients at `scales` scales, (N, 3, S, S) both."""
    error = found - wanted
    loss = error.abs().mean()
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        loss = loss + sum(torch.diff(error, dim=axis).abs().mean() for axis in (2, 3)) / 2
    return loss


def _moves(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What `TileSpace.fit` needs, changes in half floats."""
    return batch.neutral_position_m, batch.offset_m, batch.change.half()


def _first(batches: Iterator[Batch], wanted: int) -> list[Batch]:
    """Batches taken off until they hold `wanted` pairs, or all of them."""
    taken: list[Batch] = []
    while sum(len(batch.identity) for batch in taken) < wanted and (batch := next(batches, None)) is not None:
        taken.append(batch)
    return taken
