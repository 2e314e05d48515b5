"""The denoiser of the tile layout: joint attention over all tiles, cross attention to the prompt.

Letters: B batch, C latent channels, h w the grid, N tiles, P tokens per tile, D width, T prompt tokens.

Every patch of every tile is a token. The tokens of an expression's row ask all tokens of their own row and of the
neutral's, in one softmax (the joint attention of ExpDiff, Wonder3D and MVDream), then the words of the prompt. The
neutral's row is never noised and asks only itself, at t = 0 and without words: its keys and values are the same in
every step and for every expression, so they are made once per head (reference attention, as in Zero123++). A tile that
stands in the row k times has its keys once, with log k added to their logits, which is the same softmax.

Every tile leaves through a head of its own, because shared heads leak between maps (Material Anything). The network
estimates the clean latent, as the `Denoiser` does, so that both differ in the layout alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import TileConfig
from engine.diffusion.denoiser import grid_angles, rotated, time_features
from engine.diffusion.tiles import NEUTRAL_COUNTS, NEUTRAL_TILES, TILES


@dataclass(frozen=True, slots=True)
class Memory:
    """The neutral's row as the attention sees it."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    """(B, heads, N * P, D / heads) of each block."""
    bias: Tensor
    """(N * P,) log of how often each token stands in the row."""

    def expanded(self, count: int) -> Memory:
        """The same for `count` expressions of one head."""
        keys, values = (tuple(part.expand(count, -1, -1, -1) for part in parts) for parts in (self.keys, self.values))
        return Memory(keys, values, self.bias)


