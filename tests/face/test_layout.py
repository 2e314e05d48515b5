"""The canonical layout: opening and closing slits, rasterising, telling layouts apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.face import layout, regions
from engine.face.builtin import builtin_identity
from engine.face.noise import gaussian_blur
from engine.mesh import PARTS, Part
from engine.raster import rasterize
from tests.heads import make_head


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_closing_undoes_opening(u: float, v: float) -> None:
    there = layout.open_uv(np.array([[u, v]]))
    assert np.abs(layout.close_uv(there) - (u, v)).max() < 2e-6


def test_opening_keeps_order_and_parts_the_lips() -> None:
    v = np.linspace(0.4, 0.75, 400)
    moved = layout.open_uv(np.stack([np.full_like(v, 0.5), v], -1))[:, 1]
    assert (np.diff(moved) > 0).all()
    across = layout.open_uv(np.array([[0.5, 0.5799], [0.5, 0.5801]]))[:, 1]
    assert np.diff(across)[0] > 2 * 0.02


def test_rasterising_puts_linear_functions_back() -> None:
    corners = np.array([[[0.1, 0.1], [0.1, 0.9], [0.9, 0.9]], [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1]]])
    index, weights = rasterize(corners, 64)
    covered = index >= 0
    found = (corners[index] * weights[..., None]).sum(axis=2)[covered]
    y, x = np.nonzero(covered)
    assert np.abs(found - np.stack([x + 0.5, y + 0.5], -1) / 64).max() < 1e-6
    assert covered.mean() == pytest.approx(0.64, abs=0.025)
    assert (index[np.triu_indices(64, 8)] != 0).all()  # the upper right triangle is number 1


def test_smooth_sampling_keeps_linear_maps_and_has_no_creases() -> None:
    y, x = (np.mgrid[0:32, 0:32] + 0.5) / 32
    inside = np.random.default_rng(0).uniform(0.1, 0.9, (200, 2))
    found = layout.sample_smooth(np.stack([x, 3 * y - x], -1), inside)
    assert np.abs(found - np.stack([inside[:, 0], 3 * inside[:, 1] - inside[:, 0]], -1)).max() < 1e-6
    spike = np.zeros((32, 32, 1))
    spike[16, 16] = 1
    line = np.stack([np.linspace(0.4, 0.65, 4001), np.full(4001, 16.5 / 32)], -1)
    slope = np.diff(layout.sample_smooth(spike, line)[:, 0].astype(np.float64)) / (0.25 / 4000)
    assert np.abs(slope).max() > 10
    assert np.abs(np.diff(slope)).max() < 0.05 * np.abs(slope).max()


def test_layouts_are_told_apart() -> None:
    person, egg = builtin_identity(3, 64), make_head()
    topology = person.topology
    head = topology.face_parts
    own = (topology.faces < topology.head_vertex_count).all(axis=1)
    found = layout.canonical_parts(topology.uvs, topology.uv_faces[own])
    assert found is not None
    skin = PARTS.index(Part.SKIN)
    np.testing.assert_array_equal(found == skin, head[own] == skin)
    assert layout.canonical_parts(egg.topology.uvs, egg.topology.uv_faces) is None


def test_every_region_has_its_mirror_and_a_label() -> None:
    names = regions.labels(256)
    assert set(np.unique(names)) == set(range(len(regions.LABELS)))
    assert (names == names[:, ::-1]).mean() > 0.999
    left = regions.left_share(256)
    assert np.allclose(left + left[:, ::-1], 1)
    assert left[0, -1] == 1
    assert PARTS[0] is Part.SKIN


def test_blur_is_a_gaussian() -> None:
    spot = np.zeros((64, 48), np.float32)
    spot[32, 24] = 1
    blurred = gaussian_blur(spot, 2.0)
    y, x = np.mgrid[0:64, 0:48]
    wanted = np.exp(-((y - 32) ** 2 + (x - 24) ** 2) / 8) / (8 * np.pi)
    assert np.abs(blurred - wanted).max() < 1e-5
    assert blurred.sum() == pytest.approx(1, abs=1e-5)


def test_places_along_the_seam_are_found_again() -> None:
    along = np.linspace(0.05, 1.2, 40)
    for outside in (-0.004, 0.004):
        uv = layout.seam_uv(along, np.full(40, outside))
        for side in (uv, uv * (-1, 1) + (1, 0)):
            found, place = layout.beyond_seam(side)
            np.testing.assert_allclose(found, outside, atol=2e-4)
            np.testing.assert_allclose(place, along, atol=2e-3)
    assert layout.beyond_seam(np.array([[0.5, 0.5]]))[0][0] == pytest.approx(-0.475, abs=0.02)
