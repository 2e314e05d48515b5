"""The job queue: long work is a generator of `Step`, and each lane is a thread that iterates the jobs put on it.

Before every step a lane takes the first of its jobs. So a job gives way, at its next step, to one that is put before
it, and goes on where it was when that is over; jobs that are only put behind each other wait their turn. The rules:

* Only a person cancels. No job is cut because another one was asked for, save where both say by their `key` that the
  newer stands for the older: work whose end leaves nothing behind, as a look on the disk or a head being read.
* `idle` work, which nobody waits for, comes after everything else of its lane.
* A job ends exactly once, as done, failed, cancelled or replaced, and that is reported.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False, slots=True)
class Step:
    """One sign of life of long work."""

    index: int
    """Steps done, 0 to `total`."""
    total: int
    label: str
    """What comes next, for people."""
    preview: Any = None
    """A coarse estimate of what is being made."""
    result: Any = None
    """What is ready, beside what steps before it gave; most work gives it with its last step only."""


class Lane(Enum):
    """What runs beside each other; each lane runs one job at a time."""

    MODEL = "expressions"
    OPENING = "heads being read"
    FILES = "files being written"
    VIDEO = "films"
    DRAFT = "changes being kept"


class State(Enum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "under way"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REPLACED = "replaced"


@dataclass(frozen=True, eq=False, slots=True)
class Job:
    """What is known of a job at one moment."""

    number: int
    """From 1, the same at every moment."""
    lane: Lane
    label: str
    """What it makes, for people."""
    key: Hashable | None = None
    """A newer job of the same key takes its place."""
    idle: bool = False
    """Nobody waits for it."""
    request: Any = None
    """What it was asked for, for whoever put it there."""
    state: State = State.WAITING
    stopping: bool = False
    """It ends at its next step."""
    step: Step | None = None
    """Its latest."""
    results: tuple[Any, ...] = ()
    """All that its steps carried, in order."""
    seconds: float = 0.0
    """That its steps took, without the time it waited."""
    error: Exception | None = None
    """Of a failed job; the traceback has gone to the log."""

    @property
    def over(self) -> bool:
        """Has it ended, one way or another?"""
        return self.state not in (State.WAITING, State.RUNNING)

    @property
    def whole(self) -> bool:
        """Has its last result come?"""
        return bool(self.results) and self.step is not None and self.step.index >= self.step.total

    @property
    def result(self) -> Any:
        """The latest that a step carried."""
        return self.results[-1] if self.results else None


class _Task:
    """A job and its generator, which is begun, iterated and closed by its lane's thread only."""

    def __init__(self, job: Job, begin: Callable[[], Iterator[Step]]) -> None:
        self.job, self.begin = job, begin
        self.work: Iterator[Step] | None = None
        self.ends_as = State.CANCELLED


