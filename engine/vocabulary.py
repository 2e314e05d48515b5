"""The 32 expressions: name (the string a text encoder gets), prompt, FACS action units and relation to ARKit.

Names 1 to 18 are read off ExpDiff's pipeline figure, capital letters included; 19 to 32 complete the set in the same
style. FACS: Ekman, Friesen and Hager 2002. ARKit names are Apple's BlendShapeLocation; left and right are the
subject's. Three have no ARKit channel of their own (Face Compression, Cheek Suck, Face Stretch): their row is a mix.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
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


def _units(text: str) -> Mapping[str, float]:
    """'AU4 AU6:0.5' -> {'AU4': 1.0, 'AU6': 0.5}."""
    pairs = (unit.partition(":") for unit in text.split())
    return MappingProxyType({unit: float(strength or 1.0) for unit, _, strength in pairs})


_ROWS = tomllib.loads((Path(__file__).parent / "vocabulary.toml").read_text("utf-8"))["expression"]
EXPRESSIONS: tuple[Entry, ...] = tuple(
    Entry(number, row["name"], row["prompt"], _units(row["facs"]), _units(row["arkit"]))
    for number, row in enumerate(_ROWS, start=1)
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

JAW_SHAPES = ("jawOpen", "jawForward", "jawLeft", "jawRight")
"""ARKit shapes that move the lower jaw with all that hangs on it."""

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
