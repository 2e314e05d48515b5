"""GLSL functions of whole programs one by one: what they read from the stage before is set here."""

from __future__ import annotations

import math

import moderngl
import numpy as np
import pytest

from engine import channels
from engine.channels import LOG_FLOOR
from engine.color import DIVERGING_SRGB, SEQUENTIAL_SRGB, linear_from_srgb, luminance, scale_colors, srgb_from_linear
from engine.render.camera import clip_from_world, direction, eye_position
from engine.render.environment import equirect_directions
from engine.render.frame import CHANNELS, FRAME
from engine.render.sources import LightSource
from engine.scene import Camera, ViewChannel

from .conftest import Evaluate, Samplers, Upload
from .glsl import BALL, lit_by, rows, unit, vec3

RNG = np.random.default_rng(13)

# --- tables


def test_smith_lambda(evaluate: Evaluate) -> None:
    """cos (1 + 2 Lambda), Lambda as in Heitz 2014, eq. 72."""
    cosine, alpha = RNG.uniform(0.05, 1, (2, 300))
    found = evaluate("dfg.frag", "vec4(smith_lambda_term(x.x, x.y))", rows(cosine, alpha))[:, 0]
    tangent2 = 1 / cosine**2 - 1
    np.testing.assert_allclose(found, cosine * np.sqrt(1 + alpha**2 * tangent2), rtol=1e-4)


@pytest.mark.parametrize(("NoV", "alpha"), [(1.0, 0.5), (0.7, 0.2), (0.4, 0.6), (0.15, 1.0)])
def test_visible_normals_are_spread_as_they_are_seen(evaluate: Evaluate, NoV: float, alpha: float) -> None:
    """Means over samples against integrals of G1 max(v . h, 0) D(h) / NoV over the hemisphere."""
    v = np.array([math.sqrt(1 - NoV * NoV), 0.0, NoV])
    u1, u2 = (each.ravel() for each in np.meshgrid(*[(np.arange(128) + 0.5) / 128] * 2))
    h = evaluate("dfg.frag", f"vec4(visible_normal({vec3(v)}, {alpha}, x.x, x.y), 1)", rows(u1, u2))[:, :3]
    np.testing.assert_allclose(np.linalg.norm(h, axis=1), 1, atol=1e-5)
    polar, azimuth = np.meshgrid((np.arange(800) + 0.5) / 800 * np.pi / 2, (np.arange(180) + 0.5) / 180 * 2 * np.pi)
    each = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    d = alpha**2 / (np.pi * (1 - np.cos(polar) ** 2 * (1 - alpha**2)) ** 2)
    weight = np.maximum(each @ v, 0) * d * np.sin(polar)
    assert weight.sum() * (np.pi / 1600) * (2 * np.pi / 180) == pytest.approx(
        NoV * (1 + math.sqrt(1 + alpha**2 * (1 / NoV**2 - 1))) / 2, rel=1e-3
    )  # NoV / G1
    weight /= weight.sum()
    for moment in (lambda n: n[..., 0], lambda n: n[..., 2], lambda n: n[..., 1] ** 2, lambda n: n[..., 0] * n[..., 2]):
        assert moment(h.astype(float)).mean() == pytest.approx((weight * moment(each)).sum(), abs=2e-3)


def test_radical_inverse_mirrors_the_digits(evaluate: Evaluate) -> None:
    numbers = [0, 1, 2, 3, 6, 127, 4242, 65535, 1 << 20]
    found = evaluate("prefilter.frag", "vec4(radical_inverse(uint(x.x)))", rows(np.array(numbers)))[:, 0]
    mirrored = [int(f"{number:032b}"[::-1], 2) / 2**32 for number in numbers]
    np.testing.assert_allclose(found, mirrored, rtol=1e-6)


