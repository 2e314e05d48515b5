"""Tokens -> chunks, one for each thing said: what needs a neighbour is settled first, then the row of tokens is cut."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from engine.diffusion.language import words
from engine.diffusion.language.looks import Look
from engine.diffusion.language.tokens import Token

PASSING = frozenset(("filler", "side", "degree", "number", "booster", "modifier", "preposition"))
"""Kinds that come between a part and its action."""
_NOTHING = Token("", "")
_PLACES = words.PLACES | {"in front"}
_SPOTS = frozenset(["in", "at", "on", "by", "through", "into", "about"])
_MODIFIED = {"upper": ("lip", "lid", "teeth"), "lower": ("lip", "lid", "teeth", "jaw")}
_UP_DOWN = {"upper": "up", "lower": "down"}
_GOES_IN = frozenset(["suck", "pull", "push", "press", "roll", "squeeze", "tight", "curl", "bite", "puff", "blow"])
_GAZES = frozenset(["up", "down", "look"])
"""Of the pupils: where they go is where the eyes look."""
_COMPOUNDS = {
    frozenset(("eye", "lid")): "lid",
    frozenset(("eye", "brow")): "brow",
    frozenset(("eye", "corner")): "eye",
    frozenset(("brow", "corner")): "brow",
    frozenset(("chin", "lip")): "chin",
    frozenset(("mouth", "corner")): "corner",
    frozenset(("lip", "corner")): "corner",
}


def chunks(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """The join or preposition before each chunk ('like' for all comparisons), and its tokens."""
    return _cut(_placed(_modified(tokens)))


def _modified(tokens: Sequence[Token]) -> list[Token]:
    """Settle what depends on what follows: 'lower lip' or 'lower the lip', 'suck in' or 'in a circle'."""
    made: list[Token] = []
    modifier = ""
    looking = any(token.value in ("look", "stare") for token in tokens)
    for at, token in enumerate(tokens):
        if token.kind == "modifier":
            token, modifier = _modifier(tokens, at)
        elif token.kind == "part" and modifier:
            token = token if token.value == "jaw" else replace(token, value=f"{modifier} {token.value}")
            modifier = ""
        elif token.lemma == "depress" and any(
            t.value in ("lip", "jaw", "corner") for t in tokens[max(at - 7, 0) : at + 8]
        ):
            token = Token("act", token.text, "down", "depress")
        elif token.value == "the pupils" and any(t.kind == "side" or t.value in _GAZES for t in tokens):
            token = Token("part", token.text, "eye", "eye")
        elif token.lemma == "one" and at and tokens[at - 1].kind == "modifier":
            token = Token("filler", token.text)  # 'against the upper one'
        elif token.lemma in ("above", "below") and _ahead(tokens, at).kind in ("part", "unfit"):
            token = Token("preposition", token.text, "", token.lemma)
        elif token.lemma in ("low", "tilt") and _of_part(tokens, at):
            token = Token("act", token.text, "down" if token.lemma == "low" else "pull", token.lemma)
        elif token.lemma == "out" and [t.lemma for t in tokens[at + 1 : at + 2]] == ["of"] and looking:
            token = Token("filler", token.text)  # 'look out of the corner of your eye'
        elif token.lemma == "in" and _no_action(tokens, at):
            token = Token("preposition", token.text, "", "in")
        elif token.value == "face" and [t.lemma for t in tokens[max(at - 2, 0) : at]] == ["make", "a"]:
            token = Token("filler", token.text)
        made.append(token)
    return made


def _of_part(tokens: Sequence[Token], at: int) -> bool:
    """Whether the word at a place is said of a part before it: 'brows low', not 'jaw open at low intensity'."""
    before = tokens[max(at - 3, 0) : at]
    return any(token.kind == "part" for token in before) and before[-1].kind != "preposition"


def _ahead(tokens: Sequence[Token], at: int) -> Token:
    """The next token after a place that is no filler."""
    return next((token for token in tokens[at + 1 :] if token.kind != "filler"), _NOTHING)


def _modifier(tokens: Sequence[Token], at: int) -> tuple[Token, str]:
    """'lower', 'upper', 'top': nothing and what to put before the next part's name, or an action, or nothing."""
    token = tokens[at]
    after = [other for other in tokens[at + 1 : at + 5] if other.lemma not in ("row", "set", "of")][:3]
    parts = [other for other in after if other.kind != "side"]
    name, deeper = [*parts, _NOTHING, _NOTHING][:2]
    near = bool(after) and after[0].kind in ("part", "side")
    if near and name.value in _MODIFIED[str(token.value)] and deeper.value != "corner":
        return Token("filler", token.text), str(token.value)
    if (near and not parts) or token.lemma == "lower":  # 'eyes to the upper left', 'lower the brows'
        return Token("act", token.text, _UP_DOWN[str(token.value)], token.lemma), ""
    return Token("filler", token.text), ""


