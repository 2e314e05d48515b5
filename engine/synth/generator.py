"""Pairs of a neutral and an expression of synthetic people, made in batches from an ICT-FaceKit folder.

Shape: ICT's identity modes; expressions: ICT's shapes combined by the vocabulary's ARKit weights, carried to each
person by local frames and the size of what moves (the jaw's by its length alone), as strongly as
`engine.synth.people` says. Reflectance: the painted skin of the person, and how it folds, flushes and stretches
(`engine.synth.folds`). All in the canonical space, on the training device.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.face import layout, regions
from engine.face.ict_shapes import ict_mix
from engine.face.registration import mean_position_m, registered
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.face.transfer import geometry_operator
from engine.head import topology_of
from engine.io import ict
from engine.synth import folds, photograph, skin
from engine.synth.batch import Batch
from engine.synth.fold_curves import FoldLines
from engine.synth.fold_lines import draw_lines
from engine.synth.frames import jaw_length_m, local_frames
from engine.synth.people import People, sample_people
from engine.vocabulary import EXPRESSIONS, JAW_SHAPES, NAMES, ONE_SIDED

MIX_SHARE, HALF_SHARE, SIDE_SHARE, NEUTRAL_SHARE = 0.14, 0.12, 0.12, 0.02
RUN = 2
"""Pairs of one person in a row: painting a face costs more than moving it."""
TEST_SHARE = 0.1
_SKINS_KEPT = {"cpu": 48, "cuda": 400}
_AT_ONCE = {"cpu": 2, "cuda": 64}
"""Pairs whose maps are made together: few stay within a CPU's caches."""
_PAINTED_AT_ONCE = {"cpu": 1, "cuda": 32}


@dataclass(frozen=True, slots=True)
class _Skin:
    """What is painted once a person; maps in half floats."""

    neutral: Tensor
    """(9, 512, 512) true maps at rest."""
    texture: Tensor
    """(3, 512, 512) sRGB."""
    lines: FoldLines


