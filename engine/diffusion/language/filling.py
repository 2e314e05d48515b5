"""What a clause leaves unsaid and its neighbours say: 'brows up and together', 'left eye closed, the other open'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.diffusion.language import words
from engine.diffusion.language.clauses import Clause, Side
from engine.diffusion.language.looks import SAID, Look, look
from engine.diffusion.language.phrases import DIRECTIONS, REGIONS

_SWAPPED = {"left": "right", "right": "left"}


def filled(found: Sequence[Clause]) -> list[Clause]:
    """Clauses that stand by themselves, in order; one that stays idle ('left eye') is kept for the error."""
    made: list[Clause] = []
    ahead: list[Clause] = []
    rest = [_own_part(clause) for clause in found]
    for at, clause in enumerate(rest):
        clause.sides = _settled(clause, made)
        if "relax" in clause.acts and not clause.parts and not clause.looks:
            clause.looks = [SAID["neutral"]]
        soft = made and made[-1].active and clause.joint and words.SOFT.keys() >= set(clause.active)
        if not clause.parts and not clause.looks and (soft or not clause.active):
            if clause.strange:
                made.append(clause)
            elif (clause.sides or clause.degree is not None or clause.active) and not clause.negative:
                if made:
                    _amend(made, clause)
                else:
                    ahead.append(clause)
            continue
        _take_shape(clause, made)
        unnamed = not found[at].parts and "look" not in clause.acts
        if unnamed and clause.joint == "with" and made and made[-1].parts == clause.parts and not clause.sides:
            clause.sides = [side for side in made[-1].sides if side.how == "adjective"]  # left cheek full, with air
        for earlier in ahead:
            clause.sides = clause.sides + earlier.sides
            clause.degree = earlier.degree if clause.degree is None else clause.degree
        ahead.clear()
        if _goes_on(clause, made):
            made[-1].acts = made[-1].acts + clause.acts
            continue
        if clause.active and not clause.parts and not clause.looks:
            _take_parts(clause, made, rest[at + 1 :])
        elif idle(clause) and not _take_acts(clause, made, rest[at + 1 :]):
            continue
        if clause.joint == "like" and made:
            made[-1].degree = clause.degree if made[-1].degree is None else made[-1].degree
            made[-1].sides = made[-1].sides or clause.sides
        if clause.of_all and clause.degree is not None:
            for earlier in made:
                earlier.degree = clause.degree if earlier.degree is None else earlier.degree
        made.append(clause)
    return made


def smiles(found: Sequence[Look]) -> bool:
    """Whether one of the looks is a smile said outright."""
    return any(meant.said and row.name == "Lip Corner Puller" for meant in found for row in meant.rows)


def idle(clause: Clause) -> bool:
    """Names parts, and nothing that they do nor a way that they go."""
    return bool(clause.parts) and not clause.looks and not clause.active and not turned(clause)


def turned(clause: Clause) -> list[Side]:
    """The sides that say which way a part moves, as left or right; the others say on which side it is."""
    found: list[Side] = []
    bases = {part.split()[-1] for part in clause.parts}
    aims = (
        ("sideways", "aside", "up", "down", "out", "stare", "drop")
        if bases & {"eye", "lid"}
        else ("sideways", "aside", "out")
    )
    busy = [act for act in clause.active if act not in aims]
    for value, how in clause.sides:
        way = {"leftward": "left", "rightward": "right"}.get(value, value)
        if way not in ("left", "right"):
            continue
        lone = how == "on" and len(clause.sides) == 1 and not {"up", "down", "stare"} & set(clause.acts)
        looking = ("look" in clause.acts or "stare" in clause.acts) and (how in ("to", "bare") or lone)
        goes = bases <= DIRECTIONS.keys() and bool(bases) and not clause.looks
        if (
            value != way
            or looking
            or (goes and bases <= {"jaw", "chin"} and (not busy or how in ("to", "bare")))
            or (bases == {"jaw"} and goes and how == "adjective")
            or (goes and how == "to" and not (bases & {"eye", "lid"} and busy))
            or (goes and how == "bare" and not busy)
            or (goes and how == "on" and not clause.active and not bases & {"eye", "lid"})
        ):
            found.append(Side(value, how))
    return found


def _own_part(clause: Clause) -> Clause:
    """Give actions like 'squint' and 'look left' the part that they need not name."""
    if clause.parts and clause.parts != ["face"]:
        return clause
    ways = clause.sides or {"up", "down", "sideways", "aside", "drop"} & set(clause.acts)
    outright = any(meant.said for meant in clause.looks)
    for act in clause.acts:
        part = words.OWN_PART.get(act)
        if (act == "blow" and clause.looks) or (act != "look" and outright):
            continue  # 'blow out a candle', 'contract the frontalis': the look says it better
        if part and (act != "look" or ways) and (act not in words.LIGHT or act == "look"):
            return replace(clause, parts=[part])
    return clause


def _settled(clause: Clause, made: Sequence[Clause]) -> list[Side]:
    """Sides with 'the other' settled, and 'one' dropped beside a side that is named ('the right one')."""
    sides = clause.sides
    if any(side.value == "other" for side in sides):
        earlier = [side.value for other in made for side in other.sides if side.value in ("left", "right", "one")]
        last = "left" if not earlier or earlier[-1] == "one" else earlier[-1]
        sides = [Side(_SWAPPED[last], side.how) if side.value == "other" else side for side in sides]
    return _named(sides)


def _named(sides: list[Side]) -> list[Side]:
    """Without 'one' and 'both' where left or right is said as well."""
    return [side for side in sides if side.value not in ("one", "both")] or sides


def _amend(made: list[Clause], clause: Clause) -> None:
    """Add a side or degree said afterwards to what it is about ('smile, on the left', 'right 0.2')."""
    last = made[-1]
    ways = turned(last)
    mine = {side.value for side in clause.sides} & {"left", "right"}
    others = {side.value for side in last.sides if side not in ways} & {"left", "right"}
    if mine and others and not mine & others:
        made.append(
            replace(last, sides=clause.sides, degree=clause.degree if clause.degree is not None else last.degree)
        )
        return
    last.sides = _named(last.sides + clause.sides)
    last.acts = last.acts + clause.acts
    last.uneven |= clause.uneven
    if clause.degree is not None:
        last.degree = clause.degree
        reach = 1
        while reach < len(made) and (clause.of_all or made[-reach].carried or made[-reach].joint == "like"):
            reach += 1
            made[-reach].degree = clause.degree if made[-reach].degree is None else made[-reach].degree
    if last.joint == "like" and len(made) > 1:
        made[-2].sides = _named(made[-2].sides + clause.sides)


def _goes_on(clause: Clause, made: Sequence[Clause]) -> bool:
    """Whether a clause only adds a direction to the one before: 'corners up and back'."""
    if clause.parts or clause.looks or clause.sides or clause.degree is not None or clause.negative or not made:
        return False
    plain = words.FREE | words.LIGHT
    return (
        made[-1].active != []
        and made[-1].parts != []
        and not made[-1].looks
        and plain >= {*clause.acts, *made[-1].acts}
    )


def _take_shape(clause: Clause, made: list[Clause]) -> None:
    """'mouth twisted into a sneer': the shape says it better than the action before."""
    last = made[-1] if made else None
    if not last or clause.joint not in ("into", "in") or clause.parts or not clause.looks or last.looks or last.strange:
        return
    shown = {row for part in last.parts for row in REGIONS.get(part.split()[-1], ())}
    said = {row.name for meant in clause.looks if meant.said for row in meant.rows}
    if said & shown and (clause.joint == "into" or set(last.active) <= _FORMING):
        made.pop()
        clause.parts, clause.sides, clause.joint = last.parts, clause.sides + last.sides, last.joint


_FORMING = frozenset("sideways curl back stretch up out down open apart".split())


def _take_parts(clause: Clause, made: Sequence[Clause], rest: Sequence[Clause]) -> None:
    """An action without its part: that of the clause before, or after where two verbs share it."""
    after = rest[0] if rest else None
    shares = after is not None and bool(after.parts) and after.act_first and after.joint == "and" and clause.act_first
    before = next((other for other in reversed(made) if other.parts and not other.strange), None)
    source = after if after and after.parts and (before is None or (shares and clause.joint != "and")) else before
    if source is None:
        return
    clause.parts = list(source.parts)
    clause.carried = source is before
    clause.degree = source.degree if clause.degree is None and source is before else clause.degree
    if "look" in source.acts and {"up", "down"} & set(clause.acts):
        clause.acts = [*clause.acts, "look"]
    if not clause.sides:
        clause.sides = [side for side in source.sides if side.how == "adjective"]


def _take_acts(clause: Clause, made: list[Clause], rest: Sequence[Clause]) -> bool:
    """A part without its action: the neighbour's. False where the clause only says more about one before."""
    if clause.negative:
        clause.acts, clause.negative = ["relax"], False
        return True
    if set(clause.parts) == {"face"} and "relax" not in clause.acts:
        if made and clause.sides:
            _amend(made, clause)
        return False
    if "teeth" in clause.parts[0]:
        clause.acts = [*clause.acts, "show"]
        return True
    if {"mouth", "lip"} & set(clause.parts) and any(side.value == "one" for side in clause.sides):
        clause.acts = [*clause.acts, "sideways"]
        return True
    if "relax" in clause.acts:
        return True
    last = made[-1] if made else None
    if last and clause.sides and clause.joint in _WITH and set(clause.parts) <= set(last.parts):
        _amend(made, clause)
        return False
    if (
        last
        and last.looks
        and clause.joint == "with"
        and clause.parts == ["eye"]
        and not clause.sides
        and smiles(last.looks)
    ):
        clause.parts, clause.looks = [], [look("Eye Squint 0.6")]
        return True
    if last and last.looks and not last.parts and clause.joint in _WITH:
        last.parts, last.sides = list(clause.parts), last.sides + clause.sides
        last.degree = last.degree if clause.degree is None else clause.degree
        return False
    if last and last.active and last.act_first:
        return _share(clause, last)
    for after in rest:
        if after.active and not after.parts and not after.looks:
            after.parts = list(clause.parts)
            after.sides = after.sides or clause.sides
            return False
        if after.looks and after.joint == "like" and not after.parts:
            after.parts, after.sides, after.joint = list(clause.parts), after.sides or clause.sides, clause.joint
            return False
        if after.parts and (after.active or after.looks):
            if after.act_first:
                break
            return _share(clause, after)
    if last and (last.active or last.looks):
        return _share(clause, last)
    return True


_WITH = ("with", "on", "of", "in", "around", "from", "at")


def _share(clause: Clause, source: Clause) -> bool:
    clause.acts = clause.acts + source.acts
    clause.carried = True
    clause.looks = list(source.looks)
    clause.degree = source.degree if clause.degree is None else clause.degree
    clause.negative |= source.negative
    return True
