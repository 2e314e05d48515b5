from __future__ import annotations

from collections.abc import Iterator

from engine.diffusion.request import GenerateRequest
from engine.errors import VocabularyError
from engine.project import new_project
from tests.heads import make_head
from tests.viewer.work import Gate, Report, make_named
from viewer.document import Document
from viewer.generation import Generation
from viewer.jobs import JobRunner


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


def test_what_is_wished_for_meanwhile_waits_for_its_turn(qtbot, document, jobs) -> None:
    gate = Gate()
    generation = Generation(document, jobs, gate)
    generation.want("Jaw Left")
    generation.want("Lip Suck")
    generation.want("Dimpler")
    generation.want("Lip Suck")
    generation.want("Jaw Open")  # there already
    assert (generation.making, generation.waiting) == (("Jaw Left",), ("Lip Suck", "Dimpler"))
    gate.let(100)
    qtbot.waitUntil(lambda: not generation.busy, timeout=5000)
    assert {"Jaw Left", "Lip Suck", "Dimpler"} <= set(document.project.expressions.names)


def test_cancel_leaves_the_document_and_the_next_request_works(qtbot, document, jobs) -> None:
    gate, before = Gate(), document.project
    generation = Generation(document, jobs, gate)
    generation.start(("Jaw Left",))
    generation.want("Lip Suck")
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


def test_a_foreign_set_is_told_about_and_set_aside(qtbot, document: Document, jobs: JobRunner) -> None:
    foreign = make_head(seed=5)

    def wrong(request: GenerateRequest) -> Iterator[Report]:
        other = GenerateRequest(foreign, request.names)
        from engine.expression import ExpressionSet

        yield Report(1, 1, "", ExpressionSet(foreign.hash, (make_named(foreign, other, "Jaw Left"),)))

    generation, before = Generation(document, jobs, wrong), document.project
    with qtbot.waitSignal(generation.told, timeout=5000) as told:
        generation.start(("Jaw Left",))
    assert "another head" in told.args[0]
    assert document.project is before


def test_failure_is_told_in_the_models_words(qtbot, document, jobs) -> None:
    def breaks(request: GenerateRequest) -> Iterator[Report]:
        yield Report(0, 2, "reading")
        raise VocabularyError(f"prompt '{request.prompt}': expected English words, found none; rephrase it")

    generation = Generation(document, jobs, breaks)
    with qtbot.waitSignal(generation.failed, timeout=5000) as failed:
        generation.start(prompt="§§§")
    assert failed.args[0].startswith("prompt '§§§': expected")
    assert not generation.busy
