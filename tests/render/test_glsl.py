"""GLSL functions one by one against numpy."""

from __future__ import annotations

import math
from collections.abc import Callable

import moderngl
import numpy as np
import pytest

from engine.channels import LOG_FLOOR
from engine.color import linear_from_srgb, srgb_from_linear
from engine.errors import GraphicsError
from engine.render import shaders
from engine.render.environment import equirect_directions, octahedral_directions
from engine.render.frame import FRAME, TONES
from engine.render.tables import dfg_texture
from engine.scene import ToneCurve

from .conftest import Evaluate

RNG = np.random.default_rng(1)
UNIT = RNG.uniform(0.02, 1.0, (400, 4)).astype(np.float32)
COLORS = (RNG.uniform(0, 1, (500, 4)) ** 3 * 20).astype(np.float32)


def test_ggx_distribution(evaluate: Evaluate) -> None:
    NoH, alpha = UNIT[:, 0].astype(np.float64), UNIT[:, 1].astype(np.float64)
    found = evaluate("lighting/ggx.glsl", "vec4(ggx_distribution(x.x, x.y))", UNIT)[:, 0]
    expected = alpha**2 / (np.pi * (NoH**2 * (alpha**2 - 1) + 1) ** 2)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_ggx_is_normalised(evaluate: Evaluate) -> None:
    """The projected microfacet area of any roughness is 1: int D cos dw."""
    theta = (np.arange(20000) + 0.5) / 20000 * np.pi / 2
    for alpha in (0.05, 0.2, 0.6, 1.0):
        inputs = np.stack([np.cos(theta), np.full_like(theta, alpha), theta, theta], -1)[::5]
        d = evaluate("lighting/ggx.glsl", "vec4(ggx_distribution(x.x, x.y))", inputs)[:, 0].astype(np.float64)
        angle = theta[::5]
        area = 2 * np.pi * np.sum(d * np.cos(angle) * np.sin(angle)) * (angle[1] - angle[0])
        assert area == pytest.approx(1.0, abs=5e-3)


def test_smith_visibility(evaluate: Evaluate) -> None:
    NoV, NoL, alpha = (UNIT[:, i].astype(np.float64) for i in range(3))
    found = evaluate("lighting/ggx.glsl", "vec4(smith_visibility(x.x, x.y, x.z))", UNIT)[:, 0]

    def big_lambda(cosine: np.ndarray) -> np.ndarray:
        return (np.sqrt(1 + alpha**2 * (1 - cosine**2) / cosine**2) - 1) / 2

    expected = 1 / (1 + big_lambda(NoV) + big_lambda(NoL)) / (4 * NoV * NoL)
    np.testing.assert_allclose(found, expected, rtol=2e-3)
    swapped = evaluate("lighting/ggx.glsl", "vec4(smith_visibility(x.y, x.x, x.z))", UNIT)[:, 0]
    np.testing.assert_allclose(found, swapped, rtol=1e-5)


def test_fresnel_schlick(evaluate: Evaluate) -> None:
    found = evaluate("lighting/ggx.glsl", "vec4(fresnel_schlick(vec3(x.y), x.x), 1)", UNIT)[:, 0]
    np.testing.assert_allclose(found, UNIT[:, 1] + (1 - UNIT[:, 1]) * (1 - UNIT[:, 0]) ** 5, rtol=1e-4)


def test_schlick_weight_is_the_fifth_power_between_its_ends(evaluate: Evaluate) -> None:
    cosine = np.linspace(-0.5, 1.5, 201)
    found = evaluate("lighting/ggx.glsl", "vec4(schlick_weight(x.x))", np.repeat(cosine[:, None], 4, 1))[:, 0]
    np.testing.assert_allclose(found, np.clip(1 - cosine, 0, 1) ** 5, atol=1e-5)


