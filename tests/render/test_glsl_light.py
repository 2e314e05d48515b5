"""GLSL functions of light and surface one by one: against integration, closed forms and numpy in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.render.environment import EnvironmentCache, equirect_directions
from engine.render.frame import pack_frame
from engine.render.occlusion import sphere_directions
from engine.render.sources import LightSource, point_of, turned
from engine.render.tables import SKIN_GAUSSIANS, dfg_texture, ltc_texture, scatter_table
from engine.scene import LampKind, Scene
from tests.heads import make_head

from .conftest import Evaluate, Samplers, Upload
from .test_lamps import samples

RNG = np.random.default_rng(11)
SURFACE = "lighting/surface.glsl"
BALL = np.array([0.02, -0.01, 0.03]), 0.15
"""Around the head: centre and radius in metres."""
AXIS = np.array([0.48, -0.6, 0.64])
SKY = np.array([0.9, 0.6, 0.4]), np.array([0.3, 0.5, 0.2])
"""Mean of a sky and how it grows along AXIS, RGB: radiance is mean + growth (AXIS . d)."""


WHITE = 1.0, 1.0, 1.0


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rows(*columns: np.ndarray | float) -> np.ndarray:
    """(N, 4) inputs from columns, the rest 0."""
    found = np.broadcast_arrays(*[np.asarray(each, float) for each in columns], np.zeros(1))
    return np.concatenate([np.stack(found[:-1], -1), np.zeros((len(found[0]), 5 - len(found)))], -1)


def vec3(vector: np.ndarray | tuple[float, ...]) -> str:
    return f"vec3({', '.join(f'{float(each):.9f}' for each in vector)})"


def lit_by(*lights: LightSource, **changes: object) -> np.ndarray:
    """The frame of `lights`, with shadow maps of 64 texels."""
    frame = pack_frame(Scene(), make_head(8, rings=3, segments=4), (8, 8), BALL, [(each, 64) for each in lights], False)
    for name, value in changes.items():
        frame[name] = value
    return frame


# --- numpy


def interpolated(table: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H, W, C) `table`, whose outer texels stand at 0 and 1, bilinearly at `x` along its rows and `y` across them."""
    height, width = table.shape[:2]
    column, row = np.clip(x, 0, 1) * (width - 1), np.clip(y, 0, 1) * (height - 1)
    left, top = np.minimum(column.astype(int), width - 2), np.minimum(row.astype(int), height - 2)
    across, down = (column - left)[..., None], (row - top)[..., None]
    above = table[top, left] * (1 - across) + table[top, left + 1] * across
    return above * (1 - down) + (table[top + 1, left] * (1 - across) + table[top + 1, left + 1] * across) * down


def reflected(f0: np.ndarray | float, table: np.ndarray) -> np.ndarray:
    """Share of light that a surface with (..., 2) `table` sends back, the light that bounces more than once too."""
    once = table.sum(-1)
    return (f0 * table[..., 0] + table[..., 1]) * (1 + f0 * (1 / once - 1))


class Skin:
    """A surface in numpy: what leaves under light from one direction, by the BRDF of docs/shading.md."""

    def __init__(self, dfg: np.ndarray, f0: float = 0.04, roughness: float = 0.4) -> None:
        self.dfg, self.f0, self.roughness = dfg, f0, roughness

    def table(self, cosine: np.ndarray | float) -> np.ndarray:
        cosine = np.asarray(cosine, float)
        return interpolated(self.dfg, cosine, np.full_like(cosine, self.roughness))

    def enters(self, NoL: np.ndarray | float, NoV: np.ndarray | float) -> np.ndarray:
        light, eye = (reflected(self.f0, self.table(each)[..., :2]) for each in (NoL, NoV))
        return (1 - light) * (1 - eye) / (1 - reflected(self.f0, self.table(NoV)[..., 2:]))

    def light(self, n: np.ndarray, v: np.ndarray, l: np.ndarray, sun_rad: float = 0.0) -> np.ndarray:  # noqa: E741
        """(..., 2) scattered and specular radiance under irradiance 1 across the light."""
        NoL, NoV, h = np.maximum((n * l).sum(-1), 0), (n * v).sum(-1), unit(v + l)
        a2 = self.roughness**4 + sun_rad**2 / 4
        tangent = lambda c: np.sqrt(np.maximum(1 / np.maximum(c, 1e-6) ** 2 - 1, 0))  # noqa: E731
        smith = [(np.sqrt(1 + a2 * tangent(c) ** 2) - 1) / 2 for c in (NoL, NoV)]
        d = a2 / (np.pi * (1 - (n * h).sum(-1) ** 2 * (1 - a2)) ** 2)
        fresnel = self.f0 + (1 - self.f0) * (1 - (l * h).sum(-1)) ** 5
        gain = 1 + self.f0 * (1 / self.table(NoV)[..., :2].sum(-1) - 1)
        specular = fresnel * d / (1 + smith[0] + smith[1]) / (4 * np.maximum(NoV, 1e-6)) * gain
        return np.stack([self.enters(NoL, NoV) * NoL / np.pi, np.where(NoL > 0, specular, 0)], -1)


@pytest.fixture
def dfg(context: moderngl.Context) -> Iterator[tuple[moderngl.Texture, np.ndarray]]:
    """The table of reflectance, and the same in numpy."""
    texture = dfg_texture(context)
    height, width = texture.size[1], texture.size[0]
    yield texture, np.frombuffer(texture.read(), np.float32).reshape(height, width, 4).astype(float)
    texture.release()


@pytest.fixture
def sky(context: moderngl.Context) -> Iterator[moderngl.Texture]:
    """The atlas of SKY."""
    cache = EnvironmentCache(context)
    directions, _ = equirect_directions(128, 256)
    yield cache.picture((SKY[0] + (directions @ AXIS)[..., None] * SKY[1]).astype(np.float32), "sky").atlas
    cache.release()


@pytest.fixture
def open_air(upload: Upload) -> moderngl.Texture:
    """A shadow map in which nothing is."""
    return upload(np.ones((4, 4), np.float32), depth="<=")


@pytest.fixture
def scatter(upload: Upload) -> moderngl.Texture:
    return upload(scatter_table())


# --- environment


def test_an_environment_turns_around_the_vertical(evaluate: Evaluate) -> None:
    """`turned` brings its suns into the world; look-ups go the other way. A quarter turn brings -Z to where -X was."""
    own = unit(RNG.normal(0, 1, (50, 3)))
    for angle in (0.0, 0.7, math.pi / 2, -2.0):
        world = np.array([turned(LightSource(tuple(each), WHITE), angle).towards for each in own])
        frame = lit_by(environment=(math.cos(angle), math.sin(angle), 1, 0))
        call = "vec4(environment_from_world(x.xyz), 1)"
        found = evaluate("lighting/environment.glsl", call, rows(*world.T), frame=frame)[:, :3]
        np.testing.assert_allclose(found, own, atol=1e-5)
    quarter = lit_by(environment=(0, 1, 1, 0))
    found = evaluate("lighting/environment.glsl", call, np.array([[-1.0, 0, 0, 0]]), frame=quarter)[0, :3]
    np.testing.assert_allclose(found, (0, 0, -1), atol=1e-6)


