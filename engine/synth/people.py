"""Who the synthetic people are: shape, skin, and how strongly they move.

The law that a model can learn: how far a person goes with an expression follows from what the neutral shows, the
shape of the head (leading identity modes: build, fullness), the age and the firmness of the tissue, which show in the
texture. A small rest follows from nothing that can be seen; it is the floor of every evaluation. The law is a property
of this synthetic world, the same for every seed: plausible, not measured. Sources of its directions are in
docs/model.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.synth import skin
from engine.synth.noise import floats
from engine.vocabulary import EXPRESSIONS

SHAPE_MODES, BUILDS = 12, 6
"""Leading identity modes that count, and the builds they make up."""
SHAPE_SPREAD, TISSUE_SPREAD = 0.13, 0.13
"""Deviation of the log strength that follows from the build, and from age and firmness."""
HIDDEN_SPREAD, HIDDEN_ASYMMETRY, HIDDEN_FOLD = 0.025, 0.015, 0.05
"""Deviation of log strength, of its difference between the sides, and of the log depth of folds that nothing shows."""
_LAW = 0xFACE


@dataclass(frozen=True, slots=True)
class People:
    """N people on one device."""

    shape: Tensor
    """(N, 100) coefficients of ICT-FaceKit's identity modes."""
    traits: skin.Traits
    strength: Tensor
    """(N, 2, 32) how far each side goes with each expression, 1 on average; what the neutral tells."""
    hidden: Tensor
    """(N, 2, 32) factor on it that nothing tells, near 1."""
    hidden_fold: Tensor
    """(N,) factor on the depth of folds that nothing tells, near 1."""
    man: Tensor
    """(N,) 1 for men, 0 for women."""
    flush: Tensor
    """(N,) how strongly blood moves, 1 on average."""


def sample_people(count: int, modes: int, seed: int, device: torch.device) -> People:
    """`count` people with `modes` shape coefficients; the same for the same seed."""
    rng = np.random.default_rng([seed, 0x9E0])
    shape = floats(rng.standard_normal((count, modes)), device)
    traits = skin.sample_traits(count, seed, device)
    common = rng.standard_normal((count, 1, len(EXPRESSIONS))) * HIDDEN_SPREAD
    sides = rng.standard_normal((count, 2, len(EXPRESSIONS))) * HIDDEN_ASYMMETRY
    hidden = floats(np.exp(common + sides), device)
    fold = floats(np.exp(rng.standard_normal(count) * HIDDEN_FOLD), device)
    age = ((traits.age_years - 18) / 60).clamp(0, 1)
    slack = 1 - traits.firmness
    flush = 1 + 0.35 * (traits.haemoglobin - 0.63) / 0.22 - 0.15 * (age - 0.5)
    bare = torch.from_numpy(rng.random(count) < 0.43).to(device) & (traits.lipstick + traits.foundation == 0)
    man = (bare | (traits.stubble > 0)).float()
    return People(shape, traits, strengths(shape, age, slack), hidden, fold, man, flush.clamp(0.4, 1.8))


def strengths(shape: Tensor, age: Tensor, slack: Tensor) -> Tensor:
    """(N, 2, 32) strength of each expression from shape (N, >= 12), age 0..1 (N,) and slackness 0..1 (N,)."""
    rng = np.random.default_rng(_LAW)
    mixing = rng.standard_normal((SHAPE_MODES, BUILDS)) / SHAPE_MODES**0.5
    builds = torch.tanh(1.2 * shape[:, :SHAPE_MODES] @ floats(mixing, shape.device)) / 0.74
    tissue = torch.stack([(age - 0.5) / 0.28, (slack - age) / 0.25, ((age - 0.5) / 0.28) ** 2 - 1], 1)
    by_build = floats(_unit(rng.standard_normal((len(EXPRESSIONS), BUILDS))), shape.device)
    by_tissue = floats(_unit(rng.standard_normal((len(EXPRESSIONS), 3)) * (1.0, 1.0, 0.4)), shape.device)
    # the oldest moved most (Frey et al. 2003), slack tissue follows less: shared directions
    by_tissue = by_tissue + floats(np.array([0.2, -0.2, 0.0]), shape.device)
    log = SHAPE_SPREAD * builds @ by_build.T + TISSUE_SPREAD * tissue @ by_tissue.T
    return log.clamp(-0.6, 0.5).exp()[:, None].expand(-1, 2, -1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