def _no_action(tokens: Sequence[Token], at: int) -> bool:
    """Whether the 'in' at a place is no action: 'in surprise', 'in a circle', 'a dimple in the cheek'."""
    verb = at > 0 and tokens[at - 1].value in _GOES_IN
    for token in tokens[at + 1 :]:
        if token.kind in ("mix", "scene") or token.value in ("up", "down", "relax"):
            return True
        if token.lemma in ("a", "an"):
            return not any(other.lemma in ("bit", "little", "lot", "tad") for other in tokens[at + 1 : at + 4])
        if token.kind in ("part", "unfit"):
            return not verb
        if token.kind not in ("filler", "degree", "booster", "side", "modifier"):
            break
    return False


def _placed(tokens: Sequence[Token]) -> list[Token]:
    """Join 'corner of the mouth' to one part; what only says where to ('up to the ears') becomes a filler."""
    made: list[Token] = []
    place = ""
    for token in tokens:
        there = place in _PLACES and any(other.kind in ("part", "mix") for other in made)
        if token.kind == "unfit":  # 'look at the baby in her arms'
            there |= place in _PLACES | _SPOTS and any(other.kind in ("part", "mix", "act") for other in made)
        if token.kind in ("join", "preposition") or token.lemma in _PLACES:
            place = place if token.lemma == "of" and place in _PLACES else token.lemma
        elif token.kind in ("part", "unfit"):
            last = next((at for at in reversed(range(len(made))) if made[at].kind not in PASSING), None)
            joined = _compound(made[last], token) if last is not None else ""
            if joined and last is not None:
                made[last] = replace(made[last], value=joined)
            if joined or there:
                token = Token("filler", token.text)
            place = ""
        elif token.kind not in PASSING:
            place = ""
        made.append(token)
    return made


def _compound(first: Token, second: Token) -> str:
    """The one part that two in a row name, '' if they are two."""
    if first.kind != "part" or second.kind != "part":
        return ""
    if second.value == "face":
        return str(first.value)
    return _COMPOUNDS.get(frozenset(str(part.value).split()[-1] for part in (first, second)), "")


def _cut(tokens: Sequence[Token]) -> list[tuple[str, list[Token]]]:
    """Cut at joins, and where a second thing begins without one ('eyes closed mouth open')."""
    made: list[tuple[str, list[Token]]] = [("", [])]
    preposition = ""
    for at, token in enumerate(tokens):
        joint, current = made[-1]
        if token.kind == "join" and joint == "like" and not current and token.lemma.isalpha():
            continue  # 'like after a long day'
        if token.kind in ("join", "compare"):
            made.append(("like" if token.kind == "compare" else token.lemma, []))
            continue
        after_bracket = joint == ")" and current and {other.kind for other in current} == {"number"} != {token.kind}
        if after_bracket:
            made.append(("", [token]))
        elif _begins(current, token, _after(tokens, at)):
            moved = _leading(current, token)
            manner = isinstance(token.value, Look) and not token.value.said and token.text.casefold().endswith("ly")
            made.append(("like" if manner else preposition, [*moved, token]))
        else:
            current.append(token)
        if token.kind == "preposition" or token.kind not in PASSING:
            preposition = token.lemma if token.kind == "preposition" else ""
    return [(joint, chunk) for joint, chunk in made if chunk]


