"""What is in the .glb, byte by byte, and what the Khronos validator says of it where node has it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.color import linear_from_srgb
from engine.composer import compose, compose_positions
from engine.expression import ExpressionSet
from engine.image import normal_bytes_from_slope
from engine.io import gltf
from engine.io.gltf import STILL_M, STILL_NORMAL, glb_bytes, specular_color, split_seams
from engine.io.images import read_rgb
from engine.mesh import PARTS, Part, Topology, vertex_normals
from engine.project import Project, new_project
from engine.sides import Sides
from tests.heads import make_expressions, make_head

ROOT = Path(__file__).parents[2]
_DTYPES = {5126: np.float32, 5121: np.uint8, 5123: np.uint16, 5125: np.uint32}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@pytest.fixture(scope="module")
def project() -> Project:
    """Every part, a target that moves all, one that moves half, one that moves nothing, and a dark mouth."""
    head = make_head(32)
    parts = head.topology.face_parts.copy()
    for share, part in enumerate((Part.MOUTH, Part.TEETH, Part.SOCKET, Part.OVERLAY, Part.HAIR)):
        parts[share * 40 : share * 40 + 40] = PARTS.index(part)
    old = head.topology
    topology = Topology(old.faces, old.uvs, old.uv_faces, parts, old.vertex_count, old.head_vertex_count)
    occlusion = np.where(head.positions_m[:, 1] > 0, 1.0, 0.25).astype(np.float32)
    head = replace(head, topology=topology, occlusion=occlusion)
    whole, half = make_expressions(head).expressions
    offsets = np.where(head.positions_m[:, 1:2] > 0, half.offsets_m, 0)
    still = replace(half, name="Still", offsets_m=offsets * 0)
    half = replace(half, offsets_m=offsets, facs={"AU1": 1.0}, prompt="brows")
    return Project(head, ExpressionSet(head.hash, (whole, half, still)), {"Jaw Open": 0.25}, new_project(head).scene)


class Glb:
    """A strict reader of what we write."""

    def __init__(self, data: bytes) -> None:
        magic, version, total = struct.unpack_from("<4sII", data)
        assert (magic, version, total) == (b"glTF", 2, len(data))
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert length % 4 == 0
        self.json: dict[str, Any] = json.loads(data[20 : 20 + length])
        size, kind = struct.unpack_from("<I4s", data, 20 + length)
        assert kind == b"BIN\0"
        assert size % 4 == 0
        self.body = data[28 + length :]
        assert len(self.body) == size == self.json["buffers"][0]["byteLength"]

    def view(self, index: int) -> bytes:
        view = self.json["bufferViews"][index]
        assert view["byteOffset"] % 4 == 0
        return self.body[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def array(self, index: int) -> np.ndarray:
        row = self.json["accessors"][index]
        dtype, width = np.dtype(_DTYPES[row["componentType"]]), _WIDTHS[row["type"]]
        values = np.zeros((row["count"], width), dtype)
        if "bufferView" in row:
            values = np.frombuffer(self.view(row["bufferView"]), dtype).reshape(row["count"], width).copy()
        if "sparse" in row:
            sparse = row["sparse"]
            places = np.frombuffer(
                self.view(sparse["indices"]["bufferView"]), _DTYPES[sparse["indices"]["componentType"]]
            )
            assert len(places) == sparse["count"] > 0
            assert (np.diff(places.astype(np.int64)) > 0).all()
            values[places] = np.frombuffer(self.view(sparse["values"]["bufferView"]), dtype).reshape(-1, width)
        for key, found in (("min", values.min(axis=0)), ("max", values.max(axis=0))):
            assert key not in row or row[key] == found.tolist()
        return values

    def picture(self, name: str, folder: Path) -> np.ndarray:
        (image,) = [row for row in self.json["images"] if row["name"] == name]
        assert image["mimeType"] == "image/png"
        (folder / "image.png").write_bytes(self.view(image["bufferView"]))
        return read_rgb(folder / "image.png")

    def primitive(self, part: Part) -> dict[str, Any]:
        (found,) = [row for row in self.json["meshes"][0]["primitives"] if row["extras"]["part"] == part]
        return found


@pytest.fixture(scope="module")
def glb(project: Project) -> Glb:
    return Glb(glb_bytes(project))


def test_every_face_is_there_once_with_its_own_corner_uvs(project: Project, glb: Glb) -> None:
    topology = project.identity.topology
    found = {part: glb.array(glb.primitive(part)["indices"]).reshape(-1, 3) for part in PARTS}
    for index, part in enumerate(PARTS):
        attributes = glb.primitive(part)["attributes"]
        positions, uvs = glb.array(attributes["POSITION"]), glb.array(attributes["TEXCOORD_0"])
        own = topology.face_parts == index
        np.testing.assert_array_equal(positions[found[part]], project.identity.positions_m[topology.faces[own]])
        np.testing.assert_array_equal(uvs[found[part]], topology.uvs[topology.uv_faces[own]])
    assert sum(map(len, found.values())) == len(topology.faces)


def test_all_primitives_share_one_vertex_set(glb: Glb) -> None:
    rows = glb.json["meshes"][0]["primitives"]
    for name in ("POSITION", "NORMAL", "TEXCOORD_0"):
        assert len({row["attributes"][name] for row in rows}) == 1
    assert len({len(row["targets"]) for row in rows}) == 1
    assert "min" in glb.json["accessors"][rows[0]["attributes"]["POSITION"]]


def test_normals_are_smooth_across_seams(project: Project, glb: Glb) -> None:
    vertex, _, _ = split_seams(project.identity)
    normals = glb.array(glb.primitive(Part.SKIN)["attributes"]["NORMAL"])
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-5)
    for one in np.flatnonzero(np.bincount(vertex) > 1)[:50]:
        assert np.ptp(normals[vertex == one], axis=0).max() == 0.0


@pytest.mark.parametrize("part", [Part.SKIN, Part.EYE_LEFT])
def test_base_plus_target_is_the_expression_and_its_normals(project: Project, glb: Glb, part: Part) -> None:
    vertex, _, _ = split_seams(project.identity)
    row = glb.primitive(part)
    positions, normals = (glb.array(row["attributes"][name]) for name in ("POSITION", "NORMAL"))
    for target, name in zip(row["targets"], project.expressions.names, strict=True):
        surface = compose(project.identity, project.expressions, {name: 1.0})
        moved = positions + glb.array(target["POSITION"])
        turned = normals + glb.array(target["NORMAL"])
        assert np.linalg.norm(moved - surface.positions_m[vertex], axis=1).max() <= STILL_M + 1e-7
        assert np.linalg.norm(turned - surface.normals[vertex], axis=1).max() <= STILL_NORMAL + 1e-6
        assert {"min", "max"} <= glb.json["accessors"][target["POSITION"]].keys()


def test_tangents_follow_u_and_bitangents_point_up_the_image(project: Project, glb: Glb) -> None:
    row = glb.primitive(Part.SKIN)
    attributes = {name: glb.array(index) for name, index in row["attributes"].items()}
    tangents, normals = attributes["TANGENT"], attributes["NORMAL"]
    np.testing.assert_allclose(np.linalg.norm(tangents[:, :3], axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.sum(tangents[:, :3] * normals, axis=1), 0.0, atol=1e-5)
    assert set(np.unique(tangents[:, 3])) <= {-1.0, 1.0}
    faces = glb.array(row["indices"]).reshape(-1, 3)
    corners, uvs = attributes["POSITION"][faces].astype(float), attributes["TEXCOORD_0"][faces].astype(float)
    gap = np.array(
        [
            np.linalg.lstsq(uv[1:] - uv[0], corner[1:] - corner[0], rcond=None)[0]
            for uv, corner in zip(uvs, corners, strict=True)
        ]
    )
    # away from the poles, where the sphere's triangles have no texture area
    good = np.abs(attributes["POSITION"][faces][..., 1]).max(axis=1) < 0.08
    grow_u, grow_v = gap[good, 0], gap[good, 1]
    middle = tangents[faces][good].mean(axis=1)
    bitangent = np.cross(normals[faces][good].mean(axis=1), middle[:, :3]) * middle[:, 3:]
    assert np.min(_cosine(middle[:, :3], grow_u)) > 0.9
    assert np.min(_cosine(bitangent, -grow_v)) > 0.9
    assert all("TANGENT" in target for target in row["targets"])
    assert "TANGENT" not in glb.primitive(Part.TEETH)["attributes"]


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def test_small_targets_are_stored_small(project: Project, glb: Glb) -> None:
    whole, half, still = (glb.json["accessors"][row["POSITION"]] for row in glb.primitive(Part.SKIN)["targets"])
    assert "bufferView" in whole
    assert "sparse" not in whole
    assert "sparse" in half
    assert "bufferView" not in half
    assert not {"sparse", "bufferView"} & still.keys()


def test_sides_that_differ_are_two_targets_whose_motions_add_up(project: Project) -> None:
    identity, jaw = project.identity, project.expressions["Jaw Open"]
    apart = gltf._with_sides_apart(replace(project, weights={"Jaw Open": Sides(0.9, 0.2), "Brows Up": 0.5}))
    assert apart.expressions.names == ("Jaw Open:L", "Jaw Open:R", "Brows Up", "Still")
    assert dict(apart.weights) == {"Jaw Open:L": 0.9, "Jaw Open:R": 0.2, "Brows Up": 0.5}
    left, right = (apart.expressions[f"Jaw Open:{side}"].offsets_m for side in "LR")
    np.testing.assert_allclose(left + right, jaw.offsets_m, atol=1e-9)
    expected = compose_positions(identity, project.expressions, {"Jaw Open": Sides(0.9, 0.2)})
    np.testing.assert_allclose(identity.positions_m + 0.9 * left + 0.2 * right, expected, atol=1e-7)


def test_names_weights_and_recipe(project: Project, glb: Glb) -> None:
    mesh, asset = glb.json["meshes"][0], glb.json["asset"]
    assert mesh["extras"]["targetNames"] == ["Jaw Open", "Brows Up", "Still"]
    assert mesh["weights"] == [0.25, 0.0, 0.0]
    assert mesh["extras"]["expressions"][1]["facs"] == {"AU1": 1.0}
    assert mesh["extras"]["expressions"][1]["prompt"] == "brows"
    assert asset["copyright"] == "Apache-2.0"
    assert asset["extras"]["unit"] == "metre"
    assert asset["version"] == "2.0"


def test_materials_follow_the_maps(project: Project, glb: Glb, tmp_path: Path) -> None:
    maps, scale = project.identity.maps, project.identity.specular_f0_scale
    skin = glb.json["materials"][glb.primitive(Part.SKIN)["material"]]
    assert skin["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    np.testing.assert_array_equal(glb.picture("Diffuse", tmp_path), maps.diffuse_srgb)
    packed = glb.picture("Occlusion Roughness Metallic", tmp_path)
    np.testing.assert_array_equal(packed[..., 1], maps.roughness_data)
    assert packed[..., 2].max() == 0
    assert packed[..., 0].min() == 255
    np.testing.assert_array_equal(glb.picture("Normal", tmp_path), normal_bytes_from_slope(maps.slope))
    factor = skin["extensions"]["KHR_materials_specular"]["specularColorFactor"]
    f0 = 0.04 * np.array(factor) * linear_from_srgb(glb.picture("Specular Color", tmp_path))
    np.testing.assert_allclose(f0, maps.specular_data / 255 * scale, rtol=0.02)
    assert glb.json["extensionsUsed"] == ["KHR_materials_specular"]
    eyes = {glb.primitive(part)["material"] for part in (Part.EYE_LEFT, Part.EYE_RIGHT)}
    assert len(eyes) == 1
    np.testing.assert_array_equal(glb.picture("Eye", tmp_path), project.identity.eye_srgb)


def test_black_specular_has_no_division_by_zero() -> None:
    picture, factor = specular_color(np.zeros((2, 2, 3), np.uint8), 0.2)
    assert factor == 1.0
    assert picture.max() == 0


def test_current_textures_are_the_mix(project: Project, tmp_path: Path) -> None:
    want = compose(project.identity, project.expressions, project.active()).maps
    found = Glb(glb_bytes(project, current_textures=True)).picture("Diffuse", tmp_path)
    np.testing.assert_array_equal(found, want.diffuse_srgb)
    assert (found != project.identity.maps.diffuse_srgb).any()


def test_occlusion_travels_as_vertex_colour_only_where_there_is_some(project: Project, glb: Glb) -> None:
    vertex, _, _ = split_seams(project.identity)
    color = glb.array(glb.primitive(Part.SKIN)["attributes"]["COLOR_0"])
    np.testing.assert_allclose(color[:, 0] / 255, project.identity.occlusion[vertex], atol=1 / 255)
    assert (color[:, 3] == 255).all()
    plain = Glb(glb_bytes(new_project(make_head(8))))
    assert "COLOR_0" not in plain.primitive(Part.SKIN)["attributes"]
    assert "targets" not in plain.primitive(Part.SKIN)
    assert "weights" not in plain.json["meshes"][0]


def test_normals_of_the_composer_and_of_the_file_are_one(project: Project) -> None:
    identity = project.identity
    surface = compose(identity, project.expressions, {})
    np.testing.assert_array_equal(surface.normals, vertex_normals(identity.positions_m, identity.topology.faces))


def _node_folder() -> str | None:
    """A folder with gltf-validator, by NODE_PATH or in the checkout; None where there is none or no node."""
    for folder in [*os.environ.get("NODE_PATH", "").split(os.pathsep), str(ROOT / "node_modules")]:
        if folder and shutil.which("node") and (Path(folder) / "gltf-validator").is_dir():
            return folder
    return None


@pytest.mark.skipif(_node_folder() is None, reason="needs node and: npm install gltf-validator three")
def test_khronos_validator_finds_nothing(project: Project, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("neutral.glb", "mixed.glb", "bare.glb")]
    paths[0].write_bytes(glb_bytes(project))
    paths[1].write_bytes(glb_bytes(project, current_textures=True))
    paths[2].write_bytes(glb_bytes(new_project(make_head(8))))
    done = subprocess.run(
        ["node", ROOT / "scripts" / "check_glb.mjs", *paths], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("0 errors, 0 warnings") == 3
    if "three.js" in done.stdout:
        assert "3 morph targets: Jaw Open, Brows Up, Still" in done.stdout
