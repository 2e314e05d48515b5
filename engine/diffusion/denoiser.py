"""The denoiser: a transformer with joint attention over the tokens of all map groups and of the prompt.

Letters: B batch, C latent channels, h w the grid, G map groups (geometry, reflectance), N tokens per group, D width.

Every patch of the grid is one token per map group, made of that group's noisy latent, of what is expected there
(`pivot.Pivot.typical`) and of the neutral's condition at the same place. All tokens, and the prompt's before them,
attend to each other (one softmax over all keys: the joint attention of ExpDiff and Wonder3D), share a rotary position,
and leave through a head of their group, because shared heads leak between maps (Material Anything). Time, strengths and
the person as a whole steer every block (adaLN, Peebles and Xie 2023, one shared table with an offset per block as in
PixArt-alpha). Where asked for, every third block also attends over the expressions of one person.

The network estimates the clean latent x; the velocity of the flow follows as (z_t - x) / t. That keeps wide patches
possible: the noise need not pass through the tokens (Li and He 2025). What it learns is personal: x is counted from the
expected person's, and has three parts: a *gain* on what is expected, since people differ most in how far they go; a
free rest; and for reflectance the *skin's answer*, convolutions over the grid from the strain of the geometry, because
strain is what folds, pales and smooths skin, whatever the expression (Bickel et al. 2007, Nagano et al. 2015).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.autoencoder import ResidualBlock
from engine.diffusion.config import ModelConfig, TileConfig
from engine.diffusion.person import EXPRESSION_COUNT
from engine.diffusion.schedule import GROUPS
from engine.diffusion.text import PromptEncoder
from engine.diffusion.unified import ENERGIES

_PERSON_UNITS = 5.0
"""Brings log factors to about unit deviation."""


class Denoiser(nn.Module):
    """(noisy, times, condition, person, typical, strain, strengths, prompt ids) -> clean latent, all on one grid."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.splits = (config.offset_channels, config.change_channels)
        condition = config.position_channels + config.albedo_channels + ENERGIES + config.fine_width
        area, width = config.patch**2, config.width
        self.prompt = PromptEncoder(config)
        self.prompt_in = nn.Linear(config.prompt_width, width)
        self.condition_in = nn.Linear(condition * area, width)
        person = EXPRESSION_COUNT + config.change_channels + config.person_leanings
        self.person_in = nn.Sequential(nn.Dropout(0.15), nn.Linear(person, width), nn.SiLU(), nn.Linear(width, width))
        self.patch_in = nn.ModuleList(nn.Linear(2 * count * area, width) for count in self.splits)
        self.group = nn.Parameter(torch.randn(GROUPS, width) * 0.02)
        self.time_in = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.strength_in = nn.Linear(2 * EXPRESSION_COUNT, width)
        self.strength_absent = nn.Parameter(torch.zeros(width))
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(width, config.heads, config.hidden) for _ in range(config.depth))
        over = config.depth // 3 if config.expression_attention else 0
        self.across = nn.ModuleList(_Across(width, config.heads) for _ in range(over))
        self.skin = _Skin(config, condition, person)
        self.out_norm = nn.RMSNorm(width)
        self.patch_out = nn.ModuleList(nn.Linear(width, count * area) for count in self.splits)
        self.gain_out = nn.ModuleList(nn.Linear(width, area) for _ in self.splits)
        self.whole_gain = nn.ModuleList(nn.Linear(width, 1) for _ in self.splits)
        angle = grid_angles(config)  # the prompt's tokens stay unturned
        angle = torch.cat([angle.new_zeros(config.prompt_length, angle.shape[1]), *(angle,) * GROUPS])
        self.register_buffer("rotation", torch.stack([angle.cos(), angle.sin()]), persistent=False)
        for layer in (self.modulation, *self.patch_out, *self.gain_out, *self.whole_gain):
            for weight in layer.parameters():
                nn.init.zeros_(weight)

    def forward(
        self,
        noisy: Tensor,
        times: Tensor,
        condition: Tensor,
        person: Tensor,
        typical: Tensor,
        strain: Tensor,
        strengths: Tensor,
        prompt_ids: Tensor,
        present: Tensor,
        together: int = 1,
        tissue: Tensor | None = None,
    ) -> Tensor:
        """Estimate the clean latent in normalised units.

        noisy (B, C, h, w) normalised latent at `times` (B, G) 0..1; condition (B, K, h, w); person (B, D) from
        `person.Person`; typical (B, C, h, w) and strain (B, 4 b b, h, w) of `pivot.Pivot`;
        strengths (B, 2, 32); prompt_ids (B, T) int64; present (B,) bool, False leaves strengths, typical and strain out
        (guidance). `together` neighbours in the batch are one person's expressions. `tissue` (B or 1, ...) is that of
        condition and person, where somebody has it. Returns (B, C, h, w).
        """
        typical = typical * present[:, None, None, None]
        place = self.condition_in(self._patches(condition))
        maps = [
            layer(self._patches(torch.cat(pair, 1))) + place + self.group[index]
            for index, (layer, *pair) in enumerate(
                zip(self.patch_in, noisy.split(self.splits, 1), typical.split(self.splits, 1), strict=True)
            )
        ]
        tokens = torch.cat([self.prompt_in(self.prompt(prompt_ids)), *maps], 1)
        wanted = torch.where(present[:, None], self.strength_in(strengths.flatten(1)), self.strength_absent)
        whole = wanted + self.person_in(_PERSON_UNITS * person)
        steer = F.silu(self.time_in(time_features(times, self.config.width)) + whole[:, None])
        steer = torch.cat([steer.mean(1, keepdim=True), steer], 1)  # the prompt's own row, then one per group
        shift = self.modulation(steer)
        counts = torch.tensor([prompt_ids.shape[1], *(part.shape[1] for part in maps)], device=noisy.device)
        row = torch.repeat_interleave(torch.arange(GROUPS + 1, device=noisy.device), counts)
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, shift, row, self.rotation)
            if number % 3 == 2 and number // 3 < len(self.across):
                tokens = self.across[number // 3](tokens, together)
        kept = self.out_norm(tokens[:, prompt_ids.shape[1] :]).chunk(GROUPS, 1)
        parts = zip(kept, typical.split(self.splits, 1), self.patch_out, self.gain_out, self.whole_gain, strict=True)
        geometry, reflectance = (self._answer(*part) for part in parts)
        known = torch.cat([typical[:, self.splits[0] :], strain * present[:, None, None, None]], 1)
        tissue = self.tissue(condition, person) if tissue is None else tissue
        return torch.cat([geometry, reflectance + self.skin(tissue, known)], 1)

    def tissue(self, condition: Tensor, person: Tensor) -> Tensor:
        """(B, skin width, h, w): what the skin's answer needs of a neutral, the same for all its expressions."""
        return self.skin.tissue(condition, person)

    def _answer(
        self, tokens: Tensor, typical: Tensor, free: nn.Module, local_gain: nn.Module, whole_gain: nn.Module
    ) -> Tensor:
        gain = self._grid(local_gain(tokens)) + whole_gain(tokens.mean(1))[:, :, None, None]
        return self._grid(free(tokens)) + gain * typical

    def _patches(self, grid: Tensor) -> Tensor:
        return F.pixel_unshuffle(grid, self.config.patch).flatten(2).transpose(1, 2)

    def _grid(self, tokens: Tensor) -> Tensor:
        side = self.config.grid // self.config.patch
        return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (side, side)), self.config.patch)