class JobQueue:
    """Runs jobs on one thread a lane, begun when a lane gets its first job.

    `report` is called with the job when it is put there, after each of its steps, and when it is over; on the lane's
    thread, or, for a job that had not begun, on the caller's of `add` and `cancel`.
    """

    def __init__(self, report: Callable[[Job], None]) -> None:
        self._report = report
        self._tasks: dict[Lane, list[_Task]] = {lane: [] for lane in Lane}
        self._threads: dict[Lane, threading.Thread] = {}
        self._changed = threading.Condition()
        self._last = 0
        self._closed = False

    def add(
        self,
        lane: Lane,
        label: str,
        begin: Callable[[], Iterator[Step]],
        *,
        key: Hashable | None = None,
        idle: bool = False,
        first: bool = False,
        request: Any = None,
    ) -> Job:
        """Put a job behind those of its lane, before idle ones, or with `first` before all; `begin` gives its work.

        One of the same `key` ends as replaced. ValueError after `close`.
        """
        with self._changed:
            if self._closed:
                raise ValueError("JobQueue.add: expected an open queue, found one that was closed")
            self._last += 1
            job, tasks = Job(self._last, lane, label, key, idle, request), self._tasks[lane]
            older = [task for task in tasks if key is not None and task.job.key == key]
            over = [each for task in older if (each := self._stop(task, State.REPLACED))]
        for each in (job, *over):
            self._report(each)  # before its lane sees it, and reports its first step
        with self._changed:
            behind = len(tasks) if idle else sum(not task.job.idle for task in tasks)
            tasks.insert(0 if first else behind, _Task(job, begin))
            if lane not in self._threads:
                self._threads[lane] = threading.Thread(target=self._run, args=(lane,), name=f"expdiff-{lane.name}")
                self._threads[lane].start()
            self._changed.notify_all()
        return job

    def cancel(self, number: int) -> None:
        """End job `number` at its next step; nothing happens where it is over."""
        with self._changed:
            tasks = [task for lane in self._tasks.values() for task in lane if task.job.number == number]
            over = [job for task in tasks if (job := self._stop(task, State.CANCELLED))]
            self._changed.notify_all()
        for each in over:
            self._report(each)

    def jobs(self, *lanes: Lane) -> tuple[Job, ...]:
        """What is under way and what waits on `lanes` (all without any), in the order of its turn."""
        with self._changed:
            return tuple(task.job for lane in lanes or Lane for task in self._tasks[lane])

    def close(self) -> None:
        """Cancel everything, wait for the threads, and take no more. May be called twice."""
        with self._changed:
            self._closed = True
            over = [job for lane in Lane for task in (*self._tasks[lane],) if (job := self._stop(task))]
            self._changed.notify_all()
        for each in over:
            self._report(each)
        for thread in self._threads.values():
            thread.join()

    def _stop(self, task: _Task, ends_as: State = State.CANCELLED) -> Job | None:
        """Take a job that has not begun away, and give what it is then; one that has begun is left to its thread."""
        if task.job.stopping:
            return None
        if task.job.state is State.WAITING and task.work is None:
            self._tasks[task.job.lane].remove(task)
            return replace(task.job, state=ends_as)
        task.ends_as = ends_as
        task.job = replace(task.job, stopping=True)
        return None

    # On the lane's thread

    def _run(self, lane: Lane) -> None:
        while (task := self._next(lane)) is not None:
            self._advance(task)

    def _next(self, lane: Lane) -> _Task | None:
        """The job to take a step of: one to be ended, or the first; None once closed."""
        tasks = self._tasks[lane]
        with self._changed:
            while not tasks:
                if self._closed:
                    return None
                self._changed.wait()
            task = next((each for each in tasks if each.job.stopping), tasks[0])
            for each in tasks:
                if each is not task and each.job.state is State.RUNNING:
                    each.job = replace(each.job, state=State.WAITING)
            task.job = replace(task.job, state=State.RUNNING)
            return task

    def _advance(self, task: _Task) -> None:
        """A step of a job, or its end. A job whose last result came is done, however late somebody cancelled it."""
        step, begin = None, time.perf_counter()
        try:
            if task.work is None:
                task.work = task.begin()
            if not task.job.stopping:
                step = next(task.work, None)
                ends_as = State.DONE
            else:
                ends_as = State.DONE if task.job.whole else task.ends_as
                getattr(task.work, "close", lambda: None)()  # its finally blocks run on the thread that owns them
        except Exception as error:
            LOG.exception("job %d, %s", task.job.number, task.job.label)
            self._end(task, State.FAILED, error)
            return
        if step is None:
            self._end(task, ends_as)
        else:
            with self._changed:
                job, seconds = task.job, task.job.seconds + time.perf_counter() - begin
                results = job.results if step.result is None else (*job.results, step.result)
                task.job = job = replace(job, step=step, results=results, seconds=seconds)
            self._report(job)

    def _end(self, task: _Task, state: State, error: Exception | None = None) -> None:
        with self._changed:
            self._tasks[task.job.lane].remove(task)
            job = replace(task.job, state=state, error=error)
        self._report(job)
