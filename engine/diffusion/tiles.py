"""ExpDiff's own layout, for comparison: every map is absolute and a tile of its own, seen through one image encoder.

The row of an expression has five tiles: position, diffuse, specular, roughness, normal. The row of the neutral has the
position and the diffuse texture, the latter once under each of the other four. Letters in shapes: B batch, C latent
channels, S side of a tile, h w cells of the latent grid.

Every tile is a three-channel image around -1..1: positions in metres minus the mean head over a fitted scale, each of
its texels a square of texels (so nothing is lost there and back), diffuse in sRGB, specular and roughness linear (the
latter grey), normals as (nx, ny, nz). One autoencoder, trained first and then frozen, serves all of them and both rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.channels import DIFFUSE, LOG_FLOOR, LOG_RATIOS, MODEL_MAPS, NORMAL, ROUGHNESS, SPECULAR
from engine.diffusion.autoencoder import ResidualBlock
from engine.diffusion.config import TileConfig
from engine.diffusion.unified import BlockProjection, linear_from_srgb

TILES = ("position", *(each.name for each in MODEL_MAPS))
"""The row of an expression, in order."""
NEUTRAL_TILES = ("position", "diffuse")
"""The row of the neutral, without the repeats."""
NEUTRAL_COUNTS = (1, 4)
"""How often each of them stands in that row."""
LEAST_NZ = 0.1
"""Below this nz a slope is not followed, as when a normal map is read from a file."""
_QUIET = 1e-5
_SCALE = 3.0


class ImageCodec(nn.Module):
    """What the tile layout asks of an image autoencoder, our own or Stable Diffusion's."""

    pretrained = False
    """True where the weights are someone else's: neither trained nor saved here."""

    @property
    def gains(self) -> Tensor:
        """(C,) how much of an image one unit in each latent channel is, up to a factor."""
        raise NotImplementedError

    def encode(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) around -1..1 -> (N, C, h, w), without chance."""
        raise NotImplementedError

    def decode(self, latent: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 3, S, S)."""
        raise NotImplementedError


class TextEncoder(nn.Module):
    """What the tile model asks of a text encoder, our own or CLIP."""

    pretrained = False
    """True where the weights are someone else's: neither trained nor saved here."""

    def tokens(self, prompts: Sequence[str]) -> Tensor:
        """Prompts -> (B, T) int64 ids, on the CPU."""
        raise NotImplementedError

    def forward(self, input_ids: Tensor) -> Tensor:
        """(B, T) int64 -> last hidden state (B, T, `prompt_width`)."""
        raise NotImplementedError


class ImageAutoencoder(ImageCodec):
    """Images (N, 3, S, S) <-> latents: block components that are fitted, and two networks that start silent."""

    def __init__(self, config: TileConfig) -> None:
        super().__init__()
        stem, fine, coarse, channels = config.block // 2, config.fine_width, config.coarse_width, config.channels
        pixels = 3 * stem * stem
        self.skeleton = BlockProjection(3, config.block, channels)
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(stem),
            nn.Conv2d(pixels, fine, 1),
            *(ResidualBlock(fine) for _ in range(config.encoder_blocks)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, coarse, 1),
            *(ResidualBlock(coarse) for _ in range(config.encoder_blocks)),
            nn.Conv2d(coarse, channels, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(channels, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.decoder_blocks)),
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(config.decoder_blocks)),
            nn.Conv2d(fine, pixels, 1),
            nn.PixelShuffle(stem),
        )
        for layer in (self.encoder[-1], self.decoder[-2]):
            for weight in layer.parameters():
                nn.init.zeros_(weight)

    @property
    def gains(self) -> Tensor:
        """See `ImageCodec`."""
        return self.skeleton.deviation

    def encode(self, images: Tensor) -> Tensor:
        """See `ImageCodec`."""
        return self.skeleton.encode(images) + self.encoder(images)

    def decode(self, latent: Tensor) -> Tensor:
        """See `ImageCodec`."""
        return self.skeleton.decode(latent) + self.decoder(latent)


