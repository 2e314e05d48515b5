"""What a clause means in rows: its parts and actions by `phrases.RULES`, its looks, its sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.diffusion.language import words
from engine.diffusion.language.clauses import MANNERS, Clause
from engine.diffusion.language.filling import idle, turned
from engine.diffusion.language.looks import Look, Mix, look
from engine.diffusion.language.phrases import DIRECTIONS, OPPOSITES, PARENTS, REGIONS, RULES

_ENOUGH = frozenset(
    "puff blow suck scrunch wrinkle roll pucker press squeeze stretch furrow curl bite narrow round bulge show close".split()
)
_SMILE = "Lip Corner Puller"


@dataclass(frozen=True, slots=True)
class Statement:
    """Strengths that a clause asks for, and rows that it wants at rest."""

    mix: Mix
    weight: int = 2
    """2 for actions, 1 for expressions with a word of their own, 0 for moods: the lighter give way."""
    rest: Mix | None = None
    """Rows -> 1 on the sides where it wants nothing of them."""
    compared: bool = False
    negative: bool = False
    guessed: bool = False
    """One-sided, and the side is not said: another clause about the row knows better."""


def _rules() -> dict[str, tuple[tuple[frozenset[str], Look], ...]]:
    made = {}
    for part, table in RULES.items():
        pairs = [(frozenset(acts.split()), look(text)) for text, lists in table.items() for acts in lists.split(",")]
        made[part] = tuple(sorted(pairs, key=lambda pair: (-len(pair[0]), not pair[0] & _ENOUGH)))
    return made


_TABLE: Mapping[str, tuple[tuple[frozenset[str], Look], ...]] = MappingProxyType(_rules())


def apply(part: str, acts: list[str]) -> tuple[list[Look], set[str]]:
    """Looks of a part that does `acts`, and the acts that no rule explains."""
    for name in dict.fromkeys((part, PARENTS.get(part, part), part.split()[-1])):
        left, found = set(acts), []
        for features, meant in _TABLE.get(name, ()):
            if features <= left and not (found and features <= words.LIGHT):
                found.append(meant)
                left -= features
                if features & _ENOUGH:
                    left -= words.FREE
        if found:
            return found, left - words.LIGHT
    return [], set(acts) - words.LIGHT


def rows_of_act(act: str, parts: Sequence[str]) -> list[str]:
    """Rows that an action asks for, of `parts` if any of them knows it, else of all."""
    mine = [row.name for part in parts for meant in apply(part, [act])[0] for row in meant.rows]
    everyone = [row.name for part in _TABLE for meant in apply(part, [act])[0] for row in meant.rows]
    return list(dict.fromkeys(mine or everyone))


def statements(clause: Clause, smiling: bool) -> list[Statement] | str:
    """What a clause asks for; or, as text, the part of it that means nothing. `smiling`: the prompt has a smile in it."""
    made: list[Statement] = []
    ways = {_WAYS.get(side.value, side.value) for side in turned(clause)}
    acts = [act for act in clause.acts if not (act == "stare" and (ways or {"up", "down"} & set(clause.acts)))]
    sides = _sides(clause)
    degree = _degree(clause, acts)
    strength = 1.0 if degree is None else degree
    unsaid = bool(clause.sides) and all(side.value == "one" for side in clause.sides)
    moody = all(not meant.said for meant in clause.looks) or clause.joint != "with"
    compared = clause.joint == "like" or (not clause.parts and clause.joint in MANNERS and moody)
    soft = words.SOFT.keys() if clause.looks else ()
    active = [act for act in clause.active if act in acts and act not in soft]
    with_parts = clause.parts and (active or ways or not clause.looks)
    for meant in clause.looks:
        if not with_parts:
            meant = _narrowed(meant, clause.parts)
        elif not meant.said:
            compared = True
        if {"sideways", "aside"} & set(acts) and not clause.parts and not sides:
            sides = frozenset(("left",))
        guess = unsaid if sides else any(row.one for row in meant.rows)
        made.append(
            Statement(
                _mix(meant, sides, strength, clause.uneven), int(meant.said), None, compared, clause.negative, guess
            )
        )
    if clause.looks and not clause.parts:
        made += _mouth_of_smile(clause, active)
        return made
    if not with_parts:
        return made
    for part in clause.parts:
        asked = _asked(part, acts, ways, sides, degree, smiling)
        if asked is None:
            return clause.text
        if clause.uneven and len(sides) == 1:
            asked = [({row: _evened(pair) for row, pair in mix.items()}, rest) for mix, rest in asked]
        made += [Statement(mix, 2, rest, False, clause.negative, unsaid) for mix, rest in asked]
    return made


def _mix(meant: Look, sides: frozenset[str], strength: float, uneven: bool) -> Mix:
    mix = meant.mix(sides, strength)
    return {row: _evened(pair) for row, pair in mix.items()} if uneven and len(sides) == 1 else mix


def _evened(pair: tuple[float, float]) -> tuple[float, float]:
    """'More on the left' leaves half of it to the right."""
    return max(pair[0], pair[1] * _LESS), max(pair[1], pair[0] * _LESS)


_LESS = 0.5
_WAYS = {"leftward": "left", "rightward": "right"}


def _asked(
    part: str, acts: list[str], ways: set[str], sides: frozenset[str], degree: float | None, smiling: bool
) -> list[tuple[Mix, Mix | None]] | None:
    """(rows, rows at rest) of one part; None where it cannot do that."""
    base, strength = part.split()[-1], 1.0 if degree is None else degree
    both = (1.0 * (not sides or "left" in sides), 1.0 * (not sides or "right" in sides))
    if smiling and base == "lip" and "together" in acts:
        return [({}, {"Jaw Open": both})]
    if smiling and part == "teeth" and "show" in acts:
        return [(look("Upper Lip Raiser 0.5").mix(sides, strength), None)]
    asked: list[tuple[Mix, Mix | None]] = []
    lateral = {base, part} & DIRECTIONS.keys()
    if lateral and (ways or "aside" in acts or ("sideways" in acts and base != "lip")):
        start = DIRECTIONS[part if part in DIRECTIONS else base]
        asked += [(look(f"{start} {way.title()}").mix(sides, strength), None) for way in sorted(ways or {"left"})]
        acts = [act for act in acts if act not in ("sideways", "aside", "push")]
    looks, left = apply(part, acts)
    if "small" in left and degree is None:
        strength = words.SOFT["small"]  # raise them a tiny amount
    if part.startswith("lower ") and not (acts or looks or asked):
        looks, left = apply(part, ["down"]) if base == "lip" else apply(base, ["down"])
    asked += [(meant.mix(sides, strength), None) for meant in looks]
    for act in sorted(left & {"open", "close"}):
        row = OPPOSITES.get((base, act))
        if row and degree is not None and degree < 0.95:
            asked.append((look(row).mix(sides, 1.0 - degree), None))
        elif row:
            asked.append(({}, {row: both}))
        left -= {act} if row else set()
    if "relax" in acts and not asked:
        asked.append(({"Neutral": (1.0, 1.0)} if base == "face" else {}, {row: both for row in REGIONS.get(base, ())}))
    unexplained = left - words.SOFT.keys() - (words.FREE if asked else set())
    return asked if asked and not unexplained else None


def _sides(clause: Clause) -> frozenset[str]:
    """The sides meant, empty where none is said."""
    found = set()
    ways = turned(clause)
    for value, _ in (side for side in clause.sides if side not in ways):
        if value == "both":
            found |= {"left", "right"}
        elif value == "one":
            found.add("left")
        elif value in ("left", "right"):
            found.add(value)
    bases = {part.split()[-1] for part in clause.parts}
    return frozenset() if ways and bases <= {"jaw", "chin", "mouth"} else frozenset(found)


def _degree(clause: Clause, acts: list[str]) -> float | None:
    """The degree said, or what a word like 'wide' or 'small' says where the part has no use for it."""
    if clause.degree is not None or not clause.looks:
        return clause.degree
    soft = [words.SOFT[act] for act in acts if act in words.SOFT]
    return min(soft) if soft else None


def _narrowed(meant: Look, parts: list[str]) -> Look:
    """What of a look shows in `parts`: 'angry brows'; smiling eyes squint."""
    names = {row for part in parts for row in REGIONS.get(part.split()[-1], ())}
    if not parts or "face" in parts:
        return meant
    kept = meant.only(names)
    if not kept.rows and any(row.name == _SMILE for row in meant.rows) and {"eye", "cheek"} & set(parts):
        return look("Eye Squint 0.6")
    return kept if kept.rows else meant


def _mouth_of_smile(clause: Clause, active: list[str]) -> list[Statement]:
    """'open smile', 'closed smile': what is left of a mouth that is not named."""
    smile = any(row.name == _SMILE for meant in clause.looks for row in meant.rows)
    if smile and "open" in active:
        return [Statement({"Jaw Open": (0.4, 0.4)})]
    return [Statement({}, 2, {"Jaw Open": (1.0, 1.0)})] if "close" in active else []
