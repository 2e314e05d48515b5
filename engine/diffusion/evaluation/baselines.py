"""Simple answers to the same question, fitted on training people: what a network has to beat.

They see what the model sees, neutral positions and texture, never the neutral's true maps. One expression is fitted at
a time, on all training people given, and forgotten before the next: changes of 512 x 512 x 9 are large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.diffusion.evaluation.deformation_transfer import DeformationTransfer
from engine.diffusion.evaluation.measures import MAPS
from engine.diffusion.inference import Maps
from engine.diffusion.unified import log_albedo
from engine.errors import EngineError
from engine.synth.batch import Batch
from engine.synth.frames import local_frames
from engine.synth.generator import Population

POSITION_COMPONENTS, TEXTURE_COMPONENTS = 64, 32
TEXTURE_SIDE = 128
"""Textures are averaged down to this before their components are taken."""
BATCH = 4
_CHUNK = 2**18
"""Columns of a target matrix worked on at once."""


def pairs_of(
    source: Population, people: Sequence[int], row: int, device: torch.device, *, explained: bool = False
) -> Iterator[Batch]:
    """Expression `row` of each of `people` on `device`, `BATCH` at a time."""
    for at in range(0, len(people), BATCH):
        part = list(people[at : at + BATCH])
        yield source.pairs(part, [row] * len(part), explained=explained).to(device)


@dataclass(frozen=True, eq=False, slots=True)
class Components:
    """Principal components of some rows (N, D)."""

    mean: Tensor
    """(D,)"""
    basis: Tensor
    """(K, D) orthonormal."""
    deviation: Tensor
    """(K,) of the scores over the rows."""

    @classmethod
    def of(cls, rows: Tensor, count: int) -> Components:
        """The leading `count`, fewer where the rows do not spread in so many directions."""
        mean = rows.mean(0)
        _, singular, basis = torch.linalg.svd((rows - mean).double(), full_matrices=False)
        kept = min(count, int((singular > 1e-5 * singular[0]).sum()))
        return cls(mean, basis[:kept].to(rows), (singular[:kept] / len(rows) ** 0.5).to(rows))

    def scores(self, rows: Tensor) -> Tensor:
        """(B, D) -> (B, K)."""
        return (rows - self.mean) @ self.basis.T


@dataclass(frozen=True, eq=False, slots=True)
class Neutrals:
    """What linear methods know of the training people's neutrals."""

    position: Components
    texture: Components
    mean_position_m: Tensor
    """(1, 3, h, w)."""
    scores: Tensor
    """(N, K) of the training people, as `read` gives them."""

    def read(self, batch: Batch) -> Tensor:
        """(B, K) scores of positions and texture, each block divided by its spread in all."""
        return self._joined(_position_rows(batch), _texture_rows(batch))

    def identity(self, position_m: Tensor) -> Tensor:
        """(B, K) whitened position scores: who somebody is by their shape."""
        return self.position.scores(position_m.flatten(1)) / self.position.deviation

    @property
    def gallery(self) -> Tensor:
        """(N, K) `identity` of the training people."""
        kept = len(self.position.deviation)
        return self.scores[:, :kept] * (self.position.deviation.norm() / self.position.deviation)

    def _joined(self, positions: Tensor, textures: Tensor) -> Tensor:
        parts = ((self.position, positions), (self.texture, textures))
        return torch.cat([part.scores(rows) / part.deviation.norm() for part, rows in parts], 1)


def read_neutrals(source: Population, people: Sequence[int], device: torch.device) -> Neutrals:
    """Components and scores of the neutrals of `people`; ValueError for fewer than 3."""
    if len(people) < 3:
        raise EngineError(
            f"evaluate: expected at least 3 training people for the baselines (--fit-people), found {len(people)}"
        )
    rows = [
        (_position_rows(batch), _texture_rows(batch), batch.neutral_position_m[:1])
        for batch in pairs_of(source, people, 0, device)
    ]
    positions, textures = (torch.cat(column) for column in list(zip(*rows, strict=True))[:2])
    position = Components.of(positions, POSITION_COMPONENTS)
    mean_m = position.mean.view_as(rows[0][2])
    bare = Neutrals(position, Components.of(textures, TEXTURE_COMPONENTS), mean_m, torch.empty(0))
    return replace(bare, scores=bare._joined(positions, textures))


def _position_rows(batch: Batch) -> Tensor:
    return batch.neutral_position_m.flatten(1)


def _texture_rows(batch: Batch) -> Tensor:
    side = min(TEXTURE_SIDE, batch.texture_srgb.shape[-1])
    return F.adaptive_avg_pool2d(log_albedo(batch.texture_srgb), side).flatten(1)