def test_the_source_of_the_filter_is_read_in_its_direction(evaluate: Evaluate, upload: Upload) -> None:
    """A picture of its own directions gives them back; level 3 is a mean of 8 x 8 texels."""
    directions, _ = equirect_directions(64, 128)
    picture = upload(np.concatenate([directions, np.ones((64, 128, 1))], -1))
    picture.build_mipmaps()
    picture.filter = moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR
    picture.repeat_x = True
    at = unit(RNG.normal(0, 1, (300, 3)))
    read = [
        evaluate("prefilter.frag", f"vec4(source(x.xyz, {level}), 1)", rows(*at.T), {"t_source": picture})[:, :3]
        for level in (0.0, 3.0)
    ]
    np.testing.assert_allclose(read[0], at, atol=0.03)
    away_from_poles = np.abs(at[:, 1]) < 0.8
    np.testing.assert_allclose(unit(read[1])[away_from_poles], at[away_from_poles], atol=0.12)
    assert np.linalg.norm(read[1], axis=1).mean() < 0.98  # a mean of directions


# --- backdrop, spreading


def test_glow_of_suns_in_the_backdrop(evaluate: Evaluate) -> None:
    """What the two levels of the atlas would make of each sun; lamps, which fill no angle, are not in the picture."""
    suns = (
        LightSource(tuple(unit(np.array([0.3, 0.4, -0.8]))), (5.0, 4.0, 3.0), radius_rad=0.05),
        LightSource(tuple(unit(np.array([-0.5, 0.2, -0.8]))), (1.0, 2.0, 3.0), radius_rad=0.15),
    )
    lamp = LightSource((0.0, 0.0, -1.0), (9.0, 9.0, 9.0))
    frame = lit_by(lamp, *suns)
    near = np.concatenate([np.array(sun.towards) + RNG.normal(0, 0.2, (100, 3)) for sun in suns])
    at = unit(near)
    found = evaluate("background.frag", "vec4(sun_glow(x.xyz), 1)", rows(*at.T), frame=frame)[:, :3]
    expected = np.zeros((200, 3))
    for sun in suns:
        NoL = np.maximum(at @ np.array(sun.towards), 0)
        NoH2 = (1 + at @ np.array(sun.towards)) / 2
        for roughness in (0.2, 0.4):
            a2 = roughness**4 + sun.radius_rad**2 / 4
            share = a2 / (np.pi * (1 - NoH2 * (1 - a2)) ** 2) / 4
            expected += 0.5 * (NoL * share)[:, None] * np.array(sun.irradiance_linear)
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=1e-4)
    alone = evaluate("background.frag", "vec4(lobe(x.x, 0.3, 0.1))", rows(np.array([1.0, 0.9])))[:, 0]
    a2 = 0.3**4 + 0.1**2 / 4
    np.testing.assert_allclose(alone, a2 / (4 * np.pi * (1 - np.array([1.0, 0.81]) * (1 - a2)) ** 2), rtol=1e-3)


def test_distance_along_the_view_axis_from_depth(evaluate: Evaluate, upload: Upload) -> None:
    """Points of known distance, carried through the camera's matrix."""
    camera = Camera(distance_m=0.8, yaw_rad=0.4, pitch_rad=0.2)
    clip = clip_from_world(camera, (96, 64), *BALL)
    frame = np.zeros((), FRAME)
    frame["world_from_clip"] = np.linalg.inv(clip).T
    points = BALL[0] + 0.5 * BALL[1] * RNG.uniform(-1, 1, (60, 3))
    seen = np.concatenate([points, np.ones((60, 1))], 1) @ clip.T
    seen = seen[:, :3] / seen[:, 3:] / 2 + 0.5
    depth = upload(np.tile(seen[:, 2], (4, 1)), nearest=True)
    columns = (np.arange(60) + 0.5) / 60
    found = evaluate(
        "scatter.frag", "vec4(view_depth_m(x.xy))", rows(columns, seen[:, 1]), {"t_depth": depth}, frame=frame
    )
    expected = (eye_position(camera) - points) @ direction(camera.yaw_rad, camera.pitch_rad)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4)


# --- maps and what changes them


