"""Autosave: unsaved work is kept in a draft, beside the GUI thread, every few seconds while something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import QObject, QTimer, Signal

from engine.io.drafts import Draft
from engine.jobs import Job, Lane, Step
from engine.project import Project
from viewer.document import Document, differ
from viewer.jobs import Jobs
from viewer.notify import describe

EVERY_MS = 1000
"""From a change to when it begins to be written."""


class Autosave(QObject):
    """Keeps the unsaved changes of a document; without `new_draft`, nowhere."""

    failed = Signal(str)
    """Why nothing is kept, in one line; once."""

    def __init__(
        self,
        document: Document,
        jobs: Jobs,
        new_draft: Callable[[], Draft] | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.new_draft = new_draft
        self._document, self._jobs = document, jobs
        self._draft: Draft | None = None
        self._kept: Project | None = None
        """What the draft holds, or will once its job is over; None for nothing."""
        self._told = False
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._look)
        if new_draft is not None:
            document.changed.connect(self._changed)
            jobs.changed.connect(self._job_changed)

    def adopt(self, draft: Draft) -> None:
        """Go on with `draft`, which the document was just read from."""
        if self._draft is not None:
            self._draft.remove()
        self._draft, self._kept = draft, self._document.project

    def close(self, *, keep: bool) -> None:
        """The jobs have ended, and so does this: with `keep` the draft is offered at the next start. May be called
        twice."""
        self._timer.stop()
        draft, self._draft = self._draft, None
        if draft is not None:
            draft.release() if keep else draft.remove()

    def _changed(self) -> None:
        if not self._timer.isActive():
            self._timer.start(EVERY_MS)

    def _look(self) -> None:
        """Keep what is there now, unless it is kept, saved, or the one before is still being written."""
        document = self._document
        project = document.project if document.modified else None
        if self._jobs.jobs(Lane.DRAFT):
            self._timer.start(EVERY_MS)
        elif project is not None and differ(project, self._kept):
            self._begin(project, lambda draft: draft.write(project, document.path))
        elif project is None and self._kept is not None:
            self._begin(None, _clearing)

    def _begin(self, project: Project | None, work: Callable[[Draft], Iterator[Step]]) -> None:
        self._kept = project
        self._jobs.add(Lane.DRAFT, "Keeping changes", lambda: self._with_draft(work))

    def _with_draft(self, work: Callable[[Draft], Iterator[Step]]) -> Iterator[Step]:
        """On the lane's thread."""
        if self._draft is None and self.new_draft is not None:
            self._draft = self.new_draft()
        if self._draft is not None:
            yield from work(self._draft)

    def _job_changed(self, job: Job) -> None:
        if job.lane is Lane.DRAFT and job.error is not None:
            self._kept = None
            if not self._told:
                self._told = True
                self.failed.emit(f"Unsaved changes cannot be kept for a crash: {describe(job.error)}")


def _clearing(draft: Draft) -> Iterator[Step]:
    draft.clear()
    yield Step(1, 1, "Nothing to keep", result=draft)
