"""The job queue on its own threads, without Qt."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from engine.errors import WeightsError
from engine.jobs import Job, JobQueue, Lane, State, Step

WAIT_S = 10.0


@dataclass
class Seen:
    """What a queue reports; and work that waits before each step until it is let through."""

    reports: list[Job] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, job: Job) -> None:
        with self.changed:
            self.reports.append(job)
            self.changed.notify_all()

    def wait(self, true: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, WAIT_S)

    def wait_over(self, *jobs: Job) -> None:
        self.wait(lambda: all(self.ends(job) for job in jobs))

    def ends(self, job: Job) -> list[State]:
        return [each.state for each in self.reports if each.number == job.number and each.over]

    def labels(self) -> list[str]:
        return [each.step.label for each in self.reports if each.step is not None and not each.over]


class Work:
    """Steps called by `name` and a number; `gated`, each waits for `let`."""

    def __init__(self, name: str, steps: int = 3, gated: bool = False, gives: object = None) -> None:
        self.name, self.steps, self.gives = name, steps, gives
        self.gate = threading.Semaphore(0 if gated else 10**6)
        self.begun, self.closed = threading.Event(), threading.Event()
        self.threads: set[threading.Thread] = set()

    def let(self, steps: int = 1) -> None:
        self.gate.release(steps)

    def __call__(self) -> Iterator[Step]:
        try:
            self.begun.set()
            for index in range(self.steps):
                assert self.gate.acquire(timeout=WAIT_S)
                self.threads.add(threading.current_thread())
                last = index == self.steps - 1
                yield Step(index + 1, self.steps, f"{self.name} {index + 1}", result=self.gives if last else None)
        finally:
            self.closed.set()


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def queue(seen: Seen) -> Iterator[JobQueue]:
    queue = JobQueue(seen)
    yield queue
    queue.close()


def test_steps_come_in_order_from_one_thread_a_lane_and_end_with_the_result(queue: JobQueue, seen: Seen) -> None:
    work = Work("a", gives="whole")
    job = queue.add(Lane.FILES, "a file", work)
    seen.wait_over(job)
    assert seen.labels() == ["a 1", "a 2", "a 3"]
    assert [each.state for each in seen.reports] == [State.WAITING] + [State.RUNNING] * 3 + [State.DONE]
    assert seen.reports[-1].result == "whole"
    assert len(work.threads) == 1
    assert threading.current_thread() not in work.threads
    assert queue.jobs() == ()


def test_what_is_put_behind_waits_its_turn_and_other_lanes_go_on(queue: JobQueue, seen: Seen) -> None:
    one, two, film = Work("one", gated=True), Work("two"), Work("film")
    first, second = queue.add(Lane.FILES, "one", one), queue.add(Lane.FILES, "two", two)
    seen.wait_over(queue.add(Lane.VIDEO, "film", film))
    assert [job.label for job in queue.jobs(Lane.FILES)] == ["one", "two"]
    one.let(3)
    seen.wait_over(first, second)
    files = [label for label in seen.labels() if "film" not in label]
    assert files == [f"{name} {n}" for name in ("one", "two") for n in (1, 2, 3)]
    assert seen.ends(first) == seen.ends(second) == [State.DONE]


def test_what_is_put_first_goes_first_and_what_gave_way_goes_on_where_it_was(queue: JobQueue, seen: Seen) -> None:
    long = Work("long", steps=4, gated=True)
    first = queue.add(Lane.MODEL, "long", long)
    long.let(2)
    seen.wait(lambda: "long 2" in seen.labels())
    second = queue.add(Lane.MODEL, "short", Work("short"), first=True)
    assert [job.label for job in queue.jobs()] == ["short", "long"]
    long.let(2)  # the step it is in
    seen.wait_over(first, second)
    order = seen.labels()
    assert sorted(order) == sorted(f"{w} {n}" for w, steps in (("long", 4), ("short", 3)) for n in range(1, steps + 1))
    assert order.index("short 3") < order.index("long 4")
    assert not long.closed.is_set() or order[-1] == "long 4"


def test_idle_work_comes_after_all_that_somebody_waits_for(queue: JobQueue, seen: Seen) -> None:
    block = Work("block", gated=True)
    queue.add(Lane.MODEL, "block", block)
    idle = queue.add(Lane.MODEL, "idle", Work("idle"), idle=True)
    asked = queue.add(Lane.MODEL, "asked", Work("asked"))
    assert [job.label for job in queue.jobs(Lane.MODEL)] == ["block", "asked", "idle"]
    block.let(3)
    seen.wait_over(idle, asked)
    assert seen.labels()[3:] == [f"{name} {n}" for name in ("asked", "idle") for n in (1, 2, 3)]


def test_cancelling_ends_one_job_at_its_next_step_and_no_other(queue: JobQueue, seen: Seen) -> None:
    under_way, waits, stays = Work("a", steps=50, gated=True), Work("b"), Work("c")
    jobs = [queue.add(Lane.FILES, work.name, work) for work in (under_way, waits, stays)]
    under_way.let()
    seen.wait(lambda: seen.labels() == ["a 1"])
    queue.cancel(jobs[1].number)  # had not begun: it is over at once
    assert seen.ends(jobs[1]) == [State.CANCELLED]
    queue.cancel(jobs[0].number)
    queue.cancel(jobs[0].number)
    under_way.let()
    seen.wait_over(*jobs)
    assert under_way.closed.is_set()
    assert not waits.threads
    assert [seen.ends(job) for job in jobs] == [[State.CANCELLED], [State.CANCELLED], [State.DONE]]
    queue.cancel(jobs[2].number)
    queue.cancel(12345)


def test_what_is_whole_before_the_cancel_reaches_it_is_done(queue: JobQueue, seen: Seen) -> None:
    work = Work("a", steps=1, gated=True, gives="path")
    job = queue.add(Lane.FILES, "a", work)
    assert work.begun.wait(WAIT_S)
    queue.cancel(job.number)
    work.let()
    seen.wait_over(job)
    ended = seen.reports[-1]
    assert (ended.state, ended.result, ended.stopping) == (State.DONE, "path", True)


@pytest.mark.parametrize("begun", [False, True])
def test_a_newer_job_of_the_same_key_stands_for_the_older(queue: JobQueue, seen: Seen, begun: bool) -> None:
    block, old = Work("block", gated=True), Work("old", steps=9, gated=True)
    if not begun:
        queue.add(Lane.OPENING, "block", block)
    first = queue.add(Lane.OPENING, "old", old, key="head")
    if begun:
        old.let()
        seen.wait(lambda: seen.labels() == ["old 1"])
    other = queue.add(Lane.OPENING, "other", Work("other"), key="another")
    second = queue.add(Lane.OPENING, "new", Work("new"), key="head")
    old.let(1), block.let(3)
    seen.wait_over(first, second, other)
    assert [seen.ends(job) for job in (first, second, other)] == [[State.REPLACED], [State.DONE], [State.DONE]]
    assert old.closed.is_set() == begun


def test_a_failure_is_told_once_and_the_next_job_runs(queue: JobQueue, seen: Seen, caplog) -> None:
    def breaks() -> Iterator[Step]:
        yield Step(0, 2, "half way")
        raise WeightsError("model: expected a checkpoint, found none; reinstall")

    def cannot_begin() -> Iterator[Step]:
        raise KeyError("x")

    jobs = [queue.add(Lane.FILES, "a", work) for work in (breaks, cannot_begin, Work("fine"))]
    seen.wait_over(*jobs)
    assert [seen.ends(job) for job in jobs] == [[State.FAILED], [State.FAILED], [State.DONE]]
    errors = [job.error for job in seen.reports if job.over]
    assert str(errors[0]).startswith("model: expected")
    assert isinstance(errors[1], KeyError)
    assert "WeightsError" in caplog.text


def test_closing_cancels_all_waits_for_the_threads_and_takes_no_more(seen: Seen) -> None:
    queue, gated, waits = JobQueue(seen), Work("a", steps=50, gated=True), Work("b")
    jobs = [queue.add(Lane.FILES, work.name, work) for work in (gated, waits)]
    before = threading.active_count()
    gated.let(2)
    seen.wait(lambda: len(seen.labels()) == 2)
    threading.Timer(0.05, gated.let).start()  # the step it is in
    queue.close()
    queue.close()
    assert gated.closed.is_set()
    assert [seen.ends(job) for job in jobs] == [[State.CANCELLED]] * 2
    assert threading.active_count() == before - 1
    with pytest.raises(ValueError, match="closed"):
        queue.add(Lane.FILES, "c", Work("c"))


def test_every_job_ends_exactly_once_whatever_is_asked_for_in_between(queue: JobQueue, seen: Seen) -> None:
    rng, jobs = random.Random(0), []
    for number in range(300):
        lane, key = rng.choice(list(Lane)), rng.choice([None, None, "a", "b"])
        work = Work(str(number), steps=rng.randrange(1, 6), gives=number)
        jobs.append(queue.add(lane, str(number), work, key=key, idle=rng.random() < 0.3, first=rng.random() < 0.3))
        if rng.random() < 0.3:
            queue.cancel(rng.choice(jobs).number)
    seen.wait_over(*jobs)
    assert all(len(seen.ends(job)) == 1 for job in jobs)
    assert {state for job in jobs for state in seen.ends(job)} >= {State.DONE, State.CANCELLED, State.REPLACED}
    for report in seen.reports:
        assert report.state is not State.DONE or report.result == int(report.label)


def test_what_came_before_a_cancel_stays_with_the_job(queue: JobQueue, seen: Seen) -> None:
    gate = threading.Semaphore(0)

    def one_by_one() -> Iterator[Step]:
        for index in range(3):
            assert gate.acquire(timeout=WAIT_S)
            time.sleep(0.01)
            yield Step(index + 1, 3, f"{index}", result=index)

    job = queue.add(Lane.MODEL, "three", one_by_one, request="three")
    gate.release(2)
    seen.wait(lambda: "1" in seen.labels())
    queue.cancel(job.number)
    gate.release()
    seen.wait_over(job)
    last = seen.reports[-1]
    whole = len(last.results) == 3  # where the third had begun
    assert last.state is (State.DONE if whole else State.CANCELLED)
    assert last.results[:2] == (0, 1)
    assert (last.whole, last.request, last.seconds > 0.02) == (whole, "three", True)
