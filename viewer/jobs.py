"""The window's job queue: what `engine.jobs` reports from its threads arrives on the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace

from PySide6.QtCore import QObject, Qt, Signal

from engine.jobs import Job, JobQueue, Lane, Progress


class Jobs(QObject):
    """A `JobQueue` whose reports are signals; they arrive on the thread this object lives in."""

    changed = Signal(object)
    """(Job): one has taken a step, or is over."""
    added = Signal(object)
    """(Job): one waits for its turn."""
    _reported = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._jobs: dict[int, Job] = {}
        """Those whose end has not arrived here yet, as they were last reported."""
        self._reported.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self.queue = JobQueue(self._reported.emit)

    def add(
        self,
        lane: Lane,
        label: str,
        begin: Callable[[], Iterator[Progress]],
        *,
        key: Hashable | None = None,
        idle: bool = False,
        first: bool = False,
    ) -> Job:
        """As `JobQueue.add`."""
        job = self.queue.add(lane, label, begin, key=key, idle=idle, first=first)
        self._jobs[job.number] = job  # before any report of it, which arrives through the event loop
        self.added.emit(job)
        return job

    def cancel(self, number: int) -> None:
        """As `JobQueue.cancel`; from now on it does not count as waited for."""
        if number in self._jobs:
            self._jobs[number] = replace(self._jobs[number], stopping=True)
        self.queue.cancel(number)

    def waiting(self, *lanes: Lane) -> tuple[Job, ...]:
        """What is under way or waits for its turn on `lanes` (all without any), oldest first, save what is to stop."""
        return tuple(job for job in self._jobs.values() if not job.stopping and job.lane in (lanes or Lane))

    @property
    def busy(self) -> bool:
        """Is anything under way or waiting?"""
        return bool(self._jobs)

    def close(self) -> None:
        """Cancel everything and wait for the threads; reports still under way are dropped. May be called twice."""
        self._closed = True
        self.queue.close()
        self._jobs.clear()

    def _deliver(self, job: Job) -> None:
        if self._closed:  # what was posted before still arrives
            return
        if job.over:
            self._jobs.pop(job.number, None)
        else:
            stopping = self._jobs[job.number].stopping
            self._jobs[job.number] = replace(job, stopping=stopping)
        self.changed.emit(job)
