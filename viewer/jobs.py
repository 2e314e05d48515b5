"""JobRunner: long work is a generator; one thread iterates it, one job at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, Protocol

from PySide6.QtCore import QObject, Qt, Signal, Slot

log = logging.getLogger(__name__)


class Progress(Protocol):
    """What a job yields: `engine.diffusion.generate.Step` is one."""

    @property
    def index(self) -> int:
        """Steps done."""
        ...

    @property
    def total(self) -> int:
        """Steps in all."""
        ...

    @property
    def label(self) -> str:
        """What is being done, for people."""
        ...

    @property
    def result(self) -> Any:
        """None until the last step, which carries what was made."""
        ...


class JobRunner(QObject):
    """Runs generators of `Progress` on one background thread, numbered from 1.

    Starting a job stops the one before at its next yield. Signals arrive on the thread this object lives in; those of a
    job that was stopped or replaced are dropped, save `stopped`. Cancelling is not an error.
    """

    stepped = Signal(int, object)
    """(number, Progress)"""
    finished = Signal(int, object)
    """(number, result): what the last step carried."""
    failed = Signal(int, object)
    """(number, Exception); the traceback has gone to the log."""
    stopped = Signal(int)
    """(number): the job has let go, after `stop` or because another one was started."""
    _reported = Signal(int, str, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue: SimpleQueue[tuple[int, Iterator[Progress]] | None] = SimpleQueue()
        self._number = 0
        self._wanted = 0  # number of the job that may go on; read by the thread before each step
        self._unfinished: set[int] = set()
        self._reported.connect(self._deliver, Qt.ConnectionType.QueuedConnection)
        self._thread = threading.Thread(target=self._run, name="expdiff-jobs")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Is a job at work that has not been stopped?"""
        return self._wanted in self._unfinished

    def start(self, work: Iterator[Progress]) -> int:
        """Run `work` after the current job, if any, has stopped at its next yield. Returns the new job's number."""
        if not self._thread.is_alive():
            raise ValueError("JobRunner.start: expected an open runner, found one that was closed")
        self._number += 1
        self._wanted = self._number
        self._unfinished.add(self._number)
        self._queue.put((self._number, work))
        return self._number

    def stop(self) -> None:
        """Ask the current job to end at its next yield; `stopped` follows when it has."""
        self._wanted = 0

    def close(self) -> None:
        """Stop and wait for the thread. Reports still under way are dropped. May be called twice."""
        if self._thread.is_alive():
            self.stop()
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            self._work(*task)

    def _work(self, number: int, work: Iterator[Progress]) -> None:
        result = None
        try:
            while number == self._wanted:
                step = next(work, None)
                if step is None:
                    self._reported.emit(number, "finished", result)
                    return
                result = step.result if step.result is not None else result
                self._reported.emit(number, "stepped", step)
            close = getattr(work, "close", None)
            if close is not None:
                close()  # runs the generator's finally blocks here, on the thread that owns its resources
            self._reported.emit(number, "stopped", None)
        except Exception as error:
            log.exception("job %d failed", number)
            self._reported.emit(number, "failed", error)

    @Slot(int, str, object)
    def _deliver(self, number: int, kind: str, value: object) -> None:
        if not self._thread.is_alive():
            return  # closed: what was posted before still arrives
        current = number == self._wanted
        if kind != "stepped":
            self._unfinished.discard(number)
        if kind == "stopped" or not current:
            if kind != "stepped":
                self.stopped.emit(number)
            return
        getattr(self, kind).emit(number, value)
