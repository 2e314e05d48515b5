"""Unsaved work is kept in a draft, and offered after the process that held it has ended without asking."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings

from engine.errors import FileFormatError
from engine.io.drafts import Draft, drafts_folder, left_over, new_draft
from engine.io.project import load_project
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer import hand, kill_window
from tests.viewer.work import make_step_by_step
from viewer import autosave
from viewer.dialogs import Answer
from viewer.generation import OTHERS, Settings
from viewer.panels.expressions import ExpressionsPanel
from viewer.window import MainWindow

WAIT_MS = 20000


@pytest.fixture(autouse=True)
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXPDIFF_DRAFTS", str(tmp_path / "drafts"))
    monkeypatch.setattr(autosave, "EVERY_MS", 50)
    return tmp_path / "drafts"


@pytest.fixture
def open_kept(dark, qtbot, settings: QSettings):
    """Makes windows that keep drafts."""
    windows: list[MainWindow] = []

    def make(project: Project, answer: Answer = Answer.DISCARD) -> MainWindow:
        ask = lambda parent, name: answer  # noqa: E731
        window = MainWindow(project, settings, make_step_by_step, ask=ask, windows=windows, new_draft=new_draft)
        window.resize(1280, 800)
        with qtbot.waitSignal(window.viewport.painted, timeout=WAIT_MS):
            window.show()
        return window

    yield make
    for window in [*windows]:
        window.finish()
        window.close()
        window.deleteLater()


def _type_weight(window: MainWindow, name: str, text: str) -> None:
    hand.fill(window.findChild(ExpressionsPanel).rows[name].slider.number, text)


def _kept(drafts: Path) -> dict[str, object] | None:
    """Weights in the one draft that is held, read as a project of an archive would be; None for none."""
    texts = list(drafts.glob("*/project.json"))
    assert len(texts) < 2
    if not texts:
        return None
    try:
        return dict(Draft(texts[0].parent, None).read()[0].weights)
    except FileFormatError:  # it went while it was read
        if texts[0].exists():
            raise
        return None


def _leave(project: Project, path: str | None = None) -> Path:
    """What a window that was killed leaves."""
    draft = new_draft()
    for _ in draft.write(project, path):
        pass
    draft.release()
    return draft.folder


def _answer(button: str, texts: list[str]) -> Callable[[object], None]:
    def answer(dialog) -> None:
        texts.append(dialog.text())
        hand.click(hand.button_of(dialog, button))

    return answer


# A window that keeps


def test_changes_are_kept_until_they_are_saved_or_undone(qtbot, open_kept, expressive, drafts, tmp_path: Path):
    window = open_kept(expressive)
    hand.wheel(window.viewport, 1)
    qtbot.wait(200)
    assert list(drafts.glob("*")) == []  # the camera is no change
    _type_weight(window, "Jaw Open", "0.5")
    qtbot.waitUntil(lambda: _kept(drafts) == {"Jaw Open": 0.5}, timeout=WAIT_MS)
    _type_weight(window, "Brows Up", "0.25")
    qtbot.waitUntil(lambda: _kept(drafts) == {"Jaw Open": 0.5, "Brows Up": 0.25}, timeout=WAIT_MS)
    window.document.path = str(tmp_path / "a.expdiff")
    hand.keys("Ctrl+S")
    qtbot.waitUntil(lambda: _kept(drafts) is None, timeout=WAIT_MS)
    hand.choose(window, window.menus.undo)
    qtbot.waitUntil(lambda: _kept(drafts) == {"Jaw Open": 0.5}, timeout=WAIT_MS)
    hand.choose(window, window.menus.redo)
    qtbot.waitUntil(lambda: _kept(drafts) is None, timeout=WAIT_MS)


def test_what_is_no_longer_used_is_not_kept(qtbot, open_kept, expressive, drafts):
    window = open_kept(expressive)
    _type_weight(window, "Jaw Open", "0.5")
    qtbot.waitUntil(lambda: _kept(drafts) is not None, timeout=WAIT_MS)
    before = set(drafts.glob("*/arrays/*"))
    window.generation.settings = Settings(seed=9)  # another picture than those that are there
    window.generation.start(("Lip Suck",))
    qtbot.waitUntil(lambda: len(set(drafts.glob("*/arrays/*"))) > len(before), timeout=WAIT_MS)
    hand.choose(window, window.menus.undo)
    qtbot.waitUntil(lambda: set(drafts.glob("*/arrays/*")) == before, timeout=WAIT_MS)


def test_a_window_that_is_closed_leaves_nothing_and_one_that_ends_unasked_leaves_its_draft(
    qtbot, open_kept, expressive, drafts
):
    for asked in (True, False):
        window = open_kept(expressive)
        _type_weight(window, "Jaw Open", "0.5")
        qtbot.waitUntil(lambda: _kept(drafts) is not None, timeout=WAIT_MS)
        assert left_over() == []  # it is held
        window.close() if asked else window.finish()
        assert len(list(drafts.glob("*/project.json"))) == (0 if asked else 1)
    (draft,) = left_over()
    assert dict(draft.read()[0].weights) == {"Jaw Open": 0.5}
    draft.remove()
    assert list(drafts.glob("*")) == []


def test_a_place_that_cannot_be_written_is_said_once(qtbot, open_kept, expressive, drafts):
    drafts.write_text("a file stands there")
    window, errors = open_kept(expressive), []
    window.session.autosave.failed.connect(errors.append)
    for text in ("0.5", "0.25"):
        _type_weight(window, "Jaw Open", text)
        qtbot.wait(300)
    assert len(errors) == 1
    assert "cannot be kept" in window.notifier.message
    assert window.document.modified


# The next start


def test_left_over_work_is_recovered_and_kept_on(qtbot, open_kept, expressive, drafts, tmp_path: Path):
    first = replace(expressive, weights={"Jaw Open": 0.5})
    folder = _leave(first, str(tmp_path / "a.expdiff"))
    window, texts = open_kept(new_project(make_head(seed=3))), []
    with hand.answering(_answer("Recover", texts)):
        window.offer_left_over(left_over())
    qtbot.waitUntil(lambda: window.document.project.identity.name == "test head 0", timeout=WAIT_MS)
    assert texts[0].startswith("ExpDiff Studio ended before this was saved:\n\ntest head 0 (")
    assert dict(window.document.project.weights) == {"Jaw Open": 0.5}
    assert (window.isWindowModified(), window.document.path) == (True, str(tmp_path / "a.expdiff"))
    assert left_over() == []
    files = {path: path.stat().st_mtime_ns for path in folder.glob("arrays/*")}
    _type_weight(window, "Brows Up", "0.25")
    qtbot.waitUntil(lambda: _kept(drafts) == {"Jaw Open": 0.5, "Brows Up": 0.25}, timeout=WAIT_MS)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("arrays/*")} == files
    hand.keys("Ctrl+S")
    qtbot.waitUntil(lambda: not window.isWindowModified(), timeout=WAIT_MS)
    assert dict(load_project(tmp_path / "a.expdiff").weights) == {"Jaw Open": 0.5, "Brows Up": 0.25}
    window.close()
    assert list(drafts.glob("*")) == []


def test_of_several_each_is_recovered_in_a_window_of_its_own(qtbot, open_kept, expressive):
    for seed in (4, 5):
        _leave(new_project(make_head(seed=seed)))
    window, texts = open_kept(expressive), []
    with hand.answering(_answer("Recover", texts)):
        window.offer_left_over(left_over())
    windows = window.windows
    qtbot.waitUntil(
        lambda: {each.document.project.identity.name for each in windows} == {"test head 4", "test head 5"},
        timeout=WAIT_MS,
    )
    assert all(each.isWindowModified() for each in windows)


@pytest.mark.parametrize(("button", "left"), [("Discard", 0), ("Ask Later", 1)])
def test_left_over_work_goes_or_waits(open_kept, expressive, drafts, button: str, left: int):
    _leave(expressive)
    window, texts = open_kept(new_project(make_head(seed=3))), []
    with hand.answering(_answer(button, texts)):
        window.offer_left_over(left_over())
    assert window.document.project.identity.name == "test head 3"
    assert len(list(drafts.glob("*"))) == left
    again = left_over()
    assert len(again) == left
    for draft in again:
        draft.release()


def test_a_damaged_draft_is_told_and_stays(qtbot, open_kept, expressive, drafts):
    folder = _leave(expressive)
    array = next(folder.glob("arrays/*"))
    array.write_bytes(array.read_bytes()[:-9])
    window = open_kept(new_project(make_head(seed=3)))
    window.session.recover(left_over()[0])
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert "arrays" in window.notifier.message
    assert window.document.project.identity.name == "test head 3"
    (draft,) = left_over()
    with pytest.raises(FileFormatError):
        draft.read()
    draft.remove()


def test_names_out_of_a_draft_are_refused(expressive, drafts, tmp_path: Path):
    folder = _leave(expressive)
    text = folder / "project.json"
    name = next(folder.glob("arrays/*")).name
    text.write_text(text.read_text().replace(f"arrays/{name}", "arrays/../../../secret.npy.gz"))
    (draft,) = left_over()
    with pytest.raises(FileFormatError, match="names of a draft"):
        draft.read()
    draft.remove()


# What it costs


def test_a_moved_slider_costs_little_to_keep(drafts):
    head = make_head(512)
    project = Project(head, make_expressions(head, OTHERS), {}, new_project(head).scene)
    draft = new_draft()
    for _ in draft.write(project, None):
        pass
    begin = time.process_time()
    for _ in draft.write(replace(project, weights={"Jaw Open": 0.5}), None):
        pass
    spent = time.process_time() - begin
    print(f"keeping a moved slider took {spent * 1e3:.0f} ms of processor time")
    draft.remove()
    assert spent < 0.1


# Kills


def test_a_window_that_is_killed_loses_little_and_its_work_is_there(qapp):
    assert not drafts_folder().exists()
    kills = kill_window.run(2, 5)
    assert [each.faults for each in kills] == [[], []]
    assert all(each.typed for each in kills)
