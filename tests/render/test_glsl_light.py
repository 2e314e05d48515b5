"""GLSL functions of light and surface one by one: against integration, closed forms and numpy in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.render.environment import EnvironmentCache, equirect_directions
from engine.render.occlusion import sphere_directions
from engine.render.sources import LightSource, point_of, turned
from engine.render.tables import dfg_texture, ltc_texture, scatter_table
from engine.scene import LampKind

from .conftest import Evaluate, Samplers, Upload
from .glsl import BALL, WHITE, Skin, interpolated, lit_by, reflected, rows, unit, vec3
from .test_lamps import samples

RNG = np.random.default_rng(11)
SURFACE = "lighting/surface.glsl"
AXIS = np.array([0.48, -0.6, 0.64])
SKY = np.array([0.9, 0.6, 0.4]), np.array([0.3, 0.5, 0.2])
"""Mean of a sky and how it grows along AXIS, RGB: radiance is mean + growth (AXIS . d)."""


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
