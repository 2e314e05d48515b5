"""Is it still the same person, and is it the expression asked for? Read off the geometry alone, by linear probes."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import nnls
from torch import Tensor

from engine.diffusion.evaluation.baselines import Neutrals
from engine.diffusion.evaluation.measures import MOVING_M, mean

STRIDE = 2
"""Offsets are probed at every second texel each way."""


def thinned(offset_m: Tensor) -> Tensor:
    """(B, 3, h, w) -> (B, D) half floats on the CPU: what an `ExpressionProbe` reads, small enough to keep."""
    return offset_m[..., ::STRIDE, ::STRIDE].flatten(1).half().cpu()


class ExpressionProbe:
    """Strengths of expressions in offsets, by non-negative least squares on the training people's mean offsets.

    Lawson and Hanson 1974. The means are the vocabulary's own FACS combinations, so a coefficient is how much of that
    combination a face shows.
    """

    def __init__(self, means: Tensor) -> None:
        """From mean offsets (E, D) as `thinned` gives them."""
        columns = means.double().numpy().T
        self._q, self._r = np.linalg.qr(columns)
        size = np.linalg.norm(columns.T.reshape(len(means), 3, -1), axis=1).max(axis=1)
        self.moves = size > MOVING_M
        """(E,) whether an expression moves any skin; nothing can be said of one that does not."""

    def coefficients(self, offsets: Tensor) -> np.ndarray:
        """(B, E) strengths, at least 0, of offsets (B, D) as `thinned` gives them."""
        return np.stack([nnls(self._r, right)[0] for right in offsets.double().numpy() @ self._q])

    def measure(self, offsets: Tensor, asked: int) -> dict[str, np.ndarray]:
        """(B,) coefficient of the expression asked for, sum of all others, and whether it is the largest; `asked` is
        its place among the means. NaN where it moves nothing."""
        found = self.coefficients(offsets)
        own = found[:, asked]
        values = {
            "asked": own,
            "off target": found.sum(1) - own,
            "top-1": ((found.argmax(1) == asked) & (own > 0)).astype(float),
        }
        return {name: value if self.moves[asked] else np.full(len(found), np.nan) for name, value in values.items()}


def identity_measures(
    neutrals: Neutrals, position_m: Tensor, offset_m: Tensor, mean_offset_m: Tensor, gallery: Tensor, own: Tensor
) -> dict[str, Tensor]:
    """Who the posed face, less the expression's mean offsets, is by its shape coefficients (`Neutrals.identity`).

    (B,) cosine with its own neutral, and 1 where no other of a gallery of neutrals (P, K) is nearer; `own` (B,) are the
    people's places in the gallery.
    """
    unposed = F.normalize(neutrals.identity(position_m + offset_m - mean_offset_m), dim=1)
    cosines = unposed @ F.normalize(gallery, dim=1).T
    return {
        "identity cosine": cosines.gather(1, own[:, None])[:, 0],
        "identity found": (cosines.argmax(1) == own).float(),
    }


def pairwise_mm(answers: list[Tensor], true_m: Tensor, skin: Tensor) -> Tensor:
    """(B,) mean distance in mm between the offsets (B, 3, h, w) of every two answers, on skin that truly moves."""
    moving = (true_m.norm(dim=1) > MOVING_M).float() * skin
    pairs = [(a, b) for index, a in enumerate(answers) for b in answers[:index]]
    return torch.stack([mean((a - b).norm(dim=1) * 1000.0, moving) for a, b in pairs]).mean(0)
