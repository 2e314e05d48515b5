"""What single words of a prompt mean: body parts, actions, sides, degrees and joins, read from words.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any


def load(name: str) -> Mapping[str, Any]:
    """The tables of `name`.toml beside this file, texts of several lines as one."""
    return _on_one_line(tomllib.loads((Path(__file__).parent / f"{name}.toml").read_text(encoding="utf-8")))


def _on_one_line(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _on_one_line(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_on_one_line(inner) for inner in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def _words(name: str) -> frozenset[str]:
    return frozenset(_TABLES[name].split())


def by_word(table: Mapping[str, str]) -> dict[str, str]:
    """{meaning: 'word word'} -> {word: meaning}."""
    return {word: meaning for meaning, text in table.items() for word in text.split()}


_TABLES = load("words")
NEGATIONS, JOINS, COMPARES = _words("negations"), _words("joins"), _words("compares")
PREPOSITIONS, BOOSTERS, FILLERS = _words("prepositions"), _words("boosters"), _words("fillers")
PLACES, MORE, UNCOUNTED = _words("places"), _words("more"), _words("uncounted")
FREE, LIGHT, PARTICLES, ENOUGH = _words("free"), _words("light"), _words("particles"), _words("enough")
PARTS: Mapping[str, str] = MappingProxyType(by_word(_TABLES["parts"]))
"""Word -> part of the face; so for actions and sides."""
ACTS: Mapping[str, str] = MappingProxyType(by_word(_TABLES["acts"]))
SIDES: Mapping[str, str] = MappingProxyType(by_word(_TABLES["sides"]))
OWN_PART: Mapping[str, str] = MappingProxyType(_TABLES["own_part"])
LONE_PART: Mapping[str, str] = MappingProxyType(_TABLES["lone_part"])
SOFT: Mapping[str, float] = MappingProxyType(_TABLES["soft"])
DEGREES: Mapping[str, float] = MappingProxyType(
    {word: float(value) for word, value in by_word(_TABLES["degrees"]).items()}
)
UNFIT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {thing: tuple(entry["nearest"]) for thing, entry in _TABLES["unfit"].items()}
)
"""What no expression here moves -> the nearest rows."""
UNFIT_WORDS: Mapping[str, str] = MappingProxyType(
    by_word({thing: entry["words"] for thing, entry in _TABLES["unfit"].items()})
)
IDIOMS: tuple[tuple[str, str | float, tuple[str, ...]], ...] = tuple(
    (entry["kind"], entry["value"], tuple(entry["wordings"].split("|"))) for entry in _TABLES["idioms"]
)
"""Kind, value and wordings of what several words say together."""
