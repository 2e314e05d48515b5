"""Generation: asks the diffusion model for expressions on the queue's lane and brings them into the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from PySide6.QtCore import QObject, Signal

from engine.diffusion.request import DEFAULT_STEPS, GenerateRequest
from engine.expression import Expression, ExpressionSet
from engine.jobs import Job, Lane, Progress, State
from engine.project import Project
from engine.sides import Weight
from engine.vocabulary import NAMES, NEUTRAL, find, nearest_first
from viewer.document import Document
from viewer.jobs import Jobs
from viewer.notify import describe

Generator = Callable[[GenerateRequest], Iterator[Progress]]

OTHERS = tuple(name for name in NAMES if name != NEUTRAL)
AT_ONCE = 4
"""Expressions of one request that nobody waits for: it is over soon, and so is what it costs to give way."""
DRAWN = ("steps", "seed", "folds", "age_years")
"""What `Settings` and a request share: how expressions are drawn, whichever they are."""
ON = 1.0
"""Weight of an expression that is asked for by name."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the sampler is asked for besides the names."""

    steps: int = DEFAULT_STEPS
    seed: int = 0
    lock: str = ""
    """What stays of an expression that is asked for again: one of `request.LOCKS`, or nothing."""
    folds: float = 1.0
    """Depth of the skin's folds, as `GenerateRequest.folds`."""
    age_years: float | None = None
    """What folds take the person for; None for the head's usual age."""


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
        request = self.request
        drawn = request.steps, request.seed, request.folds, request.folds_age_years
        return self.names, request.prompt, request.lock, *drawn

    @property
    def seen(self) -> bool:
        """Does somebody wait for it?"""
        return self.kind in (Kind.ASKED, Kind.WANTED)


