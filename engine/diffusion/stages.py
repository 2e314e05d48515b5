"""What the two stages train, and on what: the loop in `train` knows neither.

Each stage fills a pool of pairs first (bounded in number and in time), fits its statistics on a part of it, and then
draws batches from it. The pool is a function of the seed and its length, so a resumed run rebuilds the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.diffusion.autoencoder import Autoencoder, reconstruction_loss
from engine.diffusion.config import Config, StageConfig
from engine.diffusion.denoiser import EXPRESSION_COUNT, Denoiser
from engine.diffusion.prompts import caption
from engine.diffusion.schedule import training_times
from engine.diffusion.text import tokenize
from engine.diffusion.unified import Unified
from engine.synth.batch import Batch

DROP_PROMPT, DROP_STRENGTHS, DROP_BOTH = 0.1, 0.1, 0.1
"""Shares of training samples without prompt, without strengths, and without both (classifier-free guidance)."""
WEIGHT_TIME = 0.5
"""The velocity loss is the clean latent's error times 1 / t^2; t is kept above this, so that early steps count."""
_FILL_BATCH = 8


class PairSource(Protocol):
    """Where pairs come from: `engine.synth.generator.Generator`, or a few fixed pairs in tests."""

    @property
    def train_identities(self) -> Sequence[int]:
        """People to train on."""
        ...

    @property
    def test_identities(self) -> Sequence[int]:
        """People kept back, none of them in `train_identities`."""
        ...

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """`count` random pairs of the training people: pure expressions, mixes and partial strengths."""
        ...

    def pairs(
        self, identity_indices: Sequence[int], expression_rows: Sequence[int], *, explained: bool = False
    ) -> Batch:
        """One pair for each (person, row of the vocabulary) taken side by side, at full strength.

        `explained` leaves out what of a person cannot be seen in the neutral.
        """
        ...


class Stage(Protocol):
    """What the training loop needs to know."""

    name: str
    settings: StageConfig
    module: nn.Module

    def prepare(self, deadline: float, count: int | None) -> int:
        """Fill the pool until `deadline` (time.monotonic) or to just `count` pairs; fit statistics unless resumed."""
        ...

    def loss(self, rng: torch.Generator) -> Tensor:
        """Scalar loss of one batch drawn with `rng`."""
        ...


def fill(source: PairSource, seed: int, wanted: int, deadline: float, least: int) -> Iterator[Batch]:
    """Batches until `wanted` pairs are made, or past `deadline` once `least` are; the same for the same seed."""
    rng = torch.Generator().manual_seed(seed)
    made = 0
    while made < wanted and (made < least or time.monotonic() < deadline):
        count = min(_FILL_BATCH, wanted - made)
        yield source.batch(count, rng)
        made += count


def _joined(batches: Sequence[Batch]) -> Batch:
    return Batch(**{name: torch.cat([getattr(batch, name) for batch in batches]) for name in Batch.__slots__})


