"""Left and right: shares on mesh and maps, weights that differ, and what comes of them in every place that blends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from engine.composer import compose, compose_maps, compose_positions
from engine.face.builtin import builtin_identity
from engine.face.layout import sample_bilinear
from engine.identity import Identity
from engine.mesh import Part
from engine.project import Project
from engine.sides import BLEND_M, LEAST_WEIGHT, Sides, is_on, plain, weight_at
from tests.heads import make_expressions, make_head

NAMES = ("Jaw Open", "Brows Up")


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64)


def test_a_pair_of_equal_sides_is_a_number() -> None:
    assert plain(Sides(0.5, 0.5)) == 0.5
    assert isinstance(plain(Sides(1, 1)), float)
    assert plain(Sides(1, 0)) == Sides(1.0, 0.0)
    assert [is_on(each) for each in (0.0, LEAST_WEIGHT, -LEAST_WEIGHT, Sides(0, -1), Sides(0.001, 0))] == [
        False, True, True, True, False
    ]  # fmt: skip


@pytest.mark.parametrize("make", [make_head, lambda: builtin_identity(7)])
def test_shares_of_left_and_right_are_the_whole_exactly(make) -> None:
    head = make()
    for share in (head.left_share.vertices, head.left_share.texels, head.left_share.texels.astype(np.float16)):
        left, right = weight_at(Sides(1, 0), share), weight_at(Sides(0, 1), share)
        np.testing.assert_array_equal(left + right, np.ones_like(share))
        assert left.min() == 0
        assert left.max() == 1
        np.testing.assert_array_equal(weight_at(Sides(1, 1), share), np.ones_like(share))
    x = head.positions_m[:, 0]
    assert (head.left_share.vertices[x > 1.5 * BLEND_M] == 1).all()  # the subject's left is +X
    assert (head.left_share.vertices[x < -1.5 * BLEND_M] == 0).all()


@pytest.mark.parametrize("make", [lambda: make_head(rings=60, segments=96), lambda: builtin_identity(7)])
def test_maps_and_mesh_have_the_same_share_without_jumps(make) -> None:
    head = make()
    skin = head.topology.faces_of(Part.SKIN)
    vertex, uv = head.topology.faces[skin].ravel(), head.topology.uvs[head.topology.uv_faces[skin].ravel()]
    on_maps = sample_bilinear(head.left_share.texels[..., None], uv)[:, 0]
    u, v = uv.T
    nostrils = (np.abs(u - 0.5) < 0.11) & (v > 0.41) & (v < 0.535)  # they lie over each other on ICT's mesh
    inside = ((uv > 0.02) & (uv < 0.98)).all(axis=1) & ~nostrils
    assert np.percentile(np.abs(on_maps - head.left_share.vertices[vertex])[inside], 99) < 0.04
    edges = head.topology.faces[:, [0, 1]]
    steps = np.abs(np.diff(head.left_share.vertices[edges], axis=1)[:, 0])
    lengths_m = np.abs(np.diff(head.positions_m[edges, 0], axis=1)[:, 0])
    assert (steps <= 1.5 * lengths_m / (2 * BLEND_M) + 2 / 256).all()  # the steepest slope of a smoothstep is 1.5


def test_the_two_sides_of_an_expression_add_up_to_it(head: Identity) -> None:
    made = make_expressions(head, NAMES)
    whole = compose_positions(head, made, {"Jaw Open": 1.25})
    sides = [compose_positions(head, made, {"Jaw Open": pair}) for pair in (Sides(1.25, 0), Sides(0, 1.25))]
    np.testing.assert_allclose(sides[0] + sides[1] - head.positions_m, whole, atol=3e-8)
    left = head.positions_m[:, 0] > BLEND_M
    np.testing.assert_array_equal(sides[0][left], whole[left])
    np.testing.assert_array_equal(sides[1][left], head.positions_m[left])
    texels = head.left_share.texels
    both = compose_maps(head.maps, made, {"Jaw Open": 1.0})
    for pair, there in ((Sides(1, 0), 1.0), (Sides(0, 1), 0.0)):
        found = compose_maps(head.maps, made, {"Jaw Open": pair}, texels)
        reach = np.ones((17, 17))  # a texel of the change reaches so far
        inside: np.ndarray = np.asarray(binary_erosion(texels == there, reach))[2::4, 2::4]
        assert inside.mean() > 0.2
        np.testing.assert_array_equal(found.diffuse_srgb[inside], both.diffuse_srgb[inside])
        np.testing.assert_array_equal(found.slope[inside], both.slope[inside])
    halves = [compose_maps(head.maps, made, {"Jaw Open": pair}, texels).slope for pair in (Sides(1, 0), Sides(0, 1))]
    neutral = head.maps.slope.astype(np.float32)
    np.testing.assert_allclose(halves[0] + halves[1].astype(np.float32) - neutral, both.slope, atol=1e-3)


def test_sides_without_shares_are_refused(head: Identity) -> None:
    with pytest.raises(ValueError, match="left"):
        compose_maps(head.maps, make_expressions(head), {"Jaw Open": Sides(1, 0)})


def test_compose_takes_the_shares_of_its_head(head: Identity) -> None:
    made = make_expressions(head, NAMES)
    surface = compose(head, made, {"Jaw Open": Sides(1, 0), "Brows Up": 0.5})
    expected = compose_maps(head.maps, made, {"Jaw Open": Sides(1, 0), "Brows Up": 0.5}, head.left_share.texels)
    np.testing.assert_array_equal(surface.maps.diffuse_srgb, expected.diffuse_srgb)


def test_a_project_keeps_sides_and_leaves_out_what_cannot_be_seen(head: Identity) -> None:
    made = make_expressions(head, NAMES)
    project = Project(head, made, {"Jaw Open": Sides(0.4, 0.4), "Brows Up": Sides(0, 0.001)})
    assert dict(project.weights) == {"Jaw Open": 0.4, "Brows Up": Sides(0, 0.001)}
    assert project.active() == {"Jaw Open": 0.4}
