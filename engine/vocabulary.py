"""The 32 expressions: name (the string a text encoder gets), prompt, FACS action units and relation to ARKit.

Names 1 to 18 are read off ExpDiff's pipeline figure, capital letters included; 19 to 32 complete the set in the same
style. FACS: Ekman, Friesen and Hager 2002. ARKit names are Apple's BlendShapeLocation; left and right are the
subject's. Three have no ARKit channel of their own (Face Compression, Cheek Suck, Face Stretch): their row is a mix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from engine.errors import VocabularyError


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table."""

    number: int
    """1 to 32: the N of `expN` in the published folder layout."""
    name: str
    prompt: str
    facs: Mapping[str, float]
    """Action unit -> strength 0..1; 'AU30L' is the subject's left; sides otherwise alike."""
    arkit: Mapping[str, float]
    """ARKit blend shape -> weight; negative where the expression is the opposite of a shape."""


def _both(*names: str, weight: float = 1.0) -> dict[str, float]:
    return {name + side: weight for name in names for side in ("Left", "Right")}


def _units(text: str) -> dict[str, float]:
    """'AU4 AU6:0.5' -> {'AU4': 1.0, 'AU6': 0.5}."""
    pairs = (unit.partition(":") for unit in text.split())
    return {unit: float(strength or 1.0) for unit, _, strength in pairs}