class AutoencoderStage:
    """Trains the autoencoder on changes, after fitting the unified representation's statistics and the skeleton."""

    name = "autoencoder"

    def __init__(self, config: Config, source: PairSource, device: torch.device) -> None:
        self.config, self.source, self.device = config, source, device
        self.settings = config.autoencoder
        self.unified = Unified(config.model).to(device)
        self.autoencoder = Autoencoder(config.model).to(device)
        self.autoencoder.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing overload
        self.module: nn.Module = nn.ModuleDict({"unified": self.unified, "autoencoder": self.autoencoder})
        self.changes = torch.empty(0)

    def prepare(self, deadline: float, count: int | None) -> int:
        """See `Stage`."""
        settings = self.settings
        wanted, least = (settings.pool, settings.fit) if count is None else (count, count)
        kept: list[Batch] = []
        changes: list[Tensor] = []
        for batch in fill(self.source, self.config.seed, wanted, deadline, least):
            if count is None and len(kept) * _FILL_BATCH < settings.fit:
                kept.append(batch)
            changes.append(batch.change.half())
        self.changes = torch.cat(changes)
        if count is None:
            self.unified.fit(_joined(kept))
            self.autoencoder.skeleton.fit(self._scaled(self.changes[: settings.fit]))
        return len(self.changes)

    def _scaled(self, changes: Tensor) -> Tensor:
        return changes.to(self.device).float() / self.unified.change_scale * self.unified.change_mask

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`. The preview decoder learns from the same latent, without steering it."""
        chosen = torch.randint(len(self.changes), (self.settings.batch,), generator=rng)
        change = self._scaled(self.changes[chosen])
        latent = self.autoencoder.encode(change)
        noise = torch.randn(latent.shape, generator=rng).to(self.device) * self.settings.latent_noise
        noisy = latent + noise
        loss = reconstruction_loss(self.autoencoder.decode(noisy), change, self.unified.change_mask)
        loss = loss + 1e-3 * (latent.square().mean(1) - 4.0).clamp(min=0.0).mean()  # keeps the code from running away
        preview = self.autoencoder.decode_preview(noisy.detach())
        small = nn.functional.adaptive_avg_pool2d(change, preview.shape[-1])
        return loss + (preview - small).abs().mean()


class DenoiserStage:
    """Trains denoiser and prompt encoder on latents that a finished autoencoder made once."""

    name = "denoiser"

    def __init__(
        self, config: Config, source: PairSource, device: torch.device, unified: Unified, autoencoder: Autoencoder
    ) -> None:
        self.config, self.source, self.device = config, source, device
        self.settings = config.denoiser
        self.unified, self.autoencoder = unified.to(device).eval(), autoencoder.to(device).eval()
        self.denoiser = Denoiser(config.model).to(device)
        self.module: nn.Module = nn.ModuleDict({"denoiser": self.denoiser})
        self.clean = self.condition = self.strengths = self.weights = torch.empty(0)

    @torch.no_grad()
    def prepare(self, deadline: float, count: int | None) -> int:
        """See `Stage`. Pairs are of other draws than the autoencoder's."""
        settings = self.settings
        wanted, least = (settings.pool, settings.fit) if count is None else (count, count)
        columns: list[tuple[Tensor, ...]] = []
        for batch in fill(self.source, self.config.seed + 1, wanted, deadline, least):
            columns.append(self._encode(batch))
        clean, self.condition, self.strengths = (torch.cat(column) for column in zip(*columns, strict=True))
        if count is None:
            self._fit(clean.float())
        parts = zip(clean.split(256), self.strengths.split(256), strict=True)
        self.clean = torch.cat([self.denoiser.normalise(part.float(), row).half() for part, row in parts])
        self.weights = self._channel_weights()
        return len(self.clean)

    def _encode(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        batch = Batch(**{name: getattr(batch, name).to(self.device) for name in Batch.__slots__})
        change = batch.change / self.unified.change_scale * self.unified.change_mask
        latent = [self.unified.encode_offset(batch.offset_m), self.autoencoder.encode(change)]
        condition = self.unified.encode_condition(batch.neutral_position_m, batch.neutral_diffuse_srgb)
        return torch.cat(latent, 1).half(), condition.half(), batch.expression

    def _fit(self, clean: Tensor) -> None:
        """Pivot by ridge regression of the latent on the strengths, around the latent of no change."""
        size = self.config.model.texture_size
        still = self.autoencoder.encode(torch.zeros(1, 9, size, size, device=self.device))
        base = torch.cat([torch.zeros_like(clean[:1, : self.config.model.offset_channels]), still], 1)
        rows = self.strengths[:, 1:].double()
        moment = rows.T @ rows + 0.1 * torch.eye(EXPRESSION_COUNT - 1, dtype=torch.float64, device=self.device)
        answer = torch.linalg.solve(moment, rows.T @ (clean - base).flatten(1).double())
        self.denoiser.pivot.copy_(torch.cat([base, answer.float().view(-1, *base.shape[1:])]))
        rest = clean - self.denoiser.expected(self.strengths)
        self.denoiser.deviation.copy_(rest.square().mean((0, 2, 3)).sqrt().clamp(min=1e-3)[:, None, None])

    def _channel_weights(self) -> Tensor:
        """(C, 1, 1) what an error of one unit in a channel does to the maps, mean 1 in each group, at least 0.05."""
        deviation = self.denoiser.deviation[:, 0, 0].split(self.denoiser.splits)
        scales = (self.unified.offset.deviation, self.autoencoder.skeleton.deviation)
        gains = [part * scale for part, scale in zip(deviation, scales, strict=True)]
        return torch.cat([(gain / gain.mean()).clamp(min=0.05) for gain in gains])[:, None, None]

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`: squared velocity error of the flow, written in the clean latent."""
        count, sizes = self.settings.batch, self.denoiser.splits
        chosen = torch.randint(len(self.clean), (count,), generator=rng).to(self.device)
        clean, strengths = self.clean[chosen].float(), self.strengths[chosen]
        times = training_times(count, rng)
        noise = torch.randn(clean.shape, generator=rng).to(self.device)
        chance = torch.rand(count, generator=rng).to(self.device)
        random = Random(int(torch.randint(2**62, (), generator=rng)))
        both = chance < DROP_BOTH
        no_prompt = both | ((chance >= DROP_BOTH) & (chance < DROP_BOTH + DROP_PROMPT))
        no_strengths = both | (chance >= 1.0 - DROP_STRENGTHS)
        prompts = [
            "" if dropped else caption(row, random)
            for row, dropped in zip(strengths.tolist(), no_prompt.tolist(), strict=True)
        ]
        ids = tokenize(prompts, self.config.model.prompt_length, self.config.model.prompt_vocabulary)
        per_channel = spread(times, sizes).to(self.device)
        noisy = clean + per_channel * (noise - clean)
        condition = self.condition[chosen].float()
        found = self.denoiser(noisy, times.to(self.device), condition, strengths, ids.to(self.device), ~no_strengths)
        error = (found.float() - clean) / per_channel.clamp(min=WEIGHT_TIME)
        return (error.square() * self.weights).mean()


def spread(times: Tensor, sizes: Sequence[int]) -> Tensor:
    """Times per group (B, G) -> per channel (B, C, 1, 1), `sizes` channels in each group."""
    return torch.cat([times[:, [index]].expand(-1, size) for index, size in enumerate(sizes)], 1)[:, :, None, None]
