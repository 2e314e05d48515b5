"""GLSL functions of shadows one by one: places in the map, the tent of a software driver, penumbras of hardware."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from engine.render.sources import LightSource
from engine.scene import LampKind

from .conftest import Evaluate, Upload
from .glsl import BALL, WHITE, lit_by, rows, unit, vec3

RNG = np.random.default_rng(12)
SHADOW = "lighting/shadow.glsl"
NEAR_LAMPS = ("POINT_LAMPS", "RECTANGLE_LAMPS")
CENTRE, RADIUS = BALL
TOWARDS = unit(np.array([0.3, 0.5, 0.8]))
SUN = LightSource(tuple(TOWARDS), WHITE, softness_m=0.01)
BULB = LightSource(
    tuple(TOWARDS), WHITE, kind=LampKind.SPOT, distance_m=0.6, position_m=tuple(CENTRE + 0.6 * TOWARDS),
    cone_rad=(0.1, 0.2), softness_m=0.02,
)  # fmt: skip
LIGHTS = {"sun": SUN, "bulb": BULB}


def inside(count: int) -> np.ndarray:
    """(N, 3) points in the ball around the head."""
    return CENTRE + 0.55 * RADIUS * unit(RNG.normal(0, 1, (count, 3))) * RNG.uniform(0.2, 1, (count, 1))


def seen_by(light: LightSource, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the map of `light` says of (N, 3) points without looking at its matrix: metres right of and above the middle
    of its view per metre of half its width (N, 2), and metres along its axis from where it looks (N,)."""
    right = unit(np.cross([0.0, 1.0, 0.0], TOWARDS))
    up = np.cross(TOWARDS, right)
    if light.kind == LampKind.DIRECTIONAL:
        from_light = points - (CENTRE + RADIUS * TOWARDS)
        half = np.full(len(points), RADIUS)
    else:
        from_light = points - np.array(light.position_m)
        half = -(from_light @ TOWARDS) * math.tan(math.asin(RADIUS / 0.6))
    return np.stack([from_light @ right, from_light @ up], -1) / half[:, None], -(from_light @ TOWARDS)


@pytest.mark.parametrize("name", LIGHTS)
def test_places_in_the_map_of_a_light(evaluate: Evaluate, name: str) -> None:
    """Moved off the surface by a texel and a half, a little nearer to the light."""
    light, frame = LIGHTS[name], lit_by(LIGHTS[name])
    points, normal = inside(100), unit(np.array([0.2, -0.4, 0.9]))
    call = f"vec4(shadow_map_place(0, x.xyz, {vec3(normal)}), 1)"
    found = evaluate(SHADOW, call, rows(*points.T), defines=NEAR_LAMPS, frame=frame)[:, :3]
    side, offset_m, bias, _ = frame["shadow"][0]
    width = 2 * RADIUS if name == "sun" else 2 * 0.6 * math.tan(math.asin(RADIUS / 0.6))
    assert offset_m == pytest.approx(1.5 * width / side)
    at, distance = seen_by(light, points + offset_m * normal)
    np.testing.assert_allclose(found[:, :2], at / 2 + 0.5, atol=1e-5)
    near, far = (0, 2 * RADIUS) if name == "sun" else (0.6 - RADIUS, 0.6 + RADIUS)
    depth = distance / far if name == "sun" else (1 / near - 1 / distance) / (1 / near - 1 / far)
    np.testing.assert_allclose(found[:, 2], depth - bias, atol=1e-5)
    assert 0 < bias < 0.02


@pytest.mark.parametrize("name", LIGHTS)
def test_depth_in_a_map_is_a_distance(evaluate: Evaluate, name: str) -> None:
    frame, points = lit_by(LIGHTS[name]), inside(100)
    frame["shadow"][:, 1:3] = 0
    call = "vec4(shadow_distance(0, shadow_map_place(0, x.xyz, vec3(0)).z))"
    found = evaluate(SHADOW, call, rows(*points.T), defines=("PCSS", *NEAR_LAMPS), frame=frame)[:, 0]
    np.testing.assert_allclose(found, seen_by(LIGHTS[name], points)[1], rtol=1e-4)


