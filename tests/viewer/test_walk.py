"""The walk over every control (`walk.py`), in windows of their own: a small screen, twice the scale, German numbers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

ROOT = Path(__file__).parents[2]
SCREENS: dict[str, tuple[tuple[int, int], tuple[str, ...], dict[str, str]]] = {
    "1280 x 720": ((1280, 720), (), {}),
    "1920 x 1080 at 200 %": ((960, 540), ("--few",), {"QT_SCALE_FACTOR": "2"}),
    "German": ((1280, 720), ("--few",), {"LC_ALL": "de_DE.UTF-8"}),
}
"""Size of the window in device-independent pixels, as large as the screen; options of the walk; the environment."""


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All at once, since each waits a good part of its time."""
    xvfb = which("xvfb-run")
    assert xvfb, "expected xvfb-run: scripts/system-packages says how to get it"
    started = {}
    for name, (size, options, environment) in SCREENS.items():
        scale = int(environment.get("QT_SCALE_FACTOR", "1"))
        screen = f"-screen 0 {size[0] * scale}x{size[1] * scale}x24"
        command = [xvfb, "-a", "-s", screen, sys.executable, "-m", "tests.viewer.walk", *options, *map(str, size)]
        own = {"PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "xcb", "XDG_CONFIG_HOME": str(tmp_path_factory.mktemp("qt"))}
        environment = {**os.environ, **own, **environment}
        started[name] = subprocess.Popen(
            command, env=environment, cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True
        )
    yield started
    for process in started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)  # with the X server and the window that it started
        process.wait()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", SCREENS)
def test_every_control_does_something_and_none_fails(name: str, walks, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = walks[name].communicate()
    report = json.loads(out.splitlines()[-1])
    size, options, environment = SCREENS[name]
    counts = ", ".join(f"{number} {kind}" for kind, number in report["controls"].items())
    with capsys.disabled():
        print(f"\n{name}: {counts}; {report['events']} events, {report['seconds']:.0f} s")
    assert report["faults"] == []
    assert report["screen"] == list(size)
    assert report["scale"] == float(environment.get("QT_SCALE_FACTOR", "1"))
    assert "LC_ALL" not in environment or report["locale"] == environment["LC_ALL"].split(".")[0]
    assert report["events"] > (500 if options else 2000)
