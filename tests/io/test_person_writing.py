"""Person folders while they are written: what is said of those that were not finished, and what is never touched."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from engine.errors import ExportError, FileFormatError
from engine.expression import ExpressionSet
from engine.identity import Identity
from engine.io import jreflectance
from engine.io.files import writing_into
from engine.io.jreflectance_writer import prepare, write
from tests.heads import make_expressions, make_head

NAMES = ("Jaw Open", "Brows Up", "a sly grin")


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(32)


@pytest.fixture(scope="module")
def made(head: Identity) -> ExpressionSet:
    return make_expressions(head, NAMES)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_some(head: Identity, expressions: ExpressionSet, folder: Path, steps: int) -> None:
    """Write until `steps` are done, then stop as a cancel does."""
    writing = write(head, expressions, folder)
    for _ in range(steps):
        next(writing)
    writing.close()


def read_and_note(folder: Path, caplog: pytest.LogCaptureFixture) -> tuple[tuple[str, ...], str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="engine"):
        _, expressions = jreflectance.read(folder)
    return expressions.names, caplog.text


def test_a_folder_that_is_not_finished_says_what_is_missing(
    head: Identity, made: ExpressionSet, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys
) -> None:
    person, whole = tmp_path / "p", tmp_path / "whole"
    for _ in write(head, made, whole):
        assert json.loads((whole / "identity.json").read_text())["complete"] is False
    assert read_and_note(whole, caplog) == (("Brows Up", "Jaw Open", "a sly grin"), "")
    assert json.loads((whole / "identity.json").read_text())["complete"] is True
    write_some(head, made, person, 2)
    assert json.loads((person / "identity.json").read_text())["complete"] is False
    names, note = read_and_note(person, caplog)
    assert names == ("Jaw Open",)
    assert "not written to the end" in note
    assert "missing: Brows Up, a sly grin" in note
    assert main(["info", str(person)]) == 0
    out, err = capsys.readouterr()
    assert "missing     Brows Up, a sly grin" in out
    assert "expdiff: note: " in err
    list(write(head, made, person))
    assert files_of(person) == files_of(whole)
    shutil.rmtree(person / "exp9")
    assert "missing: Brows Up; though identity.json lists them" in read_and_note(person, caplog)[1]


def test_what_is_written_anew_is_the_old_or_the_new(
    head: Identity, made: ExpressionSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = tmp_path / "p"
    list(write(head, made, person))
    before = files_of(person)
    (person / "exp11" / "notes.txt").write_text("mine")
    (person / "exp11" / "old").mkdir()
    (person / "exp11" / "old" / "shape.npy").write_text("mine too")
    write_some(head, make_expressions(head, NAMES, seed=5), person, 2)
    now = files_of(person)
    changed = {name for name in before if now[name] != before[name]}
    assert changed == {"identity.json"} | {name for name in before if name.startswith("exp11/")}
    assert {name: data for name, data in now.items() if name not in before} == {
        "exp11/notes.txt": b"mine",
        "exp11/old/shape.npy": b"mine too",
    }
    names, note = read_and_note(person, caplog)
    assert names == ("Brows Up", "Jaw Open", "a sly grin")
    assert "as before: Brows Up, a sly grin" in note


@pytest.mark.parametrize("there", ["exp11/shape.npy", "identity.json", "notes.txt", ".hidden", "exp1"])
def test_a_folder_of_somebody_else_is_refused(head: Identity, made: ExpressionSet, tmp_path: Path, there: str) -> None:
    path = tmp_path / there
    path.parent.mkdir(exist_ok=True)
    if there == "exp1":
        path.mkdir()
    else:
        path.write_text('{"format": "another program"}')
    before = files_of(tmp_path)
    with pytest.raises(ExportError, match="files this program did not write"):
        list(write(head, made, tmp_path))
    assert files_of(tmp_path) == before


def test_expressions_that_are_not_listed_are_never_touched(
    head: Identity, made: ExpressionSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = tmp_path / "p"
    list(write(head, ExpressionSet(head.hash, made.expressions[:1]), person))
    shutil.copytree(person / "exp11", person / "exp33")
    before = files_of(person)
    list(write(head, make_expressions(head, ("a sly grin",)), person))
    after = files_of(person)
    assert {name: after[name] for name in before if name != "identity.json"} == {
        name: data for name, data in before.items() if name != "identity.json"
    }
    assert read_and_note(person, caplog) == (("Jaw Open", "exp33", "a sly grin"), "")
    shutil.copytree(person / "exp11", person / "exp9")
    before = files_of(person)
    with pytest.raises(ExportError, match="exp9: expected no such folder"):
        list(write(head, made, person))
    assert files_of(person) == before


def test_other_maps_of_the_same_head_are_another_person(head: Identity, made: ExpressionSet, tmp_path: Path) -> None:
    list(write(head, made, tmp_path))
    before = files_of(tmp_path)
    rough = replace(head, maps=replace(head.maps, roughness_data=head.maps.roughness_data // 2))
    with pytest.raises(ExportError, match=r"another roughness\.png"):
        list(write(rough, ExpressionSet(rough.hash), tmp_path))
    assert files_of(tmp_path) == before


def test_folders_of_the_version_before_are_read_and_finished(
    head: Identity, made: ExpressionSet, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It listed everything first, without `complete`, and wrote file by file."""
    person, whole = tmp_path / "p", tmp_path / "whole"
    for folder in (person, whole):
        list(write(head, made, folder))
    manifest = json.loads((person / "identity.json").read_text())
    del manifest["complete"]
    (person / "identity.json").write_text(json.dumps(manifest))
    assert read_and_note(person, caplog) == (("Brows Up", "Jaw Open", "a sly grin"), "")
    shutil.rmtree(person / "exp33")
    assert "missing: a sly grin" in read_and_note(person, caplog)[1]
    (person / "exp9" / "normal.png").unlink()
    with pytest.raises(FileFormatError, match=r"no normal\.png"):
        jreflectance.read(person)
    list(write(head, made, person))
    assert files_of(person) == files_of(whole)


