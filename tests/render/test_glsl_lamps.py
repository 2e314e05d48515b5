"""GLSL functions of lamps, and of their light through thin parts, one by one: against sums of points and numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.render.sources import LightSource, point_of
from engine.render.tables import SKIN_GAUSSIANS
from engine.scene import LampKind

from .conftest import Evaluate, Upload
from .glsl import BALL, lit_by, rows, unit, vec3

RNG = np.random.default_rng(14)

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


# --- through thin parts


def through(thickness_m: np.ndarray) -> np.ndarray:
    """(N, 3) share of light that comes straight through a slab."""
    d2 = (1000 * thickness_m[:, None]) ** 2
    return np.exp(-d2 / (2 * SKIN_GAUSSIANS[:, 0])) @ SKIN_GAUSSIANS[:, 1:]


def light_inside(
    evaluate: Evaluate,
    call: str,
    inputs: np.ndarray,
    thickness: moderngl.Texture,
    frame: np.ndarray,
    lamps: tuple[str, ...] = (),
) -> np.ndarray:
    """(N, 3) light of `call`, where it enters is in the atlas `thickness`."""
    textures = {"t_thickness": thickness}
    return evaluate("lighting/transmission.glsl", call, inputs, textures, lamps, frame=frame)[:, :3]


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
        found = light_inside(
            evaluate,
            f"vec4(light_through({light}, x.xyz, {vec3(normal)}, {vec3(-normal)}), 1)",
            rows(*points.T),
            texture,
            frame,
        )
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
    found = light_inside(evaluate, call, rows(*point[:, None]), texture, lit_by(BEHIND[0]))
    np.testing.assert_allclose(found[0], through(np.array([0.002]))[0], rtol=0.03)


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
    found = light_inside(
        evaluate, f"vec4(transmitted_light({vec3(point)}, x.xyz), 1)", rows(*normals.T), texture, frame
    )
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
    found = light_inside(
        evaluate,
        f"vec4(transmitted(0, Beam({vec3(towards)}, vec3(3, 2, 1)), {vec3(point)}, x.xyz), 1)",
        rows(*normals.T),
        texture,
        frame,
    )
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
    found = light_inside(
        evaluate,
        f"vec4(transmitted(0, beam_point(0, x.xyz), x.xyz, {vec3(-axis)}), 1)",
        rows(*points.T),
        upload(np.full((16, 24), depth), nearest=True, depth=""),
        lit_by(corner),
        ("POINT_LAMPS",),
    )
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
    found = light_inside(
        evaluate,
        f"vec4(transmitted_light(x.xyz, {vec3(normal)}), 1)",
        rows(*points.T),
        upload(atlas.reshape(16, 24), nearest=True, depth=""),
        lit_by(*lights),
        ("POINT_LAMPS", "RECTANGLE_LAMPS"),
    )
    np.testing.assert_allclose(found, np.sum(parts, axis=0), rtol=2e-3, atol=1e-6)
    assert all(part[:, 0].max() > 0.02 for part in parts)
