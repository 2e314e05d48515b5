"""The measuring itself: every expression in turn, every answer to it, every measure of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from engine.channels import DIFFUSE, LOG_FLOOR
from engine.diffusion.evaluation.baselines import BATCH, Baselines, Neutrals, pairs_of, read_neutrals
from engine.diffusion.evaluation.entrants import Entrant, answer
from engine.diffusion.evaluation.measures import MAPS, Masks, Truth, canonical_masks, mean
from engine.diffusion.evaluation.probes import ExpressionProbe, identity_measures, pairwise_mm, thinned
from engine.diffusion.evaluation.rendered import RenderedTruth
from engine.diffusion.evaluation.report import FLOOR, FORESEEABLE, Scores
from engine.diffusion.inference import Face, Maps
from engine.diffusion.unified import log_albedo
from engine.errors import EngineError
from engine.synth.batch import Batch
from engine.synth.generator import Population
from engine.vocabulary import NAMES

SEEDS = 4
"""Variations made for the diversity."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured on whom."""

    people: int = 16
    """Test people, at most."""
    rows: Sequence[int] = tuple(range(1, len(NAMES)))
    """Expressions, rows of the vocabulary."""
    fit_people: int = 64
    """Training people that baselines and probes are fitted on, at most."""
    pictures: Sequence[int] = ()
    """Those of `rows` whose finished look and diversity are measured as well: they cost the most."""


@dataclass(frozen=True, eq=False, slots=True)
class Evaluation:
    """Scores, and what was fitted on training people on the way."""

    scores: Scores
    neutral_scores: Scores
    """Of the neutral's own maps, a row a model."""
    plan: Plan
    neutrals: Neutrals
    mean_offset_m: Tensor
    """(E, 3, h, w) of the plan's rows."""
    masks: Masks


@dataclass(frozen=True, eq=False, slots=True)
class _Answer:
    row: str
    maps: Maps
    neutral_maps: Tensor


@torch.no_grad()
def evaluate(entrants: Sequence[Entrant], source: Population, plan: Plan) -> Evaluation:
    """Measure `entrants` and the baselines on test people; the floor is the first entrant's.

    EngineError without a model or test people, or where a test person is a training person.
    """
    tested, trained = list(source.test_identities)[: plan.people], list(source.train_identities)[: plan.fit_people]
    if not tested or not entrants or set(tested) & set(source.train_identities):
        raise EngineError(
            f"evaluate: expected a model and test people who are no training people, found {len(entrants)} models and "
            f"{len(tested)} people"
        )
    device = entrants[0].model.device
    neutrals = read_neutrals(source, trained, device)
    first = list(pairs_of(source, tested, 0, device))
    gallery = torch.cat([*(neutrals.identity(batch.neutral_position_m) for batch in first), neutrals.gallery])
    masks = canonical_masks(first[0].neutral_position_m.shape[-1], first[0].texture_srgb.shape[-1]).to(device)
    scores = Scores(tested, [NAMES[row] for row in plan.rows])
    neutral_scores = Scores(tested, NAMES[:1])
    for number, batch in enumerate(first):
        _measure_neutrals(neutral_scores, entrants, batch, masks, _people(number, batch))
    means: list[Tensor] = []
    kept: dict[tuple[str, int], list[Tensor]] = {}
    for place, row in enumerate(tqdm(plan.rows, unit="expression", disable=None)):
        baselines = Baselines(source, trained, row, neutrals, masks.skin)
        means.append(baselines.mean.offset_m)
        seen = pairs_of(source, tested, row, device, explained=True)
        for number, (batch, explained) in enumerate(zip(pairs_of(source, tested, row, device), seen, strict=True)):
            people = _people(number, batch)
            own = torch.arange(len(tested), device=device)[people]
            truth = Truth(batch, masks)
            look = RenderedTruth(batch, masks.texture) if row in plan.pictures else None
            for one in _answers(entrants, baselines, batch, explained):
                measured = truth.measure(one.maps)
                measured |= identity_measures(
                    neutrals, batch.neutral_position_m, one.maps.offset_m, means[-1], gallery, own
                )
                if look is not None:
                    measured |= look.measure(one.neutral_maps, one.maps)
                scores.put(one.row, people, place, _arrays(measured))
                kept.setdefault((one.row, place), []).append(thinned(one.maps.offset_m))
            if look is not None:
                _measure_diversity(scores, entrants, batch, explained, masks, people, place)
    _measure_expressions(scores, kept, torch.cat(means))
    return Evaluation(scores, neutral_scores, plan, neutrals, torch.cat(means), masks)


