"""A loaded model at work on tensors: a neutral is read once, noise becomes latents step by step, latents become maps.

No identity, no file. `ChangeModel` is ours; `tile_model.TileModel` offers the same methods for the faithful layout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.autoencoder import Autoencoder, Reader
from engine.diffusion.config import Config
from engine.diffusion.denoiser import Denoiser, velocity
from engine.diffusion.person import Person
from engine.diffusion.pivot import Pivot
from engine.diffusion.schedule import euler, sampling_times, spread
from engine.diffusion.text import tokenize
from engine.diffusion.unified import Unified, energies_in, guides
from engine.synth.batch import Batch


@dataclass(frozen=True, slots=True)
class Maps:
    """Offsets (B, 3, H, W) in metres and change (B, 9, H', W') in its own units."""

    offset_m: Tensor
    change: Tensor


class Face(Protocol):
    """What a model has read off a neutral; what else it keeps is its own business."""

    @property
    def maps(self) -> Tensor:
        """(B, 9, H, W) the neutral's own maps as the model sees them, in the order of `Batch.neutral`."""
        ...


class ExpressionModel(Protocol):
    """What the program and the evaluation ask of a model, whatever it denoises."""

    @property
    def model_id(self) -> str: ...
    @property
    def config(self) -> Config: ...
    @property
    def device(self) -> torch.device: ...
    def noise(self, seed: str) -> Tensor: ...
    def read(self, position_m: Tensor, texture_srgb: Tensor) -> Any: ...
    def sample(
        self,
        neutral: Any,
        strengths: Tensor,
        prompts: Sequence[str],
        noise: Tensor,
        steps: int,
        guidance: float = 1.0,
    ) -> Iterator[tuple[Tensor, Tensor]]: ...
    def decode(self, latent: Tensor, neutral: Any) -> Maps: ...
    def decode_coarse(self, latent: Tensor, neutral: Any) -> Maps: ...
    def decode_preview(self, latent: Tensor, neutral: Any) -> Maps: ...
    def round_trip(self, batch: Batch) -> Maps: ...


@dataclass(frozen=True, slots=True)
class Neutral:
    """What a model keeps of B heads that it has read."""

    condition: Tensor
    """(B, K, h, w) what the denoiser sees."""
    position_m: Tensor
    """(B, 3, H, W) as given."""
    turn: Tensor
    """(B, H, W, 3, 3) from the mean head's local frames to this head's."""
    person: Tensor
    """(B, D) how far this person goes, `person.Person`."""
    features: Tensor
    """(B, F, 2h, 2w) what the encoder takes fine detail from."""
    look: Tensor
    """(B, F, 2h, 2w) what the decoder takes fine detail from."""
    tissue: Tensor
    """(B, W, h, w) what the skin's answer depends on."""
    lines: Tensor
    """(B, L, H', W') where this person's and everyone's lines lie."""
    coarse_lines: Tensor
    """(B, L, G, G) means of them over the texels of geometry."""
    maps: Tensor
    """(B, 9, H', W') the neutral's own maps as the model sees them: linear albedo, specular, roughness, slopes."""

    def expand(self, count: int) -> Neutral:
        """One head (B = 1) as `count`, without copying."""
        return Neutral(
            *(getattr(self, name).expand(count, *(-1,) * (getattr(self, name).dim() - 1)) for name in self.__slots__)
        )


