"""What the average person does, as far as this person goes with it: the point around which the denoiser predicts.

Geometry: the training people's mean offsets, kept in local frames of the surface and carried to the new head by its own
frames (deformation transfer, Sumner and Popovic 2004); the jaw's part is not turned, but scaled by the jaw's length.
Reflectance: the mean latent. Both add up by strength, each side of the face by its own, and are multiplied by the
factors of `person.Person`. The mean latent also *leans* along the directions in which people differ most (age above
all: where skin folds, not only how deep). The network then only has to know the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.diffusion.config import ModelConfig
from engine.diffusion.person import EXPRESSION_COUNT
from engine.diffusion.unified import OFFSET_UNIT_M, Unified
from engine.face import regions
from engine.synth.frames import jaw_length_m, local_frames
from engine.synth.strain import stretch
from engine.vocabulary import EXPRESSIONS, JAW_SHAPES

_RIDGE = 0.1
_HELD = 0.05
"""How strongly a measured factor is held to 1, over what a typical answer tells."""
_LEAST, _GREATEST = 0.4, 2.5
"""No factor is taken to be further from 1."""
STRAIN_UNIT = 0.1
_LEAN_RIDGE = 0.4
"""Ten pairs' worth of people of ordinary difference."""


class Pivot(nn.Module):
    """Mean answers of the training people, and the deviation of the personal rest, per latent channel."""

    offset_m: Tensor
    jaw_m: Tensor
    jaw_share: Tensor
    change: Tensor
    lean: Tensor
    still: Tensor
    deviation: Tensor
    sides_geometry: Tensor
    sides_grid: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        grid, channels, size = config.grid, config.change_channels, config.geometry_size
        self.register_buffer("offset_m", torch.zeros(EXPRESSION_COUNT, 3, size, size))
        self.register_buffer("jaw_m", torch.zeros(len(JAW_SHAPES), 3, size, size))
        shares = [[entry.arkit.get(shape, 0.0) for shape in JAW_SHAPES] for entry in EXPRESSIONS]
        self.register_buffer("jaw_share", torch.tensor(shares), persistent=False)
        self.register_buffer("change", torch.zeros(EXPRESSION_COUNT, channels, grid, grid))
        self.leanings = config.person_leanings
        self.register_buffer("lean", torch.zeros(EXPRESSION_COUNT * self.leanings, channels, grid, grid))
        self.register_buffer("still", torch.zeros(channels, grid, grid))
        self.register_buffer("deviation", torch.ones(config.offset_channels + channels, 1, 1))
        for name, size in (("sides_geometry", config.geometry_size), ("sides_grid", grid)):
            left = torch.from_numpy(regions.left_share(size).copy())
            self.register_buffer(name, torch.stack([left, 1 - left]), persistent=False)

    def turn(self, unified: Unified, position_m: Tensor) -> Tensor:
        """Neutral positions (B, 3, H, W) -> (B, H, W, 3, 3): from the mean head's local frames to this head's."""
        return local_frames(position_m) @ local_frames(unified.mean_position[None]).transpose(-1, -2)

    def jaw_size(self, unified: Unified, position_m: Tensor) -> Tensor:
        """Neutral positions (B, 3, H, W) -> (B, 1, 1, 1) length of the jaw over the mean head's."""
        return jaw_length_m(position_m) / jaw_length_m(unified.mean_position[None])

    def jaw_offset_m(self, unified: Unified, strengths: Tensor, position_m: Tensor) -> Tensor:
        """Strengths (B, 2, 32) and neutral positions (B, 3, H, W) -> (B, 3, H, W) m: what the jaw does."""
        moved = torch.einsum("bsk,kchw,shw->bchw", strengths @ self.jaw_share, self.jaw_m, self.sides_geometry)
        return self.jaw_size(unified, position_m) * moved

    def expected(
        self, unified: Unified, strengths: Tensor, position_m: Tensor, turn: Tensor, person: Tensor | None = None
    ) -> Tensor:
        """Strengths (B, 2, 32), neutral positions (B, 3, H, W) and their `turn` -> latent (B, C, h, w) of the average
        person, or of the one of whom `person.Person` says `person` (B, 32 + C' + L): offset channels, then change
        channels."""
        if person is not None:
            strengths = strengths * person[:, None, :EXPRESSION_COUNT].exp()
        offset = torch.einsum("bse,echw,shw->bchw", strengths, self.offset_m, self.sides_geometry)
        offset = torch.einsum("bhwij,bjhw->bihw", turn.float(), offset)
        offset = offset + self.jaw_offset_m(unified, strengths, position_m)
        change = torch.einsum("bse,echw,shw->bchw", strengths, self.change, self.sides_grid)
        if person is not None:
            answer = person[:, EXPRESSION_COUNT : EXPRESSION_COUNT + change.shape[1]]
            leant = leaning_terms(strengths, person, self.leanings)
            change = change * answer[:, :, None, None].exp()
            change = change + torch.einsum("bsk,kchw,shw->bchw", leant, self.lean, self.sides_grid)
        return torch.cat([unified.encode_offset(offset), self.still + change], 1)

    def strain(self, unified: Unified, position_m: Tensor, latent: Tensor) -> Tensor:
        """(B, 4 b b, h, w) how far the geometry in `latent` (B, C, h, w) pulls and squeezes the skin of neutrals
        (B, 3, H, W) m along u and v, b x b texels a cell, in units of `STRAIN_UNIT`: what folds and smooths skin."""
        geometry = latent[:, : self.deviation.shape[0] - self.still.shape[0]]
        strain = stretch(position_m + unified.decode_offset(geometry), position_m) / STRAIN_UNIT
        both = torch.cat([strain.clamp(min=0), (-strain).clamp(min=0)], 1)
        return F.pixel_unshuffle(both, position_m.shape[-1] // unified.grid)

    def normalise(self, latent: Tensor, expected: Tensor) -> Tensor:
        """Latent (B, C, h, w) -> what is personal in it, in units of its deviation; inverse of `restore`."""
        return (latent - expected) / self.deviation

    def restore(self, normalised: Tensor, expected: Tensor) -> Tensor:
        """Normalised (B, C, h, w) -> latent."""
        return normalised * self.deviation + expected

    def typical(self, expected: Tensor) -> Tensor:
        """(B, C, h, w) what `expected` does to the neutral, in the units of `normalise`."""
        count = self.deviation.shape[0] - self.still.shape[0]
        change = expected[:, count:] - self.still
        return torch.cat([expected[:, :count], change], 1) / self.deviation


class PivotFit:
    """Sums over training pairs from which a Pivot is solved: ridge regression of the answers on the strengths."""

    def __init__(self, pivot: Pivot, unified: Unified) -> None:
        self.pivot, self.unified = pivot, unified
        device = pivot.still.device
        self.moment = _RIDGE * torch.eye(EXPRESSION_COUNT, dtype=torch.float64, device=device)
        self.offset = torch.zeros_like(pivot.offset_m, dtype=torch.float64).flatten(1)
        self.change = torch.zeros_like(pivot.change, dtype=torch.float64).flatten(1)

    def add(self, strengths: Tensor, offset_m: Tensor, position_m: Tensor, turn: Tensor, change: Tensor) -> None:
        """Count pairs in: strengths (B, 2, 32), offsets and neutral positions (B, 3, H, W) m, turn, latent change
        (B, C, h, w). What the jaw does must be in the pivot already."""
        even = (strengths[:, 0] - strengths[:, 1]).abs().amax(1) == 0  # both sides alike: a plain sum over rows
        rows = strengths[even, 0].double()
        soft = offset_m[even] - self.pivot.jaw_offset_m(self.unified, strengths[even], position_m[even])
        home = torch.einsum("bhwji,bjhw->bihw", turn[even].float(), soft)
        self.moment += rows.T @ rows
        self.offset += rows.T @ home.flatten(1).double()
        self.change += rows.T @ (change[even].float() - self.pivot.still).flatten(1).double()

    def solve(self) -> None:
        """Write the means; row 0 is Neutral and stays nothing."""
        for sums, target in ((self.offset, self.pivot.offset_m), (self.change, self.pivot.change)):
            target.copy_(torch.linalg.solve(self.moment, sums).float().view_as(target))
            target[0] = 0


def leaning_terms(strengths: Tensor, person: Tensor, leanings: int) -> Tensor:
    """Strengths (B, 2, 32) times each of the L last of `person` (B, D) -> (B, 2, 32 * L), in the order of
    `Pivot.lean`."""
    return (strengths[:, :, :, None] * person[:, None, None, -leanings:]).flatten(2)


class LeanFit:
    """Ridge regression of what the mean latent and the factors leave, on strengths times leading directions."""

    def __init__(self, pivot: Pivot) -> None:
        self.pivot = pivot
        size = len(pivot.lean)
        self.moment = _LEAN_RIDGE * torch.eye(size, dtype=torch.float64, device=pivot.lean.device)
        self.rest = torch.zeros_like(pivot.lean, dtype=torch.float64).flatten(1)

    def add(self, strengths: Tensor, person: Tensor, rest: Tensor) -> None:
        """Count pairs in: strengths (B, 2, 32) times the person's reach, `person` (B, 32 + C + L), and latent change
        less what was expected without leaning (B, C, h, w)."""
        even = (strengths[:, 0] - strengths[:, 1]).abs().amax(1) == 0
        rows = leaning_terms(strengths[even, :1], person[even], self.pivot.leanings)[:, 0].double()
        self.moment += rows.T @ rows
        self.rest += rows.T @ rest[even].flatten(1).double()

    def solve(self) -> None:
        """Write `Pivot.lean`; that of Neutral stays nothing."""
        self.pivot.lean.copy_(torch.linalg.solve(self.moment, self.rest).float().view_as(self.pivot.lean))
        self.pivot.lean[: self.pivot.leanings] = 0


def reach_in(pivot: Pivot, offset_m: Tensor, size: Tensor, turn: Tensor, rows: Tensor, grid: int) -> Tensor:
    """(B, K) how far people of `jaw_size` and `turn` go with each of `rows` (K,), over the average person, 0.4..2.5.

    Read from offsets (B, 3, H, W) m that have all of them at full strength on both sides: offsets add up, so one move
    tells of many, as long as the rows move the skin in ways of their own. Looked at on `grid`.
    """

    def coarse(offsets_m: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(offsets_m.flatten(0, -4), grid).reshape(*offsets_m.shape[:-3], -1) / OFFSET_UNIT_M

    home = coarse(torch.einsum("bhwji,bjhw->bihw", turn.float(), offset_m))
    jaw = coarse(torch.einsum("bhwji,kjhw->bkihw", turn.float(), pivot.jaw_m) * size[..., None])
    basis = coarse(pivot.offset_m[rows]) + pivot.jaw_share[rows] @ jaw
    moment = basis @ basis.mT
    held = _HELD**2 * moment.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] * torch.eye(len(rows), device=size.device)
    found = 1 + torch.linalg.solve(moment + held, basis @ (home - basis.sum(1))[..., None])[..., 0]
    return found.clamp(_LEAST, _GREATEST)


class AnswerFit:
    """How strongly each person's skin answers in each channel of the latent change, over the pivot, from some pairs."""

    def __init__(self, people: int, channels: int, device: torch.device) -> None:
        self.told = torch.zeros(people, channels, device=device)
        self.size = torch.zeros_like(self.told)

    def add(self, who: Tensor, change: Tensor, expected: Tensor) -> None:
        """Count pairs in: people (B,), latent change and the average person's at their reach (B, C, h, w), both less
        what they are at rest."""
        self.told.index_add_(0, who, ((change - expected) * expected).sum((2, 3)))
        self.size.index_add_(0, who, expected.square().sum((2, 3)))

    def solve(self) -> Tensor:
        """(P, C) factors, 0.4..2.5; near 1 for people and channels of which little was seen."""
        return (1 + self.told / (self.size + _HELD * self.size.mean(0))).clamp(_LEAST, _GREATEST)
