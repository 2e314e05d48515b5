"""Errors of one answer against the truth, pair by pair, on the maps themselves.

Every function gives (B,) tensors under the measure's name; NaN where a measure has no meaning for a pair (the error on
moving skin of an expression that moves none). B pairs; h w texels of geometry, opened layout; H W of texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.channels import DIFFUSE, MODEL_MAPS, ROUGHNESS
from engine.diffusion.inference import Maps
from engine.diffusion.unified import box, log_albedo
from engine.face import regions
from engine.face.layout import close_uv, open_uv, sample_bilinear
from engine.face.registration import valid_mask
from engine.face.space import TEXTURE_SIZE
from engine.synth.batch import Batch
from engine.synth.frames import to_canonical
from engine.synth.strain import stretch

MOVING_M = 0.0005
"""A texel moves where the true offset is longer than this."""
PEAK = 1.0
"""Peak of every change channel for PSNR: fixed, so that rows compare."""
MAPS: dict[str, slice] = {each.name: each.channels for each in MODEL_MAPS}
LIPS, LIDS = ("upper_lip", "lower_lip"), ("upper_lid", "lower_lid")
LOW_STRAIN = 0.02
"""Skin that is longer or shorter by less than this in both directions is at rest."""


@dataclass(frozen=True, eq=False, slots=True)
class Masks:
    """Which texels count, 0 or 1 in float32."""

    skin: Tensor
    """(h, w) skin, without the gaps between upper and lower lips and lids."""
    lips: Tensor
    lids: Tensor
    texture: Tensor
    """(H, W) skin of the canonical layout."""

    def to(self, device: torch.device) -> Masks:
        """The same on `device`."""
        return Masks(*(getattr(self, name).to(device) for name in self.__slots__))


def canonical_masks(geometry: int, texture: int) -> Masks:
    """Masks for maps of the given sides; regions are read through the mapping between the two layouts."""
    centres = [(np.arange(size, dtype=np.float32) + 0.5) / size for size in (geometry, texture)]
    opened, plain = (np.stack(np.meshgrid(at, at), -1) for at in centres)
    uv = close_uv(opened)
    in_gap = np.abs(open_uv(uv) - opened).max(-1) > 1e-3
    skin = _valid_at(uv) & ~in_gap

    def region(names: tuple[str, ...]) -> np.ndarray:
        field = np.minimum.reduce([regions.distance(name, TEXTURE_SIZE) for name in names])
        return skin & (sample_bilinear(field[..., None], uv.reshape(-1, 2)).reshape(skin.shape) < 0)

    return Masks(
        *(torch.from_numpy(part.astype(np.float32)) for part in (skin, region(LIPS), region(LIDS), _valid_at(plain)))
    )


def _valid_at(uv: np.ndarray) -> np.ndarray:
    valid = valid_mask()
    x, y = (np.clip((uv[..., axis] * len(valid)).astype(np.int64), 0, len(valid) - 1) for axis in (0, 1))
    return valid[y, x]


class Truth:
    """True pairs, and what of them every answer is held against."""

    def __init__(self, batch: Batch, masks: Masks) -> None:
        self.batch, self.masks = batch, masks
        self._band = wrinkle_band(batch.change)
        self._texture = log_albedo(batch.texture_srgb)
        self._coherence = coherence(batch.neutral_position_m, batch.offset_m, batch.change, self._band, masks.texture)
        self._last: tuple[Tensor, Tensor, dict[str, Tensor]] | None = None

    def measure(self, found: Maps) -> dict[str, Tensor]:
        """Every measure of this module for each pair."""
        position_m, mask = self.batch.neutral_position_m, self.masks.texture
        band, errors = self._of_change(found.change)
        mine = coherence(position_m, found.offset_m, found.change, band, mask)
        gaps = torch.stack([(mine[name] - true).abs() for name, true in self._coherence.items()])
        kept = detail_kept(self._texture, found.change[:, DIFFUSE.channels], position_m, found.offset_m, mask)
        measured = geometry_errors(self.batch.offset_m, found.offset_m, self.masks) | errors | mine
        return measured | {"coherence gap": gaps.nanmean(0), "detail kept": kept}

    def _of_change(self, change: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Wrinkle band and errors of a change; those of the last one are kept, as some answers share theirs."""
        if self._last is None or self._last[0] is not change:
            band = wrinkle_band(change)
            self._last = (change, band, change_errors(self.batch.change, change, self._band, band, self.masks.texture))
        return self._last[1], self._last[2]


