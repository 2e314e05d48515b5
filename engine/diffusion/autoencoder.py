"""Reading a neutral, and the autoencoder of the nine change channels that knows the neutral.

The *reader* is a convolutional network over the neutral's texture. Its features tell the decoder where this person's
lines lie and the denoiser what tissue this is; its second answer are the neutral's own maps, as far as the texture
leaves them open.

The autoencoder's linear skeleton is a block projection (principal components of smooth training changes); two small
networks refine it. Its latent is smoothed from cell to cell, so that it can say how deep, how red, how glossy, but not
where each furrow runs: that the decoder has to take from the neutral. It does so through the reader's features, and by
*lines* that are deepened or faded by coefficients on the features' grid (as HDRnet applies coarse coefficients to a
fine guide, Gharbi et al. 2017): those that fixed filters find in the texture, and templates of where faces fold, the
principal components of the training changes' fine band. So a latent is easy to foresee, and fine detail comes out where
the person has it. While an encoder says where the lines are, though, a decoder need not look: its second look at the
neutral (`line_in`, `sharpen`) is learnt in the last stage, from latents that the denoiser foresees. Latent:
(B, C, h, w), about unit deviation; at 512: blocks of 16, a 32 x 32 grid.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.channels import MODEL_CHANNELS
from engine.diffusion.config import ModelConfig
from engine.diffusion.unified import BlockProjection, box

FINE_TEXELS = 31
"""Templates hold what is finer than this, texels of 512."""


class LocalNorm(nn.Module):
    """Layer norm over the channels of each place (as in ConvNeXt): what a network says of a place does not depend on
    how much around it is shown, so it can be trained on crops."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, features: Tensor) -> Tensor:
        """(B, width, h, w) -> the same shape."""
        last = features.permute(0, 2, 3, 1)
        return F.layer_norm(last, last.shape[-1:], self.weight, self.bias, 1e-5).permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with norm and SiLU, added to the input (He et al. 2016, pre-activation)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_norm, self.second_norm = LocalNorm(width), LocalNorm(width)
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


class Reader(nn.Module):
    """Texture -> features at twice the grid, and the neutral's own maps (see `Unified.scale_maps`)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        stem, width = config.texture_block // 2, config.fine_width
        self.stem = nn.Sequential(nn.PixelUnshuffle(stem), nn.Conv2d(3 * stem * stem, width, 1))
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(config.reader_blocks)))
        self.norm = LocalNorm(width)
        self.maps = nn.Sequential(
            ResidualBlock(width),
            _quiet(nn.Conv2d(width, MODEL_CHANNELS * stem * stem, 1)),
            nn.PixelShuffle(stem),
        )

    def features(self, texture: Tensor) -> Tensor:
        """`Unified.texture_input` (B, 3, H, W) -> (B, fine width, 2h, 2w)."""
        return F.silu(self.norm(self.blocks(self.stem(texture))))

    def neutral(self, features: Tensor) -> Tensor:
        """Features -> (B, 9, H, W) scaled maps of the neutral."""
        return self.maps(features)


class _Join(nn.Module):
    """Two feature maps and their product into one: the latent's part can switch the neutral's detail up and down."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3 * width, width, 1)

    def forward(self, hidden: Tensor, features: Tensor) -> Tensor:
        return hidden + self.mix(torch.cat([hidden, features, hidden * features], 1))


