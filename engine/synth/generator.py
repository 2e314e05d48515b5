"""Pairs of a neutral and an expression of synthetic people, made in batches from an ICT-FaceKit folder.

Shape: ICT's identity modes; expressions: ICT's shapes combined by the vocabulary's ARKit weights, carried to each
person by local frames and the size of what moves, with per-person strength. Reflectance: strain of the deformation
drives furrows, blood, gloss and roughness (`engine.synth.wrinkles`). Everything is in the canonical space.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.face import layout, skin
from engine.face.correspondence import mean_position_m
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.io import ict
from engine.synth.batch import Batch
from engine.synth.wrinkles import Person, Wrinkles
from engine.vocabulary import EXPRESSIONS

MIX_SHARE, HALF_SHARE, NEUTRAL_SHARE = 0.15, 0.15, 0.03
TEST_SHARE = 0.1
LEADING_MODES = 6
_PLAIN = {"browInnerUp": ("browInnerUp_L", "browInnerUp_R"), "cheekPuff": ("cheekPuff_L", "cheekPuff_R")}


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Which person and which strengths, one row a sample."""

    identity: torch.Tensor
    strengths: torch.Tensor


def ict_mix(arkit: dict[str, float]) -> dict[str, float]:
    """ARKit weights -> ICT-FaceKit shape weights: Left/Right become _L/_R, shapes ICT splits get both sides."""
    mix: dict[str, float] = {}
    for name, weight in arkit.items():
        if name in _PLAIN:
            targets = _PLAIN[name]
        elif name not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight") and name.endswith(("Left", "Right")):
            side = "Left" if name.endswith("Left") else "Right"
            targets = (f"{name.removesuffix(side)}_{side[0]}",)
        else:
            targets = (name,)
        for target in targets:
            mix[target] = mix.get(target, 0.0) + weight
    return mix


