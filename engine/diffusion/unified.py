"""The unified representation: offsets and reflectance change on one latent grid, the neutral beside them.

Letters in shapes: B batch, C latent channels, H W texels of a map, h w cells of the latent grid.

* Offsets (B, 3, H, W) in metres are divided by 10 mm, cut into blocks (one per cell) and projected to a few channels by
  a fixed basis, the principal components of training blocks: no network, so geometry keeps its 0.0x mm.
* The nine change channels are divided by their training deviation; the autoencoder takes them to the same grid.
* The condition is the neutral's positions minus the mean head and its log albedo minus the mean texture, both through
  block projections of the same kind.

Statistics are buffers: they travel with the weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig
from engine.expression import LOG_FLOOR
from engine.face.space import CHANGE_CHANNELS
from engine.synth.batch import Batch

OFFSET_UNIT_M = 0.01
"""Metres per unit of a scaled offset or position."""
QUIET = 1e-5
"""A texel whose training deviation is below this (10 um of offset, or 1e-5 of change) never moves: outside the face."""


class BlockProjection(nn.Module):
    """Maps cut into square blocks, each projected on fixed orthonormal components and divided by their deviation."""

    basis: Tensor
    deviation: Tensor

    def __init__(self, maps: int, block: int, channels: int) -> None:
        super().__init__()
        self.block = block
        size = maps * block * block
        if channels > size:
            raise ValueError(f"BlockProjection: expected at most {size} channels, found {channels}")
        self.register_buffer("basis", torch.eye(channels, size))
        self.register_buffer("deviation", torch.ones(channels))

    @torch.no_grad()
    def fit(self, maps: Tensor) -> None:
        """Set the basis to the principal components (about zero) of the blocks of `maps` (N, M, H, W)."""
        size = self.basis.shape[1]
        moment = torch.zeros(size, size, dtype=torch.float64)
        count = 0
        for part in maps.split(16):
            blocks = F.pixel_unshuffle(part.float(), self.block).movedim(1, -1).reshape(-1, size)
            moment += (blocks.T @ blocks).double().cpu()
            count += len(blocks)
        values, vectors = torch.linalg.eigh(moment / count)
        values, vectors = values.flip(0), vectors.flip(1)
        channels = len(self.deviation)
        signs = torch.sign(vectors.sum(0)).where(vectors.sum(0) != 0, torch.ones(()).double())
        self.basis.copy_((vectors * signs).T[:channels])
        floor = values[0].clamp(min=1e-12) * 1e-8
        self.deviation.copy_(values[:channels].maximum(floor).sqrt())

    def encode(self, maps: Tensor) -> Tensor:
        """(B, M, H, W) -> (B, C, h, w), unit deviation over the training blocks."""
        weight = (self.basis / self.deviation[:, None])[:, :, None, None]
        return F.conv2d(F.pixel_unshuffle(maps, self.block), weight)

    def decode(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, M, H, W): the nearest maps whose projection is `latent`."""
        weight = (self.basis * self.deviation[:, None]).T[:, :, None, None]
        return F.pixel_shuffle(F.conv2d(latent, weight.contiguous()), self.block)


class Unified(nn.Module):
    """Scales, means and projections between the maps in their units and what the networks see."""

    mean_position: Tensor
    mean_albedo: Tensor
    change_scale: Tensor
    offset_mask: Tensor
    change_mask: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        geometry, texture = config.geometry_size, config.texture_size
        self.offset = BlockProjection(3, config.geometry_block, config.offset_channels)
        self.position = BlockProjection(3, config.geometry_block, config.position_channels)
        self.albedo = BlockProjection(3, config.texture_block, config.albedo_channels)
        self.register_buffer("mean_position", torch.zeros(3, geometry, geometry))
        self.register_buffer("mean_albedo", torch.zeros(3, texture, texture))
        self.register_buffer("change_scale", torch.ones(CHANGE_CHANNELS, 1, 1))
        self.register_buffer("offset_mask", torch.ones(geometry, geometry))
        self.register_buffer("change_mask", torch.ones(texture, texture))

    @torch.no_grad()
    def fit(self, batch: Batch) -> None:
        """Fit every statistic on training pairs."""
        self.offset_mask.copy_((batch.offset_m.std(0).amax(0) > QUIET).float())
        self.change_mask.copy_((batch.change.float().std(0).amax(0) > QUIET).float())
        inside = self.change_mask > 0
        if not inside.any() or not (self.offset_mask > 0).any():
            raise ValueError("Unified.fit: expected pairs in which something moves and changes, found none")
        self.change_scale.copy_(batch.change.float()[:, :, inside].std((0, 2)).clamp(min=1e-3)[:, None, None])
        self.offset.fit(batch.offset_m / OFFSET_UNIT_M)
        self.mean_position.copy_(batch.neutral_position_m.mean(0))
        self.position.fit((batch.neutral_position_m - self.mean_position) / OFFSET_UNIT_M)
        albedo = log_albedo(batch.neutral_diffuse_srgb)
        self.mean_albedo.copy_(albedo.mean(0))
        self.albedo.fit(albedo - self.mean_albedo)

    def encode_offset(self, offset_m: Tensor) -> Tensor:
        """(B, 3, H, W) metres -> (B, C, h, w)."""
        return self.offset.encode(offset_m / OFFSET_UNIT_M)

    def decode_offset(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, H, W) metres, zero outside the face."""
        return self.offset.decode(latent) * (OFFSET_UNIT_M * self.offset_mask)

    def encode_condition(self, position_m: Tensor, diffuse_srgb: Tensor) -> Tensor:
        """Neutral positions (B, 3, H, W) m and texture (B, 3, H', W') sRGB 0..1 -> (B, C, h, w)."""
        position = self.position.encode((position_m - self.mean_position) / OFFSET_UNIT_M)
        albedo = self.albedo.encode(log_albedo(diffuse_srgb) - self.mean_albedo)
        return torch.cat([position, albedo], 1).clamp(-8.0, 8.0)


def log_albedo(diffuse_srgb: Tensor) -> Tensor:
    """log(albedo + `LOG_FLOOR`) of display-encoded 0..1 values (IEC 61966-2-1 decoded), same shape, float32."""
    encoded = diffuse_srgb.float()
    linear = torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    return torch.log(linear + LOG_FLOOR)
