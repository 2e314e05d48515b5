"""The tile layout as a model: what `generate` and `evaluate` ask of ours, answered by absolute maps in tiles.

Only the prompt says what is wanted, as in ExpDiff; the strengths are not looked at. Absolute maps become changes by
comparison: positions with the neutral's own, reflectance with the neutral's maps, of which specular, roughness and
normal (and diffuse, by choice) are the model's own answer to the prompt "Neutral".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.diffusion.config import Config, TileConfig
from engine.diffusion.inference import Maps, seeded_noise
from engine.diffusion.schedule import euler, sampling_times
from engine.diffusion.shading import absolute
from engine.diffusion.text import PromptEncoder, tokenize
from engine.diffusion.tile_denoiser import Memory, TileDenoiser
from engine.diffusion.tiles import TILES, ImageAutoencoder, ImageCodec, TextEncoder, TileSpace, change_between
from engine.diffusion.unified import linear_from_srgb
from engine.synth.batch import Batch
from engine.vocabulary import NEUTRAL

NEUTRAL_STEPS = 4
"""Steps in which the maps of the neutral itself are made, once per head."""


class OwnText(TextEncoder):
    """The prompt encoder of `text`, learned with the denoiser."""

    def __init__(self, config: TileConfig) -> None:
        super().__init__()
        self.length, self.vocabulary = config.prompt_length, config.prompt_vocabulary
        self.encoder = PromptEncoder(config)

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """See `TextEncoder`."""
        return tokenize(prompts, self.length, self.vocabulary)

    def forward(self, input_ids: Tensor) -> Tensor:
        """See `TextEncoder`."""
        return self.encoder(input_ids)


class LatentStatistics(nn.Module):
    """Training mean and deviation of the tiles' latents, and one small matrix per tile from latent to preview."""

    mean: Tensor
    deviation: Tensor
    preview_matrix: Tensor

    def __init__(self, config: TileConfig) -> None:
        super().__init__()
        tiles, channels, self.scale = len(TILES), config.channels, config.preview_scale
        self.register_buffer("mean", torch.zeros(tiles, channels, config.grid, config.grid))
        self.register_buffer("deviation", torch.ones(tiles, channels, 1, 1))
        self.register_buffer("preview_matrix", torch.zeros(tiles, channels + 1, 3 * self.scale**2))

    @torch.no_grad()
    def fit(self, latent: Tensor, small: Tensor) -> None:
        """From rows of latents (N, 5, C, h, w) and their images averaged to the preview's size (N, 5, 3, s, s)."""
        self.mean.copy_(latent.mean(0))
        rest = (latent - self.mean).square().mean((0, 3, 4)).sqrt()
        self.deviation.copy_(rest.clamp(min=1e-3)[..., None, None])
        cells = nn.functional.pixel_unshuffle(small, self.scale)
        for tile in range(len(TILES)):
            known = _with_one(latent[:, tile].movedim(1, -1)).flatten(0, 2).double()
            wanted = cells[:, tile].movedim(1, -1).flatten(0, 2).double()
            moment = known.T @ known
            ridge = 1e-6 * moment.diagonal().mean() * torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
            self.preview_matrix[tile] = torch.linalg.solve(moment + ridge, known.T @ wanted).float()

    def normalised(self, latent: Tensor) -> Tensor:
        """Rows (B, N, C, h, w) of the first N tiles -> in deviations from the mean; inverse of `restored`."""
        tiles = latent.shape[1]
        return (latent - self.mean[:tiles]) / self.deviation[:tiles]

    def restored(self, normalised: Tensor) -> Tensor:
        """Normalised rows (B, 5, C, h, w) -> latents."""
        return normalised * self.deviation + self.mean

    def preview(self, latent: Tensor) -> Tensor:
        """Rows (B, 5, C, h, w) -> images (B, 5, 3, h * scale, w * scale)."""
        pixels = torch.einsum("bnhwc,ncp->bnphw", _with_one(latent.movedim(2, -1)), self.preview_matrix)
        return nn.functional.pixel_shuffle(pixels, self.scale)


def _with_one(latent: Tensor) -> Tensor:
    return nn.functional.pad(latent, (0, 1), value=1.0)


