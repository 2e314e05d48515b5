"""`expdiff evaluate`: models against simple answers, on people they never saw, and on real heads apart.

    expdiff evaluate --data ICT_FACEKIT --card MODEL_CARD.md
    expdiff evaluate --data ICT_FACEKIT --model ours=RUN@1,4,8 --model direct=OTHER@1 --json all.json --heads HEAD

`engine.diffusion.evaluation` does the work; `docs/model.md` says what each measure is.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from engine.checks import check_count
from engine.diffusion.card import model_card
from engine.diffusion.checkpoint import load_model
from engine.diffusion.config import Config
from engine.diffusion.device import use_device
from engine.diffusion.evaluation.entrants import Entrant, parse_model
from engine.diffusion.evaluation.real_heads import heads_table, measure_heads
from engine.diffusion.evaluation.rendered import flip
from engine.diffusion.evaluation.report import report
from engine.diffusion.evaluation.run import Evaluation, Plan, evaluate
from engine.diffusion.recipe import pair_source
from engine.diffusion.weights_folder import SHIPPED
from engine.errors import EngineError, WeightsError
from engine.io.border import border
from engine.io.files import write_bytes, write_json
from engine.open import open_project
from engine.synth import MOST_IDENTITIES
from engine.vocabulary import NAMES, NEUTRAL, parse_names

PICTURES = ("Brows Up", "Jaw Open", "Face Compression", "Lip Corner Puller")
"""Expressions whose finished look and diversity are measured."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `expdiff evaluate`."""
    parser.add_argument("--data", type=Path, required=True, help="folder the data generator reads its heads from")
    parser.add_argument(
        "--model",
        action="append",
        metavar="[NAME=]FOLDER[@STEPS]",
        help="a model and its numbers of steps, such as ours=RUN@1,4,8; may repeat, the first gives the floor and the "
        "card; the program's own weights without it",
    )
    usual = Plan()  # a class with slots has no defaults as attributes
    parser.add_argument("--people", type=int, default=usual.people, help="test people measured (default %(default)s)")
    parser.add_argument(
        "--fit-people",
        type=int,
        default=usual.fit_people,
        help="training people of the baselines (default %(default)s)",
    )
    parser.add_argument("--expressions", default="all", metavar="NAMES", help="all, or names with commas")
    parser.add_argument(
        "--pictures", default=", ".join(PICTURES), metavar="NAMES", help="expressions lit and varied as well, or none"
    )
    parser.add_argument("--heads", nargs="*", default=[], metavar="PATH", help="real heads, reported apart")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--card", type=Path, help="write a model card with the tables here")
    parser.add_argument("--json", type=Path, help="also write every number here")


def run(args: argparse.Namespace) -> int:
    """Carry out `expdiff evaluate`; prints the tables, returns the exit code."""
    plan, device = _plan(args), use_device(args.device)
    named = [parse_model(text) for text in args.model or [f"ours={SHIPPED}"]]
    models = [load_model(Path(folder), device) for _, folder, _ in named]
    _same_people([model.config for model in models])
    entrants = [Entrant(name, model, steps) for (name, _, steps), model in zip(named, models, strict=True)]
    everyone = args.people + args.fit_people  # every one of them is seen in every expression
    source = pair_source(models[0].config, args.data, device, everyone)
    heads = [open_project(path).identity for path in args.heads]
    started = time.monotonic()
    done = evaluate(entrants, source, plan)
    models_rows = [entrant.row(steps) for entrant in entrants for steps in entrant.steps]
    said = _said(entrants, done, f"{device}, {time.monotonic() - started:.0f} s")
    text = f"{report(done.scores, done.neutral_scores, models_rows)}\n\n{said}"
    measured = measure_heads(entrants, heads, done)
    if measured:
        text += f"\n\n**Real heads**, no true expression known:\n\n{heads_table(measured)}"
    print(text)
    if args.card is not None:
        card = model_card(models[0], Path(named[0][1]), text, source, len(done.scores.people))
        write_bytes(args.card, card.encode())
    if args.json is not None:
        numbers = {entrant.name: entrant.model.model_id for entrant in entrants}
        numbers = {"models": numbers, **done.scores.numbers(), "neutral": done.neutral_scores.numbers()}
        numbers["heads"] = {name: scores.numbers() for name, scores in measured.items()}
        write_json(args.json, numbers)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """What is asked for; EngineError where that is nobody or nothing."""
    with border("evaluate", "numbers within their limits", EngineError):
        check_count("--people", args.people, 1, MOST_IDENTITIES)
        check_count("--fit-people", args.fit_people, 1, MOST_IDENTITIES)
    rows, pictures = (
        tuple(NAMES.index(name) for name in parse_names(text) if name != NEUTRAL)
        for text in (args.expressions, "" if args.pictures == "none" else args.pictures)
    )
    if not rows:
        raise EngineError(
            f"evaluate: expected --expressions with one beside {NEUTRAL} at least, found '{args.expressions}'"
        )
    return Plan(args.people, rows, args.fit_people, pictures)


def _same_people(configs: Sequence[Config]) -> None:
    """WeightsError where a model may have been trained on another's test people, or on maps of another size."""
    splits = {
        (config.identities, config.seed, config.sizes.geometry_size, config.sizes.texture_size) for config in configs
    }
    if len(splits) > 1:
        raise WeightsError(
            "evaluate: expected models trained on the same people and sizes of maps (identities, seed, geometry_size, "
            f"texture_size of their configurations), found {sorted(splits)}; measure them apart"
        )


def _said(entrants: Sequence[Entrant], done: Evaluation, how: str) -> str:
    """How to read the tables."""
    names = ", ".join(f"{entrant.name} = {entrant.model.model_id}" for entrant in entrants)
    looks = ", ".join(NAMES[row] for row in done.plan.pictures) or "none"
    return (
        f"{names}; {len(done.scores.people)} unseen people x {len(done.plan.rows)} expressions, baselines from "
        f"{len(done.neutrals.scores)} training people; {how}. Brackets: 95% bootstrap interval over people. Distances "
        "are between texels of the position map; moving: true offset over 0.5 mm; above floor: less the floor's error. "
        "PSNR of a change in dB against a peak of 1; band: 1000 x L1 between 2 and 16 texels. Pictures (PSNR, FLIP, "
        f"diversity): {looks}" + ("" if flip() else "; no FLIP, flip-evaluator is not installed") + "."
    )