def _people(number: int, batch: Batch) -> slice:
    return slice(number * BATCH, number * BATCH + len(batch.identity))


def _answers(entrants: Sequence[Entrant], baselines: Baselines, batch: Batch, explained: Batch) -> Iterator[_Answer]:
    faces: list[Face] = [entrant.model.read(batch.neutral_position_m, batch.texture_srgb) for entrant in entrants]
    for name, maps in baselines.answers(batch).items():
        yield _Answer(name, maps, faces[0].maps)
    for entrant, face in zip(entrants, faces, strict=True):
        for steps in entrant.steps:
            yield _Answer(entrant.row(steps), answer(entrant.model, face, batch, steps), face.maps)
    yield _Answer(FORESEEABLE, Maps(explained.offset_m, explained.change), batch.neutral)
    yield _Answer(FLOOR, entrants[0].model.round_trip(explained), faces[0].maps)


def _measure_neutrals(scores: Scores, entrants: Sequence[Entrant], batch: Batch, masks: Masks, people: slice) -> None:
    """RMSE of the neutral's maps as each model reads them, and of the texture taken for albedo."""

    def enter(row: str, maps: Tensor, names: Sequence[str]) -> None:
        errors = {
            f"{name} rmse": mean((maps - batch.neutral)[:, MAPS[name]].square().mean(1), masks.texture).sqrt()
            for name in names
        }
        scores.put(row, people, 0, _arrays(errors))

    texture = log_albedo(batch.texture_srgb).exp() - LOG_FLOOR
    enter("the texture itself", torch.cat([texture, batch.neutral[:, DIFFUSE.channels.stop :]], 1), ("diffuse",))
    for entrant in entrants:
        enter(entrant.name, entrant.model.read(batch.neutral_position_m, batch.texture_srgb).maps, tuple(MAPS))


def _measure_diversity(
    scores: Scores,
    entrants: Sequence[Entrant],
    batch: Batch,
    explained: Batch,
    masks: Masks,
    people: slice,
    place: int,
) -> None:
    """Distance between variations, and between two draws of what cannot be seen: sqrt(2) times the size of one."""
    for entrant in entrants:
        face, steps = entrant.model.read(batch.neutral_position_m, batch.texture_srgb), max(entrant.steps)
        made = [answer(entrant.model, face, batch, steps, f"variation {seed}").offset_m for seed in range(SEEDS)]
        spread = pairwise_mm(made, batch.offset_m, masks.skin)
        scores.put(entrant.row(steps), people, place, _arrays({"diversity mm": spread}))
    true = pairwise_mm([batch.offset_m, explained.offset_m], batch.offset_m, masks.skin) * 2**0.5
    scores.put(FORESEEABLE, people, place, _arrays({"diversity mm": true}))


def _measure_expressions(scores: Scores, kept: dict[tuple[str, int], list[Tensor]], mean_offset_m: Tensor) -> None:
    probe = ExpressionProbe(thinned(mean_offset_m))
    for (row, place), parts in kept.items():
        scores.put(row, slice(None), place, probe.measure(torch.cat(parts), place))


def _arrays(measured: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {key: values.double().cpu().numpy() for key, values in measured.items()}
