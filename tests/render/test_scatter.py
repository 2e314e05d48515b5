"""Light inside the skin: the blur against diffusion in two dimensions, transmission, and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.identity import Identity
from engine.mesh import Topology
from engine.project import Project, new_project
from engine.render import offscreen
from engine.render.camera import grown, screen_box
from engine.render.context import drawing_into
from engine.render.frame import FRAME
from engine.render.offscreen import render_image, render_layers, render_light
from engine.render.renderer import Renderer
from engine.render.scatter import LightTargets, Quality, ScatterPass
from engine.render.tables import SCATTER_REACH_M, SKIN_GAUSSIANS, scatter_kernel
from engine.scene import Camera, Environment, Lamp, LampKind, Scene, ToneCurve, View, ViewChannel
from tests.heads import make_head

from .conftest import Evaluate
from .test_pictures import flat_maps, make_card, scened

MM_PER_PIXEL = 0.2
SIDE = 192
DARK = Environment("Even", exposure_ev=-40.0)


@pytest.fixture
def scatter(context: moderngl.Context) -> Iterator[ScatterPass]:
    made = ScatterPass(context)
    yield made
    made.release()


def spread(
    scatter: ScatterPass,
    context: moderngl.Context,
    light: np.ndarray,
    mask: np.ndarray | None = None,
    depth: np.ndarray | None = None,
    per_depth: float = 0.0,
    quality: Quality = Quality.FULL,
) -> np.ndarray:
    """(H, W, 3) `light` on skin that is 1 m away, or 1 / (1 + `per_depth` * `depth` in -1..1), after the blur."""
    height, width = light.shape[:2]
    targets = LightTargets(context, (width, height), 0, 1, "f4")
    mask = np.ones((height, width), np.float32) if mask is None else mask
    texels = np.concatenate([light * mask[..., None], mask[..., None]], 2).astype(np.float32)
    targets.textures[0].write(texels.tobytes())
    if depth is not None:
        targets.depth.write(((depth + 1) / 2).astype(np.float32).tobytes())
    frame = np.zeros((), FRAME)
    frame["world_from_clip"] = np.eye(4)
    frame["world_from_clip"][2, 3] = per_depth  # stored column by column
    buffer = context.buffer(frame.tobytes())
    buffer.bind_to_uniform_block(0)
    for axis, target in enumerate(targets.blurred):
        with drawing_into(target):
            scatter.blur(targets, axis, 1000 / MM_PER_PIXEL, quality)
    found = np.frombuffer(targets.textures[0].read(), np.float32).reshape(height, width, 4)
    for made in (targets, buffer):
        made.release()
    np.testing.assert_array_equal(found[..., 3], mask)
    return found[..., :3] / np.maximum(mask, 1e-6)[..., None]


def diffused(light: np.ndarray) -> np.ndarray:
    """(H, W, 3) `light` convolved in two dimensions with the radial skin profile, by sums over pixels."""
    half = SIDE // 2
    y, x = np.mgrid[-half:half, -half:half] * MM_PER_PIXEL
    fine = (np.arange(9) - 4) / 9 * MM_PER_PIXEL  # the narrowest Gaussians are smaller than a pixel
    profile = np.zeros((SIDE, SIDE, 3))
    for variance, *weights in SKIN_GAUSSIANS:
        blot = sum(np.exp(-((x + a) ** 2 + (y + b) ** 2) / (2 * variance)) for a in fine for b in fine)
        profile += blot[..., None] / blot.sum() * np.array(weights)
    profile /= profile.sum((0, 1))
    kernel = np.fft.fft2(np.fft.ifftshift(profile, (0, 1)), axes=(0, 1))
    return np.fft.ifft2(np.fft.fft2(light, axes=(0, 1)) * kernel, axes=(0, 1)).real


def half_lit(degrees: float) -> np.ndarray:
    """A plane, lit on one side of a line through its middle; edges inside pixels are means."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2).astype(float)
    turn = math.radians(degrees)
    across = x * math.cos(turn) + y * math.sin(turn)
    return np.repeat(np.clip(across + 0.5, 0, 1)[..., None], 3, 2)


@pytest.mark.parametrize("taps", [11, 17, 25])
def test_the_kernel_neither_gains_nor_loses(taps: int) -> None:
    kernel = scatter_kernel(taps)
    assert kernel.shape == (taps, 4)
    np.testing.assert_allclose(kernel[:, :3].sum(0), 1.0, atol=1e-6)
    assert kernel[0, 3] == 0
    assert np.abs(kernel[:, 3]).max() == pytest.approx(SCATTER_REACH_M)
    np.testing.assert_allclose(kernel[1::2, :3], kernel[2::2, :3], atol=1e-7)  # as much to either side
    np.testing.assert_allclose(kernel[1::2, 3], -kernel[2::2, 3])
    outside = kernel[np.abs(kernel[:, 3]) > 0.001, :3].sum(0)
    assert outside[0] > 10 * outside[1] > 10 * outside[2]


