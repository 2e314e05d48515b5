"""The picture that converges: what is drawn from where, and what the mean comes to."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.color import linear_from_srgb
from engine.identity import Identity
from engine.project import new_project
from engine.render import offscreen, sampling
from engine.render.environment import BUILT_IN, equirect_directions, equirect_radiance
from engine.render.offscreen import render_image, render_layers, render_light
from engine.render.renderer import Renderer
from engine.render.sampling import EnvironmentSampler, frame_sample
from engine.render.sources import MOST_LIGHTS
from engine.scene import Camera, Environment, Lamp, Scene, ToneCurve, ViewChannel
from tests.heads import make_head

from .test_environment import write_hdr
from .test_pictures import DARK, flat_maps, make_card, scened, sky, two_cards

__all__ = ["sky"]


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64, rings=40, segments=64)


def sampler_of(radiance: np.ndarray) -> EnvironmentSampler:
    return EnvironmentSampler(radiance, *equirect_directions(*radiance.shape[:2]))


def test_drawn_lights_give_what_the_environment_gives() -> None:
    radiance = np.random.default_rng(3).gamma(0.3, 1.0, (16, 32, 3)).astype(np.float32)
    directions, areas = equirect_directions(16, 32)
    points = np.random.default_rng(4).random((40000, 2))
    lights = sampler_of(radiance).lights(points)
    towards = np.array([one.towards for one in lights])
    irradiance = np.array([one.irradiance_linear for one in lights])
    for normal in np.eye(3):
        found = (np.maximum(towards @ normal, 0)[:, None] * irradiance).mean(axis=0)
        expected = ((np.maximum(directions @ normal, 0) * areas)[..., None] * radiance).sum(axis=(0, 1))
        np.testing.assert_allclose(found, expected, rtol=0.03)


def test_a_dark_environment_has_no_lights() -> None:
    assert sampler_of(np.zeros((4, 8, 3), np.float32)).lights(np.full((3, 2), 0.5)) == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_sample_is_a_frame_that_can_be_drawn(name: str) -> None:
    scene = Scene(environment=Environment(name), fill_lights=(Lamp(),) * 5)
    sampler = sampler_of(equirect_radiance(name))
    samples = [frame_sample(scene, sampler, number) for number in (0, 1, 255, 70000)]
    assert samples[0] == frame_sample(scene, sampler, 0)
    assert samples[0] != samples[1]
    for sample in samples:
        assert len(sample.lights) == MOST_LIGHTS
        assert max(map(abs, sample.shift_px)) <= 0.5
        assert all(np.linalg.norm(light.towards) == pytest.approx(1) for light in sample.lights)


def test_samples_fill_pixel_and_lamp() -> None:
    lamp = Lamp(yaw_rad=0.0, pitch_rad=0.0, shadow_softness_m=0.02)
    scene = Scene(environment=Environment("Even"), key_light=lamp)
    samples = [frame_sample(scene, sampler_of(equirect_radiance("Even")), number) for number in range(256)]
    shift = np.array([sample.shift_px for sample in samples])
    towards = np.array([sample.lights[0].towards for sample in samples])
    assert np.abs(shift.mean(axis=0)).max() < 0.01
    assert shift.std(axis=0) == pytest.approx([1 / math.sqrt(12)] * 2, rel=0.02)
    reach = 0.02 / (2 * 0.03)
    assert np.hypot(towards[:, 0], towards[:, 1]).max() / towards[:, 2].min() == pytest.approx(reach, rel=0.12)
    assert np.abs(np.corrcoef(np.concatenate([shift, towards[:, :2]], axis=1).T) - np.eye(4)).max() < 0.1


def test_even_light_on_an_open_surface_is_exact(renderer: Renderer, sky: Callable[[float], str]) -> None:
    """A white card sends out what comes in, by few lights as by many."""
    card = make_card(flat_maps(255, 37, 255))
    project = scened(
        new_project(card), camera=Camera(distance_m=0.5), key_light=DARK, environment=Environment(sky(0.5))
    )
    light = render_light(project, 8, 8, samples=256, renderer=renderer)
    np.testing.assert_allclose(light[4, 4], [0.5, 0.5, 0.5, 1.0], rtol=0.01)


def test_it_comes_to_the_picture_that_is_drawn_at_once(renderer: Renderer) -> None:
    """Where nothing hides anything, under soft light."""
    card = make_card(flat_maps(150, 37, 128))
    project = scened(new_project(card), camera=Camera(distance_m=0.5), environment=Environment("Overcast"))
    found = render_light(project, 8, 8, samples=512, renderer=renderer)[4, 4]
    at_once = render_layers(project, 8, 8, renderer=renderer)["RGBA"][4, 4]
    np.testing.assert_allclose(found, at_once, rtol=0.02)


def test_the_environment_casts_shadows(renderer: Renderer, tmp_path: Path) -> None:
    """A window in the picture, no sun: what lies behind a card is dark in the converged picture alone."""
    sky = np.zeros((32, 64, 3), np.float32)
    sky[14:18, 54:58] = 8.0  # 45 degrees between +Z and +X
    environment = Environment(write_hdr(tmp_path / "window.exr", sky), suns=False)
    project = scened(new_project(two_cards()), camera=Camera(distance_m=0.7), key_light=DARK, environment=environment)
    scale = 128 / (2 * 0.7 * math.tan(math.radians(10)))

    def behind(samples: int) -> float:
        """Light behind the front card, in terms of that beside it."""
        row = linear_from_srgb(render_image(project, 128, 128, samples=samples, renderer=renderer)[64])
        return float(row[int(64 - 0.075 * scale)].mean() / row[int(64 + 0.07 * scale)].mean())

    assert behind(0) > 0.5
    assert behind(64) < 0.1


def test_the_error_falls(renderer: Renderer, head: Identity) -> None:
    project = scened(new_project(head), environment=Environment("Studio"))
    truth = render_light(project, 32, 32, samples=1024, renderer=renderer)
    errors = [
        float(np.sqrt(((render_light(project, 32, 32, samples=count, renderer=renderer) - truth) ** 2).mean()))
        for count in (4, 64)
    ]
    assert errors[1] < 0.4 * errors[0]


def test_tiles_and_transparency(renderer: Renderer, head: Identity, monkeypatch: pytest.MonkeyPatch) -> None:
    project = scened(new_project(head), tone_curve=ToneCurve.LINEAR, environment=Environment("Sunset", visible=True))
    whole = render_image(project, 50, 40, samples=8, renderer=renderer).astype(int)
    clear = render_image(project, 50, 40, samples=8, transparent=True, renderer=renderer)
    monkeypatch.setattr(offscreen, "TILE", 24)
    tiled = render_image(project, 50, 40, samples=8, renderer=renderer).astype(int)
    assert (np.abs(whole - tiled).max(axis=2) > 2).mean() < 0.01
    inside = clear[..., 3] == 255
    assert inside.any()
    np.testing.assert_allclose(clear[inside][:, :3], whole[inside], atol=1)
    assert set(np.unique(clear[0, 0])) == {0}
    assert ((clear[..., 3] > 0) & ~inside).any()  # edges are soft


@pytest.mark.parametrize(
    "changes",
    [
        *({"channel": channel} for channel in (ViewChannel.DIFFUSE, ViewChannel.NORMAL, ViewChannel.CURVATURE)),
        {"uv_view": True},
        {"wireframe": True},
    ],
    ids=str,
)
def test_what_light_does_not_make_is_drawn_at_once(renderer: Renderer, head: Identity, changes: dict) -> None:
    project = scened(new_project(head), environment=Environment("Studio", visible=True), **changes)
    at_once, asked = (render_image(project, 48, 48, samples=count, renderer=renderer) for count in (0, 4))
    np.testing.assert_array_equal(asked, at_once)
    lit = scened(project, channel=ViewChannel.SHADED, uv_view=False, wireframe=False)
    at_once, asked = (render_image(lit, 48, 48, samples=count, renderer=renderer) for count in (0, 4))
    assert (asked != at_once).mean() > 0.1


def test_shipped_points_are_those_that_are_drawn() -> None:
    assert np.array_equal(np.load(sampling._POINTS), sampling.draw_points())