@dataclass(frozen=True, eq=False, slots=True)
class ChangeModel:
    """The parts, ready to use, on one device and in evaluation mode."""

    config: Config
    unified: Unified
    reader: Reader
    autoencoder: Autoencoder
    pivot: Pivot
    person: Person
    denoiser: Denoiser
    model_id: str
    """Configuration name and the first digits of the weights' digest: what provenance and caches carry."""
    device: torch.device

    def noise(self, seed: str) -> Tensor:
        """(1, C, h, w) normal noise on the model's device; the same for the same text, whatever the device."""
        grid = self.config.model.grid
        made = seeded_noise(seed, (1, sum(self.denoiser.splits), grid, grid)).to(self.device)
        return made if self.config.denoiser.flow else torch.zeros_like(made)

    def read(self, position_m: Tensor, texture_srgb: Tensor) -> Neutral:
        """Neutral positions (B, 3, H, W) m and texture (B, 3, H', W') sRGB 0..1 -> what the other methods need."""
        texture = self.unified.texture_input(texture_srgb)
        features = self.reader.features(texture)
        maps = self.unified.unscale_maps(self.reader.neutral(features), texture)
        condition = condition_of(self.unified, features, position_m, texture)
        own_lines = guides(texture)
        person = person_of(self.person, self.autoencoder, position_m, condition, own_lines)
        lines = self.autoencoder.lines(own_lines)
        return Neutral(
            condition,
            position_m,
            self.pivot.turn(self.unified, position_m),
            person,
            features,
            self.autoencoder.look(features, lines),
            self.denoiser.tissue(condition, person),
            lines,
            F.avg_pool2d(lines, lines.shape[-1] // self.config.model.geometry_size),
            maps,
        )

    def sample(
        self,
        neutral: Neutral,
        strengths: Tensor,
        prompts: Sequence[str],
        noise: Tensor,
        steps: int,
        guidance: float = 1.0,
        kept: Tensor | None = None,
        together: int = 1,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """After each step the latent (B, C, h, w) and the clean latent estimated from it.

        neutral of B or 1 heads, strengths (B, 2, 32), one prompt each, noise (B or 1, C, h, w). Guidance as Ho and
        Salimans 2022, with prompt and strengths left out together; at 1 it costs nothing. `kept` (B, C, h, w) holds
        latents of a locked map group and NaN elsewhere: it stays as it is and the others are made to go with it.
        """
        sizes, count = self.config.model, len(strengths)
        ids, empty = (
            tokenize(texts, sizes.prompt_length, sizes.prompt_vocabulary).to(self.device)
            for texts in (prompts, [""] * count)
        )
        known = torch.ones(count, dtype=torch.bool, device=self.device)
        neutral = neutral if len(neutral.condition) == count else neutral.expand(count)
        expected = self.pivot.expected(self.unified, strengths, neutral.position_m, neutral.turn, neutral.person)
        typical = self.pivot.typical(expected)
        first_of_group = torch.tensor([0, self.denoiser.splits[0]], device=self.device)
        locked = None if kept is None else ~kept.isnan()
        clean_kept = None if kept is None else self.pivot.normalise(kept.nan_to_num(), expected)
        posed = expected if kept is None or locked is None else torch.where(locked, kept, expected)
        strain = self.pivot.strain(self.unified, neutral.position_m, posed)

        def flow(noisy: Tensor, time: Tensor) -> Tensor:
            times = time[0, first_of_group, 0, 0].expand(count, -1)
            if locked is not None and clean_kept is not None:
                noisy = torch.where(locked, clean_kept, noisy)
                times = torch.where(locked[:, first_of_group, 0, 0], torch.zeros(()), times)
            given = (noisy, times, neutral.condition, neutral.person, typical, strain, strengths)
            clean = self.denoiser(*given, ids, known, together, neutral.tissue)
            if guidance != 1.0:
                without = self.denoiser(*given, empty, ~known, together, neutral.tissue)
                clean = without + guidance * (clean - without)
            if locked is not None and clean_kept is not None:
                clean = torch.where(locked, clean_kept, clean)
            return velocity(noisy, clean, time)

        times = [spread(row[None], self.denoiser.splits).to(self.device) for row in sampling_times(steps)]
        for step in euler(flow, noise.expand(count, -1, -1, -1), times):
            pair = [self.pivot.restore(part, expected) for part in step]
            if kept is not None and locked is not None:
                pair = [torch.where(locked, kept, part) for part in pair]
            yield pair[0], pair[1]

    def decode(self, latent: Tensor, neutral: Neutral) -> Maps:
        """Latent (B, C, h, w) of B or 1 heads -> maps in full size."""
        geometry, reflectance = latent.split(self.denoiser.splits, 1)
        look, lines = (part.expand(len(latent), -1, -1, -1) for part in (neutral.look, neutral.lines))
        change = self.unified.unscale_change(self.autoencoder.draw(reflectance, look, lines))
        return Maps(self.unified.decode_offset(geometry), change)

    def decode_coarse(self, latent: Tensor, neutral: Neutral) -> Maps:
        """Latent (B, C, h, w) -> offsets in full size, change (B, 9, G, G) whose slopes mean nothing: for `folding`."""
        return self.decode(latent, replace(neutral, lines=neutral.coarse_lines))

    def decode_preview(self, latent: Tensor, neutral: Neutral) -> Maps:
        """Latent (B, C, h, w) -> offsets in full size, a small and coarse change."""
        del neutral
        geometry, reflectance = latent.split(self.denoiser.splits, 1)
        change = self.unified.unscale_change(self.autoencoder.decode_preview(reflectance))
        return Maps(self.unified.decode_offset(geometry), change)

    def encode(self, offset_m: Tensor, change: Tensor, neutral: Neutral) -> Tensor:
        """Offsets (B, 3, H, W) m and change (B, 9, H', W') -> latent (B, C, h, w)."""
        features = neutral.features.expand(len(change), -1, -1, -1)
        reflectance = self.autoencoder.encode(self.unified.scale_change(change), features)
        return torch.cat([self.unified.encode_offset(offset_m), reflectance], 1)

    def round_trip(self, batch: Batch) -> Maps:
        """The truth of `batch`, encoded and decoded: no sampler could do better with this representation."""
        neutral = self.read(batch.neutral_position_m, batch.texture_srgb)
        return self.decode(self.encode(batch.offset_m, batch.change, neutral), neutral)


def condition_of(unified: Unified, features: Tensor, position_m: Tensor, texture: Tensor) -> Tensor:
    """(B, K, h, w) of the denoiser: projections and energies, and the reader's features on the grid."""
    pooled = F.adaptive_avg_pool2d(features, unified.grid)
    return torch.cat([pooled, unified.encode_condition(position_m, texture)], 1)


def person_of(person: Person, autoencoder: Autoencoder, position_m: Tensor, condition: Tensor, found: Tensor) -> Tensor:
    """(B, D) of `person` for positions (B, 3, H, W) m, `condition_of` and `guides` (B, 2, H', W') of heads."""
    return person(position_m, energies_in(condition), autoencoder.matches(found, person.regions))


def seeded_noise(seed: str, shape: tuple[int, ...]) -> Tensor:
    """Normal noise on the CPU that is the same for the same text."""
    digest = hashlib.sha256(seed.encode()).digest()
    rng = torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))
    return torch.randn(shape, generator=rng)
