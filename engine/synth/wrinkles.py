"""Lines of a face, and what the strain of an expression does to reflectance.

Strain: change of the first fundamental form between neutral and deformed surface, along u and v. Relations (plausible
in amount, after the sources named): compression across a furrow deepens it (Nagano et al. 2015; Bickel et al. 2007);
furrows darken and lose gloss by self-shadowing; blood leaves compressed skin and gathers around it (Jimenez et al.
2010); stretching smooths the micro-surface, compression roughens it (Nagano et al. 2015). A person's furrows lie where
their lines lie at rest, faint in the young and plain in the old, so that they can be foreseen from the neutral.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from engine.face import regions
from engine.face.correspondence import valid_mask
from engine.face.noise import band_noise
from engine.face.skin import HAEMOGLOBIN_RGB, TEXEL_MM
from engine.face.space import TEXTURE_SIZE
from engine.synth.people import People

FURROW_MM, FULL_COMPRESSION = 0.7, 0.2
"""Depth of a full furrow in an old face, and the compression at which it is full."""
REST_DARK, REST_MM = 0.30, 0.12
"""How much darker and how deep a line of full depth is at rest."""
LINE_SPREAD, PRESENCE_SPREAD = 0.0015, 0.1
"""How far a person's lines lie from everyone's, deviation in UV units: 0.4 mm, and how much their depth differs from
place to place. Faces fold at anatomical places."""
_FINE, _COARSE = 26, 17
_EVERYWHERE = 0.06
_ACROSS = {"forehead": 1.0, "crow_feet": 0.9, "under_eye": 0.7, "nose": 0.5, "neck": 0.6, "chin": 0.4, "cheek": 0.25}
_ALONG = {"glabella": 1.0, "nasolabial": 0.9, "mouth_area": 0.7, "cheek": 0.35, "temple": 0.3}
"""How strongly skin folds into lines across and along the face, by region (Lemperle et al. 2001 name the folds)."""


class Wrinkles:
    """Furrow patterns and the strain rules, on one device."""

    def __init__(self, device: torch.device) -> None:
        """Paint the furrow lines that all people share, fine and coarse, across and along the face."""
        self._device = device
        rng = np.random.default_rng(1234)
        shared = [_stretched_noise(rng, cycles, 0.22) for cycles in (_FINE, _FINE, _COARSE, _COARSE)]
        shared[1], shared[3] = shared[1].T, shared[3].T
        self._shared = _tensor(np.stack(shared), device)
        smooth = [regions.mask(name, TEXTURE_SIZE, 0.008) for name in ("upper_lip", "lower_lip", "nostril", "brow")]
        scalp = np.clip(regions.distance("hairless", TEXTURE_SIZE) / 0.03, 0, 1)
        bare = (1 - 0.9 * np.maximum.reduce(smooth)) * (1 - scalp) * valid_mask()
        places = [_EVERYWHERE + (1 - _EVERYWHERE) * _strongest(family) for family in (_ACROSS, _ALONG)]
        self._where = _tensor(np.stack(places) * bare, device)
        self._valid = _tensor(valid_mask().astype(np.float32), device)
        self._blood = torch.from_numpy(HAEMOGLOBIN_RGB).to(device)
        self._grid = functional.affine_grid(
            torch.eye(2, 3, device=device)[None], [1, 1, TEXTURE_SIZE, TEXTURE_SIZE], align_corners=False
        )

    def lines(self, people: People, numbers: Sequence[int]) -> Tensor:
        """(B, 2, 512, 512) 0..1 lines across and along the face: the shared ones moved smoothly, some faded."""
        made = []
        for number in numbers:
            rng = np.random.default_rng([int(people.traits.seed[number]), 77])
            shift = np.stack([band_noise(rng, 64, 2) for _ in range(2)]) * LINE_SPREAD
            presence = np.clip(0.8 + PRESENCE_SPREAD * band_noise(rng, 64, 3), 0.3, 1.2)
            fields = _tensor(np.concatenate([shift, presence[None]]), self._device)[None]
            moved = functional.interpolate(fields, (TEXTURE_SIZE,) * 2, mode="bicubic")
            where = self._grid + moved[:, :2].permute(0, 2, 3, 1)
            found = functional.grid_sample(
                self._shared[None], where, mode="bilinear", padding_mode="reflection", align_corners=False
            )[0]
            coarse = people.coarseness[number]
            made.append((found[:2] * (1 - coarse) + found[2:] * coarse) * moved[0, 2])
        return torch.stack(made)

    def at_rest(self, neutral: Tensor, lines: Tensor, furrow: Tensor) -> Tensor:
        """`neutral` maps (B, 9, 512, 512) with the lines (B, 2, 512, 512) that show at rest; `furrow` (B,) depth."""
        depth = (lines * self._where).sum(dim=1) * (0.2 + furrow)[:, None, None]
        dark = (REST_DARK * depth).clamp(0, 0.45)[:, None]
        slope = _slope(-REST_MM * depth)
        return torch.cat([neutral[:, :3] * (1 - dark), neutral[:, 3:7], neutral[:, 7:] + slope], 1)

    def __call__(
        self, neutral_m: Tensor, offset_m: Tensor, lines: Tensor, furrow: Tensor, flush: Tensor, gloss: Tensor
    ) -> Tensor:
        """Changes (B, 9, 512, 512) of the maps.

        `neutral_m` and `offset_m` are (B, 3, 128, 128) metres; `lines` (B, 2, 512, 512); (B,) each: depth of furrows,
        how strongly blood moves, and how strongly gloss does (1 on average).
        """
        strain = functional.interpolate(
            stretch(neutral_m + offset_m, neutral_m), (TEXTURE_SIZE, TEXTURE_SIZE), mode="bilinear"
        )
        compress, extend = (-strain).clamp(0, 0.5), strain.clamp(0, 0.5)
        # v strain (channel 1) folds lines that run across (channel 0) and the other way round
        drive = (compress - 0.5 * extend).flip(1)
        depth = (drive / FULL_COMPRESSION).clamp(-0.3, 1.3) * self._where
        fold = (depth * lines).sum(dim=1) * (0.25 + 0.85 * furrow)[:, None, None]
        squeeze, pull = compress.sum(dim=1), extend.sum(dim=1)
        blood = (-0.55 * squeeze + 0.45 * _blurred(squeeze) - 0.25 * pull) * flush[:, None, None]
        groove, ridge = fold.clamp(min=0), (-fold).clamp(min=0)
        log_diffuse = (0.15 * ridge - 0.55 * groove)[:, None] - blood[:, None] * self._blood[None, :, None, None]
        shine = (0.35 * pull - 0.2 * squeeze) * gloss[:, None, None]
        log_specular = (shine - 0.8 * groove)[:, None].expand(-1, 3, -1, -1)
        roughness = (0.16 * squeeze - 0.14 * pull) * gloss[:, None, None]
        return torch.cat([log_diffuse, log_specular, roughness[:, None], _slope(-FURROW_MM * fold)], 1) * self._valid


def _strongest(regions_of_face: dict[str, float]) -> np.ndarray:
    """(512, 512) the largest of the regions' soft masks, each times its strength."""
    masks = [strength * regions.mask(name, TEXTURE_SIZE, 0.025) for name, strength in regions_of_face.items()]
    return np.maximum.reduce(masks)