def test_diffuse_light_of_a_sky_that_grows_along_an_axis(evaluate: Evaluate, sky: moderngl.Texture) -> None:
    """Its irradiance over pi is mean + 2/3 growth (AXIS . n), exactly; turned and two stops brighter as told."""
    world = unit(RNG.normal(0, 1, (200, 3)))
    angle = 0.8
    frame = lit_by(environment=(math.cos(angle), math.sin(angle), 4, 0))
    call = "vec4(environment_diffuse(x.xyz), 1)"
    found = evaluate("lighting/environment.glsl", call, rows(*world.T), {"t_environment": sky}, frame=frame)[:, :3]
    axis = np.array(turned(LightSource(tuple(AXIS), WHITE), angle).towards)
    np.testing.assert_allclose(found, 4 * (SKY[0] + 2 / 3 * (world @ axis)[:, None] * SKY[1]), rtol=0.025)


def kept_by_lobe(roughness: float) -> float:
    """How much of a sky's growth the filter of the atlas leaves: the mean of NoL over its lobe, weighted by NoL."""
    alpha = max(roughness, 0.045) ** 2
    u = (np.arange(200000) + 0.5) / 200000
    NoL = np.maximum(2 * (1 - u) / (1 + (alpha**2 - 1) * u) - 1, 0)
    return float((NoL**2).sum() / NoL.sum())


@pytest.mark.parametrize("roughness", [0.0, 0.2, 0.4, 0.5, 0.7, 0.95, 1.0, 1.3])
def test_reflected_light_of_a_sky_that_grows_along_an_axis(
    evaluate: Evaluate, sky: moderngl.Texture, roughness: float
) -> None:
    """The lobe leaves a share of the growth; between two levels of the atlas it is mixed."""
    directions = unit(RNG.normal(0, 1, (200, 3)))
    frame = lit_by(environment=(1, 0, 0.5, 0))
    call = "vec4(environment_specular(x.xyz, x.w), 1)"
    inputs = rows(*directions.T, roughness)
    found = evaluate("lighting/environment.glsl", call, inputs, {"t_environment": sky}, frame=frame)[:, :3]
    levels = np.linspace(0, 1, 6)
    kept = np.interp(roughness, levels, [1.0, *[kept_by_lobe(each) for each in levels[1:]]])
    np.testing.assert_allclose(found, 0.5 * (SKY[0] + kept * (directions @ AXIS)[:, None] * SKY[1]), atol=0.008)


def test_what_occluders_hide_of_the_lobe(evaluate: Evaluate) -> None:
    NoV, occlusion, alpha = RNG.uniform(0.02, 1, (3, 400))
    found = evaluate(
        "lighting/environment.glsl", "vec4(specular_occlusion(x.x, x.y, x.z))", rows(NoV, occlusion, alpha)
    )
    expected = np.clip((NoV + occlusion) ** (0.5 * 2.0 ** (-16 * alpha)) - 1 + occlusion, 0, 1)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-3)
    ends = evaluate(
        "lighting/environment.glsl",
        "vec4(specular_occlusion(x.x, 1, x.z), specular_occlusion(x.x, 0, x.z), 0, 0)",
        rows(NoV, 0, alpha),
    )
    np.testing.assert_allclose(ends[:, :2], np.tile([1.0, 0.0], (400, 1)), atol=1e-5)


def in_crevice(visibility: np.ndarray, albedo: np.ndarray) -> np.ndarray:
    """The cubic of Jimenez et al. 2016, eq. 5."""
    a, b, c = 2.0404 * albedo - 0.3324, -4.7951 * albedo + 0.6417, 2.7552 * albedo + 0.6903
    return np.maximum(visibility, a * visibility**3 + b * visibility**2 + c * visibility)


def test_light_that_bounces_in_a_crevice(evaluate: Evaluate) -> None:
    """The published cubic of each channel's own visibility: at least what one bounce leaves, nothing more on black, and
    for skin near the sum of a series of bounces that each leave the crevice with the same probability."""
    visibility, albedo = RNG.uniform(0, 1, (400, 3)), RNG.uniform(0, 1, 400)
    call = "vec4(colored_occlusion(x.xyz, vec3(x.w, 0, 1)), 1)"
    found = evaluate("lighting/environment.glsl", call, rows(*visibility.T, albedo))[:, :3]
    albedos = np.stack([albedo, 0 * albedo, 0 * albedo + 1], -1)
    np.testing.assert_allclose(found, in_crevice(visibility, albedos), atol=1e-5)
    assert (found >= visibility - 1e-5).all()
    np.testing.assert_allclose(found[:, 1], visibility[:, 1], atol=1e-5)
    skin = albedo < 0.8
    series = visibility[:, 0] / (1 - albedo * (1 - visibility[:, 0]))
    np.testing.assert_allclose(found[skin, 0], series[skin], atol=0.12)


# --- lamps


def test_the_form_of_an_edge(evaluate: Evaluate) -> None:
    """Lambert: across the edge, as long as its angle over 2 pi."""
    a, b = unit(RNG.normal(0, 1, (2, 300, 3)))
    call = "vec4(edge_form(x.xyz, normalize(vec3(px, py, pz))), 1)"
    for fixed in b[:5]:
        found = evaluate("lighting/lamps.glsl", call, rows(*a.T), px=fixed[0], py=fixed[1], pz=fixed[2])[:, :3]
        angle = np.arccos(np.clip(a @ fixed, -1, 1))
        expected = unit(np.cross(a, fixed)) * angle[:, None] / (2 * np.pi)
        usable = angle < 3.0  # beyond, a and b are opposite and no polygon has such an edge
        np.testing.assert_allclose(found[usable], expected[usable], atol=1e-3)


def test_the_part_of_an_edge_above_the_horizon(evaluate: Evaluate) -> None:
    """By cutting the edge into small pieces; where it crosses is remembered as going down or coming up."""
    n = np.array([0.0, 0.0, 1.0])
    a, b = RNG.normal(0, 1, (2, 60, 3))
    a[:20, 2], b[:20, 2] = np.abs(a[:20, 2]), -np.abs(b[:20, 2])
    a[20:40, 2], b[20:40, 2] = -np.abs(a[20:40, 2]), np.abs(b[20:40, 2])
    t = np.linspace(0, 1, 20001)[:, None]
    before = "vec3 sets = vec3(9.0), rises = vec3(9.0);"
    before += "float form = edge_above(vec3(0, 0, 1), x.xyz, vec3(px, py, pz), sets, rises);"
    for one, other in zip(a, b, strict=True):
        uniforms = {"px": other[0], "py": other[1], "pz": other[2]}
        form, sets, rises = (
            evaluate("lighting/lamps.glsl", call, rows(*one[:, None]), before=before, **uniforms)[0]
            for call in ("vec4(form)", "vec4(sets, 1)", "vec4(rises, 1)")
        )
        points = one * (1 - t) + other * t
        points = unit(points[points[:, 2] >= 0])
        pieces = np.cross(points[:-1], points[1:]) @ n if len(points) else np.zeros(1)
        assert form[0] == pytest.approx(pieces.sum() / (2 * np.pi), abs=1e-3)
        crossing = one + (other - one) * one[2] / (one[2] - other[2])
        expected_sets = crossing if one[2] >= 0 > other[2] else np.full(3, 9.0)
        expected_rises = crossing if other[2] >= 0 > one[2] else np.full(3, 9.0)
        np.testing.assert_allclose(sets[:3], expected_sets, atol=1e-4)
        np.testing.assert_allclose(rises[:3], expected_rises, atol=1e-4)


