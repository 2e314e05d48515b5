"""Checks of numbers and text in values, and text as it may be shown: what no side may bring in, wherever it is from.

Arrays are checked by `engine.errors.check_array`. All raise ValueError, which readers turn into their own errors.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from math import isfinite
from numbers import Integral
from typing import Annotated, Any, get_origin, get_type_hints

LONGEST_TEXT = 4096
_HIDDEN = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories that steer a terminal, break a line or cannot be encoded."""
_TURNED = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates: they show text in another order than it is in (UAX 9, section 2)."""


def check_limits(owner: Any) -> None:
    """ValueError unless each number of the dataclass `owner`, or each in a tuple of them, is within the (least, most)
    that its annotation states."""
    for name, (least, most) in _limits(type(owner)).items():
        value = getattr(owner, name)
        for number in value if isinstance(value, tuple) else (value,):
            check_range(f"{type(owner).__name__}.{name}", number, least, most)


@cache
def _limits(kind: type) -> dict[str, tuple[float, float]]:
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


def check_count(name: str, number: Any, least: int, most: int) -> None:
    """ValueError unless `number` is a whole number, of an integer type, from `least` to `most`."""
    if not isinstance(number, Integral) or isinstance(number, bool):
        raise ValueError(f"{name}: expected a whole number, found {short(number)}")
    check_range(name, number, least, most)


def check_range(name: str, number: Any, least: float, most: float) -> None:
    """ValueError unless `number` is an int or a finite float from `least` to `most`."""
    try:
        fits = not isinstance(number, str | bytes | bool) and isfinite(number) and least <= number <= most
    except (TypeError, OverflowError):
        fits = False
    if not fits:
        raise ValueError(f"{name}: expected {least:g} to {most:g}, found {short(number)}")


def check_text(name: str, text: Any, longest: int = LONGEST_TEXT) -> None:
    """ValueError unless `text` is a str of `longest` characters at most that shows as what it is (`printable`)."""
    if not isinstance(text, str):
        raise ValueError(f"{name}: expected text, found {short(text)}")
    if len(text) > longest:
        raise ValueError(f"{name}: expected at most {longest} characters, found {len(text)}")
    if printable(text) != text:
        raise ValueError(f"{name}: expected text that can be printed, found {short(text)}")


def printable(text: str) -> str:
    """`text` for a terminal or a window: control characters, lone surrogates and marks that turn its direction are
    written as \\x1b, \\ud800, \\u202e, so that no name steers a terminal, adds a line or shows as another."""
    if text.isprintable():  # nearly always, and fast
        return text
    return "".join(
        _escaped(each) if each in _TURNED or unicodedata.category(each) in _HIDDEN else each for each in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def short(value: Any, longest: int = 80) -> str:
    """`value` as a programmer writes it, cut in the middle of a message; never fails, whatever `value` is."""
    try:
        text = repr(value)
    except (ValueError, RecursionError, MemoryError):  # an int of more digits than Python prints, lists in lists
        text = f"a {type(value).__name__} that cannot be written out"
    return text if len(text) <= longest else text[: longest - 3] + "..."


def one_line(message: object, longest: int = 1000) -> str:
    """What an error says, whatever names it quotes, as one `printable` line."""
    text = printable(" ".join(str(message).split()))
    return text if len(text) <= longest else text[: longest - 3] + "..."
