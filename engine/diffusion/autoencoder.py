"""The autoencoder of the nine change channels: a linear skeleton that is fitted, and two small networks that refine it.

The skeleton is a block projection (principal components of training blocks), so an untrained autoencoder is already the
best linear one; the networks start at zero and learn what a linear code cannot hold: wrinkles that cross blocks, and
sharpness. Latent: (B, C, h, w), unit deviation. Sizes at 512: blocks of 16 texels, a 32 x 32 grid.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig
from engine.diffusion.unified import BlockProjection
from engine.face.space import CHANGE_CHANNELS


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with GroupNorm and SiLU, added to the input (He et al. 2016, pre-activation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        groups = max(1, width // 16)
        self.first_norm, self.second_norm = nn.GroupNorm(groups, width), nn.GroupNorm(groups, width)
        self.first, self.second = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, h, w) -> the same shape."""
        inner = self.first(F.silu(self.first_norm(features)))
        return features + self.second(F.silu(self.second_norm(inner)))


def _quiet(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer` with weights and bias at zero: a branch that starts silent."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Autoencoder(nn.Module):
    """Scaled change (B, 9, H, W) <-> latent (B, C, h, w), with a small decoder for previews."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        stem, channels = config.texture_block // 2, config.change_channels
        fine, coarse, pixels = config.fine_width, config.coarse_width, CHANGE_CHANNELS * stem * stem
        self.skeleton = BlockProjection(CHANGE_CHANNELS, config.texture_block, channels)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(stem),
            nn.Conv2d(pixels, fine, 1),
            *(ResidualBlock(fine) for _ in range(config.encoder_blocks)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, coarse, 1),
            *(ResidualBlock(coarse) for _ in range(config.encoder_blocks)),
            _quiet(nn.Conv2d(coarse, channels, 1)),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.decoder_blocks)),
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(config.decoder_blocks)),
            _quiet(nn.Conv2d(fine, pixels, 1)),
            nn.PixelShuffle(stem),
        )
        self.preview_scale = config.preview_scale
        small = CHANGE_CHANNELS * config.preview_scale**2
        self.preview_refine = nn.Sequential(
            nn.Conv2d(channels, fine, 3, padding=1), nn.SiLU(), _quiet(nn.Conv2d(fine, small, 1))
        )

    def encode(self, change: Tensor) -> Tensor:
        """(B, 9, H, W) scaled change -> (B, C, h, w)."""
        return self.skeleton.encode(change) + self.encoder(change)

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 9, H, W) scaled change."""
        return self.skeleton.decode(latent) + self.decoder(latent)

    def decode_preview(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 9, h * scale, w * scale) scaled change, in a few milliseconds."""
        block, scale = self.skeleton.block, self.preview_scale
        pooled = F.avg_pool2d(self.skeleton.basis.view(-1, CHANGE_CHANNELS, block, block), block // scale)
        weight = (pooled.flatten(1) * self.skeleton.deviation[:, None]).T[:, :, None, None]
        return F.pixel_shuffle(F.conv2d(latent, weight.contiguous()) + self.preview_refine(latent), scale)


def reconstruction_loss(found: Tensor, wanted: Tensor, mask: Tensor, scales: int = 3) -> Tensor:
    """L1 plus L1 of image gradients at `scales` scales, weighted by `mask` (H, W); (B, 9, H, W) both, scalar out."""
    error = (found - wanted) * (mask + 0.02)
    loss = error.abs().mean()
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        loss = loss + (_gradient_size(error, 3) + _gradient_size(error, 2)) / 2
    return loss


def _gradient_size(image: Tensor, axis: int) -> Tensor:
    return torch.diff(image, dim=axis).abs().mean()
