"""What the queue reports arrives on the GUI thread, and what is read and written is shown and can be cancelled."""

from __future__ import annotations

import threading

from engine.jobs import Lane, State
from tests.viewer import hand
from tests.viewer.work import Gate
from viewer.jobs import Jobs


def _steps(gate: Gate, project):
    from engine.diffusion.request import GenerateRequest

    request = GenerateRequest(project.identity, ("Jaw Open",), steps=3)
    return lambda: gate(request)


def test_reports_arrive_on_this_thread_from_work_done_on_another(qtbot, jobs: Jobs, project) -> None:
    gate, here, seen = Gate(), threading.current_thread(), []
    gate.let(100)
    jobs.changed.connect(lambda job: seen.append((job.number, job.state, threading.current_thread())))
    with qtbot.waitSignal(jobs.changed, timeout=5000, check_params_cb=lambda job: job.over) as done:
        job = jobs.add(Lane.MODEL, "Jaw Open", _steps(gate, project))
        assert jobs.busy
    assert [entry[:2] for entry in seen] == [
        (job.number, state) for state in (State.WAITING, *[State.RUNNING] * 4, State.DONE)
    ]
    assert {entry[2] for entry in seen} == {here}
    assert here not in gate.threads
    assert done.args[0].result.names == ("Jaw Open",)
    assert not jobs.busy


def test_closing_drops_what_is_late(qtbot, project) -> None:
    jobs, gate, seen = Jobs(), Gate(), []
    jobs.add(Lane.FILES, "a", _steps(gate, project))
    jobs.changed.connect(seen.append)
    gate.let(3)
    jobs.close()
    qtbot.wait(20)
    assert seen == []


def test_the_bar_shows_what_is_under_way_and_what_waits_and_cancels_either(qtbot, open_window, expressive) -> None:
    window = open_window(expressive)
    bar, gates, ends = window.job_bar, [Gate(), Gate(), Gate()], {}
    window.jobs.changed.connect(lambda job: ends.update({job.label: job.state}) if job.over else None)
    assert not bar.isVisible()
    for name, gate in zip(("a.glb", "b.glb", "c.glb"), gates, strict=True):
        window.jobs.add(Lane.FILES, f"Writing {name}", _steps(gate, expressive))
    gates[0].let()
    qtbot.waitUntil(lambda: "step 1" in bar.label.text(), timeout=5000)
    assert bar.isVisible()
    assert bar.label.text().startswith("Writing a.glb: ")
    assert bar.label.text().endswith("2 more")
    hand.click(bar.cancel)
    qtbot.waitUntil(bar.list.isVisible, timeout=5000)
    assert [action.text() for action in bar.list.actions()] == [
        "Writing a.glb (under way)",
        "Writing b.glb (waiting)",
        "Writing c.glb (waiting)",
    ]
    hand.click(bar.list, bar.list.actionGeometry(bar.list.actions()[1]).center())
    qtbot.waitUntil(lambda: ends == {"Writing b.glb": State.CANCELLED}, timeout=5000)
    assert window.notifier.text.text() == "Cancelled: Writing b.glb"
    gates[0].let()
    qtbot.waitUntil(lambda: bar.label.text().endswith("1 more"), timeout=5000)
    hand.click(bar.cancel)
    hand.click(bar.list, bar.list.actionGeometry(bar.list.actions()[0]).center())
    gates[0].let()
    qtbot.waitUntil(lambda: ends.get("Writing a.glb") is State.CANCELLED, timeout=5000)
    gates[2].let()
    qtbot.waitUntil(lambda: bar.label.text() == "Writing c.glb: Jaw Open, step 1 of 3", timeout=5000)
    gates[2].let(100)
    qtbot.waitUntil(lambda: ends.get("Writing c.glb") is State.DONE, timeout=5000)
    assert not bar.isVisible()
    assert gates[1].requests == []


def test_an_error_stays_until_it_is_closed_whatever_is_told_after_it(qtbot, open_window, expressive, tmp_path) -> None:
    window = open_window(expressive)
    window.export_glb_to(str(tmp_path / "head.txt"))
    window.export_glb_to(str(tmp_path / "head.glb"))
    qtbot.waitUntil(lambda: window.notifier.message.startswith("Wrote"), timeout=20000)
    lines = window.notifier.text.text().splitlines()
    assert "head.txt: expected" in lines[0]
    assert lines[1] == f"Wrote {tmp_path / 'head.glb'}"
    window.document.open(expressive)
    assert "head.txt" in window.notifier.text.text()
    close = window.notifier.findChild(type(window.job_bar.cancel))
    hand.click(close)
    assert not window.notifier.isVisible()
