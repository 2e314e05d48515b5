"""A saved project is the project; a damaged file is told as such."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EngineError, FileFormatError
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.identity import Provenance, ReflectanceMaps
from engine.io.files import npy_bytes, npy_from_bytes
from engine.io.project import load_project, save_project
from engine.project import Project, new_project
from engine.scene import Environment, Lamp, LampKind, LightStage, StageMode, ToneCurve, ViewChannel
from engine.sides import Sides
from tests.heads import make_expressions, make_head


@pytest.fixture(scope="module")
def project() -> Project:
    identity = make_head(32)
    made = make_expressions(identity)
    named = replace(
        made.expressions[0], prompt="Kiefer öffnen", facs={"AU26": 0.5}, provenance=Provenance("a", "b", "c")
    )
    scene = replace(
        new_project(identity).scene,
        environment=Environment("Sunset", 0.1, -1.5, True),
        channel=ViewChannel.OFFSET,
        tone_curve=ToneCurve.LINEAR,
        key_light=Lamp(kind=LampKind.RECTANGLE, width_m=0.3),
        fill_lights=(Lamp(kind=LampKind.SPOT, outer_cone_rad=0.2),),
        stage=LightStage(True, "rig.npy", StageMode.MIXTURE, 7, ((0.0, 1.5, 0.1), (1.0, 0.0, 0.0)), 0.2),
        background_srgb=(0.1, 0.2, 0.30000000000000004),
    )
    return Project(identity, ExpressionSet(identity.hash, (named, made.expressions[1])), {"Jaw Open": 1 / 3}, scene)


def test_round_trip_is_exact(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "a.expdiff")
    found = load_project(tmp_path / "a.expdiff")
    assert found.identity.hash == project.identity.hash
    assert found.identity.topology.hash == project.identity.topology.hash
    for name in ("positions_m", "eye_srgb", "occlusion"):
        np.testing.assert_array_equal(getattr(found.identity, name), getattr(project.identity, name))
    for part in fields(ReflectanceMaps):
        np.testing.assert_array_equal(
            getattr(found.identity.maps, part.name), getattr(project.identity.maps, part.name)
        )
    for name in ("name", "provenance", "known_maps", "specular_f0_scale"):
        assert getattr(found.identity, name) == getattr(project.identity, name)
    assert found.expressions.names == project.expressions.names
    for ours, theirs in zip(found.expressions.expressions, project.expressions.expressions, strict=True):
        assert_same(ours, theirs)
    assert dict(found.weights) == dict(project.weights)
    assert found.scene == project.scene


def test_sides_that_differ_come_back(project: Project, tmp_path: Path) -> None:
    weights = {"Jaw Open": Sides(0.25, 1.5), "Brows Up": 0.5}
    save_project(replace(project, weights=weights), tmp_path / "a.expdiff")
    assert dict(load_project(tmp_path / "a.expdiff").weights) == weights


def assert_same(ours: Expression, theirs: Expression) -> None:
    np.testing.assert_array_equal(ours.offsets_m, theirs.offsets_m)
    for part in fields(ReflectanceChange):
        np.testing.assert_array_equal(getattr(ours.change, part.name), getattr(theirs.change, part.name))
    assert (ours.prompt, dict(ours.facs), ours.provenance) == (theirs.prompt, dict(theirs.facs), theirs.provenance)


def test_loaded_arrays_cannot_be_written(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "a.expdiff")
    found = load_project(tmp_path / "a.expdiff")
    assert not found.identity.positions_m.flags.writeable
    assert not found.expressions.expressions[0].change.slope.flags.writeable


def test_cut_anywhere_is_one_clear_error(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "a.expdiff")
    data = (tmp_path / "a.expdiff").read_bytes()
    for share in (0.0, 0.1, 0.5, 0.9, 0.999):
        (tmp_path / "cut.expdiff").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(FileFormatError, match=r"cut\.expdiff"):
            load_project(tmp_path / "cut.expdiff")


def test_any_flipped_byte_is_an_error_or_harmless(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "a.expdiff")
    data = (tmp_path / "a.expdiff").read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(data), 60):
        bad = bytearray(data)
        bad[at] ^= 0x55
        (tmp_path / "bad.expdiff").write_bytes(bad)
        try:
            found = load_project(tmp_path / "bad.expdiff")
        except EngineError:
            continue
        assert found.identity.hash == project.identity.hash


def _repack(source: Path, target: Path, **members: bytes) -> None:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, members.get(name, old.read(name)))


def test_changed_content_and_newer_versions(project: Project, tmp_path: Path) -> None:
    saved, bad = tmp_path / "a.expdiff", tmp_path / "b.expdiff"
    save_project(project, saved)
    _repack(saved, bad, **{"identity/positions_m.npy": npy_bytes(project.identity.positions_m * 2)})
    with pytest.raises(FileFormatError, match="damaged"):
        load_project(bad)
    with zipfile.ZipFile(saved) as file:
        content = json.loads(file.read("project.json"))
    for change, message in (
        ({"version": 99}, "expected version 1, found 99"),
        ({"format": "something"}, "another kind"),
        ({"weights": {"Jaw Open": "much"}}, "expected a project as saved"),
        ({"weights": {"Jaw Open": [1.0, 0.5, 0.2]}}, "expected a project as saved"),
        ({"scene": {"exposure_ev": "bright"}}, "expected float"),
        ({"identity": 3}, "expected a project as saved"),
    ):
        _repack(saved, bad, **{"project.json": json.dumps(content | change).encode()})
        with pytest.raises(FileFormatError, match=message):
            load_project(bad)


def test_older_files_without_a_scene_entry_take_its_default(project: Project, tmp_path: Path) -> None:
    save_project(project, tmp_path / "a.expdiff")
    with zipfile.ZipFile(tmp_path / "a.expdiff") as file:
        content = json.loads(file.read("project.json"))
    del content["scene"]["wireframe"], content["scene"]["camera"]["yaw_rad"], content["scene"]["stage"]
    key = content["scene"]["key_light"]
    before_kinds = ("enabled", "yaw_rad", "pitch_rad", "color_linear", "irradiance", "shadow_softness_m")
    content["scene"]["key_light"] = {name: key[name] for name in before_kinds}
    _repack(tmp_path / "a.expdiff", tmp_path / "b.expdiff", **{"project.json": json.dumps(content).encode()})
    assert load_project(tmp_path / "b.expdiff").scene == replace(project.scene, key_light=Lamp(), stage=LightStage())


def test_pickles_and_lying_headers_are_refused() -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="never loaded"):
        npy_from_bytes(buffer.getvalue(), "x")
    lying = npy_bytes(np.zeros((4, 3), np.float32)).replace(b"(4, 3)", b"(9, 9)")
    with pytest.raises(FileFormatError, match="324 bytes"):
        npy_from_bytes(lying, "x")


def test_what_members_claim_to_take_of_the_file_buys_no_budget(project: Project, tmp_path: Path) -> None:
    """A member that nobody reads, and whose packed size is a lie, would pay for 2 GB of zeros."""
    path = tmp_path / "a.expdiff"
    save_project(project, path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("unused", b"")
        listed = [info.filename for info in file.infolist()]
    data = bytearray(path.read_bytes())
    for name, field, size in (("unused", 20, 0x7FFFFFFF), ("maps/diffuse_srgb.npy", 24, 0x7F000000)):
        at = data.index(b"PK\1\2")
        for _ in range(listed.index(name)):
            at = data.index(b"PK\1\2", at + 4)
        data[at + field : at + field + 4] = size.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="claimed by"):
        load_project(path)


def test_no_project_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="No such file"):
        load_project(tmp_path / "none.expdiff")
    (tmp_path / "text.expdiff").write_text("hello")
    with pytest.raises(FileFormatError, match="not a zip"):
        load_project(tmp_path / "text.expdiff")