def stretch(deformed_m: Tensor, neutral_m: Tensor) -> Tensor:
    """(B, 2, 128, 128): relative change of length along u and along v, smoothed over 5 texels, clamped to +-1."""
    parts = []
    for axis in (-1, -2):
        now, rest = (torch.linalg.vector_norm(_difference(p, axis), dim=1) for p in (deformed_m, neutral_m))
        floor = 0.25 * rest.flatten(1).median(dim=1).values[:, None, None]
        parts.append((now - rest) / rest.clamp(min=1e-5).maximum(floor))
    both = torch.stack(parts, dim=1).clamp(-1, 1)
    return functional.avg_pool2d(both, 5, 1, 2, count_include_pad=False)


def _blurred(values: Tensor) -> Tensor:
    """(B, H, W) averaged over 41 x 41 texels, one axis after the other."""
    across = functional.avg_pool2d(values[:, None], (1, 41), 1, (0, 20))
    return functional.avg_pool2d(across, (41, 1), 1, (20, 0))[:, 0]


def _difference(values: Tensor, axis: int) -> Tensor:
    """Central difference, edges repeated."""
    return (torch.roll(values, -1, axis) - torch.roll(values, 1, axis)) / 2


def _slope(height_mm: Tensor) -> Tensor:
    """(B, H, W) -> (B, 2, H, W): slopes of the normal, OpenGL convention (+Y up the image)."""
    texel = TEXEL_MM * 512 / height_mm.shape[-1]
    return torch.stack([-_difference(height_mm, -1), _difference(height_mm, -2)], dim=1) / texel


def _stretched_noise(rng: np.random.Generator, cycles: float, ratio: float) -> np.ndarray:
    """(512, 512) 0..1 ridges that run along u: band noise stretched by 1 / ratio, sharpened into furrows."""
    field = np.fft.rfft2(rng.standard_normal((TEXTURE_SIZE, TEXTURE_SIZE)))
    fy = np.abs(np.fft.fftfreq(TEXTURE_SIZE, 1 / TEXTURE_SIZE))[:, None]
    fx = np.fft.rfftfreq(TEXTURE_SIZE, 1 / TEXTURE_SIZE)[None]
    radius = np.maximum(np.hypot(fy, fx / ratio), 1e-3)
    noise = np.fft.irfft2(field * np.exp(-((np.log(radius / cycles) / 0.30) ** 2) / 2), (TEXTURE_SIZE, TEXTURE_SIZE))
    noise /= noise.std()
    return np.clip(noise - 0.15, 0, 2.2) / 2.2


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