def test_many_bounces_give_back_what_one_loses(evaluate: Evaluate) -> None:
    """A white mirror of any table reflects all light; a black one no more than its table says; x, y are the table."""
    table = UNIT * (0.6, 0.3, 1, 1)
    white = evaluate("lighting/ggx.glsl", "vec4(specular_albedo(vec3(1), x.xy), 1)", table)[:, 0]
    np.testing.assert_allclose(white, 1, rtol=1e-4)
    black = evaluate("lighting/ggx.glsl", "vec4(specular_albedo(vec3(0), x.xy), 1)", table)[:, 0]
    np.testing.assert_allclose(black, table[:, 1], rtol=1e-5)
    found = evaluate("lighting/ggx.glsl", "vec4(multiscatter_gain(vec3(x.z, 0, 1), x.xy), 1)", table)
    lost = 1 - table[:, 0] - table[:, 1]
    expected = 1 + table[:, 2] * lost / (1 - lost)  # Turquin's gain: F0 times what is lost over what is left
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-4)
    np.testing.assert_allclose(found[:, 1:3], np.stack([np.ones(400), 1 / (1 - lost)], -1), rtol=1e-4)


@pytest.mark.parametrize(("slope", "alpha"), [(0.0, 0.3), (0.1, 0.01), (0.3, 0.2), (0.9, 0.05), (0.9, 0.95)])
def test_normals_that_turn_inside_a_pixel_widen_the_lobe(evaluate: Evaluate, slope: float, alpha: float) -> None:
    """By the variance of the normal over a pixel filter of sigma 1/2 on both axes, twice, at most by 0.18."""
    y, x = np.mgrid[:6, :8] * slope
    inputs = np.stack([x, 0.5 * y, 0.2 * x - 0.1 * y, np.full_like(x, alpha)], -1)
    found = evaluate("lighting/ggx.glsl", "vec4(antialiased_alpha(x.w, x.xyz))", inputs)[..., 0]
    variance = 0.25 * slope**2 * (1 + 0.5**2 + 0.2**2 + 0.1**2)
    np.testing.assert_allclose(found, min(alpha**2 + min(2 * variance, 0.18), 1) ** 0.5, rtol=1e-3)


def test_steps_of_a_normal_widen_the_lobe(evaluate: Evaluate) -> None:
    """From any two steps, whatever the neighbours in the picture are; x: alpha and how the steps are stretched."""
    dx, dy = np.array([0.3, -0.1, 0.2]), np.array([0.0, 0.2, -0.1])
    inputs = np.concatenate([RNG.uniform((0.002, 0, 0, 0), (1, 1, 1, 0), (300, 4)), [[0.3, 0, 0, 0], [0.98, 2, 2, 0]]])
    call = "vec4(widened_alpha(x.x, x.y * vec3(0.3, -0.1, 0.2), x.z * vec3(0.0, 0.2, -0.1)))"
    found = evaluate("lighting/ggx.glsl", call, inputs)[:, 0]
    variance = 0.25 * (inputs[:, 1] ** 2 * (dx @ dx) + inputs[:, 2] ** 2 * (dy @ dy))
    expected = np.sqrt(np.minimum(inputs[:, 0] ** 2 + np.minimum(2 * variance, 0.18), 1))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert found[-2] == pytest.approx(0.3, rel=1e-5)
    assert found[-1] == 1


def test_alpha_has_a_floor(evaluate: Evaluate) -> None:
    found = evaluate("lighting/ggx.glsl", "vec4(alpha_from_roughness(x.x))", np.array([[0, 0, 0, 0], [0.5, 0, 0, 0]]))
    np.testing.assert_allclose(found[:, 0], [0.045**2, 0.25], rtol=1e-4)


def test_small_mathematics(evaluate: Evaluate) -> None:
    values = RNG.normal(0, 2, (200, 4)).astype(np.float32)
    found = evaluate("common/math.glsl", "vec4(saturate(x.xyz), saturate(x.w))", values)
    np.testing.assert_array_equal(found, values.clip(0, 1))
    found = evaluate("common/math.glsl", "vec4(square(x.x), max_component(x.xyz), max_component(x.zxy), 0)", values)
    np.testing.assert_allclose(found[:, 0], values[:, 0].astype(float) ** 2, rtol=1e-6)
    np.testing.assert_array_equal(found[:, 1:3], np.repeat(values[:, :3].max(1)[:, None], 2, 1))


