"""Where one person's skin folds: lines drawn from the atlas of fold families, seeded by the person.

Every adult can fold everywhere; what differs is how many rows, where, how deep, and what stays at rest. The order of
the draws is part of the law: the same seed is the same person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtr

from engine.synth.fold_atlas import COUNTED, DRAWN, FIVE, LOOK_AGES, MAIN_ONLY, atlas
from engine.synth.fold_curves import CHIN_UV, FoldLines, Piece, curves

_FROWNS: tuple[tuple[float, float, float, float, float], ...] = (
    (0.27, 4.3, 0.0, 1.0, 1.0),
    (0.37, 5.0, 1.6, 1.1, 1.1),
    (0.12, 4.6, -1.4, 0.9, 0.8),
    (0.12, 3.2, 0.0, 0.8, 0.75),
    (0.12, 4.8, 0.7, 0.7, 1.3),
)
"""Five frowns a person keeps (de Almeida et al. 2012): U, V, omega, converging arrows, inverted omega. Share of people,
distance of the two lines from the middle and how much nearer they come downwards (mm), length, and depth of the lines
across the nose's root, as shares."""
_AGE_LEAD = {"forehead": 5.0, "glabella": 2.0, "crow": -3.0}
"""Years by which a man's lines are ahead, and a woman's behind."""


@dataclass(frozen=True, slots=True)
class _Person:
    """What one person's families share."""

    age_years: float
    man: float
    latent: float
    """How much this person folds, standard normal."""
    frown: tuple[float, ...]
    """Distance, convergence, length and nose root of one of `_FROWNS`."""
    wave_mm: float
    """How far the forehead's lines dip in the middle."""


def draw_lines(seed: int, age_years: float, man: float = 0.5) -> FoldLines:
    """The fold lines of the person `seed`; `man` is 0 (woman) to 1 (man), 0.5 where it is not known.

    Men's forehead lines come first and women's crow's feet (Luebberding et al. 2014); men's foreheads are more often
    wavy (Frank et al. 2020). Numbers of different families hang together a little, of left and right more.
    """
    rng = np.random.default_rng([seed, 0xF01D])
    latent = rng.standard_normal()
    frown = _FROWNS[int(np.searchsorted(np.cumsum([row[0] for row in _FROWNS])[:-1], rng.random()))]
    wavy = rng.random() < 0.32 + 0.24 * man
    wave_mm = float(np.clip(rng.normal(2.4, 0.5), 1.2, 3.4) if wavy else rng.normal(0.7, 0.3))
    person = _Person(age_years, man, latent, frown[1:], wave_mm)
    pieces = [piece for name in COUNTED for piece in _family(rng, name, person)]
    return curves(rng, [*pieces, *_chin(rng, age_years)])


def _family(rng: np.random.Generator, name: str, person: _Person) -> Iterator[Piece]:
    """All pieces of a family, left side before right."""
    paired = atlas()[name]["paired"]
    shared = 0.45 * (person.age_years - 40) / 15 + 0.35 * person.latent + 0.5 * rng.standard_normal()
    kind = rng.standard_normal(4)
    age = person.age_years + _AGE_LEAD.get(name, 0.0) * (2 * person.man - 1)
    for right in (False, True) if paired else (False,):
        latent = shared + (0.55 * rng.standard_normal() if paired else 0.0)
        pencil = _Pencil(rng, name, right, kind, age, person)
        levels = _levels(rng, name, latent, kind)
        if name == "glabella":
            yield from _frown_lines(pencil, float(ndtr(latent)))
        elif len(levels):
            yield from _rows(pencil, levels)
        yield from _companions(pencil, levels if name != "glabella" else person.frown[0] * np.array([-1.0, 1.0]))


@dataclass(frozen=True, slots=True)
class _Pencil:
    """Draws the pieces of one side of a family."""

    rng: np.random.Generator
    name: str
    right: bool
    kind: np.ndarray
    """(4,) standard normal: what this person's lines of the family have in common."""
    age: float
    person: _Person

    def piece(
        self, start_mm: float, end_mm: float, level_mm: float, depth: float, tilt_mm: float = 0.0, bow_mm: float = 0.0
    ) -> Piece:
        """A line from `start_mm` to `end_mm`, with this family's own bends; `depth` is a share of the full one.

        A depth below 0.45 is a companion's, half as wide.
        """
        rng, family, length = self.rng, atlas()[self.name], end_mm - start_mm
        median = family["length_mm"][2]
        reach = min(length / max(median, 1.0), 1.6) * DRAWN[self.name].modes
        bends = []
        for row, (deviation, shared) in enumerate(family["modes"], start=1):
            drawn = shared**0.5 * self.kind[row] + (1 - shared) ** 0.5 * rng.standard_normal()
            most = 2 * deviation + 0.3
            bends.append(float(np.clip(deviation * reach * drawn, -most, most)))
        look = family["look"]
        full, width, rest = (np.interp(self.age, LOOK_AGES, look[k]) for k in ("depth_mm", "width_mm", "share_at_rest"))
        # short lines at full depth look like scars
        full = full * depth * np.clip(length / (0.75 * median), 0.3, 1.15) ** 0.7
        width = width * np.exp(0.12 * rng.standard_normal())
        # even a young line leaves a trace, so that where skin folds can be foreseen
        rest = max(float(rest * np.exp(0.25 * rng.standard_normal())), 0.02)
        return Piece(
            family=self.name,
            right=self.right,
            start_mm=start_mm,
            end_mm=end_mm,
            level_mm=level_mm,
            bends_mm=(bends[0] + tilt_mm, bends[1], bends[2]),
            wave_mm=self.person.wave_mm if self.name == "forehead" else 0.0,
            bow_mm=bow_mm,
            full_mm=float(full),
            rest_mm=float(full * rest),
            width_mm=float(width * (0.55 if depth < 0.45 else 1.0)),
        )


