"""What a person asked for is done, cancelled by them, or said to have failed; what they edited goes when they say."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QFileDialog, QMessageBox

from engine.diffusion.request import GenerateRequest
from engine.errors import VocabularyError
from engine.expression import Request
from engine.io.project import load_project, save_project
from engine.jobs import Lane, State, Step
from engine.open import open_project
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer import hand
from tests.viewer.work import Gate, make_one_by_one, make_step_by_step
from viewer import dialogs, files
from viewer.dialogs import Answer, PictureSettings
from viewer.generation import OTHERS, Generation
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.window import MainWindow

WAIT_MS = 20000


def _ask(window: MainWindow, prompt: str) -> None:
    """Type a prompt and press Return."""
    hand.replace_text(window.findChild(GeneratePanel).prompt, prompt, "Return")


def _weights(window: MainWindow) -> dict[str, object]:
    return dict(window.document.project.weights)


def _status(panel: GeneratePanel) -> str:
    return panel.status.toolTip() or panel.status.text()  # what does not fit is in the tool tip


def _type_weight(window: MainWindow, name: str, text: str) -> None:
    hand.fill(window.findChild(ExpressionsPanel).rows[name].slider.number, text)


def _asked_and_there(qtbot, window: MainWindow, *prompts: str) -> None:
    for prompt in prompts:
        _ask(window, prompt)
        qtbot.waitUntil(lambda: not window.generation.busy, timeout=WAIT_MS)


def _make_by_name(qtbot, window: MainWindow, name: str) -> None:
    panel = window.findChild(GeneratePanel)
    hand.replace_text(panel.prompt, "")
    hand.pick(panel.which, name)
    hand.click(panel.button)
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=WAIT_MS)


# What a prompt puts on the face


def test_a_second_prompt_takes_the_place_of_the_first_in_one_step_and_sliders_stay(qtbot, open_window, expressive):
    window = open_window(expressive)
    _type_weight(window, "Jaw Open", "0.5")
    _asked_and_there(qtbot, window, "wink")
    assert _weights(window) == {"Jaw Open": 0.5, "wink": 1.0}
    _asked_and_there(qtbot, window, "very angry")
    assert _weights(window) == {"Jaw Open": 0.5, "very angry": 1.0}
    hand.choose(window, window.menus.undo)
    assert _weights(window) == {"Jaw Open": 0.5, "wink": 1.0}
    assert "very angry" not in window.document.project.expressions
    hand.choose(window, window.menus.redo)
    assert _weights(window) == {"Jaw Open": 0.5, "very angry": 1.0}


def test_asking_again_for_what_is_on_leaves_the_mixture(qtbot, open_window, expressive):
    window = open_window(expressive)
    _asked_and_there(qtbot, window, "wink", "very angry")
    _type_weight(window, "wink", "0.3")
    _asked_and_there(qtbot, window, "very angry")
    assert _weights(window) == {"wink": 0.3, "very angry": 1.0}


def test_an_expression_made_by_name_takes_the_place_of_what_was_asked_for_before(qtbot, open_window, expressive):
    window = open_window(expressive)
    _type_weight(window, "Brows Up", "0.4")
    _asked_and_there(qtbot, window, "wink")
    _make_by_name(qtbot, window, "Jaw Left")
    assert _weights(window) == {"Brows Up": 0.4, "Jaw Left": 1.0}
    _make_by_name(qtbot, window, "Lip Suck")
    assert _weights(window) == {"Brows Up": 0.4, "Lip Suck": 1.0}
    _type_weight(window, "Lip Suck", "0.7")  # now it is the person's own
    row = window.findChild(ExpressionsPanel).rows["Dimpler"]
    hand.click(row.generate)
    qtbot.waitUntil(lambda: row.state == "ready", timeout=WAIT_MS)
    assert _weights(window) == {"Brows Up": 0.4, "Lip Suck": 0.7, "Dimpler": 1.0}
    _asked_and_there(qtbot, window, "very angry")
    assert _weights(window) == {"Brows Up": 0.4, "Lip Suck": 0.7, "very angry": 1.0}


def test_two_seeds_of_one_prompt_stay_side_by_side(qtbot, open_window, expressive):
    def generate(request: GenerateRequest) -> Iterator[Step]:
        for step in make_step_by_step(request):
            asked = Request("tests", request.steps, request.seed, 1.0, 1.0, None, "")
            made = step.result.expressions if step.result is not None else ()
            made = tuple(replace(each, prompt=request.prompt, request=asked) for each in made)
            yield replace(step, result=step.result and replace(step.result, expressions=made))

    window = open_window(expressive, generator=generate)
    panel, there = window.findChild(GeneratePanel), set(expressive.expressions.names)
    for seed, expected in ((0, "wink"), (3, "wink (seed 3)"), (3, "wink (seed 3)"), (0, "wink")):
        hand.fill(panel.seed, str(seed))
        _asked_and_there(qtbot, window, "wink")
        assert _weights(window) == {expected: 1.0}
    made = window.document.project.expressions
    assert set(made.names) - there == {"wink", "wink (seed 3)"}
    assert (made["wink"].request.seed, made["wink (seed 3)"].request.seed) == (0, 3)
    assert made["wink (seed 3)"].prompt == "wink"
    assert "wink (seed 3)" in window.findChild(ExpressionsPanel).rows


def test_many_at_once_leave_the_face_as_it_is(qtbot, open_window, expressive):
    window = open_window(expressive)
    _asked_and_there(qtbot, window, "wink")
    window.generation.start(("Jaw Left", "Lip Suck"))
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=WAIT_MS)
    assert _weights(window) == {"wink": 1.0}


# The model's lane


@pytest.mark.parametrize("kept", ["their shapes", "their skin"])
def test_what_is_kept_is_kept_of_what_is_there_and_the_others_are_made_whole(qtbot, open_window, expressive, kept):
    requests: list[GenerateRequest] = []

    def generate(request: GenerateRequest) -> Iterator[Step]:
        requests.append(request)
        return make_step_by_step(request)

    window = open_window(expressive, generator=generate)
    panel = window.findChild(GeneratePanel)
    hand.click(panel.fill)
    hand.pick(panel.lock, kept)
    hand.click(panel.button)
    there = window.document.project
    qtbot.waitUntil(lambda: set(OTHERS) <= set(window.document.project.expressions.names), timeout=2 * WAIT_MS)
    assert (requests[0].lock, set(requests[0].names)) == (kept.split()[1].rstrip("s"), set(there.expressions.names))
    assert {request.lock for request in requests[1:]} == {""}
    assert "Failed" not in panel.status.text()
    assert not window.notifier.isVisible()


def test_each_expression_comes_when_it_is_ready_and_stays_after_a_cancel(qtbot, open_window, expressive):
    gate = Gate(make_one_by_one)
    window = open_window(expressive, generator=gate)
    panel, rows = window.findChild(GeneratePanel), window.findChild(ExpressionsPanel).rows
    hand.pick(panel.which, "Those not made yet")
    hand.click(panel.button)
    qtbot.waitUntil(lambda: bool(gate.requests), timeout=WAIT_MS)
    first, second, third, *_ = gate.requests[0].names
    for _ in range(4):
        qtbot.wait(200)
        gate.let()
    qtbot.waitUntil(lambda: rows[second].state == "ready", timeout=WAIT_MS)
    assert (rows[first].state, rows[third].state, panel.button.text()) == ("ready", "making", "Cancel")
    _type_weight(window, first, "0.5")  # it can be used at once
    assert _weights(window) == {first: 0.5}
    gate.let()
    qtbot.waitUntil(lambda: _status(panel).startswith(third), timeout=WAIT_MS)
    assert re.fullmatch(rf"{third}, \d+ s left", _status(panel))
    hand.click(panel.button)
    gate.let()  # the step it is in, which brings the third
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=WAIT_MS)
    assert _status(panel) == f"Generation cancelled; 3 of {len(gate.requests[0].names)} are there"
    there = set(expressive.expressions.names)
    assert set(window.document.project.expressions.names) == {*there, first, second, third}
    for names in ({first, second, third}, set()):  # the weight, and all three: one was asked for before it
        hand.keys("Ctrl+Z")
        assert set(window.document.project.expressions.names) == there | names
    for _ in range(2):
        hand.keys("Ctrl+Y")
    assert {rows[name].state for name in (first, second, third)} == {"ready"}


def test_expressions_that_come_meanwhile_leave_a_drag_in_one_piece_and_what_was_undone(qtbot, open_window, expressive):
    gate = Gate(make_one_by_one)
    window = open_window(expressive, generator=gate)
    panel, rows, document = window.findChild(GeneratePanel), window.findChild(ExpressionsPanel).rows, window.document
    _type_weight(window, "Jaw Open", "0.5")
    hand.keys("Ctrl+Z")
    hand.pick(panel.which, "Those not made yet")
    hand.click(panel.button)
    qtbot.waitUntil(lambda: bool(gate.requests), timeout=WAIT_MS)
    first, second, *_ = gate.requests[0].names
    gate.let(2)
    qtbot.waitUntil(lambda: rows[first].state == "ready", timeout=WAIT_MS)
    assert document.redo_label == "Jaw Open"
    hand.keys("Ctrl+Y")
    assert (_weights(window), rows[first].state) == ({"Jaw Open": 0.5}, "ready")
    groove = rows["Brows Up"].slider.groove
    hand.press(groove, hand.share_of(groove, 0.0))
    hand.move(groove, hand.share_of(groove, 0.3))
    gate.let(2)
    qtbot.waitUntil(lambda: rows[second].state == "ready", timeout=WAIT_MS)
    hand.move(groove, hand.share_of(groove, 0.6))
    hand.release(groove, hand.share_of(groove, 0.6))
    assert _weights(window) == {"Jaw Open": 0.5, "Brows Up": 0.9}
    hand.keys("Ctrl+Z")
    assert (_weights(window), rows[second].state, document.redo_label) == ({"Jaw Open": 0.5}, "ready", "Brows Up")
    hand.keys("Ctrl+Z", "Ctrl+Z")
    assert (document.project.expressions.names, document.undo_label) == (expressive.expressions.names, None)
    gate.let(100)
    qtbot.waitUntil(lambda: not window.generation.busy, timeout=WAIT_MS)
    hand.keys("Ctrl+Y")
    assert set(document.project.expressions.names) == {*expressive.expressions.names, *gate.requests[0].names}


def test_a_failure_is_of_one_order_and_the_others_that_wait_are_made(qtbot, document, jobs):
    def generate(request: GenerateRequest) -> Iterator[Step]:
        if request.prompt:
            raise VocabularyError("prompt: expected English words, found none; rephrase it")
        yield from make_step_by_step(request)

    gate, failed = Gate(generate), []
    generation = Generation(document, jobs, gate)
    generation.failed.connect(failed.append)
    generation.start(("Jaw Left", "Lip Suck"))
    gate.let()
    generation.start(prompt="???")
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy, timeout=WAIT_MS)
    assert failed == ["prompt: expected English words, found none; rephrase it"]
    assert {"Jaw Left", "Lip Suck"} <= set(document.project.expressions.names)


def test_what_gave_way_goes_on_where_it_was(qtbot, document, jobs):
    gate = Gate()
    generation = Generation(document, jobs, gate)
    generation.start(("Jaw Left", "Lip Suck"))
    gate.let(5)
    qtbot.waitUntil(lambda: generation.fraction == 0.5, timeout=WAIT_MS)
    generation.want("Dimpler")
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy, timeout=WAIT_MS)
    assert [request.names for request in gate.requests] == [("Jaw Left", "Lip Suck"), ("Dimpler",)]


def test_expressions_asked_for_of_the_head_before_are_said_to_be_given_up(qtbot, open_window, expressive):
    window = open_window(expressive, generator=Gate())
    window.generation.start(("Jaw Left",))
    with qtbot.waitSignal(window.generation.told, timeout=WAIT_MS) as told:
        window.document.open(new_project(make_head(seed=4)))
    assert told.args == ["Jaw Left of the head before: not made any more"]


# Edits while a head is read


@pytest.mark.parametrize("answer", [Answer.CANCEL, Answer.DISCARD])
def test_edits_made_while_a_head_is_read_are_asked_about_when_it_would_replace_them(
    qtbot, open_window, expressive, monkeypatch: pytest.MonkeyPatch, answer: Answer
):
    window, questions = open_window(expressive), []
    gate, other = Gate(lambda request: [Step(1, 1, "read", result=new_project(make_head(seed=4)))]), "test head 4"
    monkeypatch.setattr(files, "opening", lambda *args: gate(args))
    _type_weight(window, "Jaw Open", "0.5")
    before = window.document.project
    window.session.ask = lambda parent, name: Answer.DISCARD
    window.session.open_path("four")  # these changes may go
    window.session.ask = lambda parent, name: questions.append(name) or answer
    _type_weight(window, "Brows Up", "0.25")
    gate.let(5)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert questions == [before.identity.name]
    if answer is Answer.CANCEL:
        assert _weights(window) == {"Jaw Open": 0.5, "Brows Up": 0.25}
        assert window.notifier.message == "four was not opened: test head 0 stays"
        assert window.session.recent() == []
    else:
        assert window.document.project.identity.name == other


def test_nothing_is_asked_again_where_nothing_was_edited_meanwhile(qtbot, open_window, expressive, tmp_path: Path):
    save_project(new_project(make_head(seed=4)), tmp_path / "four.expdiff")
    window, questions = open_window(expressive), []
    window.session.ask = lambda parent, name: questions.append(name) or Answer.DISCARD
    _type_weight(window, "Jaw Open", "0.5")
    window.session.open_path(str(tmp_path / "four.expdiff"))
    hand.wheel(window.viewport, 1)  # the camera is no edit
    qtbot.waitUntil(lambda: window.document.project.identity.name == "test head 4", timeout=WAIT_MS)
    assert len(questions) == 1


# Files


def _rich() -> Project:
    """A head with every expression, whose export takes many steps."""
    head = make_head()
    return Project(head, make_expressions(head, OTHERS), {}, new_project(head).scene)


def _ends(window: MainWindow) -> dict[str, State]:
    ends: dict[str, State] = {}
    window.jobs.changed.connect(lambda job: ends.update({job.label: job.state}) if job.over else None)
    return ends


def _take_screenshot(window: MainWindow, path: Path) -> None:
    with hand.answering(hand.pressing("Save"), hand.naming(path)):
        hand.choose(window, hand.item(window.menuBar(), "Screenshot"))


def test_an_export_is_whole_whatever_is_asked_for_beside_it(qtbot, open_window, tmp_path: Path):
    window, project = open_window(_rich()), tmp_path / "other.expdiff"
    save_project(new_project(make_head(seed=2)), project)
    ends, person = _ends(window), tmp_path / "person"
    window.export_folder_to(str(person))
    _take_screenshot(window, tmp_path / "a.png")
    window.session.open_path(str(project))
    window.export_glb_to(str(tmp_path / "a.glb"))
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=2 * WAIT_MS)
    assert ends == {f"Writing {name}": State.DONE for name in ("person", "a.png", "a.glb")} | {
        "Opening other.expdiff": State.DONE
    }
    assert set(open_project(str(person)).expressions.names) >= set(OTHERS)
    assert (tmp_path / "a.png").stat().st_size > 1000
    assert (tmp_path / "a.glb").read_bytes()[:4] == b"glTF"


def test_a_cancelled_export_is_said_and_nothing_looks_whole(qtbot, open_window, tmp_path: Path):
    window, person = open_window(_rich()), tmp_path / "person"
    ends = _ends(window)
    window.export_folder_to(str(person))
    qtbot.waitUntil(lambda: "Writing" in window.job_bar.label.text(), timeout=WAIT_MS)
    hand.click(window.job_bar.cancel)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert ends == {"Writing person": State.CANCELLED}
    assert window.notifier.text.text() == "Cancelled: Writing person"


def test_the_newer_of_two_heads_being_read_is_the_one_that_opens(qtbot, open_window, expressive, tmp_path: Path):
    window, ends = open_window(expressive), []
    window.jobs.changed.connect(lambda job: ends.append((job.label, job.state)) if job.over else None)
    for seed in (2, 3):
        save_project(new_project(make_head(seed=seed)), tmp_path / f"{seed}.expdiff")
    for seed in (2, 3):
        window.session.open_path(str(tmp_path / f"{seed}.expdiff"))
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert window.document.project.identity.name == "test head 3"
    assert window.session.recent() == [str(tmp_path / "3.expdiff")]


# Closing


def _closing(window: MainWindow, button: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Close the window with a key and press `button` of the question; what that asks."""
    monkeypatch.setattr(window, "_ask_unfinished", dialogs.ask_unfinished)
    texts: list[str] = []

    def answer(dialog) -> None:
        texts.append(dialog.text())
        hand.click(hand.button_of(dialog, button))

    with hand.answering(answer):
        hand.choose(window, hand.item(window.menuBar(), "Quit"))
    return texts


