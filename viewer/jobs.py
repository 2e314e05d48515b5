"""The window's job queue: what `engine.jobs` reports from its threads arrives on the GUI thread."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QObject, Signal

from engine.jobs import Job, JobQueue, Lane

LEAST_SECONDS_LEFT = 2.0
"""Less is not worth telling."""


class Jobs(QObject):
    """A `JobQueue` whose reports are signals; they arrive on the thread this object lives in."""

    changed = Signal(object)
    """(Job): one waits for its turn, has taken a step, or is over."""
    _reported = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._jobs: dict[int, Job] = {}
        """Those whose end has not arrived here yet, as they were last reported."""
        self._reported.connect(self._deliver)  # at once on this thread, from others through the event loop
        self.queue = JobQueue(self._reported.emit)
        self.add = self.queue.add

    def cancel(self, number: int) -> None:
        """As `JobQueue.cancel`; from now on it does not count as waited for."""
        if number in self._jobs:
            self._jobs[number] = replace(self._jobs[number], stopping=True)
        self.queue.cancel(number)

    def jobs(self, *lanes: Lane) -> tuple[Job, ...]:
        """What is under way, to stop or waits for its turn on `lanes` (all without any), oldest first."""
        return tuple(job for job in self._jobs.values() if job.lane in (lanes or Lane))

    def waiting(self, *lanes: Lane) -> tuple[Job, ...]:
        """Of `jobs`, those that are not to stop."""
        return tuple(job for job in self.jobs(*lanes) if not job.stopping)

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
        last = self._jobs.get(job.number)
        if last is not None and last.stopping and not job.stopping:
            job = replace(job, stopping=True)  # reported before it was cancelled
        if job.over:
            self._jobs.pop(job.number, None)
        else:
            self._jobs[job.number] = job
        self.changed.emit(job)


def time_left(job: Job) -> str:
    """About how long a job takes yet at its pace so far, to follow what it does; nothing where that is little."""
    share = job.step.index / max(job.step.total, 1) if job.step is not None else 0.0
    seconds = job.seconds / share - job.seconds if share else 0.0
    return "" if seconds < LEAST_SECONDS_LEFT else f", {seconds:.0f} s left"
