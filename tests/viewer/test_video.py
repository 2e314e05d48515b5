"""Films from the window."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialogButtonBox, QLabel

from engine.io.images import read_rgb
from engine.jobs import State
from engine.render.motion import Motion
from tests.viewer import hand
from tests.viewer.work import file_work_over
from viewer.files import exporting_video
from viewer.video import VideoDialog, VideoSettings

WAIT_MS = 120000
"""The process that draws starts anew and gives way to all others."""


def test_the_dialog_asks_for_something_that_moves(dark, qtbot, expressive) -> None:
    dialog = VideoDialog(expressive)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitExposed(dialog)
    save = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Save)
    assert dialog.settings == VideoSettings(Motion(turntable=True, seconds=6.0, fps=30), (720, 720))
    hand.click(dialog.turntable)
    assert not save.isEnabled()
    hand.click(dialog.olat)
    assert save.isEnabled()
    assert dialog.settings.motion == Motion(olat=True, seconds=5.2, fps=30)  # one frame for each of 156 lamps
    hand.click(dialog.olat)
    hand.pick(dialog.expressions, "all there are, in turn")
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
    with qtbot.waitSignal(window.jobs.changed, timeout=WAIT_MS, check_params_cb=file_work_over()):
        window.export_video_to(str(tmp_path / "frames"), settings)
        assert window.job_bar.isVisible()
    assert [read_rgb(file).shape for file in sorted((tmp_path / "frames").iterdir())] == [(24, 32, 3)] * 2
    assert not window.job_bar.isVisible()
    assert "frames" in window.notifier.message
    long = VideoSettings(Motion(turntable=True, seconds=600, fps=60), (32, 24))
    ended: list[tuple[str, State]] = []
    window.jobs.changed.connect(lambda job: ended.append((job.label, job.state)))
    window.export_video_to(str(tmp_path / "long.mp4"), long)
    window.export_video_to(str(tmp_path / "frames"), settings)  # waits for its turn; the place is taken
    qtbot.waitUntil(lambda: "frame " in window.job_bar.label.text(), timeout=WAIT_MS)
    hand.click(window.job_bar.cancel)
    hand.click(window.job_bar.list, window.job_bar.list.actionGeometry(window.job_bar.list.actions()[0]).center())
    with qtbot.waitSignal(window.jobs.changed, timeout=WAIT_MS, check_params_cb=file_work_over(State.FAILED)):
        qtbot.waitUntil(lambda: ("Writing long.mp4", State.CANCELLED) in ended, timeout=WAIT_MS)
    assert [file.name for file in tmp_path.iterdir() if "settings" not in file.name] == ["frames"]
    assert "empty or a new folder" in window.notifier.message
    assert not window.job_bar.isVisible()


@pytest.mark.timeout(400)
def test_a_film_stopped_after_its_last_frame_leaves_nothing(expressive, tmp_path: Path) -> None:
    motion = Motion(turntable=True, seconds=0.2, fps=10)
    with closing(exporting_video(expressive, motion, (32, 24), str(tmp_path / "film.mp4"))) as steps:
        next(step for step in steps if (step.index, step.total) == (2, 2))
        time.sleep(1.0)  # in which a process that does not wait to be asked ends the film
    assert list(tmp_path.iterdir()) == []
