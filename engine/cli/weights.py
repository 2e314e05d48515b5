"""The value of `--weights`: how far each expression is on, on both sides or on one."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.cli.shared import with_expressions
from engine.errors import VocabularyError

if TYPE_CHECKING:
    from engine.project import Project
    from engine.sides import Weight


def with_weights(project: Project, options: argparse.Namespace) -> Project:
    """`project` with --weights, its missing expressions made first; without --weights the saved ones stay."""
    weights = parse_weights(options.weights, project.expressions.names)
    if not weights:
        return project
    project = with_expressions(project, tuple(weights), options)
    return replace(project, weights=weights)


def parse_weights(text: str, names: tuple[str, ...]) -> dict[str, Weight]:
    """NAME=NUMBER pairs, NAME:L=NUMBER for the subject's left alone, NAME:R for the right.

    Names are the project's own or the table's; a side that is not given is as the whole is, or 0.
    """
    from engine.sides import Sides, both, plain

    own = {name.casefold(): name for name in names}
    weights: dict[str, Weight] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        label, equals, value = part.rpartition("=")
        label, value = (label.strip(), value) if equals else (value.strip(), "1")
        whole, _, side = label.rpartition(":")
        if side.strip().upper() not in ("L", "R") or label.casefold() in own:
            whole, side = label, ""
        name, weight = _weight(part, whole.strip(), value, own)
        left, right = both(weights.get(name, 0.0))
        side = side.strip().upper()
        weights[name] = plain(Sides(left if side == "R" else weight, right if side == "L" else weight))
    return {name: weight for name, weight in weights.items() if name != "Neutral"}


def _weight(part: str, label: str, value: str, own: dict[str, str]) -> tuple[str, float]:
    """The name that `label` stands for and the number in `value`; VocabularyError quotes `part`."""
    from engine.sides import LARGEST_WEIGHT
    from engine.vocabulary import find

    name = own.get(label.casefold()) or find(label).name
    try:
        weight = float(value)
    except ValueError:
        raise VocabularyError(f"weights: expected NAME=NUMBER, found '{part}'") from None
    if not abs(weight) <= LARGEST_WEIGHT:  # NaN too
        limits = f"{-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
        raise VocabularyError(f"weights: expected a finite number from {limits} for '{name}', found {weight}")
    return name, weight