class Autoencoder(nn.Module):
    """Scaled change (B, 9, H, W) <-> latent (B, C, h, w), given the reader's features; a small decoder for previews."""

    templates: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        stem, channels = config.texture_block // 2, config.change_channels
        fine, coarse, pixels = config.fine_width, config.coarse_width, MODEL_CHANNELS * stem * stem
        self.skeleton = BlockProjection(MODEL_CHANNELS, config.texture_block, channels)
        self.encode_stem = nn.Sequential(nn.PixelUnshuffle(stem), nn.Conv2d(pixels, fine, 1))
        self.encode_join = _Join(fine)
        self.encoder = nn.Sequential(
            *(ResidualBlock(fine) for _ in range(config.encoder_blocks)),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * fine, coarse, 1),
            *(ResidualBlock(coarse) for _ in range(config.encoder_blocks)),
            _quiet(nn.Conv2d(coarse, channels, 1)),
        )
        self.decode_stem = nn.Sequential(
            nn.Conv2d(channels, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.decoder_blocks)),
            nn.Conv2d(coarse, 4 * fine, 1),
            nn.PixelShuffle(2),
        )
        lines = (2 + config.templates) * stem * stem
        self.line_in = nn.Sequential(nn.PixelUnshuffle(stem), _quiet(nn.Conv2d(lines, fine, 1)))
        self.sharpen = nn.Sequential(ResidualBlock(fine), ResidualBlock(fine))
        self.decode_join = _Join(fine)
        self.decoder = nn.Sequential(
            *(ResidualBlock(fine) for _ in range(config.decoder_blocks)),
        )
        self.pixels = nn.Sequential(_quiet(nn.Conv2d(fine, pixels, 1)), nn.PixelShuffle(stem))
        size = config.texture_size
        self.register_buffer("templates", torch.zeros(config.templates, size, size))
        self.guided = _quiet(nn.Conv2d(fine, 5 * (2 + config.templates), 1))
        self.preview_scale = config.preview_scale
        small = MODEL_CHANNELS * config.preview_scale**2
        self.preview_refine = nn.Sequential(
            nn.Conv2d(channels, fine, 3, padding=1), nn.SiLU(), _quiet(nn.Conv2d(fine, small, 1))
        )

    @torch.no_grad()
    def fit_templates(self, change: Tensor) -> None:
        """Principal components of the fine band of diffuse change (N, 3, H, W), about zero, scaled to near 1."""
        tone = change.float().mean(1, keepdim=True)
        band = (tone - box(tone, FINE_TEXELS, FINE_TEXELS, tone.shape[-1])).flatten(1)
        _, vectors = torch.linalg.eigh(band @ band.T)
        count = min(len(self.templates), len(band))
        found = vectors.flip(1)[:, :count].T @ band
        large = found.abs().kthvalue(max(1, round(0.999 * found.shape[1])), dim=1).values
        found = found / large.clamp(min=1e-6)[:, None]
        self.templates.zero_()
        self.templates[:count] = found.view(count, *self.templates.shape[1:])

    def second_look(self) -> list[nn.Module]:
        """What only the last stage trains; silent before."""
        return [self.line_in, self.sharpen]

    def decoder_parts(self) -> list[nn.Module]:
        """What the last stage trains: everything from latent to full maps."""
        return [self.decode_stem, self.decode_join, self.decoder, self.pixels, self.guided, *self.second_look()]

    def lines(self, found: Tensor, part: tuple[slice, ...] = (slice(None),)) -> Tensor:
        """`guides` (B, 2, H, W) of textures, or of their square `part` (channels, rows, columns) -> (B, 2 + templates,
        H, W): with the templates there, for `decode`."""
        return torch.cat([found, self.templates[part].expand(len(found), -1, -1, -1)], 1)

    def matches(self, found: Tensor, regions: int) -> Tensor:
        """`guides` (B, 2, H, W) of textures -> (B, 4 * templates * regions^2) how far each region's lines at rest are
        those of each template, and how like them (cosine): which lines a face has tells how it will fold."""
        if not regions:
            return found.new_zeros(len(found), 0)

        def mean(values: Tensor) -> Tensor:
            return F.adaptive_avg_pool2d(values, regions)

        size = mean(self.templates[None].square())[:, None].sqrt().clamp(min=1e-3)
        amount = torch.stack([mean(one[:, :, None].mul(self.templates).flatten(1, 2)) for one in found.split(1)])
        amount = amount.view(len(found), 2, -1, regions, regions) / size
        cosine = amount / mean(found.square())[:, :, None].sqrt().clamp(min=1e-3)
        return torch.cat([amount, cosine], 1).flatten(1)

    def encode(self, change: Tensor, features: Tensor) -> Tensor:
        """(B, 9, H, W) scaled change -> (B, C, h, w), smooth from cell to cell."""
        refined = self.encoder(self.encode_join(self.encode_stem(change), features))
        return smooth(self.skeleton.encode(change) + refined)

    def decode(self, latent: Tensor, features: Tensor, lines: Tensor) -> Tensor:
        """(B, C, h, w), reader's features and `lines` (B, L, H, W) -> (B, 9, H, W) scaled change."""
        return self.draw(latent, self.look(features, lines), lines)

    def look(self, features: Tensor, lines: Tensor) -> Tensor:
        """Reader's features and `lines` (B, L, H, W) -> (B, fine width, 2h, 2w): the decoder's own look at a neutral,
        the same whatever it draws."""
        return self.sharpen(features + self.line_in(lines))

    def draw(self, latent: Tensor, look: Tensor, lines: Tensor) -> Tensor:
        """As `decode`, of the `look` at the neutral. Smaller `lines`, which are means, give means, except in slopes."""
        hidden = self.decoder(self.decode_join(self.decode_stem(latent), look))
        side, pixels = lines.shape[-1], self.pixels[0]
        assert isinstance(pixels, nn.Conv2d)
        fine = deepened(self.guided(hidden), lines).add_(_blocks(hidden, pixels.weight.flatten(1), pixels.bias, side))
        return fine.add_(self._skeleton(latent, side))

    def _skeleton(self, latent: Tensor, side: int) -> Tensor:
        return _blocks(latent, (self.skeleton.basis * self.skeleton.deviation[:, None]).T, None, side)

    def decode_preview(self, latent: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 9, h * scale, w * scale) scaled change, in a few milliseconds."""
        refined = F.pixel_shuffle(self.preview_refine(latent), self.preview_scale)
        return refined.add_(self._skeleton(latent, refined.shape[-1]))


def _blocks(values: Tensor, weight: Tensor, bias: Tensor | None, side: int) -> Tensor:
    """(B, C, h, w) times `weight` (9 K^2, C), plus `bias` (9 K^2), as blocks of K x K texels: (B, 9, h K, w K); with a
    smaller `side` the means of those in (B, 9, side, side)."""
    scale, block = side // values.shape[-1], math.isqrt(len(weight) // MODEL_CHANNELS)

    def pooled(rows: Tensor) -> Tensor:
        return F.avg_pool2d(rows.T.reshape(-1, MODEL_CHANNELS, block, block), block // scale).flatten(1).T

    offset = None if bias is None else pooled(bias[:, None])[:, 0]
    return F.pixel_shuffle(F.conv2d(values, pooled(weight)[:, :, None, None].contiguous(), offset), scale)


def deepened(coefficients: Tensor, lines: Tensor) -> Tensor:
    """(B, 5 L, 2h, 2w) and lines (B, L, H, W) -> (B, 9, H, W): lines in diffuse, specular and roughness, their gradient
    in the slopes, each by its own coefficient."""
    coarse, size = coefficients.float().unflatten(1, (5, -1)), lines.shape[-1]
    total = lines.new_zeros(len(coarse), 5, *lines.shape[2:])
    for number in range(lines.shape[1]):  # line by line: all at once are 50 planes that no cache holds
        large, line = F.interpolate(coarse[:, :, number], size, mode="bilinear"), lines[:, number, None]
        total[:, :3].addcmul_(large[:, :3], line)
        total[:, 3:4].addcmul_(large[:, 3:4], _central(line, -1))
        total[:, 4:].addcmul_(large[:, 4:], _central(line, -2))
    flat, across, along = total.split((3, 1, 1), 1)
    parts = (flat[:, :1].expand(-1, 3, -1, -1), flat[:, 1:2].expand(-1, 3, -1, -1), flat[:, 2:], -across, along)
    return torch.cat(parts, 1)


def _central(values: Tensor, axis: int) -> Tensor:
    """Twice the central difference over two texels, edges repeated from the other side."""
    return (torch.roll(values, -1, axis) - torch.roll(values, 1, axis)).mul_(2)


def smooth(latent: Tensor) -> Tensor:
    """Binomial filter (1, 2, 1) / 4 along both axes, edges repeated; the same shape."""
    kernel = torch.tensor([0.25, 0.5, 0.25], device=latent.device, dtype=latent.dtype)
    weight = torch.outer(kernel, kernel).expand(latent.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(latent, (1, 1, 1, 1), mode="replicate"), weight, groups=latent.shape[1])


def broad(change: Tensor, block: int) -> Tensor:
    """(B, 9, H, W) without detail finer than a block: what the skeleton is fitted on."""
    return F.interpolate(F.avg_pool2d(change, block), scale_factor=block, mode="bilinear")


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