class TileDenoiser(nn.Module):
    """(noisy row, time, neutral, words) -> clean row, normalised latents."""

    rotation: Tensor

    def __init__(self, config: TileConfig) -> None:
        super().__init__()
        self.config = config
        area, width = config.channels * config.patch**2, config.width
        self.patch_in = nn.Linear(area, width)
        self.tile = nn.Parameter(torch.randn(len(TILES) + len(NEUTRAL_TILES), width) * 0.5)
        self.place = nn.Parameter(torch.randn((config.grid // config.patch) ** 2, width) * 0.5)
        self.prompt_in = nn.Linear(config.prompt_width, width, bias=False)
        self.time_in = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.modulation = nn.Linear(width, 6 * width)
        self.blocks = nn.ModuleList(_Block(width, config.heads, config.hidden) for _ in range(config.depth))
        self.out_norm = nn.RMSNorm(width)
        self.patch_out = nn.ModuleList(nn.Linear(width, area) for _ in TILES)
        angle = grid_angles(config)
        self.register_buffer("rotation", torch.stack([angle.cos(), angle.sin()]), persistent=False)
        for layer in (self.modulation, *self.patch_out):
            for weight in layer.parameters():
                nn.init.zeros_(weight)

    def read(
        self,
        neutral: Tensor,
        roles: Sequence[int] = range(len(NEUTRAL_TILES)),
        counts: Sequence[int] = NEUTRAL_COUNTS,
    ) -> Memory:
        """The neutral's row (B, N, C, h, w) of normalised latents -> its keys and values in every block.

        `roles` are the indices into `NEUTRAL_TILES` and `counts` the repeats of the N tiles.
        """
        tokens = self._tokens(neutral, [len(TILES) + role for role in roles])
        bias = torch.tensor(counts, dtype=tokens.dtype, device=tokens.device).log()
        bias = bias.repeat_interleave(len(self.place))
        shift = self._shift(neutral.new_zeros(len(neutral)))
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for block in cast("Iterable[_Block]", self.blocks):
            last = len(keys) == len(self.blocks) - 1
            tokens, key, value = block.remember(tokens, shift, self._angles(len(roles)), bias, last)
            keys.append(key)
            values.append(value)
        return Memory(tuple(keys), tuple(values), bias)

    def forward(self, noisy: Tensor, times: Tensor, memory: Memory, words: Tensor) -> Tensor:
        """Estimate the clean row: noisy (B, 5, C, h, w) at `times` (B,) 0..1, words (B, T, prompt width)."""
        tokens = self._tokens(noisy, range(len(TILES)))
        shift, words = self._shift(times), self.prompt_in(words)
        angles = self._angles(len(TILES))
        bias = F.pad(memory.bias, (tokens.shape[1], 0))
        for block, key, value in zip(self.blocks, memory.keys, memory.values, strict=True):
            tokens = block(tokens, shift, angles, words, key, value, bias)
        kept = self.out_norm(tokens).chunk(len(TILES), 1)
        return torch.stack([self._grid(layer(part)) for layer, part in zip(self.patch_out, kept, strict=True)], 1)

    def _tokens(self, row: Tensor, roles: Sequence[int]) -> Tensor:
        patches = F.pixel_unshuffle(row, self.config.patch).flatten(3).transpose(2, 3)
        tokens = self.patch_in(patches) + self.place + self.tile[list(roles)][:, None]
        return tokens.flatten(1, 2)

    def _grid(self, tokens: Tensor) -> Tensor:
        side = self.config.grid // self.config.patch
        return F.pixel_shuffle(tokens.transpose(1, 2).unflatten(2, (side, side)), self.config.patch)

    def _shift(self, times: Tensor) -> Tensor:
        return self.modulation(F.silu(self.time_in(time_features(times, self.config.width))))[:, None]

    def _angles(self, tiles: int) -> Tensor:
        return self.rotation.repeat(1, tiles, 1)


class _Block(nn.Module):
    """Joint attention, cross attention, SwiGLU (Shazeer 2020); first and last steered by time (adaLN)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.offset = nn.Parameter(torch.randn(6 * width) / math.sqrt(width) * 0.5)
        self.joint_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.qkv, self.joint_out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width)
        self.query_norm, self.key_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.cross_norm = nn.RMSNorm(width)
        self.ask, self.answer = nn.Linear(width, width, bias=False), nn.Linear(width, 2 * width, bias=False)
        self.cross_out = nn.Linear(width, width)
        self.last_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.up, self.down = nn.Linear(width, 2 * hidden, bias=False), nn.Linear(hidden, width)
        with torch.no_grad():  # gates start half open: tokens mix from the first step
            self.offset.view(6, width)[2].fill_(0.5)
            self.offset.view(6, width)[5].fill_(0.5)

    def forward(
        self, tokens: Tensor, shift: Tensor, angles: Tensor, words: Tensor, key: Tensor, value: Tensor, bias: Tensor
    ) -> Tensor:
        """tokens (B, 5 P, D); shift (B, 1, 6 D); words (B, T, D); the neutral's key and value; bias of all keys."""
        steer = (shift + self.offset).chunk(6, -1)
        query, own_key, own_value = self._joint(tokens, steer, angles)
        keys, values = torch.cat([own_key, key], 2), torch.cat([own_value, value], 2)
        tokens = tokens + steer[2] * self.joint_out(_attended(query, keys, values, bias))
        asked = self._split(self.ask(self.cross_norm(tokens)))
        told = (self._split(part) for part in self.answer(words).chunk(2, -1))
        tokens = tokens + self.cross_out(_attended(asked, *told))
        return self._fed(tokens, steer)

    def remember(
        self, tokens: Tensor, shift: Tensor, angles: Tensor, bias: Tensor, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The neutral's way through the block: its tokens after it (as they came, if `last`), keys and values."""
        steer = (shift + self.offset).chunk(6, -1)
        query, key, value = self._joint(tokens, steer, angles)
        if not last:
            tokens = tokens + steer[2] * self.joint_out(_attended(query, key, value, bias))
            tokens = self._fed(tokens, steer)
        return tokens, key, value

    def _joint(self, tokens: Tensor, steer: Sequence[Tensor], angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        inner = self.joint_norm(tokens) * (1 + steer[0]) + steer[1]
        query, key, value = (self._split(part) for part in self.qkv(inner).chunk(3, -1))
        return rotated(self.query_norm(query), angles), rotated(self.key_norm(key), angles), value

    def _fed(self, tokens: Tensor, steer: Sequence[Tensor]) -> Tensor:
        inner = self.last_norm(tokens) * (1 + steer[3]) + steer[4]
        gate, value = self.up(inner).chunk(2, -1)
        return tokens + steer[5] * self.down(F.silu(gate) * value)

    def _split(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def _attended(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """(B, heads, Q, d), (B, heads, K, d) twice, bias (K,) -> (B, Q, heads * d)."""
    mask = None if bias is None else bias.to(query.dtype)[None, None, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)