def _busy_with_a_file(qtbot, window: MainWindow, gate: Gate) -> None:
    request = GenerateRequest(window.document.project.identity, ("Jaw Open",), steps=3)
    window.jobs.add(Lane.FILES, "Writing a.glb", lambda: gate(request))
    gate.let()
    qtbot.waitUntil(lambda: "step 1" in window.job_bar.label.text(), timeout=WAIT_MS)


def test_closing_asks_and_stays(qtbot, open_window, expressive, monkeypatch: pytest.MonkeyPatch):
    gate, model = Gate(), Gate()
    window = open_window(expressive, generator=model)
    _busy_with_a_file(qtbot, window, gate)
    window.generation.start(("Lip Suck",))
    assert _closing(window, "Stay", monkeypatch) == ["Writing a.glb\nMaking Lip Suck"]
    assert window.isVisible()
    gate.let(100)
    model.let(100)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert window.isVisible()


def test_closing_waits_for_what_shall_be_finished(qtbot, open_window, expressive, monkeypatch: pytest.MonkeyPatch):
    gate, window = Gate(), open_window(expressive)
    ends = _ends(window)
    _busy_with_a_file(qtbot, window, gate)
    _closing(window, "Finish, Then Close", monkeypatch)
    assert window.isVisible()
    gate.let(100)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT_MS)
    assert ends == {"Writing a.glb": State.DONE}