def test_srgb_both_ways(evaluate: Evaluate) -> None:
    ramp = np.repeat(np.linspace(0, 1, 1024, dtype=np.float32)[:, None], 4, 1)
    encoded = evaluate("common/color.glsl", "vec4(srgb_from_linear(x.rgb), 1)", ramp)[:, 0]
    np.testing.assert_allclose(encoded, srgb_from_linear(ramp[:, 0]), atol=3e-4)
    decoded = evaluate("common/color.glsl", "vec4(linear_from_srgb(x.rgb), 1)", ramp)[:, 0]
    np.testing.assert_allclose(decoded, linear_from_srgb(ramp[:, 0]), atol=3e-4)


def test_changed_albedo(evaluate: Evaluate) -> None:
    """The ratio formula with the floor of the CPU, clamped once."""
    inputs = np.stack([UNIT[:, 0], 8 * UNIT[:, 1] - 4, UNIT[:, 2], UNIT[:, 3]], -1)
    text = "vec4(changed(vec3(x.x), vec3(x.y)), 1)"
    found = evaluate("common/change.glsl", text, inputs, defines=("CHANGES 1",))[:, 0]
    expected = np.clip((inputs[:, 0] + LOG_FLOOR) * np.exp(inputs[:, 1]) - LOG_FLOOR, 0, 1)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert found.min() == 0.0
    assert found.max() == 1.0


def neutral_tone(color: np.ndarray) -> np.ndarray:
    """Khronos Neutral in numpy, from its specification."""
    low = color.min()
    color = color - (low - 6.25 * low * low if low < 0.08 else 0.04)
    peak = color.max()
    if peak < 0.76:
        return color
    new_peak = 1 - 0.24**2 / (peak + 0.24 - 0.76)
    g = 1 - 1 / (0.15 * (peak - new_peak) + 1)
    return color * new_peak / peak * (1 - g) + new_peak * g


def test_tone_curve(evaluate: Evaluate) -> None:
    found = evaluate("common/color.glsl", "vec4(tone_neutral(x.rgb), 1)", COLORS)[:, :3]
    expected = np.stack([neutral_tone(color) for color in COLORS[:, :3].astype(np.float64)])
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert found.max() <= 1.0


@pytest.mark.parametrize(("tone", "grey"), [("tone_agx", 0.18 ** (2.2 / 2.4)), ("tone_aces", 0.10)])
def test_filmic_curves_keep_greys_grey_rise_and_bring_every_light_into_range(
    evaluate: Evaluate, tone: str, grey: float
) -> None:
    light = np.concatenate([[0.0, 0.18], np.geomspace(1e-4, 300, 400)]).astype(np.float32)
    greys = evaluate("common/color.glsl", f"vec4({tone}(x.rgb), 1)", np.repeat(light[:, None], 4, 1))[:, :3]
    assert np.ptp(greys, axis=1).max() < 3e-3
    assert greys[0].max() < 1e-3
    assert greys[1].mean() == pytest.approx(grey, abs=0.01)  # where the makers put middle grey
    assert (np.diff(greys[2:].mean(1)) > -1e-4).all()
    assert greys[-1].min() > 0.97
    found = evaluate("common/color.glsl", f"vec4({tone}(x.rgb), 1)", COLORS)[:, :3]
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    skin = np.array([[0.4, 0.15, 0.05, 1.0]], np.float32)
    order = evaluate("common/color.glsl", f"vec4({tone}(x.rgb), 1)", skin)[0, :3]
    assert order[0] > order[1] > order[2] > 0  # skin stays skin: no channel is swapped


# x and y of primaries and white: ITU-R BT.709, BT.2020, SMPTE ST 2065-1 and S-2014-004 (AP1).
D65, D60 = (0.3127, 0.3290), (0.32168, 0.33767)
REC709, REC2020 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
AP1 = ((0.713, 0.293), (0.165, 0.830), (0.128, 0.044))


def xyz_of(at: tuple[float, float]) -> np.ndarray:
    """(3,) CIE XYZ of luminance 1."""
    return np.array([at[0] / at[1], 1, (1 - at[0] - at[1]) / at[1]])


