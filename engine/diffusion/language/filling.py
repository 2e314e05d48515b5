"""What a clause leaves unsaid and its neighbours say: 'brows up and together', 'left eye closed, the other open'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from engine.diffusion.language import words
from engine.diffusion.language.clauses import Clause, Side
from engine.diffusion.language.looks import SAID, Look, look
from engine.diffusion.language.phrases import DIRECTIONS, REGIONS, RULES

_SWAPPED = {"left": "right", "right": "left"}
_WITH = ("with", "on", "of", "in", "around", "from", "at")
_RESULTS = ("so that", "so we", "so you", "so i", "so he", "so she", "so they", "such that", "until")
"""Joints before what comes of what was said, as much as that: 'open a bit so that we see the teeth'."""
_FORMING = frozenset(["sideways", "curl", "back", "stretch", "up", "out", "down", "apart"])
"""Actions that a shape named after them replaces: lips pulled back in a snarl."""


def filled(found: Sequence[Clause]) -> list[Clause]:
    """Clauses that stand by themselves, in order; one that stays half said ('left eye') is kept for the error."""
    made: list[Clause] = []
    ahead: list[Clause] = []
    rest = [
        clause
        if (clause.pronoun and any(other.parts for other in found[:at])) or (at and _more_of_it(clause, found[at - 1]))
        else _own_part(clause)
        for at, clause in enumerate(found)
    ]
    for clause, after in pairwise(rest):
        moody = clause.looks and not clause.parts and not any(meant.said for meant in clause.looks)
        if moody and not clause.acts and after.active and not after.joint:
            clause.joint = clause.joint if clause.joint == "like" else "in"  # 'a mad stare': how, not what
    for at, clause in enumerate(rest):
        clause.sides = _settled(clause, made)
        if "relax" in clause.acts and not clause.parts and not clause.looks:
            clause.looks = [SAID["neutral"]]
        if _only_measures(clause, made):
            if clause.strange:
                made.append(clause)
            elif made and not clause.negative:
                _amend(made, clause)
            elif not clause.negative:
                ahead.append(clause)
            continue
        _take_shape(clause, made)
        _take_lip(clause, made)
        if clause.joint in _RESULTS and made and clause.degree is None:
            clause.degree = made[-1].degree
        if not found[at].parts:
            _take_side(clause, made)
        for earlier in ahead:
            clause.sides = clause.sides + earlier.sides
            clause.degree = earlier.degree if clause.degree is None else clause.degree
        ahead.clear()
        if _goes_on(clause, made):
            made[-1].acts = made[-1].acts + clause.acts
            continue
        if clause.active and not clause.parts and not clause.looks:
            _take_parts(clause, made, rest[at + 1 :])
        elif idle(clause) and not clause.strange and not _take_acts(clause, made, rest[at + 1 :]):
            continue
        _measure_back(clause, made)
        made.append(clause)
    return made


def idle(clause: Clause) -> bool:
    """Names parts, and nothing that they do nor a way that they go."""
    return bool(clause.parts) and not clause.looks and not clause.active and not turned(clause)


def smiles(found: Iterable[Look]) -> bool:
    """Whether one of the looks is a smile said outright."""
    return any(meant.said and row.name == "Lip Corner Puller" for meant in found for row in meant.rows)


def moodily(clause: Clause) -> bool:
    """Whether a clause only says in what mood: 'in surprise', 'from pain'."""
    moody = bool(clause.looks) and not any(meant.said for meant in clause.looks)
    return moody and clause.joint in ("in", "from", "out") and not (clause.parts or clause.acts)


def rests(clause: Clause) -> bool:
    """Whether something is to be at rest."""
    return "relax" in clause.acts or any(row.name == "Neutral" for meant in clause.looks for row in meant.rows)


def turned(clause: Clause) -> list[Side]:
    """The sides that say which way a part moves, as left or right; the others say on which side it is."""
    bases = {part.split()[-1] for part in clause.parts}
    eyes = bool(bases & {"eye", "lid"})
    aims = ("sideways", "aside", "up", "down", "out", "stare", "drop", "roll") if eyes else ("sideways", "aside", "out")
    busy = any(act not in aims for act in clause.active)
    goes = bool(bases) and bases <= DIRECTIONS.keys() and not clause.looks
    found: list[Side] = []
    for side in clause.sides:
        value, how = side
        lone = how == "on" and len(clause.sides) == 1 and not {"up", "down", "stare"} & set(clause.acts)
        corner = eyes and "corner" in clause.text.casefold()  # 'from the left corner of her eye'
        looking = bool({"look", "stare"} & set(clause.acts)) and (how in ("to", "bare") or lone or corner)
        ways = (
            value in ("leftward", "rightward"),
            looking,
            goes and bases <= {"jaw", "chin"} and (not busy or how in ("to", "bare")),
            goes and bases == {"jaw"} and how == "adjective",
            goes and how == "to" and not (eyes and busy),
            goes and how == "bare" and not busy,
            goes and how == "on" and not clause.active and (not eyes or "eyes" in clause.text.casefold()),
        )
        if value in ("left", "right", "leftward", "rightward") and any(ways):
            found.append(side)
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
        if part and (ways if act == "look" else act not in words.LIGHT):
            return replace(clause, parts=[part])
    return clause


def _more_of_it(clause: Clause, last: Clause) -> bool:
    """Whether the part before does this as well: 'chin up and dimpled'."""
    known = {act for part in last.parts for acts in RULES.get(part, {}).values() for act in acts.split(", ")}
    more = clause.joint == "and" and clause.text.casefold().endswith("ed") and not last.act_first
    return more and not (clause.parts or clause.looks or clause.sides) and set(clause.acts) <= known


def _settled(clause: Clause, made: Sequence[Clause]) -> list[Side]:
    """Sides with 'the other' settled, and 'one' dropped beside a side that is named ('the right one')."""
    sides = clause.sides
    if any(side.value == "other" for side in sides):
        earlier = [side.value for other in made for side in other.sides if side.value in ("left", "right", "one")]
        last = "left" if not earlier or earlier[-1] == "one" else earlier[-1]
        sides = [Side(_SWAPPED[last], "adjective") if side.value == "other" else side for side in sides]
    return _named(sides)


def _named(sides: list[Side]) -> list[Side]:
    """Without 'one' and 'both' where left or right is said as well."""
    return [side for side in sides if side.value not in ("one", "both")] or sides


def _only_measures(clause: Clause, made: Sequence[Clause]) -> bool:
    """Whether a clause only says how much or on which side: 'but not too wide', '(left)', 'higher on the right'."""
    if clause.parts or clause.looks:
        return False
    if made and clause.uneven and clause.sides and set(clause.active) <= words.FREE:
        clause.acts = []
    follows = bool(made and made[-1].active and clause.joint) and words.SOFT.keys() >= set(clause.active)
    return follows or not clause.active


def _amend(made: list[Clause], clause: Clause) -> None:
    """Add a side or degree said afterwards to what it is about ('smile, on the left'; 'right 0.2' for the other)."""
    last = made[-1]
    ways = turned(last)
    mine = {side.value for side in clause.sides} & {"left", "right"}
    others = {side.value for side in last.sides if side not in ways} & {"left", "right"}
    if mine and others and not mine & others:
        degree = last.degree if clause.degree is None else clause.degree
        made.append(replace(last, sides=clause.sides, degree=degree))
        return
    last.sides = _named(last.sides + clause.sides)
    last.acts = last.acts + clause.acts
    last.uneven |= clause.uneven
    last.degree = last.degree if clause.degree is None else clause.degree
    last.exact |= clause.exact
    reach = 1
    while reach < len(made) and (clause.of_all or made[-reach].carried or made[-reach].joint == "like"):
        reach += 1
        made[-reach].degree = clause.degree if made[-reach].degree is None else made[-reach].degree
    if last.joint == "like" and len(made) > 1:
        made[-2].sides = _named(made[-2].sides + clause.sides)


def _measure_back(clause: Clause, made: Sequence[Clause]) -> None:
    """Pass the degree of 'AU4 + AU7 intensity C' and of comparisons on to what came before."""
    if clause.joint == "like" and made:
        made[-1].degree = clause.degree if made[-1].degree is None else made[-1].degree
        made[-1].sides = made[-1].sides or clause.sides
    for earlier in made if clause.of_all else ():
        earlier.degree = clause.degree if earlier.degree is None else earlier.degree


def _goes_on(clause: Clause, made: Sequence[Clause]) -> bool:
    """Whether a clause only adds a direction to the one before: 'corners up and back'."""
    measured = clause.sides or clause.degree is not None or clause.negative
    if clause.parts or clause.looks or measured or not made:
        return False
    last = made[-1]
    plain = words.FREE | words.LIGHT
    return bool(last.active and last.parts and not last.looks) and plain >= {*clause.acts, *last.acts}


def _take_side(clause: Clause, made: Sequence[Clause]) -> None:
    """'left cheek full with air': what is done with the same part, without naming it, is on the same side."""
    same = clause.joint == "with" and made and made[-1].parts == clause.parts and "look" not in clause.acts
    if same and not clause.sides:
        clause.sides = [side for side in made[-1].sides if side.how == "adjective"]


def _take_lip(clause: Clause, made: Sequence[Clause]) -> None:
    """'upper lip up on the left, showing the teeth': those of that lip, on its side, as much as it moves."""
    lip = made[-1].parts[0] if made and len(made[-1].parts) == 1 else ""
    if clause.parts == ["teeth"] and lip in ("upper lip", "lower lip") and not made[-1].negative:
        clause.parts = [lip.replace("lip", "teeth")]
        clause.sides = clause.sides or made[-1].sides
        clause.degree = made[-1].degree if clause.degree is None else clause.degree


def _take_shape(clause: Clause, made: list[Clause]) -> None:
    """'mouth twisted into a sneer': the shape says it better than the action before."""
    last = made[-1] if made else Clause("")
    if clause.joint not in ("into", "in") or clause.parts or not clause.looks or last.looks or last.strange:
        return
    shown = {row for part in last.parts for row in REGIONS.get(part.split()[-1], ())}
    said = {row.name for meant in clause.looks if meant.said for row in meant.rows}
    if said & shown and "open" not in last.acts and (clause.joint == "into" or set(last.active) <= _FORMING):
        made.pop()
        clause.parts, clause.sides, clause.joint = last.parts, clause.sides + last.sides, last.joint


def _take_parts(clause: Clause, made: Sequence[Clause], rest: Sequence[Clause]) -> None:
    """An action without its part: that of the clause before, or after where two verbs share it."""
    after = rest[0] if rest and rest[0].parts else None
    before = next((other for other in reversed(made) if other.parts and not other.strange), None)
    shares = after is not None and after.act_first and after.joint == "and" and clause.act_first
    source = after if after and (before is None or (shares and clause.joint != "and")) else before
    if source is None:
        lone = [words.LONE_PART[act] for act in clause.active if act in words.LONE_PART and not clause.strange]
        clause.parts = lone[:1]
        return
    clause.parts = list(source.parts)
    clause.carried = source is before
    clause.degree = source.degree if clause.degree is None and source is before else clause.degree
    if "look" in source.acts and {"up", "down"} & set(clause.acts):
        clause.acts = [*clause.acts, "look"]
    if not clause.sides:
        clause.sides = [side for side in source.sides if side.how == "adjective"]


def _take_acts(clause: Clause, made: list[Clause], rest: Sequence[Clause]) -> bool:
    """A part without its action: its own, or a neighbour's. False where the clause only says more about one before."""
    last = made[-1] if made else Clause("")
    if clause.negative:
        clause.acts, clause.negative = ["relax"], False
    elif "relax" in clause.acts:
        pass
    elif clause.parts == ["face"]:
        if made and clause.sides:
            _amend(made, clause)
        return False
    elif "only" in clause.text.casefold().split() and last.looks and not last.parts:
        return _with_part(clause, made)  # 'frown, brows only'
    elif "teeth" in clause.parts[0]:
        clause.acts = [*clause.acts, "show"]
    elif {"mouth", "lip"} & set(clause.parts) and any(side.value == "one" for side in clause.sides):
        clause.acts = [*clause.acts, "sideways"]
    elif clause.joint in _WITH and (last.looks or (clause.sides and set(clause.parts) <= set(last.parts))):
        return _with_part(clause, made)
    elif last.active and last.act_first:
        _share(clause, last)
    else:
        return _look_ahead(clause, last, rest)
    return True


