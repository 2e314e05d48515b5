"""`Look`: what a word, an action, a FACS code or a scene means in rows of the vocabulary, read from the tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from engine.diffusion.language import phrases
from engine.vocabulary import NAMES

Mix = dict[str, tuple[float, float]]
"""Row name -> strength 0..1 on the subject's left and right."""


class Row(NamedTuple):
    """One row of a look; `one`: on one side only where no side is said."""

    name: str
    left: float
    right: float
    one: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """Rows, and whether they are said outright (a smile) or come with a mood or scene and give way to what is said."""

    rows: tuple[Row, ...]
    said: bool = True

    def mix(self, sides: Set[str] = frozenset(), strength: float = 1.0) -> Mix:
        """Strengths on `sides` ('left', 'right'; empty: as the look has it, one-sided rows on the left)."""
        made: Mix = {}
        for name, left, right, one in self.rows:
            on_left = not sides or "left" in sides
            on_right = "right" in sides if sides else not one
            if name in _UNDIVIDED:
                on_left = on_right = True
            made[name] = (left * strength * on_left, right * strength * on_right)
        return made

    def full(self) -> Look:
        """The look with its strongest row at 1."""
        most = max((max(row.left, row.right) for row in self.rows), default=0.0) or 1.0
        return Look(tuple(Row(row.name, row.left / most, row.right / most, row.one) for row in self.rows), self.said)

    def only(self, names: Set[str]) -> Look:
        """The part of the look in the rows `names`."""
        return Look(tuple(row for row in self.rows if row.name in names), self.said)


_UNDIVIDED = frozenset(("Neutral", "Jaw Left", "Jaw Right", "Jaw Forward", "Mouth Left", "Mouth Right"))
_EYES_TURNED = MappingProxyType({
    "crossed": (Row("Eye Look Right", 1.0, 0.0), Row("Eye Look Left", 0.0, 1.0)),
    "walled": (Row("Eye Look Left", 1.0, 0.0), Row("Eye Look Right", 0.0, 1.0)),
})  # fmt: skip


def look(text: str, said: bool = True) -> Look:
    """Read 'Brows Up 0.8, Eye Blink one'; ValueError where a table names no row of the vocabulary."""
    if text in _EYES_TURNED:
        return Look(_EYES_TURNED[text], said)
    rows = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = re.fullmatch(r"(.+?)(?: (\d(?:\.\d+)?))?( one)?", part)
        if found is None or found[1] not in NAMES:
            raise ValueError(f"phrases: expected a row of the vocabulary, found '{part}'")
        strength = float(found[2] or 1.0)
        rows.append(Row(found[1], strength, strength, found[3] is not None))
    return Look(tuple(rows), said)


def looks(table: Mapping[str, str], said: bool = True, split: str | None = None) -> dict[str, Look]:
    """A table of meanings and their wordings (separated by `split`) -> the look of each wording."""
    return {wording.strip(): look(meaning, said) for meaning, text in table.items() for wording in text.split(split)}


SAID: Mapping[str, Look] = MappingProxyType(looks(phrases.EXPRESSIONS) | looks(phrases.MOODS, said=False))
"""Word -> look."""
SCENES: Mapping[frozenset[str], Look] = MappingProxyType(
    {frozenset(wording.split()): found for wording, found in looks(phrases.SCENES, False, "|").items()}
)
"""Words that have to be there -> look."""
SOUNDS: Mapping[str, Look] = MappingProxyType(looks(phrases.SOUNDS))
"""Pattern of a spoken sound -> look; the last that fits is meant."""
UNITS: Mapping[str, Look] = MappingProxyType(looks(phrases.UNITS))
"""Number of a FACS action unit -> look; AU30 is not among them: its side is a direction."""
PAIRS: Mapping[str, Look] = MappingProxyType(looks(phrases.ARKIT_PAIRS))
"""ARKit blend shapes without their Left or Right -> look."""
SINGLES: Mapping[str, Look] = MappingProxyType(looks(phrases.ARKIT_SINGLES))
"""The other ARKit blend shapes."""
ARKIT: Mapping[str, tuple[Look, str]] = MappingProxyType(
    {name.casefold(): (found, "") for name, found in SINGLES.items()}
    | {
        (name + side).casefold(): (found, side.casefold())
        for name, found in PAIRS.items()
        for side in ("", "Left", "Right")
    }
)
"""ARKit name in small letters -> look and side, '' where the name has none."""