def _rows(pencil: _Pencil, levels: np.ndarray) -> Iterator[Piece]:
    """The rows of one side, whole or broken."""
    rng, name = pencil.rng, pencil.name
    main = 0 if name in MAIN_ONLY else int(rng.integers(len(levels)))
    for row, level in enumerate(levels):
        central = 1 - abs(row - (len(levels) - 1) / 2) / max(len(levels), 1)
        depth = float(np.exp((0.1 if name in MAIN_ONLY else 0.18) * rng.standard_normal()))
        if row != main:
            depth *= rng.uniform(0.2, 0.4) if name in MAIN_ONLY else rng.uniform(0.5, 0.95)
        depth *= pencil.person.frown[3] if name == "procerus" else 1.0
        yield from _broken(pencil, *_interval(pencil, row == main, central), float(level), depth)


def _companions(pencil: _Pencil, levels: np.ndarray) -> Iterator[Piece]:
    """Fine short lines beside the rows."""
    rng, name = pencil.rng, pencil.name
    family, s = atlas()[name], atlas()[name]["lattice"]["s_mm"]
    count = rng.poisson(DRAWN[name].fine * float(np.interp(pencil.age, LOOK_AGES, (0.4, 1.0, 1.6))))
    for _ in range(count if len(levels) else 0):
        length = rng.uniform(5, 13) * (1.8 if name == "forehead" else 1.2 if name == "crow" else 1.0)
        middle = rng.uniform(-10, 8) if name == "crow" else rng.uniform(s[0] + length / 2, s[-1] - length / 2)
        gap = 0.45 * family["row_spacing_mm"][2]
        level = float(rng.choice(levels)) + rng.choice((-1, 1)) * rng.uniform(0.7 * gap, 1.4 * gap)
        yield pencil.piece(middle - length / 2, middle + length / 2, level, rng.uniform(0.15, 0.4))


def _levels(rng: np.random.Generator, name: str, latent: float, kind: np.ndarray) -> np.ndarray:
    """Levels t (mm) of one side's rows; their number by the counted shares given that there are any."""
    family = atlas()[name]
    shares = np.array(family["rows"][1:])
    quantile = float(ndtr(0.6 * latent - 0.3 if name in MAIN_ONLY else latent))
    count = min(1 + int(np.searchsorted(np.cumsum(shares / shares.sum()), quantile)), 6)
    if family["least_rows"]:
        count = max(count, family["least_rows"])
    elif ndtr(latent) <= 0.85 - family["presence"]:
        return np.zeros(0)
    if name == "nasolabial":  # at rest the fold lies nearer to the mouth than where smiling photographs show it
        return 4.3 + 1.2 * kind[0] + 0.8 * rng.standard_normal() - 5.0 * np.arange(count)
    least = DRAWN[name].wide_gap_mm
    gaps = [max(_quantile(rng, family["row_spacing_mm"], 0.2, 0.95), least) for _ in range(count - 1)]
    rows = np.concatenate([[0.0], np.cumsum(gaps)])
    low, high = family["level_mm"][0], family["level_mm"][-1]
    rows *= min(1.0, (high - low) / max(rows[-1], 1e-6))
    free = 0.7 * kind[0] + 0.5 * rng.standard_normal() * family["paired"]
    middle = family["level_mm"][2] + 0.25 * (high - low) * DRAWN[name].stray * free
    return rows - rows[-1] / 2 + np.clip(middle, low + rows[-1] / 2, high - rows[-1] / 2)


