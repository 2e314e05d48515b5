"""Lamps: where they stand, what they send, and rectangles against integration over the real lobe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np
import pytest

from engine.identity import Identity
from engine.project import new_project
from engine.render import renderer as renderer_module
from engine.render.accumulate import Accumulator
from engine.render.camera import shadow_from_world, shadow_frustum
from engine.render.frame import KIND_ORDER, pack_frame
from engine.render.offscreen import render_layers
from engine.render.passes import lamp_defines
from engine.render.renderer import Renderer
from engine.render.sources import LightSource, lights_of, rectangle_form_factor
from engine.render.tables import ltc_texture
from engine.scene import Camera, Environment, Lamp, LampKind, Scene
from scripts.ltc_fit import lobe
from tests.heads import make_head

from .conftest import Evaluate
from .test_environment import write_hdr
from .test_pictures import flat_maps, make_card, scened
from .test_tables import integrated

RNG = np.random.default_rng(3)
CORNERS = "vec3(ax, ay, az), vec3(bx, by, bz), vec3(cx, cy, cz), vec3(dx, dy, dz)"
Quad = np.ndarray
"""(4, 3) corners of a rectangle as seen from the origin, in a turn that is positive towards it."""


def quad(middle: tuple[float, float, float], width: float, height: float, roll: float = 0.0) -> Quad:
    """A rectangle at `middle` that faces the origin."""
    away = np.array(middle) / np.linalg.norm(middle)
    right = np.cross([0.3, 1.0, 0.2], away)
    right /= np.linalg.norm(right)
    up = np.cross(away, right)
    right, up = math.cos(roll) * right + math.sin(roll) * up, math.cos(roll) * up - math.sin(roll) * right
    return np.array(middle) + np.array(
        [i * width / 2 * right + j * height / 2 * up for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    )


QUADS = {
    "above": quad((0.3, 0.2, 1.0), 0.6, 0.9),
    "to a side": quad((0.9, -0.4, 0.7), 0.5, 0.3, 0.7),
    "cut by the horizon": quad((1.0, 0.3, 0.1), 0.9, 0.7, 0.3),
    "one corner above": quad((1.0, -0.2, -0.25), 0.8, 0.8, 0.8),
    "wide": quad((0.1, 0.1, 0.4), 2.0, 3.0),
}


def samples(corners: Quad, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) unit directions over a rectangle and the solid angle of each."""
    at = (np.arange(count) + 0.5) / count
    u, v = (each.ravel()[:, None] for each in np.meshgrid(at, at))
    right, up = corners[1] - corners[0], corners[3] - corners[0]
    points = corners[0] + u * right + v * up
    normal = np.cross(right, up)
    distance = np.linalg.norm(points, axis=1)
    area = np.linalg.norm(normal) / count**2
    return points / distance[:, None], np.abs(points @ normal) / np.linalg.norm(normal) * area / distance**3


def uniforms(corners: Quad) -> dict[str, float]:
    return {f"{corner}{axis}": float(corners[i, j]) for i, corner in enumerate("abcd") for j, axis in enumerate("xyz")}


