"""The two dominant networks of Stable Diffusion 1.5 in plain torch with random weights: speed does not see the values.

Widths, depths and heads are those of the published configuration, the layer order that of diffusers'
UNet2DConditionModel; that nothing is left out shows in the parameter counts, which are the published ones (the
decoder's less the 20 of a 1 x 1 convolution before it). Text encoder and scheduler are left out: they cost little
beside. Source: Rombach et al. 2022.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

UNET_PARAMETERS = 859_520_964
DECODER_PARAMETERS = 49_490_179
UNET_WIDTHS = (320, 640, 1280, 1280)
DECODER_WIDTHS = (512, 512, 256, 128)
TEXT_WIDTH, TEXT_LENGTH, TIME_WIDTH, HEADS = 768, 77, 1280, 8


class ResBlock(nn.Module):
    """Two normalised 3 x 3 convolutions and a skip; the time enters between them where there is one."""

    def __init__(self, width_in: int, width: int, time_width: int = 0, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(32, channels, epsilon) for channels in (width_in, width))
        self.conv1, self.conv2 = nn.Conv2d(width_in, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Linear(time_width, width) if time_width else None
        self.skip = nn.Conv2d(width_in, width, 1) if width_in != width else nn.Identity()

    def forward(self, image: Tensor, time: Tensor | None = None) -> Tensor:
        hidden = self.conv1(functional.silu(self.norm1(image)))
        if self.time is not None and time is not None:
            hidden = hidden + self.time(functional.silu(time))[..., None, None]
        return self.skip(image) + self.conv2(functional.silu(self.norm2(hidden)))


class Attention(nn.Module):
    """Multi-head attention from (B, N, width) to (B, M, context width)."""

    def __init__(self, width: int, context_width: int, heads: int, bias: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias)
        self.key, self.value = (nn.Linear(context_width, width, bias) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, context: Tensor) -> Tensor:
        query, key, value = (
            projected.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projected in (self.query(tokens), self.key(context), self.value(context))
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    """Self-attention, attention to the text, gated feed-forward, between two 1 x 1 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(32, width, 1e-6)
        self.enter, self.leave = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.own, self.text = Attention(width, width, HEADS), Attention(width, TEXT_WIDTH, HEADS)
        self.widen, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        tokens = self.enter(self.norm(image)).flatten(2).transpose(1, 2)
        normed = self.norm1(tokens)
        tokens = tokens + self.own(normed, normed)
        tokens = tokens + self.text(self.norm2(tokens), text)
        value, gate = self.widen(self.norm3(tokens)).chunk(2, -1)
        tokens = tokens + self.narrow(value * functional.gelu(gate))
        return image + self.leave(tokens.transpose(1, 2).unflatten(2, image.shape[2:]))


class Stage(nn.Module):
    """A residual block, and a transformer after it where the level has attention."""

    def __init__(self, width_in: int, width: int, attends: bool) -> None:
        super().__init__()
        self.block = ResBlock(width_in, width, TIME_WIDTH)
        self.transformer = Transformer(width) if attends else None

    def forward(self, image: Tensor, time: Tensor, text: Tensor) -> Tensor:
        image = self.block(image, time)
        return image if self.transformer is None else self.transformer(image, text)


class Upsample(nn.Module):
    """Twice the size by repetition, then a 3 x 3 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        return self.conv(functional.interpolate(image, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    """(B, 4, 64, 64) noisy latent, (B,) time, (B, 77, 768) text -> (B, 4, 64, 64) noise."""

    def __init__(self) -> None:
        super().__init__()
        first = UNET_WIDTHS[0]
        self.time = nn.Sequential(nn.Linear(first, TIME_WIDTH), nn.SiLU(), nn.Linear(TIME_WIDTH, TIME_WIDTH))
        self.enter = nn.Conv2d(4, first, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, width_in = [first], first
        for level, width in enumerate(UNET_WIDTHS):
            for _ in range(2):
                self.down.append(Stage(width_in, width, level < 3))
                skips.append(width)
                width_in = width
            if level < 3:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)
        self.middle = nn.ModuleList([Stage(width_in, width_in, True), Stage(width_in, width_in, False)])
        for level, width in reversed(list(enumerate(UNET_WIDTHS))):
            for _ in range(3):
                self.up.append(Stage(width_in + skips.pop(), width, level < 3))
                width_in = width
            if level:
                self.up.append(Upsample(width))
        self.leave = nn.Sequential(nn.GroupNorm(32, first), nn.SiLU(), nn.Conv2d(first, 4, 3, padding=1))

    def forward(self, latent: Tensor, time: Tensor, text: Tensor) -> Tensor:
        half = UNET_WIDTHS[0] // 2
        angles = time[:, None] * torch.exp(torch.arange(half, device=time.device) * (-math.log(10000) / half))
        moment = self.time(torch.cat([angles.cos(), angles.sin()], 1))
        image = self.enter(latent)
        skips = [image]
        for layer in self.down:
            image = layer(image, moment, text) if isinstance(layer, Stage) else layer(image)
            skips.append(image)
        for layer in self.middle:
            image = layer(image, moment, text)
        for layer in self.up:
            if isinstance(layer, Stage):
                image = layer(torch.cat([image, skips.pop()], 1), moment, text)
            else:
                image = layer(image)
        return self.leave(image)


class Decoder(nn.Module):
    """(B, 4, 64, 64) latent -> (B, 3, 512, 512) picture."""

    def __init__(self) -> None:
        super().__init__()
        width_in = DECODER_WIDTHS[0]
        self.enter = nn.Conv2d(4, width_in, 3, padding=1)
        self.before, self.after = (ResBlock(width_in, width_in, epsilon=1e-6) for _ in range(2))
        self.norm = nn.GroupNorm(32, width_in, 1e-6)
        self.attention = Attention(width_in, width_in, 1, bias=True)
        levels: list[nn.Module] = []
        for level, width in enumerate(DECODER_WIDTHS):
            for _ in range(3):
                levels.append(ResBlock(width_in, width, epsilon=1e-6))
                width_in = width
            if level < 3:
                levels.append(Upsample(width))
        self.levels = nn.Sequential(*levels)
        self.leave = nn.Sequential(nn.GroupNorm(32, width_in, 1e-6), nn.SiLU(), nn.Conv2d(width_in, 3, 3, padding=1))

    def forward(self, latent: Tensor) -> Tensor:
        image = self.before(self.enter(latent))
        tokens = self.norm(image).flatten(2).transpose(1, 2)
        image = image + self.attention(tokens, tokens).transpose(1, 2).unflatten(2, image.shape[2:])
        return self.leave(self.levels(self.after(image)))


def parameters_of(network: nn.Module) -> int:
    """How many numbers `network` learns."""
    return sum(parameter.numel() for parameter in network.parameters())
