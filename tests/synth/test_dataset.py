"""Synthetic people in the published layout: written by the command, read back by the program's own reader."""

import json

import numpy as np
import pytest

from engine.cli import main
from engine.io.jreflectance import read
from engine.mesh import Part
from engine.vocabulary import NAMES
from tests.data import ICT, needs_data


@pytest.mark.data
@needs_data
def test_the_command_writes_people_that_read_back(tmp_path, capsys):
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


def test_one_person_cannot_be_split(tmp_path, capsys):
    assert main(["dataset", "synth", "--data", str(tmp_path), "--identities", "1", "--out", str(tmp_path)]) == 1
    assert "2 or more" in capsys.readouterr().err
