"""Chunks -> clauses: the parts, actions, looks, sides and degree of one thing said, as they stand in the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from engine.diffusion.language import words
from engine.diffusion.language.chunks import PASSING, chunks
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
    """Parts of the face, with 'lower ' or 'upper ' before lip, lid and teeth where said."""
    acts: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    sides: list[Side] = field(default_factory=list)
    degree: float | None = None
    exact: bool = False
    """The degree is a number or a FACS intensity: the strength itself, no share of what the words mean."""
    of_all: bool = False
    """The degree is meant for all that came before too ('AU4+AU7 intensity C')."""
    negative: bool = False
    uneven: bool = False
    """More on the side said than on the other."""
    carried: bool = False
    """Takes its part or action from the clause before: a degree said later is of both."""
    act_first: bool = False
    """A verb stands before the part: 'raise the brows', not 'brows up'."""
    pronoun: bool = False
    """Speaks of 'it' or 'them': the part before."""
    strange: list[Token] = field(default_factory=list)
    """Words not known, or known as nothing that an expression can do."""

    @property
    def active(self) -> list[str]:
        """Actions that say something by themselves."""
        teeth = any(part.endswith("teeth") for part in self.parts)
        return [act for act in self.acts if act not in words.LIGHT or (teeth and act == "show")]


MANNERS = frozenset(("like", "in", "with", "from", "out", "of", "for", "at", "against"))
"""Joints before the look or mood that goes with what was said."""
_TO = {"to": "to", "toward": "to", "towards": "to", "into": "to", "on": "on", "at": "on"}
_CODE_SIDES = {"l": "left", "r": "right", "u": "one"}
_ALL_OF_IT = frozenset(("everything", "yourself", "facial"))
"""The whole face, where no part is named: 'everything pulled apart', 'stretch all facial muscles'."""
_PAIRED = frozenset(("eye", "eyebrow", "brow", "eyelid", "cheek", "corner"))
_ONE_OF_TWO = frozenset(("up", "close", "narrow", "open", "drop", "droop", "puff"))


def clauses(tokens: Sequence[Token]) -> list[Clause]:
    """Cut tokens into clauses and read each."""
    said = frozenset(token.lemma for token in tokens)
    made: list[Clause] = []
    led: float | None = None
    for joint, chunk in chunks(tokens):
        clause = _clause(chunk, joint, said)
        coded = any(token.kind == "code" for token in chunk)
        if coded and joint == "+" and clause.degree is None:
            clause.degree = led  # 'slight AU1+2' is slight in both
        else:
            led = clause.degree if coded and chunk[0].kind in ("degree", "number") else None
        last = made[-1] if made else Clause("")
        clause.negative |= joint in ("or", "nor") and last.negative
        if joint.isalpha() and not (last.parts or last.acts or last.looks):
            clause.negative |= last.negative  # 'but not with the eyes'
        if joint in ("or", "and") and last.joint in MANNERS and not (clause.parts or clause.acts):
            clause.joint = last.joint  # in surprise or fear
        made.append(clause)
    return made


def _clause(chunk: Sequence[Token], joint: str, said: frozenset[str]) -> Clause:
    """Read one chunk; `said` are all words of the prompt, for scenes of several words."""
    made = Clause(" ".join(token.text for token in chunk), joint)
    made.uneven = any(token.text.casefold() in words.MORE for token in chunk)
    than = next((at for at, token in enumerate(chunk) if token.lemma == "than"), len(chunk))
    made.uneven |= any(token.text.casefold().endswith("er") for token in chunk[:than]) and than < len(chunk)
    chunk = chunk[:than]  # 'higher than the right one', 'wider than usual'
    degrees: list[float] = []
    place = ""
    for at, token in enumerate(chunk):
        if token.kind == "code":
            degrees += _read_code(token, made)
        elif token.kind == "side":
            how = _how(chunk, at, place)
            aside = how == "bare" and (joint == "(" or len(token.text) <= 2)  # 'smile (left)', 'EYES_LOOK_UP_L'
            made.sides.append(Side(str(token.value), "on" if aside else how))
        elif token.kind == "scene":
            _read_scene(token, made, said)
        elif isinstance(token.value, float):
            degrees.append(token.value)
        else:
            _read_word(token, made)
        place = token.lemma if token.kind == "preposition" else place if token.kind in PASSING else ""
    _read_together(chunk, made)
    if degrees:
        weaker = any(token.kind == "booster" for token in chunk) and min(degrees) < 0.5
        made.degree = min(degrees) * (0.6 if weaker else 1.0)
        made.exact = any(token.kind in ("code", "number") for token in chunk)
    return made


def _read_word(token: Token, made: Clause) -> None:
    if token.kind == "part":
        made.parts.append(str(token.value))
    elif token.kind == "act":
        made.act_first |= not made.parts and token.text.casefold() not in words.PARTICLES
        made.acts += ("look", "sideways") if token.value == "askance" else (str(token.value),)
    elif isinstance(token.value, Look):
        made.looks.append(token.value)
    elif token.kind in ("unknown", "unfit"):
        made.strange.append(token)
    made.negative |= token.kind == "negation"


def _read_code(token: Token, made: Clause) -> list[float]:
    """A FACS unit; its letter is returned as a strength. AU30 is the jaw going to its side."""
    made.sides += [Side(_CODE_SIDES[mark], "bare") for mark in token.lemma if mark in _CODE_SIDES]
    if token.value == "30":
        made.parts.append("jaw")
        made.acts.append("sideways")
    elif token.value in UNITS:
        made.looks.append(UNITS[str(token.value)])
    else:
        thing = next((thing for thing, units in UNFIT_UNITS.items() if token.value in units.split()), "")
        made.strange.append(replace(token, kind="unfit" if thing else "unknown", value=thing))
    return [LETTERS[mark] for mark in token.lemma.partition("|")[2] if mark in LETTERS]


def _how(chunk: Sequence[Token], at: int, place: str) -> str:
    """How the side at a place is said."""
    of_side = False
    if at + 1 < len(chunk) and chunk[at + 1].value == "pull":
        return "to"  # 'a left-shifted mouth'
    for token in chunk[at + 1 :]:
        if token.kind == "part" and not (of_side and token.value == "face"):
            return "adjective"
        of_side |= token.lemma == "side"
        if token.kind not in ("filler", "modifier", "act", "degree", "booster", "preposition"):
            break
    return _TO.get(place, "on" if of_side else "bare")


def _read_scene(token: Token, made: Clause, said: frozenset[str]) -> None:
    """The scene with most words that has this one and is all in the prompt; a word of no whole scene is strange."""
    fitting = [scene for scene in SCENES if token.lemma in scene and scene <= said]
    if fitting:
        made.looks.append(SCENES[max(fitting, key=len)])
    else:
        thing = words.UNFIT_WORDS.get(token.lemma, "")
        made.strange.append(replace(token, kind="unfit" if thing else "unknown", value=thing))


def _read_together(chunk: Sequence[Token], made: Clause) -> None:
    """What several words of a chunk say that none of them says alone."""
    lemmas = {token.lemma for token in chunk}
    made.pronoun = bool(lemmas & {"it", "they", "them"}) and not made.parts
    if not (made.parts or made.looks) and made.active and lemmas & _ALL_OF_IT:
        made.parts = ["face"]
    eyes = bool({"eye", "lid"} & set(made.parts))
    made.of_all = bool(lemmas & {"all", "everything"}) or lemmas >= {"letter", "intensity"}
    if {"down", "drop", "out"} & set(made.acts) and any(token.text.casefold() == "lip" for token in chunk):
        made.parts = ["lower lip" if part == "lip" else part for part in made.parts]  # a single lip
    if "face" in made.parts and (len(made.parts) > 1 or (made.looks and not made.active)):
        made.parts.remove("face")
    if "sideways" in made.acts and any(token.value == "askance" for token in chunk) and {"up", "down"} & set(made.acts):
        made.acts.remove("sideways")  # 'avert your gaze downwards'
    if "close" in made.acts and lemmas & ({"hard"} if eyes else {"hard", "strong"}):
        made.acts.append("tight")
    if "open" in made.acts and eyes and any(token.kind == "booster" or token.value == 1.0 for token in chunk):
        made.acts.append("wide")  # very open, fully open
    if made.sides or not _ONE_OF_TWO & set(made.acts):
        return
    for at, token in enumerate(chunk):  # 'an eyebrow raised' is one of two, 'a furrowed brow' both
        if token.lemma in ("a", "an"):
            part = next(
                (other for other in chunk[at + 1 : at + 4] if other.kind not in ("act", "degree", "booster")), None
            )
            if part and part.kind == "part" and part.text.casefold() in _PAIRED:
                made.sides.append(Side("one", "adjective"))
