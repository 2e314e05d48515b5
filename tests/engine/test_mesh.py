"""Topology, parts and normals."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh

from engine.mesh import PARTS, Part, Topology, vertex_normals
from tests.heads import make_head


@pytest.fixture(scope="module")
def topology():
    return make_head(size=8).topology


def changed(topology, **arrays):
    """`topology` with the first element of each named array set."""
    made = {}
    for name, value in arrays.items():
        array = getattr(topology, name).copy()
        array.flat[0] = value
        made[name] = array
    return replace(topology, **made)


def ball():
    """A unit sphere without poles or seam: positions (V, 3), faces (F, 3)."""
    sphere = trimesh.creation.icosphere(subdivisions=3)
    return np.array(sphere.vertices), np.array(sphere.faces)


@pytest.mark.parametrize("name", ["faces", "uv_faces"])
@pytest.mark.parametrize("index", [-1, 10**6])
def test_an_index_outside_is_refused(topology, name, index):
    with pytest.raises(ValueError, match=f"Topology.{name}: expected indices below"):
        changed(topology, **{name: index})


@pytest.mark.parametrize("count", [-1, 10**6])
def test_the_head_cannot_be_larger_than_the_whole(topology, count):
    with pytest.raises(ValueError, match="head_vertex_count"):
        replace(topology, head_vertex_count=count)


@pytest.mark.parametrize("name", ["uv_faces", "face_parts"])
def test_arrays_by_face_must_have_one_row_a_face(topology, name):
    with pytest.raises(ValueError, match=name):
        replace(topology, **{name: getattr(topology, name)[1:]})


def test_an_empty_mesh_is_a_mesh():
    empty = Topology(np.zeros((0, 3)), np.zeros((0, 2)), np.zeros((0, 3)), np.zeros(0), 0, 0)
    assert len(empty.vertices_of(*PARTS)) == 0


def test_the_hash_follows_connectivity_and_uvs_alone(topology):
    same = Topology(
        topology.faces.astype(np.int64),
        topology.uvs.astype(np.float64),
        topology.uv_faces.copy(),
        topology.face_parts.copy(),
        topology.vertex_count,
        topology.head_vertex_count,
    )
    assert same.hash == topology.hash == make_head(size=16, seed=5).topology.hash
    others = [
        changed(topology, faces=topology.faces.flat[0] + 1),
        changed(topology, uvs=0.123),
        changed(topology, uv_faces=topology.uv_faces.flat[0] + 1),
        changed(topology, face_parts=PARTS.index(Part.MOUTH)),
        replace(topology, vertex_count=topology.vertex_count + 1),
        replace(topology, head_vertex_count=topology.head_vertex_count - 1),
    ]
    assert len({topology.hash, *(other.hash for other in others)}) == len(others) + 1


def test_parts_divide_the_faces_and_name_their_vertices(topology):
    by_part = [topology.faces_of(part) for part in PARTS]
    np.testing.assert_array_equal(np.sort(np.concatenate(by_part)), np.arange(len(topology.faces)))
    skin, eyes = topology.vertices_of(Part.SKIN), topology.vertices_of(Part.EYE_LEFT, Part.EYE_RIGHT)
    assert set(skin) == set(range(topology.head_vertex_count))
    assert set(eyes) == set(range(topology.head_vertex_count, topology.vertex_count))
    assert not len(topology.faces_of(Part.TEETH))
    assert not len(topology.vertices_of())


def test_the_left_eye_is_on_the_subjects_left():
    head = make_head(size=8)
    left, right = (head.topology.vertices_of(part) for part in (Part.EYE_LEFT, Part.EYE_RIGHT))
    assert head.positions_m[left, 0].min() > 0 > head.positions_m[right, 0].max()


def test_normals_of_a_sphere_point_outwards():
    positions, faces = ball()
    normals = vertex_normals(positions, faces)
    assert normals.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    assert np.degrees(np.arccos((normals * positions).sum(1).clip(-1, 1))).max() < 1
    np.testing.assert_allclose(vertex_normals(positions, faces[:, ::-1]), -normals, atol=1e-6)


def test_normals_turn_with_the_mesh_and_do_not_depend_on_its_size():
    positions, faces = ball()
    positions = positions * (0.08, 0.12, 0.1)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    normals = vertex_normals(positions, faces)
    np.testing.assert_allclose(vertex_normals(positions @ turn.T, faces), normals @ turn.T, atol=1e-5)
    np.testing.assert_allclose(vertex_normals(positions * 1e-3 + 0.2, faces), normals, atol=1e-5)


def test_larger_faces_count_more():
    # a corner between a wall in x of area 3 and a floor in y of area 1
    positions = np.array([[0, 0, 0], [0, 3, 0], [0, 0, -2], [1, 0, 0], [0, 0, 2.0]])
    normal = vertex_normals(positions, np.array([[0, 1, 2], [0, 4, 3]]))[0]
    wall, floor = np.cross([0, 3, 0], [0, 0, -2]), np.cross([0, 0, 2.0], [1, 0, 0])
    np.testing.assert_allclose(normal, (wall + floor) / np.linalg.norm(wall + floor), atol=1e-6)


def test_a_vertex_without_area_gets_plus_z():
    positions = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [5, 5, 5.0]])
    np.testing.assert_array_equal(vertex_normals(positions, np.array([[0, 1, 2]])), [[0, 0, 1]] * 4)