def bilinear(tile: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """(H, W, C) `tile` at (N, 2) `uv`, edges clamped."""
    height, width = tile.shape[:2]
    at = np.clip(uv * (width, height) - 0.5, 0, np.array([width, height]) - 1)
    low = np.minimum(at.astype(int), np.array([width, height]) - 2)
    a, b = (at - low).T[..., None]
    i, j = low.T
    return (1 - b) * ((1 - a) * tile[j, i] + a * tile[j, i + 1]) + b * (
        (1 - a) * tile[j + 1, i] + a * tile[j + 1, i + 1]
    )


def test_changes_are_summed_from_their_tiles(evaluate: Evaluate, upload: Upload) -> None:
    """Two changes of different sizes, weights of either sign; no tile bleeds into its neighbour at its edge."""
    tiles = [RNG.normal(0, 1, (3, size, size, 4)) for size in (8, 16)]
    samplers = {"t_change": [upload(each.reshape(-1, each.shape[2], 4)) for each in tiles]}
    uv = np.concatenate([RNG.uniform(0, 1, (300, 2)), RNG.choice([0.0, 1.0, 0.5], (20, 2))])
    weights = (0.7, -0.4)
    summed = [sum(w * bilinear(each[k], uv) for w, each in zip(weights, tiles, strict=True)) for k in range(3)]
    packed = np.concatenate(summed, 1)[:, :9]
    calls = {
        "vec4(change_at(x.xy).log_diffuse, 0)": channels.DIFFUSE,
        "vec4(change_at(x.xy).log_specular, 0)": channels.SPECULAR,
        "vec4(change_at(x.xy).roughness)": channels.ROUGHNESS,
        "vec4(change_at(x.xy).slope, 0, 0)": channels.NORMAL,
    }
    for call, row in calls.items():
        found = evaluate("common/change.glsl", call, rows(*uv.T), samplers, ("CHANGES 2",), u_weight=weights)
        values = packed[:, row.channels]
        np.testing.assert_allclose(found[:, : values.shape[1]], values, atol=0.03)


HEAD = "head.frag"
MAPS = {
    "t_diffuse": np.array([200, 150, 110], np.uint8),
    "t_specular": np.array([130, 120, 110, 90], np.uint8),
    "t_slope": np.array([0.2, -0.3]),
    "t_neutral_diffuse": np.array([100, 120, 140], np.uint8),
    "t_neutral_specular": np.array([60, 70, 80, 130], np.uint8),
    "t_neutral_slope": np.array([-0.1, 0.1]),
}
"""One texel each."""
CHANGE = np.array([0.3, -0.2, 0.1, 0.5, 0.4, -0.6, 0.08, 0.15, -0.05])
ALBEDO = linear_from_srgb(MAPS["t_diffuse"])
CHANGED_ALBEDO = (ALBEDO + LOG_FLOOR) * np.exp(0.5 * channels.DIFFUSE.of(CHANGE)) - LOG_FLOOR
SPECULAR = MAPS["t_specular"] / 255
CHANGED_SPECULAR = (SPECULAR[:3] + LOG_FLOOR) * np.exp(0.5 * channels.SPECULAR.of(CHANGE)) - LOG_FLOOR


@pytest.fixture
def maps(upload: Upload) -> dict[str, moderngl.Texture]:
    """MAPS, and CHANGE in tiles of one colour, to be taken half."""
    made = {name: upload(np.tile(texel, (4, 4, 1)).astype(texel.dtype)) for name, texel in MAPS.items()}
    return made | {"t_change": upload(np.pad(CHANGE, (0, 3)).reshape(3, 1, 4).repeat(4, 0).repeat(4, 1))}


def taken(maps: Samplers, *names: str) -> Samplers:
    return {name: maps[name] for name in (*names, "t_diffuse", "t_specular", "t_slope")}


def test_the_maps_of_the_skin_with_and_without_a_change(evaluate: Evaluate, maps: Samplers) -> None:
    inputs = RNG.uniform(0, 1, (8, 4))
    before = "v_uv = x.xy; Maps maps = maps_here();"
    calls = "vec4(maps.albedo, 1)", "maps.specular", "vec4(maps.slope, 0, 0)"
    still, changed = (
        [
            evaluate(HEAD, call, inputs, taken(maps, *extra), ("SKIN", *defines), before=before, **weight)[0]
            for call in calls
        ]
        for extra, defines, weight in (((), (), {}), (("t_change",), ("CHANGES 1",), {"u_weight": 0.5}))
    )
    np.testing.assert_allclose(still[0][:3], ALBEDO, atol=1e-3)
    np.testing.assert_allclose(still[1], SPECULAR, atol=1e-3)
    np.testing.assert_allclose(still[2][:2], MAPS["t_slope"], atol=1e-4)
    np.testing.assert_allclose(changed[0][:3], CHANGED_ALBEDO, atol=1e-3)
    np.testing.assert_allclose(
        changed[1], [*CHANGED_SPECULAR, SPECULAR[3] + 0.5 * channels.ROUGHNESS.of(CHANGE)], atol=1e-3
    )
    np.testing.assert_allclose(changed[2][:2], MAPS["t_slope"] + 0.5 * channels.NORMAL.of(CHANGE), atol=1e-4)
    samplers, defines = taken(maps, "t_change"), ("SKIN", "CHANGES 1")
    rough = evaluate(HEAD, "maps.specular", inputs, samplers, defines, before=before, u_weight=20.0)[0, 3]
    assert rough == 1


# --- geometry

PLANE = unit(np.array([0.3, 0.2, 0.9]))
ACROSS = unit(np.cross([0.1, 1.0, 0.0], PLANE))
"""A plane that is seen: its normal, and the direction that grows to the right of the picture; up is their product."""


def on_plane(uv: np.ndarray, side: int = 8) -> tuple[np.ndarray, str]:
    """Inputs of a picture of the plane, and GLSL that sets place and texture coordinates: (2, 2) `uv` holds how they
    grow per metre to the right and up."""
    j, i = np.mgrid[:side, :side].astype(float)
    up = np.cross(PLANE, ACROSS)
    place = f"v_position = {vec3(0.001 * ACROSS)} * x.x + {vec3(0.002 * up)} * x.y;"
    (ux, uy), (vx, vy) = uv * (0.001, 0.002)
    coordinates = f"v_uv = vec2({ux:.9f} * x.x + {uy:.9f} * x.y, {vx:.9f} * x.x + {vy:.9f} * x.y);"
    return np.stack([i, j, 0 * i, 0 * i], -1), place + coordinates


LAYOUTS = {
    "as maps lie": np.array([[5.0, 0.0], [0.0, -5.0]]),
    "mirrored": np.array([[-5.0, 0.0], [0.0, -5.0]]),
    "turned and stretched": np.array([[3.0, 2.0], [4.0, -8.0]]),
    "skewed": np.array([[5.0, 3.0], [1.0, -4.0]]),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("behind", [False, True])
def test_slopes_lean_the_normal_along_growing_u_and_shrinking_v(
    evaluate: Evaluate, context: moderngl.Context, name: str, behind: bool
) -> None:
    """The directions are gradients of the texture coordinates over the surface; seen from behind, bumps are dents."""
    uv, slope = LAYOUTS[name], np.array([0.3, -0.5])
    inputs, before = on_plane(uv)
    up = np.cross(PLANE, ACROSS)
    gradients = unit(uv @ np.stack([ACROSS, up]))
    leans = slope[0] * gradients[0] - slope[1] * gradients[1]
    expected = unit(PLANE + (-1 if behind else 1) * leans)
    context.front_face = "cw" if behind else "ccw"
    call = f"vec4(mapped_normal({vec3(PLANE)}, vec2({slope[0]}, {slope[1]})), 1)"
    found = evaluate(HEAD, call, inputs, defines=("SKIN",), before=before)[..., :3]
    context.front_face = "ccw"
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=2e-3)


@pytest.mark.parametrize("mirrored", [False, True])
def test_slopes_lean_the_normal_of_a_head_laid_out_flat(evaluate: Evaluate, mirrored: bool) -> None:
    """The picture's axes are u and v; a mirrored chart is seen from behind, its bumps are bumps all the same."""
    j, i = np.mgrid[:8, :8].astype(float)
    up = np.cross(PLANE, ACROSS)
    right = -ACROSS if mirrored else ACROSS
    before = (
        f"v_position = {vec3(0.001 * right)} * x.x + {vec3(0.001 * up)} * x.y; v_uv = vec2(0.01 * x.x, -0.01 * x.y);"
    )
    call = f"vec4(mapped_normal({vec3(PLANE)}, vec2(0.3, -0.5)), 1)"
    found = evaluate(HEAD, call, np.stack([i, j, 0 * i, 0 * i], -1), defines=("SKIN", "FLAT"), before=before)[..., :3]
    np.testing.assert_allclose(found, np.broadcast_to(unit(PLANE + 0.3 * right - 0.5 * up), found.shape), atol=2e-3)


def test_without_texture_coordinates_the_normal_stays(evaluate: Evaluate) -> None:
    inputs, before = on_plane(np.zeros((2, 2)))
    found = evaluate(
        HEAD, f"vec4(mapped_normal({vec3(PLANE)}, vec2(0.3, -0.5)), 1)", inputs, defines=("SKIN",), before=before
    )
    np.testing.assert_allclose(found[..., :3], np.broadcast_to(PLANE, (8, 8, 3)), atol=1e-6)


# --- materials


def test_the_surface_of_skin(evaluate: Evaluate, maps: Samplers) -> None:
    """Maps in the scale of their identity, F0 at most 1; scattering where it is on and not spread on the screen."""
    inputs, before = on_plane(LAYOUTS["as maps lie"])
    before += "v_still = vec2(0.7, 50.0); v_sky = vec4(0.1, 0.2, 0.3, 0.4); v_reach = vec3(0.2, 0.4, 0.6);"
    before += f"Surface s = part_surface({vec3(PLANE)});"

    def found(call: str, scale: float = 0.5, scatters: float = 1.0, defines: tuple[str, ...] = ()) -> np.ndarray:
        frame = lit_by(material=(scale, 0, scatters, 0))
        return evaluate(HEAD, call, inputs, taken(maps), ("SKIN", *defines), before=before, frame=frame)[4, 4]

    up = np.cross(PLANE, ACROSS)
    np.testing.assert_allclose(found("vec4(s.albedo, s.roughness)"), [*ALBEDO, SPECULAR[3]], atol=1e-3)
    np.testing.assert_allclose(found("vec4(s.f0, s.occlusion)"), [*(0.5 * SPECULAR[:3]), 0.7], atol=1e-3)
    np.testing.assert_allclose(found("vec4(s.f0, 1)", scale=2.2)[:3], np.minimum(2.2 * SPECULAR[:3], 1), atol=1e-3)
    slope = MAPS["t_slope"]
    np.testing.assert_allclose(
        found("vec4(s.normal, 1)")[:3], unit(PLANE + slope[0] * ACROSS + slope[1] * up), atol=2e-3
    )
    np.testing.assert_allclose(found("vec4(s.smooth_normal, 1)")[:3], PLANE, atol=1e-6)
    np.testing.assert_allclose(found("s.sky"), [0.1, 0.2, 0.3, 0.4], atol=1e-6)
    np.testing.assert_allclose(found("vec4(s.reach, 1)")[:3], [0.2, 0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(found("vec4(s.smoothing, s.curvature)"), [0.75, 0.4, 0.2, 50], atol=1e-5)
    assert not found("vec4(s.smoothing, s.curvature)", scatters=0.0).any()
    assert not found("vec4(s.smoothing, s.curvature)", defines=("PASSES",)).any()


@pytest.mark.parametrize("middle", [(0.5, 0.5), (0.6, 0.45), (0.8, 0.5)])
def test_the_surface_of_an_eye(evaluate: Evaluate, upload: Upload, middle: tuple[float, float]) -> None:
    """Over the iris the cornea bulges and the iris is a bowl, more so off the axis; the white is plain."""
    inputs, before = on_plane(np.array([[1e-2, 0.0], [0.0, -1e-2]]))
    before += f"v_uv += vec2({middle[0]}, {middle[1]}); v_still = vec2(0.5, 0); v_sky = vec4(0, 0, 0, 1);"
    before += f"v_reach = vec3(0.2, 0.4, 0.6); Surface s = part_surface({vec3(PLANE)});"
    eye = upload(np.tile(np.array([90, 120, 160], np.uint8), (4, 4, 1)))

    def found(call: str) -> np.ndarray:
        frame = lit_by(material=(1, 0, 1, 0))
        return evaluate(HEAD, call, inputs, {"t_eye": eye}, ("EYE",), before=before, frame=frame)[0, 0]

    np.testing.assert_allclose(
        found("vec4(s.albedo, s.roughness)"), [*linear_from_srgb(np.array([90, 120, 160], np.uint8)), 0.08], atol=1e-3
    )
    np.testing.assert_allclose(
        found("vec4(s.f0, s.occlusion)"), [*[((1.376 - 1) / (1.376 + 1)) ** 2] * 3, 0.4], atol=1e-3
    )
    np.testing.assert_allclose(found("vec4(s.smoothing, s.curvature)"), [1, 1, 1, 40], atol=1e-5)
    np.testing.assert_allclose(found("vec4(s.reach, 1)")[:3], [0.16, 0.32, 0.48], atol=1e-6)  # past the lashes
    off = np.array(middle) - 0.5
    cornea = 0.0 if math.hypot(*off) > 0.21 else 1.0
    outward = off[0] * ACROSS + -off[1] * np.cross(PLANE, ACROSS)  # v grows down
    for name, steepness in (("normal", 0.7), ("smooth_normal", -1.8)):
        expected = unit(PLANE + steepness * cornea * outward)
        np.testing.assert_allclose(found(f"vec4(s.{name}, 1)")[:3], expected, atol=3e-3)


def test_the_surface_of_a_part_without_maps(evaluate: Evaluate) -> None:
    before = "v_still = vec2(0.5, 9); v_sky = vec4(1); v_reach = vec3(0.2, 0.4, 0.6);"
    before += f"Surface s = part_surface({vec3(PLANE)});"
    uniforms = {"u_tissue": (0.3, 0.2, 0.1, 0.25), "u_tissue_depth": (0.045, 60.0)}
    expected = {
        "vec4(s.albedo, s.roughness)": (0.3, 0.2, 0.1, 0.25),
        "vec4(s.f0, s.curvature)": (0.045, 0.045, 0.045, 60),
        "vec4(s.normal, s.occlusion)": (*PLANE, 0.5),
        "vec4(s.smooth_normal, s.smoothing.x)": (*PLANE, 0),
        "vec4(s.reach, 1)": (0.2, 0.4, 0.6, 1),
        "s.sky": (*(0.75 * PLANE), 0.5),
    }
    for call, values in expected.items():
        found = evaluate(
            HEAD,
            call,
            np.zeros((1, 4)),
            defines=("TISSUE",),
            before=before,
            frame=lit_by(material=(1, 0, 1, 0)),
            **uniforms,
        )
        np.testing.assert_allclose(found[0], values, atol=1e-5)


def test_what_is_read_outside_of_a_triangle_stays_a_share(evaluate: Evaluate) -> None:
    """Where a sample lies alone at an edge, values at its corners go on in a straight line, below 0 and above 1."""
    inputs = np.array([[-0.2, 0.3, 1.4, -0.5]], np.float32)
    before = "v_still = x.xy; v_reach = x.yzw;"
    found = evaluate(HEAD, "vec4(occlusion_here(), reach_here())", inputs, defines=("TISSUE",), before=before)
    np.testing.assert_allclose(found[0], [0, 0.3, 1, 0], atol=1e-6)


# --- channels


def scale_color(t: float, diverging: bool) -> np.ndarray:
    return scale_colors(np.array([t]), DIVERGING_SRGB if diverging else SEQUENTIAL_SRGB)[0]


def shown(
    evaluate: Evaluate, maps: Samplers, channel: ViewChannel, call: str, *defines: str, **uniforms: tuple[float, ...]
) -> np.ndarray:
    """(4,) what a GLSL call gives for skin in the middle of a plane, its colour scale from -2 to 6."""
    inputs, before = on_plane(LAYOUTS["as maps lie"])
    before += "v_still = vec2(0.7, 3.0); v_sky = vec4(0); v_offset = vec2(0.004, -0.001); v_uv += vec2(0.4, 0.6);"
    before += f"bool known; Surface s = part_surface({vec3(PLANE)});"
    frame = lit_by(scale=(-2, 6, LOG_FLOOR, 0), material=(0.5, 0, 1, 0), ball=(*BALL[0], BALL[1]))
    names = ["t_neutral_diffuse", "t_neutral_specular", "t_neutral_slope"]
    defined = ("PLAIN", f"SHOWN CHANNEL_{channel.name}", *(defines or ("SKIN",)))
    return evaluate(HEAD, call, inputs, taken(maps, *names), defined, before=before, frame=frame, **uniforms)[4, 4]


def stops(now: np.ndarray, then: np.ndarray) -> float:
    return float(np.log2((luminance(now) + LOG_FLOOR) / (luminance(then) + LOG_FLOOR)))


def angle_of_slopes() -> float:
    a, b = (np.array([*MAPS[name], 1.0]) for name in ("t_slope", "t_neutral_slope"))
    return math.degrees(math.acos(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))


AT = np.array([0.4 + 5e-3 * 4, 0.6 - 1e-2 * 4])
"""Texture coordinate in the middle of the plane."""
PLACE = 0.004 * ACROSS + 0.008 * np.cross(PLANE, ACROSS)
NEUTRAL_SPECULAR = MAPS["t_neutral_specular"] / 255
ON_SCALE = {
    ViewChannel.F0: (0.5 * float(luminance(SPECULAR[:3])), False),
    ViewChannel.CURVATURE: (3.0, False),
    ViewChannel.OFFSET: (4.0, False),
    ViewChannel.OFFSET_NORMAL: (-1.0, True),
    ViewChannel.DIFFUSE_CHANGE: (stops(ALBEDO, linear_from_srgb(MAPS["t_neutral_diffuse"])), True),
    ViewChannel.SPECULAR_CHANGE: (stops(SPECULAR[:3], NEUTRAL_SPECULAR[:3]), True),
    ViewChannel.ROUGHNESS_CHANGE: (float(SPECULAR[3] - NEUTRAL_SPECULAR[3]), True),
    ViewChannel.NORMAL_CHANGE: (angle_of_slopes() / 10, False),
}
"""Value of the plane in each channel that has a colour scale, and whether it goes both ways."""
AS_IT_IS = {
    ViewChannel.DIFFUSE: MAPS["t_diffuse"] / 255,
    ViewChannel.SPECULAR: SPECULAR[:3],
    ViewChannel.ROUGHNESS: SPECULAR[3],
    ViewChannel.NORMAL_MAP: unit(np.array([*MAPS["t_slope"], 1.0])) / 2 + 0.5,
    ViewChannel.NORMAL: unit(PLANE + 0.2 * ACROSS - 0.3 * np.cross(PLANE, ACROSS)) / 2 + 0.5,
    ViewChannel.MESH_NORMAL: PLANE / 2 + 0.5,
    ViewChannel.OCCLUSION: 0.7,
    ViewChannel.UV: np.array([*AT, 0]),
    ViewChannel.POSITION: (PLACE - BALL[0]) / BALL[1] / 2 + 0.5,
    ViewChannel.PARTS: np.array([0.9, 0.6, 0.1]),
}


@pytest.mark.parametrize("channel", ON_SCALE)
def test_channels_with_a_colour_scale(evaluate: Evaluate, maps: Samplers, channel: ViewChannel) -> None:
    value, diverging = ON_SCALE[channel]
    if channel is ViewChannel.NORMAL_CHANGE:  # degrees, beyond this scale
        value *= 10
    found = shown(evaluate, maps, channel, "vec4(final_color(s), on_scale(1.0))")
    assert found[3] == pytest.approx(3 / 8)
    np.testing.assert_allclose(found[:3], scale_color(min((value + 2) / 8, 1), diverging), atol=3e-3)


@pytest.mark.parametrize("channel", AS_IT_IS)
def test_channels_that_show_what_is_there(evaluate: Evaluate, maps: Samplers, channel: ViewChannel) -> None:
    uniforms = {"u_part": (0.9, 0.6, 0.1)} if channel is ViewChannel.PARTS else {}
    found = shown(evaluate, maps, channel, "vec4(final_color(s), 1)", **uniforms)[:3]
    np.testing.assert_allclose(found, np.broadcast_to(AS_IT_IS[channel], 3), atol=2e-3)


def test_every_channel_without_light_is_tested_here() -> None:
    lit = {ViewChannel.SHADED, ViewChannel.GEOMETRY, ViewChannel.DIFFUSE_LIGHT, ViewChannel.SPECULAR_LIGHT}
    others = {ViewChannel.DEPTH, ViewChannel.UV_CHECKER}  # a distance and a pattern: tested in test_views
    assert {*ON_SCALE, *AS_IT_IS} | lit | others == set(CHANNELS)


@pytest.mark.parametrize(
    ("part", "channel", "known"),
    [
        ("SKIN", "SPECULAR", 1),
        ("EYE", "DIFFUSE", 1),
        ("EYE", "SPECULAR", 0),
        ("TISSUE", "DIFFUSE", 0),
        ("TISSUE", "UV", 1),
    ],
)
def test_a_part_says_which_maps_it_has(evaluate: Evaluate, upload: Upload, part: str, channel: str, known: int) -> None:
    textures = {
        name: upload(np.full((4, 4, 4), 99, np.uint8)) for name in ("t_diffuse", "t_specular", "t_slope", "t_eye")
    }
    before = f"v_uv = x.xy; bool known; Surface s = part_surface({vec3(PLANE)}); vec3 color = map_color(s, known);"
    frame = lit_by(material=(1, 0, 0, 0))
    inputs = np.full((2, 2, 4), 0.25)
    defines = ("PLAIN", f"SHOWN CHANNEL_{channel}", part)
    found = evaluate(HEAD, "vec4(color, known)", inputs, textures, defines, before=before, frame=frame)[0, 0]
    assert found[3] == known
    assert found[:3].any() == bool(known)


def test_what_leaves_lit_skin(evaluate: Evaluate, upload: Upload) -> None:
    """Albedo times scattered light plus reflected light, to the display; its channels show one of both."""
    inputs, before = on_plane(LAYOUTS["as maps lie"])
    before += "v_still = vec2(1, 0); v_sky = vec4(0); Surface s = Surface(vec3(0.6, 0.4, 0.2), vec3(0.04), 0.5, "
    before += f"{vec3(PLANE)}, {vec3(PLANE)}, vec3(0), 0.0, 1.0, vec3(1), vec4(0)); Light light = shade(s, v_position);"
    light = LightSource(tuple(unit(PLANE + 0.3 * ACROSS)), (2.0, 2.0, 2.0))
    frame = lit_by(light, eye_m=(*(0.5 * unit(PLANE - 0.3 * ACROSS)), 0))
    samplers = {
        "t_shadow": upload(np.ones((4, 4)), depth="<="),
        "t_dfg": upload(np.tile([0.9, 0.05, 0.9, 0.05], (4, 4, 1))),
        "t_environment": upload(np.zeros((4, 4, 4))),
    }

    def found(call: str, channel: int = 0, *defines: str) -> np.ndarray:
        frame["display"] = 1, 1, channel, 0  # linear
        return evaluate(HEAD, call, inputs, samplers, ("TISSUE", *defines), before=before, frame=frame)[4, 4, :3]

    scattered, specular = found("vec4(light.scattered, 1)"), found("vec4(light.specular, 1)")
    assert scattered.min() > 0.1
    assert specular.min() > 0.01
    whole = scattered * (0.6, 0.4, 0.2) + specular
    for channel, expected in ((0, whole), (7, scattered), (8, specular)):
        np.testing.assert_allclose(found("vec4(final_color(s), 1)", channel), srgb_from_linear(expected), atol=2e-3)
    np.testing.assert_allclose(found("vec4(final_color(s), 1)", 0, "SAMPLE"), whole, rtol=0.02)
    assert [CHANNELS[index] for index in (0, 7, 8)] == ["Shaded", "Diffuse light", "Specular light"]
