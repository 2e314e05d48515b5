"""Light on UV squares against closed forms: Lambert, the GGX peak, tilts by slopes, and gradients."""

import math

import numpy as np
import pytest
import torch

from engine.diffusion.shading import F0_SCALE, mapped_normal, shade
from engine.face.layout import SLITS

FRONT = torch.tensor([0.0, 0.0, 1.0])
SIZE, TEXELS = 32, 64


def plane(normal=(0.0, 0.0, 1.0)):
    """(1, 3, 32, 32) metres: a flat sheet in the opened layout, u to the right, v down, facing `normal`."""
    n = np.asarray(normal) / np.linalg.norm(normal)
    right = np.cross((0.0, 1.0, 0.0), n)
    right /= np.linalg.norm(right)
    y, x = np.meshgrid(*[np.arange(SIZE) / SIZE * 0.2] * 2, indexing="ij")
    sheet = x[..., None] * right - y[..., None] * np.cross(n, right)
    return torch.from_numpy(np.ascontiguousarray(sheet.transpose(2, 0, 1)[None], np.float32))


def skin(albedo=0.5, specular=0.2, roughness=0.5, slope=(0.0, 0.0)):
    channels = [albedo] * 3 + [specular] * 3 + [roughness, *slope]
    return torch.tensor(channels)[None, :, None, None].expand(1, 9, TEXELS, TEXELS)


def direction(degrees, axis=0):
    at = [0.0, 0.0, math.cos(math.radians(degrees))]
    at[axis] = math.sin(math.radians(degrees))
    return torch.tensor(at)


def closed_form(albedo, specular, roughness, n, light, view):
    """Scalar radiance in float64, written from the papers and not from the code."""
    n, light, view = (np.asarray(v, np.float64) / np.linalg.norm(v) for v in (n, light, view))
    half = (light + view) / np.linalg.norm(light + view)
    nl, nv, nh = n @ light, n @ view, n @ half
    alpha = roughness**2
    d = alpha**2 / (np.pi * ((nh * nh) * (alpha**2 - 1) + 1) ** 2)

    def smith_lambda(cosine):
        return (math.sqrt(1 + alpha**2 * (1 / cosine**2 - 1)) - 1) / 2

    g = 1 / (1 + smith_lambda(nl) + smith_lambda(nv))
    f0 = specular * 0.028 * 255 / 37
    f = f0 + (1 - f0) * (1 - light @ half) ** 5
    return np.pi * nl * (albedo / np.pi + d * g * f / (4 * nl * nv))


def test_lambert_at_normal_incidence_is_the_albedo():
    lit = shade(plane(), skin(albedo=0.37, specular=0.0, roughness=1.0), FRONT, direction(60))
    schlick = (1 - math.cos(math.radians(30))) ** 5  # what Fresnel leaves of a black specular map
    torch.testing.assert_close(lit, torch.full_like(lit, 0.37), atol=2 * schlick, rtol=0)


def test_the_ggx_peak_is_one_over_pi_alpha_squared():
    roughness, specular = 0.4, 0.6
    lit = shade(plane(), skin(0.0, specular, roughness), FRONT, FRONT)
    # D = 1 / (pi alpha^2), G = 1, F = F0; times pi, over 4
    peak = specular * F0_SCALE / (4 * roughness**4)
    torch.testing.assert_close(lit, torch.full_like(lit, peak), rtol=1e-4, atol=0)


@pytest.mark.parametrize("roughness", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("light", "view"), [(30, -10), (70, 40), (-50, 75)])
def test_it_follows_the_papers_at_any_angle(roughness, light, view):
    normal = (0.2, 0.3, 1.0)
    lit = shade(plane(normal), skin(0.5, 0.3, roughness), direction(light), direction(view, axis=1))
    wanted = closed_form(0.5, 0.3, roughness, normal, direction(light).numpy(), direction(view, axis=1).numpy())
    torch.testing.assert_close(lit, torch.full_like(lit, wanted), rtol=2e-3, atol=0)


def test_slopes_tilt_to_the_right_and_up_the_image():
    below = slice(TEXELS * 3 // 4, None)  # far from the slits both layouts are one, so the sheet is straight in either
    normal = mapped_normal(plane(), skin(slope=(0.3, 0.0))[:, 7:])[:, :, below]
    right = torch.nn.functional.normalize(torch.tensor([0.3, 0.0, 1.0]), dim=0)
    torch.testing.assert_close(normal, right[None, :, None, None].expand_as(normal), atol=1e-5, rtol=0)
    up = mapped_normal(plane(), skin(slope=(0.0, 0.3))[:, 7:])[:, :, below]
    torch.testing.assert_close(up[:, 1], torch.full_like(up[:, 1], 0.3 / math.hypot(1, 0.3)), atol=1e-5, rtol=0)


def test_what_faces_away_is_black():
    assert not shade(plane(), skin(), -FRONT, FRONT).any()
    assert not shade(plane(), skin(), FRONT, -FRONT).any()


def test_positions_are_looked_up_in_the_opened_layout():
    """A ridge along the line on which the upper lip's rim lies there is seen at the lips' line of the texture."""
    mouth = SLITS[0]
    size = 128
    row = int((0.58 - mouth.half_gap) * size)
    position = torch.nn.functional.interpolate(plane(), (size, size), mode="bilinear")
    position[:, 2, row:] -= 0.02
    normal = mapped_normal(position, torch.zeros(1, 2, 512, 512))[0, 1]
    tilted = (normal[:, 256].abs() > 0.1).nonzero().flatten()
    assert len(tilted)
    assert abs(float(tilted.float().mean()) / 512 - 0.58) < 0.015  # unopened it would be 0.025 above


def test_gradients_reach_positions_and_maps_and_stay_finite():
    position = plane((0.1, 0.2, 1.0)).clone()
    position[..., :4] = position[..., 4:5]  # texels that were filled in,
    position[..., 20:, :] = position[..., 20:21, :1]  # to a line and to a point
    position.requires_grad_()
    maps = skin().clone().requires_grad_()
    shade(position, maps, direction(40), FRONT).mean().backward()
    for leaf in (position, maps):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert 0 < float(leaf.grad.abs().max()) < 1e4  # a jump of 10 cm beside collapsed texels; unbounded, 5e8