def xyz_from_rgb(primaries: tuple[tuple[float, float], ...], white: tuple[float, float] = D65) -> np.ndarray:
    """(3, 3) linear light with `primaries` to CIE XYZ."""
    columns = np.stack([xyz_of(each) for each in primaries], 1)
    return columns * np.linalg.solve(columns, xyz_of(white))


def agx(light: np.ndarray) -> np.ndarray:
    """AgX of (N, 3) linear light: Sobotka's inset and outset, Wrensch's polynomial, everything else derived."""
    wide = np.linalg.solve(xyz_from_rgb(REC2020), xyz_from_rgb(REC709))
    inset = [[0.856627153, 0.0951212405, 0.0482516061], [0.137318973, 0.761241991, 0.101439036]]
    inset = np.array([*inset, [0.111898213, 0.0767994186, 0.811302369]])
    outset = np.tile([0.11142099, 0.08719962, 0.01300342], (3, 1))
    outset[np.diag_indices(3)] = 0.899796956, 0.875575586, 0.801379392  # of display to the curve's: its inverse is used
    middle, stops = math.log2(0.18), np.log2(np.maximum(light @ (inset @ wide).T, 1e-10))
    at = np.clip((stops - (middle - 10)) / 16.5, 0, 1)
    curve = np.polynomial.Polynomial([-0.00232, 0.1191, 0.4298, -6.868, 31.96, -40.14, 15.5])(at)
    encoded = np.maximum(curve @ np.linalg.inv(outset).T, 0)
    return np.clip(encoded**2.2 @ np.linalg.inv(wide).T, 0, 1)


def aces(light: np.ndarray) -> np.ndarray:
    """Hill's curve of (N, 3) linear light in ACES' working space, less colourful by 0.96 before and 0.93 after."""
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    cones = np.diag((bradford @ xyz_of(D60)) / (bradford @ xyz_of(D65)))
    working = xyz_from_rgb(AP1, D60)
    to_working = np.linalg.solve(working, np.linalg.solve(bradford, cones @ bradford) @ xyz_from_rgb(REC709))

    def pale(share: float) -> np.ndarray:
        return (1 - share) * np.ones((3, 1)) * working[1] + share * np.eye(3)

    x = light @ (pale(0.96) @ to_working).T
    film = (x * (x + 0.0245786) - 0.000090537) / (x * (0.983729 * x + 0.4329510) + 0.238081)
    return np.clip(film @ (np.linalg.inv(to_working) @ pale(0.93)).T, 0, 1)


@pytest.mark.parametrize(("call", "curve"), [("tone_agx(x.rgb)", agx), ("tone_aces(x.rgb)", aces)])
def test_filmic_curves_of_colours(evaluate: Evaluate, call: str, curve: Callable[[np.ndarray], np.ndarray]) -> None:
    """Against matrices derived from the chromaticities of the spaces."""
    found = evaluate("common/color.glsl", f"vec4({call}, 1)", COLORS)[:, :3]
    np.testing.assert_allclose(found, curve(COLORS[:, :3].astype(float)), atol=3e-3)


def test_five_stops_of_a_scale(evaluate: Evaluate) -> None:
    stops = RNG.uniform(0, 1, (5, 3)).round(3)
    t = np.linspace(-0.3, 1.3, 161)
    listed = ", ".join(f"vec3({r}, {g}, {b})" for r, g, b in stops)
    found = evaluate("common/color.glsl", f"vec4(scale_color(x.x, {listed}), 1)", np.repeat(t[:, None], 4, 1))
    expected = np.stack([np.interp(t, np.linspace(0, 1, 5), each) for each in stops.T], -1)
    np.testing.assert_allclose(found[:, :3], expected, atol=1e-5)