def _with_part(clause: Clause, made: list[Clause]) -> bool:
    """'wink with the right eye', 'frown with the brows': more about the look before; 'smile with your eyes' is more."""
    last = made[-1]
    if set(clause.parts) <= set(last.parts):
        _amend(made, clause)
        return False
    if clause.parts == ["eye"] and not (clause.sides or clause.negative) and smiles(last.looks):
        clause.parts, clause.looks = [], [look("Eye Squint 0.6")]
        return True
    if last.parts:
        _share(clause, last)
        return True
    last.parts, last.sides = list(clause.parts), last.sides + clause.sides
    last.degree = last.degree if clause.degree is None else clause.degree
    return False


def _look_ahead(clause: Clause, last: Clause, rest: Sequence[Clause]) -> bool:
    """'brows, cheeks and upper lip raised', 'lips like saying ooh': what follows says it; else what came before."""
    for after in rest:
        unnamed = not after.parts and (after.looks if after.joint == "like" else after.active and not after.looks)
        if unnamed:
            after.parts, after.sides = list(clause.parts), after.sides or clause.sides
            after.joint = clause.joint if after.joint == "like" else after.joint
            return False
        if after.parts and (after.active or after.looks):
            if not after.act_first:
                _share(clause, after)
                return True
            break
    if last.active or last.looks:
        _share(clause, last)
    return True


def _share(clause: Clause, source: Clause) -> None:
    clause.acts = clause.acts + source.acts
    clause.carried = True
    clause.looks = list(source.looks)
    clause.degree = source.degree if clause.degree is None else clause.degree
    clause.negative |= source.negative
