"""Built-in people: same seed same person, whole meshes, eyes behind lids, teeth behind lips."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.contact import column_gap_m, sides, skin_m
from engine.face.head_model import SKIN_VERTICES
from engine.face.registration import registered
from engine.face.skin import inner_charts
from engine.face.transfer import lower_parts
from engine.identity import Identity
from engine.mesh import PARTS, Part, boundary_edges, sphere


@pytest.fixture(scope="module", params=[0, 7, 23])
def person(request: pytest.FixtureRequest) -> Identity:
    return builtin_identity(request.param, 128)


def test_same_seed_same_person_other_seed_other() -> None:
    first, again, other = (builtin_identity(seed, 64) for seed in (5, 5, 6))
    assert first.hash == again.hash
    assert first.hash != other.hash
    head = first.topology.face_parts != PARTS.index(Part.HAIR)
    np.testing.assert_array_equal(first.topology.faces[head], other.topology.faces[: head.sum()])
    vertices = slice(first.topology.head_vertex_count)
    assert np.abs(first.positions_m[vertices] - other.positions_m[vertices]).max() > 0.003


def test_head_has_human_size(person: Identity) -> None:
    extent = np.ptp(person.positions_m, axis=0)
    assert 0.20 < extent[0] < 0.35
    assert 0.28 < extent[1] < 0.40


def test_skin_is_one_piece_without_long_triangles(person: Identity) -> None:
    topology = person.topology
    skin = topology.faces[topology.faces_of(Part.SKIN)]
    chart = layout.charts(skin, topology.vertex_count)[np.unique(skin)]
    assert len(np.unique(chart)) == 1
    corners = person.positions_m[skin]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    assert longest.max() < 0.03
    assert np.quantile(longest, 0.99) < 0.02


def test_eyeballs_lie_behind_their_lids(person: Identity) -> None:
    place = registered(person.topology)
    for part, slit in ((Part.EYE_LEFT, layout.SLITS[2]), (Part.EYE_RIGHT, layout.SLITS[1])):
        centre, radius = sphere(person.positions_m[person.topology.vertices_of(part)].astype(float))
        assert 0.009 < radius < 0.018
        assert (centre[0] > 0) == (part is Part.EYE_LEFT)
        uv = place.opened_uv
        near = (uv[:, 0] > slit.u_left) & (uv[:, 0] < slit.u_right) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < 0.02)
        distance = np.linalg.norm(person.positions_m[place.vertices[near]] - centre, axis=1)
        assert np.median(distance) > radius - 0.001


def test_teeth_are_behind_the_lips(person: Identity) -> None:
    teeth = person.positions_m[person.topology.vertices_of(Part.TEETH)]
    lips = layout.SLITS[0]
    place = registered(person.topology)
    near = (np.abs(place.opened_uv[:, 0] - 0.5) < 0.03) & (
        np.abs(place.opened_uv[:, 1] - lips.v_at(place.opened_uv[:, 0])) < 0.03
    )
    assert teeth[:, 2].max() < person.positions_m[place.vertices[near], 2].max()
    assert np.ptp(teeth[:, 0]) > 0.03


def at_seam(person: Identity) -> np.ndarray:
    """The faces of skin over the seam at the back: some of their corners lie beyond the chart's edge."""
    topology = person.topology
    return (topology.face_parts == PARTS.index(Part.SKIN)) & (topology.uv_faces != topology.faces).any(axis=1)


