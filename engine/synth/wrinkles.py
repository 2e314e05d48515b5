"""What the strain of an expression does to reflectance.

Strain: change of the first fundamental form between neutral and deformed surface, along u and v. Relations (plausible
in amount, after the sources named): compression across a furrow deepens it (Nagano et al. 2015; Bickel et al. 2007);
furrows darken and lose gloss by self-shadowing; blood leaves compressed skin and gathers around it (Jimenez et al.
2010); stretching smooths the micro-surface, compression roughens it (Nagano et al. 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from engine.face import regions
from engine.face.correspondence import valid_mask
from engine.face.noise import band_noise
from engine.face.skin import HAEMOGLOBIN_RGB, TEXEL_MM
from engine.face.space import TEXTURE_SIZE

FURROW_MM = 0.55
"""Depth of a full furrow in an old face at a compression of 30%."""


@dataclass(frozen=True, slots=True)
class Person:
    """What of a person decides their wrinkles."""

    number: int
    age_years: float


class Wrinkles:
    """Furrow patterns and the strain rules, on one device."""

    def __init__(self, device: torch.device) -> None:
        """Paint the furrow lines that all people share, across and along the face."""
        self._device = device
        rng = np.random.default_rng(1234)
        across = _stretched_noise(rng, 22, 0.22)
        along = _stretched_noise(rng, 26, 0.22).T
        self._shared = _tensor(np.stack([across, along]), device)
        smooth = [regions.mask(name, TEXTURE_SIZE, 0.008) for name in ("upper_lip", "lower_lip", "nostril")]
        scalp = np.clip(regions.distance("hairless", TEXTURE_SIZE) / 0.03, 0, 1)
        names = ("forehead", "glabella", "crow_feet", "nose", "under_eye", "nasolabial", "mouth_area")
        prone = np.maximum.reduce([regions.mask(name, TEXTURE_SIZE, 0.03) for name in names])
        weight = (0.35 + 0.65 * prone) * (1 - 0.8 * np.maximum.reduce(smooth)) * (1 - 0.9 * scalp) * valid_mask()
        self._where = _tensor(weight, device)
        self._valid = _tensor(valid_mask().astype(np.float32), device)
        self._blood = torch.from_numpy(HAEMOGLOBIN_RGB).to(device)
        self._personal: dict[int, torch.Tensor] = {}

    def __call__(
        self, neutral_m: torch.Tensor, offset_m: torch.Tensor, texture_srgb: torch.Tensor, persons: list[Person]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Neutral textures with resting lines (B, 3, 512, 512), and changes (B, 9, 512, 512).

        `neutral_m` and `offset_m` are (B, 3, 128, 128) metres; `texture_srgb` 0..1.
        """
        strain = functional.interpolate(
            stretch(neutral_m + offset_m, neutral_m), (TEXTURE_SIZE, TEXTURE_SIZE), mode="bilinear"
        )
        compress, extend = (-strain).clamp(0, 0.5), strain.clamp(0, 0.5)
        lines = torch.stack([self._lines(person.number) for person in persons])
        years = torch.tensor([np.clip((person.age_years - 20) / 50, 0, 1) for person in persons], device=self._device)
        years = years.float()[:, None, None, None]
        # v strain (channel 1) folds lines that run across (channel 0) and the other way round
        drive = torch.stack([compress[:, 1], compress[:, 0]], 1) - 0.5 * torch.stack([extend[:, 1], extend[:, 0]], 1)
        depth = (drive / 0.3).clamp(-0.3, 1.2) * (0.35 + 0.65 * years) * self._where
        furrow = (depth * lines).sum(dim=1)
        height_mm = -FURROW_MM * furrow
        slope = _slope(height_mm)
        squeeze, pull = compress.sum(dim=1), extend.sum(dim=1)
        blood = -0.55 * squeeze + 0.45 * _blurred(squeeze) - 0.25 * pull
        shade = -0.55 * furrow.clamp(min=0) + 0.15 * (-furrow).clamp(min=0)
        log_diffuse = shade[:, None] - blood[:, None] * self._blood[None, :, None, None]
        log_specular = (-0.8 * furrow.clamp(min=0) + 0.35 * pull - 0.2 * squeeze)[:, None].expand(-1, 3, -1, -1)
        roughness = 0.16 * squeeze - 0.14 * pull
        change = torch.cat([log_diffuse, log_specular, roughness[:, None], slope], dim=1) * self._valid
        resting = (lines.sum(dim=1, keepdim=True) * self._where * years * 0.05).clamp(0, 0.2)
        return (texture_srgb * (1 - resting)).clamp(0, 1), change

    def _lines(self, number: int) -> torch.Tensor:
        """(2, 512, 512) 0..1 furrow lines of a person: the shared ones shifted smoothly, some faded."""
        if number not in self._personal:
            rng = np.random.default_rng([number, 77])
            shift = np.stack([band_noise(rng, 64, 2) for _ in range(2)]) * 0.012
            presence = np.clip(0.75 + 0.35 * band_noise(rng, 64, 3), 0.2, 1.2)
            grid = _identity_grid(self._device)
            moved = functional.interpolate(_tensor(shift, self._device)[None], (TEXTURE_SIZE,) * 2, mode="bicubic")
            where = grid + moved.permute(0, 2, 3, 1)
            lines = functional.grid_sample(
                self._shared[None], where, mode="bilinear", padding_mode="reflection", align_corners=False
            )[0]
            share = functional.interpolate(
                _tensor(presence, self._device)[None, None], (TEXTURE_SIZE,) * 2, mode="bicubic"
            )
            self._personal[number] = (lines * share[0]).half()
        return self._personal[number].float()


def stretch(deformed_m: torch.Tensor, neutral_m: torch.Tensor) -> torch.Tensor:
    """(B, 2, 128, 128): relative change of length along u and along v, smoothed over 3 texels, clamped to +-1."""
    parts = []
    for axis in (-1, -2):
        now, rest = (torch.linalg.vector_norm(_difference(p, axis), dim=1) for p in (deformed_m, neutral_m))
        floor = 0.25 * rest.flatten(1).median(dim=1).values[:, None, None]
        parts.append((now - rest) / rest.clamp(min=1e-5).maximum(floor))
    both = torch.stack(parts, dim=1).clamp(-1, 1)
    return functional.avg_pool2d(both, 5, 1, 2, count_include_pad=False)


def _blurred(values: torch.Tensor) -> torch.Tensor:
    """(B, H, W) averaged over 41 x 41 texels, one axis after the other."""
    across = functional.avg_pool2d(values[:, None], (1, 41), 1, (0, 20))
    return functional.avg_pool2d(across, (41, 1), 1, (20, 0))[:, 0]


def _difference(values: torch.Tensor, axis: int) -> torch.Tensor:
    """Central difference, edges repeated."""
    return (torch.roll(values, -1, axis) - torch.roll(values, 1, axis)) / 2


def _slope(height_mm: torch.Tensor) -> torch.Tensor:
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


def _identity_grid(device: torch.device) -> torch.Tensor:
    """(1, 512, 512, 2) sampling grid that changes nothing."""
    base = torch.eye(2, 3, device=device)[None]
    return functional.affine_grid(base, [1, 1, TEXTURE_SIZE, TEXTURE_SIZE], align_corners=False)


def _tensor(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)
