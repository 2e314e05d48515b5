"""Who a built-in person is: what of skin, hair and eyes goes with the face that the seed has."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.face.groom import BROW_STYLES, BrowStyle
from engine.face.head_model import LANDMARKS, HeadShape
from engine.face.scalp import Hairline, HairStyle
from engine.face.skin import SkinTraits, sample_traits

_MEASURES = np.array(
    [
        # mean, deviation, how much it speaks for a man
        (0.777, 0.026, 1.0),  # width of jaw over that of the face
        (0.682, 0.036, 1.0),  # width of the chin over that between the eyes' outer corners
        (4.746, 2.37, 1.0),  # mm, brows before the lids
        (0.381, 0.028, 1.0),  # height of the chin ...
        (0.277, 0.015, -1.0),  # from the eyes to the brows ...
        (0.350, 0.053, -1.0),  # height of the lips over their width
        (0.279, 0.021, 1.0),  # width of the nose ...
        (0.565, 0.026, 0.7),  # length of the nose ...
        (147.6, 6.2, 0.5),  # mm, width of the face
        (114.7, 5.6, 1.0),  # mm, width of the jaw
        (0.093, 0.010, -1.0),  # height of the open eyes ...
        (112.1, 5.1, 1.0),  # mm, height of the face
    ]
)
"""Of the head model's people; directions as in Farkas 1994, "Anthropometry of the Head and Face"."""
_HAIR = np.array(
    [
        (0.022, 0.016, 0.013),
        (0.036, 0.023, 0.015),
        (0.058, 0.035, 0.020),
        (0.125, 0.080, 0.044),
        (0.260, 0.175, 0.090),
    ]
)
"""Linear colour of single hairs from black to fair."""
_RED, GREY_RGB = np.array([0.150, 0.050, 0.018]), np.array([0.36, 0.33, 0.29])
_IRIS = np.array(
    [(0.038, 0.021, 0.012), (0.072, 0.038, 0.018), (0.092, 0.055, 0.028), (0.094, 0.093, 0.065), (0.102, 0.134, 0.160)]
)
"""Linear colour of dark brown, brown, hazel, green and blue irises."""


@dataclass(frozen=True, slots=True)
class Person:
    """What makes one person besides the shape of the head."""

    skin: SkinTraits
    man: bool
    hair: HairStyle
    hairline: Hairline
    brows: BrowStyle
    hair_rgb: tuple[float, float, float]
    """Linear, of single hairs."""
    grey: float
    """0..1 share of grey hairs."""
    iris_rgb: tuple[float, float, float]
    """Linear, mean."""
    part_left: bool


def sample_person(seed: int, shape: HeadShape) -> Person:
    """The person number `seed`, whose head is `shape`: it tells whether a man or a woman is drawn."""
    rng = np.random.default_rng([seed, 0x9E5])
    traits = sample_traits(seed)
    man = manliness(shape) > -0.2
    grey = float(np.clip((traits.age_years - rng.normal(38, 6)) / 38, 0, 1) ** 1.3)
    depth = float(np.clip(4 * (1 - 1.25 * traits.melanin) * rng.uniform(0.2, 1.15), 0, 4))
    low = int(min(depth, 3))
    hair = _HAIR[low] + (_HAIR[low + 1] - _HAIR[low]) * (depth - low)
    if traits.melanin < 0.5 and rng.random() < 0.08:
        hair = _RED
    light = np.clip(1 - 1.6 * traits.melanin, 0, 1)
    chances = np.array([0.25 + 2.5 * traits.melanin, 0.55, 0.25 * light + 0.04, 0.22 * light, 0.55 * light])
    iris = _IRIS[rng.choice(5, p=chances / chances.sum())] * rng.uniform(0.8, 1.2)
    dark = traits.melanin > 1.0
    style = _hair_style(rng, man, dark, traits.age_years)
    brow = BROW_STYLES[int(rng.integers(6)) * 2 + (1 if man else 0)]
    if traits.age_years > 60:
        brow = replace(brow, tidy=brow.tidy * 0.5, hairs=int(brow.hairs * 0.8), length_mm=brow.length_mm * 1.1)
    stubble = traits.stubble if man else 0.0
    if man and stubble == 0:
        stubble = float(rng.uniform(0.15, 0.45))  # shaven, but never bare
    skin = replace(
        traits, hair=0.25 * traits.hair, stubble=stubble, lip_redness=traits.lip_redness * (0.8 if man else 1.3)
    )
    part_left = bool(rng.random() < 0.6)
    return Person(
        skin,
        man,
        style,
        _hairline(rng, man, style, traits.age_years),
        brow,
        _triple(hair),
        grey,
        _triple(iris),
        part_left,
    )


def manliness(shape: HeadShape) -> float:
    """How far a head lies to the side of men, in deviations of all heads."""
    mark = shape.mesh_m[list(LANDMARKS)] * 1000

    def far(a: int, b: int) -> float:
        return float(np.linalg.norm(mark[a] - mark[b]))

    face, eyes = far(0, 16), far(36, 45)
    brow_over = mark[17:27, 1].mean() - mark[36:48, 1].mean()
    found = np.array(
        [
            far(4, 12) / face,
            far(6, 10) / eyes,
            (mark[19, 2] - mark[37, 2] + mark[24, 2] - mark[44, 2]) / 2,
            far(8, 57) / eyes,
            brow_over / eyes,
            far(51, 57) / far(48, 54),
            far(31, 35) / eyes,
            far(27, 33) / eyes,
            face,
            far(4, 12),
            (mark[37, 1] - mark[41, 1] + mark[43, 1] - mark[47, 1]) / 2 / eyes,
            far(27, 8),
        ]
    )
    mean, deviation, weight = _MEASURES.T
    return float(((found - mean) / deviation) @ weight / np.linalg.norm(weight))


def _hair_style(rng: np.random.Generator, man: bool, dark: bool, age_years: float) -> HairStyle:
    draw, other = rng.random(2)
    if man:
        if age_years > 42 and draw < 0.4:
            return HairStyle.RECEDING
        if dark:
            return (HairStyle.BUZZED, HairStyle.CURLED, HairStyle.SHAVED)[int(np.searchsorted([0.5, 0.85], other))]
        return (HairStyle.CROPPED, HairStyle.SWEPT, HairStyle.BUZZED)[int(np.searchsorted([0.45, 0.85], other))]
    if dark and draw < 0.4:
        return HairStyle.CURLED
    if age_years > 50 and draw < 0.4:
        return HairStyle.SWEPT
    return HairStyle.TIED if other < 0.8 else HairStyle.LOOSE


def _hairline(rng: np.random.Generator, man: bool, style: HairStyle, age_years: float) -> Hairline:
    older = np.clip((age_years - 20) / 50, 0, 1)
    temples = rng.uniform(0.002, 0.020) + rng.uniform(0.01, 0.05) * older if man else rng.uniform(0.004, 0.016)
    return Hairline(
        low=0.014,
        temples=float(temples),
        peak=float(rng.uniform(-0.004, 0.007)),
        bald=0.21 if style is HairStyle.RECEDING else 0.0,
        sideburns=float(rng.uniform(0.01, 0.06) if man else rng.uniform(-0.08, -0.04)),
        point=float(rng.uniform(0.006, 0.018)),
        phase=float(rng.uniform(0, 6.3)),
    )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
