"""Look-up tables against numerical integration."""

from __future__ import annotations

import moderngl
import numpy as np
import pytest

from engine.render.tables import DFG_SIZE, dfg_texture, scatter_table


def integrated(NoV: float, roughness: float) -> np.ndarray:
    """(2,) the integrals of shaders/dfg.frag by the rectangle rule over half vectors, in float64."""
    alpha = max(roughness, 0.045) ** 2
    v = np.array([np.sqrt(1 - NoV**2), 0, NoV])
    left = 1 - (np.arange(1200) + 0.5) / 1200
    u, width = 1 - left**4, 4 * left[:, None] ** 3  # steps shrink along the tail of D
    phi = (np.arange(360) + 0.5) / 360 * 2 * np.pi
    NoH = np.sqrt((1 - u) / (1 + (alpha**2 - 1) * u))[:, None]  # D cos is then uniform in u
    sine = np.sqrt(1 - NoH**2)
    VoH = v[0] * sine * np.cos(phi) + v[2] * NoH
    NoL = 2 * VoH * NoH - v[2]

    def big_lambda(cosine: np.ndarray) -> np.ndarray:
        return (np.sqrt(1 + alpha**2 * (1 / np.maximum(cosine, 1e-9) ** 2 - 1)) - 1) / 2

    g = 1 / (1 + big_lambda(np.array(NoV)) + big_lambda(NoL))
    share = width * np.where((NoL > 0) & (VoH > 0), g * VoH / (NoH * NoV), 0)
    f = np.clip(1 - VoH, 0, 1) ** 5
    return np.array([(share * (1 - f)).mean(), (share * f).mean()])


def test_dfg_agrees_with_integration(context: moderngl.Context) -> None:
    texture = dfg_texture(context)
    table = np.frombuffer(texture.read(), np.float32).reshape(DFG_SIZE, DFG_SIZE, 4)
    texture.release()
    worst = 0.0
    for column in (3, 8, 16, 30, 47):
        for row in (5, 12, 20, 33, 47):
            expected = integrated(max(column / 47, 1e-3), row / 47)
            worst = max(worst, float(np.abs(table[row, column, :2] - expected).max()))
    assert worst < 1e-3


def test_dfg_has_the_means_of_its_rows(context: moderngl.Context) -> None:
    texture = dfg_texture(context)
    table = np.frombuffer(texture.read(), np.float32).reshape(DFG_SIZE, DFG_SIZE, 4)
    texture.release()
    cosine = (np.arange(2000) + 0.5) / 2000
    for row in (8, 20, 33, 47):
        for channel in (0, 1):
            values = np.interp(cosine * (DFG_SIZE - 1), np.arange(DFG_SIZE), table[row, :, channel])
            assert table[row, ::9, 2 + channel] == pytest.approx(2 * (values * cosine).mean(), abs=1e-5)


def test_dfg_loses_energy_only_where_single_scattering_does(context: moderngl.Context) -> None:
    """At F0 = 1 the albedo is r + g; values of three.js pull request 33983 at roughness 0.5, 0.75 and 1."""
    texture = dfg_texture(context)
    table = np.frombuffer(texture.read(), np.float32).reshape(DFG_SIZE, DFG_SIZE, 4)
    texture.release()
    albedo = table[..., 0] + table[..., 1]
    assert albedo.max() <= 1.0 + 1e-4
    assert albedo[5:, -1] == pytest.approx(np.sort(albedo[5:, -1])[::-1])
    assert albedo[47, 47] == pytest.approx(0.308, abs=0.01)
    at_half = albedo[23:25, 47].mean()
    assert at_half == pytest.approx(0.916, abs=0.01)


def test_scattering_keeps_the_light_of_a_ring() -> None:
    """What falls on a ring of skin leaves it: the integral over the angle is 2 for each curvature and channel."""
    table = scatter_table(cosines=2001, curvatures=6)
    cosine = np.linspace(-1, 1, 2001)
    light = 2 * np.trapezoid(table[:, ::-1], np.arccos(cosine[::-1]), axis=1)
    np.testing.assert_allclose(light, 2.0, rtol=0.01)
    np.testing.assert_allclose(table[0, :, 0], np.maximum(cosine, 0), atol=1e-6)


def test_red_reaches_furthest_into_the_dark() -> None:
    table = scatter_table()
    dark = table[8, table.shape[1] // 2 - 6]
    assert dark[0] > dark[1] > dark[2] > 0