@dataclass(frozen=True, slots=True)
class TileParts:
    """The five modules of the tile layout."""

    space: TileSpace
    autoencoder: ImageCodec
    statistics: LatentStatistics
    denoiser: TileDenoiser
    text: TextEncoder

    @classmethod
    def fresh(cls, config: TileConfig, download: bool = False) -> TileParts:
        """Untrained where they are ours. EngineError where a pretrained one cannot be had or does not fit.

        `download` allows to fetch the pretrained parts by their hub names.
        """
        image, text = None, None
        if config.image_autoencoder or config.text_encoder:
            from engine.diffusion import pretrained  # late: an optional extra

            image = pretrained.StableImageAutoencoder(config, download) if config.image_autoencoder else None
            text = pretrained.ClipText(config, download) if config.text_encoder else None
        return cls(
            TileSpace(config),
            image or ImageAutoencoder(config),
            LatentStatistics(config),
            TileDenoiser(config),
            text or OwnText(config),
        )

    def ours(self) -> dict[str, nn.Module]:
        """The parts by name whose weights are ours: what a checkpoint holds, as "PART.NAME"."""
        named = {name: getattr(self, name) for name in self.__slots__}
        return {name: part for name, part in named.items() if not getattr(part, "pretrained", False)}

    def moved(self, device: torch.device | str) -> TileParts:
        """The same on `device`."""
        return TileParts(*(getattr(self, name).to(device) for name in self.__slots__))


def encoded_rows(autoencoder: ImageCodec, rows: Tensor) -> Tensor:
    """Rows of images (B, N, 3, S, S) -> latents (B, N, C, h, w)."""
    return autoencoder.encode(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])


def decoded_rows(autoencoder: ImageCodec, rows: Tensor) -> Tensor:
    """Rows of latents (B, N, C, h, w) -> images (B, N, 3, S, S)."""
    return autoencoder.decode(rows.flatten(0, 1)).unflatten(0, rows.shape[:2])


@dataclass(frozen=True, slots=True)
class TileNeutral:
    """One head as read: everything that is the same for all of its expressions."""

    memory: Memory
    position_m: Tensor
    """(B, 3, G, G) as given."""
    maps: Tensor
    """(B, 9, S, S) the neutral's own maps as the model sees them, in the order of the change."""
    small_position_m: Tensor
    small_maps: Tensor
    """The same two as a preview would show them, so that what a preview lacks is no change."""