class TileSpace(nn.Module):
    """Between maps in their units and tiles. Its statistics are buffers: they travel with the weights."""

    mean_position: Tensor
    position_scale: Tensor
    offset_mask: Tensor
    change_mask: Tensor

    def __init__(self, config: TileConfig) -> None:
        super().__init__()
        geometry, self.side = config.geometry_size, config.texture_size
        self.register_buffer("mean_position", torch.zeros(3, geometry, geometry))
        self.register_buffer("position_scale", torch.ones(()))
        self.register_buffer("offset_mask", torch.ones(geometry, geometry))
        self.register_buffer("change_mask", torch.ones(self.side, self.side))

    @torch.no_grad()
    def fit(self, position_m: Tensor, offset_m: Tensor, change: Tensor) -> None:
        """Mean head, scale of positions (three deviations) and what is face, from training pairs as in `Batch`; the
        changes may be half floats."""
        self.offset_mask.copy_((offset_m.std(0).amax(0) > _QUIET).float())
        deviation = torch.stack([change[:, channel].float().std(0) for channel in range(change.shape[1])])
        self.change_mask.copy_((deviation.amax(0) > _QUIET).float())
        if not (self.offset_mask.any() and self.change_mask.any()):
            raise ValueError("TileSpace.fit: expected pairs in which something moves and changes, found none")
        self.mean_position.copy_(position_m.mean(0))
        personal = position_m + offset_m - self.mean_position
        self.position_scale.copy_(_SCALE * personal[:, :, self.offset_mask > 0].square().mean().sqrt())

    def expression_row(self, position_m: Tensor, maps: Tensor) -> Tensor:
        """Positions (B, 3, G, G) m and maps (B, 9, S, S), in the order of the change -> (B, 5, 3, S, S)."""
        slopes = F.pad(maps[:, NORMAL.channels], (0, 0, 0, 0, 0, 1), value=1.0)
        images = (
            self._position_tile(position_m),
            2 * srgb_from_linear(maps[:, DIFFUSE.channels]) - 1,
            2 * maps[:, SPECULAR.channels] - 1,
            (2 * maps[:, ROUGHNESS.channels] - 1).expand(-1, 3, -1, -1),
            F.normalize(slopes, dim=1),
        )
        return torch.stack(images, 1)

    def neutral_row(self, position_m: Tensor, texture_srgb: Tensor) -> Tensor:
        """Positions (B, 3, G, G) m and texture (B, 3, S, S) sRGB 0..1 -> (B, 2, 3, S, S), repeats left out."""
        return torch.stack([self._position_tile(position_m), 2 * texture_srgb - 1], 1)

    def position_m(self, tile: Tensor) -> Tensor:
        """Position tile (B, 3, s, s) of any side -> (B, 3, G, G) metres."""
        side = self.mean_position.shape[-1]
        return resized(tile, side) * self.position_scale + self.mean_position

    def maps(self, row: Tensor) -> Tensor:
        """Row of an expression (B, 5, 3, s, s) -> (B, 9, s, s) maps within their ranges."""
        diffuse, specular, roughness = ((row[:, index] + 1) / 2 for index in (1, 2, 3))
        normal = F.normalize(row[:, 4], dim=1)
        slopes = normal[:, :2] / normal[:, 2:].clamp(min=LEAST_NZ)
        linear = [linear_from_srgb(diffuse.clamp(0, 1)), specular.clamp(0, 1), roughness.mean(1, True).clamp(0, 1)]
        return torch.cat([*linear, slopes], 1)

    def _position_tile(self, position_m: Tensor) -> Tensor:
        return resized((position_m - self.mean_position) / self.position_scale, self.side)


def resized(image: Tensor, side: int) -> Tensor:
    """(B, C, s, s) -> (B, C, side, side): texels repeated or averaged, where one side divides the other."""
    if side % image.shape[-1] == 0:
        return F.interpolate(image, size=(side, side), mode="nearest")
    return F.adaptive_avg_pool2d(image, side)


def change_between(neutral: Tensor, maps: Tensor) -> Tensor:
    """What turns the maps `neutral` into `maps`, (B, 9, H, W) all: the inverse of `shading.absolute`."""
    ratios = torch.log((maps[:, LOG_RATIOS] + LOG_FLOOR) / (neutral[:, LOG_RATIOS] + LOG_FLOOR))
    return torch.cat([ratios, (maps - neutral)[:, LOG_RATIOS.stop :]], 1)


def srgb_from_linear(linear: Tensor) -> Tensor:
    """Linear 0..1 -> sRGB 0..1 (IEC 61966-2-1), same shape."""
    curve = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)