def test_nothing_is_made_where_it_is_only_asked(head: Identity, tmp_path: Path) -> None:
    assert prepare(head, tmp_path / "deep" / "p", ("Jaw Open", "a grin")) == ({}, {"Jaw Open": 11, "a grin": 33})
    assert list(tmp_path.iterdir()) == []


def test_lists_of_somebody_else_are_refused(head: Identity, made: ExpressionSet, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('["img_1.jpg", "img_2.jpg"]')
    with pytest.raises(FileFormatError, match=r"train\.json: expected names of person folders"):
        jreflectance.check_split(tmp_path)
    list(write(head, made, tmp_path / "img_1.jpg"))
    jreflectance.check_split(tmp_path)
    compact = (tmp_path / "train.json").read_bytes()
    jreflectance.write_split(tmp_path, ("img_1.jpg", "img_2.jpg"), ("p",))
    assert (tmp_path / "train.json").read_bytes() == compact


@pytest.mark.parametrize(("field", "value"), [("complete", "yes"), ("unfinished", [1]), ("unfinished", {"../x": {}})])
def test_damaged_manifests_are_one_line(head: Identity, made: ExpressionSet, tmp_path: Path, field, value) -> None:
    list(write(head, made, tmp_path))
    manifest = json.loads((tmp_path / "identity.json").read_text())
    (tmp_path / "identity.json").write_text(json.dumps(manifest | {field: value}))
    with pytest.raises(FileFormatError, match=r"identity\.json: expected"):
        jreflectance.read(tmp_path)
    with pytest.raises(FileFormatError):
        list(write(head, made, tmp_path))
    assert np.load(tmp_path / "exp1" / "shape.npy").shape[1] == 3


def test_two_writers_of_a_folder_wait_for_each_other(head: Identity, made: ExpressionSet, tmp_path: Path) -> None:
    folder = tmp_path / "person"
    first = write(head, made, folder)
    next(first)
    grin = made["a sly grin"]
    second = write(head, ExpressionSet(head.hash, (replace(grin, name="a wide grin"),)), folder)
    waits = next(second)
    assert (waits.index, waits.label) == (0, "until another export into this folder is done")
    for _ in first:
        pass
    names = [step.label for step in second]
    assert names[-1] == "a wide grin"
    listed = json.loads((folder / "identity.json").read_text())
    assert listed["complete"]
    assert {recipe["name"] for recipe in listed["expressions"].values()} >= {*NAMES, "a wide grin"}


def test_another_head_that_waited_is_refused(head: Identity, made: ExpressionSet, tmp_path: Path) -> None:
    folder, other = tmp_path / "person", make_head(32, seed=9)
    second = write(other, make_expressions(other, NAMES), folder)
    with writing_into(folder) as take:  # another process, which has written nothing yet
        assert take()
        assert next(second).index == 0
    deque(write(head, made, folder), maxlen=0)
    before = files_of(folder)
    with pytest.raises(ExportError, match="expected this head's maps, found another"):
        next(second)
    assert files_of(folder) == before


def test_a_writer_that_stops_lets_the_next_one_in(head: Identity, made: ExpressionSet, tmp_path: Path) -> None:
    first = write(head, made, tmp_path / "person")
    next(first)
    first.close()
    assert [step.label for step in write(head, made, tmp_path / "person")][-1] == NAMES[-1]


def test_links_that_somebody_put_beside_an_expression_stay_links(
    head: Identity, made: ExpressionSet, tmp_path: Path
) -> None:
    folder, elsewhere = tmp_path / "person", tmp_path / "elsewhere"
    deque(write(head, made, folder), maxlen=0)
    elsewhere.mkdir()
    (elsewhere / "large.bin").write_bytes(b"large")
    os.mkfifo(elsewhere / "pipe")
    links = {"refs": elsewhere, "up": Path(".."), "gone": Path("/nonexistent"), "waits": elsewhere / "pipe"}
    for name, target in links.items():
        (folder / "exp9" / name).symlink_to(target)
    deque(write(head, made, folder), maxlen=0)
    assert {name: Path(os.readlink(folder / "exp9" / name)) for name in links} == links
    assert json.loads((folder / "identity.json").read_text())["complete"]


def test_a_prompt_takes_a_free_number_that_can_be_read_again(
    head: Identity, made: ExpressionSet, tmp_path: Path
) -> None:
    folder = tmp_path / "person"
    deque(write(head, made, folder), maxlen=0)
    shutil.copytree(folder / "exp9", folder / "exp99999")
    grin = replace(made["a sly grin"], name="a wide grin")
    deque(write(head, ExpressionSet(head.hash, (grin,)), folder), maxlen=0)
    assert json.loads((folder / "identity.json").read_text())["expressions"]["exp34"]["name"] == "a wide grin"
    assert "a wide grin" in jreflectance.read(folder)[1].names