def test_even_light_stays(scatter: ScatterPass, context: moderngl.Context) -> None:
    light = np.full((40, 56, 3), (0.7, 0.5, 0.3))
    np.testing.assert_allclose(spread(scatter, context, light), light, atol=1e-4)


@pytest.mark.parametrize(("degrees", "largest", "mean"), [(0, 0.025, 0.002), (90, 0.025, 0.002), (45, 0.075, 0.0045)])
@pytest.mark.parametrize("quality", [Quality.STILL, Quality.FULL])
def test_a_half_lit_plane_is_what_diffusion_makes_of_it(
    scatter: ScatterPass, context: moderngl.Context, degrees: float, largest: float, mean: float, quality: Quality
) -> None:
    """A ratchet: these errors may only get smaller. Along the screen's axes the kernel is exact but for its taps."""
    light = half_lit(degrees)
    found = spread(scatter, context, light, quality=quality)
    inside = slice(SIDE // 2 - 45, SIDE // 2 + 45)  # 9 mm: the sum over pixels wraps around beyond
    gap = np.abs(found - diffused(light))[inside, inside]
    assert gap.max() < largest
    assert gap.mean() < mean
    shadow = found[SIDE // 2, SIDE // 2 - 15] if degrees != 90 else found[SIDE // 2 - 15, SIDE // 2]
    assert shadow[0] > 5 * shadow[1] > 5 * shadow[2] >= 0  # 3 mm into the dark


def test_light_crosses_neither_eyes_nor_air(scatter: ScatterPass, context: moderngl.Context) -> None:
    light = half_lit(0)
    light[:, : SIDE // 2] = 0.2
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[:, SIDE // 2 :] = 0.0
    kept = spread(scatter, context, light, mask)
    np.testing.assert_allclose(kept[:, : SIDE // 2], 0.2, atol=1e-4)
    step = np.where(np.arange(SIDE) < SIDE // 2, -0.5, 0.5)[None].repeat(SIDE, 0)
    apart = spread(scatter, context, light, depth=step, per_depth=0.02)  # 20 mm
    np.testing.assert_allclose(apart[:, : SIDE // 2], 0.2, atol=1e-3)
    joined = spread(scatter, context, light, depth=step, per_depth=0.0)
    assert joined[5, SIDE // 2 - 3, 0] > 0.3


def test_half_covered_pixels_give_their_full_light(scatter: ScatterPass, context: moderngl.Context) -> None:
    """Means over samples hold less where only a part of a pixel is skin."""
    mask = np.ones((SIDE, SIDE), np.float32)
    mask[:, 90:94] = 0.25
    light = np.full((SIDE, SIDE, 3), 0.6)
    np.testing.assert_allclose(spread(scatter, context, light, mask), 0.6, atol=1e-3)


def test_transmittance(evaluate: Evaluate) -> None:
    """A beam's profile, summed in numpy over a far side that is evenly lit."""
    thickness_mm = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0])
    inputs = np.repeat(thickness_mm[:, None] / 1000, 4, 1)
    found = evaluate("lighting/transmission.glsl", "vec4(transmittance(x.x), 1)", inputs)[:, :3]
    r = (np.arange(40000) + 0.5) * 1e-3
    variance = SKIN_GAUSSIANS[:, 0]
    for row, d in zip(found, thickness_mm, strict=True):
        gaussians = np.exp(-(r[:, None] ** 2 + d * d) / (2 * variance)) / (2 * np.pi * variance)
        expected = (2 * np.pi * r[:, None] * gaussians).sum(0) * 1e-3 @ SKIN_GAUSSIANS[:, 1:]
        np.testing.assert_allclose(row, expected, rtol=2e-3, atol=1e-5)


def make_slab(thickness_m: float) -> Identity:
    """A closed plate of skin, 40 x 40 mm, its front at z = 0."""
    flat = make_card(flat_maps(255, 0, 255), side=0.02)
    corners = np.concatenate([flat.positions_m, flat.positions_m - np.array([0, 0, thickness_m])])
    quads = [(0, 1, 2, 3), (5, 4, 7, 6), (4, 5, 1, 0), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0)]
    # corners of their own, so that the plate is not shaded as a ball
    positions = corners[np.array(quads).ravel()]
    at = np.arange(24).reshape(6, 4)
    faces = np.concatenate([at[:, [0, 1, 2]], at[:, [0, 2, 3]]])
    uvs = np.tile([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]], (6, 1))
    topology = Topology(faces, uvs, faces, np.zeros(12), 24, 24)
    return replace(flat, topology=topology, positions_m=positions, occlusion=np.ones(24, np.float32))


@pytest.mark.parametrize("thickness_mm", [1.5, 3.0, 30.0])
def test_thin_parts_glow_when_lit_from_behind(renderer: Renderer, thickness_mm: float) -> None:
    key = Lamp(yaw_rad=math.pi, pitch_rad=0.0, color_linear=(1.0, 1.0, 1.0), irradiance=math.pi)
    scene = Scene(View(Camera(distance_m=0.3)), key_light=key, environment=DARK)
    layers = render_layers(new_project(make_slab(thickness_mm / 1000), scene), 48, 48, supersample=1, renderer=renderer)
    found = layers["diffuse light"][24, 24]
    d2 = thickness_mm**2 / (2 * SKIN_GAUSSIANS[:, 0])
    np.testing.assert_allclose(found, np.exp(-d2) @ SKIN_GAUSSIANS[:, 1:], rtol=0.02, atol=1e-4)
    if thickness_mm < 10:
        assert found[0] > 5 * found[1]


@pytest.mark.parametrize("kind", [LampKind.POINT, LampKind.SPOT, LampKind.RECTANGLE])
def test_thin_parts_glow_before_any_lamp(renderer: Renderer, kind: LampKind) -> None:
    """In the middle of the plate light comes straight from a lamp, as strong as it says there."""
    lamp = Lamp(kind=kind, yaw_rad=math.pi, pitch_rad=0.0, color_linear=(1.0, 1.0, 1.0), irradiance=math.pi)
    lamp = replace(lamp, distance_m=0.5, width_m=0.02, height_m=0.02)
    scene = Scene(View(Camera(distance_m=0.3)), key_light=lamp, environment=DARK)
    layers = render_layers(new_project(make_slab(0.0015), scene), 48, 48, supersample=1, renderer=renderer)
    d2 = 1.5**2 / (2 * SKIN_GAUSSIANS[:, 0])
    np.testing.assert_allclose(
        layers["diffuse light"][24, 24], np.exp(-d2) @ SKIN_GAUSSIANS[:, 1:], rtol=0.04, atol=1e-3
    )


def test_a_whole_head_stays_dark_when_lit_from_behind(renderer: Renderer) -> None:
    key = Lamp(yaw_rad=math.pi, pitch_rad=0.0, irradiance=3.0)
    scene = replace(new_project(make_head()).scene, key_light=key, environment=DARK)
    layers = render_layers(new_project(make_head(), scene), 64, 64, renderer=renderer)
    assert layers["RGBA"][24:40, 26:38, :3].max() < 1e-3


@pytest.fixture(scope="module")
def lit() -> Project:
    """An egg of a head, lit from the side, near enough that millimetres are pixels."""
    head = make_head(size=64, rings=40, segments=64)
    key = Lamp(yaw_rad=math.radians(70), pitch_rad=0.2, irradiance=2.0)
    project = scened(new_project(head), key_light=key, environment=Environment("Even", exposure_ev=-3.0))
    return scened(project, camera=Camera(distance_m=0.35), tone_curve=ToneCurve.LINEAR)


def test_a_face_keeps_its_light(renderer: Renderer, lit: Project) -> None:
    spread_, still = (
        render_layers(scened(lit, scattering=on), 120, 120, supersample=1, renderer=renderer) for on in (True, False)
    )
    light = [np.where(each["albedo"] > 0, each["diffuse light"] / each["albedo"], 0) for each in (spread_, still)]
    assert light[0].mean() == pytest.approx(light[1].mean(), rel=0.01)
    assert np.abs(light[0] - light[1])[..., 0].max() > 0.03
    for name in ("specular light", "normal", "position", "roughness"):
        np.testing.assert_array_equal(spread_[name], still[name])


@pytest.mark.parametrize("channel", [ViewChannel.SHADED, ViewChannel.DIFFUSE_LIGHT])
def test_tiles_of_a_picture_fit_together(
    renderer: Renderer, lit: Project, monkeypatch: pytest.MonkeyPatch, channel: ViewChannel
) -> None:
    project = scened(lit, channel=channel, environment=Environment("Sunset", visible=True), wireframe=True)
    whole = render_image(project, 100, 90, supersample=1, renderer=renderer).astype(int)
    monkeypatch.setattr(offscreen, "TILE", 32)
    tiled = render_image(project, 100, 90, supersample=1, renderer=renderer).astype(int)
    differs = np.abs(whole - tiled).max(axis=2) > 1
    assert differs.mean() < 0.005  # edges may round to the other side
    assert not differs[:, [31, 32, 63, 64]].any(axis=1).all()


def test_tiles_of_layers_fit_together(renderer: Renderer, lit: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render_layers(lit, 100, 90, supersample=1, renderer=renderer)["RGBA"]
    monkeypatch.setattr(offscreen, "LAYER_TILE", 32)
    tiled = render_layers(lit, 100, 90, supersample=1, renderer=renderer)["RGBA"]
    gap = np.abs(whole - tiled).max(axis=2)
    assert np.percentile(gap, 99.5) < 1e-3
    assert gap[:, 31:33].mean() < 1e-3


def test_a_picture_that_converges_is_spread_too(renderer: Renderer, lit: Project) -> None:
    """What scattering changes in the mean of its frames is what it changes in the picture that is drawn at once."""
    dark = scened(lit, environment=DARK, key_light=replace(lit.scene.key_light, shadow_softness_m=0.001))
    pairs = []
    for on in (True, False):
        project = scened(dark, scattering=on)
        once = render_layers(project, 80, 80, supersample=4, renderer=renderer)["RGBA"]
        frames = render_light(project, 80, 80, samples=16, renderer=renderer)
        pairs.append([picture[50:, :, :3] for picture in (frames, once)])  # below the eyes
    frames, once = (on - off for on, off in zip(*pairs, strict=True))
    assert np.corrcoef(frames.ravel(), once.ravel())[0, 1] > 0.9
    # a pixel is 1.5 mm here: taps between two of them spread a little more than those between finer samples
    assert 0.8 < np.abs(frames).mean() / np.abs(once).mean() < 1.6
    assert pairs[0][0].mean() == pytest.approx(pairs[1][0].mean(), rel=0.01)


def drawn(
    renderer: Renderer, context: moderngl.Context, project: Project, samples: int, quality: Quality
) -> np.ndarray:
    """(80, 80, 4) uint8 that `Renderer.draw` leaves in a target of its caller."""
    size = (80, 80)
    buffers = context.renderbuffer(size, 4, samples=samples), context.depth_renderbuffer(size, samples=samples)
    plain = context.simple_framebuffer(size, 4)
    target = context.framebuffer([buffers[0]], buffers[1])
    renderer.draw(project, target, size, quality=quality)
    context.copy_framebuffer(plain, target)
    pixels = np.frombuffer(plain.read(components=4), np.uint8).reshape(*size, 4)[::-1]
    renderer.idle.use()
    for made in (target, plain, *buffers):
        made.release()
    return pixels


def test_many_samples_a_pixel_give_the_mean(renderer: Renderer, context: moderngl.Context, lit: Project) -> None:
    many = drawn(renderer, context, lit, 4, Quality.FULL).astype(float)
    fine = render_image(lit, 80, 80, supersample=4, renderer=renderer).astype(float)
    assert np.abs(many[..., :3] - fine).mean() < 1.0
    assert (many[..., 3] == 255).all()


def test_wires_lie_on_the_skin(renderer: Renderer, context: moderngl.Context, lit: Project) -> None:
    for samples in (0, 4):
        plain, wired = (
            drawn(renderer, context, scened(lit, wireframe=on), samples, Quality.FULL).astype(int)[..., :3]
            for on in (False, True)
        )
        moving = [
            drawn(renderer, context, scened(lit, wireframe=on), samples, Quality.MOVING).astype(int)[..., :3]
            for on in (False, True)
        ]
        changed, expected = (np.abs(a - b).max(-1) > 20 for a, b in ((plain, wired), moving))
        assert expected.mean() > 0.05
        assert (changed == expected).mean() > 0.97  # the far side's wires stay hidden


def test_without_scattering_there_is_one_picture(renderer: Renderer, context: moderngl.Context, lit: Project) -> None:
    project = scened(lit, scattering=False)
    one, other = (drawn(renderer, context, project, 0, quality) for quality in (Quality.MOVING, Quality.FULL))
    np.testing.assert_array_equal(one, other)


def test_rectangles() -> None:
    assert grown((10, 20, 30, 40), 15, (50, 100)) == (0, 5, 50, 70)
    box = np.array([[-0.5, -0.25, 0], [0.5, 0.25, 0]])
    left, bottom, width, height = screen_box(np.eye(4), box, (80, 40))
    assert (left, bottom) == (19, 14)
    assert (width, height) == (42, 12)
    behind = np.eye(4)
    behind[3, 3] = -1
    assert screen_box(behind, box, (80, 40)) == (0, 0, 80, 40)