BEAM_POINTS = BALL[0] + RNG.uniform(-0.1, 0.1, (40, 3))


def beams(evaluate: Evaluate, call: str, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) directions to the lamp and (N, 3) irradiance of a GLSL call that gives a Beam, at BEAM_POINTS."""
    towards, irradiance = (
        evaluate("lighting/lamps.glsl", f"vec4({call}.{name}, 1)", rows(*BEAM_POINTS.T), frame=frame)[:, :3]
        for name in ("towards", "irradiance")
    )
    return towards, irradiance


def near_lamp(kind: LampKind, distance_m: float = 0.5) -> LightSource:
    """A bulb, a spot or a softbox of 0.4 m x 0.25 m that looks at the middle of BALL."""
    towards = unit(np.array([0.5, 0.3, 0.8]))
    at = BALL[0] + distance_m * towards
    right = 0.4 * unit(np.cross([0.0, 1.0, 0.0], towards))
    up = 0.25 * unit(np.cross(towards, right))
    rectangle = {"corner_m": tuple(at - right / 2 - up / 2), "right_m": tuple(right), "up_m": tuple(up)}
    return LightSource(
        tuple(towards), (2.0, 1.0, 0.5), kind=kind, distance_m=distance_m, position_m=tuple(at), cone_rad=(0.05, 0.25),
        **(rectangle if kind == LampKind.RECTANGLE else {}),  # pyright: ignore[reportArgumentType]
    )  # fmt: skip


def irradiance_of(lamp: LightSource, points: np.ndarray) -> np.ndarray:
    """(N, 3, 3) at (N, 3) `points` from a lamp that stands near: for RGB the vector whose product with a normal is the
    irradiance of a surface that sees all of the lamp. A rectangle is the sum of 100 x 100 points that shine with the
    cosine to its axis, as strong together as `lamp` says at the middle of BALL."""
    towards = np.array(lamp.towards)
    if lamp.kind == LampKind.RECTANGLE:
        u, v = (each.ravel()[:, None] for each in np.meshgrid(*[(np.arange(100) + 0.5) / 100] * 2))
        sources = np.array(lamp.corner_m) + u * np.array(lamp.right_m) + v * np.array(lamp.up_m)
    else:
        sources = np.array(lamp.position_m)[None]

    def gathered(at: np.ndarray) -> np.ndarray:
        away = sources - at
        distance = np.linalg.norm(away, axis=1, keepdims=True)
        cosine = away @ towards[:, None] / distance
        share = np.ones_like(cosine)
        if lamp.kind == LampKind.SPOT:
            inner, outer = (math.cos(each) for each in lamp.cone_rad)
            share = np.clip((cosine - outer) / (inner - outer), 0, 1) ** 2
        if lamp.kind == LampKind.RECTANGLE or lamp.flat:
            share = share * np.maximum(cosine, 0)
        return (away / distance**3 * share).sum(0)

    whole = gathered(BALL[0]) @ towards
    return np.stack([gathered(at) for at in points])[:, None] * np.array(lamp.irradiance_linear)[:, None] / whole


def test_beams_of_a_direction(evaluate: Evaluate) -> None:
    """The same everywhere."""
    for index, light in enumerate(BEHIND):
        towards, irradiance = beams(evaluate, f"beam_directional({index})", lit_by(*BEHIND))
        np.testing.assert_allclose(towards, np.tile(light.towards, (40, 1)), atol=1e-6)
        np.testing.assert_allclose(irradiance, np.tile(light.irradiance_linear, (40, 1)), rtol=1e-6)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("kind", [LampKind.POINT, LampKind.SPOT])
def test_beams_of_a_lamp_at_a_place(evaluate: Evaluate, kind: LampKind, flat: bool) -> None:
    """Irradiance falls with the square of the distance, of a spot between its cones, of a flat lamp with the cosine."""
    lamp = replace(near_lamp(kind), flat=flat)
    towards, irradiance = beams(evaluate, "beam_point(1, x.xyz)", lit_by(BEHIND[0], lamp))
    np.testing.assert_allclose(towards, unit(np.array(lamp.position_m) - BEAM_POINTS), atol=1e-5)
    expected = irradiance_of(lamp, BEAM_POINTS)
    np.testing.assert_allclose(irradiance, np.linalg.norm(expected, axis=2), rtol=1e-3, atol=1e-4)
    assert irradiance.max() > 2 * irradiance.min()


def test_beams_of_a_rectangle_are_the_sum_of_its_points(evaluate: Evaluate) -> None:
    lamp = near_lamp(LampKind.RECTANGLE, 0.35)
    towards, irradiance = beams(evaluate, "beam_rectangle(1, x.xyz)", lit_by(BEHIND[0], lamp))
    expected = irradiance_of(lamp, BEAM_POINTS)
    np.testing.assert_allclose(towards, unit(expected[:, 0]), atol=2e-3)
    np.testing.assert_allclose(irradiance, np.linalg.norm(expected, axis=2), rtol=2e-3)
    assert irradiance.max() > 1.5 * irradiance.min()


def test_corners_of_a_rectangle_go_around_it(evaluate: Evaluate) -> None:
    lamp = near_lamp(LampKind.RECTANGLE)
    frame = lit_by(BEHIND[0], lamp)
    corner, right, up = (np.array(each) for each in (lamp.corner_m, lamp.right_m, lamp.up_m))
    before = "vec3 a, b, c, d; rectangle_corners(1, x.xyz, a, b, c, d);"
    for name, expected in {"a": corner, "b": corner + right, "c": corner + right + up, "d": corner + up}.items():
        found = evaluate("lighting/lamps.glsl", f"vec4({name}, 1)", rows(*BEAM_POINTS.T), before=before, frame=frame)
        np.testing.assert_allclose(found[:, :3], expected - BEAM_POINTS, atol=1e-6)


# --- skin


def test_light_that_leaves_skin_is_read_from_its_table(evaluate: Evaluate, scatter: moderngl.Texture) -> None:
    """Each channel at its own cosine; flat skin is a plain cosine, and beyond the table its last row holds."""
    NoL = RNG.uniform(-1, 1, (300, 3))
    table = scatter_table().astype(float)
    for curvature in (1e-3, 40.0, 77.0, 250.0, 900.0):
        call = "vec4(scattered_cosine(x.xyz, x.w), 1)"
        found = evaluate("lighting/skin.glsl", call, rows(*NoL.T, curvature), {"t_scatter": scatter})
        at = np.full(300, curvature / 250)
        expected = [interpolated(table, NoL[:, i] / 2 + 0.5, at)[:, i] for i in range(3)]
        np.testing.assert_allclose(found[:, :3], np.stack(expected, -1), atol=4e-3)
    flat = evaluate("lighting/skin.glsl", call, rows(*NoL.T, 0.0), {"t_scatter": scatter})[:, :3]
    np.testing.assert_allclose(flat, np.maximum(NoL, 0), atol=1e-6)


def through(thickness_m: np.ndarray) -> np.ndarray:
    """(N, 3) share of light that comes straight through a slab."""
    d2 = (1000 * thickness_m[:, None]) ** 2
    return np.exp(-d2 / (2 * SKIN_GAUSSIANS[:, 0])) @ SKIN_GAUSSIANS[:, 1:]


BEHIND = LightSource((0.6, 0.0, -0.8), (2.0, 1.0, 0.5)), LightSource((0.0, 0.28, -0.96), (0.3, 0.6, 0.9))


def test_light_through_a_slab(evaluate: Evaluate, upload: Upload) -> None:
    """Each light enters at a depth of its own, in its own square of the atlas; 1 mm below the surface is looked at."""
    atlas = np.zeros((2, 8, 3, 8))  # squares up, texels, squares across, texels
    atlas[0, :, 0], atlas[1, :, 2] = 0.5, 0.49
    texture = upload(atlas.reshape(16, 24), nearest=True, depth="")
    centre, radius = BALL
    frame = lit_by(*[BEHIND[0]] * 5, BEHIND[0])
    inside = np.linspace(-0.002, 0.006, 30)  # metres from the middle of the ball, away from the light
    points = centre - inside[:, None] * np.array(BEHIND[0].towards)
    normal = -np.array(BEHIND[0].towards)
    for light, entry in ((0, 0.5), (5, 0.49)):
        found = evaluate(
            "lighting/transmission.glsl",
            f"vec4(light_through({light}, x.xyz, {vec3(normal)}, {vec3(-normal)}), 1)",
            rows(*points.T),
            {"t_thickness": texture},
            frame=frame,
        )[:, :3]
        deep = inside - 0.001 - (entry - 0.5) * 2 * radius
        expected = np.where((deep > 0)[:, None], through(deep + 0.001), 0)
        sure = np.abs(deep) > 2e-5
        np.testing.assert_allclose(found[sure], expected[sure], rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(("right", "up", "entry"), [(0.8125, 0.4375, 0.47), (0.4375, 0.8125, 0.45)])
def test_light_enters_above_the_place_that_is_looked_at(
    evaluate: Evaluate, upload: Upload, right: float, up: float, entry: float
) -> None:
    """In the map of a light, 0..1 to the right and up."""
    atlas = np.zeros((2, 8, 3, 8))
    atlas[0, 5:, 0], atlas[0, :, 0, 5:] = 0.45, 0.47
    texture = upload(atlas.reshape(16, 24), nearest=True, depth="")
    centre, radius = BALL
    towards = np.array(BEHIND[0].towards)
    across = unit(np.cross([0.0, 1.0, 0.0], towards))
    above = np.cross(towards, across)
    point = centre + (right - 0.5) * 2 * radius * across + (up - 0.5) * 2 * radius * above
    point -= ((entry - 0.5) * 2 * radius + 0.002) * towards  # 2 mm behind where light enters
    call = f"vec4(light_through(0, x.xyz, {vec3(-towards)}, {vec3(towards)}), 1)"
    found = evaluate(
        "lighting/transmission.glsl", call, rows(*point[:, None]), {"t_thickness": texture}, frame=lit_by(BEHIND[0])
    )
    np.testing.assert_allclose(found[0, :3], through(np.array([0.002]))[0], rtol=0.03)


def test_light_through_a_slab_from_all_directional_lights(evaluate: Evaluate, upload: Upload) -> None:
    """Where the surface looks away from a light, irradiance enters the far side as through a surface turned around."""
    thickness = 0.0015
    texture = upload(np.full((16, 24), 0.5), nearest=True, depth="")
    frame = lit_by(*BEHIND)
    normals = unit(RNG.normal(0, 1, (200, 3)))
    expected = np.zeros((200, 3))
    for light in BEHIND:
        towards = np.array(light.towards)
        depth = -(normals * -0.001 + BALL[0] - BALL[0]) @ towards + thickness  # of the place looked at
        entering = np.clip(0.3 - normals @ towards, 0, 1) / np.pi
        expected += (
            entering[:, None]
            * np.array(light.irradiance_linear)
            * np.where((depth > 0)[:, None], through(depth + 0.001), 0)
        )
    point = BALL[0]
    frame["shadow_from_world"][:, 3, 2] += thickness / (2 * BALL[1])  # columns: depth of all points grows
    found = evaluate(
        "lighting/transmission.glsl",
        f"vec4(transmitted_light({vec3(point)}, x.xyz), 1)",
        rows(*normals.T),
        {"t_thickness": texture},
        frame=frame,
    )[:, :3]
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-4)
    assert expected.max() > 0.05


def test_light_of_a_beam_that_enters_the_far_side(evaluate: Evaluate, upload: Upload) -> None:
    """Its own direction and irradiance count, not those of the lamp; the far side is wrapped as far as a cosine of 0.3
    and the depth is that of the lamp's map, here all in the plane of the middle."""
    texture = upload(np.full((16, 24), 0.5), nearest=True, depth="")
    frame = lit_by(BEHIND[0])
    axis, towards = np.array(BEHIND[0].towards), unit(np.array([0.2, 0.5, -0.7]))
    point = BALL[0] - 0.002 * axis
    normals = np.concatenate([unit(RNG.normal(0, 1, (200, 3))), -axis[None]])
    found = evaluate(
        "lighting/transmission.glsl",
        f"vec4(transmitted(0, Beam({vec3(towards)}, vec3(3, 2, 1)), {vec3(point)}, x.xyz), 1)",
        rows(*normals.T),
        {"t_thickness": texture},
        frame=frame,
    )[:, :3]
    along = (0.002 + 0.001 * normals @ axis) / (towards @ axis)  # from the plane to the place below the surface
    entering = np.clip(0.3 - normals @ towards, 0, 1)[:, None] / np.pi
    expected = entering * (3, 2, 1) * np.where(along > 0, 1, 0)[:, None] * through(along + 0.001)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-4)
    assert (found[entering[:, 0] == 0] == 0).all()
    assert 0.2 < (found.max(1) > 0.01).mean() < 0.9


