"""Writers that are killed at random moments, a few times; `scripts/kill_writers.py` does it as often as one likes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.export import export_jreflectance
from scripts.kill_writers import faults_after_kill, files_of, project

ROOT = Path(__file__).parents[1]


def test_what_is_killed_looks_unfinished_and_comes_to_the_same_end() -> None:
    command = [sys.executable, "-m", "scripts.kill_writers", "--kills", "10", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()[2:]]
    assert [int(row[3]) for row in rows] == [2] * 5


@pytest.mark.parametrize("harm", ["cut", "mixture", "gone", "complete", "unlisted"])
def test_harm_is_seen(tmp_path: Path, harm: str) -> None:
    """What the killing looks for is found where it is put."""
    person = tmp_path / "p"
    export_jreflectance(project(1), person)
    before = files_of(tmp_path)
    export_jreflectance(project(2), person)
    after = files_of(tmp_path)
    assert faults_after_kill(tmp_path, before, after) == []
    match harm:
        case "cut":
            (person / "eye.png").write_bytes((person / "eye.png").read_bytes()[:50])
        case "mixture":
            export_jreflectance(project(1), tmp_path / "old")
            shutil.copy(tmp_path / "old" / "exp9" / "shape.npy", person / "exp9" / "shape.npy")
            shutil.rmtree(tmp_path / "old")
        case "gone":
            (person / "occlusion.npy").unlink()
        case "complete":
            shutil.rmtree(person / "exp9")
        case "unlisted":
            manifest = json.loads((person / "identity.json").read_text())
            del manifest["expressions"]["exp9"]
            (person / "identity.json").write_text(json.dumps(manifest))
    assert faults_after_kill(tmp_path, before, after) != []