def test_a_lamps_image_through_a_pinhole(evaluate: Evaluate) -> None:
    """Half the lamp's width times (receiver - blocker) / blocker, as a share of the map's width there."""
    blocker = RNG.uniform(0.45, 0.7, 100)
    receiver = blocker + RNG.uniform(0, 0.05, 100)
    inputs = rows(receiver, blocker)
    call, defines = "vec4(penumbra_size(0, x.x, x.y), 0, 1)", ("PCSS",)
    found = evaluate(SHADOW, call, inputs, defines=defines, frame=lit_by(BULB))[:, 0]
    half_lamp = BULB.angular_size[0] / 2 * 0.6
    image = half_lamp * (receiver - blocker) / blocker
    np.testing.assert_allclose(found, image / (2 * receiver * math.tan(math.asin(RADIUS / 0.6))), rtol=1e-4, atol=1e-7)
    found = evaluate(SHADOW, call, inputs, defines=defines, frame=lit_by(SUN))[:, 0]
    spread = (receiver - blocker) * SUN.angular_size[0] / 2
    np.testing.assert_allclose(found, spread / (2 * RADIUS), rtol=1e-4, atol=1e-7)


def test_points_of_a_disc_are_spread_evenly(evaluate: Evaluate) -> None:
    """As many in each ring of equal area, none beside another, in the middle on average; turned as told."""
    index = np.arange(24)
    found = evaluate(SHADOW, "vec4(disc_point(int(x.x), 24, x.y), 0, 1)", rows(index, 0.0), defines=("PCSS",))[:, :2]
    np.testing.assert_allclose((found**2).sum(1), (index + 0.5) / 24, rtol=1e-4)
    assert np.abs(found.mean(0)).max() < 0.05
    apart = np.linalg.norm(found[:, None] - found, axis=-1) + 9 * np.eye(24)
    assert apart.min() > 0.6 * math.sqrt(math.pi / 24)
    turned = evaluate(SHADOW, "vec4(disc_point(int(x.x), 24, x.y), 0, 1)", rows(index, 0.7), defines=("PCSS",))[:, :2]
    turn = np.array([[math.cos(0.7), math.sin(0.7)], [-math.sin(0.7), math.cos(0.7)]])
    np.testing.assert_allclose(turned, found @ turn, atol=1e-5)


@pytest.mark.parametrize("name", LIGHTS)
def test_the_slope_of_a_receiver_over_the_map(evaluate: Evaluate, name: str) -> None:
    """By finite differences over its plane; a plane that faces away has a bounded slope."""
    frame = lit_by(LIGHTS[name])
    frame["shadow"][:, 1:3] = 0
    point = CENTRE + np.array([0.01, -0.02, 0.03])
    normals = unit(TOWARDS + 0.8 * RNG.normal(0, 1, (100, 3)))
    normals = normals[normals @ TOWARDS > 0.3]
    defines = ("PCSS", *NEAR_LAMPS)
    slope = evaluate(
        SHADOW, f"vec4(receiver_slope(0, {vec3(point)}, x.xyz), 0, 1)", rows(*normals.T), defines=defines, frame=frame
    )[:, :2]
    matrix = frame["shadow_from_world"][0].T.astype(float)

    def place(points: np.ndarray) -> np.ndarray:
        at = np.concatenate([points, np.ones((len(points), 1))], 1) @ matrix.T
        return at[:, :3] / at[:, 3:]

    for _ in range(3):
        along = np.cross(normals, unit(RNG.normal(0, 1, 3)))
        moved = (place(point + 1e-4 * along) - place(point - 1e-4 * along)) / 2e-4
        np.testing.assert_allclose((slope * moved[:, :2]).sum(1), moved[:, 2], atol=0.01)
    away = evaluate(
        SHADOW, f"vec4(receiver_slope(0, {vec3(point)}, x.xyz), 0, 1)", rows(*-normals.T), defines=defines, frame=frame
    )
    assert np.linalg.norm(away[:, :2], axis=1) == pytest.approx(8.0, rel=1e-3)


def test_what_hides_a_part_of_the_lamp(evaluate: Evaluate, upload: Upload) -> None:
    """Before the receiver's plane and within the cone to the lamp; x: place aside, depth of the plane, its slope."""
    depth = 0.4
    frame = lit_by(SUN)
    texture = upload(np.full((8, 8), depth), nearest=True, depth="")
    aside, height, slope = RNG.uniform(-0.02, 0.02, 400), RNG.uniform(0.3, 0.7, 400), RNG.uniform(-30, 30, 400)
    receiver = height * 2 * RADIUS
    call = f"vec4(blocker_at(0, vec3(0.5, 0.5, x.y), vec2(x.x, 0), vec2(x.z, 0), x.y * {2 * RADIUS:.9f}), 0, 1)"
    found = evaluate(SHADOW, call, rows(aside, height, slope), {"t_shadow": texture}, ("PCSS",), frame=frame)[:, :2]
    before_plane = depth <= height + slope * aside
    image = (receiver - 2 * RADIUS * depth) * SUN.angular_size[0] / 2 / (2 * RADIUS)
    within = np.abs(aside) <= np.maximum(image, 1e-6)
    clear = (np.abs(depth - height - slope * aside) > 1e-5) & (np.abs(np.abs(aside) - image) > 1e-5)  # of rounding
    np.testing.assert_array_equal(found[clear, 0], (before_plane & within)[clear])
    np.testing.assert_allclose(found[:, 1], depth * 2 * RADIUS, rtol=1e-4)
    assert (before_plane & within).any()
    assert (before_plane & ~within).any()
    assert (within & ~before_plane).any()