class Generator:
    """A fixed population of synthetic people, and pairs drawn from it."""

    def __init__(self, folder: Path, identities: int, seed: int, device: torch.device | str = "cpu") -> None:
        """Sample `identities` people from the ICT-FaceKit at `folder`; the last tenth is for testing only."""
        from engine.synth.operator import ict_geometry_operator

        self.device = torch.device(device)
        rng = np.random.default_rng(seed)
        operator = ict_geometry_operator(folder)
        generic = ict.generic_positions_m(folder)
        mean = mean_position_m().reshape(-1, 3)
        shift = (mean - operator @ generic).mean(axis=0)
        self._generic = torch.from_numpy(_map(operator @ generic + shift)).to(self.device)
        modes = ict.identity_modes(folder) * ict.METRES_PER_UNIT
        spread = np.stack([_map(operator @ mode) for mode in modes])
        self._modes = torch.from_numpy(spread.reshape(len(modes), -1)).to(self.device)
        deltas = {name: delta * ict.METRES_PER_UNIT for name, delta in ict.expression_deltas(folder).items()}
        rows = [
            sum((weight * deltas[name] for name, weight in ict_mix(dict(entry.arkit)).items()), np.zeros_like(generic))
            for entry in EXPRESSIONS
        ]
        self._expressions = torch.from_numpy(np.stack([_map(operator @ row) for row in rows])).to(self.device)
        self._coefficients = torch.from_numpy(rng.standard_normal((identities, len(modes))).astype(np.float32))
        self._coefficients = self._coefficients.to(self.device)
        self._strength = self._strengths(identities, seed)
        self._traits = [skin.sample_traits(int(number)) for number in rng.integers(0, 2**31, identities)]
        self._textures: dict[int, torch.Tensor] = {}
        self._wrinkles = Wrinkles(self.device)
        first_test = identities - max(1, round(identities * TEST_SHARE))
        self.train_identities = list(range(first_test))
        self.test_identities = list(range(first_test, identities))

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """`count` random pairs of the training people: mostly pure expressions, some mixes, half strengths,
        neutrals."""
        people = torch.randint(len(self.train_identities), (count,), generator=rng)
        rows = torch.randint(1, len(EXPRESSIONS), (count, 2), generator=rng)
        strengths = torch.zeros(count, len(EXPRESSIONS))
        kind = torch.rand(count, generator=rng)
        level = 0.3 + 0.7 * torch.rand(count, 2, generator=rng)
        index = torch.arange(count)
        full = kind >= MIX_SHARE + HALF_SHARE + NEUTRAL_SHARE
        strengths[index, rows[:, 0]] = torch.where(full, torch.ones(count), level[:, 0])
        mixed = kind < MIX_SHARE
        strengths[index[mixed], rows[mixed, 1]] = level[mixed, 1]
        resting = (kind >= MIX_SHARE + HALF_SHARE) & ~full
        strengths[resting] = 0
        strengths[resting, 0] = 1
        return self._render(_Pairs(torch.tensor(self.train_identities)[people], strengths))

    def pairs(self, identity_indices: list[int], expression_rows: list[int]) -> Batch:
        """The full-strength expression `expression_rows[i]` (row of the vocabulary) of person `identity_indices[i]`."""
        strengths = torch.zeros(len(expression_rows), len(EXPRESSIONS))
        strengths[torch.arange(len(expression_rows)), torch.tensor(expression_rows)] = 1
        return self._render(_Pairs(torch.tensor(identity_indices), strengths))

    def _strengths(self, identities: int, seed: int) -> torch.Tensor:
        """(identities, 32) how far each person goes: 86% of the variance follows from leading shape modes, which can
        be seen in the neutral; the rest is unexplained."""
        rng = torch.Generator().manual_seed(seed + 1)
        followed = torch.randn(LEADING_MODES, len(EXPRESSIONS), generator=rng) / LEADING_MODES**0.5
        drive = self._coefficients[:, :LEADING_MODES].cpu() @ followed
        rest = torch.randn(identities, len(EXPRESSIONS), generator=rng)
        return (1 + 0.10 * drive + 0.04 * rest).clamp(0.7, 1.3).to(self.device)

    def _neutral(self, people: torch.Tensor) -> torch.Tensor:
        """(B, 3, 128, 128) metres."""
        shape = (self._coefficients[people] @ self._modes).reshape(-1, 3, GEOMETRY_SIZE, GEOMETRY_SIZE)
        return self._generic + shape

    def _render(self, pairs: _Pairs) -> Batch:
        people = pairs.identity.to(self.device)
        strengths = pairs.strengths.to(self.device)
        neutral = self._neutral(people)
        amount = strengths * self._strength[people]
        amount[:, 0] = 0
        generic_offset = torch.einsum("be,echw->bchw", amount, self._expressions)
        offset = self._carried(neutral, generic_offset, amount)
        texture = torch.stack([self._texture(int(number)) for number in pairs.identity]).to(self.device)
        persons = [Person(int(number), self._traits[int(number)].age_years) for number in pairs.identity]
        diffuse, change = self._wrinkles(neutral, offset, texture.float() / 255, persons)
        return Batch(neutral, diffuse, strengths, offset, change, pairs.identity.to(self.device))

    def _carried(self, neutral: torch.Tensor, offset: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        """Offsets of the generic head turned into each person's local frames and scaled to the size of what moves.

        Frames: differential frame of the smoothed surface (Sumner and Popovic 2004 in spirit). Lids are scaled by the
        ratio of eye openings, so that they close on every person.
        """
        turn = local_frames(neutral) @ local_frames(self._generic[None]).transpose(-1, -2)
        carried = torch.einsum("bhwij,bjhw->bihw", turn, offset)
        ratio = self._eye_ratio(neutral)
        blink = amount[:, [1, 14]].amax(dim=1).clamp(0, 1)[:, None, None, None]
        return carried * (1 + blink * (ratio - 1))

    def _eye_ratio(self, neutral: torch.Tensor) -> torch.Tensor:
        """(B, 1, 128, 128) eye opening over the generic one near each eye, 1 elsewhere."""
        ratio = torch.ones(len(neutral), 1, GEOMETRY_SIZE, GEOMETRY_SIZE, device=self.device)
        y, x = torch.meshgrid(
            *[(torch.arange(GEOMETRY_SIZE, device=self.device) + 0.5) / GEOMETRY_SIZE] * 2, indexing="ij"
        )
        for slit in layout.SLITS[1:]:
            middle = (slit.u_left + slit.u_right) / 2
            line, gap = float(slit.v_at(np.array(middle))), slit.half_gap
            column = int(middle * GEOMETRY_SIZE)
            upper, lower = int((line - gap) * GEOMETRY_SIZE - 0.5), int(np.ceil((line + gap) * GEOMETRY_SIZE + 0.5))
            opening = [(p[..., 1, upper, column] - p[..., 1, lower, column]) for p in (neutral, self._generic)]
            share = (opening[0] / opening[1]).clamp(0.5, 1.6)[:, None, None, None]
            near = torch.exp(-(((x - middle) / 0.07) ** 4) - ((y - line) / 0.07) ** 4)
            ratio = ratio * (1 + near * (share - 1))
        return ratio

    def _texture(self, number: int) -> torch.Tensor:
        """(3, 512, 512) uint8, painted once and kept."""
        if number not in self._textures:
            painted = skin.paint(self._traits[number], TEXTURE_SIZE).diffuse_srgb
            self._textures[number] = torch.from_numpy(painted.transpose(2, 0, 1).copy())
        return self._textures[number]


def local_frames(position_m: torch.Tensor) -> torch.Tensor:
    """(B, 3, H, W) -> (B, H, W, 3, 3) rotations: columns are the u tangent, its normal's cross product, the normal."""
    smooth = torch.nn.functional.avg_pool2d(position_m, 9, 1, 4, count_include_pad=False)
    along_u = torch.nn.functional.pad(smooth[..., :, 2:] - smooth[..., :, :-2], (1, 1, 0, 0), mode="replicate")
    along_v = torch.nn.functional.pad(smooth[..., 2:, :] - smooth[..., :-2, :], (0, 0, 1, 1), mode="replicate")
    normal = torch.nn.functional.normalize(torch.linalg.cross(along_v, along_u, dim=1), dim=1, eps=1e-12)
    first = torch.nn.functional.normalize(along_u, dim=1, eps=1e-12)
    second = torch.linalg.cross(normal, first, dim=1)
    return torch.stack([first, second, normal], dim=-1).permute(0, 2, 3, 1, 4)


def _map(values: np.ndarray) -> np.ndarray:
    """(128 * 128, 3) -> (3, 128, 128) float32."""
    return np.ascontiguousarray(values.reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 3).transpose(2, 0, 1), dtype=np.float32)