class Baselines:
    """Mean change, the same carried to each head in two ways, and ridge regression, of one expression."""

    def __init__(self, source: Population, people: Sequence[int], row: int, neutrals: Neutrals, skin: Tensor) -> None:
        """Fit on expression `row` of `people`, the people of `neutrals` in their order; skin (h, w) as in `Masks`."""
        device = neutrals.scores.device
        offsets: list[Tensor] = []
        self._changes = torch.empty(0)
        for number, batch in enumerate(pairs_of(source, people, row, device)):
            if not number:  # one block from the start: joining gigabytes at the end would need them twice
                self._changes = batch.change.new_empty(len(people), *batch.change.shape[1:], dtype=torch.float16)
            self._changes[number * BATCH : number * BATCH + len(batch.change)] = batch.change
            offsets.append(batch.offset_m)
        self._offsets = torch.cat(offsets)
        self._neutrals = neutrals
        self.mean = Maps(self._offsets.mean(0, keepdim=True), _mixed(_even(len(people), device), self._changes))
        """(1, ...) the training people's average."""
        self._transfer = DeformationTransfer(neutrals.mean_position_m, self.mean.offset_m, skin)
        parts = [self._offsets.flatten(1), *(self._changes[:, part].flatten(1) for part in MAPS.values())]
        self._ridge = [ridge(neutrals.scores, centred_gram(part)) for part in parts]

    def answers(self, batch: Batch) -> dict[str, Maps]:
        """Name -> what it makes of each neutral of `batch`."""
        count = len(batch.offset_m)
        offset_m, change = (part.expand(count, -1, -1, -1) for part in (self.mean.offset_m, self.mean.change))
        return {
            "copy neutral": Maps(torch.zeros_like(offset_m), torch.zeros_like(change)),
            "mean change": Maps(offset_m, change),
            "mean in local frames": Maps(self._turned(batch.neutral_position_m), change),
            "deformation transfer": Maps(self._transfer(batch.neutral_position_m), change),
            "ridge regression": self._regressed(self._neutrals.read(batch)),
        }

    def _turned(self, position_m: Tensor) -> Tensor:
        """The mean offsets, each turned as the surface is turned there against the mean head's."""
        turn = local_frames(position_m) @ local_frames(self._neutrals.mean_position_m).mT
        return torch.einsum("bhwij,jhw->bihw", turn, self.mean.offset_m[0])

    def _regressed(self, scores: Tensor) -> Maps:
        people = self._neutrals.scores.shape[0]
        weights = [1.0 / people + scores @ matrix for matrix in self._ridge]
        changes = [
            _mixed(weight, self._changes[:, part]) for weight, part in zip(weights[1:], MAPS.values(), strict=True)
        ]
        return Maps(_mixed(weights[0], self._offsets), torch.cat(changes, 1))


def ridge(scores: Tensor, gram: Tensor) -> Tensor:
    """(K, N) matrix M: the answer for scores x (B, K) is (1 / N + x M) Y, Y (N, D) the training targets.

    Ridge regression with a free intercept (Hoerl and Kennard 1970); `scores` (N, K) are centred, `gram` (N, N) is that
    of the centred targets. Its strength, and whether scores are whitened, is what leaves the least error on training
    people held back one at a time (leave-one-out in closed form: Allen 1974).
    """
    x, gram = scores.double(), gram.double()
    count = len(x)
    best, least = torch.zeros(x.shape[1], count, dtype=torch.float64, device=x.device), torch.inf
    spread = x.square().mean(0).sqrt().clamp(min=1e-12)
    for scale in (torch.ones_like(spread), spread):
        z = x / scale
        vectors, singular, right = torch.linalg.svd(z, full_matrices=False)
        for strength in torch.logspace(-8, 4, 25, dtype=torch.float64).tolist():
            strength *= float(singular.square().mean())
            solved = (right.T * (singular / (singular.square() + strength))) @ vectors.T
            residual = torch.eye(count, dtype=torch.float64, device=x.device) - 1.0 / count - z @ solved
            error = ((residual @ gram) * residual).sum(1) / residual.diagonal().clamp(min=1e-9).square()
            if float(error.mean()) < least:
                best, least = solved / scale[:, None], float(error.mean())
    return best.to(scores)


def centred_gram(targets: Tensor) -> Tensor:
    """(N, D) -> (N, N) inner products of the rows less their mean, float64."""
    gram = torch.zeros(len(targets), len(targets), dtype=torch.float64, device=targets.device)
    for part in targets.split(_CHUNK, 1):
        rows = part.float() - part.float().mean(0)
        gram += (rows @ rows.T).double()
    return gram


def _even(people: int, device: torch.device) -> Tensor:
    return torch.full((1, people), 1.0 / people, device=device)


def _mixed(weights: Tensor, targets: Tensor) -> Tensor:
    """(B, N) times (N, ...) -> (B, ...) float32; the targets may be in half floats."""
    flat = targets.flatten(1)
    return torch.cat([weights @ part.float() for part in flat.split(_CHUNK, 1)], 1).view(-1, *targets.shape[1:])
