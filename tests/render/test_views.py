"""Channel, difference and UV views, colour scales, clipped drawing, and maps too large for a card."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.channels import LOG_FLOOR
from engine.color import DIVERGING_SRGB, SEQUENTIAL_SRGB, linear_from_srgb, luminance, scale_colors
from engine.composer import compose_maps, compose_positions
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.identity import Identity
from engine.mesh import PARTS, Part, vertex_normals
from engine.project import Project, new_project
from engine.render.color_scale import color_scale, rounded_up
from engine.render.offscreen import render_image, render_layers
from engine.render.passes import PART_SRGB
from engine.render.renderer import Renderer
from engine.render.upload import fitted
from engine.scene import DIFFERENCES, Camera, ViewChannel, scene_with, with_channel
from tests.heads import make_expressions, make_head

from .conftest import Evaluate
from .test_pictures import flat_maps, make_card, scened

RNG = np.random.default_rng(5)
ON_MAPS = (ViewChannel.SPECULAR, ViewChannel.ROUGHNESS, ViewChannel.NORMAL_MAP)
MAP_CHANGES = tuple(channel for channel in DIFFERENCES if "CHANGE" in channel.name)
NO_DATA = (26, 43)


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64, rings=40, segments=64)


def shown(project: Project, channel: ViewChannel, **changes: object) -> Project:
    return scened(replace(project, scene=with_channel(project.scene, channel)), **changes)


def on_card(identity: Identity, channel: ViewChannel, renderer: Renderer, **changes: object) -> np.ndarray:
    """(32, 32, 3) float 0..1 of a card seen from the front, one sample a pixel."""
    project = shown(new_project(identity), channel, camera=Camera(distance_m=0.4), **changes)
    return render_image(project, 32, 32, supersample=1, renderer=renderer) / 255.0


def as_part(identity: Identity, part: Part) -> Identity:
    parts = np.full(len(identity.topology.faces), PARTS.index(part))
    return replace(identity, topology=replace(identity.topology, face_parts=parts))


# --- functions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stops"), [("sequential_color", SEQUENTIAL_SRGB), ("diverging_color", DIVERGING_SRGB)]
)
def test_colour_scales_are_those_of_the_colour_bar(evaluate: Evaluate, name: str, stops: np.ndarray) -> None:
    t = np.linspace(-0.2, 1.2, 300, dtype=np.float32)
    found = evaluate("common/color.glsl", f"vec4({name}(x.x), 1)", np.repeat(t[:, None], 4, 1))[:, :3]
    np.testing.assert_allclose(found, scale_colors(t, stops), atol=1e-5)
    np.testing.assert_allclose(scale_colors(np.linspace(0, 1, 5), stops), stops, atol=1e-6)


def test_sequential_colours_get_lighter_and_diverging_ones_darker_to_both_ends() -> None:
    t = np.linspace(0, 1, 65)
    light = luminance(linear_from_srgb(scale_colors(t, SEQUENTIAL_SRGB)))
    assert (np.diff(light) > 0).all()
    light = luminance(linear_from_srgb(scale_colors(t, DIVERGING_SRGB)))
    assert (np.diff(light[:33]) > 0).all()
    assert (np.diff(light[32:]) < 0).all()


def test_change_in_stops(evaluate: Evaluate) -> None:
    now, then = RNG.uniform(0, 1, (2, 200)).astype(np.float32)
    inputs = np.stack([now, then, now, then], -1)
    found = evaluate("common/views.glsl", "vec4(change_stops(vec3(x.x), vec3(x.y), 0.02))", inputs)[:, 0]
    np.testing.assert_allclose(found, np.log2((now + 0.02) / (then + 0.02)), atol=2e-4)
    weights = evaluate("common/views.glsl", "vec4(luminance(x.rgb))", np.eye(4)[:3])[:, 0]
    np.testing.assert_allclose(weights, luminance(np.eye(3, dtype=np.float32)), atol=1e-6)


def test_angle_between_slopes(evaluate: Evaluate) -> None:
    slopes = np.concatenate([RNG.normal(0, 1, (200, 4)), RNG.normal(0, 1e-3, (50, 4))]).astype(np.float32)
    found = evaluate("common/views.glsl", "vec4(slope_angle_degrees(x.xy, x.zw))", slopes)[:, 0]
    a, b = (np.concatenate([each, np.ones((250, 1))], 1) for each in np.split(slopes.astype(float), 2, axis=1))
    sine, cosine = np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(1)
    np.testing.assert_allclose(found, np.degrees(np.arctan2(sine, cosine)), rtol=2e-3, atol=1e-4)


def test_checkers(evaluate: Evaluate) -> None:
    inside = RNG.integers(-9, 9, (300, 4)) + RNG.uniform(0.2, 0.8, (300, 4))
    at = (inside * 0.002).astype(np.float32)
    found = evaluate("common/views.glsl", "vec4(no_data_color(x.xyz), 1)", at)[:, 0]
    odd = np.floor(inside[:, :3]).sum(1) % 2
    np.testing.assert_allclose(found, np.where(odd == 0, 0.10, 0.17), atol=1e-6)
    cells = RNG.integers(0, 64, (300, 4)) + RNG.uniform(0.2, 0.8, (300, 4))
    found = evaluate("common/views.glsl", "vec4(uv_checker_color(x.xy), 1)", (cells / 64).astype(np.float32))[:, :3]
    light = np.where(np.floor(cells[:, :2]).sum(1) % 2 == 0, 1.0, 0.45)
    u, v = (np.floor(cells[:, :2] / 8) / 8 + 1 / 16).T
    expected = np.stack([0.35 + 0.6 * u, 0.35 + 0.6 * v, 0.95 - 0.3 * (u + v)], -1) * light[:, None]
    np.testing.assert_allclose(found, expected, atol=1e-5)


# --- channels ---------------------------------------------------------------------------------------------------------


def test_there_are_seventeen_channels_and_the_differences() -> None:
    assert len([channel for channel in ViewChannel if channel not in DIFFERENCES]) >= 17
    assert len(DIFFERENCES) == 6


@pytest.mark.parametrize("part", [Part.TEETH, Part.MOUTH, Part.SOCKET, Part.EYE_LEFT])
@pytest.mark.parametrize("channel", [*ON_MAPS, *MAP_CHANGES])
def test_where_no_map_lies_there_is_no_data(renderer: Renderer, channel: ViewChannel, part: Part) -> None:
    found = on_card(as_part(make_card(flat_maps(180, 90, 200)), part), channel, renderer)[4:-4, 4:-4]
    assert set(np.unique(np.round(found * 255).astype(int))) == set(NO_DATA)


@pytest.mark.parametrize("channel", [ViewChannel.DIFFUSE, ViewChannel.UV, ViewChannel.UV_CHECKER, *ON_MAPS])
def test_a_mesh_without_texture_coordinates_has_no_data(renderer: Renderer, channel: ViewChannel) -> None:
    card = make_card(flat_maps(180, 90, 200))
    bare = replace(card, topology=replace(card.topology, uvs=np.zeros_like(card.topology.uvs)))
    found = on_card(bare, channel, renderer)[4:-4, 4:-4]
    assert set(np.unique(np.round(found * 255).astype(int))) == set(NO_DATA)
    assert np.ptp(on_card(bare, ViewChannel.NORMAL, renderer)[10:20, 10:20], axis=(0, 1)).max() < 0.01  # but is drawn
    assert np.isfinite(on_card(bare, ViewChannel.SHADED, renderer)).all()


def test_f0_is_the_specular_map_in_its_scale_and_known_everywhere(renderer: Renderer) -> None:
    card = make_card(flat_maps(180, 90, 200))
    f0 = 90 / 255 * card.specular_f0_scale
    found = on_card(card, ViewChannel.F0, renderer, scale_end=0.1)[16, 16]
    np.testing.assert_allclose(found, scale_colors(f0 / 0.1, SEQUENTIAL_SRGB), atol=0.012)
    teeth = on_card(as_part(card, Part.TEETH), ViewChannel.F0, renderer, scale_end=0.1)[16, 16]
    np.testing.assert_allclose(teeth, scale_colors(0.45, SEQUENTIAL_SRGB), atol=0.012)


def test_mesh_normal_leaves_the_map_out(renderer: Renderer) -> None:
    steep = replace(flat_maps(180, 90, 200), slope=np.full((8, 8, 2), (0.5, 0.0), np.float16))
    mesh, mapped = (
        on_card(make_card(steep), channel, renderer)[16, 16] * 2 - 1
        for channel in (ViewChannel.MESH_NORMAL, ViewChannel.NORMAL)
    )
    np.testing.assert_allclose(mesh, [0, 0, 1], atol=0.01)
    np.testing.assert_allclose(mapped, np.array([0.5, 0, 1]) / math.hypot(0.5, 1), atol=0.01)


@pytest.mark.parametrize("part", list(PART_SRGB))
def test_parts_have_the_colour_of_their_part(renderer: Renderer, part: Part) -> None:
    found = on_card(as_part(make_card(flat_maps(0, 0, 0)), part), ViewChannel.PARTS, renderer)[16, 16]
    np.testing.assert_allclose(found, PART_SRGB[part], atol=0.003)


def test_depth_position_and_visibility_of_a_head(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    layers = render_layers(project, 48, 48, supersample=1, renderer=renderer)
    inside = layers["RGBA"][..., 3] == 1
    for channel, values in ((ViewChannel.DEPTH, 1000 * layers["depth"]), (ViewChannel.POSITION, layers["position"])):
        wanted = shown(project, channel)
        found = render_image(wanted, 48, 48, supersample=1, renderer=renderer)[inside] / 255.0
        scale = color_scale(wanted)
        if scale is None:
            low, high = head.positions_m.min(0), head.positions_m.max(0)
            centre, radius = (low + high) / 2, renderer.head.ball[1]
            np.testing.assert_allclose(found, (values[inside] - centre) / radius / 2 + 0.5, atol=0.006)
        else:
            assert scale.low <= values[inside].min() < values[inside].max() <= scale.high
            share = (values[inside] - scale.low) / (scale.high - scale.low)
            np.testing.assert_allclose(found, scale_colors(share, SEQUENTIAL_SRGB), atol=0.02)
    seen = render_image(shown(project, ViewChannel.OCCLUSION), 48, 48, supersample=1, renderer=renderer)
    assert np.ptp(seen[inside].astype(int), axis=1).max() == 0  # grey
    assert seen[24, 24].min() > 200  # nothing stands before the middle of the face


def test_curvature_of_a_ball_is_one_over_its_radius(renderer: Renderer, head: Identity) -> None:
    radius = 0.05
    unit = head.positions_m / np.array([0.08, 0.12, 0.10], np.float32)
    ball = replace(head, positions_m=unit * radius)  # the eyes lie inside it
    skin = head.topology.faces_of(Part.SKIN)
    alone = {name: getattr(head.topology, name)[skin] for name in ("faces", "uv_faces", "face_parts")}
    project = new_project(replace(ball, topology=replace(head.topology, **alone)))
    found = render_image(shown(project, ViewChannel.CURVATURE, scale_end=40.0), 48, 48, renderer=renderer)[24, 24]
    np.testing.assert_allclose(found / 255, scale_colors(1 / radius / 40, SEQUENTIAL_SRGB), atol=0.02)


# --- differences ------------------------------------------------------------------------------------------------------


def changed(identity: Identity, offset_m: tuple[float, float, float] = (0, 0, 0)) -> Project:
    """`identity` at full strength of an expression that changes left and right of its maps differently."""
    size = identity.maps.size
    side = np.where(np.arange(size[1]) < size[1] // 2, 1.0, -0.5)[None].repeat(size[0], 0)
    change = ReflectanceChange(
        np.dstack(
            [
                side[..., None] * np.array([0.3, 0.2, 0.1]),
                side[..., None] * np.array([-0.4, -0.4, -0.4]),
                0.1 * side,
                side[..., None] * np.array([0.2, -0.1]),
            ]
        )
    )
    offsets = np.broadcast_to(np.array(offset_m, np.float32), identity.positions_m.shape)
    expressions = ExpressionSet(identity.hash, (Expression("Jaw Open", offsets, change),))
    return replace(new_project(identity), expressions=expressions, weights={"Jaw Open": 1.0})


def test_differences_of_maps_are_those_of_the_composed_maps(renderer: Renderer) -> None:
    card = make_card(flat_maps(150, 60, 120))
    project = scened(changed(card), camera=Camera(distance_m=0.4))
    now, then = compose_maps(card.maps, project.expressions, project.weights), card.maps

    def stops(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.log2((luminance(a) + LOG_FLOOR) / (luminance(b) + LOG_FLOOR))

    normals = [np.concatenate([each.slope.astype(float), np.ones((8, 8, 1))], 2) for each in (now, then)]
    cosine = (normals[0] * normals[1]).sum(2) / np.prod([np.linalg.norm(each, axis=2) for each in normals], 0)
    unit = np.float32(1 / 255)
    values = {
        ViewChannel.DIFFUSE_CHANGE: stops(linear_from_srgb(now.diffuse_srgb), linear_from_srgb(then.diffuse_srgb)),
        ViewChannel.SPECULAR_CHANGE: stops(now.specular_data * unit, then.specular_data * unit),
        ViewChannel.ROUGHNESS_CHANGE: (now.roughness_data.astype(float) - then.roughness_data) / 255,
        ViewChannel.NORMAL_CHANGE: np.degrees(np.arccos(cosine)),
    }
    assert set(values) == set(MAP_CHANGES)
    for channel, value in values.items():
        view = shown(project, channel)
        scale = color_scale(view)
        assert scale is not None
        assert np.abs(value).max() <= scale.high * 1.02  # the scale that fits is long enough ...
        assert np.abs(value).max() > scale.high / 3  # ... and no longer
        for end in (0.0, 2 * scale.high):
            view = scened(view, scale_end=end)
            found = render_image(view, 64, 64, supersample=1, renderer=renderer) / 255.0
            scale = color_scale(view)
            assert scale is not None
            share = (value - scale.low) / (scale.high - scale.low)
            expected = scale_colors(share, scale.stops_srgb)
            np.testing.assert_allclose(found[32, 12], expected[4, 1], atol=0.02, err_msg=channel)
            np.testing.assert_allclose(found[32, 52], expected[4, 6], atol=0.02, err_msg=channel)
        rest = render_image(replace(view, weights={}), 64, 64, supersample=1, renderer=renderer)[32, 12] / 255
        zero = scale_colors(0.5 if scale.diverging else 0.0, scale.stops_srgb)
        np.testing.assert_allclose(rest, zero, atol=0.005)


@pytest.mark.parametrize(("offset_m", "along"), [((0.003, 0, 0.004), 4.0), ((0.0, 0.002, -0.006), -6.0)])
def test_offsets_in_mm_and_along_the_normal_with_its_sign(
    renderer: Renderer, offset_m: tuple[float, float, float], along: float
) -> None:
    project = scened(changed(make_card(flat_maps(150, 60, 120)), offset_m), camera=Camera(distance_m=0.4))
    for channel, value in (
        (ViewChannel.OFFSET, 1000 * np.linalg.norm(offset_m)),
        (ViewChannel.OFFSET_NORMAL, along),
    ):
        view = shown(project, channel)
        scale = color_scale(view)
        assert scale is not None
        assert (scale.unit, scale.diverging) == ("mm", channel is ViewChannel.OFFSET_NORMAL)
        assert abs(value) <= scale.high < 2.1 * abs(value)
        found = render_image(view, 32, 32, supersample=1, renderer=renderer)[16, 16] / 255
        share = (value - scale.low) / (scale.high - scale.low)
        np.testing.assert_allclose(found, scale_colors(share, scale.stops_srgb), atol=0.006)


def test_offset_along_normal_follows_numpy_on_a_head(renderer: Renderer, head: Identity) -> None:
    expressions = make_expressions(head)
    project = replace(new_project(head), expressions=expressions, weights={"Jaw Open": 1.0})
    moved = compose_positions(head, expressions, project.weights) - head.positions_m
    along = 1000 * (moved * vertex_normals(head.positions_m, head.topology.faces)).sum(1)
    scale = color_scale(shown(project, ViewChannel.OFFSET_NORMAL))
    assert scale is not None
    assert np.abs(along).max() <= scale.high < 2.1 * np.abs(along).max()
    assert str(scale).startswith("Offset along normal: -")
    assert "mm" in str(scale)


def test_round_ends_of_scales() -> None:
    for value, end in ((0.0, 0.0), (1.0, 1.0), (1.01, 1.5), (0.021, 0.03), (7.0, 8.0), (8.5, 10.0), (4e-5, 4e-5)):
        assert rounded_up(value) == pytest.approx(end)


def test_another_channel_gets_a_scale_that_fits_it() -> None:
    scene = scene_with(with_channel(new_project(make_head(8)).scene, ViewChannel.OFFSET), scale_end=3.0)
    assert with_channel(scene, ViewChannel.OFFSET).view.scale_end == 3.0
    assert with_channel(scene, ViewChannel.CURVATURE).view.scale_end == 0.0
    assert color_scale(replace(new_project(make_head(8)), scene=scene_with(scene, channel=ViewChannel.SHADED))) is None


# --- UV view ----------------------------------------------------------------------------------------------------------


def test_the_uv_view_is_the_composed_map(renderer: Renderer, head: Identity) -> None:
    """Texel by texel, charts or not; row 0 on top."""
    project = replace(new_project(head), expressions=make_expressions(head), weights={"Jaw Open": 1.0})
    maps = compose_maps(head.maps, project.expressions, project.weights)
    assert np.abs(maps.diffuse_srgb.astype(int) - head.maps.diffuse_srgb).max() > 8
    roughness = np.repeat(maps.roughness_data[..., None], 3, 2)
    for channel, image in (
        (ViewChannel.DIFFUSE, maps.diffuse_srgb),
        (ViewChannel.SPECULAR, maps.specular_data),
        (ViewChannel.ROUGHNESS, roughness),
    ):
        found = render_image(shown(project, channel, uv_view=True), 64, 64, supersample=1, renderer=renderer)
        assert np.abs(found.astype(int) - image).max() <= 1
    camera = replace(project.scene.view.camera, uv_center=(0.25, 0.75), uv_span=0.5)
    view = shown(project, ViewChannel.DIFFUSE, uv_view=True, camera=camera)
    found = render_image(view, 64, 32, supersample=1, renderer=renderer)[:, 16:48]
    assert np.abs(found.astype(int) - maps.diffuse_srgb[32:, :32]).max() <= 1
    outside = render_image(view, 64, 32, supersample=1, renderer=renderer)[:, :15]
    assert np.abs(outside - np.array(view.scene.background_srgb) * 255).max() <= 1


@pytest.mark.parametrize("mirrored", [False, True])
def test_normals_in_the_uv_view_are_those_of_the_head(renderer: Renderer, mirrored: bool) -> None:
    maps = replace(flat_maps(128, 37, 87), slope=np.full((8, 8, 2), (0.5, 0.25), np.float16))
    card = make_card(maps, mirrored)
    flat = on_card(card, ViewChannel.NORMAL, renderer, uv_view=True)[16, 16]
    np.testing.assert_allclose(flat, on_card(card, ViewChannel.NORMAL, renderer)[16, 16], atol=0.01)


def test_the_uv_view_has_light_and_wires_of_the_mesh(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    lit = render_image(scened(project, uv_view=True), 64, 64, renderer=renderer).astype(int)
    albedo = render_image(shown(project, ViewChannel.DIFFUSE, uv_view=True), 64, 64, renderer=renderer).astype(int)
    assert np.abs(lit - albedo).mean() > 10
    wired = shown(project, ViewChannel.DIFFUSE, uv_view=True, wireframe=True)
    big = render_image(wired, 512, 512, supersample=1, renderer=renderer)
    dark = big.max(2) < 110
    meridians = np.arange(8, 64) * 8  # one in each 64th of the map
    assert (dark[100:400, meridians] | dark[100:400, meridians - 1]).mean() > 0.9
    assert dark[100:400, meridians + 4].mean() < 0.4


# --- clipped drawing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge", [0, 17, 32, 64])
def test_left_and_right_of_a_line_are_both_pictures_pixel_for_pixel(
    renderer: Renderer, context: moderngl.Context, head: Identity, edge: int
) -> None:
    right = replace(new_project(head), expressions=make_expressions(head), weights={"Jaw Open": 1.0})
    left = replace(shown(right, ViewChannel.NORMAL), weights={})
    color, depth = context.renderbuffer((64, 48), 4), context.depth_renderbuffer((64, 48))
    target = context.framebuffer([color], depth)

    def read() -> np.ndarray:
        return np.frombuffer(target.read(components=3, alignment=1), np.uint8).reshape(48, 64, 3)

    whole = []
    for project in (left, right):
        renderer.draw(project, target, (64, 48))
        whole.append(read())
    assert np.abs(whole[0].astype(int) - whole[1]).mean() > 5
    renderer.draw(left, target, (64, 48), clip=(0, 0, edge, 48))
    renderer.draw(right, target, (64, 48), clip=(edge, 0, 64 - edge, 48))
    np.testing.assert_array_equal(read(), np.concatenate([whole[0][:, :edge], whole[1][:, edge:]], 1))
    renderer.idle.use()
    for made in (target, color, depth):
        made.release()


def test_a_renderer_may_be_made_in_any_state(renderer: Renderer, context: moderngl.Context, head: Identity) -> None:
    """As for the left of a line, in the middle of Qt's painting."""
    expected = render_image(new_project(head), 48, 48, renderer=renderer)
    context.enable(moderngl.BLEND | moderngl.CULL_FACE | moderngl.DEPTH_TEST)
    context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
    context.wireframe = True
    second = Renderer(context)
    np.testing.assert_array_equal(render_image(new_project(head), 48, 48, renderer=second), expected)
    second.release()
    renderer.idle.use()


