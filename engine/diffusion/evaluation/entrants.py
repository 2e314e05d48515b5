"""Who takes part: any model with the interface of ours, under a name, at some numbers of steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.diffusion.inference import ExpressionModel, Maps
from engine.diffusion.request import MOST_STEPS
from engine.errors import EngineError
from engine.synth.batch import Batch
from engine.vocabulary import EXPRESSIONS

STEPS = (1, 4, 8)
"""Numbers of steps measured where none are said."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """A model, its name in the tables, and the numbers of steps it is measured at."""

    name: str
    model: ExpressionModel
    steps: tuple[int, ...] = STEPS

    def row(self, steps: int) -> str:
        """Name of its row at `steps`."""
        return f"{self.name}, {steps} step{'s' if steps > 1 else ''}"


def parse_model(text: str) -> tuple[str, str, tuple[int, ...]]:
    """'NAME=FOLDER@1,4,8' -> name, folder, steps; without a name it is the folder's own, without steps `STEPS`.

    EngineError on anything else.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        name, rest = Path(text.rpartition("@")[0] or text).name, text
    folder, at, numbers = rest.rpartition("@")
    folder, numbers = (folder, numbers) if at else (rest, "")
    try:
        steps = tuple(int(number) for number in numbers.split(",")) if at else STEPS
    except ValueError:
        steps = ()
    if not name or not folder or not steps or not 1 <= min(steps) <= max(steps) <= MOST_STEPS:
        raise EngineError(
            f"--model: expected FOLDER, NAME=FOLDER or NAME=FOLDER@1,4,8 with steps to {MOST_STEPS}, found '{text}'"
        )
    return name, folder, steps


def answer(model: ExpressionModel, face: Any, batch: Batch, steps: int, seed: str = "evaluate") -> Maps:
    """What `model` makes of the batch's expressions on the face it has read, each person with noise of their own."""
    prompts = [EXPRESSIONS[int(row)].prompt for row in batch.expression.amax(1).argmax(1)]
    noise = torch.cat([model.noise(f"{seed} {person}") for person in batch.identity.tolist()])
    *_, (latent, _) = model.sample(face, batch.expression, prompts, noise, steps)
    return model.decode(latent, face)


def pure_strengths(rows: Sequence[int], device: torch.device) -> Tensor:
    """(B, 2, 32) strengths of the rows of the vocabulary, both sides in full."""
    strengths = torch.zeros(len(rows), 2, len(EXPRESSIONS), device=device)
    strengths[torch.arange(len(rows)), :, torch.tensor(rows)] = 1.0
    return strengths