class Generation(QObject):
    """Orders of the document's head on the queue, the newest first; what it pushes aside goes on after it.

    When nobody waits for anything: expressions of this head that `finder` has on disk, then, where `fills` is on, the
    others of the vocabulary, nearest to the last one asked for first. Both end where somebody asks for something.
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
        jobs: Jobs,
        generator: Generator,
        finder: Generator | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.document, self.jobs, self.generator, self.finder = document, jobs, generator, finder
        self.settings = Settings()
        self.fills = False
        """Make the other expressions too once one was asked for; set by `fill`."""
        self._orders: dict[int, Order] = {}
        """By the number of their job; without those whose result was taken and those that were dropped."""
        self._steps: dict[int, Progress] = {}
        """The latest of an order, by the number of its job."""
        self._cancelled: set[int] = set()
        """Of the orders, those that a person cancelled and that have not ended yet."""
        self._preview: ExpressionSet | None = None
        self._to_find = False
        self._last: tuple[Settings, Mapping[str, float]] | None = None
        """How something was asked for last and the units of its expression: where filling starts."""
        self._put_on = ""
        """What was put on the face because it was asked for, until its slider is moved."""
        jobs.changed.connect(self._job_changed)
        document.changed.connect(self._document_changed)

    @property
    def busy(self) -> bool:
        """Is something under way (or being stopped) that somebody waits for?"""
        return any(order.seen for order in self._orders.values())

    @property
    def stopping(self) -> bool:
        """Is everything that somebody waited for being stopped?"""
        return self.busy and not self._seen()

    @property
    def making(self) -> tuple[str, ...]:
        """Names (or the prompt) under way that somebody waits for."""
        seen = self._seen()
        return seen[0][1].names if seen else ()

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names whose turn comes later, next one first."""
        return tuple(name for _, order in self._seen()[1:] for name in order.names)

    @property
    def asked(self) -> tuple[str, ...]:
        """Of both, what was asked for by name or prompt, and so is lost when it ends before it is made."""
        return tuple(name for _, order in self._seen() if order.kind is Kind.ASKED for name in order.names)

    @property
    def filling(self) -> bool:
        """Are the others being made?"""
        return any(order.kind is Kind.OTHERS for order in self._orders.values())

    @property
    def label(self) -> str:
        """What is being done for somebody who waits, for people."""
        if not (seen := self._seen()):
            return "Stopping" if self.busy else ""
        number = seen[0][0]
        return self._steps[number].label if number in self._steps else "Starting"

    @property
    def fraction(self) -> float:
        """0..1 of the order under way."""
        step = self._steps.get(self._seen()[0][0]) if self._seen() else None
        return step.index / max(step.total, 1) if step is not None else 0.0

    def _seen(self) -> list[tuple[int, Order]]:
        """Orders that somebody waits for, in the order of their turn."""
        orders = [(number, order) for number, order in self._orders.items() if number not in self._cancelled]
        return [each for each in reversed(orders) if each[1].seen]

    # What can be asked

    def start(self, names: tuple[str, ...] = (), prompt: str = "") -> None:
        """Make the expressions `names`, or the one that `prompt` describes, now, for the current identity.

        What is locked stays where all of them are there; what is not there yet is made whole.
        """
        request, there = self._request(names, prompt, self.settings), self.document.project.expressions
        if self.settings.lock and all(name in there for name in ((prompt,) if prompt else names)):
            request = replace(request, lock=self.settings.lock, made=there)
        self._run(Order(request, Kind.ASKED))

    def want(self, name: str) -> None:
        """Make `name` now, unless it is there."""
        if name not in self.document.project.expressions:
            self._run(Order(self._request((name,), "", self.settings), Kind.WANTED))

    def put_on(self, name: str) -> Mapping[str, Weight]:
        """The document's weights with `name`, which was asked for by name, on the face; unchanged where it is on.

        It takes the place of what was put there so before: every expression made from a prompt, and one of the
        vocabulary whose slider nobody has moved since. What was set with a slider stays.
        """
        weights, there = self.document.project.weights, self.document.project.expressions
        if weights.get(name):
            return weights
        gone = {each for each in there.names if each not in NAMES or each == self._put_on}
        self._put_on = name
        return {each: weight for each, weight in weights.items() if each not in gone} | {name: ON}

    def cancel(self) -> None:
        """Stop at the sampler's next step, forget what waits, and rest until the next request."""
        stopped = [number for number, order in self._orders.items() if order.seen]
        if stopped:
            self._last = None
            self._cancelled.update(stopped)
            for number in stopped:
                self.jobs.cancel(number)
            self.changed.emit()

    def look_on_disk(self) -> None:
        """Bring in what the disk has of this head, as soon as nobody waits for anything else."""
        self._to_find = self.finder is not None
        self._next()

    def fill(self, on: bool) -> None:
        """Make the others too, or leave that; what is under way of it stops at its next step."""
        self.fills = on
        if not on:
            self._drop(lambda order: order.kind is Kind.OTHERS)
        self._next()
        self.changed.emit()

    # What is done

    def _request(self, names: tuple[str, ...], prompt: str, settings: Settings) -> GenerateRequest:
        """Without a lock: that is asked for by `start` alone, of what is there."""
        identity = self.document.project.identity
        drawn = {name: getattr(settings, name) for name in DRAWN}
        return GenerateRequest(identity, names, prompt, **drawn)

    def _run(self, order: Order) -> None:
        """Do `order` now, unless just that is under way; what somebody waits for meanwhile comes right after it."""
        seen = self._seen()
        if seen and seen[0][1].asks == order.asks:
            return
        self._drop(lambda other: not other.seen or other.names == order.names)
        self._begin(order)

    def _begin(self, order: Order) -> None:
        work = self.finder if order.kind is Kind.FOUND and self.finder is not None else self.generator
        label = _listed(order.names)
        job = self.jobs.add(Lane.MODEL, label, lambda: work(order.request), idle=not order.seen, first=order.seen)
        self._orders[job.number] = order
        self.changed.emit()

    def _next(self) -> None:
        """Begin what nobody waits for, where nobody waits for anything and there is something."""
        if self._orders or not (missing := self._missing()):
            return
        if self._to_find:
            self._begin(Order(self._request(missing, "", self.settings), Kind.FOUND))
        elif self.fills and self._last is not None:
            settings, units = self._last
            near = nearest_first(units, missing)[:AT_ONCE]
            self._begin(Order(self._request(near, "", settings), Kind.OTHERS))

    def _missing(self) -> tuple[str, ...]:
        return tuple(name for name in OTHERS if name not in self.document.project.expressions)

    def _drop(self, which: Callable[[Order], bool]) -> None:
        """Let go of orders; their reports are not heard any more."""
        for number in [number for number, order in self._orders.items() if which(order)]:
            self._forget(number)
            self.jobs.cancel(number)

    def _forget(self, number: int) -> None:
        del self._orders[number]
        self._steps.pop(number, None)
        self._cancelled.discard(number)

    def _rest(self) -> None:
        """An order is over; coarse expressions stay as long as somebody waits for their own."""
        if self._preview is not None:
            awaited = (*self.making, *self.waiting)
            kept = tuple(each for each in self._preview.expressions if each.name in awaited)
            self._preview = ExpressionSet(self._preview.identity_hash, kept) if kept else None
        self.previewed.emit(self._preview)
        self.changed.emit()

    # What comes back

    def _job_changed(self, job: Job) -> None:
        order = self._orders.get(job.number)
        if order is not None:
            if job.over:
                cancelled = job.number in self._cancelled
                self._forget(job.number)
                self._over(order, job, cancelled)
            elif job.number not in self._cancelled and job.step is not None:
                self._stepped(job.number, order, job.step)
        self._next()

    def _stepped(self, number: int, order: Order, step: Progress) -> None:
        """A result is taken as it comes: the job may still be writing it to disk."""
        if step.result is not None:
            self._take(number, order, step.result)
        elif order.seen:
            self._steps[number] = step
            preview = getattr(step, "preview", None)
            if preview is not None:
                self._preview = preview if self._preview is None else self._preview.merged(preview)
                self.previewed.emit(self._preview)
            self.changed.emit()

    def _take(self, number: int, order: Order, result: ExpressionSet) -> None:
        """Bring `result` into the document; a set made for another person is never applied."""
        if order.seen:
            self._forget(number)
        fits = result.identity_hash == self.document.project.identity.hash
        if fits and order.request.prompt and not order.request.lock:
            there = self.document.project.expressions
            result = replace(result, expressions=tuple(there.beside(each) for each in result.expressions))
        if fits and order.kind is Kind.ASKED:
            self._edit(result)
        elif fits:
            self.document.complete(result)
        there = self.document.project.expressions
        self._drop(lambda other: other.kind is Kind.WANTED and all(name in there for name in other.names))
        if order.seen:
            settings = Settings(**{name: getattr(order.request, name) for name in DRAWN})
            self._last = (settings, _units(result.expressions[-1])) if fits else None
            self._rest()
            what = _listed(result.names)
            self.told.emit(f"Generated {what}" if fits else f"{what} was made for another head and is set aside")

    def _edit(self, result: ExpressionSet) -> None:
        project = self.document.project
        one = len(result.names) == 1
        weights = self.put_on(result.names[0]) if one else project.weights
        label = f"Generate {_listed(result.names)}"
        self.document.edit(label, expressions=project.expressions.merged(result), weights=weights)

    def _over(self, order: Order, job: Job, cancelled: bool) -> None:
        """An order has ended, and nothing of it was taken, or it was nobody's."""
        self._to_find = self._to_find and order.kind is not Kind.FOUND
        self._rest()
        if cancelled:
            if not self.busy:
                self.told.emit("Generation cancelled")
        elif job.state is State.FAILED:
            self._failed(order, job.error)
        elif order.seen:
            self.failed.emit(f"Generating {_listed(order.names)} ended without a result")
        elif order.kind is Kind.OTHERS:
            missing = self._missing()
            if any(name in missing for name in order.names):
                self._last = None  # asking again would bring nothing again
            elif not missing:
                self.told.emit(f"All {len(OTHERS)} expressions are there")

    def _failed(self, order: Order, error: Exception | None) -> None:
        assert error is not None
        if order.seen:
            self.failed.emit(describe(error))
        else:
            self._last = None
            self.told.emit(f"The others are not made: {describe(error)}")

    def _document_changed(self, old: Project, new: Project) -> None:
        """Another head was opened: what is under way is of no use any more."""
        if new.weights.get(self._put_on) != ON:
            self._put_on = ""
        if old.identity is not new.identity:
            asked = [order for order in self._orders.values() if order.kind is Kind.ASKED]
            self._drop(lambda order: True)
            self._last = None
            self._rest()
            if asked:
                names = tuple(name for order in asked for name in order.names)
                self.told.emit(f"{_listed(names)} of the head before: not made any more")
            self.look_on_disk()


def _units(expression: Expression) -> Mapping[str, float]:
    """What tells how near others are: FACS units, and ARKit shapes where the table has them."""
    if expression.name not in NAMES:
        return expression.facs
    entry = find(expression.name)
    return {**entry.facs, **entry.arkit}


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} expressions"
