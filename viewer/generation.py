"""Generation: asks the diffusion model for expressions on the queue's lane and brings them into the document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from PySide6.QtCore import QObject, Signal

from engine.diffusion.request import DEFAULT_STEPS, GenerateRequest
from engine.expression import Expression, ExpressionSet
from engine.jobs import Job, Lane, State, Step
from engine.project import Project
from engine.vocabulary import NAMES, NEUTRAL, find, nearest_first
from viewer.document import Document, Weights
from viewer.jobs import Jobs, time_left
from viewer.notify import describe

Work = Callable[[GenerateRequest], Iterator[Step]]
"""Each of its results has what came since the one before; the last comes with the last of its steps."""

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

    ASKED = "Generate was pressed: an undo step, replaces what is there"
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
    """Orders of the document's head on the queue, the newest first; what it pushes aside goes on after it. Expressions
    enter the document as they come, and stay there when the rest is cancelled.

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
        generator: Work,
        finder: Work | None = None,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self.document, self.jobs, self.generator, self.finder = document, jobs, generator, finder
        self.settings = Settings()
        self.fills = False
        """Make the other expressions too once one was asked for; set by `fill`."""
        self._let_go: set[int] = set()
        """Numbers of jobs that are not heard any more: all of theirs was taken, or is not wanted."""
        self._preview: ExpressionSet | None = None
        self._to_find = False
        self._last: tuple[Settings, Mapping[str, float]] | None = None
        """How something was asked for last and the units of its expression: where filling starts."""
        self._put_on = ""
        """What was put on the face because it was asked for, until its slider is moved."""
        jobs.changed.connect(self._job_changed)
        document.changed.connect(self._document_changed)

    def _orders(self) -> list[Job]:
        """Jobs that are heard, by their age; the `request` of each is its Order."""
        jobs = self.jobs.jobs(Lane.MODEL)
        return [job for job in jobs if isinstance(job.request, Order) and job.number not in self._let_go]

    def _awaited(self) -> list[Job]:
        """Of these, those that somebody waits for, in the order of their turn."""
        return [job for job in reversed(self._orders()) if job.request.seen and not job.stopping]

    @property
    def busy(self) -> bool:
        """Is something under way (or being stopped) that somebody waits for?"""
        return any(job.request.seen for job in self._orders())

    @property
    def stopping(self) -> bool:
        """Is everything that somebody waited for being stopped?"""
        return self.busy and not self._awaited()

    @property
    def making(self) -> tuple[str, ...]:
        """Names (or the prompt) under way that somebody waits for."""
        return tuple(name for job in self._awaited()[:1] for name in _to_come(job))

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names whose turn comes later, next one first."""
        return tuple(name for job in self._awaited()[1:] for name in _to_come(job))

    @property
    def asked(self) -> tuple[str, ...]:
        """Of both, what was asked for by name or prompt, and so is lost when it ends before it is made."""
        return tuple(name for job in self._awaited() if job.request.kind is Kind.ASKED for name in _to_come(job))

    @property
    def filling(self) -> bool:
        """Are the others being made?"""
        return any(job.request.kind is Kind.OTHERS for job in self._orders())

    @property
    def label(self) -> str:
        """What is being done for somebody who waits, and how long yet, for people."""
        if not (awaited := self._awaited()):
            return "Stopping" if self.busy else ""
        return awaited[0].step.label + time_left(awaited[0]) if awaited[0].step is not None else "Starting"

    @property
    def fraction(self) -> float:
        """0..1 of the order under way."""
        step = next((job.step for job in self._awaited()), None)
        return step.index / max(step.total, 1) if step is not None else 0.0

    # What can be asked

    def start(self, names: tuple[str, ...] = (), prompt: str = "") -> None:
        """Make the expressions `names`, or the one that `prompt` describes, now, for the current identity.

        What is locked stays where all of them are there; what is not there yet is made whole.
        """
        request, expressions = self._request(names, prompt, self.settings), self.document.project.expressions
        if self.settings.lock and all(name in expressions for name in ((prompt,) if prompt else names)):
            request = replace(request, lock=self.settings.lock, made=expressions)
        self._run(Order(request, Kind.ASKED))

    def want(self, name: str) -> None:
        """Make `name` now, unless it is there."""
        if name not in self.document.project.expressions:
            self._run(Order(self._request((name,), "", self.settings), Kind.WANTED))

    def put_on(self, name: str) -> Callable[[Weights], Weights]:
        """What gives weights with `name`, which was asked for by name, on the face; unchanged where it is on.

        It takes the place of what was put there so before: every expression made from a prompt, and one of the
        vocabulary whose slider nobody has moved since. What was set with a slider stays.
        """
        project = self.document.project
        gone = {each for each in project.expressions.names if each not in NAMES or each == self._put_on}
        if not project.weights.get(name):
            self._put_on = name

        def on(weights: Weights) -> Weights:
            others = {each: weight for each, weight in weights.items() if each not in gone}
            return weights if weights.get(name) else others | {name: ON}

        return on

    def cancel(self) -> None:
        """Stop at the next step, forget what waits, and rest until the next request; what came by then stays."""
        if stopped := self._awaited():
            self._last = None
            for job in stopped:
                self.jobs.cancel(job.number)
            self.changed.emit()

    def look_on_disk(self) -> None:
        """Bring in what the disk has of this head, as soon as nobody waits for anything else."""
        self._to_find = self.finder is not None
        self._next()

    def fill(self, on: bool) -> None:
        """Make the others too, or leave that; what is under way of it stops at its next step."""
        self.fills = on
        if not on:
            self._drop([job for job in self._orders() if job.request.kind is Kind.OTHERS])
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
        if [job.request.asks for job in self._awaited()[:1]] == [order.asks]:
            return
        before = self._orders()
        self._begin(order)
        self._drop([job for job in before if not job.request.seen or job.request.names == order.names])
        self.changed.emit()

    def _begin(self, order: Order) -> None:
        work = self.finder if order.kind is Kind.FOUND and self.finder is not None else self.generator
        label, begin = _listed(order.names), lambda: work(order.request)
        self.jobs.add(Lane.MODEL, label, begin, idle=not order.seen, first=order.seen, request=order)
        self.changed.emit()

    def _next(self) -> None:
        """Begin what nobody waits for, where nobody waits for anything and there is something."""
        if self._orders() or not (missing := self.missing):
            return
        if self._to_find:
            self._begin(Order(self._request(missing, "", self.settings), Kind.FOUND))
        elif self.fills and self._last is not None:
            settings, units = self._last
            near = nearest_first(units, missing)[:AT_ONCE]
            self._begin(Order(self._request(near, "", settings), Kind.OTHERS))

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the vocabulary that have no expression."""
        return tuple(name for name in OTHERS if name not in self.document.project.expressions)

    def _drop(self, jobs: Sequence[Job]) -> None:
        """Let go of `jobs` and end them."""
        self._let_go.update(job.number for job in jobs)
        for job in jobs:
            self.jobs.cancel(job.number)

    def _rest(self) -> None:
        """Something came, or an order is over; coarse expressions stay as long as somebody waits for their own."""
        if self._preview is not None:
            awaited = (*self.making, *self.waiting)
            coarse = tuple(each for each in self._preview.expressions if each.name in awaited)
            self._preview = ExpressionSet(self._preview.identity_hash, coarse) if coarse else None
        self.previewed.emit(self._preview)
        self.changed.emit()

    # What comes back

    def _job_changed(self, job: Job) -> None:
        if not isinstance(job.request, Order):
            return
        if job.number in self._let_go:
            if job.over:
                self._let_go.discard(job.number)
        elif job.over:
            self._over(job)
        elif job.step is not None:
            if job.step.result is not None:
                self._take(job, job.step.result)  # as it comes: the job may go on, or still be writing it to disk
            elif job.request.seen and not job.stopping:
                self._show_step(job.step)
        self._next()

    def _show_step(self, step: Step) -> None:
        if step.preview is not None:
            self._preview = step.preview if self._preview is None else self._preview.merged(step.preview)
            self.previewed.emit(self._preview)
        self.changed.emit()

    def _take(self, job: Job, result: ExpressionSet) -> None:
        """Bring `result` into the document; a set made for another person is never applied."""
        order: Order = job.request
        if order.seen and job.whole:
            self._let_go.add(job.number)
        fits = result.identity_hash == self.document.project.identity.hash
        if fits and order.request.prompt and not order.request.lock:
            expressions = self.document.project.expressions
            result = replace(result, expressions=tuple(expressions.beside(each) for each in result.expressions))
        if fits and order.kind is Kind.ASKED:
            self._arrived(job, result)
        elif fits:
            self.document.complete(result)
        if order.seen:
            self._rest()
        if order.seen and job.whole:
            settings = Settings(**{name: getattr(order.request, name) for name in DRAWN})
            self._last = (settings, _units(result.expressions[-1])) if fits and not job.stopping else None
            what = _listed(result.names if len(order.names) == 1 else order.names)
            self.told.emit(f"Generated {what}" if fits else f"{what} was made for another head and is set aside")
        names = self.document.project.expressions.names
        wanted = [each for each in self._orders() if each.request.kind is Kind.WANTED]
        self._drop([each for each in wanted if all(name in names for name in each.request.names)])

    def _arrived(self, job: Job, result: ExpressionSet) -> None:
        """What an order makes is one undo step, whatever is edited between its results."""
        one = len(job.request.names) == 1
        weighed = self.put_on(result.names[0]) if one else lambda weights: weights
        label = f"Generate {_listed(result.names if one else job.request.names)}"
        self.document.arrive(label, ("generate", job.number), result, weighed)

    def _over(self, job: Job) -> None:
        """An order has ended before all of it was taken, or it was nobody's."""
        order: Order = job.request
        self._to_find = self._to_find and order.kind is not Kind.FOUND
        self._rest()
        if job.stopping or job.state is State.CANCELLED:
            if not self.busy:
                ready = len(order.names) - len(_to_come(job))
                rest = f"; {ready} of {len(order.names)} are there" if ready else ""
                self.told.emit(f"Generation cancelled{rest}")
        elif order.seen:
            without = f"Generating {_listed(order.names)} ended without a result"
            self.failed.emit(without if job.error is None else describe(job.error))
        elif job.error is not None:
            self._last = None
            self.told.emit(f"The others are not made: {describe(job.error)}")
        elif order.kind is Kind.OTHERS:
            if any(name in self.missing for name in order.names):
                self._last = None  # asking again would bring nothing again
            elif not self.missing:
                self.told.emit(f"All {len(OTHERS)} expressions are there")

    def _document_changed(self, old: Project, new: Project) -> None:
        """Another head was opened: what is under way is of no use any more."""
        if new.weights.get(self._put_on) != ON:
            self._put_on = ""
        if old.identity is not new.identity:
            asked, self._last = self.asked, None
            self._drop(self._orders())
            self._rest()
            if asked:
                self.told.emit(f"{_listed(asked)} of the head before: not made any more")
            self.look_on_disk()


def _to_come(job: Job) -> tuple[str, ...]:
    """Of the names of a job's order, those that it has not made yet."""
    come = {name for result in job.results for name in result.names}
    return tuple(name for name in job.request.names if name not in come)


def _units(expression: Expression) -> Mapping[str, float]:
    """What tells how near others are: FACS units, and ARKit shapes where the table has them."""
    if expression.name not in NAMES:
        return expression.facs
    entry = find(expression.name)
    return {**entry.facs, **entry.arkit}


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} expressions"