@pytest.mark.parametrize("name", QUADS)
def test_the_cosine_over_a_polygon_is_exact_above_and_across_the_horizon(evaluate: Evaluate, name: str) -> None:
    corners = QUADS[name]
    normals = np.concatenate([[[0, 0, 1]], RNG.normal(0, 1, (40, 3))])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    directions, angles = samples(corners)
    expected = (np.maximum(normals @ directions.T, 0) * angles).sum(1) / np.pi
    inputs = np.concatenate([normals, np.zeros((41, 1))], 1)
    found = evaluate("lighting/lamps.glsl", f"vec4(form_factor(x.xyz, {CORNERS}))", inputs, **uniforms(corners))[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert expected.max() > 0.02
    vector = evaluate("lighting/lamps.glsl", f"vec4(vector_form_factor({CORNERS}), x.x)", inputs, **uniforms(corners))
    exact = (directions * angles[:, None]).sum(0) / np.pi
    np.testing.assert_allclose(vector[0, :3], exact, atol=1e-3)


def test_a_polygon_seen_from_behind_sends_nothing(evaluate: Evaluate) -> None:
    corners = uniforms(QUADS["above"])
    found = evaluate(
        "lighting/lamps.glsl", f"vec4(form_factor(x.xyz, {CORNERS}))", np.array([[0, 0, -1, 0.0]]), **corners
    )
    assert found[0, 0] == 0


@pytest.mark.parametrize("name", ["above", "to a side", "wide", "cut by the horizon"])
@pytest.mark.parametrize("roughness", [0.1, 0.25, 0.45, 0.7, 1.0])
def test_a_rectangle_in_the_lobe_agrees_with_integration(
    evaluate: Evaluate, context: moderngl.Context, name: str, roughness: float
) -> None:
    """Radiance of a mirror-white rough surface under a rectangle of radiance 1, over the angle of the eye."""
    corners = QUADS[name]
    directions, angles = samples(corners, 900)
    cosines = np.array([0.98, 0.8, 0.55, 0.3])
    alpha = np.array(roughness**2)
    eyes = [np.array([-math.sqrt(1 - cosine**2), 0.0, cosine]) for cosine in cosines]
    expected = np.array([(lobe(v, directions, alpha) * angles).sum() for v in eyes])
    strength = np.array([integrated(cosine, roughness)[:2].sum() for cosine in cosines])
    inputs = np.stack([cosines, np.full(4, roughness), cosines, cosines], -1)
    eye = "vec3(-sqrt(1.0 - x.x * x.x), 0.0, x.x)"
    call = f"vec4(lobe_form_factor(vec3(0, 0, 1), {eye}, cosine_from_lobe(x.x, x.y), {CORNERS}))"
    table = ltc_texture(context)
    found = evaluate("lighting/lamps.glsl", call, inputs, samplers={"t_ltc": table}, **uniforms(corners))[:, 0]
    table.release()
    error = np.abs(found * strength - expected)  # of a white mirror; skin reflects a thirtieth of it
    assert error[:3].max() < 0.05
    assert error[3] < 0.10
    assert error.mean() < 0.045


def test_a_cone_is_full_inside_and_dark_outside(evaluate: Evaluate) -> None:
    angle = np.linspace(0, 0.4, 200)
    inner, outer = math.cos(0.1), math.cos(0.2)
    scale = 1 / (inner - outer)
    inputs = np.stack([np.cos(angle), np.full(200, scale), np.full(200, -outer * scale), angle], -1)
    found = evaluate("lighting/lamps.glsl", "vec4(spot_cone(x.x, x.y, x.z))", inputs)[:, 0]
    expected = np.clip((np.cos(angle) - outer) / (inner - outer), 0, 1) ** 2
    np.testing.assert_allclose(found, expected, atol=2e-3)
    inputs[:, 1:3] = 0, 1
    point = evaluate("lighting/lamps.glsl", "vec4(spot_cone(x.x, x.y, x.z))", inputs)[:, 0]
    assert (point == 1).all()


def lamp(kind: LampKind, **changes: object) -> Lamp:
    base = Lamp(yaw_rad=0.0, pitch_rad=0.0, color_linear=(1.0, 1.0, 1.0), irradiance=1.5, kind=kind, distance_m=0.4)
    return replace(base, **changes)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def dark(tmp_path: Path) -> str:
    """An environment without light."""
    return write_hdr(tmp_path / "dark.exr", np.zeros((16, 32, 3), np.float32))


def lit(renderer: Renderer, identity: Identity, dark: str, one: Lamp, pixels: int = 128) -> np.ndarray:
    """(pixels, pixels) light of `identity` under one lamp alone, seen from 0.7 m in front."""
    project = scened(
        new_project(identity),
        camera=Camera(distance_m=0.7),
        key_light=one,
        environment=Environment(dark),
        scattering=False,
    )
    return render_layers(project, pixels, pixels, renderer=renderer)["RGBA"][..., 0]


def along(image: np.ndarray, x_m: np.ndarray) -> np.ndarray:
    """What the middle row of a picture of the plane z = 0 shows at `x_m`."""
    count = len(image)
    centres = (np.arange(count) + 0.5 - count / 2) * (2 * 0.7 * math.tan(math.radians(10)) / count)
    return np.interp(x_m, centres, image[count // 2 - 1 : count // 2 + 1].mean(0))


@pytest.mark.parametrize("kind", LampKind)
@pytest.mark.parametrize("distance", [0.4, 1.5])
def test_every_lamp_has_the_irradiance_it_says_whatever_its_distance(
    renderer: Renderer, dark: str, kind: LampKind, distance: float
) -> None:
    card = make_card(flat_maps(255, 0, 255))
    found = lit(renderer, card, dark, lamp(kind, distance_m=distance))
    np.testing.assert_allclose(along(found, np.zeros(1)), 1.5 / np.pi, rtol=0.03)


def test_light_falls_off_with_the_square_of_the_distance(renderer: Renderer, dark: str) -> None:
    """On a card that the lamp stands over: cosine and distance both tell."""
    x = np.array([-0.09, -0.05, 0.0, 0.04, 0.08])
    found = along(lit(renderer, make_card(flat_maps(255, 0, 255)), dark, lamp(LampKind.POINT, distance_m=0.2)), x)
    d2 = 0.2**2 + x**2
    np.testing.assert_allclose(found, 1.5 / np.pi * (0.2**2 / d2) * (0.2 / np.sqrt(d2)), rtol=0.04)


def test_a_rectangle_lights_a_card_as_integration_says(renderer: Renderer, dark: str) -> None:
    one = lamp(LampKind.RECTANGLE, distance_m=0.2, width_m=0.2, height_m=0.1)
    x = np.array([-0.09, -0.05, 0.0, 0.04, 0.08])
    found = along(lit(renderer, make_card(flat_maps(255, 0, 255)), dark, one), x)
    corners = np.array([[-0.1, -0.05, 0.2], [0.1, -0.05, 0.2], [0.1, 0.05, 0.2], [-0.1, 0.05, 0.2]])
    expected = []
    for at in x:
        directions, angles = samples(corners - [at, 0, 0])
        expected.append((directions[:, 2] * angles).sum() / np.pi)
    assert rectangle_form_factor(0.2, 0.1, 0.2) == pytest.approx(expected[2], rel=1e-3)
    np.testing.assert_allclose(found, 1.5 / np.pi * np.array(expected) / expected[2], rtol=0.04)


def test_a_spot_ends_at_its_cone(renderer: Renderer, dark: str) -> None:
    one = lamp(LampKind.SPOT, inner_cone_rad=math.atan(0.04 / 0.4), outer_cone_rad=math.atan(0.06 / 0.4))
    found = along(lit(renderer, make_card(flat_maps(255, 0, 255)), dark, one), np.array([0.0, 0.035, 0.065, -0.065]))
    assert found[1] > 0.9 * found[0]
    assert found[2:].max() < 0.01 * found[0]


def shaded_card(height_m: float) -> Identity:
    """A card of 0.2 m in the plane z = 0 and one of 0.06 m in front of it."""
    front, back = make_card(flat_maps(200, 0, 255), side=0.03), make_card(flat_maps(200, 0, 255), side=0.1)
    positions = np.concatenate([front.positions_m + np.array([0, 0, height_m]), back.positions_m])
    faces = np.concatenate([front.topology.faces, back.topology.faces + 4])
    uvs = np.concatenate([front.topology.uvs, back.topology.uvs])
    topology = replace(
        back.topology, faces=faces, uvs=uvs, uv_faces=faces, face_parts=np.zeros(4), vertex_count=8, head_vertex_count=8
    )
    return replace(back, topology=topology, positions_m=positions, occlusion=np.ones(8, np.float32))


@pytest.mark.parametrize("kind", [LampKind.POINT, LampKind.SPOT, LampKind.RECTANGLE])
def test_a_shadow_falls_where_the_lamp_stands(renderer: Renderer, dark: str, kind: LampKind) -> None:
    height, distance, yaw = 0.08, 0.4, math.radians(45)
    one = lamp(
        kind, yaw_rad=yaw, distance_m=distance, width_m=0.02, height_m=0.02, outer_cone_rad=0.7, inner_cone_rad=0.6
    )
    found = lit(renderer, shaded_card(height), dark, one)
    at = np.array([math.sin(yaw), 0, math.cos(yaw)]) * distance + [0, 0, height / 2]
    edges = np.array([at[0] + (x - at[0]) * at[2] / (at[2] - height) for x in (-0.03, 0.03)])
    assert edges[1] < -0.03  # beside the card in front, so it is seen
    shaded = along(found, np.linspace(max(edges[0] + 0.01, -0.095), edges[1] - 0.008, 5))
    light = along(found, np.array([0.05, 0.08]))
    assert shaded.max() < 0.05 * light.min()
    assert along(found, np.array([edges[1] + 0.006]))[0] > 0.2 * light.min()


@pytest.fixture
def hardware(context: moderngl.Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[Renderer]:
    """A renderer that takes its driver for a GPU's."""
    monkeypatch.setattr(renderer_module, "is_software", lambda context: False)
    made = Renderer(context)
    yield made
    made.release()
    context.extra.use()  # what was bound is gone


def edge_width(image: np.ndarray) -> float:
    """Metres between a tenth and nine tenths of the light over the shadow's edge beside the card in front."""
    x = np.linspace(-0.098, -0.037, 400)
    light = along(image, x)
    share = light / light.max()
    return float(np.ptp(x[(share > 0.1) & (share < 0.9)]))


def test_on_hardware_a_shadow_is_softer_the_farther_it_falls(hardware: Renderer, dark: str) -> None:
    """The penumbra of a lamp of 0.05 m is (receiver - blocker) / blocker of that: Fernando 2005."""
    one = lamp(LampKind.RECTANGLE, yaw_rad=math.radians(45), distance_m=0.6, width_m=0.05, height_m=0.05)
    widths = []
    for height in (0.08, 0.11):
        found = lit(hardware, shaded_card(height), dark, one, 256)
        at = 0.6 * math.cos(math.radians(45)) + height / 2
        across = 0.05 / math.cos(math.radians(45))  # the lamp, carried along its light onto a plane z = constant
        widths.append((edge_width(found), across * height / (at - height)))
        assert along(found, np.array([0.06]))[0] > 0.1
    for found_m, whole_m in widths:
        assert 0.6 * whole_m < found_m < 1.25 * whole_m
    assert widths[1][0] > 1.2 * widths[0][0]


def test_hardware_and_software_light_alike(hardware: Renderer, renderer: Renderer, dark: str) -> None:
    """The same head under a small lamp of every kind: only edges of shadows differ."""
    head = make_head(size=64, rings=40, segments=64)
    for kind in LampKind:
        one = lamp(kind, yaw_rad=0.6, distance_m=0.6, width_m=0.05, height_m=0.05, outer_cone_rad=0.4)
        soft, hard = (lit(each, head, dark, one, 64) for each in (renderer, hardware))
        assert np.abs(soft - hard).mean() < 0.03 * hard.mean(), kind


@pytest.mark.parametrize("kind", [LampKind.POINT, LampKind.SPOT, LampKind.RECTANGLE])
def test_points_of_a_lamp_add_up_to_it(
    renderer: Renderer, context: moderngl.Context, dark: str, kind: LampKind
) -> None:
    """The mean of the frames of a picture that converges is the live one, where nothing is in shadow."""
    one = lamp(kind, distance_m=0.25, width_m=0.3, height_m=0.2, yaw_rad=0.5, outer_cone_rad=0.5)
    card = make_card(flat_maps(255, 20, 160))
    project = scened(
        new_project(card),
        camera=Camera(distance_m=0.7),
        key_light=one,
        environment=Environment(dark),
        scattering=False,
    )
    accumulator = Accumulator(renderer, (64, 64))
    for _ in range(64):
        accumulator.add(project, (64, 64))
    found = accumulator.read((64, 64))[20:44, 20:44, 0] / 64
    accumulator.release()
    context.extra.use()
    live = render_layers(project, 64, 64, supersample=1, renderer=renderer)["RGBA"][::-1][20:44, 20:44, 0]
    np.testing.assert_allclose(found, live, rtol=0.05)


def test_lamps_stand_around_the_middle_and_never_inside_the_head() -> None:
    middle = (0.1, 0.2, 0.3)
    for kind in LampKind:
        (one,) = lights_of(Scene(key_light=lamp(kind, distance_m=0.0, width_m=0.0, height_m=0.0)), (), middle, 0.25)
        assert one.kind == kind
        assert all(map(math.isfinite, (*one.towards, *one.position_m, *one.angular_size)))
        if kind != LampKind.DIRECTIONAL:
            np.testing.assert_allclose(np.subtract(one.position_m, middle), [0, 0, 0.25], atol=1e-9)
    (box,) = lights_of(Scene(key_light=lamp(LampKind.RECTANGLE, width_m=0.4, height_m=0.2)), (), middle)
    np.testing.assert_allclose(
        np.array(box.corner_m) + np.array(box.right_m) / 2 + np.array(box.up_m) / 2, box.position_m
    )
    assert box.angular_size == pytest.approx((1.0, 0.5))


def test_a_frustum_holds_the_ball_and_no_more() -> None:
    centre = np.array([0.1, -0.2, 0.05])
    points = RNG.normal(0, 1, (4000, 3))
    points = centre + 0.2 * points / np.linalg.norm(points, axis=1, keepdims=True)
    frustum = shadow_frustum(np.array([0.5, 0.4, 0.9]), centre, 0.2)
    flat = shadow_from_world(np.array([0.0, 0.0, 1.0]), centre, 0.2)
    for matrix in (frustum.matrix, flat):
        seen = np.concatenate([points, np.ones((4000, 1))], 1) @ matrix.T
        seen = seen[:, :3] / seen[:, 3:]
        assert seen.min() > -1e-6
        assert seen.max() < 1 + 1e-6
        assert np.ptp(seen, axis=0).min() > 0.97


def test_what_no_lamp_asks_for_is_not_compiled() -> None:
    sources = [LightSource((0.0, 0.0, 1.0), (1.0, 1.0, 1.0), kind=kind) for kind in LampKind]
    assert lamp_defines(sources[:1], penumbra=False) == ()
    assert lamp_defines(sources[1:2], penumbra=False) == lamp_defines(sources[2:3], penumbra=False) == ("POINT_LAMPS",)
    assert lamp_defines(sources, penumbra=True) == ("POINT_LAMPS", "RECTANGLE_LAMPS", "PCSS")


def test_lights_out_of_order_are_refused() -> None:
    box, sun = (
        LightSource(
            (0.0, 0.0, 1.0),
            (1.0, 1.0, 1.0),
            kind=kind,
            distance_m=1.0,
            right_m=(1.0, 0.0, 0.0),
            up_m=(0.0, 1.0, 0.0),
            position_m=(0.0, 0.0, 1.0),
        )
        for kind in (LampKind.RECTANGLE, LampKind.DIRECTIONAL)
    )
    head = make_head(8, rings=3, segments=4)
    ball = np.zeros(3), 0.2
    frame = pack_frame(Scene(), head, (8, 8), ball, [(sun, 64), (box, 64)], False)
    assert frame["lights"][:2].tolist() == [1, 1]
    assert set(KIND_ORDER) == set(LampKind)
    with pytest.raises(ValueError, match="KIND_ORDER"):
        pack_frame(Scene(), head, (8, 8), ball, [(box, 64), (sun, 64)], False)
