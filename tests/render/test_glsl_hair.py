"""GLSL functions of light from hair: closed forms, a furnace, and the sum of what lights send."""

from __future__ import annotations

import math
from collections.abc import Iterator

import moderngl
import numpy as np
import pytest

from engine.render.environment import EnvironmentCache, equirect_directions
from engine.render.occlusion import sphere_directions
from engine.render.sources import LightSource

from .conftest import Evaluate, Upload
from .glsl import BALL, lit_by, rows, unit, vec3

RNG = np.random.default_rng(5)
HAIR = "lighting/hair.glsl"
TANGENT, OUT = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
COLOUR = 0.2, 0.1, 0.05
POINT = vec3(BALL[0])
SUN = LightSource(tuple(unit(np.array([0.5, 0.4, 0.7]))), (2.0, 1.0, 0.5))
SURFACE = (
    f"Surface s = Surface({vec3(COLOUR)}, vec3(0.0465), 0.42, {vec3(TANGENT)}, {vec3(OUT)}, vec3(0.0), 0.0, 0.8,"
    " vec3(1.0), vec4(0.0, 0.0, 0.75, 0.5));"
)


@pytest.fixture
def open_air(upload: Upload) -> moderngl.Texture:
    """A shadow map in which nothing is."""
    return upload(np.ones((4, 4), np.float32), depth="<=")


@pytest.fixture
def even(context: moderngl.Context) -> Iterator[moderngl.Texture]:
    """The atlas of an environment of radiance 1."""
    cache = EnvironmentCache(context)
    directions, _ = equirect_directions(64, 128)
    yield cache.picture(np.ones((*directions.shape[:2], 3), np.float32), "even").atlas
    cache.release()


def lobes(tangent: np.ndarray, light: np.ndarray, eye: np.ndarray, roughness: float = 0.42) -> np.ndarray:
    """(N, 3) what docs/shading.md says of hair, float64."""
    sin_l, sin_v = light @ tangent, eye @ tangent
    cos_d = np.cos(0.5 * np.abs(np.arcsin(sin_v) - np.arcsin(sin_l)))
    lp, vp = light - sin_l[:, None] * tangent, eye - sin_v[:, None] * tangent
    cos_phi = (lp * vp).sum(1) / np.sqrt((lp**2).sum(1) * (vp**2).sum(1) + 1e-4)
    half = np.sqrt(np.clip(0.5 + 0.5 * cos_phi, 0, 1))
    width, f0 = roughness**2, 0.0465

    def gauss(w: np.ndarray | float, x: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * (x / w) ** 2) / (math.sqrt(2 * math.pi) * w)

    def fresnel(cosine: np.ndarray) -> np.ndarray:
        return f0 + (1 - f0) * (1 - np.clip(cosine, 0, 1)) ** 5

    surface = gauss(width * math.sqrt(2) * np.maximum(half, 0.2), sin_l + sin_v + 0.07) * 0.25 * half
    surface = surface * fresnel(np.sqrt(np.clip(0.5 + 0.5 * (light * eye).sum(1), 0, 1)))
    f = fresnel(0.5 * cos_d)
    through = np.array(COLOUR) ** (0.8 / np.maximum(cos_d, 0.2))[:, None]
    inner = gauss(2 * width, sin_l + sin_v - 0.14) * (1 - f) ** 2 * f * np.exp(17 * cos_phi - 16.78)
    return surface[:, None] + inner[:, None] * through


def views(count: int = 200) -> np.ndarray:
    found = unit(RNG.normal(0, 1, (count, 3)))
    return found * np.where(found[:, 2:] < 0, -1, 1)


def test_longitudinal_lobe_holds_all_its_light(evaluate: Evaluate) -> None:
    x = np.linspace(-2, 2, 4001)
    for width in (0.05, 0.3):
        found = evaluate(HAIR, "vec4(longitudinal(x.y, x.x), 0, 0, 0)", rows(x, width))[:, 0]
        assert found.sum() * (x[1] - x[0]) == pytest.approx(1, abs=1e-3)


def test_hair_is_shaded_softly_by_the_skin_below(evaluate: Evaluate) -> None:
    l = unit(RNG.normal(0, 1, (100, 3)))  # noqa: E741
    found = evaluate(HAIR, f"vec4(hair_wrap({vec3(OUT)}, x.xyz), 0, 0, 0)", rows(*l.T))[:, 0]
    np.testing.assert_allclose(found, np.clip((l @ OUT + 0.35) / 1.35, 0, 1), atol=1e-5)


