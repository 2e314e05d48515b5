"""What the training loop in `train` knows of a stage, what the stages share, and the first of them.

Each stage fills a pool of pairs first (bounded in number and in time), fits its statistics, and then draws batches
from it. The pool is a function of the seed and its length, so a resumed run rebuilds the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.autoencoder import Autoencoder, Reader, broad, reconstruction_loss
from engine.diffusion.budget import Budget
from engine.diffusion.config import Config, ModelConfig, StageConfig
from engine.diffusion.pairs import PairPool
from engine.diffusion.unified import Unified
from engine.synth.generator import Population

WEIGHT_TIME = 0.5
"""The velocity loss is the clean latent's error times 1 / t^2; t is kept above this, so that early steps count."""
PEOPLE_SEEN = 96
"""Most people whose textures statistics are fitted on."""
_FACE_U, _FACE_V = (0.125, 0.875), (0.0625, 0.8125)
"""Where the front of the face lies in the canonical layout: crops are taken there."""
_NEUTRAL_WEIGHT = 0.3


class Stage(Protocol):
    """What the training loop needs to know."""

    name: str
    settings: StageConfig
    module: nn.Module

    def prepare(self, budget: Budget, count: int | None) -> int:
        """Fill the pool within `budget`, or to just `count` pairs, and fit statistics unless resumed; its length.

        TrainingError where the time of `budget` is over before.
        """
        ...

    def loss(self, rng: torch.Generator) -> Tensor:
        """Scalar loss of one batch drawn with `rng`."""
        ...


class AutoencoderStage:
    """Trains reader and autoencoder, after fitting the unified representation's statistics and the skeleton."""

    name = "autoencoder"

    def __init__(self, config: Config, source: Population, device: torch.device) -> None:
        self.config, self.source, self.device = config, source, device
        self.settings = config.autoencoder
        self.unified = Unified(config.model).to(device)
        self.reader, self.autoencoder = Reader(config.model).to(device), Autoencoder(config.model).to(device)
        for part in (self.reader, self.autoencoder):
            part.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing overload
        for part in self.autoencoder.second_look():
            part.requires_grad_(False)
        self.module: nn.Module = nn.ModuleDict(
            {"unified": self.unified, "reader": self.reader, "autoencoder": self.autoencoder}
        )
        self.pool: PairPool | None = None

    def prepare(self, budget: Budget, count: int | None) -> int:
        """See `Stage`."""
        self.pool = pool = PairPool(self.source, self.config.seed, self.settings, budget, count, self.device)
        if count is None:
            budget.check(f"statistics of {len(pool)} pairs")
            fit, seen = self.settings.fit, slice(0, PEOPLE_SEEN)
            people = (pool.position_m[seen], pool.texture_srgb[seen], pool.neutral[seen])
            self.unified.fit(*(part.to(self.device) for part in (*people, pool.offset_m[:fit], pool.change[:fit])))
            block = self.config.model.texture_block
            diffuse, smoothed = [], []
            for part in pool.change[:fit].split(8):
                budget.check("the skeleton of changes")
                scaled = self.unified.scale_change(part.to(self.device))
                diffuse.append(scaled[:, :3].clone())
                smoothed.append(broad(scaled, block).half())
            self.autoencoder.fit_templates(torch.cat(diffuse))
            self.autoencoder.skeleton.fit(torch.cat(smoothed))
            budget.share(self.unified, self.autoencoder)
        budget.check("textures of the pool")
        pool.read(self.unified)
        return len(pool)

    def loss(self, rng: torch.Generator) -> Tensor:
        """See `Stage`. The preview decoder learns from the same latent, without steering it."""
        assert self.pool is not None
        chosen = torch.randint(len(self.pool), (self.settings.batch,), generator=rng)
        person = self.pool.person[chosen]
        part = crop_of(self.config.model, self.settings.crop, rng)
        pool, unified, mask = self.pool, self.unified, self.unified.change_mask[part[1:]]
        change = pool.change[(chosen, *part)].to(self.device).float() / unified.change_scale * mask
        texture, maps, guides_in = (
            stored[(person, *part)].to(self.device).float() for stored in (pool.texture, pool.maps, pool.guides)
        )
        lines = self.autoencoder.lines(guides_in, part)
        features = self.reader.features(texture)
        latent = self.autoencoder.encode(change, features)
        noisy = latent + normal(latent.shape, rng, self.device) * self.settings.latent_noise
        loss = reconstruction_loss(self.autoencoder.decode(noisy, features, lines).float(), change, mask)
        loss = loss + 1e-3 * (latent.square().mean(1) - 4.0).clamp(min=0.0).mean()  # keeps the code from running away
        loss = loss + _NEUTRAL_WEIGHT * reconstruction_loss(self.reader.neutral(features).float(), maps, mask)
        preview = self.autoencoder.decode_preview(noisy.detach())
        small = F.adaptive_avg_pool2d(change, preview.shape[-1])
        return loss + (preview - small).abs().mean()


def normal(shape: Sequence[int], rng: torch.Generator, device: torch.device) -> Tensor:
    """Normal noise; for another device from a generator there that `rng` seeds: the host would take longer than a
    step for it."""
    if device.type == rng.device.type:
        return torch.randn(*shape, generator=rng)
    generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
    return torch.randn(*shape, generator=generator, device=device)


def crop_of(sizes: ModelConfig, side: int, rng: torch.Generator) -> tuple[slice, slice, slice]:
    """All channels of a square of `side` texels (0: all) on the latent's blocks, somewhere over the face's front."""
    size, block = sizes.texture_size, sizes.texture_block
    side = min(side or size, size)
    if side == size:
        return (slice(None), slice(0, size), slice(0, size))
    (top, bottom), (left, right) = ((round(share * size) for share in ends) for ends in (_FACE_V, _FACE_U))
    start = [
        int(torch.randint(low // block, max(low, high - side) // block + 1, (), generator=rng)) * block
        for low, high in ((top, bottom), (left, right))
    ]
    return (slice(None), slice(start[0], start[0] + side), slice(start[1], start[1] + side))
