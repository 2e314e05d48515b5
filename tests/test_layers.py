"""What may import what, and what no tracked file may name."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "moderngl", "PySide6")


@pytest.mark.parametrize("module", ["engine", "engine.cli", "engine.synth.dataset"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_imports_point_one_way():
    program = shutil.which("lint-imports", path=str(Path(sys.executable).parent)) or shutil.which("lint-imports")
    if program is None:
        pytest.skip("import-linter is not installed")
    result = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_no_tracked_file_names_a_place_of_one_machine():
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    # a folder at the start of a path: not the tail of an address or of another path
    place = re.compile(rb"(?<![\w./~-])/(?:work|root|tmp/bash_jobs|home/[a-z]+)(?![\w.-])")
    found = []
    for name in filter(None, listed):
        path = ROOT / name.decode()
        if path.is_file() and Path(__file__) != path and (match := place.search(path.read_bytes())):
            found.append(f"{name.decode()}: {match[0].decode()}")
    assert not found
