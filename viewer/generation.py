"""Generation: asks the diffusion model for expressions on the job thread and brings them into the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

from engine.diffusion.request import DEFAULT_STEPS, GenerateRequest
from engine.expression import ExpressionSet
from viewer.document import Document
from viewer.jobs import JobRunner, Progress

Generator = Callable[[GenerateRequest], Iterator[Progress]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sampler is asked for besides the names."""

    steps: int = DEFAULT_STEPS
    seed: int = 0


class Generation(QObject):
    """One request at a time; expressions wished for meanwhile (a slider moved) wait for their turn."""

    changed = Signal()
    """Something about `busy`, `making`, `waiting`, `label` or `fraction` is new."""
    previewed = Signal(object)
    """(ExpressionSet | None): coarse expressions to look at until the finished ones come; None when that is over."""
    told = Signal(str)
    """A sentence for the status line: done, cancelled, set aside."""
    failed = Signal(str)
    """Why the model could not do it, in one line."""

    def __init__(
        self, document: Document, jobs: JobRunner, generator: Generator, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self.document, self.jobs, self.generator = document, jobs, generator
        self.settings = Settings()
        self.making: tuple[str, ...] = ()
        """Names (or the prompt) under way."""
        self.waiting: tuple[str, ...] = ()
        self.label = ""
        self.fraction = 0.0
        """0..1 of the running job."""
        self.stopping = False
        self._request: GenerateRequest | None = None
        self._number = 0
        jobs.stepped.connect(self._stepped)
        jobs.finished.connect(self._finished)
        jobs.failed.connect(self._failed)
        jobs.stopped.connect(self._stopped)
        document.changed.connect(self._document_changed)

    @property
    def busy(self) -> bool:
        """Is a request under way (or being stopped)?"""
        return bool(self.making)

    def start(self, names: tuple[str, ...] = (), prompt: str = "") -> None:
        """Make the expressions `names`, or the one that `prompt` describes, for the current identity."""
        request = GenerateRequest(
            self.document.project.identity, names, prompt, steps=self.settings.steps, seed=self.settings.seed
        )
        self._request, self.making = request, (prompt,) if prompt else names
        self.label, self.fraction, self.stopping = "Starting", 0.0, False
        self._number = self.jobs.start(self.generator(request))
        self.changed.emit()

    def want(self, name: str) -> None:
        """Make `name` as soon as nothing else is under way, unless it is there, under way or waiting already."""
        if name in self.document.project.expressions or name in self.making or name in self.waiting:
            return
        if self.busy:
            self.waiting = (*self.waiting, name)
            self.changed.emit()
        else:
            self.start((name,))

    def cancel(self) -> None:
        """Stop at the sampler's next step and forget what waits."""
        if not self.busy:
            return
        self.waiting = ()
        self.stopping, self.label = True, "Stopping"
        self.jobs.stop()
        self.changed.emit()

    def _stepped(self, number: int, step: Progress) -> None:
        if number != self._number:
            return
        self.label, self.fraction = step.label, step.index / max(step.total, 1)
        preview = getattr(step, "preview", None)
        if preview is not None:
            self.previewed.emit(preview)
        self.changed.emit()

    def _finished(self, number: int, result: ExpressionSet | None) -> None:
        if number != self._number:
            return
        made = self.making
        if result is None:
            self.failed.emit(f"Generating {_listed(made)} ended without a result")
        else:
            self._apply(result)
        self._rest()

    def _apply(self, result: ExpressionSet) -> None:
        """Bring `result` into the document as one undo step; a set made for another person is never applied."""
        project = self.document.project
        if result.identity_hash != project.identity.hash:
            self.told.emit(f"{_listed(result.names)} was made for another head and is set aside")
            return
        weights = dict(project.weights)
        if len(result.names) == 1 and not weights.get(result.names[0]):
            weights[result.names[0]] = 1.0  # one expression asked for by name is wanted on the face
        label = f"Generate {_listed(result.names)}"
        self.document.edit(label, expressions=project.expressions.merged(result), weights=weights)
        self.told.emit(f"Generated {_listed(result.names)}")

    def _failed(self, number: int, error: Exception) -> None:
        if number == self._number:
            self.waiting = ()
            self._rest()
            self.failed.emit(str(error))

    def _stopped(self, number: int) -> None:
        if number == self._number:
            self._rest()
            self.told.emit("Generation cancelled")

    def _rest(self) -> None:
        self._request, self.making, self.label, self.fraction, self.stopping = None, (), "", 0.0, False
        self.previewed.emit(None)
        ready = self.document.project.expressions.names
        self.waiting = tuple(name for name in self.waiting if name not in ready)
        if self.waiting:
            names, self.waiting = self.waiting, ()
            self.start(names)
        self.changed.emit()

    def _document_changed(self) -> None:
        """Another head was opened: what is under way is of no use any more."""
        if self._request is not None and self._request.identity is not self.document.project.identity:
            self.cancel()


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} expressions"
