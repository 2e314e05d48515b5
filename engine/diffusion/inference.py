"""A loaded Model at work on tensors: noise to latents step by step, latents to maps. No identity, no file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.diffusion.checkpoint import Model
from engine.diffusion.denoiser import velocity
from engine.diffusion.sampler import euler
from engine.diffusion.schedule import sampling_times
from engine.diffusion.stages import spread
from engine.diffusion.text import tokenize


@dataclass(frozen=True, slots=True)
class Maps:
    """Offsets (B, 3, H, W) in metres and change (B, 9, H', W') in its own units."""

    offset_m: Tensor
    change: Tensor


def make_noise(model: Model, seed: str) -> Tensor:
    """(1, C, h, w) normal noise on the model's device; the same for the same text, whatever the device."""
    digest = hashlib.sha256(seed.encode()).digest()
    rng = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    grid = model.config.model.grid
    return torch.randn((1, sum(model.denoiser.splits), grid, grid), generator=rng).to(model.device)


def sample(
    model: Model,
    condition: Tensor,
    strengths: Tensor,
    prompts: Sequence[str],
    noise: Tensor,
    steps: int,
    guidance: float = 1.0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """After each step the latent (B, C, h, w) and the clean latent estimated from it.

    condition (B or 1, K, h, w), strengths (B, 32), one prompt each, noise (B or 1, C, h, w). Guidance as Ho and
    Salimans 2022, with prompt and strengths left out together; at 1 it costs nothing.
    """
    sizes, denoiser, count = model.config.model, model.denoiser, len(strengths)
    ids, empty = (
        tokenize(texts, sizes.prompt_length, sizes.prompt_vocabulary).to(model.device)
        for texts in (prompts, [""] * count)
    )
    known = torch.ones(count, dtype=torch.bool, device=model.device)
    condition = condition.expand(count, -1, -1, -1)
    first_of_group = torch.tensor([0, denoiser.splits[0]], device=model.device)

    def flow(noisy: Tensor, time: Tensor) -> Tensor:
        times = time[0, first_of_group, 0, 0].expand(count, -1)
        clean = denoiser(noisy, times, condition, strengths, ids, known)
        if guidance != 1.0:
            without = denoiser(noisy, times, condition, strengths, empty, ~known)
            clean = without + guidance * (clean - without)
        return velocity(noisy, clean, time)

    times = [spread(row[None], denoiser.splits).to(model.device) for row in sampling_times(steps)]
    for step in euler(flow, noise.expand(count, -1, -1, -1), times):
        yield denoiser.restore(step.state, strengths), denoiser.restore(step.clean, strengths)


def decode(model: Model, latent: Tensor) -> Maps:
    """Latent (B, C, h, w) -> maps in full size."""
    geometry, reflectance = latent.split(model.denoiser.splits, 1)
    scale = model.unified.change_scale * model.unified.change_mask
    return Maps(model.unified.decode_offset(geometry), model.autoencoder.decode(reflectance) * scale)


def decode_preview(model: Model, latent: Tensor) -> Maps:
    """Latent (B, C, h, w) -> offsets in full size, a small and coarse change."""
    geometry, reflectance = latent.split(model.denoiser.splits, 1)
    change = model.autoencoder.decode_preview(reflectance) * model.unified.change_scale
    return Maps(model.unified.decode_offset(geometry), change)
