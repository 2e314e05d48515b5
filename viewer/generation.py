"""Generation: asks the diffusion model for expressions on the job thread and brings them into the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from PySide6.QtCore import QObject, Signal

from engine.diffusion.request import DEFAULT_STEPS, GenerateRequest
from engine.expression import Expression, ExpressionSet
from engine.project import Project
from engine.vocabulary import NAMES, NEUTRAL, find, nearest_first
from viewer.document import Document
from viewer.jobs import JobRunner, Progress

Generator = Callable[[GenerateRequest], Iterator[Progress]]

OTHERS = tuple(name for name in NAMES if name != NEUTRAL)
AT_ONCE = 4
"""Expressions of one request that nobody waits for: it is over soon, and so is what it costs to give way."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sampler is asked for besides the names."""

    steps: int = DEFAULT_STEPS
    seed: int = 0
    lock: str = ""
    """What stays of an expression that is asked for again: one of `request.LOCKS`, or nothing."""


class Kind(Enum):
    """Who an order is for, and so how its result enters the document."""

    ASKED = "Generate was pressed: one undo step, replaces what is there"
    WANTED = "a slider needs it: completes what is there, the slider's own step is enough"
    FOUND = "the disk may have it: completes, unseen"
    OTHERS = "nobody asked yet: completes, unseen"


@dataclass(frozen=True, slots=True)
class Order:
    """One request to the model or the disk."""

    request: GenerateRequest
    kind: Kind

    @property
    def names(self) -> tuple[str, ...]:
        """What it makes; a prompt's expression is named after it."""
        return (self.request.prompt,) if self.request.prompt else self.request.names

    @property
    def asks(self) -> tuple[object, ...]:
        """What makes two orders of one head the same."""
        return self.names, self.request.prompt, self.request.steps, self.request.seed, self.request.lock

    @property
    def seen(self) -> bool:
        """Does somebody wait for it?"""
        return self.kind in (Kind.ASKED, Kind.WANTED)


