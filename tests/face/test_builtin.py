"""Built-in people: same seed same person, whole meshes, eyes behind lids, teeth behind lips."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.correspondence import correspond
from engine.face.lids import sphere
from engine.face.skin import inner_charts
from engine.face.transfer import decode_offsets, geometry_raster, head_frame
from engine.identity import Identity
from engine.mesh import PARTS, Part, vertex_normals


@pytest.fixture(scope="module", params=[0, 7, 23])
def person(request: pytest.FixtureRequest) -> Identity:
    return builtin_identity(request.param, 128)


def test_same_seed_same_person_other_seed_other() -> None:
    first, again, other = (builtin_identity(seed, 64) for seed in (5, 5, 6))
    assert first.hash == again.hash
    assert first.hash != other.hash
    assert first.topology.hash == other.topology.hash
    assert np.abs(first.positions_m - other.positions_m).max() > 0.003


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
    place = correspond(person.topology)
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
    place = correspond(person.topology)
    near = (np.abs(place.opened_uv[:, 0] - 0.5) < 0.03) & (
        np.abs(place.opened_uv[:, 1] - lips.v_at(place.opened_uv[:, 0])) < 0.03
    )
    assert teeth[:, 2].max() < person.positions_m[place.vertices[near], 2].max()
    assert np.ptp(teeth[:, 0]) > 0.03


def added(person: Identity) -> np.ndarray:
    """The vertices that close the skin's back."""
    skin = person.topology.vertices_of(Part.SKIN)
    return skin[skin >= person.topology.head_vertex_count]


def at_seam(person: Identity) -> np.ndarray:
    """The faces that close it."""
    topology = person.topology
    return (topology.face_parts == PARTS.index(Part.SKIN)) & (topology.faces >= topology.head_vertex_count).any(axis=1)


def edges_of(faces: np.ndarray) -> np.ndarray:
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def test_skin_is_open_at_neck_mouth_and_eyes_only(person: Identity) -> None:
    topology = person.topology
    skin = topology.faces_of(Part.SKIN)
    edges = edges_of(topology.faces[skin])
    assert len(np.unique(edges, axis=0)) == len(edges)  # no three at an edge, all wound alike
    rim = layout.boundary_edges(topology.faces[skin])
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


def test_back_is_smooth_and_of_sound_triangles(person: Identity) -> None:
    faces = person.topology.faces[at_seam(person)]
    normals = vertex_normals(person.positions_m, person.topology.faces)
    start, end = edges_of(faces).T
    turn = np.degrees(np.arccos(np.clip((normals[start] * normals[end]).sum(axis=1), -1, 1)))
    assert turn.max() < 20
    corners = person.positions_m[faces].astype(np.float64)
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1) / 2
    assert (cross * normals[faces].mean(axis=1)).sum(axis=1).min() > 0  # none turned over
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    assert longest.max() < 0.025
    narrow = 2 * area < 0.0002 * longest  # lower than 0.2 mm
    assert area[narrow].sum() < 0.01 * area.sum()


def test_back_lies_in_the_chart_beside_all_else(person: Identity) -> None:
    topology = person.topology
    head = (topology.faces[:, 0] < topology.head_vertex_count) | at_seam(person)
    closing = at_seam(person)[head]
    corners = topology.uvs[topology.uv_faces[head]].astype(np.float64)
    assert corners[closing].min() > 0
    assert corners[closing].max() < 1
    one, two = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]
    assert (area[closing] < 0).all()  # as all skin is: v points down
    weights = np.array([(1, 1, 1), (6, 1, 1), (1, 6, 1), (1, 1, 6)])
    weights = weights / weights.sum(axis=1, keepdims=True)
    near = np.flatnonzero(layout.beyond_seam(corners.mean(axis=1))[0] > -0.04)
    for face in np.flatnonzero(closing):
        low, high = corners[face].min(axis=0), corners[face].max(axis=0)
        others = near[(corners[near].max(axis=1) > low).all(axis=1) & (corners[near].min(axis=1) < high).all(axis=1)]
        others = others[(others != face) & (np.abs(area[others]) > 1e-12)]
        inner = (weights @ corners[face])[:, None] - corners[others, 0]
        b = (inner[..., 0] * two[others, 1] - inner[..., 1] * two[others, 0]) / area[others]
        c = (one[others, 0] * inner[..., 1] - one[others, 1] * inner[..., 0]) / area[others]
        assert not ((b > 1e-6) & (c > 1e-6) & (b + c < 1 - 1e-6)).any()


def test_back_follows_its_neighbours_and_leaves_the_maps_alone(person: Identity) -> None:
    topology, seam = person.topology, added(person)
    assert not np.isin(correspond(topology).vertices, seam).any()
    assert not np.isin(geometry_raster(topology)[0], seam).any()
    move = np.array([0.003, -0.002, 0.004], np.float32)
    moved = decode_offsets(person, np.tile(move, (128, 128, 1)))
    expected = np.tile(move @ head_frame(person)[0], (len(seam), 1))
    np.testing.assert_allclose(moved[seam], expected, atol=1e-4)


def test_skin_is_not_painted_as_wet_flesh_and_mouth_and_sockets_are(person: Identity) -> None:
    topology, charts = person.topology, inner_charts(1024)

    def painted(parts: tuple[Part, ...]) -> np.ndarray:
        own = topology.faces_of(*parts)
        own = own[topology.faces[own].max(axis=1) < topology.vertices_of(Part.EYE_LEFT).min()]
        column, row = (topology.uvs[topology.uv_faces[own]].reshape(-1, 2) * 1024).astype(int).T
        return charts[row, column]

    assert not painted((Part.SKIN,)).any()
    assert painted((Part.MOUTH, Part.SOCKET)).all()


@pytest.mark.parametrize("seed", [0, 8, 11])
def test_colour_is_the_same_on_both_sides_of_the_back(seed: int) -> None:
    bald = builtin_identity(seed, 512)
    topology, faces = bald.topology, at_seam(bald)
    own = topology.faces[faces] >= topology.head_vertex_count
    uv = topology.uvs[np.unique(topology.uv_faces[faces][own])]
    assert (uv[: len(uv) // 2, 0] < 0.5).all()
    colour = bald.maps.diffuse_srgb.astype(np.float32)
    sides = [layout.sample_bilinear(colour, half) for half in np.split(uv, 2)]
    difference = [np.convolve(column, np.ones(7) / 7, "valid") for column in (sides[0] - sides[1]).T]  # not pores
    assert np.abs(difference).max() < 2  # 3 or more where the two are painted apart
