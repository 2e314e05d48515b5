"""What a clause means in rows: its parts and actions by `phrases.RULES`, its looks, its sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from engine.diffusion.language import words
from engine.diffusion.language.clauses import MANNERS, Clause
from engine.diffusion.language.filling import smiles, turned
from engine.diffusion.language.looks import Look, Mix, look
from engine.diffusion.language.phrases import DIRECTIONS, OPPOSITES, PARENTS, REGIONS, RULES

_SEEN = 0.12
"""What a single row asked for keeps of a low degree: 'lips barely parted' can be seen."""
_LESS = 0.5
"""Share of the other side where more is said of one."""
_WAYS = {"leftward": "left", "rightward": "right"}


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


@dataclass(frozen=True, slots=True)
class _Measure:
    """On which sides and how much; `ways` are the directions said."""

    sides: frozenset[str]
    ways: frozenset[str]
    degree: float | None
    exact: bool
    uneven: bool

    def mix(self, meant: Look, strength: float | None = None) -> Mix:
        strength = (1.0 if self.degree is None else self.degree) if strength is None else strength
        meant = meant.full() if self.exact else meant
        if len(meant.rows) == 1 and (most := max(meant.rows[0].left, meant.rows[0].right)):
            strength = max(strength, min(strength, _SEEN) / most)
        mix = meant.mix(self.sides, strength)
        if not self.uneven or len(self.sides) != 1:
            return mix
        return {row: (max(left, right * _LESS), max(right, left * _LESS)) for row, (left, right) in mix.items()}

    @property
    def ones(self) -> tuple[float, float]:
        """1 on each side meant."""
        return 1.0 * (not self.sides or "left" in self.sides), 1.0 * (not self.sides or "right" in self.sides)


def _rules() -> dict[str, tuple[tuple[frozenset[str], Look], ...]]:
    made = {}
    for part, table in RULES.items():
        pairs = [(frozenset(acts.split()), look(text)) for text, lists in table.items() for acts in lists.split(",")]
        made[part] = tuple(sorted(pairs, key=lambda pair: (-len(pair[0]), not pair[0] & words.ENOUGH)))
    return made


_TABLE: Mapping[str, tuple[tuple[frozenset[str], Look], ...]] = MappingProxyType(_rules())


def apply(part: str, acts: Sequence[str]) -> tuple[list[Look], set[str]]:
    """Looks of a part that does `acts`, and the acts that no rule explains; rules for several acts come first."""
    for name in dict.fromkeys((part, PARENTS.get(part, part), part.split()[-1])):
        left, found = set(acts), []
        for features, meant in _TABLE.get(name, ()):
            if features <= left and not (found and features <= words.LIGHT):
                found.append(meant)
                left -= features
                if features & words.ENOUGH:
                    left -= words.FREE
        if found:
            return found, left - words.LIGHT
    return [], set(acts) - words.LIGHT


def rows_of_act(act: str, parts: Sequence[str]) -> list[str]:
    """Rows that an action asks for, of `parts` if any of them knows it, else of all."""
    mine = [row.name for part in parts for meant in apply(part, [act])[0] for row in meant.rows]
    everyone = [row.name for part in _TABLE for meant in apply(part, [act])[0] for row in meant.rows]
    return list(dict.fromkeys(mine or everyone))


def statements(clause: Clause, smiling: bool, calm: bool) -> list[Statement] | None:
    """What a clause asks for; None if its parts cannot do that.

    `smiling`: the prompt has a smile in it; `calm`: or something at rest. Lips that are together then only touch.
    """
    ways = frozenset(_WAYS.get(side.value, side.value) for side in turned(clause))
    still = ("stare",) if ways or {"up", "down"} & set(clause.acts) else ()
    acts = [act for act in clause.acts if act not in still]
    degree = _degree(clause)
    measure = _Measure(_sides(clause), ways, degree, clause.exact, clause.uneven)
    if any(meant.said for meant in clause.looks):
        acts = [act for act in acts if act not in words.SOFT]  # a wide smile
    active = [act for act in clause.active if act in acts]
    doing = bool(clause.parts) and bool(active or ways or not clause.looks)
    made = _of_looks(clause, measure, doing)
    if clause.looks and not clause.parts:
        made += _mouth_of_smile(clause, active)
    unsaid = _unsaid(clause)
    for part in clause.parts if doing else ():
        asked = _asked(part, acts, measure, smiling, calm)
        if not asked:
            return None
        made += [Statement(mix, 2, rest, False, clause.negative, unsaid) for mix, rest in asked]
    return made


def _of_looks(clause: Clause, measure: _Measure, doing: bool) -> list[Statement]:
    """The looks of a clause, of its parts only where these do nothing else ('angry brows')."""
    if not clause.parts and not measure.sides and {"sideways", "aside"} & set(clause.acts):
        measure = replace(measure, sides=frozenset(("left",)))
    moody = all(not meant.said for meant in clause.looks) or clause.joint != "with"
    compared = clause.joint == "like" or (not clause.parts and clause.joint in MANNERS and moody)
    made: list[Statement] = []
    for meant in clause.looks:
        mix = measure.mix(meant if doing else _narrowed(meant, clause.parts))
        guessed = _unsaid(clause) if measure.sides else any(row.one for row in meant.rows)
        manner = compared or (doing and not meant.said)
        made.append(Statement(mix, int(meant.said), None, manner, clause.negative, guessed))
    return made


def _unsaid(clause: Clause) -> bool:
    """One-sided without a side."""
    return bool(clause.sides) and all(side.value == "one" for side in clause.sides)


def _asked(part: str, acts: list[str], measure: _Measure, smiling: bool, calm: bool) -> list[tuple[Mix, Mix | None]]:
    """(rows, rows at rest) of one part; empty where it cannot do that."""
    base = part.split()[-1]
    if calm and base == "lip" and "together" in acts and not words.ENOUGH & set(acts):
        return [({}, {"Jaw Open": measure.ones})]
    if smiling and part == "teeth" and "show" in acts:
        return [(measure.mix(look("Upper Lip Raiser 0.5")), None)]
    asked: list[tuple[Mix, Mix | None]] = []
    wide = base == "mouth" and {"stretch", "wide"} & set(acts)  # 'stretched sideways' goes both ways
    if base in DIRECTIONS and (measure.ways or "aside" in acts or ("sideways" in acts and base != "lip" and not wide)):
        for way in sorted(measure.ways or {"left"}):
            asked.append((measure.mix(look(f"{DIRECTIONS[base]} {way.title()}")), None))
        acts = [act for act in acts if act not in ("sideways", "aside", "push")]
    looks, left = apply(part, acts)
    if part.startswith("lower ") and not (acts or looks or asked):
        looks, left = apply(part if base == "lip" else base, ["down"])  # 'lower lids halfway': a verb after all
    small = words.SOFT["small"] if "small" in left and measure.degree is None else None
    asked += [(measure.mix(meant, small), None) for meant in looks]
    for act in sorted(left & {"open", "close"}):
        row = OPPOSITES.get((base, act))
        if row and measure.degree is not None and measure.degree < 0.95:
            asked.append((measure.mix(look(row), 1.0 - measure.degree), None))
        elif row:
            asked.append(({}, {row: measure.ones}))
    if "relax" in acts and not asked:
        neutral: Mix = {"Neutral": (1.0, 1.0)} if base == "face" else {}
        asked.append((neutral, dict.fromkeys(REGIONS.get(base, ()), measure.ones)))
    return asked


def _sides(clause: Clause) -> frozenset[str]:
    """The sides meant, empty where none is said."""
    ways = turned(clause)
    if ways and {part.split()[-1] for part in clause.parts} <= {"jaw", "chin", "mouth"}:
        return frozenset()
    both = {"both": ("left", "right"), "one": ("left",), "left": ("left",), "right": ("right",)}
    return frozenset(value for side in clause.sides if side not in ways for value in both.get(side.value, ()))


def _degree(clause: Clause) -> float | None:
    """The degree said, or what a word like 'wide' or 'small' says of a look."""
    if clause.degree is not None or not clause.looks:
        return clause.degree
    return min((words.SOFT[act] for act in clause.acts if act in words.SOFT), default=None)


def _narrowed(meant: Look, parts: Sequence[str]) -> Look:
    """What of a look shows in `parts`: 'angry brows'; smiling eyes squint."""
    if not parts or "face" in parts:
        return meant
    kept = meant.only({row for part in parts for row in REGIONS.get(part.split()[-1], ())})
    if not kept.rows and smiles([meant]) and {"eye", "cheek"} & set(parts):
        return look("Eye Squint 0.6")
    if not kept.rows and {"eye", "lid"} & set(parts):  # 'sad eyes': moods without a row of the eyes show above them
        kept = meant.only(set(REGIONS["brow"]))
    return kept if kept.rows else meant


def _mouth_of_smile(clause: Clause, active: Sequence[str]) -> list[Statement]:
    """'open smile', 'closed smile': what is said of a mouth that is not named."""
    if "open" in active and smiles(clause.looks):
        return [Statement({"Jaw Open": (0.4, 0.4)})]
    return [Statement({}, rest={"Jaw Open": (1.0, 1.0)})] if "close" in active else []
