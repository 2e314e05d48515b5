"""The prompt encoder: words to token features, with the interface of a CLIP text model.

`tokenize` gives input ids, `PromptEncoder` turns them into a last hidden state (B, T, width). Small, and learned with
the denoiser on the captions of `language.captions`. A word is itself and its runs of three letters (Bojanowski et al.
2017), all in one hashed table: no vocabulary file, and a misspelt or unseen word is near those that it looks like.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig, TileConfig

PIECES = 12
"""Ids of one word: the word, then its letter runs, then 0."""
_WORD = re.compile(r"(?P<share>\d+(?:\.\d+)?)\s*%|(?P<part>\d*\.\d+)|[a-z]+|\d+|[^\sa-z\d]")
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_RESERVED = 2
"""Ids 0 (padding) and 1 (start, all that an empty prompt has)."""


def tokenize(prompts: Sequence[str], length: int, vocabulary: int) -> Tensor:
    """(B, length, PIECES) int64 ids: start, then each word, number or sign by CRC-32 of its pieces, 0 after the last.

    '40%' and '.4' are one token, to a twentieth; 'jawOpen' is two.
    """
    ids = np.zeros((len(prompts), length, PIECES), np.int64)
    ids[:, 0, 0] = 1
    for row, prompt in enumerate(prompts):
        found = _WORD.finditer(_INNER_CAPITAL.sub(" ", prompt).casefold())
        for column, match in zip(range(1, length), found, strict=False):
            value = float(match["share"]) / 100.0 if match["share"] else float(match["part"]) if match["part"] else None
            pieces = _pieces(match[0] if value is None else f"#{round(value * 20) * 5}", vocabulary)
            ids[row, column, : len(pieces)] = pieces
    return torch.from_numpy(ids)


@lru_cache(maxsize=4096)
def _pieces(word: str, vocabulary: int) -> tuple[int, ...]:
    """Ids of a word and, where it has four letters or more, of its runs of three with the ends marked."""
    marked = f"<{word}>"
    runs = [marked[at : at + 3] for at in range(len(marked) - 2)] if len(word) > 3 and word.isalpha() else []
    return tuple(
        _RESERVED + zlib.crc32(piece.encode()) % (vocabulary - _RESERVED) for piece in [marked, *runs][:PIECES]
    )


class PromptEncoder(nn.Module):
    """Table of word pieces, learned positions and a small bidirectional transformer (Vaswani et al. 2017, pre-norm)."""

    def __init__(self, config: ModelConfig | TileConfig) -> None:
        super().__init__()
        width = config.prompt_width
        self.length, self.vocabulary = config.prompt_length, config.prompt_vocabulary
        self.words = nn.Embedding(config.prompt_vocabulary, width)
        self.positions = nn.Parameter(torch.randn(config.prompt_length, width) * 0.02)
        self.blocks = nn.ModuleList(_PromptBlock(width) for _ in range(config.prompt_depth))
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.words.weight, std=0.5)

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, T, PIECES) int64 -> last hidden state (B, T, width); padding is zero."""
        given = (input_ids > 0).to(self.words.weight.dtype)
        count = given.sum(-1, keepdim=True)
        hidden = (self.words(input_ids) * given[..., None]).sum(-2) / count.clamp(min=1.0).sqrt() + self.positions
        present = count[..., 0] > 0
        for block in self.blocks:
            hidden = block(hidden, present[:, None, None])
        return self.norm(hidden) * present[..., None]


class _PromptBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.first_norm, self.second_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, hidden: Tensor, present: Tensor) -> Tensor:
        count, length, width = hidden.shape
        query, key, value = (
            part.view(count, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.first_norm(hidden)).chunk(3, -1)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=present)
        hidden = hidden + self.out(mixed.transpose(1, 2).reshape(count, length, width))
        return hidden + self.down(F.silu(self.up(self.second_norm(hidden))))
