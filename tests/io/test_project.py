"""A saved project is the project; a damaged file is told as such."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EngineError, FileFormatError
from engine.expression import Expression, ExpressionSet, ReflectanceChange, Request
from engine.identity import Provenance, ReflectanceMaps
from engine.io.files import npy_bytes, npy_from_bytes
from engine.io.project import load_project, save_project
from engine.mesh import Registration
from engine.project import Project, new_project
from engine.scene import Camera, Environment, Lamp, LampKind, LightStage, StageMode, ToneCurve, View, ViewChannel
from engine.sides import Sides
from tests.heads import make_expressions, make_head


@pytest.fixture(scope="module")
def project() -> Project:
    identity = make_head(32)
    made = make_expressions(identity)
    named = replace(
        made.expressions[0], prompt="Kiefer öffnen", facs={"AU26": 0.5}, provenance=Provenance("a", "b", "c")
    )
    named = replace(named, request=Request("own-0123abcd", 4, 7, 1.0, 1.3, 65.0, "shape"))
    scene = replace(
        new_project(identity).scene,
        environment=Environment("Sunset", 0.1, -1.5, True),
        view=View(Camera(distance_m=0.75), ViewChannel.OFFSET),
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
    assert ours.request == theirs.request


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
    with zipfile.ZipFile(saved) as file:
        content = json.loads(file.read("project.json"))
    positions = content["identity"]["positions_m"]["array"]
    twice = gzip.compress(npy_bytes(project.identity.positions_m * 2))
    for other, message in (
        (twice, "the file is damaged"),
        (twice[:-20] + twice[-8:], "an array as saved|is damaged"),
        (b"", "damaged|an array as saved"),
        (twice[:-4] + (0x7000_0000).to_bytes(4, "little"), "1.75 GiB claimed"),
        (twice[:-4] + b"\xff" * 4, "at most 2 GiB"),
    ):
        _repack(saved, bad, **{positions: other})
        with pytest.raises(FileFormatError, match=message):
            load_project(bad)
    for change, message in (
        ({"version": 99}, "expected version 2 or an older one, found 99"),
        ({"version": True}, "found True"),
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
    del content["scene"]["view"]["wireframe"], content["scene"]["view"]["camera"]["yaw_rad"], content["scene"]["stage"]
    key = content["scene"]["key_light"]
    before_kinds = ("enabled", "yaw_rad", "pitch_rad", "color_linear", "irradiance", "shadow_softness_m")
    content["scene"]["key_light"] = {name: key[name] for name in before_kinds}
    _repack(tmp_path / "a.expdiff", tmp_path / "b.expdiff", **{"project.json": json.dumps(content).encode()})
    assert load_project(tmp_path / "b.expdiff").scene == replace(project.scene, key_light=Lamp(), stage=LightStage())


def test_a_file_of_version_1_opens_as_what_was_saved(tmp_path: Path) -> None:
    """`version_1.expdiff` was written by the program as it was then; it is never written anew."""
    project = load_project(Path(__file__).with_name("version_1.expdiff"))
    assert project.identity.hash == "a3c3f492f190f49294db8e624ef7e05e"
    assert project.identity.topology.hash == "1b84740bb66ad9f18785ee1e276412d4"
    jaw, smile = project.expressions.expressions
    assert (jaw.name, dict(jaw.facs), round(float(jaw.offsets_m.sum()), 5)) == ("Jaw Open", {"AU26": 1.0}, 0.62416)
    assert (smile.name, smile.prompt, dict(smile.facs)) == ("a crooked smile", "a crooked smile", {"AU12": 0.8})
    assert smile.provenance == Provenance("model 0123abcd", "Apache-2.0", "seed 3, 1 step")
    assert dict(project.weights) == {"Jaw Open": Sides(0.25, 0.5), "a crooked smile": 1.0, "Brows Up": 0.1}
    scene = project.scene
    assert (scene.environment, scene.exposure_ev) == (Environment("Sunset", 0.1, -1.5, True), 0.5)
    assert (scene.key_light.kind, len(scene.fill_lights), scene.stage.mode) == (
        LampKind.RECTANGLE,
        1,
        StageMode.GRADIENT_X,
    )
    view = scene.view
    assert (view.channel, view.scale_end, view.uv_view, view.wireframe) == (ViewChannel.OFFSET, 4.0, True, True)
    save_project(project, tmp_path / "a.expdiff")
    again = load_project(tmp_path / "a.expdiff")
    assert (again.identity.hash, again.scene) == (project.identity.hash, scene)


def test_equal_arrays_are_stored_once(project: Project, tmp_path: Path) -> None:
    jaw = project.expressions.expressions[0]
    twins = tuple(replace(jaw, name=name, offsets_m=jaw.offsets_m.copy()) for name in "abcdef")
    save_project(replace(project, expressions=ExpressionSet(project.identity.hash, (jaw,))), tmp_path / "1.expdiff")
    save_project(replace(project, expressions=ExpressionSet(project.identity.hash, twins)), tmp_path / "6.expdiff")
    names = [set(zipfile.ZipFile(tmp_path / f"{count}.expdiff").namelist()) for count in "16"]
    assert names[0] == names[1]


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
    for name, field, size in (("unused", 20, 0x7FFFFFFF), (listed[0], 24, 0x7F000000)):
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


def test_a_given_registration_is_saved(tmp_path: Path) -> None:
    head = make_head(16)
    place = Registration(np.arange(4), np.linspace(0, 1, 8).reshape(4, 2))
    topology = replace(head.topology, registration=place)
    assert topology.hash != head.topology.hash
    save_project(new_project(replace(head, topology=topology)), tmp_path / "a.expdiff")
    stored = load_project(tmp_path / "a.expdiff").identity.topology
    assert stored.hash == topology.hash
    assert stored.registration is not None
    np.testing.assert_array_equal(stored.registration.vertices, place.vertices)
    np.testing.assert_array_equal(stored.registration.opened_uv, place.opened_uv)


def test_a_registration_of_another_mesh_is_refused() -> None:
    topology = make_head(16).topology
    with pytest.raises(ValueError, match=r"Topology\.registration: expected vertices below"):
        replace(topology, registration=Registration(np.array([topology.vertex_count]), np.zeros((1, 2))))