# --- maps that do not fit ---------------------------------------------------------------------------------------------


def test_maps_are_halved_until_they_fit() -> None:
    maps = make_head(size=64).maps
    assert fitted(maps, 64) is maps
    half = fitted(maps, 63)
    assert half.size == (32, 32)
    blocks = maps.diffuse_srgb.reshape(32, 2, 32, 2, 3).astype(float).mean((1, 3))
    np.testing.assert_allclose(half.diffuse_srgb, blocks, atol=0.51)
    slopes = maps.slope.reshape(32, 2, 32, 2, 2).astype(float).mean((1, 3))
    np.testing.assert_allclose(half.slope, slopes, atol=1e-3)
    assert fitted(maps, 16384, memory_bytes=64 * 64 * 43).size == (64, 64)
    assert fitted(maps, 16384, memory_bytes=64 * 64 * 42).size == (32, 32)
    assert fitted(maps, 1).size == (1, 1)
    wide = flat_maps(100, 50, 25)
    wide = replace(wide, **{name: getattr(wide, name)[:1] for name in wide.__slots__})
    assert fitted(wide, 2).size == (1, 2)
    assert (fitted(wide, 2).diffuse_srgb == 100).all()


def test_a_head_with_too_large_maps_is_drawn_and_says_so(
    context: moderngl.Context, renderer: Renderer, caplog: pytest.LogCaptureFixture
) -> None:
    large, small = make_head(size=256), make_head(size=64)
    tight = Renderer(context, map_memory_bytes=64 * 64 * 43)
    with caplog.at_level(logging.INFO, "engine.render"):
        found = render_image(new_project(large), 48, 48, renderer=tight)
    assert tight.notice == "maps of 256 x 256 are shown at 64 x 64; exports keep their size"
    assert tight.notice in caplog.text
    whole = render_image(new_project(large), 48, 48, renderer=renderer)
    assert np.abs(found.astype(int) - whole).mean() < 3
    weighted = replace(new_project(large), expressions=make_expressions(large), weights={"Jaw Open": 1.0})
    assert np.abs(render_image(weighted, 48, 48, renderer=tight).astype(int) - found).mean() > 0.2
    render_image(new_project(small), 48, 48, renderer=tight)
    assert tight.notice == ""
    tight.release()
    renderer.idle.use()


def test_maps_of_one_texel(renderer: Renderer, head: Identity) -> None:
    dot = flat_maps(150, 60, 120)
    dot = replace(dot, **{name: getattr(dot, name)[:1, :1] for name in dot.__slots__})
    project = new_project(replace(head, maps=dot))
    weighted = replace(project, expressions=make_expressions(project.identity), weights={"Jaw Open": 1.0})
    for each in (project, weighted):
        for channel in ViewChannel:
            image = render_image(shown(each, channel), 32, 32, renderer=renderer)
            assert image[12:20, 12:20].max() > 0