def _after(tokens: Sequence[Token], at: int) -> Token:
    """The next word of weight after a place; after a verb its particle ('pull down') is passed over."""
    verb = tokens[at].kind == "act"
    manner = tokens[at].value in words.SOFT or tokens[at].text.casefold().endswith("ly")
    for token in tokens[at + 1 :]:
        if token.kind == "preposition" and manner:
            return token
        particle = verb and token.kind == "act" and token.text.casefold() in words.PARTICLES
        if token.kind not in PASSING and not particle:
            return token
    return _NOTHING


def _begins(current: Sequence[Token], token: Token, after: Token) -> bool:
    """Whether `token` says a second thing after `current`; `after` is the next word of weight."""
    kinds = {other.kind for other in current}
    parts = {str(other.value) for other in current if other.kind == "part"}
    acts = {other.value for other in current if other.kind == "act"}
    showing = acts and any(part.endswith("teeth") for part in parts)
    full = bool(parts) and bool(acts - {"show"} or showing)
    lookish = bool(kinds & {"mix", "code", "scene"})
    if token.kind == "part":
        return full or (lookish and after.kind == "act" and after.value not in words.LIGHT)
    if token.kind == "act":
        verb = token.text.casefold() not in words.PARTICLES
        looked = "look" in acts and "side" in kinds
        alone = "mix" in kinds and token.value in ALONE - {"blow"}
        return verb and ((after.kind == "part" and (full or lookish or looked or parts == {"face"})) or alone)
    if token.kind in ("mix", "scene"):
        busy = full and bool(acts - words.LIGHT - (words.SOFT.keys() if _described(current) else set()))
        return busy or "code" in kinds or _second_look(current, token, acts)
    if token.kind == "code":
        return bool(kinds & {"code", "mix", "part"})
    if token.kind == "negation":
        return bool(acts) or lookish
    return token.kind == "side" and after.kind in ("", "join") and _second_side(current, token)


ALONE = frozenset(words.OWN_PART) - words.LIGHT
"""Actions that say enough without a part."""


def _second_look(current: Sequence[Token], token: Token, acts: AbstractSet[object]) -> bool:
    """Whether a smile follows a wink: both are said outright."""
    said = isinstance(token.value, Look) and token.value.said
    before = any(isinstance(other.value, Look) and other.value.said for other in current)
    return said and (before or bool(acts & ALONE))


def _second_side(current: Sequence[Token], token: Token) -> bool:
    """Whether 'right 0.2' begins after 'left 0.5'."""
    sides = [at for at, other in enumerate(current) if other.kind == "side"]
    counted = any(other.kind in ("number", "degree") for other in current[sides[0] :]) if sides else False
    return counted and token.value not in {current[at].value for at in sides}


def _described(current: Sequence[Token]) -> bool:
    """Whether a chunk ends in 'a wide', 'a small': said of what follows."""
    return len(current) > 1 and current[-1].value in words.SOFT and current[-2].lemma in ("a", "an")


def _leading(current: list[Token], token: Token) -> list[Token]:
    """Take off a chunk the last words that belong to the next thing: 'slightly', 'the', before a part 'left'."""
    first = next((at for at, other in enumerate(current) if other.kind not in PASSING), 0)
    sided = any(other.kind == "side" for other in current[:first])
    keeps = token.kind in ("act", "negation", "side") or (token.kind in ("code", "mix") and not sided)
    stay = ("number", "side") if keeps else ("number",)
    count = 1 if token.kind == "mix" and _described(current) else 0
    while count < len(current) and current[-1 - count].kind in PASSING and current[-1 - count].kind not in stay:
        count += 1
    moved = current[len(current) - count :]
    del current[len(current) - count :]
    return moved
