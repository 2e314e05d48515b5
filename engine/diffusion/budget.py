"""The time that a stage may take: one clock for its pool, its fits and its steps, the same on all processes."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field

from torch import nn

from engine.diffusion.processes import ALONE, Processes
from engine.errors import TrainingError

LOG = logging.getLogger(__name__)
HOPELESS = 2.0
"""Pairs that would take so many times what is left are not waited for; the first of them take longer than the rest."""
TELL_SECONDS = 10.0
"""While a pool is filled and fitted on, a line is told this often."""


@dataclass(slots=True)
class Budget:
    """What is left of a stage's time. All processes ask the same questions in the same order, and get one answer."""

    stage: str
    seconds: float = math.inf
    """From now to the end of the stage."""
    pool_seconds: float = math.inf
    """From now until the pool is large enough, if it has what statistics need."""
    processes: Processes = ALONE
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def wants_pairs(self, made: int, least: int) -> bool:
        """Is there time for another batch of pairs, after `made`?

        TrainingError where the `least` that statistics are fitted on cannot be made within the stage's time.
        """
        used = self.used()
        in_time = not self.processes.any(used > self.pool_seconds)
        if made >= least:
            return in_time
        foreseen = used * least / made if made else 0.0
        if self.processes.any(used > self.seconds or (not in_time and foreseen > HOPELESS * self.seconds)):
            raise TrainingError(
                f"train {self.stage}: expected {least} pairs to fit on within the {self.seconds / 60:.2g} minutes that "
                f"are left for this stage, found {made} after {used / 60:.2g}, so about {foreseen / 60:.2g} would be "
                f"needed; nothing was trained; give more --minutes or lower `fit` of [{self.stage}] in the "
                "configuration"
            )
        return True

    def check(self, doing: str) -> None:
        """Say what is being done; TrainingError where the stage's time is over."""
        self.tell(doing)
        if self.processes.any(self.used() > self.seconds):
            raise TrainingError(
                f"train {self.stage}: expected time left for training, found {self.seconds / 60:.2g} minutes used up, "
                f"the last on {doing}; nothing was trained; give more --minutes or lower `pool` of [{self.stage}] in "
                "the configuration"
            )

    def tell(self, doing: str) -> None:
        """Log what is being done, `TELL_SECONDS` apart."""
        now = time.monotonic()
        if self.processes.is_main and now - self.told > TELL_SECONDS:
            self.told = now
            LOG.info("%s: %s, %.1f minutes", self.stage, doing, self.used() / 60)

    def share(self, *modules: nn.Module) -> None:
        """Give all processes the main one's weights and fitted statistics of `modules`."""
        for module in modules:
            self.processes.broadcast(module.state_dict().values())

    def used(self) -> float:
        """Seconds since the beginning, of this process."""
        return time.monotonic() - self.started
