"""The published person layout, both ways, and folders that do not hold it."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine.composer import compose
from engine.errors import ExportError, FileFormatError
from engine.expression import Expression, ExpressionSet
from engine.identity import Identity
from engine.image import normal_bytes_from_slope
from engine.io import jreflectance, jreflectance_writer
from engine.io.images import read_rgb, write_png
from engine.io.map_conventions import MapConventions, Normal
from engine.mesh import Part
from engine.vocabulary import find
from tests.heads import make_expressions, make_head

FILES = {"shape.npy", "texture.png", "diffuse.png", "specular.png", "roughness.png", "normal.png"}


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(48)


@pytest.fixture(scope="module")
def made(head: Identity) -> ExpressionSet:
    table = make_expressions(head, ("Jaw Open", "Brows Up")).expressions
    asked = make_expressions(head, ("a sly grin",), seed=5).expressions[0]
    asked = Expression(asked.name, asked.offsets_m, asked.change, "a sly grin", {"AU12": 0.5}, asked.provenance)
    return ExpressionSet(head.hash, (*table, asked))


@pytest.fixture(scope="module")
def saved(head: Identity, made: ExpressionSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "p001"
    steps = list(jreflectance_writer.write(head, made, folder))
    assert [step.index for step in steps] == [1, 2, 3, 4]
    assert {step.total for step in steps} == {4}
    assert steps[0].label == "Neutral"
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "p001"))


def test_the_layout_is_the_published_one(saved: Path, head: Identity) -> None:
    assert {path.name for path in saved.iterdir() if path.is_dir()} == {"exp1", "exp11", "exp9", "exp33"}
    for number in (1, 9, 11, 33):
        names = {path.name for path in (saved / f"exp{number}").iterdir()}
        assert names - {"parts.npy"} == FILES
        shape = np.load(saved / f"exp{number}" / "shape.npy", allow_pickle=False)
        assert shape.shape == (head.topology.head_vertex_count, 3)
        assert shape.dtype == np.float32
    np.testing.assert_array_equal(read_rgb(saved / "exp1" / "diffuse.png"), head.maps.diffuse_srgb)
    assert (saved / "exp9" / "texture.png").read_bytes() == (saved / "exp9" / "diffuse.png").read_bytes()


def test_neutral_comes_back_exactly_but_for_normals_of_eight_bits(saved: Path, head: Identity) -> None:
    found, _ = jreflectance.read(saved)
    assert found.topology.hash == head.topology.hash
    np.testing.assert_array_equal(found.positions_m, head.positions_m)
    for name in ("diffuse_srgb", "specular_data", "roughness_data"):
        np.testing.assert_array_equal(getattr(found.maps, name), getattr(head.maps, name))
    normals = [normal_bytes_from_slope(maps.slope)[..., :2] for maps in (found.maps, head.maps)]
    np.testing.assert_array_equal(*normals)
    np.testing.assert_array_equal(found.eye_srgb, head.eye_srgb)
    np.testing.assert_array_equal(found.occlusion, head.occlusion)
    for name in ("name", "known_maps", "provenance", "specular_f0_scale"):
        assert getattr(found, name) == getattr(head, name)
    assert set(found.topology.vertices_of(Part.EYE_LEFT)) == set(head.topology.vertices_of(Part.EYE_LEFT))


def test_expressions_come_back(saved: Path, head: Identity, made: ExpressionSet) -> None:
    found, expressions = jreflectance.read(saved)
    assert expressions.identity_hash == found.hash
    assert expressions.names == ("Brows Up", "Jaw Open", "a sly grin")
    grin = expressions["a sly grin"]
    assert (grin.prompt, dict(grin.facs)) == ("a sly grin", {"AU12": 0.5})
    for name in made.names:
        np.testing.assert_allclose(expressions[name].offsets_m, made[name].offsets_m, atol=1e-7)
        assert expressions[name].change.size == made[name].change.size
        assert expressions[name].provenance == made[name].provenance


@pytest.mark.parametrize("weights", [{"Jaw Open": 1.0}, {"Jaw Open": 0.5, "Brows Up": 0.7}])
def test_composing_what_was_read_gives_what_was_written(
    saved: Path, head: Identity, made: ExpressionSet, weights: dict[str, float]
) -> None:
    want, found = compose(head, made, weights), compose(*jreflectance.read(saved), weights)
    np.testing.assert_allclose(found.positions_m, want.positions_m, atol=1e-6)
    for name in ("diffuse_srgb", "specular_data", "roughness_data"):
        gap = np.abs(getattr(found.maps, name).astype(int) - getattr(want.maps, name))
        assert gap.max() <= 3  # eight bits, and the change averaged back to half the size
        assert gap.mean() < 0.6
    assert np.abs(found.maps.slope.astype(float) - want.maps.slope).max() < 0.03


def test_full_size_changes_read_back_within_one_level(head: Identity, tmp_path: Path, saved: Path) -> None:
    found, expressions = jreflectance.read(saved)
    person = json.loads((saved / "identity.json").read_text())
    for recipe in person["expressions"].values():
        recipe.pop("change_size", None)
    folder = shutil.copytree(saved, tmp_path / "full")
    (folder / "identity.json").write_text(json.dumps(person))
    found, expressions = jreflectance.read(folder)
    for number, name in ((11, "Jaw Open"), (9, "Brows Up")):
        surface = compose(found, expressions, {name: 1.0})
        stored = read_rgb(folder / f"exp{number}" / "diffuse.png").astype(int)
        assert np.abs(surface.maps.diffuse_srgb - stored).max() <= 1
        stored = read_rgb(folder / f"exp{number}" / "normal.png").astype(int)
        assert np.abs(normal_bytes_from_slope(surface.maps.slope) - stored).max() <= 1


def test_write_read_write_is_stable(saved: Path, tmp_path: Path) -> None:
    identity, expressions = jreflectance.read(saved)
    list(jreflectance_writer.write(identity, expressions, tmp_path / "again"))
    again, _ = jreflectance.read(tmp_path / "again")
    assert again.hash == identity.hash


def test_adding_to_a_folder_keeps_what_it_has(copy: Path, head: Identity) -> None:
    more = make_expressions(head, ("Eye Wide", "another prompt"), seed=9)
    list(jreflectance_writer.write(head, more, copy))
    _, expressions = jreflectance.read(copy)
    assert expressions.names == ("Eye Wide", "Brows Up", "Jaw Open", "a sly grin", "another prompt")


def test_another_head_is_not_mixed_in(copy: Path) -> None:
    other = make_head(48, rings=20)
    with pytest.raises(ExportError, match="found another head"):
        list(jreflectance_writer.write(other, ExpressionSet(other.hash), copy))


@pytest.mark.parametrize(("scale", "millimetres"), [(10.0, "100"), (100.0, "10"), (1000.0, "1")])
def test_a_foreign_folder_needs_only_shapes_maps_and_one_obj(
    copy: Path, head: Identity, scale: float, millimetres: str, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("identity.json", "eye.png", "occlusion.npy"):
        (copy / name).unlink()
    (copy / "template.obj").rename(copy.parent / "topology.obj")
    for path in copy.glob("exp*/*.npy"):
        np.save(path, np.load(path) * np.float64(scale))
    with caplog.at_level(logging.INFO, logger="engine"):
        found, expressions = jreflectance.read(copy)
    assert f"1 unit = {millimetres} mm" in caplog.text
    np.testing.assert_allclose(found.positions_m, head.positions_m, atol=1e-6)
    assert expressions.names == ("Brows Up", "Jaw Open", "exp33")
    assert found.name == "p001"
    assert expressions["Jaw Open"].facs == find("Jaw Open").facs


def test_normal_maps_of_the_other_handedness(saved: Path) -> None:
    upright, flipped = jreflectance.read(saved)[0], jreflectance.read(saved, MapConventions(normal=Normal.DIRECTX))[0]
    np.testing.assert_array_equal(upright.maps.slope[..., 0], flipped.maps.slope[..., 0])
    np.testing.assert_array_equal(upright.maps.slope[..., 1], -flipped.maps.slope[..., 1])


def _break(folder: Path, how: str) -> None:
    shape = folder / "exp11" / "shape.npy"
    match how:
        case "neutral":
            shutil.rmtree(folder / "exp1")
        case "count":
            np.save(shape, np.load(shape)[:-7])
        case "more":
            np.save(shape, np.zeros((5000, 3), np.float32))
        case "nan":
            values = np.load(shape)
            values[3, 1] = np.nan
            np.save(shape, values)
        case "dimensions":
            np.save(shape, np.zeros((5, 2), np.float32))
        case "no array":
            shape.write_bytes(b"hello")
        case "pickle":
            np.save(shape, np.array([{}], object), allow_pickle=True)
        case "map missing":
            (folder / "exp11" / "normal.png").unlink()
        case "map cut":
            path = folder / "exp11" / "diffuse.png"
            path.write_bytes(path.read_bytes()[:200])
        case "map size":
            write_png(folder / "exp11" / "specular.png", np.zeros((8, 8, 3), np.uint8))
        case "other size":
            for name in ("diffuse.png", "specular.png", "roughness.png", "normal.png"):
                write_png(folder / "exp11" / name, np.zeros((8, 8, 3), np.uint8))
        case "no template":
            (folder / "template.obj").unlink()
        case "two templates":
            for name in ("a.obj", "b.obj"):
                shutil.copyfile(folder / "template.obj", folder / name)
            (folder / "template.obj").unlink()
        case "json":
            (folder / "identity.json").write_text("{")
        case "newer":
            person = json.loads((folder / "identity.json").read_text())
            (folder / "identity.json").write_text(json.dumps(person | {"version": 7}))
        case "recipe":
            person = json.loads((folder / "identity.json").read_text())
            person["expressions"]["exp11"]["facs"] = {"AU1": "much"}
            (folder / "identity.json").write_text(json.dumps(person))
        case "size of head":
            (folder / "identity.json").unlink()
            for path in folder.glob("exp*/*.npy"):
                np.save(path, np.load(path) * np.float32(1e5))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("neutral", r"expected the neutral face in exp1, found exp9, exp11, exp33"),
        ("count", r"exp11.*: expected \d+ vertices"),
        ("more", r"expected \d+ vertices as in template\.obj, found 5000"),
        ("nan", r"expected finite positions within 1e.09, found NaN, infinity or more in 1 of"),
        ("dimensions", r"expected numbers of shape \(vertices, 3\), found float32 \(5, 2\)"),
        ("no array", r"shape\.npy: expected a NumPy"),
        ("pickle", r"never loaded"),
        ("map missing", r"exp11: expected diffuse\.png.* found no normal\.png"),
        ("map cut", r"diffuse\.png: expected a whole PNG"),
        ("map size", r"specular\.png: expected 48 x 48 as diffuse\.png, found 8 x 8"),
        ("other size", r"expected maps of \(48, 48\)"),
        ("no template", r"expected a template mesh"),
        ("two templates", r"expected one OBJ as template mesh, found a\.obj, b\.obj"),
        ("json", r"identity\.json: expected JSON"),
        ("newer", r"expected version 1, found 7"),
        ("recipe", r"identity.json: expected a recipe for exp11"),
        ("size of head", r"expected a head"),
    ],
)
def test_damage_is_told_in_one_line(copy: Path, how: str, message: str) -> None:
    _break(copy, how)
    with pytest.raises(FileFormatError, match=message) as caught:
        jreflectance.read(copy)
    assert "\n" not in str(caught.value)
    assert str(copy.parent) in str(caught.value)


def test_data_set_lists(tmp_path: Path, saved: Path) -> None:
    assert jreflectance.read_split(tmp_path) == ((), ())
    jreflectance.write_split(tmp_path, ("a", "b"), ("c",))
    assert jreflectance.read_split(tmp_path) == (("a", "b"), ("c",))
    assert json.loads((tmp_path / "train.json").read_text()) == ["a", "b"]
    with pytest.raises(ValueError, match="both"):
        jreflectance.write_split(tmp_path, ("a",), ("a",))
    (tmp_path / "test.json").write_text('{"a": 1}')
    with pytest.raises(FileFormatError, match="list of person names"):
        jreflectance.read_split(tmp_path)
    assert jreflectance.persons_of(saved.parent) == ("p001",)
