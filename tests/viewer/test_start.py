"""The program's start in a process of its own: without a display, without OpenGL, and what it writes to its log."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtWidgets import QPlainTextEdit

from tests.viewer import hand
from viewer.log import LARGEST_BYTES, LogDialog, log_path, start_log, stop_log
from viewer.notify import describe, install_hook

_WITHOUT = "expdiff render, video and generate work without"


def _started(tmp_path: Path, **changes: str | None) -> subprocess.CompletedProcess[str]:
    """`expdiff demo` with environment variables changed, or taken out where None."""
    environment = {**os.environ, "EXPDIFF_LOG": str(tmp_path / "studio.log"), **changes}
    environment["EXPDIFF_DRAFTS"] = str(tmp_path / "drafts")
    kept = {name: value for name, value in environment.items() if value is not None}
    command = [sys.executable, "-m", "engine.cli", "demo"]
    return subprocess.run(command, env=kept, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"DISPLAY": None, "WAYLAND_DISPLAY": None}, "found neither DISPLAY nor WAYLAND_DISPLAY set"),
        ({"DISPLAY": ":4711", "WAYLAND_DISPLAY": None}, "found none that answers at ':4711'"),
        ({"DISPLAY": None, "WAYLAND_DISPLAY": "nowhere-0"}, "found none that answers at 'nowhere-0'"),
        ({"QT_XCB_GL_INTEGRATION": "none"}, "expected OpenGL 4.1 on this display, found none"),
        ({"MESA_GL_VERSION_OVERRIDE": "3.3"}, "expected OpenGL 4.1 or newer, found 3.3"),
    ],
)
def test_without_display_or_opengl_one_line_says_so_and_it_ends_with_1(tmp_path: Path, qapp, changes, says) -> None:
    ended = _started(tmp_path, QT_QPA_PLATFORM="xcb", **changes)
    assert ended.returncode == 1
    assert ended.stderr.startswith("expdiff: error: the window: expected")
    assert says in ended.stderr
    assert ended.stderr.strip().endswith(_WITHOUT)
    assert ended.stderr.count("\n") == 1
    assert ended.stdout == ""


def test_the_log_is_small_and_holds_what_nobody_caught(qapp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPDIFF_LOG", str(tmp_path / "deep" / "studio.log"))
    told: list[str] = []
    log, restore = start_log(), install_hook(told.append)
    try:
        try:
            raise KeyError("nose")
        except KeyError as error:
            sys.excepthook(KeyError, error, error.__traceback__)
        logging.getLogger("engine.io").info("units: metres")
        text = log_path().read_text()
        for _ in range(60):
            logging.getLogger("engine").info("x" * 10_000)
    finally:
        restore()
        stop_log(log)
    assert "Traceback" in text
    assert "KeyError: 'nose'" in text
    assert "units: metres" in text
    assert told == [f"Unexpected KeyError: 'nose' (details are in {log_path()})"]
    sizes = [path.stat().st_size for path in (tmp_path / "deep").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) <= LARGEST_BYTES
    logging.getLogger("engine").info("after")
    assert "after" not in log_path().read_text()


def test_a_place_that_cannot_be_written_costs_the_log_only(qapp, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EXPDIFF_LOG", str(tmp_path / "file" / "studio.log"))
    stop_log(start_log())


def test_show_log_shows_its_end_and_where_it_lies(open_window, expressive, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("EXPDIFF_LOG", str(tmp_path / "studio.log"))
    (tmp_path / "studio.log").write_text("first\nlast line\n", encoding="utf-8")
    window, seen = open_window(expressive), []

    def look(dialog: LogDialog) -> None:
        field = dialog.findChild(QPlainTextEdit)
        assert field is not None
        seen.append(field.toPlainText())
        hand.click(hand.button_of(dialog, "Close"))

    with hand.answering(look):
        hand.choose(window, hand.item(window.menuBar(), "Show Log"))
    assert seen == ["first\nlast line\n"]


def test_an_engine_error_is_one_line_and_any_other_names_the_log() -> None:
    assert describe(OSError(28, "No space left on device", "/x")) == "No space left on device: /x"
    assert str(log_path()) in describe(ValueError("two\nlines"))
