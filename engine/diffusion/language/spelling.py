"""Endings of English words and the nearest known word to a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_VOWELS = "aeiou"


def forms(word: str) -> set[str]:
    """A base word and what English endings make of it; more than exist, which does no harm."""
    if len(word) < 3:
        return {word}
    made = {word, word + "s", word + "ed", word + "ing", word + "ly", word + "er", word + "est"}
    if word.endswith(("s", "x", "z", "ch", "sh", "o")):
        made.add(word + "es")
    if word.endswith("e"):
        stem = word[:-1]
        made |= {word + "d", stem + "ing", word + "r", word + "st", stem + "y", stem + "ingly"}
    if word.endswith("ll"):
        made.add(word + "y")
    if word.endswith("y") and word[-2] not in _VOWELS:
        made |= {word[:-1] + ending for ending in ("ies", "ied", "ier", "iest", "ily", "iness")}
    if word[-1] not in _VOWELS + "wxy" and word[-2] in _VOWELS and word[-3] not in _VOWELS:
        made |= {word + word[-1] + ending for ending in ("ed", "ing", "er", "est", "y")}
    return made | {word + "ally" if word.endswith("ic") else word + "edly", word + "ness", word + "ingly"}


def inflected(bases: Iterable[str]) -> dict[str, str]:
    """Every form of `bases` -> its base; a word that is a base itself stays one."""
    known = dict.fromkeys(bases, "")
    made = {form: base for base in reversed(list(known)) for form in forms(base)}
    return made | {base: base for base in known}


_NEIGHBOURS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_PLACE = {letter: (x + y * 0.5, y) for y, row in enumerate(_NEIGHBOURS) for x, letter in enumerate(row)}
_SOUNDS = ("aeiouy", "sz", "ck", "cs", "fv", "dt", "mn", "bp", "gj")


def _swap_cost(first: str, second: str) -> float:
    """1 where two letters sound alike or lie side by side on a keyboard, else more than a typing error may cost."""
    if any(first in group and second in group for group in _SOUNDS):
        return 1.0
    a, b = _PLACE.get(first), _PLACE.get(second)
    return 1.0 if a and b and abs(a[0] - b[0]) <= 1.0 and abs(a[1] - b[1]) <= 1 else 2.5


def typing_distance(first: str, second: str) -> float:
    """Damerau-Levenshtein distance (optimal string alignment) with `_swap_cost` for a replaced letter."""
    rows = [[float(column) for column in range(len(second) + 1)]]
    for i, a in enumerate(first, start=1):
        row = [float(i)]
        for j, b in enumerate(second, start=1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (0.0 if a == b else _swap_cost(a, b)))
            if i > 1 and j > 1 and a == second[j - 2] and first[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@lru_cache(maxsize=512)
def corrected(word: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The known words nearest to a misspelt `word`: one error up to seven letters, two from eight; () if none.

    In words of four letters, or for such words, an error is a swap of neighbours or a letter too few or too many.
    """
    limit = 2.0 if len(word) >= 8 else 1.0
    if len(word) < 4:
        return ()
    near: dict[float, list[str]] = {}
    letters = set(word)
    for other in known:
        if (
            len(other) < 4
            or (len(word) == len(other) == 4 and sorted(word) != sorted(other))
            or (min(len(word), len(other)) == 4 and {len(word), len(other)} not in ({4}, {4, 5}))
            or abs(len(other) - len(word)) > limit
            or other[0] not in (word[0], word[1] if other[1] == word[0] else "")
        ):
            continue
        if len(letters ^ set(other)) > 2 * limit:
            continue
        distance = typing_distance(word, other)
        if distance <= limit:
            near.setdefault(distance, []).append(other)
    return tuple(near[min(near)]) if near else ()
