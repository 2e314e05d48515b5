"""From the true maps of a neutral to the texture a user has: albedo in unknown baked light, seen by some camera.

Textures made from photographs (FFHQ-UV: Bai et al. 2023, light evened out but not gone) hold shading, shine, colour
cast, noise and loose hair. Light is a low-order spherical-harmonics environment (Ramamoorthi and Hanrahan 2001); the
relief is lit through the gradient of its irradiance. All strengths are a person's own; about a quarter of people get
nearly flat light.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from engine.channels import DIFFUSE, NORMAL, SPECULAR
from engine.face.skin import SPECULAR_MEAN
from engine.synth.brows import stray_strands
from engine.synth.frames import to_canonical
from engine.synth.masks import Where
from engine.synth.noise import Noise, blur

FLAT_SHARE = 0.25
_FACE = ("forehead", "cheek", "nose", "chin", "mouth_area")
_Tensors = tuple[Tensor, Tensor, Tensor]


def photograph(neutral: Tensor, position_m: Tensor, seeds: list[int]) -> Tensor:
    """(B, 3, S, S) texture, sRGB 0..1, of `neutral` (B, 9, S, S) maps on heads (B, 3, 128, 128) m, opened layout.

    Light and camera of person i follow from `seeds[i]` alone.
    """
    noise = Noise(seeds, 0xF070, neutral.device)
    size = neutral.shape[-1]
    how = noise.uniform(6)
    lit = ((how[:, 0] - FLAT_SHARE) / (1 - FLAT_SHARE)).clamp(0, 1)
    lit = (0.04 + 0.96 * lit)[:, None, None, None]
    right, up, normal = _frames(position_m)
    shade = _shading(right, up, normal, noise, lit)
    hollow = _hollowness(position_m, normal) * (how[:, 1, None, None, None] * (0.25 + 0.75 * lit))
    shine = _shine(normal, noise) * lit
    maps = to_canonical(torch.cat([*shade, hollow, shine], 1), size)
    skin = (1 - Where(size, noise.device).inner_charts()) * maps
    light, along_x, along_y, hollow, shine = skin.split((3, 1, 1, 1, 1), 1)
    albedo, specular, slope = (neutral[:, each.channels] for each in (DIFFUSE, SPECULAR, NORMAL))
    relief = slope[:, :1] * along_x + slope[:, 1:] * along_y
    shading = (1 + light) * (1 + relief.clamp(-0.6, 0.6)) * (-hollow).exp()
    oil = (specular.mean(1, keepdim=True) / float(SPECULAR_MEAN.mean())) ** 2
    gloss = 0.065 * how[:, 2, None, None, None] ** 2 * shine * oil
    seen = albedo * shading + gloss * (1 + 2 * relief).clamp(0, 2)
    strands = 0.8 * stray_strands(((how[:, 3] - 0.7) / 0.3).clamp(0, 1), noise, size)
    forehead = slice(0, size // 8), slice(size // 2 - size // 16, size // 2 + size // 16)
    hair = albedo[..., *forehead].mean((2, 3), keepdim=True)
    seen = seen + strands[:, None] * (0.9 * hair - seen)
    return _camera(seen, noise, how[:, 4:], lit)


def _frames(position_m: Tensor) -> _Tensors:
    """Unit right and up tangents and outward normal of the smoothed surface, (B, 3, H, W) each; 0 where it is flat in
    a point."""
    smooth = blur(position_m, 1.2)
    down, right = torch.gradient(smooth, dim=(2, 3))
    normal = functional.normalize(torch.linalg.cross(down, right, dim=1), dim=1, eps=1e-12)
    right = functional.normalize(right, dim=1, eps=1e-12)
    return right, torch.linalg.cross(normal, right, dim=1), normal


def _shading(right: Tensor, up: Tensor, normal: Tensor, noise: Noise, lit: Tensor) -> _Tensors:
    """Irradiance over its mean less 1, (B, 3, H, W), and its relative change to the right and up, (B, 1, H, W) each.

    A sky that is brighter above and in front, and random second-order harmonics; colours vary less than brightness.
    Textures pieced together from photographs are lit on the face only: for some the light fades beyond.
    """
    first = 0.32 * noise.normal(3, 1) + 0.025 * noise.normal(3, 3)
    first = first + torch.tensor([[0.0], [0.22], [0.28]], device=noise.device)
    second = 0.06 * noise.normal(5, 1) + 0.008 * noise.normal(5, 3)
    x, y, z = normal.unbind(1)
    basis = torch.stack([x * y, y * z, x * z, x * x - y * y, 3 * z * z - 1], 1)
    linear = torch.einsum("bkc,bkhw->bchw", first, normal)
    swing = (linear + torch.einsum("bkc,bkhw->bchw", second, basis)) * lit
    front = _face_mean(swing)
    # what evening the light has left behind
    blotch = noise.band(swing.shape[-1], 6) + 0.7 * noise.band(swing.shape[-1], 14)
    swing = swing + 0.07 * noise.uniform(1, 1, 1) * lit * blotch[:, None]
    face, evened = Where(swing.shape[-1], swing.device)(*_FACE, soft=0.06), noise.uniform(1, 1, 1)
    swing = (swing - front) * (1 - evened * (1 - face))
    light = functional.softplus(1 + swing - 0.15, 6) + 0.15
    grey = first.mean(2)[:, :, None, None] * lit
    level = light.mean(1, keepdim=True)
    return light - 1, (grey * right).sum(1, keepdim=True) / level, (grey * up).sum(1, keepdim=True) / level


def _face_mean(maps: Tensor) -> Tensor:
    """(B, C, 1, 1) mean of (B, C, H, W) over the face's middle."""
    weight = Where(maps.shape[-1], maps.device)(*_FACE)
    return (maps * weight).sum((2, 3), keepdim=True) / weight.sum()


