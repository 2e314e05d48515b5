"""A face lit in its own UV square: every texel of the skin once, whatever the camera sees. Differentiable, torch only.

The same reflectance as the window's renderer (`shaders/lighting/ggx.glsl`) without shadows, scattering and environment:
Lambert diffuse, GGX specular. Used by measures of the finished look and by losses on it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.channels import DIFFUSE, LOG_FLOOR, LOG_RATIOS, NORMAL, ROUGHNESS, SPECULAR
from engine.identity import SKIN_F0
from engine.synth.frames import to_canonical

F0_SCALE = SKIN_F0 / (37.0 / 255.0)
"""F0 per unit of specular intensity: the default of `Identity.specular_f0_scale`."""
MIN_ROUGHNESS = 0.045
"""As in `ggx.glsl`."""


def shade(position_m: Tensor, maps: Tensor, light_direction: Tensor, view_direction: Tensor) -> Tensor:
    """Linear radiance (B, 3, H, W) of the texels under one distant light, seen from far away.

    position_m (B, 3, h, w) metres in the opened layout, at any size; maps (B, 9, H, W) in the canonical layout: linear
    albedo RGB, specular intensity RGB, perceptual roughness, slopes x y. light_direction and view_direction (3,) point
    away from the skin, of any length. The light's irradiance is pi: white Lambert skin facing it shines with 1. Texels
    that face away from light or viewer are 0.

    alpha = roughness^2 (Burley 2012), GGX (Walter et al. 2007, eq. 33), height-correlated Smith (Heitz 2014, eq. 99),
    Fresnel of Schlick 1994.
    """
    return lit(mapped_normal(position_m, maps[:, NORMAL.channels]), maps, light_direction, view_direction)


def lit(normal: Tensor, maps: Tensor, light_direction: Tensor, view_direction: Tensor) -> Tensor:
    """`shade` where the normals (B, 3, H, W) of `mapped_normal` are at hand: they are the same for every light."""
    albedo, intensity, roughness = (maps[:, each.channels] for each in (DIFFUSE, SPECULAR, ROUGHNESS))
    light, view = (_unit(direction, normal) for direction in (light_direction, view_direction))
    half = F.normalize(light + view, dim=1)
    n_l, n_v, n_h = (_dot(normal, direction) for direction in (light, view, half))
    facing = (n_l > 0) & (n_v > 0)
    n_l, n_v = n_l.clamp(min=1e-4), n_v.clamp(min=1e-4)
    alpha2 = roughness.clamp(MIN_ROUGHNESS, 1.0) ** 4
    distribution = alpha2 / (torch.pi * (n_h.square() * (alpha2 - 1.0) + 1.0).square())
    towards_eye = n_l * (n_v.square() * (1.0 - alpha2) + alpha2).sqrt()
    towards_light = n_v * (n_l.square() * (1.0 - alpha2) + alpha2).sqrt()
    visibility = 0.5 / (towards_eye + towards_light)
    f0 = (intensity * F0_SCALE).clamp(0.0, 1.0)
    fresnel = f0 + (1.0 - f0) * (1.0 - _dot(light, half)).clamp(0.0, 1.0) ** 5
    return (albedo + torch.pi * fresnel * distribution * visibility) * n_l * facing


def mapped_normal(position_m: Tensor, slope: Tensor) -> Tensor:
    """Unit normals (B, 3, H, W) of positions (B, 3, h, w) in the opened layout, tilted by slopes (B, 2, H, W)."""
    return tilted(surface_frame(position_m, slope.shape[-1]), slope)


def surface_frame(position_m: Tensor, size: int) -> Tensor:
    """Positions (B, 3, h, w) in the opened layout -> (B, 9, size, size): normal, tangent, up in the canonical layout.

    The normal is interpolated from the position map's own texels; the tangent runs along +u of the canonical layout. A
    texel whose positions do not spread (filled in, off the skin) has the normal 0.
    """
    along_u, along_v = (_difference(position_m, axis) for axis in (-1, -2))
    geometric = _normalised(torch.linalg.cross(along_v, along_u, dim=1), 1e-7)
    both = to_canonical(torch.cat([position_m, geometric], 1), size)
    position, normal = both[:, :3], _normalised(both[:, 3:], 1e-3)
    along = _difference(position, -1)
    tangent = _normalised(along - normal * _dot(along, normal), 1e-5)
    return torch.cat([normal, tangent, torch.linalg.cross(normal, tangent, dim=1)], 1)


def tilted(frame: Tensor, slope: Tensor) -> Tensor:
    """`surface_frame` (B, 9, H, W) and slopes (B, 2, H, W) -> unit normals (B, 3, H, W)."""
    normal, tangent, up = frame.split(3, 1)
    return _normalised(normal + slope[:, :1] * tangent + slope[:, 1:] * up, 1e-3)


def _difference(values: Tensor, axis: int) -> Tensor:
    """Difference of the two neighbours along an axis, the edge itself where there is none."""
    size = values.shape[axis]
    index = torch.arange(size, device=values.device)
    after, before = (index + 1).clamp(max=size - 1), (index - 1).clamp(min=0)
    return values.index_select(axis, after) - values.index_select(axis, before)


def _unit(direction: Tensor, like: Tensor) -> Tensor:
    """(3,) -> (1, 3, 1, 1) of length 1 on `like`'s device."""
    return F.normalize(direction.to(like), dim=0).view(1, 3, 1, 1)


def _normalised(vectors: Tensor, least: float) -> Tensor:
    """(B, 3, H, W) at length 1; what is shorter than `least` is divided by that, so that no gradient explodes.

    Many times faster than `F.normalize` over the channels of large maps.
    """
    return vectors * _dot(vectors, vectors).clamp(min=least**2).rsqrt()


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)


def absolute(neutral: Tensor, change: Tensor) -> Tensor:
    """A neutral's linear maps and a change (B, 9, H, W) both -> the expression's maps (see `engine.channels.MAPS`)."""
    ratios, roughness, slope = LOG_RATIOS, ROUGHNESS.channels, NORMAL.channels
    linear = ((neutral[:, ratios] + LOG_FLOOR) * change[:, ratios].exp() - LOG_FLOOR).clamp(0.0, 1.0)
    rough = (neutral[:, roughness] + change[:, roughness]).clamp(0.0, 1.0)
    return torch.cat([linear, rough, neutral[:, slope] + change[:, slope]], 1)


def render_loss(neutral: Tensor, frame: Tensor, found: Tensor, wanted: Tensor, rng: torch.Generator) -> Tensor:
    """Mean difference in log radiance of two changes of one neutral, under two random lights and views; a scalar.

    neutral, found and wanted (B, 9, H, W), which are halved first; frame (B, 9, H/2, W/2) of the posed surface.
    """
    neutral, found, wanted = (F.avg_pool2d(maps, 2) for maps in (neutral, found, wanted))
    expressed = absolute(neutral, found), absolute(neutral, wanted)
    both = [(tilted(frame, maps[:, NORMAL.channels]), maps) for maps in expressed]
    loss = torch.zeros((), device=neutral.device)
    for _ in range(2):
        light, view = (torch.randn(3, generator=rng) for _ in range(2))
        light, view = light + torch.tensor([0.0, 0.0, 1.5]), 0.4 * view + torch.tensor([0.0, 0.0, 1.5])
        one, other = (lit(normal, maps, light, view) for normal, maps in both)
        loss = loss + ((one + 0.02).log() - (other + 0.02).log()).abs().mean() / 2
    return loss