def test_lobes_are_those_of_the_paper(evaluate: Evaluate) -> None:
    v, towards = views(), np.array(SUN.towards)
    call = f"vec4(hair_lobes({vec3(TANGENT)}, {vec3(towards)}, x.xyz, {vec3(COLOUR)}, 0.42), 1)"
    found = evaluate(HAIR, call, rows(*v.T))[:, :3]
    np.testing.assert_allclose(found, lobes(TANGENT, np.tile(towards, (len(v), 1)), v), rtol=5e-3, atol=1e-5)


def test_lobes_send_back_less_than_they_get() -> None:
    """In the mean over all eyes; the rest is in the diffuse part."""
    eyes = sphere_directions(4000)
    for towards in (OUT, unit(np.array([0.3, 0.8, 0.5]))):
        share = lobes(TANGENT, np.tile(towards, (len(eyes), 1)), eyes).mean(axis=0) * 4 * np.pi
        assert (share > 0.005).all()
        assert (share < 0.35).all()
        assert share[0] > share[2]  # takes the hair's colour


def _light(
    evaluate: Evaluate, call: str, v: np.ndarray, samplers: dict, frame: np.ndarray, *defines: str
) -> np.ndarray:
    before = SURFACE + f"Light light = {call};"
    return np.stack(
        [
            evaluate(HAIR, f"vec4(light.{name}, 1)", rows(*v.T), samplers, defines, before=before, frame=frame)[:, :3]
            for name in ("scattered", "specular")
        ]
    )


def test_hair_under_one_light(evaluate: Evaluate, open_air: moderngl.Texture) -> None:
    v, towards = views(60), np.array(SUN.towards)
    call = f"hair_from({vec3(towards)}, vec3(2, 1, 0.5), 0, s, {vec3(TANGENT)}, x.xyz, {POINT})"
    scattered, specular = _light(evaluate, call, v, {"t_shadow": open_air}, lit_by(SUN))
    sine = math.sqrt(1 - (towards @ TANGENT) ** 2)
    lit = 0.8 * (towards @ OUT + 0.35) / 1.35 * np.array(SUN.irradiance_linear)
    np.testing.assert_allclose(scattered, np.tile(sine * lit / np.pi, (60, 1)), rtol=5e-3)
    expected = lobes(TANGENT, np.tile(towards, (60, 1)), v) * sine * lit
    np.testing.assert_allclose(specular, expected, rtol=1e-2, atol=1e-5)


def test_hair_in_an_even_environment(evaluate: Evaluate, even: moderngl.Texture) -> None:
    v = views(60)
    frame = lit_by(environment=(1, 0, 1, 0))
    call = f"hair_environment(s, {vec3(TANGENT)}, x.xyz)"
    scattered, specular = _light(evaluate, call, v, {"t_environment": even}, frame)
    np.testing.assert_allclose(scattered, 0.8, rtol=0.01)
    np.testing.assert_allclose(specular, np.tile(0.8 * 0.58**2 * (0.06 + 0.80 * np.array(COLOUR)), (60, 1)), rtol=0.01)


def test_shade_hair_adds_up_all_lights(evaluate: Evaluate, open_air: moderngl.Texture, even: moderngl.Texture) -> None:
    eye = BALL[0] + 0.6 * unit(np.array([0.2, 0.1, 1.0]))
    frame = lit_by(SUN, SUN, environment=(1, 0, 1, 0), eye_m=(*eye, 1))
    v = np.tile(unit(eye - BALL[0]), (4, 1))
    samplers = {"t_shadow": open_air, "t_environment": even}
    whole = _light(evaluate, f"shade_hair(s, {POINT})", v, samplers, frame)
    one = f"hair_from({vec3(SUN.towards)}, {vec3(SUN.irradiance_linear)}, 0, s, s.normal, x.xyz, {POINT})"
    around = _light(evaluate, "hair_environment(s, s.normal, x.xyz)", v, {"t_environment": even}, frame)
    np.testing.assert_allclose(whole, around + 2 * _light(evaluate, one, v, {"t_shadow": open_air}, frame), rtol=5e-3)
