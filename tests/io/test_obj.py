"""OBJ files keep what they say: polygons, materials, groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.io.obj import read_obj, write_obj

FILE = """v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
v 2 0 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
g face
usemtl skin
f 1/1 2/2 3/3 4/4
g nose
f 2/2 5/1 3/3
usemtl teeth
f 1/1 2/2 5/3 3/4 4/1
"""


def test_quads_materials_and_groups_are_kept(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(FILE)
    mesh = read_obj(tmp_path / "a.obj")
    assert mesh.sizes.tolist() == [4, 3, 5]
    assert mesh.corners.tolist() == [0, 1, 2, 3, 1, 4, 2, 0, 1, 4, 2, 3]
    assert [mesh.materials[each] for each in mesh.polygon_materials] == ["skin", "skin", "teeth"]
    assert [mesh.groups[each] for each in mesh.polygon_groups] == ["face", "nose", "nose"]
    assert mesh.faces.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 2], [0, 1, 4], [0, 4, 2], [0, 2, 3]]
    assert mesh.uv_faces[:2].tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.parts.tolist() == [0, 0, 0, 2, 2, 2]


def test_a_mesh_that_was_written_is_the_mesh(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(FILE)
    mesh = read_obj(tmp_path / "a.obj")
    write_obj(tmp_path / "b.obj", mesh)
    again = read_obj(tmp_path / "b.obj")
    for name in ("positions", "uvs", "sizes", "corners", "uv_corners", "polygon_materials"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mesh, name))
    assert again.materials == mesh.materials


def test_groups_are_materials_where_there_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\ng teeth\nf 1 2 3\n")
    mesh = read_obj(tmp_path / "a.obj")
    assert mesh.materials == mesh.groups == ("", "teeth")
    assert mesh.parts.tolist() == [2]