def velocity(noisy: Tensor, clean: Tensor, time: Tensor) -> Tensor:
    """dz/dt of the flow that leads from `noisy` at `time` (above 0, broadcast) to `clean` at 0."""
    return (noisy - clean) / time


class _Block(nn.Module):
    """RMSNorm, attention with normalised queries and keys, SwiGLU (Shazeer 2020), both steered and gated."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.offset = nn.Parameter(torch.randn(6 * width) / math.sqrt(width) * 0.5)
        self.first_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.second_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.query_norm, self.key_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width)
        with torch.no_grad():  # gates start half open: tokens mix from the first step
            self.offset.view(6, width)[2].fill_(0.5)
            self.offset.view(6, width)[5].fill_(0.5)

    def forward(self, tokens: Tensor, shift: Tensor, row: Tensor, rotation: Tensor) -> Tensor:
        """tokens (B, T, D); shift (B, 1 + G, 6 D) indexed by `row` (T,); rotation (2, T, D / heads / 2)."""
        steer = (shift + self.offset)[:, row].chunk(6, -1)
        inner = self.first_norm(tokens) * (1 + steer[0]) + steer[1]
        tokens = tokens + steer[2] * self._attend(inner, rotation)
        inner = self.second_norm(tokens) * (1 + steer[3]) + steer[4]
        gate, value = self.up(inner).chunk(2, -1)
        return tokens + steer[5] * self.down(F.silu(gate) * value)

    def _attend(self, tokens: Tensor, rotation: Tensor) -> Tensor:
        count, length, width = tokens.shape
        query, key, value = (
            part.view(count, length, self.heads, -1).transpose(1, 2) for part in self.qkv(tokens).chunk(3, -1)
        )
        query, key = rotated(self.query_norm(query), rotation), rotated(self.key_norm(key), rotation)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).reshape(count, length, width))


class _Skin(nn.Module):
    """What is known of change and strain at each cell, and around it, into the change's latent; starts silent."""

    def __init__(self, config: ModelConfig, condition: int, person: int) -> None:
        super().__init__()
        width, known = config.skin_width, config.change_channels + 4 * config.geometry_block**2
        self.condition, self.person = nn.Conv2d(condition, width, 1), nn.Linear(person, width)
        self.read = ResidualBlock(width)
        self.known = nn.Conv2d(known, width, 3, padding=1)
        self.join = nn.Conv2d(3 * width, width, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(3)))
        self.out = nn.Conv2d(width, config.change_channels, 1)
        for weight in self.out.parameters():
            nn.init.zeros_(weight)

    def tissue(self, condition: Tensor, person: Tensor) -> Tensor:
        """condition (B, K, h, w), person (B, D) -> (B, W, h, w)."""
        return self.read(self.condition(condition) + self.person(_PERSON_UNITS * person)[:, :, None, None])

    def forward(self, tissue: Tensor, known: Tensor) -> Tensor:
        """`tissue` of B or 1 heads, known (B, C' + 4 b b, h, w) -> (B, C', h, w)."""
        tissue, driven = tissue.expand(len(known), -1, -1, -1), self.known(known)
        return self.out(self.blocks(self.join(torch.cat([tissue, driven, tissue * driven], 1))))