class Generation(QObject):
    """One order at a time, the newest first; what it pushes aside goes on after it.

    When nobody waits for anything: expressions of this head that `finder` has on disk, then, where `fills` is on, the
    others of the vocabulary, nearest to the last one asked for first. Both give way at their next step.
    """

    changed = Signal()
    """Something about `busy`, `making`, `waiting`, `filling`, `label` or `fraction` is new."""
    previewed = Signal(object)
    """(ExpressionSet | None): coarse expressions to look at until the finished ones come; None when that is over."""
    told = Signal(str)
    """A sentence for the status line: done, cancelled, set aside."""
    failed = Signal(str)
    """Why the model could not do it, in one line."""

    def __init__(
        self,
        document: Document,
        jobs: JobRunner,
        generator: Generator,
        finder: Generator | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.document, self.jobs, self.generator, self.finder = document, jobs, generator, finder
        self.settings = Settings()
        self.fills = False
        """Make the other expressions too once one was asked for; set by `fill`."""
        self.label = ""
        self.fraction = 0.0
        """0..1 of the order under way."""
        self.stopping = False
        self._order: Order | None = None
        self._waiting: tuple[Order, ...] = ()
        self._number = 0
        self._preview: ExpressionSet | None = None
        self._to_find = False
        self._last: tuple[GenerateRequest, Mapping[str, float]] | None = None
        """What was asked for last and the units of its expression: where filling starts."""
        jobs.stepped.connect(self._stepped)
        jobs.finished.connect(self._finished)
        jobs.failed.connect(self._failed)
        jobs.stopped.connect(self._stopped)
        document.changed.connect(self._document_changed)

    @property
    def busy(self) -> bool:
        """Is something under way (or being stopped) that somebody waits for?"""
        return self._order is not None and self._order.seen

    @property
    def making(self) -> tuple[str, ...]:
        """Names (or the prompt) under way that somebody waits for."""
        return self._order.names if self._order is not None and self._order.seen else ()

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names whose turn comes later, next one first."""
        return tuple(name for order in self._waiting for name in order.names)

    @property
    def filling(self) -> bool:
        """Are the others being made?"""
        return self._order is not None and self._order.kind is Kind.OTHERS

    # What can be asked

    def start(self, names: tuple[str, ...] = (), prompt: str = "") -> None:
        """Make the expressions `names`, or the one that `prompt` describes, now, for the current identity.

        What is locked stays where all of them are there; what is not there yet is made whole.
        """
        request, there = self._request(names, prompt), self.document.project.expressions
        if self.settings.lock and all(name in there for name in ((prompt,) if prompt else names)):
            request = replace(request, lock=self.settings.lock, made=there)
        self._run(Order(request, Kind.ASKED))

    def want(self, name: str) -> None:
        """Make `name` now, unless it is there."""
        if name not in self.document.project.expressions:
            self._run(Order(self._request((name,)), Kind.WANTED))

    def cancel(self) -> None:
        """Stop at the sampler's next step, forget what waits, and rest until the next request."""
        if self.busy:
            self._waiting, self._last = (), None
            self.stopping, self.label = True, "Stopping"
            self.jobs.stop()
            self.changed.emit()

    def look_on_disk(self) -> None:
        """Bring in what the disk has of this head, as soon as nobody waits for anything else."""
        self._to_find = self.finder is not None
        if not self.jobs.busy:
            self._next()

    def fill(self, on: bool) -> None:
        """Make the others too, or leave that; what is under way of it stops at its next step."""
        self.fills = on
        if not on and self.filling:
            self._drop()
        if not self.jobs.busy:
            self._next()
        self.changed.emit()

    # What is done

    def _request(self, names: tuple[str, ...], prompt: str = "") -> GenerateRequest:
        identity, settings = self.document.project.identity, self.settings
        return GenerateRequest(identity, names, prompt, steps=settings.steps, seed=settings.seed)

    def _run(self, order: Order) -> None:
        """Do `order` now, unless just that is under way; what somebody waits for meanwhile comes right after it."""
        running = self._order
        if running is not None and running.seen and not self.stopping:
            if running.asks == order.asks:
                return
            self._waiting = (running, *self._waiting)
        self._waiting = tuple(each for each in self._waiting if each.names != order.names)  # `order` stands for it
        self._begin(order)

    def _begin(self, order: Order) -> None:
        self._order, self.stopping = order, False
        self.label, self.fraction = "Starting" if order.seen else "", 0.0
        work = self.finder if order.kind is Kind.FOUND and self.finder is not None else self.generator
        self._number = self.jobs.start(work(order.request))
        self.changed.emit()

    def _next(self) -> None:
        """Begin what comes next, if there is anything."""
        there = self.document.project.expressions
        self._waiting = tuple(
            each for each in self._waiting if each.kind is Kind.ASKED or any(name not in there for name in each.names)
        )
        if self._waiting:
            order, *rest = self._waiting
            self._waiting = tuple(rest)
            self._begin(order)
        elif self._to_find and (missing := self._missing()):
            self._begin(Order(self._request(missing), Kind.FOUND))
        elif self.fills and self._last is not None and (missing := self._missing()):
            request, units = self._last
            near = nearest_first(units, missing)[:AT_ONCE]
            self._begin(Order(replace(request, names=near, prompt=""), Kind.OTHERS))

    def _missing(self) -> tuple[str, ...]:
        return tuple(name for name in OTHERS if name not in self.document.project.expressions)

    def _drop(self) -> None:
        """Let go of the order under way; its reports are not heard any more."""
        self._number = 0
        self.jobs.stop()
        self._rest()

    def _rest(self) -> None:
        """The order is over; coarse expressions stay as long as their order waits."""
        self._order, self.label, self.fraction, self.stopping = None, "", 0.0, False
        if self._preview is not None:
            kept = tuple(each for each in self._preview.expressions if each.name in self.waiting)
            self._preview = ExpressionSet(self._preview.identity_hash, kept) if kept else None
        self.previewed.emit(self._preview)
        self.changed.emit()

    # What comes back

    def _stepped(self, number: int, step: Progress) -> None:
        """A result is taken as it comes: the job may still be writing it to disk."""
        order = self._order
        if number != self._number or order is None:
            return
        if step.result is not None:
            self._take(order, step.result)
        elif order.seen:
            self.label, self.fraction = step.label, step.index / max(step.total, 1)
            preview = getattr(step, "preview", None)
            if preview is not None:
                self._preview = preview if self._preview is None else self._preview.merged(preview)
                self.previewed.emit(self._preview)
            self.changed.emit()

    def _take(self, order: Order, result: ExpressionSet) -> None:
        """Bring `result` into the document; a set made for another person is never applied."""
        fits = result.identity_hash == self.document.project.identity.hash
        if fits and order.kind is Kind.ASKED:
            self._edit(result)
        elif fits:
            self.document.complete(result)
        if order.seen:
            self._last = (order.request, _units(result.expressions[-1])) if fits else None
            self._rest()
            what = _listed(result.names)
            self.told.emit(f"Generated {what}" if fits else f"{what} was made for another head and is set aside")

    def _edit(self, result: ExpressionSet) -> None:
        project = self.document.project
        weights = dict(project.weights)
        if len(result.names) == 1 and not weights.get(result.names[0]):
            weights[result.names[0]] = 1.0  # one expression asked for by name is wanted on the face
        label = f"Generate {_listed(result.names)}"
        self.document.edit(label, expressions=project.expressions.merged(result), weights=weights)

    def _finished(self, number: int, result: ExpressionSet | None) -> None:
        order = self._order
        if number != self._number:
            return
        if order is not None:  # else its result was taken
            self._rest()
            self._ended(order)
        self._next()

    def _ended(self, order: Order) -> None:
        missing = self._missing()
        if order.seen:
            self.failed.emit(f"Generating {_listed(order.names)} ended without a result")
        elif order.kind is Kind.FOUND:
            self._to_find = False
        elif any(name in missing for name in order.names):
            self._last = None  # asking again would bring nothing again
        elif not missing:
            self.told.emit(f"All {len(OTHERS)} expressions are there")

    def _failed(self, number: int, error: Exception) -> None:
        order = self._order
        if number != self._number or order is None:
            return
        self._waiting, self._last = (), None
        self._to_find = self._to_find and order.kind is not Kind.FOUND
        self._rest()
        if order.seen:
            self.failed.emit(str(error))
        else:
            self.told.emit(f"The others are not made: {error}")
        self._next()

    def _stopped(self, number: int) -> None:
        if number == self._number:
            self._rest()
            self.told.emit("Generation cancelled")
            self._next()

    def _document_changed(self, old: Project, new: Project) -> None:
        """Another head was opened: what is under way is of no use any more."""
        if old.identity is not new.identity:
            self._waiting, self._last = (), None
            self._drop()
            self.look_on_disk()


def _units(expression: Expression) -> Mapping[str, float]:
    """What tells how near others are: FACS units, and ARKit shapes where the table has them."""
    if expression.name not in NAMES:
        return expression.facs
    entry = find(expression.name)
    return {**entry.facs, **entry.arkit}


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} expressions"
