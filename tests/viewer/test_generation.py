from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.diffusion.request import GenerateRequest
from engine.errors import VocabularyError
from engine.jobs import Step
from engine.project import new_project
from engine.vocabulary import find, nearest_first
from tests.heads import make_expressions, make_head
from tests.viewer.work import Gate, make_named, make_step_by_step, make_with_previews
from viewer.document import Document
from viewer.generation import OTHERS, Generation, Settings
from viewer.jobs import Jobs


def test_a_result_is_one_undo_step_and_leaves_the_other_expressions_as_they_are(qtbot, document, generation) -> None:
    before = document.project
    with qtbot.waitSignal(generation.told, timeout=5000) as told:
        generation.start(("Jaw Left", "Jaw Open"))
    after = document.project
    assert told.args == ["Generated 2 expressions"]
    assert set(after.expressions.names) == {"Jaw Open", "Brows Up", "Jaw Left"}
    assert after.expressions["Brows Up"] is before.expressions["Brows Up"]
    assert after.expressions["Jaw Open"] is not before.expressions["Jaw Open"]
    assert not generation.busy
    document.undo()
    assert document.project.expressions is before.expressions
    assert document.undo_label is None


def test_one_expression_by_name_is_put_on_the_face_unless_it_has_a_weight(qtbot, document, generation) -> None:
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.start(("Jaw Left",))
    assert dict(document.project.weights) == {"Jaw Left": 1.0}
    document.edit("less", weights={"Jaw Right": 0.3})
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.want("Jaw Right")
    assert dict(document.project.weights) == {"Jaw Right": 0.3}


def test_the_newest_wish_goes_first_and_none_is_lost(qtbot, document, jobs) -> None:
    gate, came = Gate(), []
    generation = Generation(document, jobs, gate)
    document.changed.connect(lambda old, new: came.extend(set(new.expressions.names) - set(old.expressions.names)))
    for name in ("Jaw Left", "Lip Suck", "Dimpler", "Lip Suck", "Lip Suck"):
        generation.want(name)
    generation.want("Jaw Open")  # there already
    assert (generation.making, generation.waiting) == (("Lip Suck",), ("Dimpler", "Jaw Left"))
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy and not generation.waiting, timeout=5000)
    assert came == ["Lip Suck", "Dimpler", "Jaw Left"]


def test_a_long_request_gives_way_to_one_slider_and_goes_on_as_one_undo_step(qtbot, document, jobs) -> None:
    gate, names = Gate(), ("Eye Blink", "Lip Suck", "Dimpler", "Jaw Left")
    generation = Generation(document, jobs, gate)
    generation.start(names)
    gate.let(6)
    qtbot.waitUntil(lambda: generation.fraction > 0.2, timeout=5000)
    generation.want("Dimpler")
    assert (generation.making, generation.waiting) == (("Dimpler",), names)
    gate.let(6)
    qtbot.waitUntil(lambda: "Dimpler" in document.project.expressions, timeout=5000)
    assert document.undo_label is None
    gate.let(100)
    qtbot.waitUntil(lambda: document.undo_label is not None, timeout=5000)
    assert document.undo_label == "Generate 4 expressions"
    assert set(names) <= set(document.project.expressions.names)
    document.undo()
    assert document.undo_label is None


def test_asking_again_for_the_same_is_one_request_and_another_seed_replaces_it(qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    for _ in range(3):
        generation.start(prompt="sly smile")
    qtbot.waitUntil(lambda: bool(gate.requests), timeout=5000)
    assert (len(gate.requests), generation.waiting) == (1, ())
    generation.settings = Settings(seed=5)
    generation.start(prompt="sly smile")
    assert (generation.making, generation.waiting) == (("sly smile",), ())
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy, timeout=5000)
    assert [request.seed for request in gate.requests] == [0, 5]


def test_what_a_slider_needs_is_there_for_good_and_only_the_slider_is_undone(qtbot, document, generation) -> None:
    document.edit("Cheek Puff", weights={"Cheek Puff": 0.5})
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.want("Cheek Puff")
    assert document.project.active() == {"Cheek Puff": 0.5}
    document.undo()
    assert (dict(document.project.weights), document.undo_label) == ({}, None)
    assert "Cheek Puff" in document.project.expressions


def test_a_result_is_there_before_its_job_has_put_it_away(qtbot, document, jobs) -> None:
    gate = Gate(lambda request: [*make_step_by_step(request), Step(1, 1, "writing")])
    generation = Generation(document, jobs, gate)
    gate.let(5)  # four steps and the result
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.want("Jaw Left")
    assert "Jaw Left" in document.project.expressions
    assert jobs.busy
    assert not generation.busy
    generation.want("Lip Suck")
    gate.let(100)
    qtbot.waitUntil(lambda: "Lip Suck" in document.project.expressions, timeout=5000)


