"""Real work for the job thread: expressions of a test head, made one at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from engine.diffusion.request import GenerateRequest
from engine.expression import Expression, ExpressionSet
from engine.identity import Identity
from engine.jobs import Job, Lane, State, Step
from tests.heads import make_expressions


def make_named(identity: Identity, request: GenerateRequest, name: str) -> Expression:
    return make_expressions(identity, (name,), request.seed).expressions[0]


USUAL_STEPS = 4
"""Steps per expression where the request asks for the default of one, which is over before a test can look."""


def make_step_by_step(request: GenerateRequest) -> Iterator[Step]:
    """The test head's expressions, several steps each with arithmetic in between."""
    names, made = request.names or (request.prompt,), []
    steps = request.steps if request.steps > 1 else USUAL_STEPS
    total = len(names) * steps
    for at, name in enumerate(names):
        for step in range(steps):
            made_now = make_named(request.identity, request, name)
            yield Step(at * steps + step, total, f"{name}, step {step + 1} of {steps}")
        made.append(made_now)
    yield Step(total, total, "Done", result=ExpressionSet(request.identity.hash, tuple(made)))


def make_one_by_one(request: GenerateRequest) -> Iterator[Step]:
    """The test head's expressions, a step before each and one that brings it."""
    total = 2 * len(request.names)
    for at, name in enumerate(request.names):
        yield Step(2 * at + 1, total, name)
        result = ExpressionSet(request.identity.hash, (make_named(request.identity, request, name),))
        yield Step(2 * at + 2, total, name, result=result)


def make_with_previews(request: GenerateRequest) -> Iterator[Step]:
    """As above, each expression's first step with a coarse set (of another seed, so that it can be told apart)."""
    for step in make_step_by_step(request):
        coarse = make_expressions(request.identity, (step.label.split(",")[0],), seed=99)
        yield replace(step, preview=coarse) if "step 1 " in step.label else step


class Gate:
    """A generator that pauses before each step until it is let through: makes the order of events certain."""

    def __init__(self, work: Callable[[GenerateRequest], Iterator[Step]] = make_step_by_step) -> None:
        self.work = work
        self.requests: list[GenerateRequest] = []
        self._open = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []
        self.closed = threading.Event()

    def let(self, steps: int = 1) -> None:
        for _ in range(steps):
            self._open.release()

    def __call__(self, request: GenerateRequest) -> Iterator[Step]:
        self.requests.append(request)
        return self._steps(request)

    def _steps(self, request: GenerateRequest) -> Iterator[Step]:
        try:
            for step in self.work(request):
                if not self._open.acquire(timeout=20):
                    raise TimeoutError("the test never let the job go on")
                self.threads.append(threading.current_thread())
                yield step
        finally:
            self.closed.set()


def file_work_over(state: State = State.DONE) -> Callable[[Job], bool]:
    """For `waitSignal(window.jobs.changed, check_params_cb=...)`: something was read or written, or not."""
    return lambda job: job.state is state and job.lane is not Lane.MODEL
