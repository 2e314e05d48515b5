"""The unified representation: offsets and reflectance change on one latent grid, the neutral beside them.

Letters in shapes: B batch, C latent channels, H W texels of a map, h w cells of the latent grid.

* Offsets (B, 3, H, W) in metres are divided by 10 mm, cut into blocks (one per cell) and projected to a few channels by
  a fixed basis, the principal components of training blocks: no network, so geometry keeps its 0.0x mm.
* The nine change channels are divided by their training deviation; the autoencoder takes them to the same grid.
* The condition is the neutral's positions minus the mean head and its log albedo minus the mean texture, both through
  block projections of the same kind, and the energies of the texture's bands.
* The neutral's own maps are what its texture leaves open: log ratio of albedo to texture, the rest against the mean.

Statistics are buffers: they travel with the weights.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.channels import DIFFUSE, LOG_FLOOR, LOG_RATIOS, MODEL_CHANNELS, NORMAL, ROUGHNESS
from engine.diffusion.config import ModelConfig

OFFSET_UNIT_M = 0.01
"""Metres per unit of a scaled offset or position."""
QUIET = 1e-5
"""A texel whose training deviation is below this (10 um of offset, or 1e-5 of change) never moves: outside the face."""


MEAN_SHARE = 4
"""Mean textures are kept at this fraction of their size."""
ENERGIES = 14
"""Bands of the texture whose energy the denoiser is told."""


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
    mean_maps: Tensor
    map_scale: Tensor
    change_scale: Tensor
    energy_mean: Tensor
    energy_scale: Tensor
    offset_mask: Tensor
    change_mask: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        geometry, texture = config.geometry_size, config.texture_size
        self.grid = config.grid
        self.offset = BlockProjection(3, config.geometry_block, config.offset_channels)
        self.position = BlockProjection(3, config.geometry_block, config.position_channels)
        self.albedo = BlockProjection(3, config.texture_block, config.albedo_channels)
        coarse = texture // MEAN_SHARE
        self.register_buffer("mean_position", torch.zeros(3, geometry, geometry))
        self.register_buffer("mean_albedo", torch.zeros(3, coarse, coarse))
        self.register_buffer("mean_maps", torch.zeros(MODEL_CHANNELS, coarse, coarse))
        self.register_buffer("map_scale", torch.ones(MODEL_CHANNELS, 1, 1))
        self.register_buffer("change_scale", torch.ones(MODEL_CHANNELS, 1, 1))
        self.register_buffer("energy_mean", torch.zeros(ENERGIES, 1, 1))
        self.register_buffer("energy_scale", torch.ones(ENERGIES, 1, 1))
        self.register_buffer("offset_mask", torch.ones(geometry, geometry))
        self.register_buffer("change_mask", torch.ones(texture, texture))

    @torch.no_grad()
    def fit(self, position_m: Tensor, texture_srgb: Tensor, neutral: Tensor, offset_m: Tensor, change: Tensor) -> None:
        """Fit every statistic: the first three (P, ...) are training people's, the last two (N, ...) training pairs',
        as in `Batch`, half floats welcome."""
        self.offset_mask.copy_((offset_m.float().std(0).amax(0) > QUIET).float())
        deviation = torch.stack([change[:, channel].float().std(0) for channel in range(MODEL_CHANNELS)])
        self.change_mask.copy_((deviation.amax(0) > QUIET).float())
        inside = self.change_mask > 0
        if not inside.any() or not (self.offset_mask > 0).any():
            raise ValueError("Unified.fit: expected pairs in which something moves and changes, found none")
        for channel in range(MODEL_CHANNELS):
            self.change_scale[channel] = change[:, channel, inside].float().std().clamp(min=1e-3)
        self.offset.fit(offset_m.float() / OFFSET_UNIT_M)
        self.mean_position.copy_(position_m.mean(0))
        self.position.fit((position_m - self.mean_position) / OFFSET_UNIT_M)
        albedo = log_albedo(texture_srgb)
        self.mean_albedo.copy_(F.avg_pool2d(albedo.mean(0), MEAN_SHARE))
        total = sum(log_maps(part).sum(0) for part in neutral.split(8))
        self.mean_maps.copy_(F.avg_pool2d(torch.as_tensor(total) / len(neutral), MEAN_SHARE))
        texture = albedo - self._large(self.mean_albedo)
        self.albedo.fit(texture)
        rests = [self.scale_maps(*part)[:, :, inside] for part in zip(neutral.split(8), texture.split(8), strict=True)]
        spread = sum(rest.square().sum((0, 2)) for rest in rests) / (int(inside.sum()) * len(neutral))
        self.map_scale.copy_(torch.as_tensor(spread).sqrt().clamp(min=1e-3)[:, None, None])
        energies = texture_energies(albedo, self.grid)
        self.energy_mean.copy_(energies.mean((0, 2, 3))[:, None, None])
        self.energy_scale.copy_(energies.std((0, 2, 3)).clamp(min=1e-3)[:, None, None])

    def encode_offset(self, offset_m: Tensor) -> Tensor:
        """(B, 3, H, W) metres -> (B, C, h, w)."""
        return self.offset.encode(offset_m / OFFSET_UNIT_M)

    def decode_offset(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, H, W) metres, zero outside the face."""
        return self.offset.decode(latent) * (OFFSET_UNIT_M * self.offset_mask)

    def scale_change(self, change: Tensor) -> Tensor:
        """(B, 9, H, W) change -> in units of its training deviation, zero outside the face."""
        return change.float() / self.change_scale * self.change_mask

    def unscale_change(self, scaled: Tensor) -> Tensor:
        """The inverse of `scale_change`, at any size that divides the texture's."""
        mask = F.adaptive_avg_pool2d(self.change_mask[None], scaled.shape[-1])[0]
        return (scaled * self.change_scale).mul_(mask)

    def texture_input(self, texture_srgb: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB 0..1 -> log albedo minus the mean texture's: what the networks read of a texture."""
        return log_albedo(texture_srgb) - self._large(self.mean_albedo)

    def encode_condition(self, position_m: Tensor, texture: Tensor) -> Tensor:
        """Neutral positions (B, 3, H, W) m and `texture_input` (B, 3, H', W') -> (B, K, h, w)."""
        position = self.position.encode((position_m - self.mean_position) / OFFSET_UNIT_M)
        energies = texture_energies(texture + self._large(self.mean_albedo), self.grid)
        energies = (energies - self.energy_mean) / self.energy_scale
        return torch.cat([position, self.albedo.encode(texture), energies], 1).clamp(-8.0, 8.0)

    def scale_maps(self, neutral: Tensor, texture: Tensor) -> Tensor:
        """A neutral's maps (B, 9, H, W), linear, as what `texture_input` leaves open, in units of its deviation."""
        return (log_maps(neutral) - self._known(texture + self._large(self.mean_albedo))) / self.map_scale

    def unscale_maps(self, scaled: Tensor, texture: Tensor) -> Tensor:
        """The inverse of `scale_maps`: (B, 9, H, W) linear albedo, specular, roughness, slopes."""
        logs = scaled * self.map_scale + self._known(texture + self._large(self.mean_albedo))
        linear = (logs[:, LOG_RATIOS].exp() - LOG_FLOOR).clamp(0.0, 1.0)
        return torch.cat([linear, logs[:, ROUGHNESS.channels].clamp(0.0, 1.0), logs[:, NORMAL.channels]], 1)

    def _known(self, albedo: Tensor) -> Tensor:
        """(B, 9, H, W) the neutral's log maps as far as its texture tells: its own colour, the mean of the others."""
        rest = self._large(self.mean_maps)[DIFFUSE.channels.stop :].expand(len(albedo), -1, -1, -1)
        return torch.cat([albedo, rest], 1)

    @staticmethod
    def _large(mean: Tensor) -> Tensor:
        return F.interpolate(mean[None], scale_factor=MEAN_SHARE, mode="bilinear")[0]


def energies_in(condition: Tensor) -> Tensor:
    """The scaled `texture_energies` (B, E, h, w) at the end of a condition that `Unified.encode_condition` made."""
    return condition[:, -ENERGIES:]


def texture_energies(albedo: Tensor, grid: int) -> Tensor:
    """(B, 3, H, W) log albedo -> (B, `ENERGIES`, grid, grid) log energy of its bands (Laws 1980).

    Luminance, red over green and green over blue, each between 1, 3, 7, 15 and 31 texels, and the `guides` across and
    along the face. Pores, blotches and lines show here wherever they lie: age and tissue.
    """
    block = albedo.shape[-1] // grid
    tones = torch.stack([albedo.mean(1), albedo[:, 0] - albedo[:, 1], albedo[:, 1] - albedo[:, 2]], 1)
    levels = [tones, *(box(tones, size, size, 512) for size in (3, 7, 15, 31))]
    bands = torch.cat([fine - coarse for fine, coarse in pairwise(levels)] + [0.1 * guides(albedo)], 1)
    return (F.avg_pool2d(bands.square(), block) + 1e-7).log()


def guides(log_albedo: Tensor) -> Tensor:
    """(B, 3, H, W) log albedo, with or without a mean taken off -> (B, 2, H, W) lines across and along the face.

    About unit size: luminance between 5 and 31 texels of 512, averaged over 25 texels along the line's own direction.
    """
    tone, size = log_albedo.float().mean(1, keepdim=True), log_albedo.shape[-1]
    band = box(tone, 5, 5, size) - box(tone, 31, 31, size)
    return torch.cat([box(band, 1, 25, size), box(band, 25, 1, size)], 1) / 0.03


def box(image: Tensor, tall: int, wide: int, size: int) -> Tensor:
    """Mean over tall x wide texels of 512, fewer of smaller maps, one axis after the other."""
    for axis, length in enumerate((tall, wide)):
        odd = max(1, round(length * size / 512)) // 2 * 2 + 1
        kernel = (odd, 1) if axis == 0 else (1, odd)
        if odd > 1:
            pad = (odd // 2, 0) if axis == 0 else (0, odd // 2)
            image = F.avg_pool2d(image, kernel, 1, pad, count_include_pad=False)
    return image


def log_maps(maps: Tensor) -> Tensor:
    """(B, 9, H, W) linear maps -> log(albedo + f), log(specular + f), roughness, slopes, float32."""
    maps = maps.float()
    return torch.cat([(maps[:, LOG_RATIOS].clamp(min=0.0) + LOG_FLOOR).log(), maps[:, LOG_RATIOS.stop :]], 1)


def log_albedo(diffuse_srgb: Tensor) -> Tensor:
    """log(albedo + `LOG_FLOOR`) of display-encoded 0..1 values, same shape, float32."""
    return torch.log(linear_from_srgb(diffuse_srgb.float()) + LOG_FLOOR)


def linear_from_srgb(encoded: Tensor) -> Tensor:
    """sRGB 0..1 (IEC 61966-2-1) -> linear, same shape."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp(min=0) + 0.055) / 1.055) ** 2.4)
