"""Films from the window."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialogButtonBox, QLabel

from engine.io.images import read_rgb
from engine.render.motion import Motion
from viewer.video import VideoDialog, VideoSettings

WAIT_MS = 120000
"""The process that draws starts anew and gives way to all others."""


def test_the_dialog_asks_for_something_that_moves(dark, qtbot, expressive) -> None:
    dialog = VideoDialog(expressive)
    qtbot.addWidget(dialog)
    dialog.show()
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    assert dialog.settings == VideoSettings(Motion(turntable=True, seconds=6.0, fps=30), (720, 720))
    dialog.turntable.click()
    assert not save.isEnabled()
    dialog.olat.click()
    assert save.isEnabled()
    assert dialog.settings.motion == Motion(olat=True, seconds=5.2, fps=30)  # one frame for each of 156 lamps
    dialog.olat.click()
    at = dialog.expressions.position(("Jaw Open", "Brows Up"))
    dialog.expressions.setCurrentIndex(at)
    dialog.expressions.activated.emit(at)
    assert save.isEnabled()
    assert dialog.settings.motion.expressions == ("Jaw Open", "Brows Up")
    cut = [
        label.text()
        for label in dialog.findChildren(QLabel)
        if label.width() < label.fontMetrics().horizontalAdvance(label.text())
    ]
    assert cut == []


@pytest.mark.timeout(400)
def test_a_film_is_written_beside_the_window_and_a_stopped_one_leaves_nothing(
    qtbot, open_window, expressive, tmp_path: Path
) -> None:
    window = open_window(expressive)
    settings = VideoSettings(Motion(turntable=True, expressions=("Brows Up",), seconds=0.2, fps=10), (32, 24))
    with qtbot.waitSignal(window.video.told, timeout=WAIT_MS):
        window.video.start(expressive, settings, str(tmp_path / "frames"))
        assert window.video.isVisibleTo(window)
        window.grab()
    assert [read_rgb(file).shape for file in sorted((tmp_path / "frames").iterdir())] == [(24, 32, 3)] * 2
    assert not window.video.isVisibleTo(window)
    assert "frames" in window.notifier.message
    long = VideoSettings(Motion(turntable=True, seconds=600, fps=60), (32, 24))
    with qtbot.waitSignal(window.video.jobs.stepped, timeout=WAIT_MS, check_params_cb=lambda n, step: step.index > 0):
        window.video.start(expressive, long, str(tmp_path / "long.mp4"))
    with qtbot.waitSignal(window.video.told, timeout=WAIT_MS):
        window.video.cancel_button.click()
    assert "Cancelled" in window.notifier.message
    assert [file.name for file in tmp_path.iterdir() if "settings" not in file.name] == ["frames"]
    with qtbot.waitSignal(window.video.failed, timeout=WAIT_MS):
        window.video.start(expressive, settings, str(tmp_path / "frames"))
    assert "empty or a new folder" in window.notifier.message
    assert not window.video.isVisibleTo(window)
