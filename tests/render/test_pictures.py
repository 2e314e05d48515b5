"""Pictures with known answers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np
import pytest

from engine.color import linear_from_srgb, srgb_from_linear
from engine.composer import compose_positions
from engine.errors import EngineError, FileFormatError, GraphicsError
from engine.identity import Identity, ReflectanceMaps
from engine.mesh import PARTS, Part, Topology
from engine.project import new_project, scened
from engine.render import environment, offscreen
from engine.render.offscreen import downsample, render_image, render_layers
from engine.render.presets import PRESETS, preset_of, with_preset
from engine.render.renderer import Renderer
from engine.render.scatter import Quality
from engine.scene import Camera, Environment, Lamp, Scene, ToneCurve, ViewChannel, scene_with
from tests.heads import make_expressions, make_head
from tests.wall import wall

from .test_environment import write_hdr

DARK = Lamp(enabled=False)


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64, rings=40, segments=64)


def with_maps(head: Identity, **changes: np.ndarray) -> Identity:
    return replace(head, maps=replace(head.maps, **changes))


def flat_maps(diffuse: int, specular: int, roughness: int) -> ReflectanceMaps:
    size = (8, 8)
    return ReflectanceMaps(
        np.full((*size, 3), diffuse, np.uint8),
        np.full((*size, 3), specular, np.uint8),
        np.full(size, roughness, np.uint8),
        np.zeros((*size, 2), np.float16),
    )


@pytest.fixture
def sky(tmp_path: Path) -> Callable[[float], str]:
    def make(radiance: float) -> str:
        return write_hdr(tmp_path / f"sky{radiance}.exr", np.full((16, 32, 3), radiance, np.float32))

    return make


def test_a_head_is_drawn_in_the_middle(renderer: Renderer, head: Identity) -> None:
    image = render_image(new_project(head), 96, 96, renderer=renderer)
    assert image.shape == (96, 96, 3)
    assert image.dtype == np.uint8
    corners = np.ix_((0, -1), (0, -1))
    np.testing.assert_allclose(image[corners], wall(Scene(), 96, 96)[corners], atol=1)
    assert image[48, 48, 0] > image[48, 48, 2] > 20  # skin


@pytest.mark.parametrize("supersample", [1, 2])
def test_a_picture_in_tiles_is_the_picture(
    renderer: Renderer, head: Identity, monkeypatch: pytest.MonkeyPatch, supersample: int
) -> None:
    project = scened(new_project(head), environment=Environment("Sunset", visible=True), wireframe=True)
    whole = render_image(project, 90, 70, supersample=supersample, renderer=renderer).astype(int)
    monkeypatch.setattr(offscreen, "TILE", 32)
    tiled = render_image(project, 90, 70, supersample=supersample, renderer=renderer).astype(int)
    differs = np.abs(whole - tiled).max(axis=2) > 2
    assert differs.mean() < 0.005  # edges may round to the other side
    assert not differs[:, [31, 32, 63, 64]].any(axis=1).all()


def test_layers_add_up_to_the_picture_and_say_what_it_is_made_of(renderer: Renderer, head: Identity) -> None:
    project = scened(new_project(head), tone_curve=ToneCurve.LINEAR, exposure_ev=-0.5)
    layers = render_layers(project, 80, 64, renderer=renderer)
    picture = render_image(project, 80, 64, transparent=True, renderer=renderer)
    rgba = layers["RGBA"]
    inside, outside = rgba[..., 3] == 1, rgba[..., 3] == 0
    assert inside.mean() > 0.2
    assert outside.mean() > 0.2
    np.testing.assert_allclose(rgba[..., 3] * 255, picture[..., 3], atol=1)
    shown = srgb_from_linear(rgba[..., :3].clip(0, 1)) * 255
    assert np.percentile(np.abs(shown - picture[..., :3])[inside], 99) < 3
    np.testing.assert_allclose(layers["diffuse light"] + layers["specular light"], rgba[..., :3], atol=1e-5)
    for name, layer in layers.items():
        assert layer.dtype == np.float32, name
        assert np.isfinite(layer).all(), name
        assert not layer[outside].any(), name
    np.testing.assert_allclose(np.linalg.norm(layers["normal"], axis=-1)[inside], 1, atol=1e-4)
    assert layers["normal"][inside].mean(0)[2] > 0.3  # it looks at the eye, which stands on +Z
    ahead = project.scene.view.camera.distance_m + project.scene.view.camera.target_m[2] - layers["position"][..., 2]
    np.testing.assert_allclose(layers["depth"][inside], ahead[inside], atol=1e-4)
    low, high = head.positions_m.min(0) - 1e-3, head.positions_m.max(0) + 1e-3
    assert ((layers["position"][inside] > low) & (layers["position"][inside] < high)).all()
    assert 0.02 < layers["roughness"][inside].mean() < 1
    assert 0.01 < layers["specular"][inside].mean() < 0.1
    with pytest.raises(GraphicsError, match="4096"):
        render_layers(project, 5000, 10, renderer=renderer)


def test_no_picture_is_larger_than_the_largest(renderer: Renderer, head: Identity) -> None:
    with pytest.raises(GraphicsError, match="16384"):
        render_image(new_project(head), 20000, 10, renderer=renderer)


def test_transparent_has_straight_alpha(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    clear = render_image(project, 96, 96, transparent=True, renderer=renderer)
    solid = render_image(project, 96, 96, renderer=renderer)
    assert clear[0, 0, 3] == 0
    assert clear[48, 48, 3] == 255
    np.testing.assert_array_equal(clear[48, 48, :3], solid[48, 48])
    edge = (clear[..., 3] > 60) & (clear[..., 3] < 200)
    assert edge.any()
    inside = clear[..., 3] == 255
    assert clear[edge][:, 0].mean() > 0.4 * clear[inside][:, 0].mean()  # not darkened by the empty backdrop


def test_each_preset_is_a_light_of_its_own(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    pictures = []
    for name in PRESETS:
        scene = with_preset(project.scene, name)
        assert preset_of(scene) == name
        assert preset_of(replace(scene, exposure_ev=1.0)) == name  # exposure is no part of it
        assert not preset_of(replace(scene, key_light=replace(scene.key_light, yaw_rad=1.0)))
        pictures.append(render_image(replace(project, scene=scene), 64, 64, renderer=renderer).astype(float))
        assert 8 < pictures[-1][16:48, 20:44].mean() < 240, name
    for index, one in enumerate(pictures):
        assert all(np.abs(one - other).mean() > 2 for other in pictures[:index])
    left, right = (pictures[PRESETS.index("Split")][24:40, part].mean() for part in (slice(34, 44), slice(20, 30)))
    assert left > 4 * right
    with pytest.raises(EngineError, match="Rembrandt"):
        with_preset(project.scene, "Moon")


def test_lamps_add_up(renderer: Renderer, head: Identity) -> None:
    lamps = [Lamp(yaw_rad=yaw, irradiance=0.8) for yaw in (-0.8, 0.2, 0.9)]
    dark = scened(new_project(head), environment=Environment("Even", exposure_ev=-10.0), tone_curve=ToneCurve.LINEAR)

    def light(*some: Lamp) -> np.ndarray:
        lit = scened(dark, key_light=some[0], fill_lights=some[1:])
        return render_layers(lit, 48, 48, supersample=1, renderer=renderer)["RGBA"][..., :3]

    apart = sum(light(lamp) for lamp in lamps)
    np.testing.assert_allclose(light(*lamps), apart, atol=0.01)
    assert light(*lamps).max() > 0.2


@pytest.mark.parametrize("turn", [0, 60, -60])
def test_a_sun_taken_out_lights_as_it_did(renderer: Renderer, tmp_path: Path, turn: int) -> None:
    head = with_maps(make_head(size=64, rings=40, segments=64), specular_data=np.zeros((64, 64, 3), np.uint8))
    directions, _ = environment.equirect_directions(128, 256)
    sun = directions @ np.array([0.0, 0.6, 0.8], np.float32) > np.cos(0.06)
    path = write_hdr(tmp_path / "sun.exr", np.where(sun[..., None], 150.0, 0.3) * np.ones(3))

    def picture(suns: bool) -> np.ndarray:
        light = Environment(path, rotation_rad=math.radians(turn), exposure_ev=-2.0, suns=suns)
        project = scened(new_project(head), environment=light, key_light=DARK, tone_curve=ToneCurve.LINEAR)
        return linear_from_srgb(render_image(project, 96, 96, renderer=renderer) / 255.0)

    inside, apart = picture(False), picture(True)
    assert apart.mean() == pytest.approx(inside.mean(), rel=0.12)
    assert np.corrcoef(inside.ravel(), apart.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(("yaw", "side"), [(70, 1), (-70, -1)])
def test_light_from_the_left_lights_the_left(renderer: Renderer, head: Identity, yaw: float, side: int) -> None:
    """The subject's left, +X, is on the picture's right."""
    key = Lamp(yaw_rad=math.radians(yaw), pitch_rad=0.0)
    project = scened(new_project(head), key_light=key, environment=Environment("Night Rim", exposure_ev=-6))
    light = render_image(project, 96, 96, renderer=renderer).astype(float).mean(axis=2)
    left, right = light[30:66, 30:44].mean(), light[30:66, 52:66].mean()
    assert (right - left) * side > 30


def test_light_from_above_and_below(renderer: Renderer, head: Identity) -> None:
    def top_minus_bottom(pitch: float) -> float:
        key = Lamp(yaw_rad=0.0, pitch_rad=math.radians(pitch))
        project = scened(new_project(head), key_light=key, environment=Environment("Night Rim", exposure_ev=-6))
        light = render_image(project, 96, 96, renderer=renderer).astype(float).mean(axis=2)
        return light[15:40, 40:56].mean() - light[56:81, 40:56].mean()

    assert top_minus_bottom(60) > 30
    assert top_minus_bottom(-60) < -30


def test_environment_rotates_from_z_to_x(renderer: Renderer, head: Identity, tmp_path: Path) -> None:
    """A lamp in front (+Z: the picture's edges) turned by +90 degrees stands at +X."""
    sky = np.zeros((32, 64, 3), np.float32)
    sky[12:20, :3] = sky[12:20, -3:] = 30.0
    path = write_hdr(tmp_path / "lamp.exr", sky)

    def right_minus_left(degrees: float) -> float:
        project = scened(
            new_project(head), key_light=DARK, environment=Environment(path, rotation_rad=math.radians(degrees))
        )
        light = render_image(project, 96, 96, renderer=renderer).astype(float).mean(axis=2)
        return light[30:66, 54:68].mean() - light[30:66, 28:42].mean()

    assert abs(right_minus_left(0)) < 8
    assert right_minus_left(90) > 20
    assert right_minus_left(-90) < -20


def test_exposure_doubles_light(renderer: Renderer, head: Identity) -> None:
    project = scened(new_project(head), tone_curve=ToneCurve.LINEAR, exposure_ev=-3.0)
    bright = scened(project, exposure_ev=-2.0)
    pair = [linear_from_srgb(render_image(each, 64, 64, renderer=renderer)[32, 32]) for each in (project, bright)]
    np.testing.assert_allclose(pair[1] / pair[0], 2.0, rtol=0.06)


@pytest.mark.parametrize("roughness", [40, 87, 160, 255])
def test_white_furnace(renderer: Renderer, head: Identity, sky: Callable[[float], str], roughness: int) -> None:
    """A white head under a white sky cannot be told from the sky."""
    white = replace(head, maps=flat_maps(255, 37, roughness))
    project = scened(new_project(white), key_light=DARK, environment=Environment(sky(0.5)), tone_curve=ToneCurve.LINEAR)
    light = linear_from_srgb(render_image(project, 96, 96, renderer=renderer))[20:76, 36:60]
    skin = light.reshape(-1, 3).mean(axis=1)
    assert skin.mean() == pytest.approx(0.5, rel=0.03)  # the eyes hide a little sky
    assert skin.max() <= 0.5 * 1.01


@pytest.mark.parametrize("dual", [False, True])
@pytest.mark.parametrize("roughness", [60, 117, 150])
@pytest.mark.parametrize("scattering", [False, True])
def test_a_white_card_under_a_white_sky_is_the_sky(
    renderer: Renderer, sky: Callable[[float], str], roughness: int, dual: bool, scattering: bool
) -> None:
    """Within 1 % from the front to 80 degrees aside."""
    for yaw in (0, 45, 65, 80):
        project = scened(
            new_project(make_card(flat_maps(255, 37, roughness))),
            camera=Camera(distance_m=2.0, yaw_rad=math.radians(yaw), vertical_fov_rad=math.radians(1)),
            key_light=DARK,
            environment=Environment(sky(0.5)),
            dual_specular=dual,
            scattering=scattering,
        )
        light = render_layers(project, 8, 8, supersample=1, renderer=renderer)["RGBA"][4, 4, :3]
        np.testing.assert_allclose(light / 0.5, 1.0, atol=0.01, err_msg=str(yaw))


def test_metal_furnace(renderer: Renderer, head: Identity, sky: Callable[[float], str]) -> None:
    """F0 = 1 and no diffuse: multiple scattering gives back what the masking took."""
    mirror = replace(head, maps=flat_maps(0, 255, 128), specular_f0_scale=1.0)
    project = scened(
        new_project(mirror), key_light=DARK, environment=Environment(sky(0.5)), tone_curve=ToneCurve.LINEAR
    )
    light = linear_from_srgb(render_image(project, 96, 96, renderer=renderer))[25:71, 40:56]
    assert light.mean() == pytest.approx(0.5, rel=0.03)


def test_key_light_has_the_irradiance_it_says(renderer: Renderer, sky: Callable[[float], str]) -> None:
    """A white card that faces the light: radiance = albedo * irradiance * (1 - F) / pi."""
    card = make_card(flat_maps(255, 0, 255))
    project = scened(
        new_project(card),
        camera=Camera(distance_m=0.5),
        key_light=Lamp(yaw_rad=0.0, pitch_rad=0.0, color_linear=(1.0, 1.0, 1.0), irradiance=1.5),
        environment=Environment(sky(0.0)),
        tone_curve=ToneCurve.LINEAR,
    )
    found = linear_from_srgb(render_image(project, 32, 32, renderer=renderer)[16, 16])
    np.testing.assert_allclose(found, 1.5 / np.pi, rtol=0.03)


def make_card(maps: ReflectanceMaps, mirrored: bool = False, side: float = 0.1) -> Identity:
    """A square that faces +Z, skin, u to the right and v down; `mirrored` lets u run to the left."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * side
    uvs = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], float)
    if mirrored:
        uvs[:, 0] = 1 - uvs[:, 0]
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    topology = Topology(faces, uvs, faces, np.zeros(2), 4, 4)
    return Identity(
        "card",
        topology,
        corners,
        maps,
        np.zeros((2, 2, 3), np.uint8),
        np.ones(4),
        frozenset(),
        make_head(8, rings=3, segments=4).provenance,
    )


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("slope", "axis", "sign"), [((0.5, 0), 0, 1), ((-0.5, 0), 0, -1), ((0, 0.5), 1, 1)])
def test_slopes_tilt_the_normal_the_right_way(
    renderer: Renderer, slope: tuple[float, float], axis: int, sign: int, mirrored: bool
) -> None:
    """Slope x along +U, slope y up the image, for layouts of either hand; the normal channel shows 0.5 + n / 2."""
    maps = replace(flat_maps(128, 37, 87), slope=np.full((8, 8, 2), slope, np.float16))
    project = scened(new_project(make_card(maps, mirrored)), camera=Camera(distance_m=0.5), channel=ViewChannel.NORMAL)
    normal = render_image(project, 32, 32, renderer=renderer)[16, 16].astype(float) / 255 * 2 - 1
    expected = np.array([0.0, 0.0, 1.0])
    expected[axis] = 0.5 * sign * (-1 if mirrored and axis == 0 else 1)
    np.testing.assert_allclose(normal, expected / np.linalg.norm(expected), atol=0.02)


def test_textures_stand_upright(renderer: Renderer) -> None:
    """Row 0 of the map is the top of the card, column 0 its left: a flipped axis fails."""
    maps = flat_maps(0, 37, 87)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4, :4] = (255, 0, 0)
    image[:4, 4:] = (0, 255, 0)
    image[4:, :4] = (0, 0, 255)
    project = scened(
        new_project(make_card(replace(maps, diffuse_srgb=image))),
        camera=Camera(distance_m=0.7),
        channel=ViewChannel.DIFFUSE,
    )
    found = render_image(project, 64, 64, renderer=renderer)
    assert found[20, 20].tolist() == [255, 0, 0]
    assert found[20, 44].tolist() == [0, 255, 0]
    assert found[44, 20].tolist() == [0, 0, 255]
    assert found[44, 44].tolist() == [0, 0, 0]


def two_cards() -> Identity:
    """A small card 0.08 m before a large one."""
    front, back = make_card(flat_maps(200, 0, 255), side=0.03), make_card(flat_maps(200, 0, 255), side=0.1)
    positions = np.concatenate([front.positions_m + np.array([0, 0, 0.08]), back.positions_m])
    faces = np.concatenate([front.topology.faces, back.topology.faces + 4])
    uvs = np.concatenate([front.topology.uvs, back.topology.uvs])
    return replace(
        back,
        topology=Topology(faces, uvs, faces, np.zeros(4), 8, 8),
        positions_m=positions,
        occlusion=np.ones(8, np.float32),
    )


@pytest.mark.parametrize("softness", [0.001, 0.004, 0.02])
def test_a_card_shadows_the_card_behind_it(renderer: Renderer, sky: Callable[[float], str], softness: float) -> None:
    key = Lamp(yaw_rad=math.radians(45), pitch_rad=0.0, shadow_softness_m=softness)
    project = scened(
        new_project(two_cards()), camera=Camera(distance_m=0.7), key_light=key, environment=Environment(sky(0.0))
    )
    light = render_image(project, 128, 128, renderer=renderer).mean(axis=2)
    scale = 128 / (2 * 0.7 * math.tan(math.radians(10)))

    def at(x_m: float) -> float:
        return float(light[64, int(64 + x_m * scale)])

    assert at(0.07) > 60  # towards the light: lit
    assert at(-0.075) < 12  # 0.08 m behind the front card along the light: dark
    assert light[64 + int(0.08 * scale), 64 + int(0.07 * scale)] > 60


def test_channels_show_the_maps(renderer: Renderer) -> None:
    project = scened(new_project(make_card(flat_maps(180, 37, 90))), camera=Camera(distance_m=0.5))

    def middle(channel: ViewChannel) -> list[int]:
        return render_image(scened(project, channel=channel), 16, 16, renderer=renderer)[8, 8].tolist()

    assert middle(ViewChannel.DIFFUSE) == pytest.approx([180] * 3, abs=1)
    assert middle(ViewChannel.SPECULAR) == pytest.approx([37] * 3, abs=1)
    assert middle(ViewChannel.ROUGHNESS) == pytest.approx([90] * 3, abs=1)
    assert middle(ViewChannel.NORMAL_MAP) == pytest.approx([128, 128, 255], abs=1)
    assert middle(ViewChannel.UV)[:2] == pytest.approx([128, 128], abs=12)


@pytest.mark.parametrize("channel", list(ViewChannel))
def test_every_channel_draws(renderer: Renderer, head: Identity, channel: ViewChannel) -> None:
    expressions = make_expressions(head)
    project = replace(new_project(head), expressions=expressions, weights={"Jaw Open": 1.0})
    image = render_image(scened(project, channel=channel, wireframe=True), 48, 48, renderer=renderer)
    assert image[10:38, 16:32].std() > 1


def test_offset_heat_map_grows_with_the_weight(renderer: Renderer, head: Identity) -> None:
    project = scened(replace(new_project(head), expressions=make_expressions(head)), channel=ViewChannel.OFFSET)
    rest = render_image(project, 64, 64, renderer=renderer)[32, 32]
    moved = render_image(replace(project, weights={"Jaw Open": 1.5}), 64, 64, renderer=renderer)
    np.testing.assert_allclose(rest, np.round(np.array([0.267, 0.005, 0.329]) * 255), atol=1)
    assert moved[20:44, 26:38, 1].max() > rest[1] + 20


def test_the_silhouette_follows_the_morph(renderer: Renderer, head: Identity) -> None:
    """The drawn outline is that of compose_positions, and goes back to the neutral's."""
    expressions = make_expressions(head)
    still = scened(replace(new_project(head), expressions=expressions), channel=ViewChannel.DIFFUSE)
    moved = replace(still, weights={"Jaw Open": 3.0, "Brows Up": 3.0})
    pictures = [
        render_image(each, 96, 96, transparent=True, renderer=renderer)[..., 3] for each in (still, moved, still)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[2])
    changed = np.abs(pictures[0].astype(int) - pictures[1]).max()
    shift = np.abs(compose_positions(head, expressions, moved.active()) - head.positions_m).max()
    assert shift > 0.005
    assert changed > 100


def test_parts_have_their_own_materials(renderer: Renderer, sky: Callable[[float], str]) -> None:
    """The same card as teeth is bright, as gums red, as a lash card not there."""
    base = make_card(flat_maps(0, 0, 128))

    def color(part: Part) -> np.ndarray:
        topology = replace(base.topology, face_parts=np.full(2, PARTS.index(part)))
        project = scened(
            new_project(replace(base, topology=topology)),
            camera=Camera(distance_m=0.5),
            key_light=DARK,
            environment=Environment(sky(0.6)),
        )
        return render_image(project, 16, 16, transparent=True, renderer=renderer)[8, 8].astype(int)

    teeth, gums = color(Part.TEETH), color(Part.MOUTH)
    assert teeth.min() > 100
    assert gums[0] > gums[1] + 30
    assert color(Part.SOCKET)[0] > color(Part.SOCKET)[2]


def test_environment_is_shown_only_when_asked(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    shown = scened(project, environment=Environment("Sunset", visible=True))
    picture = render_image(shown, 64, 64, renderer=renderer)
    assert np.ptp(picture[:, 2].astype(int), axis=0).max() > 20
    assert render_image(shown, 64, 64, transparent=True, renderer=renderer)[0, 0, 3] == 0


def test_one_draw_path(renderer: Renderer, context: moderngl.Context, head: Identity) -> None:
    """A caller's own framebuffer gets what render_image gives."""
    color, depth = context.renderbuffer((48, 48), 4), context.depth_renderbuffer((48, 48))
    target = context.framebuffer([color], depth)
    renderer.draw(new_project(head), target, (48, 48), quality=Quality.FULL)
    pixels = np.frombuffer(target.read(components=3, alignment=1), np.uint8).reshape(48, 48, 3)[::-1]
    np.testing.assert_array_equal(pixels, render_image(new_project(head), 48, 48, supersample=1, renderer=renderer))
    for made in (target, color, depth):
        made.release()


def test_state_left_by_others_does_not_matter(renderer: Renderer, context: moderngl.Context, head: Identity) -> None:
    before = render_image(new_project(head), 48, 48, renderer=renderer)
    context.enable(moderngl.BLEND | moderngl.CULL_FACE | moderngl.DEPTH_TEST)
    context.blend_func = moderngl.ZERO, moderngl.ONE
    context.cull_face = "front"
    context.depth_func = ">"
    context.wireframe = True
    np.testing.assert_array_equal(render_image(new_project(head), 48, 48, renderer=renderer), before)


def test_a_broken_light_leaves_the_renderer_usable(renderer: Renderer, head: Identity) -> None:
    project = new_project(head)
    before = render_image(project, 32, 32, renderer=renderer)
    with pytest.raises(FileFormatError):
        render_image(scened(project, environment=Environment("none.hdr")), 32, 32, renderer=renderer)
    np.testing.assert_array_equal(render_image(project, 32, 32, renderer=renderer), before)


def test_no_size_is_refused(renderer: Renderer, head: Identity) -> None:
    with pytest.raises(ValueError, match="size of 1 or more"):
        render_image(new_project(head), 0, 10, renderer=renderer)


def test_downsample_is_linear_light() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, :, :3] = 255
    pixels[..., 3] = 255
    assert downsample(pixels, 2)[0, 0].tolist() == [188, 188, 188, 255]
    pixels[1, :, 3] = 0
    assert downsample(pixels, 2)[0, 0].tolist() == [255, 255, 255, 128]


def test_pores_seen_from_afar_make_skin_rougher_not_glittering(renderer: Renderer, head: Identity) -> None:
    """Many texels a pixel, one sample a pixel, against 64 samples; without the squares of slopes it is far brighter."""
    rng = np.random.default_rng(5)
    slope = rng.normal(0, 0.25, (512, 512, 2)).astype(np.float16)
    shape = (512, 512)
    maps = ReflectanceMaps(
        np.full((*shape, 3), 90, np.uint8), np.full((*shape, 3), 255, np.uint8), np.full(shape, 80, np.uint8), slope
    )
    rough = replace(head, maps=maps, known_maps=frozenset({"diffuse", "specular", "roughness", "normal"}))
    lamp = Lamp(irradiance=3.0, yaw_rad=0.2, pitch_rad=0.2)
    dark = Environment("Even", exposure_ev=-60.0)
    scene = {"channel": ViewChannel.SPECULAR_LIGHT, "tone_curve": ToneCurve.LINEAR, "scattering": False}

    def seen(identity: Identity, supersample: int) -> np.ndarray:
        project = scened(new_project(identity), environment=dark, key_light=lamp, **scene)
        project = scened(project, camera=replace(project.scene.view.camera, distance_m=0.9))
        return render_layers(project, 32, 32, supersample=supersample, renderer=renderer)["specular light"][..., 0]

    found, true = seen(rough, 1), seen(rough, 16)
    flat = seen(replace(rough, maps=replace(maps, slope=np.zeros_like(slope))), 1)
    bright = true > 0.2 * true.max()
    assert bright.sum() > 10
    off = np.abs(found - true)[bright].mean()
    assert off < 0.35 * np.abs(flat - true)[bright].mean()


def test_a_sample_alone_at_an_edge_is_no_firefly(context: moderngl.Context, renderer: Renderer) -> None:
    """The middle of its pixel is outside of the triangle: occlusion that falls to 0 at a corner is below 0 there."""
    identity = make_head(size=16, rings=8, segments=10)
    rng = np.random.default_rng(2)
    deep = np.where(rng.random(len(identity.occlusion)) < 0.5, 0.0, 1.0).astype(np.float32)
    project = scened(new_project(replace(identity, occlusion=deep)), key_light=Lamp(irradiance=2.0, yaw_rad=0.8))
    size = (160, 120)
    color, depth = context.renderbuffer(size, 4, samples=4), context.depth_renderbuffer(size, samples=4)
    target, whole = context.framebuffer([color], depth), context.simple_framebuffer(size)
    for turn in range(8):
        camera = replace(project.scene.view.camera, yaw_rad=0.2 * turn)
        turned = replace(project, scene=scene_with(project.scene, camera=camera))
        renderer.draw(turned, target, size, quality=Quality.STILL)
        context.copy_framebuffer(whole, target)
        shown = np.frombuffer(whole.read(components=3, alignment=1), np.uint8).reshape(-1, 3)
        assert (shown.min(axis=1) > 240).sum() == 0
    renderer.idle.use()
    for made in (target, whole, color, depth):
        made.release()
