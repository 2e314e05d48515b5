"""The prompt encoder: words to token features, with the interface of a CLIP text model.

`tokenize` gives input ids, `PromptEncoder` turns them into a last hidden state (B, T, width). Small, and learned with
the denoiser on the paraphrases of `prompts`; words fall into a hashed table, so there is no vocabulary file.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig

_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?|[^\sa-z\d]")
_RESERVED = 2
"""Ids 0 (padding) and 1 (start, all that an empty prompt has)."""


def tokenize(prompts: Sequence[str], length: int, vocabulary: int) -> Tensor:
    """(B, length) int64 ids: start, then each word, number or sign by CRC-32 of its text, 0 after the last."""
    ids = torch.zeros(len(prompts), length, dtype=torch.int64)
    ids[:, 0] = 1
    for row, prompt in enumerate(prompts):
        for column, word in enumerate(_WORD.findall(prompt.casefold())[: length - 1], start=1):
            ids[row, column] = _RESERVED + zlib.crc32(word.encode()) % (vocabulary - _RESERVED)
    return ids


class PromptEncoder(nn.Module):
    """Word table, learned positions and a small bidirectional transformer (Vaswani et al. 2017, pre-norm)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.prompt_width
        self.length, self.vocabulary = config.prompt_length, config.prompt_vocabulary
        self.words = nn.Embedding(config.prompt_vocabulary, width)
        self.positions = nn.Parameter(torch.randn(config.prompt_length, width) * 0.02)
        self.blocks = nn.ModuleList(_PromptBlock(width) for _ in range(config.prompt_depth))
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.words.weight, std=0.5)

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, T) int64 -> last hidden state (B, T, width); padding is zero."""
        present = input_ids > 0
        hidden = self.words(input_ids) + self.positions
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
