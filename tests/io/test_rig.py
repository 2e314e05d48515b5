"""Lamps from files, good and bad."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engine.errors import FileFormatError
from engine.io.rig import read_mixture, read_rig
from engine.scene import MOST_STAGE_LAMPS

ROWS = np.array([(0.0, 0.0, 2.0), (0.3, -0.4, 0.0), (1.0, 1.0, 1.0)])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rig.json", json.dumps(ROWS.tolist())),
        ("lights.json", json.dumps({"lights": [{"file": "0.png", "direction": row} for row in ROWS.tolist()]})),
        ("rig.txt", "# x y z\n0 0 2\n\n.3 -.4 0 # low\n1 1 1\n"),
        ("rig.csv", "0,0,2\n0.3,-0.4,0\n1,1,1\n"),
        ("semicolons.csv", "0; 0; 2\n0.3; -0.4; 0\n1; 1; 1\n"),
        ("rig.npy", None),
    ],
)
def test_every_format_gives_unit_directions(tmp_path: Path, name: str, content: str | None) -> None:
    path = tmp_path / name
    if content is None:
        np.save(path, ROWS.astype(np.float32))
    else:
        path.write_text(content)
    found = read_rig(path)
    np.testing.assert_allclose(found, ROWS / np.linalg.norm(ROWS, axis=1)[:, None], atol=1e-7)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("rig.obj", "v 0 0 1", r"\.json, \.txt, \.csv, \.npy"),
        ("rig.txt", "", "found 0"),
        ("rig.txt", "0 0 1\n0 nan 1\n", "lamp 1"),
        ("rig.txt", "0 0 1\n0 0\n", "line 2, found 2"),
        ("rig.txt", "x y z\n0 0 1\n", "line 1, found words"),
        ("rig.txt", "0 0 1\n0 0 0\n", "lamp 1 at 0, 0, 0"),
        ("rig.csv", "0,0,1\n" * (MOST_STAGE_LAMPS + 1), "found 4097"),
        ("rig.json", "[[0, 0, 1], [0, 1]]", "three numbers"),
        ("rig.json", '[[0, 0, "up"]]', "three numbers"),
        ("rig.json", '{"lights": [{"position": [0, 0, 1]}]}', "three numbers"),
        ("rig.json", '{"lamps": []}', "found no list"),
        ("rig.json", "7", "found no list"),
        ("rig.json", "[[0, 0, 1]", "JSON"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str, content: str, says: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(FileFormatError, match=says) as caught:
        read_rig(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 2)), r"shape \(3, 2\)"),
        (np.array([None, 1], object), "dtype object"),
        (np.array([["a", "b", "c"]]), "U1"),
        (np.full((2, 3), np.inf), "lamp 0"),
    ],
)
def test_arrays_that_are_no_rig(tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.save(tmp_path / "rig.npy", array, allow_pickle=True)
    with pytest.raises(FileFormatError, match=says):
        read_rig(tmp_path / "rig.npy")
    with pytest.raises(FileFormatError, match=r"none\.npy"):
        read_rig(tmp_path / "none.npy")


def test_a_mixture_keeps_its_numbers_and_is_never_dark(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("0 2 0.5\n0 0 0\n")
    np.testing.assert_array_equal(read_mixture(path), [(0, 2, 0.5), (0, 0, 0)])
    path.write_text("0 -2 0.5\n")
    with pytest.raises(FileFormatError, match="0 or more"):
        read_mixture(path)