_ROWS: tuple[tuple[str, str, str, dict[str, float]], ...] = (
    ("Neutral", "a relaxed face, eyes open, lips lightly together", "", {}),
    ("Eye Blink", "both eyelids closed gently, the rest of the face relaxed", "AU45", _both("eyeBlink")),
    ("Eye Look Down", "eyes turned down, upper lids following", "AU64", _both("eyeLookDown")),
    ("Eye Look Up", "eyes turned up, upper lids lifted with them", "AU63", _both("eyeLookUp")),
    ("Eye Look Left", "eyes turned to the subject's left", "AU61", {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}),
    ("Eye Look Right", "eyes turned to the subject's right", "AU62", {"eyeLookInLeft": 1.0, "eyeLookOutRight": 1.0}),
    (
        "Eye Squint",
        "lids tightened and narrowed, cheeks slightly raised",
        "AU7 AU6:0.5",
        _both("eyeSquint") | _both("cheekSquint", weight=0.5),
    ),
    ("Eye Wide", "upper lids raised, whites showing above the iris", "AU5", _both("eyeWide")),
    (
        "Brows Up",
        "both brows lifted fully, forehead wrinkled across",
        "AU1 AU2",
        {"browInnerUp": 1.0} | _both("browOuterUp"),
    ),
    ("Brows Down", "brows lowered and drawn together, frown lines between them", "AU4", _both("browDown")),
    ("Jaw Open", "mouth opened wide by dropping the jaw", "AU26 AU25:0.5", {"jawOpen": 1.0}),
    ("Jaw Forward", "lower jaw pushed forward", "AU29", {"jawForward": 1.0}),
    ("Jaw Left", "lower jaw moved to the subject's left", "AU30L", {"jawLeft": 1.0}),
    ("Jaw Right", "lower jaw moved to the subject's right", "AU30R", {"jawRight": 1.0}),
    (
        "Face Compression",
        "whole face squeezed to its centre: eyes shut tight, nose wrinkled, lips pressed and pursed",
        "AU4 AU6 AU7 AU9 AU17:0.7 AU18:0.6 AU24:0.7 AU43",
        _both("browDown", "eyeBlink", "noseSneer", "cheekSquint")
        | _both("eyeSquint", weight=0.4)
        | _both("mouthPress", weight=0.6)
        | {"mouthPucker": 0.5, "mouthShrugLower": 0.5},
    ),
    ("Lower lip Depressor", "lower lip pulled down, lower teeth showing", "AU16 AU25", _both("mouthLowerDown")),
    (
        "Chin Raiser",
        "chin boss pushed up, lower lip pushed up, chin dimpled",
        "AU17",
        {"mouthShrugLower": 1.0, "mouthShrugUpper": 0.6},
    ),
    (
        "Cheek Suck",
        "cheeks sucked in between the teeth",
        "AU35",
        {"cheekPuff": -0.8, "mouthPucker": 0.35},
    ),
    ("Cheek Puff", "both cheeks blown out, lips closed", "AU33", {"cheekPuff": 1.0}),
    (
        "Nose Wrinkler",
        "nose wrinkled along its sides, inner brows pulled down",
        "AU9 AU4:0.3",
        _both("noseSneer") | _both("browDown", weight=0.35),
    ),
    ("Upper Lip Raiser", "upper lip raised squarely, upper teeth showing", "AU10 AU25", _both("mouthUpperUp")),
    (
        "Lip Corner Puller",
        "closed-mouth smile, corners pulled up and back, cheeks lifted",
        "AU12 AU6:0.5",
        _both("mouthSmile") | _both("cheekSquint", weight=0.5),
    ),
    (
        "Lip Corner Depressor",
        "mouth corners pulled straight down",
        "AU15 AU17:0.3",
        _both("mouthFrown") | {"mouthShrugLower": 0.3},
    ),
    ("Dimpler", "mouth corners tightened inwards, dimples beside them", "AU14", _both("mouthDimple")),
    ("Lip Stretcher", "lips stretched sideways, mouth flat and wide", "AU20 AU21:0.4", _both("mouthStretch")),
    ("Lip Puckerer", "lips pushed together and forward as for a kiss", "AU18", {"mouthPucker": 1.0}),
    ("Lip Funneler", "lips rounded and pushed out, open in a funnel", "AU22 AU25", {"mouthFunnel": 1.0}),
    (
        "Lip Suck",
        "both lips rolled in over the teeth",
        "AU28",
        {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    ),
    ("Lip Pressor", "lips pressed hard together, thinned", "AU23:0.6 AU24", _both("mouthPress")),
    ("Mouth Left", "mouth pulled to the subject's left, jaw still", "", {"mouthLeft": 1.0}),
    ("Mouth Right", "mouth pulled to the subject's right, jaw still", "", {"mouthRight": 1.0}),
    (
        "Face Stretch",
        "whole face stretched long: brows up, eyes wide, jaw dropped",
        "AU1 AU2 AU5 AU27",
        {"browInnerUp": 1.0, "jawOpen": 0.9} | _both("browOuterUp", "eyeWide"),
    ),
)

EXPRESSIONS: tuple[Entry, ...] = tuple(
    Entry(number, name, prompt, MappingProxyType(_units(facs)), MappingProxyType(arkit))
    for number, (name, prompt, facs, arkit) in enumerate(_ROWS, start=1)
)
"""The table, in the published order; Neutral is number 1."""

NAMES: tuple[str, ...] = tuple(entry.name for entry in EXPRESSIONS)
NEUTRAL = NAMES[0]

ONE_SIDED: frozenset[str] = frozenset(
    entry.name
    for entry in EXPRESSIONS
    if (
        any(shape.endswith("Left") for shape in entry.arkit) and not entry.name.startswith(("Eye Look", "Jaw", "Mouth"))
    )
    or entry.name in ("Cheek Puff", "Cheek Suck")
) - {"Face Compression", "Face Stretch"}
"""Rows that people can do with one side of the face."""

_PART_WEIGHT = 0.25
"""Of a shared part of the face beside a shared unit or shape."""

_BY_KEY = {entry.name.casefold().replace(" ", ""): entry for entry in EXPRESSIONS}


def find(name: str) -> Entry:
    """The row called `name`, whatever its capitals and spaces; VocabularyError names the nearest known."""
    key = name.casefold().replace(" ", "").replace("_", "").replace("-", "")
    if key in _BY_KEY:
        return _BY_KEY[key]
    near = [_BY_KEY[match].name for match in get_close_matches(key, _BY_KEY, n=3, cutoff=0.4)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(NAMES)}"
    raise VocabularyError(f"unknown expression '{name}'; {hint}")


def parse_names(text: str) -> tuple[str, ...]:
    """'all' or 'Jaw Open, brows up' -> names as in the table, Neutral left out of 'all'."""
    if text.strip().casefold() == "all":
        return NAMES[1:]
    return tuple(dict.fromkeys(find(part.strip()).name for part in text.split(",") if part.strip()))


def nearest_first(units: Mapping[str, float], names: Iterable[str] = NAMES[1:]) -> tuple[str, ...]:
    """`names` by how much their expression has in common with `units`, most first; equals stay in their order.

    `units` are strengths of FACS units, ARKit shapes or both. Nearness is the cosine of the two sets of strengths, to
    which the parts of the face that the shapes move (jaw, mouth, brow, ...) are added at a lower weight.
    """
    asked = _features(units)

    def distance(name: str) -> float:
        entry = find(name)
        other = _features({**entry.facs, **entry.arkit})
        shared = sum(strength * other.get(key, 0.0) for key, strength in asked.items())
        length = math.hypot(*asked.values()) * math.hypot(*other.values())
        return -shared / length if length else 0.0

    return tuple(sorted(names, key=distance))


def _features(units: Mapping[str, float]) -> dict[str, float]:
    """`units` and, from the names of ARKit shapes (mouthSmileLeft), the parts of the face they move."""
    features = dict(units)
    for name, strength in units.items():
        part = re.match("[a-z]*", name)
        if part and part[0]:
            features[part[0]] = features.get(part[0], 0.0) + _PART_WEIGHT * abs(strength)
    return features