@pytest.mark.parametrize("tone", ToneCurve)
def test_light_to_display(evaluate: Evaluate, tone: ToneCurve) -> None:
    """Exposure, tone curve, encoding, in this order; light below nothing is none."""
    frame = np.zeros((), FRAME)
    frame["display"][:2] = 2.0**-1.5, TONES.index(tone)
    light = np.concatenate([COLORS, [[-1, -0.2, -3, 1], [-1, 0.5, 0.1, 1]]])
    found = evaluate("common/display.glsl", "vec4(display_from_light(x.rgb), 1)", light, frame=frame)[:, :3]
    exposed = np.maximum(light[:, :3].astype(float) * 2.0**-1.5, 0)
    curves = {
        ToneCurve.NEUTRAL: lambda rows: np.stack([neutral_tone(row) for row in rows]),
        ToneCurve.LINEAR: lambda rows: rows,
        ToneCurve.AGX: agx,
        ToneCurve.ACES: aces,
    }
    np.testing.assert_allclose(found, srgb_from_linear(curves[tone](exposed).clip(0, 1)), atol=4e-3)


def test_equirect_agrees_with_the_picture_of_an_environment(evaluate: Evaluate) -> None:
    height, width = 16, 32
    directions, _ = equirect_directions(height, width)
    inputs = np.concatenate([directions, np.zeros((height, width, 1))], -1)
    found = evaluate("common/equirect.glsl", "vec4(equirect_from_direction(x.xyz), 0, 1)", inputs)[..., :2]
    row, column = np.mgrid[:height, :width]
    np.testing.assert_allclose(found, np.stack([(column + 0.5) / width, (row + 0.5) / height], -1), atol=1e-4)