class TileModel:
    """The parts at work on one device, in evaluation mode."""

    def __init__(self, config: Config, parts: TileParts, model_id: str, device: torch.device | str) -> None:
        """Finished parts (`TileParts.fresh`, filled); they are moved to `device` and frozen."""
        self.config, self.model_id, self.device = config, model_id, torch.device(device)
        self.parts = parts = parts.moved(self.device)
        self.space, self.autoencoder, self.statistics = parts.space, parts.autoencoder, parts.statistics
        self.denoiser, self.text = parts.denoiser, parts.text
        for part in (self.space, self.autoencoder, self.statistics, self.denoiser, self.text):
            part.eval().requires_grad_(False)
        self.autoencoder.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - missing overload

    def noise(self, seed: str) -> Tensor:
        """(1, 5, C, h, w) normal noise; the same for the same text, whatever the device."""
        sizes = self.config.tiles
        return seeded_noise(seed, (1, len(TILES), sizes.channels, sizes.grid, sizes.grid)).to(self.device)

    def read(self, position_m: Tensor, texture_srgb: Tensor) -> TileNeutral:
        """Positions (B, 3, G, G) m and texture (B, 3, S, S) sRGB 0..1 -> what all expressions of them share."""
        row = encoded_rows(self.autoencoder, self.space.neutral_row(position_m, texture_srgb))
        memory = self.denoiser.read(self.statistics.normalised(row))
        count = len(position_m)
        *_, (latent, _) = self._sampled(memory, [NEUTRAL] * count, self.noise(NEUTRAL), NEUTRAL_STEPS, 1.0)
        row, small = decoded_rows(self.autoencoder, latent), self.statistics.preview(latent)
        own = maps = self.space.maps(row)
        if self.config.tiles.diffuse_against_input:
            maps = torch.cat([linear_from_srgb(texture_srgb), own[:, 3:]], 1)
        lacking = change_between(*(nn.functional.adaptive_avg_pool2d(part, small.shape[-1]) for part in (own, maps)))
        small_maps = absolute(self.space.maps(small), lacking)
        shift_m = position_m - self.space.position_m(row[:, 0])
        return TileNeutral(memory, position_m, maps, self.space.position_m(small[:, 0]) + shift_m, small_maps)

    def sample(
        self,
        neutral: TileNeutral,
        strengths: Tensor,
        prompts: Sequence[str],
        noise: Tensor,
        steps: int,
        guidance: float = 1.0,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """After each step the latent (B, 5, C, h, w) and the clean latent estimated from it.

        `neutral` and `noise` of one head or of B, one prompt each; `strengths` (B, 2, 32) are not looked at. Guidance
        as Ho and Salimans 2022, against the empty prompt; at 1 it costs nothing.
        """
        if len(strengths) != len(prompts):
            raise ValueError(f"sample: expected one prompt each, found {len(prompts)} for {len(strengths)} strengths")
        return self._sampled(neutral.memory, prompts, noise, steps, guidance)

    def decode(self, latent: Tensor, neutral: TileNeutral) -> Maps:
        """Latent (B, 5, C, h, w) -> change in full size against `neutral` (of one head or of B)."""
        row = decoded_rows(self.autoencoder, latent)
        change = change_between(neutral.maps, self.space.maps(row)) * self.space.change_mask
        offset_m = (self.space.position_m(row[:, 0]) - neutral.position_m) * self.space.offset_mask
        return Maps(offset_m, change)

    decode_coarse = decode

    def decode_preview(self, latent: Tensor, neutral: TileNeutral) -> Maps:
        """Latent (B, 5, C, h, w) -> coarse offsets in full size, a small and coarse change."""
        row = self.statistics.preview(latent)
        mask = nn.functional.adaptive_avg_pool2d(self.space.change_mask[None], row.shape[-1])
        offset_m = (self.space.position_m(row[:, 0]) - neutral.small_position_m) * self.space.offset_mask
        return Maps(offset_m, change_between(neutral.small_maps, self.space.maps(row)) * mask)

    def round_trip(self, batch: Batch) -> Maps:
        """The truth through tiles and autoencoder: the error no denoiser can go below."""
        position_m = batch.neutral_position_m + batch.offset_m
        expression = self._there_and_back(position_m, absolute(batch.neutral, batch.change))
        neutral = self._there_and_back(batch.neutral_position_m, batch.neutral)
        offset_m = (self.space.position_m(expression[:, 0]) - batch.neutral_position_m) * self.space.offset_mask
        change = change_between(self.space.maps(neutral), self.space.maps(expression))
        return Maps(offset_m, change * self.space.change_mask)

    def _there_and_back(self, position_m: Tensor, maps: Tensor) -> Tensor:
        return decoded_rows(
            self.autoencoder, encoded_rows(self.autoencoder, self.space.expression_row(position_m, maps))
        )

    def _sampled(
        self, memory: Memory, prompts: Sequence[str], noise: Tensor, steps: int, guidance: float
    ) -> Iterator[tuple[Tensor, Tensor]]:
        count = len(prompts)
        memory = memory.expanded(count)
        words = self._words(prompts)
        empty = words if guidance == 1.0 else self._words([""] * count)

        def flow(noisy: Tensor, time: Tensor) -> Tensor:
            times = time.expand(count)
            clean = self.denoiser(noisy, times, memory, words)
            if guidance != 1.0:
                without = self.denoiser(noisy, times, memory, empty)
                clean = without + guidance * (clean - without)
            return (noisy - clean) / time

        times = [row[-1].to(self.device) for row in sampling_times(steps)]  # one time for the whole row
        for state, clean in euler(flow, noise.expand(count, -1, -1, -1, -1), times):
            yield self.statistics.restored(state), self.statistics.restored(clean)

    def _words(self, prompts: Sequence[str]) -> Tensor:
        return self.text(self.text.tokens(prompts).to(self.device))