def test_coarse_expressions_stay_until_their_own_are_there(qtbot, document, jobs) -> None:
    gate, seen = Gate(make_with_previews), []
    generation = Generation(document, jobs, gate)
    generation.previewed.connect(lambda preview: seen.append(preview.names if preview else ()))
    generation.want("Jaw Left")
    gate.let(1)
    qtbot.waitUntil(lambda: seen == [("Jaw Left",)], timeout=5000)
    generation.want("Dimpler")
    gate.let(2)  # the job that gives way is in a step
    qtbot.waitUntil(lambda: seen[-1] == ("Jaw Left", "Dimpler"), timeout=5000)
    gate.let(100)
    qtbot.waitUntil(lambda: seen[-1] == (), timeout=5000)
    assert seen[2:] == [("Jaw Left",), ()]


def _fill(document: Document, jobs: Jobs, generator=make_step_by_step) -> Generation:
    generation = Generation(document, jobs, generator)
    generation.fill(True)
    return generation


def _all_there(document: Document) -> bool:
    return set(OTHERS) <= set(document.project.expressions.names)


def test_the_others_follow_nearest_first_and_leave_no_trace_but_themselves(qtbot, document, jobs) -> None:
    gate, told, previews = Gate(make_with_previews), [], []
    gate.let(1000)
    generation = _fill(document, jobs, gate)
    assert gate.requests == []  # nothing was asked for yet
    generation.previewed.connect(lambda preview: previews.append(preview.names if preview else ()))
    generation.told.connect(told.append)
    generation.settings = Settings(steps=3, seed=7)
    before = document.project
    generation.start(("Lip Corner Puller",))
    generation.settings = Settings()
    qtbot.waitUntil(lambda: _all_there(document) and not generation.filling, timeout=20000)
    asked, *rest = gate.requests
    assert all(len(request.names) <= 4 for request in rest)
    made = [name for request in rest for name in request.names]
    entry = find("Lip Corner Puller")
    missing = [name for name in OTHERS if name not in (*before.expressions.names, *asked.names)]
    assert made == list(nearest_first({**entry.facs, **entry.arkit}, missing))
    assert {(request.steps, request.seed) for request in rest} == {(3, 7)}  # as what was asked for
    assert set(previews) == {("Lip Corner Puller",), ()}
    assert told == ["Generated Lip Corner Puller", "All 31 expressions are there"]
    assert dict(document.project.weights) == {"Lip Corner Puller": 1.0}
    document.undo()
    assert (document.undo_label, dict(document.project.weights)) == (None, {})
    assert set(document.project.expressions.names) == set(OTHERS) - {"Lip Corner Puller"}


def test_the_others_give_way_at_their_next_step_and_follow_what_is_new(qtbot, document, jobs) -> None:
    gate = Gate()
    generation = _fill(document, jobs, gate)
    generation.want("Lip Corner Puller")
    gate.let(5)
    qtbot.waitUntil(lambda: generation.filling, timeout=5000)
    qtbot.waitUntil(lambda: gate.requests[-1].names != ("Lip Corner Puller",), timeout=5000)
    given_up = gate.requests[-1].names
    assert not generation.busy
    generation.want("Eye Blink")
    assert (generation.making, generation.waiting, generation.filling) == (("Eye Blink",), (), False)
    gate.let(1)  # the step that was under way
    gate.let(5)
    qtbot.waitUntil(lambda: "Eye Blink" in document.project.expressions, timeout=5000)
    assert not set(given_up) & set(document.project.expressions.names)
    qtbot.waitUntil(lambda: generation.filling and gate.requests[-1].names != ("Eye Blink",), timeout=5000)
    assert gate.requests[-1].names[0] == "Face Compression"  # shuts the eyes too
    gate.let(1000)
    qtbot.waitUntil(lambda: _all_there(document), timeout=20000)


def test_filling_can_be_switched_off_at_once_and_on_again(qtbot, document, jobs) -> None:
    gate, told = Gate(), []
    generation = _fill(document, jobs, gate)
    generation.told.connect(told.append)
    generation.want("Jaw Left")
    gate.let(5)
    qtbot.waitUntil(lambda: generation.filling, timeout=5000)
    before = document.project
    generation.fill(False)
    assert not generation.filling
    gate.let(1)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=5000)
    assert document.project is before
    assert told == ["Generated Jaw Left"]
    gate.let(1000)
    generation.fill(True)
    qtbot.waitUntil(lambda: _all_there(document), timeout=20000)


def test_after_cancel_nothing_goes_on_by_itself(qtbot, document, jobs) -> None:
    gate = Gate()
    generation = _fill(document, jobs, gate)
    generation.want("Jaw Left")
    gate.let(5)
    qtbot.waitUntil(lambda: generation.filling, timeout=5000)
    generation.want("Lip Suck")
    with qtbot.waitSignal(generation.told, timeout=5000) as told:
        generation.cancel()
        gate.let(2)
    assert told.args == ["Generation cancelled"]
    assert not generation.filling
    qtbot.waitUntil(lambda: not jobs.busy, timeout=5000)
    assert not generation.filling