def _interval(pencil: _Pencil, main: bool, central: float) -> tuple[float, float]:
    """Start and end of a row along s, mm."""
    rng, name, family = pencil.rng, pencil.name, atlas()[pencil.name]
    low, high = family["lattice"]["s_mm"][0], family["lattice"]["s_mm"][-1]
    length = _quantile(rng, family["length_mm"], 0.35 + 0.3 * central, 0.97)
    if name == "nasolabial":
        length = rng.uniform(36, 58) * np.interp(pencil.age, (20, 72), (0.85, 1.15)) if main else rng.uniform(12, 24)
        first = low + 3 if main else rng.uniform(-18, 0)
    elif name == "crow":
        first, length = rng.uniform(-15, -9), max(1.25 * length, 11.0)
    elif name == "marionette":
        first, length = -12 + rng.normal(0, 2), float(np.clip(length, 10, 26))
    else:
        start, end = family["start_mm"], family["end_mm"]
        middle = rng.normal((start[1] + end[1]) / 2, (start[2] - start[0]) * 0.06)
        if name == "cheek":
            length, middle = max(length, 30.0), rng.normal(-6, 2.5)
        length = min(length * (1.6 if name == "forehead" else 1.0), 0.95 * (high - low))
        first = float(np.clip(middle, low + length / 2, high - length / 2)) - length / 2
    return first, min(first + length, high)


def _broken(pencil: _Pencil, start: float, end: float, level: float, depth: float) -> Iterator[Piece]:
    """A row as its pieces, en echelon: a little apart in level, overlapping or apart along the line."""
    rng, name = pencil.rng, pencil.name
    whole = atlas()[name]["pieces_per_row"][0] * (0.55 if name == "forehead" else 1.0)
    count = 1 + int(rng.random() > whole and name not in ("nasolabial", "cheek"))
    count += int(name == "forehead" and end - start > 70 and rng.random() < 0.5)
    cuts = start + (end - start) * np.concatenate([[0.0], np.sort(rng.uniform(0.25, 0.75, count - 1)), [1.0]])
    for before, after in pairwise(cuts):
        lap = rng.uniform(-1.5, 1.5) if count > 1 and before > start else 0.0
        off = rng.normal(0, 1.0) if count > 1 else 0.0
        if after - before - lap > 2.5:
            share = rng.uniform(0.75, 1.0) if count > 1 else rng.uniform(0.9, 1.0)
            yield pencil.piece(float(before + lap), float(after), level + off, depth * share)


def _frown_lines(pencil: _Pencil, quantile: float) -> Iterator[Piece]:
    """The two lines between the brows, one often weaker, and at times a third."""
    rng, (apart, nearer, length, _) = pencil.rng, pencil.person.frown
    weaker = rng.uniform(0.45, 0.55) if rng.random() < 0.34 else rng.uniform(0.6, 1.0)
    stronger = 1 if rng.random() < 0.5 else -1
    for side in (1, -1):
        depth = float(np.exp(0.12 * abs(rng.standard_normal()))) * (1.0 if side == stronger else weaker)
        half = 0.5 * length * rng.uniform(15, 23) * (0.85 + 0.3 * quantile)
        middle, level = rng.normal(2.5, 1.5), side * (apart + rng.normal(0, 0.7))
        tilt = -side * nearer + rng.normal(0, 0.4)
        # towards the brow's head below, upright above
        yield pencil.piece(middle - half, middle + half, level, max(depth, 0.46), tilt, side * rng.uniform(0.3, 1.3))
    for _ in range(int(quantile > 0.78) + int(quantile > 0.94)):
        half, level = rng.uniform(3, 6), rng.normal(0, 2.0)
        yield pencil.piece(-half, half, level + 5 * np.sign(level), rng.uniform(0.3, 0.6), rng.normal(0, 0.4))


def _chin(rng: np.random.Generator, age: float) -> Iterator[Piece]:
    """Short strokes every which way on the chin: the dimples of a raised chin, on a jittered hexagonal grid."""
    depth, apart = 0.36 * float(np.interp(age, LOOK_AGES, (0.75, 1.0, 1.2))), 0.0098
    (u_middle, v_middle), (u_reach, v_reach) = CHIN_UV
    for row, v in enumerate(np.arange(v_middle - v_reach, v_middle + v_reach, 0.866 * apart)):
        for u in np.arange(u_middle - u_reach + apart / 2 * (row % 2), u_middle + u_reach, apart):
            place = np.array([u, v]) + rng.normal(0, 0.24 * apart, 2)
            turn, half = rng.uniform(0, np.pi), rng.uniform(0.0010, 0.0040)
            away = np.hypot((place[0] - u_middle) / u_reach, (place[1] - v_middle) / v_reach)
            full = depth * float(np.clip(1.2 - away**3, 0, 1)) * np.exp(0.3 * rng.standard_normal())
            yield Piece.stroke("chin", place, turn, half, full, rng.uniform(3.2, 5.0))


def _quantile(rng: np.random.Generator, counted: list[float], low: float, high: float) -> float:
    """A draw between two quantiles of five counted ones."""
    return float(np.interp(rng.uniform(low, high), FIVE, counted))