def plane_at(depth: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """World points at `depth` (N,) and (N, 2) `uv` of the map of SUN."""
    right = unit(np.cross([0.0, 1.0, 0.0], TOWARDS))
    up = np.cross(TOWARDS, right)
    middle = CENTRE + RADIUS * TOWARDS
    return (
        middle
        + (uv[:, :1] - 0.5) * 2 * RADIUS * right
        + (uv[:, 1:] - 0.5) * 2 * RADIUS * up
        - depth[:, None] * 2 * RADIUS * TOWARDS
    )


def test_software_shadows_are_a_tent_over_the_map(evaluate: Evaluate, upload: Upload) -> None:
    """Comparisons with each texel, weighted 1 2 1 both ways and interpolated: summed here one by one."""
    side = 16
    blockers = RNG.choice([0.2, 0.4, 0.8], (side, side))
    frame = lit_by(SUN)
    frame["shadow"][0] = side, 0, 0, 0
    uv, depth = RNG.uniform(0.2, 0.8, (500, 2)), RNG.choice([0.1, 0.3, 0.5, 0.9], 500)
    found = evaluate(
        SHADOW,
        "vec4(shadow_visibility(0, x.xyz, vec3(0)))",
        rows(*plane_at(depth, uv).T),
        {"t_shadow": upload(blockers, depth="<=")},
        frame=frame,
    )[:, 0]
    for at, receiver, visible in zip(uv, depth, found, strict=True):
        lit = (receiver <= blockers).astype(float)
        tent = np.zeros((side - 2, side - 2))
        for i, j in product((-1, 0, 1), repeat=2):
            tent += lit[1 + j : side - 1 + j, 1 + i : side - 1 + i] * (2 - abs(i)) * (2 - abs(j)) / 16
        x, y = at * side - 0.5 - 1
        column, row = int(x), int(y)
        a, b = x - column, y - row
        expected = (1 - b) * ((1 - a) * tent[row, column] + a * tent[row, column + 1]) + b * (
            (1 - a) * tent[row + 1, column] + a * tent[row + 1, column + 1]
        )
        assert visible == pytest.approx(expected, abs=0.012)
    assert ((found > 0.1) & (found < 0.9)).mean() > 0.2


def test_hardware_shadows_have_the_penumbra_of_a_disc(evaluate: Evaluate, upload: Upload) -> None:
    """A half plane over a plane that faces a round lamp: the mean over pixels is the share of the disc that is seen."""
    side = 512
    edge = np.where(np.arange(side) < side // 2, 0.4, 1.0)[None].repeat(side, 0)
    frame = lit_by(SUN)
    frame["shadow"][0] = side, 0, 1e-4, 0
    receiver = 0.6
    half_m = (receiver - 0.4) * 2 * RADIUS * SUN.angular_size[0] / 2
    texture = upload(edge, nearest=True, depth="")
    shares = np.linspace(-1.3, 1.3, 14)
    uv = np.stack([0.5 + shares * half_m / (2 * RADIUS), np.full(14, 0.5)], -1)
    points = np.repeat(plane_at(np.full(14, receiver), uv)[:, None], 256, axis=1)
    inputs = np.concatenate([points, np.zeros((14, 256, 1))], -1)
    found = evaluate(
        SHADOW,
        f"vec4(shadow_visibility(0, x.xyz, {vec3(TOWARDS)}))",
        inputs,
        {"t_shadow": texture},
        ("PCSS",),
        frame=frame,
    )[..., 0].mean(1)
    t = np.clip(shares, -1, 1)
    seen = 0.5 + (t * np.sqrt(1 - t * t) + np.arcsin(t)) / np.pi
    np.testing.assert_allclose(found, seen, atol=0.06)
    open_air = upload(np.ones((8, 8)), nearest=True, depth="")
    lit = evaluate(
        SHADOW,
        f"vec4(shadow_visibility(0, x.xyz, {vec3(TOWARDS)}))",
        inputs[:1],
        {"t_shadow": open_air},
        ("PCSS",),
        frame=frame,
    )
    assert (lit == 1).all()