class _Across(nn.Module):
    """Attention over the expressions of one person at the same token; starts silent."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)

    def forward(self, tokens: Tensor, together: int) -> Tensor:
        """(P * E, T, D) with E = `together` -> the same shape."""
        _, length, width = tokens.shape
        grouped = tokens.view(-1, together, length, width).transpose(1, 2).reshape(-1, together, width)
        query, key, value = (
            part.view(len(grouped), together, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.norm(grouped)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(grouped.shape)
        answer = self.out(mixed).view(-1, length, together, width).transpose(1, 2)
        return tokens + answer.reshape(tokens.shape)


def grid_angles(config: ModelConfig | TileConfig) -> Tensor:
    """(P, D / heads / 2) of the grid's patches: half the pairs turn with the row, half with the column (RoPE, Su 2021).

    The same for every map, so that one place is one position.
    """
    side, pairs = config.grid // config.patch, config.width // config.heads // 2
    rate = 50.0 ** -(torch.arange(pairs // 2) / (pairs // 2))
    at = torch.arange(side, dtype=torch.float32)[:, None] * rate
    return torch.cat([at[:, None].expand(side, side, -1), at[None].expand(side, side, -1)], -1).flatten(0, 1)


def rotated(vectors: Tensor, rotation: Tensor) -> Tensor:
    """Vectors (..., 2 P) turned pair by pair, by cosines and sines (2, ..., P) (RoPE, Su 2021); the same shape."""
    first, second = vectors.chunk(2, -1)
    cosine, sine = rotation
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


def time_features(times: Tensor, width: int) -> Tensor:
    """(...) -> (..., width) sines and cosines of t at frequencies from 1 to 1000 (Ho et al. 2020)."""
    rate = 1000.0 ** torch.linspace(0, 1, width // 2, device=times.device)
    angle = times[..., None] * rate
    return torch.cat([angle.cos(), angle.sin()], -1)
