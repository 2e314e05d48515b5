"""What commands share: the head they open, the expressions they lack, and long work under a bar."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.checks import printable
from engine.io.map_conventions import parse_conventions
from engine.open import Opening, open_project
from engine.sides import parse_weights

if TYPE_CHECKING:
    from engine.diffusion.request import GenerateRequest
    from engine.expression import ExpressionSet
    from engine.jobs import Step
    from engine.project import Project


def say(text: object) -> None:
    """A line on standard output, whatever names it quotes."""
    print(printable(str(text)))


def opening(options: argparse.Namespace) -> Opening:
    return Opening(parse_conventions(options.maps), dict(options.map), options.hair == "grow")


def opened(options: argparse.Namespace) -> Project:
    return open_project(options.path, opening(options))


def with_expressions(project: Project, names: tuple[str, ...], options: argparse.Namespace) -> Project:
    """`project` with those of `names` that it has not yet, made by the model or taken from the cache."""
    missing = tuple(name for name in names if name not in project.expressions)
    if not missing:
        return project
    generated = made_by_model(request_of(options, project, missing, ""), fresh=False)
    return replace(project, expressions=project.expressions.merged(generated))


def with_weights(project: Project, options: argparse.Namespace) -> Project:
    """`project` with --weights, its missing expressions made first; without --weights the saved ones stay."""
    weights = parse_weights(options.weights, project.expressions.names)
    if not weights:
        return project
    project = with_expressions(project, tuple(weights), options)
    return replace(project, weights=weights)


def request_of(options: argparse.Namespace, project: Project, names: tuple[str, ...], prompt: str) -> GenerateRequest:
    from engine.diffusion.request import GenerateRequest

    how = {name: getattr(options, name) for name in ("steps", "seed", "folds", "device", "model")}
    how["age_years"] = options.age
    return GenerateRequest(project.identity, names, prompt, **how)


def made_by_model(request: GenerateRequest, *, fresh: bool) -> ExpressionSet:
    from engine.expression_cache import generate_cached, joined

    results: list[ExpressionSet] = []
    with bar("generate", "step") as tell:
        for step in generate_cached(request, fresh=fresh):
            tell(step.index, step.total, step.label)
            results += [step.result] if step.result is not None else []
    return joined(request, results)


def iterate(steps: Iterator[Step], unit: str) -> int:
    """Iterate `steps` to the end under a bar of `unit`s; how many steps it says there are."""
    done = 0
    with bar("write", unit) as tell:
        for step in steps:
            done = step.total
            tell(step.index, step.total, step.label)
    return done


@contextmanager
def bar(what: str, unit: str) -> Iterator[Callable[..., None]]:
    """A bar of `unit`s while the block runs, which tells how many are done, of how many, and what comes next."""
    from tqdm import tqdm

    with tqdm(desc=what, unit=unit, disable=None, file=sys.stderr) as shown:

        def tell(done: int, total: int, label: str = "") -> None:
            shown.total, shown.n = total, done
            shown.set_postfix_str(label)

        yield tell