def test_closing_stays_where_what_was_to_be_finished_fails(qtbot, open_window, expressive, monkeypatch):
    def breaks(request: GenerateRequest) -> Iterator[Step]:
        yield Step(1, 3, "step 1")
        yield Step(2, 3, "step 2")
        raise OSError(28, "No space left on device", "/a.glb")

    gate, window = Gate(breaks), open_window(expressive)
    _busy_with_a_file(qtbot, window, gate)
    _closing(window, "Finish, Then Close", monkeypatch)
    gate.let(100)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert window.isVisible()
    assert window.notifier.message == "No space left on device: /a.glb"


def test_closing_cancels_when_told_to(qtbot, open_window, expressive, monkeypatch: pytest.MonkeyPatch):
    gate, window = Gate(), open_window(expressive)
    _busy_with_a_file(qtbot, window, gate)
    gate.let()
    _closing(window, "Cancel It and Close", monkeypatch)
    assert not window.isVisible()
    assert gate.closed.is_set()
    assert QApplication.activeModalWidget() is None


def test_closing_asks_nothing_where_nothing_would_be_lost(qtbot, open_window, expressive, monkeypatch):
    window, asked = open_window(expressive), []
    monkeypatch.setattr(window, "_ask_unfinished", lambda *args: asked.append(args))
    window.save_picture("/tmp/never.txt", PictureSettings(8, 8, False))
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert window.close()
    assert asked == []