def test_light_through_a_slab_from_a_point_of_a_softbox(evaluate: Evaluate, upload: Upload) -> None:
    """The map of a corner looks from there to the middle, not the way the softbox does: depth is along the former."""
    corner = point_of(near_lamp(LampKind.RECTANGLE, 0.4), 0.0, 0.0)
    eye, lamp_axis = np.array(corner.position_m), np.array(corner.towards)
    away = eye - BALL[0]
    distance, axis = float(np.linalg.norm(away)), unit(away)
    assert axis @ lamp_axis < 0.9
    near, far, entered = distance - BALL[1], distance + BALL[1], distance - 0.003
    depth = (1 / near - 1 / entered) / (1 / near - 1 / far)
    aside = RNG.uniform(-0.06, 0.06, (200, 3))
    points = BALL[0] + aside - (aside @ axis)[:, None] * axis
    towards = unit(eye - points)
    along = (distance - (points + 0.001 * axis - BALL[0]) @ axis - entered) / (towards @ axis)
    found = evaluate(
        "lighting/transmission.glsl",
        f"vec4(transmitted(0, beam_point(0, x.xyz), x.xyz, {vec3(-axis)}), 1)",
        rows(*points.T),
        {"t_thickness": upload(np.full((16, 24), depth), nearest=True, depth="")},
        ("POINT_LAMPS",),
        frame=lit_by(corner),
    )[:, :3]
    falloff = 0.4**2 * (towards @ lamp_axis) / ((eye - points) ** 2).sum(1)
    expected = (falloff * (0.3 + towards @ axis).clip(0, 1) / np.pi)[:, None] * through(along + 0.001)
    np.testing.assert_allclose(found, expected * corner.irradiance_linear, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("lean", [0.0, 0.6])
def test_light_through_a_slab_from_lamps_of_every_kind(evaluate: Evaluate, upload: Upload, lean: float) -> None:
    """Maps of lamps that stand near are in perspective: there depth is no distance, and rays lean against the axis, so
    their way through what is as deep everywhere is longer. Each kind looks its beam up in its own square."""
    kinds = LampKind.POINT, LampKind.SPOT, LampKind.RECTANGLE
    lamps = [near_lamp(kind, 0.4) for kind in kinds]
    axis = np.array(lamps[0].towards)
    lights = LightSource(tuple(unit(axis + np.array([0.02, 0.0, 0.0]))), (0.4, 0.5, 0.6)), *lamps
    entered_m = np.array([BALL[1] - 0.003, 0.4 - 0.003, 0.4 - 0.0035, 0.4 - 0.0025])  # from the eye of its map
    near, far = 0.4 - BALL[1], 0.4 + BALL[1]
    depths = (1 / near - 1 / entered_m) / (1 / near - 1 / far)
    depths[0] = entered_m[0] / (2 * BALL[1])
    atlas = np.zeros((2, 8, 3, 8))  # squares up, texels, squares across, texels
    for index, depth in enumerate(depths):
        atlas[index // 3, :, index % 3] = depth
    aside = RNG.uniform(-0.06, 0.06, (300, 3))
    points = BALL[0] + aside - (aside @ axis)[:, None] * axis  # a plane across the axis of the lamps
    normal = unit(lean * unit(np.cross([0.0, 1.0, 0.0], axis)) - axis)
    below = points - 0.001 * normal
    parts = []
    for light, entered in zip(lights, entered_m, strict=True):
        if light.kind == LampKind.DIRECTIONAL:
            towards, irradiance = np.array(light.towards), np.array(light.irradiance_linear)
            along = (BALL[1] - (below - BALL[0]) @ towards - entered)[:, None]
        else:
            vectors = irradiance_of(light, points)
            irradiance = np.linalg.norm(vectors, axis=2)
            # A spot's direction is known in the dark beside its cone too.
            mean = (
                irradiance_of(replace(light, kind=LampKind.POINT), points) if light.kind == LampKind.SPOT else vectors
            )
            towards = unit(mean[:, 0])
            along = ((np.array(light.position_m) - below) @ axis - entered)[:, None] / (towards @ axis)[:, None]
        entering = np.clip(0.3 - towards @ normal, 0, 1)[..., None] / np.pi
        parts.append(irradiance * entering * np.where(along > 0, through(along[:, 0] + 0.001), 0))
    found = evaluate(
        "lighting/transmission.glsl",
        f"vec4(transmitted_light(x.xyz, {vec3(normal)}), 1)",
        rows(*points.T),
        {"t_thickness": upload(atlas.reshape(16, 24), nearest=True, depth="")},
        ("POINT_LAMPS", "RECTANGLE_LAMPS"),
        frame=lit_by(*lights),
    )[:, :3]
    np.testing.assert_allclose(found, np.sum(parts, axis=0), rtol=2e-3, atol=1e-6)
    assert all(part[:, 0].max() > 0.02 for part in parts)


# --- surface

STRUCT = (
    "Surface s = Surface(vec3({albedo}), vec3({f0}), {roughness}, {normal}, {smooth}, vec3({smoothing}), "
    "{curvature}, {occlusion}, vec3({reach}), {sky});"
)


def surface(**changes: object) -> str:
    """GLSL that makes a surface `s`: open, without map slopes and scattering unless told otherwise."""
    values: dict[str, object] = {
        "albedo": 1.0,
        "f0": 0.04,
        "roughness": 0.4,
        "normal": "vec3(0, 0, 1)",
        "smooth": "vec3(0, 0, 1)",
        "smoothing": 0.0,
        "curvature": 0.0,
        "occlusion": 1.0,
        "reach": 1.0,
        "sky": "vec4(0, 0, 0.75, 0.5)",
    }
    return STRUCT.format(**(values | changes))


def test_the_table_of_reflectance_is_read_at_its_texels(evaluate: Evaluate, upload: Upload) -> None:
    """A table of its own coordinates gives them back."""
    y, x = np.mgrid[:48, :48] / 47
    texture = upload(np.stack([x, y, x * 0, x * 0 + 1], -1))
    inputs = RNG.uniform(0, 1, (300, 4))
    found = evaluate(SURFACE, "dfg_lookup(x.x, x.y)", inputs, {"t_dfg": texture})
    np.testing.assert_allclose(found[:, :2], inputs[:, :2], atol=1e-3)
    np.testing.assert_allclose(found[:, 2:], np.tile([0.0, 1.0], (300, 1)), atol=1e-6)


def test_an_open_sky_is_the_hemisphere_to_degree_one(evaluate: Evaluate) -> None:
    """By least squares over the sphere."""
    n = unit(np.array([0.3, 0.8, -0.5]))
    directions = sphere_directions(20000)
    basis = np.concatenate([directions, np.ones((20000, 1))], 1)
    expected = np.linalg.lstsq(basis, (directions @ n > 0).astype(float), rcond=None)[0]
    found = evaluate(SURFACE, "open_sky(x.xyz)", rows(*n[:, None]))[0]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_reflections_see_as_much_as_the_sky_lets_them(evaluate: Evaluate) -> None:
    r = unit(RNG.normal(0, 1, (200, 3)))
    call = "vec4(reflection_visibility(s, x.xyz))"
    whole = evaluate(SURFACE, call, rows(*r.T), before=surface())[:, 0]
    ahead = 0.5 + 0.75 * r[:, 2] >= 0.25
    np.testing.assert_allclose(whole[ahead], 1, atol=1e-5)
    one_side = evaluate(SURFACE, call, rows(*r.T), before=surface(sky="vec4(0.3, 0, 0.2, 0.25)"))[:, 0]
    seen = np.clip((0.25 + 0.3 * r[:, 0] + 0.2 * r[:, 2]) / np.maximum(0.5 + 0.75 * r[:, 2], 0.25), 0, 1)
    np.testing.assert_allclose(one_side, seen, atol=1e-5)


def test_a_white_surface_under_an_even_sky_sends_back_all_of_it(
    evaluate: Evaluate, context: moderngl.Context, dfg: tuple[moderngl.Texture, np.ndarray]
) -> None:
    """The white furnace of one function, at any roughness, F0 and angle; x: F0, roughness, NoV."""
    cache = EnvironmentCache(context)
    even = cache.picture(np.ones((64, 128, 3), np.float32), "even").atlas
    inputs = RNG.uniform((0, 0.05, 0.1, 0), (1, 1, 1, 0), (300, 4))
    before = (
        surface(f0="x.x", roughness="x.y")
        + "float alpha = alpha_from_roughness(x.y); vec3 v = vec3(sqrt(1.0 - x.z * x.z), 0, x.z);"
        + "Light light = light_environment(s, v, x.z, alpha, lobes_dfg(x.y, alpha, x.z));"
    )
    found = evaluate(
        SURFACE,
        "vec4(light.scattered.r, light.specular.r, 0, 0)",
        inputs,
        {"t_environment": even, "t_dfg": dfg[0]},
        before=before,
        frame=lit_by(environment=(1, 0, 1, 0)),
    )
    cache.release()
    f0, roughness, NoV = inputs[:, 0], inputs[:, 1], inputs[:, 2]
    share = reflected(f0, interpolated(dfg[1], NoV, np.maximum(roughness, 0.045))[:, :2])
    np.testing.assert_allclose(found[:, 1], share, rtol=5e-3, atol=2e-3)
    np.testing.assert_allclose(found[:, :2].sum(1), 1, atol=5e-3)


def test_light_of_a_sky_in_a_crevice(
    evaluate: Evaluate, sky: moderngl.Texture, dfg: tuple[moderngl.Texture, np.ndarray]
) -> None:
    """All that holds light back, together: what reaches the vertex in each channel and bounces there, normals of each
    channel, the horizon of the mesh. Reflections do not see what diffuse light reaches, nor the other way round."""
    n, smooth = unit(np.array([0.4, 0.1, 0.9])), np.array([0.0, 0.0, 1.0])
    v = unit(RNG.normal(0, 1, (200, 3)) * (1, 1, 0.2) + (0, 0, 0.5))
    v = v[v @ n > 0.05]
    occlusion, albedo, f0, roughness = 0.4, np.array([0.7, 0.4, 0.2]), 0.05, 0.5
    visible = np.array([0.2, -0.1, 0.3, 0.3])
    reach = np.array([0.15, 0.5, 0.85])
    made = surface(
        albedo="0.7, 0.4, 0.2", f0=f0, roughness=roughness, normal=vec3(n), smoothing="0.75, 0.4, 0.2",
        occlusion=occlusion, reach="0.15, 0.5, 0.85", sky=f"vec4({vec3(visible[:3])}, {visible[3]})",
    )  # fmt: skip
    before = (
        made
        + "float alpha = 0.25, NoV = dot(x.xyz, s.normal);"
        + "Light light = light_environment(s, x.xyz, NoV, alpha, lobes_dfg(0.5, alpha, NoV));"
    )
    found = [
        evaluate(
            SURFACE,
            f"vec4(light.{name}, 1)",
            rows(*v.T),
            {"t_environment": sky, "t_dfg": dfg[0]},
            before=before,
            frame=lit_by(environment=(1, 0, 1, 0)),
        )[:, :3]
        for name in ("scattered", "specular")
    ]
    NoV = v @ n
    table = interpolated(dfg[1], NoV, np.full_like(NoV, roughness))[:, :2]

    def irradiance(normal: np.ndarray) -> np.ndarray:
        return SKY[0] + 2 / 3 * (normal @ AXIS) * SKY[1]

    share = np.array([0.75, 0.4, 0.2])
    mixed = irradiance(n) * (1 - share) + irradiance(smooth) * share
    expected = (1 - reflected(f0, table))[:, None] * mixed * in_crevice(reach, albedo)
    np.testing.assert_allclose(found[0], expected, rtol=0.012)
    mirror = 2 * NoV[:, None] * n - v
    r = mirror * (1 - 0.25**2) + n * 0.25**2
    ends = [0.4, 0.6]
    kept = np.interp(0.5, ends, [kept_by_lobe(each) for each in ends])
    radiance = SKY[0] + kept * (unit(r) @ AXIS)[:, None] * SKY[1]
    lagarde = np.clip((NoV + occlusion) ** 2.0 ** (-16 * 0.25 - 1) - 1 + occlusion, 0, 1)
    seen = np.clip((visible[3] + r @ visible[:3]) / np.maximum(0.5 + 0.75 * r[:, 2], 0.25), 0, 1)
    horizon = np.clip(1 + 1.5 * r[:, 2], 0, 1) ** 2
    expected = reflected(f0, table)[:, None] * radiance * (np.minimum(lagarde, seen) * horizon)[:, None]
    np.testing.assert_allclose(found[1], expected, rtol=0.02, atol=1e-4)
    assert (horizon < 0.9).any()
    assert (seen < lagarde).any()
    assert (seen > lagarde).any()


def test_what_a_shadow_and_a_crevice_leave_of_a_lamp(evaluate: Evaluate, upload: Upload) -> None:
    """Points at the middle of a ball, before and behind what a shadow map holds there. On skin, occlusion takes part
    only where it is deep; x: its share in w."""
    half = upload(np.full((64, 64), 0.5), depth="<=")
    frame = lit_by(LightSource((0.0, 0.0, 1.0), WHITE))
    occlusion = np.array([0.0, 0.1, 0.2, 0.6, 1.0])
    call, made = "vec4(light_reaches(0, s, x.xyz))", surface(occlusion="x.w")
    for behind in (False, True):
        inputs = rows(*(BALL[0] + (0, 0, -0.05 if behind else 0.05)), occlusion)
        skin, other = (
            evaluate(SURFACE, call, inputs, {"t_shadow": half}, defines, before=made, frame=frame)[:, 0]
            for defines in (("SKIN",), ())
        )
        np.testing.assert_allclose(skin, [0] * 5 if behind else [0, 0.4, 0.8, 1, 1], atol=1e-5)
        np.testing.assert_allclose(other, [0] * 5 if behind else occlusion, atol=1e-5)


def test_skin_has_shadows_with_a_red_fringe(evaluate: Evaluate) -> None:
    lit = np.linspace(0, 1, 101)
    for curvature, softness, fringe in ((0.0, 0.002, 0.0), (30.0, 0.002, 1.0), (30.0, 0.024, 0.25)):
        frame = lit_by(LightSource((0.0, 0.0, 1.0), WHITE, softness_m=softness))
        made = surface(curvature=curvature)
        found = evaluate(SURFACE, "vec4(scattered_shadow(0, s, x.x), 1)", rows(lit), before=made, frame=frame)[:, :3]
        np.testing.assert_allclose(found, lit[:, None] ** (1 - np.array([0.28, 0, -0.06]) * fringe), atol=1e-4)


def test_what_enters_the_skin_is_what_is_not_reflected(
    evaluate: Evaluate, dfg: tuple[moderngl.Texture, np.ndarray]
) -> None:
    """Summed over all light it is 1 - E(NoV), and eye and light may change places; x: NoL, NoV."""
    NoL = (np.arange(400) + 0.5) / 400
    for f0, roughness in ((0.028, 0.3), (0.5, 0.6), (0.04, 0.9)):
        skin = Skin(dfg[1], f0, roughness)
        before = surface(f0=f0, roughness=roughness) + "float alpha = alpha_from_roughness(s.roughness);"
        call = "vec4(enters(s, x.x, alpha, lobes_dfg(s.roughness, alpha, x.y)), 1)"
        for NoV in (0.2, 0.6, 1.0):
            found = evaluate(SURFACE, call, rows(NoL, NoV), {"t_dfg": dfg[0]}, before=before)[:, 0]
            np.testing.assert_allclose(found, skin.enters(NoL, np.full(400, NoV)), rtol=2e-3)
            left = 1 - reflected(f0, skin.table(NoV)[..., :2])
            assert 2 * (found * NoL).mean() == pytest.approx(left, rel=2e-3)
            swapped = evaluate(SURFACE, call, rows(NoV, NoL), {"t_dfg": dfg[0]}, before=before)[:, 0]
            np.testing.assert_allclose(found, swapped, rtol=2e-3)


N, SIDE = unit(np.array([0.2, -0.3, 0.9])), unit(np.array([0.9, 0.0, -0.2]))
"""A normal, and a direction across it."""
LOBES = (
    "float alpha = alpha_from_roughness(s.roughness), NoV = dot(s.normal, x.xyz);"
    "vec4 dfg = lobes_dfg(s.roughness, alpha, NoV);"
)
LIT = surface(normal=vec3(N), smooth=vec3(N)) + LOBES


@pytest.fixture
def lamp_samplers(
    open_air: moderngl.Texture, dfg: tuple[moderngl.Texture, np.ndarray], scatter: moderngl.Texture
) -> dict[str, moderngl.Texture]:
    return {"t_shadow": open_air, "t_dfg": dfg[0], "t_scatter": scatter}


def light_of(
    evaluate: Evaluate,
    call: str,
    v: np.ndarray,
    samplers: Samplers,
    frame: np.ndarray,
    made: str = LIT,
    defines: tuple[str, ...] = (),
) -> np.ndarray:
    """(2, N, 3) scattered and specular light of a GLSL call that gives a Light, seen from (N, 3) `v`."""
    before = made + f"Light light = {call};"
    return np.stack(
        [
            evaluate(SURFACE, f"vec4(light.{name}, 1)", rows(*v.T), samplers, defines, before=before, frame=frame)[
                :, :3
            ]
            for name in ("scattered", "specular")
        ]
    )


def views(count: int = 150) -> np.ndarray:
    """(N, 3) directions from which a surface with normal N is seen."""
    v = unit(RNG.normal(0, 1, (4 * count, 3)))
    return v[v @ N > 0.15][:count]


POINT = vec3(BALL[0])
SUN = LightSource(tuple(unit(N + 0.8 * SIDE)), (2.0, 1.0, 0.5), radius_rad=0.2)


def test_light_from_one_direction(
    evaluate: Evaluate, lamp_samplers: Samplers, dfg: tuple[moderngl.Texture, np.ndarray]
) -> None:
    """The BRDF of docs/shading.md in float64: GGX, Smith, Schlick, gain of many bounces, what enters the skin."""
    v = views()
    frame = lit_by(SUN)
    towards = np.array(SUN.towards)
    called = f"light_from({vec3(towards)}, vec3(3, 2, 1), 0, s, x.xyz, {POINT}, NoV, alpha, dfg)"
    expected = Skin(dfg[1]).light(N, v, towards, sun_rad=0.2).T[..., None]
    found = light_of(evaluate, called, v, lamp_samplers, frame)
    np.testing.assert_allclose(found, expected * (3, 2, 1), rtol=5e-3, atol=1e-4)
    named = light_of(evaluate, f"light_directional(0, s, x.xyz, {POINT}, NoV, alpha, dfg)", v, lamp_samplers, frame)
    np.testing.assert_allclose(named, expected * SUN.irradiance_linear, rtol=5e-3, atol=1e-4)


def test_skin_under_one_light_scatters_and_hides_what_the_mesh_hides(
    evaluate: Evaluate, lamp_samplers: Samplers, dfg: tuple[moderngl.Texture, np.ndarray]
) -> None:
    """Cosines of each channel's own normal through the table; no highlight where the mesh looks away."""
    v = views(40)
    towards = np.array(SUN.towards)
    across = unit(N - towards * (N @ towards))
    smooth = math.sqrt(1 - 0.02**2) * across + 0.02 * towards  # the light grazes the mesh
    made = surface(normal=vec3(N), smooth=vec3(smooth), smoothing="0.75, 0.4, 0.2", curvature=100.0) + LOBES
    found = light_of(
        evaluate, f"light_directional(0, s, x.xyz, {POINT}, NoV, alpha, dfg)", v, lamp_samplers, lit_by(SUN), made
    )
    skin = Skin(dfg[1])
    plain = skin.light(N, v, towards, sun_rad=0.2)
    share = np.array([0.75, 0.4, 0.2])
    cosines = (N @ towards) * (1 - share) + 0.02 * share
    table = scatter_table().astype(float)
    leaves = np.array([interpolated(table, np.array([cosines[i] / 2 + 0.5]), np.array([0.4]))[0, i] for i in range(3)])
    scattered = skin.enters(np.full(len(v), N @ towards), v @ N)[:, None] / np.pi * leaves * SUN.irradiance_linear
    np.testing.assert_allclose(found[0], scattered, rtol=0.01)
    np.testing.assert_allclose(found[1], plain[:, 1:] * 0.02 * 30 * SUN.irradiance_linear, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("kind", [LampKind.POINT, LampKind.SPOT])
def test_a_lamp_at_a_place_lights_as_a_direction_does_there(
    evaluate: Evaluate, lamp_samplers: Samplers, dfg: tuple[moderngl.Texture, np.ndarray], kind: LampKind
) -> None:
    """Irradiance falls with the square of the distance and, of a spot, between its cones."""
    middle = BALL[0]
    towards = unit(N + 0.5 * SIDE)
    lamp = LightSource(
        tuple(towards),
        (2.0, 1.0, 0.5),
        kind=kind,
        distance_m=0.6,
        position_m=tuple(middle + 0.6 * towards),
        cone_rad=(0.05, 0.15),
    )
    point = middle + 0.06 * unit(np.cross(towards, N))  # 0.1 rad beside the axis
    v = views(60)
    found = light_of(
        evaluate,
        f"light_point(0, s, x.xyz, {vec3(point)}, NoV, alpha, dfg)",
        v,
        lamp_samplers,
        lit_by(lamp),
        defines=("POINT_LAMPS",),
    )
    away = np.array(lamp.position_m) - point
    distance = float(np.linalg.norm(away))
    cosine = float(away @ towards) / distance
    cone = ((cosine - math.cos(0.15)) / (math.cos(0.05) - math.cos(0.15))) ** 2 if kind == LampKind.SPOT else 1.0
    strength = (0.6 / distance) ** 2 * cone * np.array(lamp.irradiance_linear)
    assert 0.3 < cone <= 1
    expected = Skin(dfg[1]).light(N, v, away / distance).T[..., None] * strength
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=1e-4)


def softbox(size: float, distance: float = 0.6, tilt: float = 0.5) -> LightSource:
    """A square lamp whose middle lies off the normal N by `tilt` along SIDE."""
    towards = unit(N + tilt * SIDE)
    right = unit(np.cross([0.0, 1.0, 0.0], towards)) * size
    up = unit(np.cross(towards, right)) * size
    at = BALL[0] + distance * towards
    return LightSource(
        tuple(towards),
        (2.0, 1.0, 0.5),
        kind=LampKind.RECTANGLE,
        distance_m=distance,
        position_m=tuple(at),
        corner_m=tuple(at - right / 2 - up / 2),
        right_m=tuple(right),
        up_m=tuple(up),
    )


def test_points_of_a_flat_lamp_shine_less_to_the_side(evaluate: Evaluate, lamp_samplers: Samplers) -> None:
    """A point of a softbox has the cosine of a flat lamp; one of a bulb has none."""
    corner = point_of(softbox(0.4), 0.0, 0.0)
    v = views(20)
    flat, bulb = (
        light_of(
            evaluate,
            f"light_point(0, s, x.xyz, {POINT}, NoV, alpha, dfg)",
            v,
            lamp_samplers,
            lit_by(each),
            defines=("POINT_LAMPS",),
        )
        for each in (corner, replace(corner, flat=False))
    )
    away = np.array(corner.position_m) - BALL[0]
    cosine = unit(away) @ np.array(corner.towards)
    np.testing.assert_allclose(flat, bulb * cosine, rtol=1e-3)
    assert cosine < 0.95


@pytest.mark.parametrize(("size", "tilt", "tolerance"), [(0.02, 0.3, 0.1), (0.5, 0.5, 0.1), (0.9, 2.5, 0.1)])
def test_a_softbox_is_the_sum_of_its_points(
    evaluate: Evaluate,
    context: moderngl.Context,
    lamp_samplers: Samplers,
    dfg: tuple[moderngl.Texture, np.ndarray],
    size: float,
    tilt: float,
    tolerance: float,
) -> None:
    """Integration over its area of the BRDF in float64; the last is half below the horizon."""
    lamp = softbox(size, tilt=tilt)
    v = views(40)
    v = v[v @ N > 0.5]
    table = ltc_texture(context)
    found = light_of(
        evaluate,
        f"light_rectangle(0, s, x.xyz, {POINT}, NoV, alpha, dfg)",
        v,
        {**lamp_samplers, "t_ltc": table},
        lit_by(lamp),
        defines=("RECTANGLE_LAMPS",),
    )
    table.release()
    corner, right, up = (np.array(each) for each in (lamp.corner_m, lamp.right_m, lamp.up_m))
    corners = corner - BALL[0] + np.array([[0, 0, 0], right, right + up, up])
    directions, angles = samples(corners, 60)
    facing, angles_in_front = samples(
        0.6 * np.array(lamp.towards) + np.array([-right - up, right - up, right + up, up - right]) / 2, 60
    )
    radiance = np.array(lamp.irradiance_linear) / (facing @ np.array(lamp.towards) * angles_in_front).sum()
    each = Skin(dfg[1]).light(N, v[:, None], directions)
    expected = (each * angles[:, None]).sum(1).T[..., None] * radiance
    np.testing.assert_allclose(found[0], expected[0], rtol=0.04)
    largest = expected[1].max()
    assert np.abs(found[1] - expected[1]).max() < tolerance * largest + 0.05 * 0.04 * radiance.max()


def test_light_adds_up(evaluate: Evaluate) -> None:
    call = "added(Light(x.xyz, x.yzw), Light(x.zwx, vec3(1, 2, 3)))"
    values = RNG.normal(0, 1, (20, 4)).astype(np.float32)
    for name, expected in (
        ("scattered", values[:, :3] + values[:, [2, 3, 0]]),
        ("specular", values[:, 1:] + (1, 2, 3)),
    ):
        found = evaluate(SURFACE, f"vec4({call}.{name}, 1)", values)[:, :3]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("sample", [False, True])
def test_shading_is_the_sum_over_environment_and_lamps_of_every_kind(
    evaluate: Evaluate, context: moderngl.Context, sky: moderngl.Texture, lamp_samplers: Samplers, sample: bool
) -> None:
    """In the order of their kinds, seen from the eye; a frame of a picture that converges has no environment and no
    baked occlusion."""
    at = BALL[0] + 0.5 * unit(N - 0.4 * SIDE)
    bulb = LightSource(
        tuple(unit(at - BALL[0])), (0.4, 0.5, 0.6), kind=LampKind.POINT, distance_m=0.5, position_m=tuple(at)
    )
    lights = SUN, replace(SUN, towards=tuple(N), radius_rad=0.0), bulb, softbox(0.4)
    eye = BALL[0] + 0.7 * unit(N + 0.3 * SIDE)
    frame = lit_by(*lights, eye_m=(*eye, 0), environment=(1, 0, 1, 0))
    table = ltc_texture(context)
    samplers = {**lamp_samplers, "t_ltc": table}
    defines = ("POINT_LAMPS", "RECTANGLE_LAMPS")
    v = unit(eye - BALL[0])[None]
    made = surface(normal=vec3(N), smooth=vec3(N), occlusion=0.5, reach="0.3, 0.5, 0.7") + LOBES
    lamp_made = LIT if sample else made
    calls = [
        f"light_{kind}({index}, s, x.xyz, {POINT}, NoV, alpha, dfg)"
        for index, kind in enumerate(("directional", "directional", "point", "rectangle"))
    ]
    parts = [
        light_of(evaluate, call, v, samplers if "rect" in call else lamp_samplers, frame, lamp_made, defines)
        for call in calls
    ]
    if not sample:
        dark = {name: texture for name, texture in lamp_samplers.items() if name == "t_dfg"}
        parts.append(
            light_of(
                evaluate, "light_environment(s, x.xyz, NoV, alpha, dfg)", v, {**dark, "t_environment": sky}, frame, made
            )
        )
        samplers["t_environment"] = sky
    whole = light_of(
        evaluate, f"shade(s, {POINT})", v, samplers, frame, made, defines + (("SAMPLE",) if sample else ())
    )
    table.release()
    np.testing.assert_allclose(whole, np.sum(parts, axis=0), rtol=2e-3)
    assert all((np.array(part) > 1e-4).all() for part in parts)