def _hollowness(position_m: Tensor, normal: Tensor) -> Tensor:
    """(B, 1, H, W) 0..1: how far the surface lies behind its surroundings, in a few millimetres and in a centimetre."""
    depth = torch.zeros_like(position_m[:, :1])
    for sigma, scale_m in ((1.5, 0.0008), (4.0, 0.004)):
        behind = ((blur(position_m, sigma) - position_m) * normal).sum(1, keepdim=True)
        depth = depth + 0.5 * (behind / scale_m).clamp(0, 1)
    return blur(depth, 0.8)


def _shine(normal: Tensor, noise: Noise) -> Tensor:
    """(B, 1, H, W) blurry highlights of two lights, seen from the front (Blinn 1977)."""
    total = torch.zeros_like(normal[:, :1])
    for side in (-0.5, 0.5):
        own = noise.normal(3)
        direction = torch.stack([side + 0.4 * own[:, 0], 0.45 + 0.3 * own[:, 1], torch.ones_like(own[:, 0])], 1)
        half = functional.normalize(direction, dim=1)
        half = functional.normalize(half + torch.tensor([0.0, 0.0, 1.0], device=half.device), dim=1)
        facing = (normal * half[:, :, None, None]).sum(1, keepdim=True).clamp(0, 1)
        total = total + facing**18 * (0.5 + 0.5 * own[:, 2, None, None, None].abs())
    return total


def _camera(linear: Tensor, noise: Noise, how: Tensor, lit: Tensor) -> Tensor:
    """sRGB 0..1 of scene light: cast and exposure, tone, softness or sharpening, sensor noise."""
    wide = how[:, :, None, None, None]
    draw = noise.normal(3)
    warm = 0.08 * draw[:, 0, None] * torch.tensor([1.0, 0.0, -1.0], device=linear.device)
    cast = warm + 0.06 * draw[:, 1, None] * torch.tensor([0.5, -1.0, 0.5], device=linear.device)
    exposure = 0.28 * draw[:, 2, None, None, None].clamp(-2, 2)
    gain = ((cast[:, :, None, None] + exposure) * (0.25 + 0.75 * lit)).exp()
    seen = linear * gain
    # a film's shoulder, so that bright skin keeps its detail
    seen = torch.where(seen > 0.7, 0.7 + 0.3 * torch.tanh((seen - 0.7) / 0.3), seen).clamp(min=0)
    srgb = torch.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen.clamp(min=1e-6) ** (1 / 2.4) - 0.055)
    soft = blur(srgb, 0.8)
    srgb = srgb + (0.9 * wide[:, 0] - 0.55) * (srgb - soft)
    grain = noise.normal(3, linear.shape[-2], linear.shape[-1])
    grain = 0.6 * grain + 0.8 * grain.mean(1, keepdim=True)
    return (srgb + 0.008 * wide[:, 1] ** 2 * grain).clamp(0, 1)