@pytest.mark.parametrize(
    ("entry", "suffix"), [("Save Project As", ".expdiff"), ("Export GLB", ".glb"), ("Screenshot", ".png")]
)
def test_a_name_without_its_suffix_asks_too_before_a_file_is_replaced(
    entry: str, suffix: str, qtbot, open_window, tmp_path: Path
):
    window, mine = open_window(new_project(make_head())), tmp_path / f"mine{suffix}"
    mine.write_text("mine")
    questions: list[str] = []

    def name_it_and_think_again(dialog: QFileDialog) -> None:
        timer = QTimer(dialog, interval=10)

        def refuse() -> None:
            question = QApplication.activeModalWidget()
            if isinstance(question, QMessageBox):
                timer.stop()
                questions.append(question.text())
                hand.pressing("No")(question)

        timer.timeout.connect(refuse)
        timer.start()
        hand.naming(tmp_path / "mine")(dialog)  # is over once the question is
        timer.stop()
        if dialog.isVisible():
            hand.pressing("Cancel")(dialog)

    before = [hand.pressing("Save")] if entry == "Screenshot" else []
    with hand.answering(*before, name_it_and_think_again):
        hand.choose(window, hand.item(window.menuBar(), entry))
    assert [f"mine{suffix}" in question for question in questions] == [True]
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert [(path.name, path.read_text()) for path in tmp_path.glob("mine*")] == [(mine.name, "mine")]