@pytest.mark.parametrize("how", ["fails", "brings nothing", "brings another head's"])
def test_others_that_cannot_be_made_are_not_tried_again_and_again(qtbot, document, jobs, how) -> None:
    requests, told, failed = [], [], []

    def generate(request: GenerateRequest) -> Iterator[Step]:
        requests.append(request.names)
        if len(requests) == 1:
            yield from make_step_by_step(request)
        elif how == "fails":
            raise VocabularyError("no weights")
        elif how == "brings another head's":
            yield from make_step_by_step(replace(request, identity=make_head(seed=4)))

    generation = _fill(document, jobs, generate)
    generation.told.connect(told.append)
    generation.failed.connect(failed.append)
    generation.want("Jaw Left")
    qtbot.waitUntil(lambda: len(requests) == 2 and not jobs.busy and not generation.filling, timeout=5000)
    assert told == ["Generated Jaw Left"] + ["The others are not made: no weights"] * (how == "fails")
    assert failed == []
    assert not generation.filling
    assert "Jaw Left" in document.project.expressions


def _shelf(request: GenerateRequest) -> Iterator[Step]:
    """A disk that has the first three of the names asked for."""
    for index, name in enumerate(request.names[:3]):
        yield Step(index, len(request.names), "", result=make_expressions(request.identity, (name,), seed=1))


def test_what_the_disk_has_comes_in_quietly_and_gives_way(qtbot, document, jobs) -> None:
    shelf, before = Gate(_shelf), document.project
    generation = Generation(document, jobs, make_step_by_step, shelf)
    generation.look_on_disk()
    missing = tuple(name for name in OTHERS if name not in before.expressions)
    qtbot.waitUntil(lambda: bool(shelf.requests), timeout=5000)
    assert shelf.requests[0].names == missing
    shelf.let(1)
    qtbot.waitUntil(lambda: missing[0] in document.project.expressions, timeout=5000)
    assert not generation.busy
    generation.want("Lip Suck")
    shelf.let(1)  # the look that was under way
    qtbot.waitUntil(lambda: len(shelf.requests) == 2, timeout=5000)
    assert shelf.requests[1].names == tuple(name for name in missing[1:] if name != "Lip Suck")
    shelf.let(100)
    qtbot.waitUntil(lambda: not jobs.busy, timeout=5000)
    assert set(document.project.expressions.names) == {*before.expressions.names, *missing[:4], "Lip Suck"}
    assert (document.undo_label, document.modified, document.project.weights) == (None, False, before.weights)
    other = new_project(make_head(seed=4))
    document.open(other)
    qtbot.waitUntil(lambda: len(document.project.expressions.names) == 3, timeout=5000)
    assert document.project.identity is other.identity
    assert not document.modified


def test_cancel_leaves_the_document_and_the_next_request_works(qtbot, document, jobs) -> None:
    gate, before = Gate(), document.project
    generation = Generation(document, jobs, gate)
    generation.start(("Jaw Left",))
    generation.want("Lip Suck")
    qtbot.waitUntil(lambda: bool(gate.requests), timeout=5000)
    with qtbot.waitSignal(generation.told, timeout=5000) as told:
        generation.cancel()
        assert generation.stopping
        gate.let()
    assert told.args == ["Generation cancelled"]
    assert document.project is before
    assert (generation.busy, generation.waiting) == (False, ())
    gate.let(100)
    with qtbot.waitSignal(generation.told, timeout=5000):
        generation.start(("Lip Suck",))
    assert "Lip Suck" in document.project.expressions


def test_opening_another_head_stops_the_work_and_its_result_is_never_applied(qtbot, document, jobs) -> None:
    gate, other = Gate(), new_project(make_head(seed=4))
    generation = Generation(document, jobs, gate)
    generation.start(("Jaw Left",))
    gate.let(3)
    qtbot.waitUntil(lambda: generation.fraction > 0, timeout=5000)
    document.open(other)
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy, timeout=5000)
    assert document.project is other


def test_a_foreign_set_is_told_about_and_set_aside(qtbot, document: Document, jobs: Jobs) -> None:
    foreign = make_head(seed=5)

    def wrong(request: GenerateRequest) -> Iterator[Step]:
        other = GenerateRequest(foreign, request.names)
        from engine.expression import ExpressionSet

        yield Step(1, 1, "", result=ExpressionSet(foreign.hash, (make_named(foreign, other, "Jaw Left"),)))

    generation, before = Generation(document, jobs, wrong), document.project
    with qtbot.waitSignal(generation.told, timeout=5000) as told:
        generation.start(("Jaw Left",))
    assert "another head" in told.args[0]
    assert document.project is before


def test_failure_is_told_in_the_models_words(qtbot, document, jobs) -> None:
    def breaks(request: GenerateRequest) -> Iterator[Step]:
        yield Step(0, 2, "reading")
        raise VocabularyError(f"prompt '{request.prompt}': expected English words, found none; rephrase it")

    generation = Generation(document, jobs, breaks)
    with qtbot.waitSignal(generation.failed, timeout=5000) as failed:
        generation.start(prompt="§§§")
    assert failed.args[0].startswith("prompt '§§§': expected")
    assert not generation.busy