def test_tiles_of_the_atlas(evaluate: Evaluate) -> None:
    """The middle of texel (i, j) inside the border of a tile is the middle of that texel of the atlas."""
    i, j, tile = RNG.integers(0, 126, 300), RNG.integers(0, 126, 300), RNG.integers(0, 7, 300)
    inputs = np.stack([(i + 0.5) / 126, (j + 0.5) / 126, tile, tile], -1)
    found = evaluate("common/octahedron.glsl", "vec4(atlas_uv(x.xy, x.z), 0, 1)", inputs)[:, :2] * (512, 256)
    np.testing.assert_allclose(found, np.stack([tile % 4 * 128 + 1 + i, tile // 4 * 128 + 1 + j], -1) + 0.5, atol=1e-3)


def test_octahedron_agrees_with_numpy_and_inverts(evaluate: Evaluate) -> None:
    side = 18
    at = (np.arange(side) + 0.5 - 1) / (side - 2)
    v, u = np.meshgrid(at, at, indexing="ij")
    inputs = np.stack([u.ravel(), v.ravel(), u.ravel(), v.ravel()], -1)
    found = evaluate("common/octahedron.glsl", "vec4(direction_from_octahedron(x.xy), 1)", inputs)[:, :3]
    np.testing.assert_allclose(found, octahedral_directions(side).reshape(-1, 3), atol=1e-5)
    inside = (inputs.min(1) > 0) & (inputs.max(1) < 1)
    back = evaluate(
        "common/octahedron.glsl", "vec4(octahedron_from_direction(direction_from_octahedron(x.xy)), 0, 1)", inputs
    )
    np.testing.assert_allclose(back[inside, :2], inputs[inside, :2], atol=1e-4)


def test_includes_nest_and_come_once() -> None:
    text, origins = shaders.expand("head.frag")
    assert text.count("const float PI") == 1
    assert "#include" not in text
    assert len(text.splitlines()) == len(origins)
    file, number = origins[text.splitlines().index("const float PI = 3.14159265358979;")]
    assert (file, number) == ("common/math.glsl", 1)


def test_a_missing_include_names_who_asked() -> None:
    with pytest.raises(GraphicsError, match=r"shader 'no\.glsl' does not exist"):
        shaders.expand("no.glsl")


def test_a_compile_error_names_file_and_line(evaluate: Evaluate) -> None:
    with pytest.raises(GraphicsError, match=r"shaders/test:\d+: .*nonsense"):
        evaluate("common/math.glsl", "vec4(nonsense)", UNIT)


@pytest.mark.parametrize("defines", [(), ("DUAL",)])
def test_lobes_keep_their_energy(evaluate: Evaluate, context: moderngl.Context, defines: tuple[str, ...]) -> None:
    """What lobes reflect of an even sky, summed over light directions, is what their table says, within 1 %."""
    table = dfg_texture(context)
    polar, azimuth = (np.arange(180) + 0.5) / 180 * np.pi / 2, (np.arange(80) + 0.5) / 80 * np.pi
    theta, phi = (each.ravel() for each in np.meshgrid(polar, azimuth, indexing="ij"))
    weight = np.sin(theta) * (np.pi / 2 / 180) * (2 * np.pi / 80)
    for roughness in (0.35, 0.5, 0.7):
        for NoV in (0.3, 0.7, 1.0):
            v = np.array([math.sqrt(1 - NoV * NoV), 0, NoV])
            light = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
            half = light + v
            NoH = half[:, 2] / np.linalg.norm(half, axis=1)
            inputs = np.stack([NoH, light[:, 2], np.full_like(NoH, roughness), np.full_like(NoH, NoV)], -1)
            alpha = "alpha_from_roughness(x.z)"
            found = evaluate(
                "lighting/surface.glsl", f"vec4(lobes(x.z, {alpha}, x.x, x.w, x.y))", inputs, defines=defines
            )
            albedo = float((found[:, 0] * light[:, 2] * weight).sum())
            sampled = evaluate(
                "lighting/surface.glsl", f"lobes_dfg(x.z, {alpha}, x.w)", inputs[:1], {"t_dfg": table}, defines
            )[0]
            assert albedo == pytest.approx(sampled[0] + sampled[1], rel=0.01)
            assert albedo <= 1.0
    table.release()


def test_two_lobes_are_sharper_and_wider_than_one(evaluate: Evaluate) -> None:
    """Higher in the middle than one lobe of the same map; further out than the sharp one of the two alone."""
    at = np.array([[1.0, 0.9, 0.45, 0.9], [0.75, 0.5, 0.45, 0.5]])
    sharp = at * (1, 1, 0.75, 1)
    expression = "vec4(lobes(x.z, alpha_from_roughness(x.z), x.x, x.w, x.y))"
    one, two = (evaluate("lighting/surface.glsl", expression, at, defines=kind)[:, 0] for kind in ((), ("DUAL",)))
    alone = evaluate("lighting/surface.glsl", expression, sharp)[:, 0]
    assert two[0] > 1.3 * one[0]
    assert two[1] > 1.5 * alone[1]


def test_what_widens_the_map_widens_each_lobe(evaluate: Evaluate) -> None:
    roughness, extra = UNIT[:, 0].astype(np.float64) * 0.6 + 0.1, 0.1
    alpha = np.sqrt(roughness**4 + extra)
    inputs = np.stack([roughness, alpha, roughness, roughness], -1)
    for lobe, scale in enumerate((0.75, 1.30)):
        found = evaluate("lighting/surface.glsl", f"vec4(lobe_alpha({lobe}, x.x, x.y))", inputs, defines=("DUAL",))[
            :, 0
        ]
        np.testing.assert_allclose(found, np.sqrt(np.minimum((roughness * scale) ** 4 + extra, 1)), rtol=1e-3)


def test_slopes_that_a_mip_level_averages_make_the_surface_rougher(evaluate: Evaluate) -> None:
    """Facets that follow random slopes as well as their own: the sum of two normal distributions."""
    slopes = RNG.normal(0.1, 0.2, (2, 200000))
    moments = np.array([[slopes[0].mean(), slopes[1].mean(), (slopes**2).sum(axis=0).mean(), 0.4]])
    variance = evaluate("lighting/ggx.glsl", "vec4(slope_variance(x.rgb))", moments)[0, 0]
    assert variance == pytest.approx(0.04, rel=0.02)
    alpha = 0.4**2
    facets = slopes[0] - slopes[0].mean() + RNG.normal(0, alpha / math.sqrt(2), slopes.shape[1])
    text = "vec4(roughness_with_slopes(x.a, slope_variance(x.rgb)))"
    rougher = evaluate("lighting/ggx.glsl", text, moments)[0, 0]
    assert rougher**4 == pytest.approx(2 * facets.var(), rel=0.03)
    even = np.array([[0.3, -0.2, 0.13, 0.5]])
    assert evaluate("lighting/ggx.glsl", text, even)[0, 0] == pytest.approx(0.5, abs=1e-3)
