"""Tokens -> clauses, each one thing said: parts, actions, looks, sides and degree as they stand in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.diffusion.language import words
from engine.diffusion.language.looks import SCENES, UNITS, Look
from engine.diffusion.language.phrases import LETTERS, UNFIT_UNITS
from engine.diffusion.language.tokens import Token


class Side(NamedTuple):
    """left, right, both, one or other; and how it is said: 'adjective' before a part, after 'to' or 'on', or 'bare'."""

    value: str
    how: str


@dataclass(slots=True)
class Clause:
    """One thing said."""

    text: str
    joint: str = ""
    """The join or preposition before it; 'like' for all comparisons."""
    parts: list[str] = field(default_factory=list)
    """Keys of `words.PARTS`, with 'lower ' or 'upper ' before lip, lid and teeth where said."""
    acts: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    degree: float | None = None
    of_all: bool = False
    """The degree is meant for all that came before too ('AU4+AU7 intensity C')."""
    negative: bool = False
    uneven: bool = False
    """More on the side said than on the other."""
    carried: bool = False
    """Takes its part or action from the clause before: a degree said later is of both."""
    act_first: bool = False
    """A verb stands before the part: 'raise the brows', not 'brows up'."""
    strange: list[Token] = field(default_factory=list)
    """Words not known, or known as nothing that an expression can do."""

    @property
    def active(self) -> list[str]:
        """Actions that say something by themselves."""
        teeth = any(part.endswith("teeth") for part in self.parts)
        return [act for act in self.acts if act not in words.LIGHT or (teeth and act == "show")]


MANNERS = frozenset(("like", "in", "with", "from", "out", "of", "for", "at", "against"))
"""Joints before the look or mood that goes with what was said."""
_PASSING = frozenset(("filler", "side", "degree", "number", "booster", "modifier", "preposition"))
_NOTHING = Token("", "")
_PLACES = frozenset("over under against between behind toward towards to near around from".split())
_MODIFIED = {"upper": ("lip", "lid", "teeth"), "lower": ("lip", "lid", "teeth", "jaw")}


def clauses(tokens: Sequence[Token]) -> list[Clause]:
    """Cut tokens into clauses and read each."""
    said = frozenset(token.lemma for token in tokens)
    made: list[Clause] = []
    for joint, chunk in _chunks(_placed(_modified(tokens))):
        made.append(_clause(chunk, joint, said))
        if joint in ("or", "nor") and len(made) > 1:
            made[-1].negative |= made[-2].negative
        if (
            joint in ("or", "and")
            and len(made) > 1
            and made[-2].joint in MANNERS
            and not (made[-1].parts or made[-1].acts)
        ):
            made[-1].joint = made[-2].joint  # in surprise or fear
    return made


def _modified(tokens: Sequence[Token]) -> list[Token]:
    """Settle 'lower', 'upper', 'top' (of the next part's name, or a verb, or nothing) and 'in' (an action or not)."""
    made: list[Token] = []
    modifier = ""
    for at, token in enumerate(tokens):
        if token.kind == "modifier":
            parts = [other for other in tokens[at + 1 : at + 4] if other.kind != "side"][:2]
            name, deeper = (*(other.value for other in parts), "", "")[:2]
            close = at + 1 < len(tokens) and tokens[at + 1].kind in ("part", "side")
            if close and name in _MODIFIED[str(token.value)] and deeper != "corner":
                modifier = str(token.value)
                token = Token("filler", token.text)
            else:
                token = (
                    Token("act", token.text, "down", "lower") if token.lemma == "lower" else Token("filler", token.text)
                )
        elif token.lemma == "depress" and any(
            t.value in ("lip", "jaw", "corner") for t in tokens[max(at - 7, 0) : at + 8]
        ):
            token = Token("act", token.text, "down", "depress")
        elif token.lemma == "in" and _no_action(tokens, at):
            token = Token("preposition", token.text, "", "in")
        elif (
            token.value == "face" and at > 1 and tokens[at - 1].lemma == "a" and tokens[at - 2].lemma.startswith("mak")
        ):
            token = Token("filler", token.text)  # make a face
        elif token.kind == "part" and modifier:
            token = token if token.value == "jaw" else replace(token, value=f"{modifier} {token.value}")
            modifier = ""
        made.append(token)
    return made


_GOES_IN = frozenset("suck pull push press roll squeeze tight curl bite puff blow".split())


def _no_action(tokens: Sequence[Token], at: int) -> bool:
    """Whether the 'in' at a place is no action: 'in surprise', 'in a circle', 'a dimple in the cheek'."""
    verb = at > 0 and tokens[at - 1].value in _GOES_IN
    for token in tokens[at + 1 :]:
        if token.kind in ("mix", "scene"):
            return True
        if token.lemma in ("a", "an"):
            return not any(other.lemma in ("bit", "little", "lot", "tad") for other in tokens[at + 1 : at + 4])
        if token.kind == "part":
            return not verb
        if token.kind not in ("filler", "degree", "booster", "side", "modifier"):
            break
    return False


def _placed(tokens: Sequence[Token]) -> list[Token]:
    """Join 'corner of the mouth' to one part; parts that only say where to ('up to the ears') become fillers."""
    made: list[Token] = []
    place = ""
    for token in tokens:
        if token.kind in ("join", "preposition"):
            place = token.lemma
        elif token.kind == "part":
            last = next((at for at in reversed(range(len(made))) if made[at].kind not in _PASSING), None)
            joined = _compound(made[last], token) if last is not None else ""
            if joined and last is not None:
                made[last] = replace(made[last], value=joined)
                token = Token("filler", token.text)
            elif place in _PLACES and any(other.kind in ("part", "mix") for other in made):
                token = Token("filler", token.text)
            place = ""
        elif token.kind not in _PASSING:
            place = ""
        made.append(token)
    return made


def _compound(first: Token, second: Token) -> str:
    """The one part that two in a row name, '' if they are two."""
    if first.kind != "part":
        return ""
    pair = {str(first.value).split()[-1], str(second.value).split()[-1]}
    if "corner" in pair and pair & {"mouth", "lip"}:
        return "corner"
    for names, joined in (({"eye", "lid"}, "lid"), ({"eye", "brow"}, "brow"), ({"eye", "corner"}, "eye"),
                          ({"brow", "corner"}, "brow"), ({"chin", "lip"}, "chin")):  # fmt: skip
        if pair == names:
            return joined
    return str(first.value) if second.value == "face" else ""


def _chunks(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Cut at joins, and where a second thing begins without one ('eyes closed mouth open'); with the word before."""
    made: list[tuple[str, list[Token]]] = [("", [])]
    preposition = ""
    for at, token in enumerate(tokens):
        current = made[-1][1]
        if token.kind in ("join", "compare"):
            made.append(("like" if token.kind == "compare" else token.lemma, []))
            continue
        counted = made[-1][0] == ")" and current and all(other.kind == "number" for other in current)
        if counted and token.kind != "number":
            made.append(("", [token]))
        elif _begins(current, token, _after(tokens, at)):
            moved = _leading(current, token)
            manner = isinstance(token.value, Look) and not token.value.said and token.text.casefold().endswith("ly")
            made.append(("in" if manner else preposition, moved))
            moved.append(token)
        else:
            current.append(token)
        if token.kind == "preposition" or token.kind not in _PASSING:
            preposition = token.lemma if token.kind == "preposition" else ""
    return [(joint, chunk) for joint, chunk in made if chunk]


def _after(tokens: Sequence[Token], at: int) -> Token:
    """The next word of weight after a place; after a verb its particle ('pull down') is passed over."""
    for token in tokens[at + 1 :]:
        particle = tokens[at].kind == "act" and token.kind == "act" and token.text.casefold() in words.PARTICLES
        if token.kind not in _PASSING and not particle:
            return token
    return _NOTHING


def _begins(current: Sequence[Token], token: Token, after: Token) -> bool:
    """Whether `token` says a second thing after `current`; `after` is the next word of weight."""
    kinds = {other.kind for other in current}
    parts = {str(other.value) for other in current if other.kind == "part"}
    acts = {other.value for other in current if other.kind == "act"}
    full = bool(parts) and bool(acts - {"show"} or acts and any(part.endswith("teeth") for part in parts))
    busy = full and bool(acts - words.LIGHT - (words.SOFT.keys() if _described(current) else set()))
    lookish = bool(kinds & {"mix", "code", "scene"})
    if token.kind == "part":
        return full or (lookish and after.kind == "act" and after.value not in words.LIGHT)
    if token.kind == "act":
        verb = token.text.casefold() not in words.PARTICLES
        turned = any(other.value == "look" for other in current) and "side" in kinds
        alone = "mix" in kinds and token.value in words.OWN_PART and token.value not in words.LIGHT
        again = full or lookish or turned or parts == {"face"}
        return verb and ((after.kind == "part" and again) or alone)
    if token.kind in ("mix", "scene"):
        looks = [other.value for other in current if isinstance(other.value, Look)]
        said = isinstance(token.value, Look) and token.value.said
        own = any(other.kind == "act" and other.value in _ALONE for other in current)
        return busy or "code" in kinds or (said and (own or any(look.said for look in looks)))
    if token.kind == "code":
        return bool(kinds & {"code", "mix", "part"})
    if token.kind == "negation":
        return full or lookish
    if token.kind != "side" or after.kind not in ("", "join"):
        return False
    sides = [at for at, other in enumerate(current) if other.kind == "side"]
    counted = any(other.kind in ("number", "degree") for other in current[sides[0] :]) if sides else False
    return counted and token.value not in {current[at].value for at in sides}


_ALONE = frozenset(words.OWN_PART) - words.LIGHT


def _described(current: Sequence[Token]) -> bool:
    """Whether a chunk ends in 'a wide', 'a small': said of what follows."""
    return len(current) > 1 and current[-1].value in words.SOFT and current[-2].lemma in ("a", "an")


def _leading(current: list[Token], token: Token) -> list[Token]:
    """Take off a chunk the last words that belong to the next thing: 'slightly', 'the', before a part 'left'."""
    first = next((at for at, other in enumerate(current) if other.kind not in _PASSING), 0)
    sided = any(other.kind == "side" for other in current[:first])
    keeps = token.kind in ("act", "negation", "side") or (token.kind in ("code", "mix") and not sided)
    stay = ("number", "side") if keeps else ("number",)
    count = 1 if token.kind == "mix" and _described(current) else 0
    while count < len(current) and current[-1 - count].kind in _PASSING and current[-1 - count].kind not in stay:
        count += 1
    moved = current[len(current) - count :]
    del current[len(current) - count :]
    return moved


def _clause(chunk: Sequence[Token], joint: str, said: frozenset[str]) -> Clause:
    """Read one chunk; `said` are all words of the prompt, for scenes of several words."""
    made = Clause(" ".join(token.text for token in chunk), joint)
    made.uneven = any(token.text.casefold() in _MORE for token in chunk)
    than = next((at for at, token in enumerate(chunk) if token.lemma == "than"), len(chunk))
    chunk = chunk[:than]  # 'higher than the right one', 'wider than usual'
    degrees: list[float] = []
    place = ""
    for at, token in enumerate(chunk):
        if token.kind == "part":
            made.parts.append(str(token.value))
        elif token.kind == "act":
            made.act_first |= not made.parts and token.text.casefold() not in words.PARTICLES
            made.acts += ("look", "sideways") if token.value == "askance" else (str(token.value),)
        elif isinstance(token.value, Look):
            made.looks.append(token.value)
        elif token.kind == "code":
            degrees += _read_code(token, made)
        elif token.kind == "side":
            how = _how(chunk, at, place)
            aside = how == "bare" and (joint == "(" or len(token.text) <= 2)  # 'smile (left)', 'EYES_LOOK_UP_L'
            made.sides.append(Side(str(token.value), "on" if aside else how))
        elif isinstance(token.value, float):
            degrees.append(token.value)
            made.of_all |= token.lemma == "letter" and any(other.lemma == "intensity" for other in chunk)
        elif token.kind == "scene":
            _read_scene(token, made, said)
        elif token.kind in ("unknown", "unfit"):
            made.strange.append(token)
        made.negative |= token.kind == "negation"
        made.of_all |= token.lemma in ("all", "everything")
        place = token.lemma if token.kind == "preposition" else place if token.kind in _PASSING else ""
    if {"down", "drop", "out"} & set(made.acts) and any(token.text.casefold() == "lip" for token in chunk):
        made.parts = ["lower lip" if part == "lip" else part for part in made.parts]
    if len(made.parts) > 1 and "face" in made.parts:
        made.parts.remove("face")
    _read_article(chunk, made)
    if degrees:
        weaker = any(token.kind == "booster" for token in chunk) and min(degrees) < 0.5
        made.degree = min(degrees) * (0.6 if weaker else 1.0)
    return made


_MORE = frozenset(
    "more mostly mainly especially stronger higher wider bigger greater primarily predominantly deeper".split()
)


def _read_code(token: Token, made: Clause) -> list[float]:
    """A FACS unit; its letter is returned as a strength. AU30 is the jaw going to its side."""
    sides = {"l": "left", "r": "right", "u": "one"}
    made.sides += [Side(sides[mark], "bare") for mark in token.lemma if mark in sides]
    if token.value == "30":
        made.parts.append("jaw")
        made.acts.append("sideways")
    elif token.value in UNITS:
        made.looks.append(UNITS[str(token.value)])
    else:
        thing = next((thing for units, thing in UNFIT_UNITS.items() if token.value in units.split()), "")
        made.strange.append(replace(token, kind="unfit" if thing else "unknown", value=thing))
    return [LETTERS[mark] for mark in token.lemma.partition("|")[2] if mark in LETTERS]


def _how(chunk: Sequence[Token], at: int, place: str) -> str:
    """How the side at a place is said."""
    of_side = False
    for token in chunk[at + 1 :]:
        if token.kind == "part":
            return "adjective"
        of_side |= token.lemma in ("side", "sides")
        if token.kind not in ("filler", "modifier", "act", "degree", "booster", "preposition"):
            break
    plain = "on" if of_side else "bare"
    return {"to": "to", "toward": "to", "towards": "to", "into": "to", "on": "on", "at": "on"}.get(place, plain)


def _read_scene(token: Token, made: Clause, said: frozenset[str]) -> None:
    """The scene with most words that has this one and is all in the prompt; a word of no whole scene is strange."""
    fitting = [scene for scene in SCENES if token.lemma in scene and scene <= said]
    if fitting:
        made.looks.append(SCENES[max(fitting, key=len)])
    else:
        thing = next((thing for thing, (text, _) in words.UNFIT.items() if token.lemma in text.split()), "")
        made.strange.append(replace(token, kind="unfit" if thing else "unknown", value=thing))


_PAIRED = frozenset(("eye", "eyebrow", "brow", "eyelid", "cheek", "corner"))


def _read_article(chunk: Sequence[Token], made: Clause) -> None:
    """'an eyebrow raised' is one of two; 'a furrowed brow' is both."""
    if made.sides or not set(made.acts) & {"up", "close", "narrow", "open", "drop", "droop", "puff"}:
        return
    for at, token in enumerate(chunk):
        if token.lemma in ("a", "an"):
            part = next(
                (other for other in chunk[at + 1 : at + 4] if other.kind not in ("act", "degree", "booster")), None
            )
            if part and part.kind == "part" and part.text.casefold() in _PAIRED:
                made.sides.append(Side("one", "adjective"))