def edges_of(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def test_skin_is_open_at_neck_mouth_and_eyes_only(person: Identity) -> None:
    topology = person.topology
    skin = topology.faces_of(Part.SKIN)
    edges = edges_of(topology.faces[skin])
    assert len(np.unique(edges, axis=0)) == len(edges)  # no three at an edge, all wound alike
    rim = boundary_edges(topology.faces[skin])
    first, ways_out = np.unique(rim[:, 0], return_counts=True)
    assert (ways_out == 1).all()
    loops = layout.charts(np.concatenate([rim, rim[:, 1:]], axis=1), topology.vertex_count)[first]
    assert len(np.unique(loops)) == 4
    neck = [
        first[loops == loop] for loop in np.unique(loops) if person.positions_m[first[loops == loop], 1].min() < -0.1
    ]
    assert len(neck) == 1
    assert np.ptp(person.positions_m[neck[0], 0]) > 0.15
    uv = topology.uvs[topology.uv_faces[skin][np.isin(topology.faces[skin], neck[0])]]
    assert uv[:, 1].min() > 0.98


def test_skin_at_the_back_lies_in_the_chart_whole(person: Identity) -> None:
    topology, back = person.topology, at_seam(person)
    assert 50 < back.sum() < 200
    corners = topology.uvs[topology.uv_faces[back]].astype(np.float64)
    assert np.ptp(corners, axis=1).max() < 0.08
    assert corners.min() >= 0
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    assert (one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] <= 1e-9).all()  # wound as all skin is: v points down
    assert np.abs(layout.beyond_seam(corners.reshape(-1, 2))[0]).max() < 0.06


def test_each_vertex_of_the_skin_has_one_place(person: Identity) -> None:
    place = registered(person.topology)
    np.testing.assert_array_equal(place.vertices, np.arange(SKIN_VERTICES))
    np.testing.assert_array_equal(place.opened_uv, layout.open_uv(person.topology.uvs[:SKIN_VERTICES]))


def test_gums_are_two_pieces(person: Identity) -> None:
    """One sheet would be torn from the upper teeth by the lower ones."""
    lower = lower_parts(person)
    gums = np.intersect1d(lower, person.topology.vertices_of(Part.MOUTH))
    teeth = np.intersect1d(lower, person.topology.vertices_of(Part.TEETH))
    assert len(gums) > 1000
    assert len(teeth) > 1000
    upper = np.setdiff1d(person.topology.vertices_of(Part.TEETH), teeth)
    assert person.positions_m[upper, 1].mean() > person.positions_m[teeth, 1].mean() + 0.01


def test_lips_are_together(person: Identity) -> None:
    gap = column_gap_m(sides(person.topology, layout.SLITS[0]), skin_m(person))
    assert gap.max() < 0.0002


def test_skin_is_not_painted_as_wet_flesh_and_mouth_and_sockets_are(person: Identity) -> None:
    topology, charts = person.topology, inner_charts(1024)

    def painted(parts: tuple[Part, ...]) -> np.ndarray:
        own = topology.faces_of(*parts)
        own = own[topology.faces[own].max(axis=1) < topology.vertices_of(Part.EYE_LEFT).min()]
        column, row = (topology.uvs[topology.uv_faces[own]].reshape(-1, 2) * 1024).astype(int).clip(0, 1023).T
        return charts[row, column]

    assert not painted((Part.SKIN,)).any()
    assert painted((Part.MOUTH, Part.SOCKET)).all()


@pytest.mark.parametrize("seed", [0, 8, 11])
def test_colour_is_the_same_on_both_sides_of_the_back(seed: int) -> None:
    bald = builtin_identity(seed, 512)
    topology = bald.topology
    beyond = np.unique(topology.uv_faces[at_seam(bald)])
    beyond = beyond[beyond >= SKIN_VERTICES]
    assert len(beyond) > 20
    outside, along = layout.beyond_seam(topology.uvs[beyond])
    right = topology.uvs[beyond, 0] > 0.5
    left = layout.seam_uv(along, -outside)
    partner = np.where(right[:, None], left, left * (-1, 1) + (1, 0))
    colour = bald.maps.diffuse_srgb.astype(np.float32)
    difference = [layout.sample_bilinear(colour, uv) for uv in (topology.uvs[beyond], partner)]
    assert np.abs(difference[0] - difference[1]).mean() < 6
