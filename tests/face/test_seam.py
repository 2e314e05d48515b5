"""The surface that closes the built-in skin's back."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.builtin import sample_shape, skin_uv
from engine.face.correspondence import valid_mask
from engine.face.grid import SkinGrid, skin_grid
from engine.face.seam import Seam, back_seam


@pytest.fixture(scope="module")
def grid() -> SkinGrid:
    return skin_grid(valid_mask())


@pytest.fixture(scope="module")
def seam(grid: SkinGrid) -> Seam:
    return back_seam(grid.vertex_uv, grid.faces, sample_shape(0)[0])


def test_grid_is_the_built_in_skin(grid: SkinGrid) -> None:
    np.testing.assert_allclose(grid.vertex_uv, skin_uv(), atol=1e-6)


def test_same_again(grid: SkinGrid, seam: Seam) -> None:
    again = back_seam(grid.vertex_uv, grid.faces, sample_shape(0)[0])
    for name in ("faces", "uv_faces", "uvs", "neighbours", "weights"):
        np.testing.assert_array_equal(getattr(again, name), getattr(seam, name))


def test_seam_of_a_ball_is_round(seam: Seam) -> None:
    """A flat bridge over a gap of 2 cm would lie half a millimetre too deep."""
    skin_m, centre, radius = sample_shape(0)[0], np.array([0.0, 0.05, 0.0]), 0.09
    ball = centre + radius * (skin_m - centre) / np.linalg.norm(skin_m - centre, axis=1, keepdims=True)
    skull = seam.positions_m(skin_m)[:, 1] > 0.02
    distance = np.linalg.norm(seam.positions_m(ball) - centre, axis=1)[skull]
    assert skull.sum() > 30
    np.testing.assert_allclose(distance, radius, atol=0.00005)


def test_seam_goes_with_the_head(seam: Seam) -> None:
    skin_m = sample_shape(7)[0]
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    np.testing.assert_allclose(
        seam.positions_m(1.1 * skin_m @ turn + 0.2), 1.1 * seam.positions_m(skin_m) @ turn + 0.2, atol=1e-12
    )