# Saving


def _saves_slowly(monkeypatch: pytest.MonkeyPatch, gate: Gate) -> None:
    """The window saves as ever, each step when `gate` lets it."""
    saving = files.saving
    gate.work = lambda request: saving(*request)
    monkeypatch.setattr(files, "saving", lambda *args: gate(args))


def test_a_project_is_modified_until_it_is_saved_and_edits_meanwhile_stay_unsaved(
    qtbot, open_window, expressive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gate, window, path = Gate(), open_window(expressive), tmp_path / "a.expdiff"
    _saves_slowly(monkeypatch, gate)
    _type_weight(window, "Jaw Open", "0.5")
    with hand.answering(hand.naming(path)):
        hand.keys("Ctrl+S")
    gate.let()
    qtbot.waitUntil(lambda: "Writing a.expdiff" in window.job_bar.label.text(), timeout=WAIT_MS)
    assert window.isWindowModified()
    _type_weight(window, "Brows Up", "0.25")
    gate.let(100)
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert (window.isWindowModified(), window.document.path) == (True, str(path))
    assert dict(load_project(path).weights) == {"Jaw Open": 0.5}
    hand.choose(window, window.menus.undo)
    assert not window.isWindowModified()
    hand.choose(window, window.menus.redo)
    hand.keys("Ctrl+S")
    qtbot.waitUntil(lambda: not window.isWindowModified(), timeout=WAIT_MS)
    assert dict(load_project(path).weights) == {"Jaw Open": 0.5, "Brows Up": 0.25}


def test_a_save_that_fails_is_said_and_loses_nothing(qtbot, open_window, expressive, tmp_path: Path):
    window = open_window(expressive, Answer.SAVE)
    window.document.path = str(tmp_path)  # a folder stands there
    _type_weight(window, "Jaw Open", "0.5")
    (tmp_path.parent / (tmp_path.name + ".expdiff")).mkdir()
    assert not window.close()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    assert window.isVisible()
    assert window.isWindowModified()
    assert "a folder of that name" in window.notifier.message
    window.session.ask = lambda parent, name: Answer.DISCARD


def test_closing_while_it_is_saved_asks_and_closes_after_it(
    qtbot, open_window, expressive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gate, window = Gate(), open_window(expressive, Answer.CANCEL)
    _saves_slowly(monkeypatch, gate)
    _type_weight(window, "Jaw Open", "0.5")
    window.document.path = str(tmp_path / "a.expdiff")
    hand.keys("Ctrl+S")
    assert _closing(window, "Finish, Then Close", monkeypatch) == ["Saving a.expdiff"]
    assert window.isVisible()
    gate.let(100)
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=WAIT_MS)
    assert dict(load_project(tmp_path / "a.expdiff").weights) == {"Jaw Open": 0.5}


def test_another_head_is_opened_once_what_was_saved_first_is_saved(
    qtbot, open_window, expressive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    save_project(new_project(make_head(seed=4)), tmp_path / "four.expdiff")
    gate, window = Gate(), open_window(expressive, Answer.SAVE)
    _saves_slowly(monkeypatch, gate)
    _type_weight(window, "Jaw Open", "0.5")
    window.document.path = str(tmp_path / "a.expdiff")
    window.session.open_path(str(tmp_path / "four.expdiff"))
    gate.let()
    qtbot.waitUntil(lambda: "Writing a.expdiff" in window.job_bar.label.text(), timeout=WAIT_MS)
    assert window.document.project.identity.name == "test head 0"
    gate.let(100)
    qtbot.waitUntil(lambda: window.document.project.identity.name == "test head 4", timeout=WAIT_MS)
    assert dict(load_project(tmp_path / "a.expdiff").weights) == {"Jaw Open": 0.5}


def test_saving_much_never_blocks_the_window(qtbot, open_window, tmp_path: Path):
    """The longest that a timer of the window waits for its turn, while 31 expressions are packed and written."""
    head = make_head(512)
    project = Project(head, make_expressions(head, OTHERS), {}, new_project(head).scene)
    window, waits, last = open_window(project), [], [time.perf_counter()]
    timer = QTimer(interval=2)

    def tick() -> None:
        now = time.perf_counter()
        waits.append(now - last[0])
        last[0] = now

    qtbot.wait(500)
    timer.timeout.connect(tick)
    timer.start()
    last[0] = time.perf_counter()
    begin = last[0]
    window.session.save_to(str(tmp_path / "a.expdiff"))
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=WAIT_MS)
    timer.stop()
    took = time.perf_counter() - begin
    print(f"saving took {took:.2f} s, the window waited at most {max(waits) * 1e3:.0f} ms")
    assert max(waits) < max(0.1, took / 4)
