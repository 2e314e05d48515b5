"""What is asked of the model. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from engine.checks import check_text
from engine.diffusion.weights_folder import weights_digest
from engine.errors import EngineError, VocabularyError
from engine.expression import ExpressionSet
from engine.identity import LONGEST_NAME, Identity
from engine.io.border import border

DEFAULT_STEPS = 1
"""One step has the least error of the shipped weights in every column of their model card."""
MOST_STEPS = 50
"""More change nothing that can be seen."""
MOST_FOLDS = 2.0
"""Beyond, skin looks carved."""
AGES_YEARS = (18.0, 90.0)
"""Youngest and oldest person whose folds are drawn."""
DEFAULT_AGE_YEARS = 40.0
"""Of a head of whom nobody says how old it is."""
LOCKS = ("shape", "skin")
"""What of an expression can stay as it is while the other is made to go with it."""


@dataclass(frozen=True, eq=False, slots=True)
class GenerateRequest:
    """One order: these expressions of this person."""

    identity: Identity
    names: tuple[str, ...] = ()
    """Rows of the vocabulary, by name."""
    prompt: str = ""
    """Free text; makes one more expression, named after it."""
    steps: int = DEFAULT_STEPS
    """Network evaluations per expression, 1 to `MOST_STEPS`."""
    seed: int = 0
    """Another seed is another variation; the same request gives the same bytes on the same machine."""
    guidance: float = 1.0
    """Above 1 follows the prompt harder than the training data did, at twice the time."""
    folds: float = 1.0
    """How deep the person's folds are drawn, in shape and skin, 0 to `MOST_FOLDS`; 0 leaves the model's own answer."""
    age_years: float | None = None
    """Old skin folds deeper; None for `usual_age_years`."""
    device: str = "auto"
    """auto, cpu or cuda."""
    model: Path | None = None
    """Folder of the weights to use, a release or a training's; the program's own without it."""
    model_digest: str = ""
    """`weights_digest` of that folder when it was asked for, so that other weights at the same place are told apart."""
    lock: str = ""
    """One of `LOCKS`: that part stays as it is in `made`, the other is made to go with it; empty makes both."""
    made: ExpressionSet | None = None
    """Expressions of this person, sculpted, scanned or generated before, of those names; only with `lock`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", " ".join(self.prompt.split()))
        with border("prompt", "a name for an expression", VocabularyError):
            check_text("prompt", self.prompt, LONGEST_NAME)
        if not self.names and not self.prompt:
            raise VocabularyError("generate: expected an expression name or a prompt, found neither")
        if not 1 <= self.steps <= MOST_STEPS:
            raise EngineError(f"generate: expected steps of 1 to {MOST_STEPS}, found {self.steps}")
        if not 0.0 <= self.guidance <= 10.0 or not math.isfinite(self.guidance):
            raise EngineError(f"generate: expected guidance of 0 to 10, found {self.guidance}")
        if self.model is not None and not self.model_digest:
            object.__setattr__(self, "model_digest", weights_digest(self.model))
        if not 0.0 <= self.folds <= MOST_FOLDS:
            raise EngineError(f"generate: expected folds of 0 to {MOST_FOLDS:g}, found {self.folds}")
        youngest, oldest = AGES_YEARS
        if self.age_years is not None and not youngest <= self.age_years <= oldest:
            raise EngineError(f"generate: expected an age of {youngest:g} to {oldest:g} years, found {self.age_years}")
        if self.lock:
            self._check_lock()

    @property
    def folds_age_years(self) -> float:
        """The age that folds are drawn for."""
        return usual_age_years(self.identity) if self.age_years is None else self.age_years

    def _check_lock(self) -> None:
        if self.lock not in LOCKS:
            raise EngineError(f"generate: expected a lock of {' or '.join(LOCKS)}, found '{self.lock}'")
        if self.made is None or self.made.identity_hash != self.identity.hash:
            raise EngineError(f"generate: expected expressions of this head to keep the {self.lock} of, found none")
        for name in filter(None, (*self.names, self.prompt.strip())):
            if name not in self.made:
                there = ", ".join(self.made.names) or "none"
                raise EngineError(
                    f"generate: expected '{name}' to keep its {self.lock}, found {there}; make it or bring it in first"
                )


def usual_age_years(identity: Identity) -> float:
    """How old folds take a person to be when nobody says: a built-in one's own age, or `DEFAULT_AGE_YEARS`."""
    from engine.face.skin import sample_traits  # late: a command that draws nobody need not wait for it

    kind, _, seed = identity.provenance.source.partition(":")
    return sample_traits(int(seed)).age_years if kind == "builtin" and seed.isdecimal() else DEFAULT_AGE_YEARS
