"""The tables of rules.toml and phrases.toml: what parts, actions, moods, scenes and codes mean, as text."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from engine.diffusion.language.words import load

_RULES, _PHRASES = load("rules"), load("phrases")

RULES: Mapping[str, Mapping[str, str]] = MappingProxyType(_RULES["rules"])
"""Part -> meaning -> the actions that ask for it."""
PARENTS: Mapping[str, str] = MappingProxyType(_RULES["parents"])
OPPOSITES: Mapping[tuple[str, str], str] = MappingProxyType(
    {tuple(pair.split()): row for row, text in _RULES["opposites"].items() for pair in text.split("|")}
)
"""(part, action) that the face at rest does already -> the row that is its opposite."""
DIRECTIONS: Mapping[str, str] = MappingProxyType(_RULES["directions"])
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {part: tuple(text.split(", ")) for part, text in _RULES["regions"].items()}
)
"""Part -> rows that show there."""

EXPRESSIONS: Mapping[str, str] = MappingProxyType(_PHRASES["expressions"])
"""Meaning -> words; so for all below."""
MOODS: Mapping[str, str] = MappingProxyType(_PHRASES["moods"])
PHRASES: Mapping[str, str] = MappingProxyType(_PHRASES["phrases"])
SCENES: Mapping[str, str] = MappingProxyType(_PHRASES["scenes"])
SOUNDS: Mapping[str, str] = MappingProxyType(_PHRASES["sounds"])
UNITS: Mapping[str, str] = MappingProxyType(_PHRASES["units"])
UNFIT_UNITS: Mapping[str, str] = MappingProxyType(_PHRASES["unfit_units"])
ARKIT_PAIRS: Mapping[str, str] = MappingProxyType(_PHRASES["arkit_pairs"])
ARKIT_SINGLES: Mapping[str, str] = MappingProxyType(_PHRASES["arkit_singles"])
LETTERS: Mapping[str, float] = MappingProxyType(_PHRASES["letters"])

RIVALS: tuple[tuple[str, ...], ...] = (
    ("Brows Up", "Brows Down"),
    ("Eye Blink", "Eye Wide", "Eye Squint"),
    ("Lip Corner Puller", "Lip Corner Depressor"),
    ("Jaw Open", "Lip Pressor", "Lip Suck"),
    ("Cheek Suck", "Cheek Puff"),
    ("Eye Look Left", "Eye Look Right"),
    ("Eye Look Up", "Eye Look Down"),
)
"""Rows that undo each other: what is said outright drives its rivals out of a mood."""
EITHER = frozenset(("Brows Down", "Lip Corner Depressor"))
"""What a frown is, of the brows or of the mouth: both, unless an action says which."""
