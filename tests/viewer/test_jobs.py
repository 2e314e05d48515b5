from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from engine.diffusion.request import GenerateRequest
from engine.errors import WeightsError
from engine.project import Project
from tests.viewer.work import Gate, Report, make_step_by_step
from viewer.jobs import JobRunner


def _request(project: Project, *names: str, steps: int = 2) -> GenerateRequest:
    return GenerateRequest(project.identity, names, steps=steps)


def test_steps_come_in_order_on_this_thread_and_work_is_done_on_another(qtbot, jobs: JobRunner, project) -> None:
    gate, here, seen = Gate(), threading.current_thread(), []
    gate.let(100)
    jobs.stepped.connect(lambda number, step: seen.append((number, step.index, threading.current_thread())))
    with qtbot.waitSignal(jobs.finished, timeout=5000) as done:
        number = jobs.start(gate(_request(project, "Jaw Open", "Brows Up")))
        assert jobs.busy
    assert [entry[:2] for entry in seen] == [(number, index) for index in range(5)]
    assert {entry[2] for entry in seen} == {here}
    assert here not in gate.threads
    assert len(set(gate.threads)) == 1
    assert done.args[0] == number
    assert done.args[1].names == ("Jaw Open", "Brows Up")
    assert not jobs.busy


def test_cancel_ends_at_the_next_yield_and_runs_the_generators_finally(qtbot, jobs: JobRunner, project) -> None:
    gate, seen = Gate(), []
    jobs.finished.connect(lambda *args: seen.append("finished"))
    jobs.failed.connect(lambda *args: seen.append("failed"))
    gate.let()
    with qtbot.waitSignal(jobs.stepped, timeout=5000):
        number = jobs.start(gate(_request(project, "Jaw Open", steps=50)))
    with qtbot.waitSignal(jobs.stopped, timeout=5000) as stopped:
        jobs.stop()
        gate.let()
    assert stopped.args == [number]
    assert gate.closed.is_set()
    assert seen == []
    assert not jobs.busy


def test_a_new_job_replaces_the_old_whose_reports_are_dropped(qtbot, jobs: JobRunner, project) -> None:
    first, second, steps, finished = Gate(), Gate(), [], []
    jobs.stepped.connect(lambda number, step: steps.append(number))
    jobs.finished.connect(lambda number, result: finished.append((number, result.names)))
    one = jobs.start(first(_request(project, "Jaw Open")))
    two = jobs.start(second(_request(project, "Brows Up")))
    with qtbot.waitSignals([jobs.stopped, jobs.finished], timeout=5000):
        second.let(100)
        first.let(100)
    assert set(steps) == {two}
    assert one != two
    assert finished == [(two, ("Brows Up",))]


def test_a_failure_is_told_once_and_the_next_job_runs(qtbot, jobs: JobRunner, project, caplog) -> None:
    def breaks() -> Iterator[Report]:
        yield Report(0, 2, "half way")
        raise WeightsError("model: expected a checkpoint, found none; reinstall")

    with qtbot.waitSignal(jobs.failed, timeout=5000) as failed:
        jobs.start(breaks())
    assert str(failed.args[1]).startswith("model: expected")
    assert "WeightsError" in caplog.text
    with qtbot.waitSignal(jobs.finished, timeout=5000):
        jobs.start(make_step_by_step(_request(project, "Jaw Open")))


def test_closing_waits_for_the_thread_and_drops_what_is_late(qtbot, project) -> None:
    jobs, gate, seen = JobRunner(), Gate(), []
    for signal in (jobs.stepped, jobs.stopped):
        signal.connect(lambda *args: seen.append(args))
    jobs.start(gate(_request(project, "Jaw Open", steps=50)))
    gate.let(3)
    jobs.close()
    jobs.close()
    assert gate.closed.is_set() or not gate.threads
    qtbot.wait(20)
    assert seen == []
    with pytest.raises(ValueError, match="closed"):
        jobs.start(gate(_request(project, "Jaw Open")))
