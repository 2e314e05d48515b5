"""Euler's method for a flow, step by step, ignorant of the network: anything that returns a velocity will do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sample:
    """The state after one step."""

    state: Tensor
    """The noisy latent at the step's end; the result after the last step, whose time is 0."""
    clean: Tensor
    """The clean latent as estimated at the step's start: what a preview shows."""


def euler(velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, times: Sequence[Tensor]) -> Iterator[Sample]:
    """Integrate dz/dt = velocity(z, t) from `start` at times[0] to times[-1], one `Sample` per step.

    Each of `times` broadcasts against `start` (a scalar, or one time per channel). First order in the step (Euler).
    """
    state = start
    for now, after in pairwise(times):
        slope = velocity(state, now)
        clean = state - now * slope
        state = state + (after - now) * slope
        yield Sample(state, clean)
