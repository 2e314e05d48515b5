"""Synthetic people in the published layout: written by the command, read back by the program's own reader."""

import json

import numpy as np
import pytest
import torch

from engine.cli import main
from engine.io.files import alone_in
from engine.io.jreflectance import read
from engine.mesh import Part
from engine.synth import dataset, generator
from engine.vocabulary import NAMES
from scripts.kill_writers import People, files_of, person_of
from tests.data import ICT, needs_data


class TestOnIct:
    pytestmark = needs_data

    def test_the_command_writes_people_that_read_back(self, tmp_path, capsys):
        order = ["dataset", "synth", "--data", str(ICT), "--identities", "2", "--seed", "4", "--out", str(tmp_path)]
        assert main(order) == 0
        assert "wrote 2 people x 32 expressions" in capsys.readouterr().out
        assert json.loads((tmp_path / "train.json").read_text()) == ["p000"]
        assert json.loads((tmp_path / "test.json").read_text()) == ["p001"]
        for name in ("shape.npy", "texture.png", "diffuse.png", "specular.png", "roughness.png", "normal.png"):
            assert (tmp_path / "p001" / "exp32" / name).exists()
        identity, expressions = read(tmp_path / "p001")
        assert set(expressions.names) == set(NAMES[1:])
        assert len(identity.topology.faces_of(Part.TEETH)) > 0
        jaw = expressions["Jaw Open"].offsets_m
        assert jaw[:, 1].min() < -0.015
        brows = expressions["Brows Up"].change.log_diffuse.astype(np.float32)
        assert brows.std() > 0.003
        before = (tmp_path / "p000" / "exp1" / "diffuse.png").stat().st_mtime_ns
        assert main(order) == 0  # goes on where it stopped: nothing is made twice
        assert (tmp_path / "p000" / "exp1" / "diffuse.png").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--identities", "1"], "--identities: expected 2 to"),
        (["--identities", "9" * 30], "--identities: expected 2 to"),
        (["--identities", "2", "--seed", "-1"], "--seed: expected 0 to"),
        (["--identities", "2", "--seed", "9" * 30], "--seed: expected 0 to"),
        (["--identities", "2"], "generic_neutral_mesh.obj"),  # no such data
    ],
)
def test_what_cannot_be_begun_is_one_line_and_leaves_no_folder(tmp_path, capsys, arguments, says):
    order = ["dataset", "synth", "--data", str(tmp_path / "mistyped"), "--out", str(tmp_path / "set"), *arguments]
    assert main(order) == 1
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert not (tmp_path / "set").exists()


@pytest.fixture
def synth(tmp_path, monkeypatch):
    """The command on an instant source of people, into tmp_path / "set" unless told otherwise."""
    monkeypatch.setattr(generator, "Population", People)
    monkeypatch.setattr(dataset, "synthetic_identity", person_of)

    def run(*arguments, out="set"):
        base = ["dataset", "synth", "--data", str(tmp_path), "--identities", "3", "--out", str(tmp_path / out)]
        return main([*base, *arguments])

    threads = torch.get_num_threads()
    yield run
    torch.set_num_threads(threads)


def test_what_was_stopped_goes_on_to_the_same_bytes(tmp_path, synth, monkeypatch):
    assert synth(out="whole") == 0
    whole = files_of(tmp_path / "whole")

    def stopped(source, number):
        if number == 1:
            raise KeyboardInterrupt
        return person_of(source, number)

    monkeypatch.setattr(dataset, "synthetic_identity", stopped)
    assert synth() == 130
    manifest = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert manifest["complete"] is False
    assert not (tmp_path / "set" / "train.json").exists()
    monkeypatch.setattr(dataset, "synthetic_identity", person_of)
    monkeypatch.setattr(dataset, "usable_cores", lambda: manifest["threads"] + 3)  # another machine, or fewer cores
    assert synth() == 0
    assert files_of(tmp_path / "set") == whole
    assert torch.get_num_threads() == manifest["threads"]
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["complete"] is True


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (["--seed", "1"], "expected the seed it was begun with, 0, found 1"),
        (["--identities", "4"], "expected the identities it was begun with, 3, found 4"),
        ("code", "expected the code it was begun with"),
        ("data", "expected the data it was begun with"),
    ],
)
def test_other_arguments_data_or_code_are_refused(tmp_path, synth, monkeypatch, capsys, change, says):
    assert synth() == 0
    before = files_of(tmp_path / "set")
    if change == "code":
        monkeypatch.setattr(dataset, "code_digest", lambda *folders: "another")
    elif change == "data":
        (tmp_path / "FaceXModel").mkdir()
        (tmp_path / "FaceXModel" / "generic_neutral_mesh.obj").write_text("v 0 0 0")
    assert synth(*(change if isinstance(change, list) else [])) == 1
    assert says in capsys.readouterr().err
    assert files_of(tmp_path / "set") == before


def test_data_of_another_content_are_other_data(tmp_path, synth, capsys):
    (tmp_path / "FaceXModel").mkdir()
    mesh, modes = tmp_path / "FaceXModel" / "generic_neutral_mesh.obj", tmp_path / "identity_modes.npz"
    mesh.write_text("v 0 0 0")
    modes.write_text("one")
    assert synth() == 0
    for path, text in ((mesh, "v 9 0 0"), (modes, "two")):
        before = path.read_text()
        path.write_text(text)
        assert synth() == 1
        assert "expected the data it was begun with" in capsys.readouterr().err
        path.write_text(before)
    assert synth() == 0


def test_what_nobody_was_written_to_is_begun_anew(tmp_path, synth, monkeypatch):
    """A mistyped seed that was stopped at once."""

    def stopped(source, number):
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset, "synthetic_identity", stopped)
    assert synth("--seed", "5") == 130
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["seed"] == 5
    monkeypatch.setattr(dataset, "synthetic_identity", person_of)
    assert synth() == 0
    assert synth(out="whole") == 0
    assert files_of(tmp_path / "set") == files_of(tmp_path / "whole")


def test_a_person_with_something_missing_is_made_again(tmp_path, synth):
    assert synth() == 0
    whole = files_of(tmp_path / "set")
    (tmp_path / "set" / "p001" / "exp9" / "normal.png").unlink()
    assert synth() == 0
    assert files_of(tmp_path / "set") == whole


@pytest.mark.parametrize("text", ['{"format": "expdiff data set"}', '{"format": "another"}', "[1]", "{"])
def test_manifests_that_are_not_ours_are_refused(tmp_path, synth, capsys, text):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dataset.json").write_text(text)
    assert synth() == 1
    assert "expected" in capsys.readouterr().err
    assert (tmp_path / "set" / "dataset.json").read_text() == text


def test_two_do_not_write_one_data_set(tmp_path, synth, capsys):
    with alone_in(tmp_path / "set"):
        assert synth() == 1
    assert "expected nobody else who writes there" in capsys.readouterr().err
    assert not (tmp_path / "set" / "dataset.json").exists()
    assert synth() == 0
