"""The commands that open a window: each in a process of its own, closed once its first picture is painted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.export import export_jreflectance
from engine.io.images import write_png
from engine.project import Project, new_project
from tests.data import FFHQ_UV, needs_data
from tests.documents import ROOT
from tests.heads import make_expressions, make_head, write_mesh

CHILD = """
import json, sys
from PySide6.QtCore import QTimer
from viewer import app
make = app.make_window
def watched(*args, **named):
    window = make(*args, **named)
    def painted():
        print(json.dumps({"title": window.windowTitle(), "head": window.document.project.identity.name}), flush=True)
        QTimer.singleShot(0, window.close)
    window.viewport.painted.connect(painted)
    return window
app.make_window = watched
from engine.cli import main
sys.exit(main(sys.argv[1:]))
"""


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`expdiff` with `arguments` from `folder`, with settings and cache of its own."""
    own = {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": str(folder / "config"), "EXPDIFF_CACHE": str(folder / "cache")}
    own["EXPDIFF_DRAFTS"] = str(folder / "drafts")
    command = [sys.executable, "-c", CHILD, *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | own, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def desk(tmp_path: Path, qapp) -> Path:
    """A person folder and a mesh beside a picture that does not say which map it is."""
    head = make_head(32)
    export_jreflectance(Project(head, make_expressions(head), {}, new_project(head).scene), tmp_path / "FOLDER")
    write_mesh(tmp_path / "head.obj")
    write_png(tmp_path / "face_01.png", head.maps.diffuse_srgb)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        ("demo",),
        ("demo", "--seed", "7"),
        pytest.param(("view", str(FFHQ_UV / "teaser_1")), marks=needs_data),
        pytest.param(("view", str(FFHQ_UV / "teaser_1"), "--hair", "grow"), marks=needs_data),
        ("view", "FOLDER"),
        ("view", "FOLDER", "--maps", "specular=f0,normal=directx"),
        ("view", "head.obj", "--map", "diffuse=face_01.png"),
        ("view", "FOLDER", "--model", str(ROOT / "engine" / "diffusion" / "weights")),
        ("view",),
    ],
    ids=" ".join,
)
def test_commands_open_a_window(desk: Path, arguments: tuple[str, ...]) -> None:
    done = start(desk, *arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    seen = json.loads(done.stdout.splitlines()[0])
    assert seen["title"].startswith(seen["head"])


def test_a_folder_without_weights_is_refused_before_a_window_opens(desk: Path) -> None:
    done = start(desk, "view", "FOLDER", "--model", "FOLDER")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("expdiff: error: FOLDER: expected a folder of weights")
    assert done.stderr.count("\n") == 1
