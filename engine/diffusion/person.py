"""A head at a glance: how far this person goes with each expression, and how strongly the skin answers.

People differ most in this, it follows from the whole head, and it takes many people, not many pairs, to learn. So it is
a regression in closed form on geometry and a few pairs of every person in the pool, and the denoiser starts from its
answer. Reduced-rank ridge regression (Izenman 1975) on principal components, with squares and products of its leading
directions, because builds saturate and tissue has a best age.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig
from engine.diffusion.unified import ENERGIES, OFFSET_UNIT_M
from engine.vocabulary import EXPRESSIONS

EXPRESSION_COUNT = len(EXPRESSIONS)
COARSE = 8
"""Side of the grid on which a texture's energies are looked at as a whole."""
MOST = 0.7
"""No log factor goes further than this."""
_RIDGE = 30.0
_FAR = 1.25
"""Root mean square score beyond which a head is unlike the training people, and less is said about it."""
_LEANING_UNIT = 5.0
"""Brings directions to the size of log factors, which the denoiser sees beside them."""


class Components(nn.Module):
    """Vectors as their principal components, in units of the training people's deviation."""

    mean: Tensor
    basis: Tensor
    deviation: Tensor

    def __init__(self, size: int, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(count, size))
        self.register_buffer("deviation", torch.ones(count))

    @torch.no_grad()
    def fit(self, vectors: Tensor) -> None:
        """Fit to (P, size); fewer people than components leave zeros."""
        self.mean.copy_(vectors.mean(0))
        _, values, found = torch.linalg.svd(vectors - self.mean, full_matrices=False)
        count = min(len(self.deviation), len(vectors) - 1)
        signs = torch.sign(found[:count].sum(1, keepdim=True))
        self.basis.zero_()
        self.basis[:count] = found[:count] * signs
        self.deviation[:count] = (values[:count] / len(vectors) ** 0.5).clamp(min=1e-3)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, size) -> (B, count)."""
        return ((vectors - self.mean) @ self.basis.T / self.deviation).clamp(-4.0, 4.0)


class Person(nn.Module):
    """(positions, energies, matches) -> (B, 32 + C + L): log factors on what the average person does, and leanings.

    The first 32 factors belong to the expressions, the others to the channels of the change's latent. The L last are
    leading directions, in units of `_LEANING_UNIT` deviations, for `pivot.Pivot` to lean along.
    """

    usual_match: Tensor
    match_deviation: Tensor
    leading: Tensor
    weight: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.grid, self.leanings = config.grid, config.person_leanings
        self.regions = config.person_matches
        self.shape = Components(3 * config.grid**2, config.shape_components)
        self.texture = Components(COARSE**2 * ENERGIES, config.texture_components)
        matches = 4 * config.templates * self.regions**2
        self.register_buffer("usual_match", torch.zeros(matches), persistent=matches > 0)
        self.register_buffer("match_deviation", torch.ones(matches), persistent=matches > 0)
        size, leading = config.shape_components + config.texture_components + matches, config.person_directions
        self.register_buffer("leading", torch.zeros(size, leading))
        terms = 1 + size + leading * (leading + 1) // 2
        self.register_buffer("weight", torch.zeros(terms, EXPRESSION_COUNT + config.change_channels))

    @torch.no_grad()
    def fit_components(self, position_m: Tensor, energies: Tensor, matches: Tensor) -> None:
        """Fit what heads look like to training people, as in `forward`."""
        self.shape.fit(self._coarse_shape(position_m))
        self.texture.fit(self._coarse_texture(energies))
        self.usual_match.copy_(matches.mean(0))
        self.match_deviation.copy_(matches.std(0).clamp(min=1e-6))

    @torch.no_grad()
    def fit(self, position_m: Tensor, energies: Tensor, matches: Tensor, log_factors: Tensor) -> None:
        """Fit to (P, 32 + C) log factors measured on training people, as in `forward`."""
        scores = self._scores(position_m, energies, matches)
        centred = log_factors - log_factors.mean(0)
        linear = torch.cat([torch.ones(len(scores), 1, device=scores.device), scores], 1)
        answers = linear @ _ridge(linear, centred)
        _, values, found = torch.linalg.svd(answers - answers.mean(0), full_matrices=False)
        count = min(self.leading.shape[1], len(values))
        deviation = (values[:count] / len(scores) ** 0.5).clamp(min=1e-6)
        self.leading.zero_()
        self.leading[:, :count] = _ridge(linear, centred)[1:] @ (found[:count].T / deviation)
        self.weight.copy_(_ridge(self._terms(scores), log_factors))

    def forward(self, position_m: Tensor, energies: Tensor, matches: Tensor) -> Tensor:
        """Positions (B, 3, H, W) m, scaled `texture_energies` (B, E, h, w), `Autoencoder.matches` -> (B, 32 + C + L).

        Log factors within `MOST`; the further a head is from all training people, the nearer is everything to 0.
        """
        scores = self._scores(position_m, energies, matches)
        head, lines = scores.split([scores.shape[1] - len(self.usual_match), len(self.usual_match)], 1)
        parts = [part.square().mean(1, keepdim=True) for part in (head, lines) if part.shape[1]]
        trust = _FAR**2 / torch.stack(parts).amax(0).clamp(min=_FAR**2)
        log_factors = MOST * torch.tanh(self._terms(scores) @ self.weight * trust / MOST)
        leaning = self._leading(scores)[:, : self.leanings] * trust / _LEANING_UNIT
        return torch.cat([log_factors, leaning], 1)

    def _scores(self, position_m: Tensor, energies: Tensor, matches: Tensor) -> Tensor:
        lines = ((matches - self.usual_match) / self.match_deviation).clamp(-4.0, 4.0)
        shape, texture = self.shape(self._coarse_shape(position_m)), self.texture(self._coarse_texture(energies))
        return torch.cat([shape, texture, lines], 1)

    def _leading(self, scores: Tensor) -> Tensor:
        return (scores @ self.leading).clamp(-2.5, 2.5)

    def _terms(self, scores: Tensor) -> Tensor:
        """(B, 1 + size + products): a one, the scores, products of the leading directions."""
        leading = self._leading(scores)
        first, second = torch.triu_indices(self.leading.shape[1], self.leading.shape[1])
        products = leading[:, first] * leading[:, second]
        return torch.cat([torch.ones_like(scores[:, :1]), scores, products], 1)

    def _coarse_shape(self, position_m: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(position_m, self.grid).flatten(1) / OFFSET_UNIT_M

    @staticmethod
    def _coarse_texture(energies: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(energies, COARSE).flatten(1)


def _ridge(terms: Tensor, answers: Tensor) -> Tensor:
    """(T, A) weights of ridge regression on terms (P, T); the first term, a one, is not held down."""
    terms, answers = terms.double(), answers.double()
    held = _RIDGE * torch.eye(terms.shape[1], dtype=torch.float64, device=terms.device)
    held[0, 0] = 1e-6
    return torch.linalg.solve(terms.T @ terms + held, terms.T @ answers).float()