def geometry_errors(true_m: Tensor, found_m: Tensor, masks: Masks) -> dict[str, Tensor]:
    """Distances in mm of offsets (B, 3, h, w): mean over skin, over moving skin, its 95th percentile, lips, lids."""
    distance = (found_m - true_m).norm(dim=1) * 1000.0
    moving = (true_m.norm(dim=1) > MOVING_M).float() * masks.skin
    tails = [row[chosen > 0] for row, chosen in zip(distance, moving, strict=True)]
    return {
        "mm": mean(distance, masks.skin),
        "mm moving": mean(distance, moving),
        "mm p95": torch.stack([row.quantile(0.95) if len(row) else row.new_tensor(torch.nan) for row in tails]),
        "mm lips": mean(distance, moving * masks.lips),
        "mm lids": mean(distance, moving * masks.lids),
    }


def change_errors(true: Tensor, found: Tensor, true_band: Tensor, band: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Of changes (B, 9, H, W) and their wrinkle bands, for each map: RMSE, and L1 and correlation in the band."""
    errors: dict[str, Tensor] = {}
    for name, part in MAPS.items():
        errors[f"{name} rmse"] = mean((found[:, part] - true[:, part]).square().mean(1), mask).sqrt()
        errors[f"{name} band"] = mean((band[:, part] - true_band[:, part]).abs().mean(1), mask)
        errors[f"{name} band r"] = correlation(true_band[:, part], band[:, part], mask)
    return errors


def coherence(neutral_m: Tensor, offset_m: Tensor, change: Tensor, band: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """How the maps follow the geometry: correlations over texels of the skin's compression with what changes there.

    Compression (the negative sum of the strains along u and v that the offsets bring) against the change of roughness;
    what of it is positive against the strength of the wrinkle band of log albedo, averaged over 1/16 of the map.
    """
    size = change.shape[-1]
    squeeze = -to_canonical(stretch(neutral_m + offset_m, neutral_m), size).sum(1, keepdim=True)
    ridges = box(band[:, DIFFUSE.channels].mean(1, keepdim=True).abs(), size // 16, size // 16, 512)
    return {
        "strain-roughness r": correlation(squeeze, change[:, ROUGHNESS.channels], mask),
        "strain-wrinkle r": correlation(squeeze.clamp(min=0), ridges, mask),
    }


def detail_kept(texture: Tensor, log_diffuse: Tensor, neutral_m: Tensor, offset_m: Tensor, mask: Tensor) -> Tensor:
    """Correlation of the finest detail (1 to 4 texels) of the changed and the neutral texture on skin at rest.

    texture (B, 3, H, W) log albedo, log_diffuse its change; 1 where the change leaves pores alone. Skin is at rest
    where the strain of offset_m itself is below `LOW_STRAIN`.
    """
    strain = to_canonical(stretch(neutral_m + offset_m, neutral_m).abs().amax(1, keepdim=True), texture.shape[-1])
    rest = (strain[:, 0] < LOW_STRAIN) * mask
    before, after = texture.mean(1, keepdim=True), (texture + log_diffuse).mean(1, keepdim=True)
    return correlation(before - box(before, 5, 5, 512), after - box(after, 5, 5, 512), rest)


def mean(values: Tensor, weight: Tensor) -> Tensor:
    """(B, H, W) -> (B,) weighted mean; NaN where nothing weighs."""
    weight = weight.expand_as(values)
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


def correlation(a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W) twice, weight (H, W) or (B, H, W), 0 or 1 -> (B,) Pearson's r; NaN where either does not vary."""
    weight = weight.expand(len(a), *weight.shape[-2:])[:, None].float()
    total = weight.sum((1, 2, 3)) * a.shape[1]
    a, b = (_centred(values * weight, weight, total) for values in (a, b))
    a_b, a_a, b_b = (torch.bmm(x[:, None], y[:, :, None])[:, 0, 0] / total for x, y in ((a, b), (a, a), (b, b)))
    return torch.where((a_a > 1e-14) & (b_b > 1e-14), a_b / (a_a * b_b).sqrt(), torch.nan)


def _centred(values: Tensor, weight: Tensor, total: Tensor) -> Tensor:
    """Masked values (B, C, H, W) less their mean inside the mask, (B, C H W)."""
    middle = values.sum((1, 2, 3)) / total
    return (values - middle[:, None, None, None] * weight).flatten(1)


def wrinkle_band(maps: Tensor) -> Tensor:
    """What of (B, C, H, W) lies between 2 and 16 texels at 512: a 3-texel box mean minus a 17-texel one, the larger
    scaled with the map."""
    wide = max(5, 17 * maps.shape[-1] // 512 // 2 * 2 + 1)
    return box(maps, 3, 3, 512) - box(maps, wide, wide, 512)