class Population:
    """A fixed population of synthetic people, and pairs drawn from it."""

    def __init__(
        self,
        folder: Path,
        identities: int,
        seed: int,
        device: torch.device | str = "cpu",
        keep: int = 0,
        sizes: tuple[int, int] = (GEOMETRY_SIZE, TEXTURE_SIZE),
    ) -> None:
        """Sample `identities` people from the ICT-FaceKit at `folder`; the last tenth is for testing only.

        The skins of the last people are kept, at least of `keep`, 7 MB each: painting one takes longer than moving it.
        Pairs come in maps of `sizes`, of geometry and of textures: means over blocks of the canonical ones.
        """
        self.device = torch.device(device)
        self._geometry_size, self._texture_size = sizes
        head = ict.read(folder)
        topology = topology_of(head)
        operator, skin_rows = geometry_operator(topology), registered(topology).vertices
        generic = head.mesh.positions * ict.METRES_PER_UNIT
        mean = mean_position_m().reshape(-1, 3)
        shift = (mean - operator @ generic[skin_rows]).mean(axis=0)
        self._generic = torch.from_numpy(_map(operator @ generic[skin_rows] + shift)).to(self.device)
        modes = ict.identity_modes(folder) * ict.METRES_PER_UNIT
        spread = np.stack([_map(operator @ mode[skin_rows]) for mode in modes])
        self._modes = torch.from_numpy(spread.reshape(len(modes), -1)).to(self.device)
        self._folder, self._ict_generic_m = folder, generic + shift
        deltas = {name: delta * ict.METRES_PER_UNIT for name, delta in ict.expression_deltas(folder).items()}
        self._soft, self._jaw = (torch.zeros(len(EXPRESSIONS), *self._generic.shape) for _ in range(2))
        for row, entry in enumerate(EXPRESSIONS):
            for name, weight in ict_mix(entry.arkit).items():
                part = self._jaw if name in JAW_SHAPES else self._soft
                part[row] += torch.from_numpy(_map(operator @ deltas[name][skin_rows])) * weight
        self._soft, self._jaw = self._soft.to(self.device), self._jaw.to(self.device)
        self.people: People = sample_people(identities, len(modes), seed, self.device)
        self._skins: OrderedDict[int, _Skin] = OrderedDict()
        self._skins_kept = max(keep, _SKINS_KEPT[self.device.type])
        left = torch.from_numpy(regions.left_share(GEOMETRY_SIZE).copy()).to(self.device)
        self._sides = torch.stack([left, 1 - left])
        first_test = identities - max(1, round(identities * TEST_SHARE))
        self.train_identities = list(range(first_test))
        self.test_identities = list(range(first_test, identities))

    def batch(self, count: int, rng: torch.Generator) -> Batch:
        """`count` random pairs of training people, `RUN` of each: mostly pure expressions, some mixes, half strengths,
        one-sided ones and neutrals."""
        runs = torch.randint(len(self.train_identities), (-(-count // RUN),), generator=rng)
        people = [self.train_identities[int(index)] for index in runs.repeat_interleave(RUN)[:count]]
        return self.render(people, random_strengths(count, rng))

    def pairs(
        self, identity_indices: Sequence[int], expression_rows: Sequence[int], *, explained: bool = False
    ) -> Batch:
        """The full-strength expression `expression_rows[i]` (row of the vocabulary) of person `identity_indices[i]`.

        With `explained`, without what nothing in the neutral tells: the best that can be foreseen.
        """
        strengths = torch.zeros(len(expression_rows), 2, len(EXPRESSIONS))
        strengths[torch.arange(len(expression_rows)), :, torch.tensor(list(expression_rows))] = 1
        return self.render(list(identity_indices), strengths, explained)

    def moves(
        self, numbers: Sequence[int], rng: torch.Generator, strengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Strengths (B, 2, 32), random as in `batch` unless given, and offsets (B, 3, 128, 128) m of given people,
        without their skin: many times cheaper than pairs."""
        strengths = (random_strengths(len(numbers), rng) if strengths is None else strengths).to(self.device)
        amount = self._amount(list(numbers), strengths, explained=False)
        return strengths, _smaller(self._offsets(self._neutral(list(numbers)), amount), self._geometry_size)

    def _amount(self, numbers: list[int], strengths: Tensor, explained: bool) -> Tensor:
        """(B, 2, 32) how far each side goes with each row."""
        amount = strengths * self.people.strength[numbers]
        if not explained:
            amount = amount * self.people.hidden[numbers]
        amount[..., 0] = 0
        return amount

    def _offsets(self, neutral_m: Tensor, amount: Tensor) -> Tensor:
        soft, jaw = (torch.einsum("bse,echw,shw->bchw", amount, part, self._sides) for part in (self._soft, self._jaw))
        length = jaw_length_m(neutral_m) / jaw_length_m(self._generic[None])
        return self._carried(neutral_m, soft, amount) + length * jaw

    def render(self, numbers: list[int], strengths: Tensor, explained: bool = False) -> Batch:
        """The expression of strengths (B, 2, 32) of each of the people `numbers`; `explained` as in `pairs`."""
        people, strengths = self.people, strengths.to(self.device)
        depth = torch.ones(len(numbers), device=self.device) if explained else people.hidden_fold[numbers]
        neutral_m = self._neutral(numbers)
        offset_m = self._offsets(neutral_m, self._amount(numbers, strengths, explained))
        skins = self._skins_of(numbers)
        maps, texture = (torch.stack([getattr(one, name) for one in skins]).float() for name in ("neutral", "texture"))
        gloss = 1.3 - 0.6 * people.traits.firmness[numbers]
        parts = [
            self._folded(
                neutral_m[part],
                offset_m[part],
                folds.Lines.of([one.lines for one in skins[part]], people.traits.age_years[numbers[part]]),
                folds.unit_strengths(strengths[part]),
                torch.stack([depth, people.flush[numbers], gloss])[:, part],
            )
            for part in _parts(len(numbers), _AT_ONCE[self.device.type])
        ]
        offset_m, change = (torch.cat(column) for column in zip(*parts, strict=True))
        identity = torch.tensor(numbers, device=self.device)
        neutral_m, offset_m = (_smaller(part, self._geometry_size) for part in (neutral_m, offset_m))
        texture, maps, change = (_smaller(part, self._texture_size) for part in (texture, maps, change))
        return Batch(neutral_m, texture, maps, strengths, offset_m, change, identity)

    @staticmethod
    def _folded(
        neutral_m: Tensor, offset_m: Tensor, lines: folds.Lines, units: Tensor, amounts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Offsets with the large folds in them, and change of the maps; `amounts` (3, B): depth of folds, how strongly
        blood moves and gloss changes."""
        depth_mm = folds.deepened(lines, *folds.drive(lines, neutral_m, offset_m, units), amounts[0])
        change = folds.fold_change(lines, depth_mm) + folds.skin_change(neutral_m, offset_m, amounts[1], amounts[2])
        return offset_m + folds.shape_change(lines, depth_mm, neutral_m, offset_m), change

    def head_m(self, number: int) -> np.ndarray:
        """(26719, 3) metres: all vertices of a person's head on ICT-FaceKit's mesh."""
        modes = ict.identity_modes(self._folder) * ict.METRES_PER_UNIT
        return self._ict_generic_m + np.tensordot(self.people.shape[number].cpu().numpy(), modes, axes=1)

    def _neutral(self, numbers: list[int]) -> Tensor:
        """(B, 3, 128, 128) metres."""
        shape = (self.people.shape[numbers] @ self._modes).reshape(-1, 3, GEOMETRY_SIZE, GEOMETRY_SIZE)
        return self._generic + shape

    def _skins_of(self, numbers: list[int]) -> list[_Skin]:
        """People's skins, painted once and kept while there is room."""
        found = {number: self._skins[number] for number in numbers if number in self._skins}
        missing = [number for number in dict.fromkeys(numbers) if number not in found]
        step = _PAINTED_AT_ONCE[self.device.type]
        for at in range(0, len(missing), step):
            part = missing[at : at + step]
            found |= zip(part, self._painted(part), strict=True)
        for number in numbers:
            self._skins[number] = found[number]
            self._skins.move_to_end(number)
        while len(self._skins) > self._skins_kept:
            self._skins.popitem(last=False)
        return [found[number] for number in numbers]

    def _painted(self, numbers: list[int]) -> list[_Skin]:
        people = self.people
        columns = (people.traits.seed, people.traits.age_years, people.man)
        lines = [draw_lines(*one) for one in zip(*(column[numbers].tolist() for column in columns), strict=True)]
        painted = skin.paint(people.traits, numbers)
        neutral = folds.at_rest(painted, folds.Lines.of(lines, people.traits.age_years[numbers]))
        texture = photograph.photograph(neutral, self._neutral(numbers), people.traits.seed[numbers].tolist())
        return [_Skin(*one) for one in zip(neutral.half(), texture.half(), lines, strict=True)]

    def _carried(self, neutral_m: Tensor, offset_m: Tensor, amount: Tensor) -> Tensor:
        """Offsets of the generic head's soft tissue turned into each person's local frames, scaled to what moves.

        The jaw's are not: a bone moves all of its skin alike, however lips and chin stand. Frames: differential frame
        of the smoothed surface (Sumner and Popovic 2004 in spirit). Lids are scaled by the ratio of eye openings, so
        that they close on every person. `amount` is (B, 2, 32).
        """
        turn = local_frames(neutral_m) @ local_frames(self._generic[None]).transpose(-1, -2)
        carried = torch.einsum("bhwij,bjhw->bihw", turn, offset_m)
        blink = amount[:, :, [NAMES.index("Eye Blink"), NAMES.index("Face Compression")]].amax(dim=2).clamp(0, 1)
        blink = torch.einsum("bs,shw->bhw", blink, self._sides)[:, None]
        return carried * (1 + blink * (self._eye_ratio(neutral_m) - 1))

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


def random_strengths(count: int, rng: torch.Generator) -> Tensor:
    """(count, 2, 32) what training draws: pure expressions, mixes of two, half strengths, one-sided ones, neutrals."""
    rows = torch.randint(1, len(EXPRESSIONS), (count, 2), generator=rng)
    sided = torch.tensor([NAMES.index(name) for name in sorted(ONE_SIDED)])
    sided = sided[torch.randint(len(sided), (count,), generator=rng)]
    kind, side = torch.rand(count, generator=rng), torch.randint(2, (count,), generator=rng)
    level = 0.3 + 0.7 * torch.rand(count, 3, generator=rng)
    strengths = torch.zeros(count, 2, len(EXPRESSIONS))
    ends = np.cumsum([MIX_SHARE, HALF_SHARE, SIDE_SHARE, NEUTRAL_SHARE])
    for index in range(count):
        row, what = strengths[index], int(np.searchsorted(ends, float(kind[index]), side="right"))
        if what <= 1:
            row[:, rows[index, 0]] = level[index, 0]
            if what == 0:
                row[:, rows[index, 1]] = level[index, 1]
        elif what == 2:
            row[side[index], sided[index]] = level[index, 0]
            if level[index, 2] > 0.65:  # half of them uneven instead of one-sided
                row[1 - side[index], sided[index]] = level[index, 0] * level[index, 1] * 0.5
        else:
            row[:, 0 if what == 3 else rows[index, 0]] = 1
    return strengths


def _smaller(maps: Tensor, size: int) -> Tensor:
    """(B, C, H, W) as means over blocks, (B, C, size, size); as they are where they have that size."""
    return maps if maps.shape[-1] == size else F.adaptive_avg_pool2d(maps, size)


def _parts(count: int, size: int) -> list[slice]:
    """0..count in runs of `size`."""
    return [slice(at, at + size) for at in range(0, count, size)]


def _map(values: np.ndarray) -> np.ndarray:
    """(128 * 128, 3) -> (3, 128, 128) float32."""
    return np.ascontiguousarray(values.reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 3).transpose(2, 0, 1), dtype=np.float32)
