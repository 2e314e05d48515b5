"""Captions for training: random English, FACS codes and ARKit names that say the same as strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from random import Random
from types import MappingProxyType

from engine.diffusion.language.looks import PAIRS, SAID, SINGLES, UNITS, Look, Mix
from engine.diffusion.language.phrases import LETTERS
from engine.diffusion.language.words import load
from engine.vocabulary import EXPRESSIONS, NAMES, NEUTRAL

_TABLES = load("captions")
PARAPHRASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(text.strip() for text in _TABLES["paraphrases"][name].split("|")) for name in NAMES}
)
"""Expression name -> other ways to say it on both sides, each the row at strength 1."""

_ACTIONS: Mapping[str, str] = MappingProxyType(_TABLES["actions"])
_SIDED: Mapping[str, str] = MappingProxyType(_TABLES["sided"])
_ANY_SIDED = (
    "{} on the {side}",
    "{} on the {side} side",
    "{}, {side} side only",
    "{} ({side})",
    "{}, only on the {side}",
)
_UNDIVIDED = frozenset(("Jaw Forward", "Jaw Left", "Jaw Right", "Mouth Left", "Mouth Right", "Neutral"))
_ADVERBS: Mapping[str, float] = MappingProxyType({
    "barely": 0.2, "very slightly": 0.21, "slightly": 0.35, "a little": 0.35, "a bit": 0.35, "gently": 0.35,
    "halfway": 0.5, "partly": 0.5, "moderately": 0.6, "quite": 0.75, "almost fully": 0.8, "strongly": 1.0,
    "fully": 1.0, "completely": 1.0, "as much as possible": 1.0, "extremely": 1.0,
})  # fmt: skip
_AFTER = frozenset(("as much as possible", "halfway", "a bit", "a little"))
_NEAR = 0.09
"""A strength word or letter may be this far from the strength."""
_OPENINGS = (
    "a face with ", "please, ", "the character has ", "show me ", "an expression with ", "I want ", "make a face: ",
    "he has ", "she has ", "can you do ", "expression: ", "give him ", "now ", "her face shows ", "someone with ",
    "portrait with ",
)  # fmt: skip
_ENDS = (".", "!", " please", ", please", ", thanks")
_JOINTS = (" + ", ", ", "; ", " and ", " with ", " while ", ", and ", " & ", " plus ", ", also ")


def caption(strengths: Sequence[Sequence[float]], random: Random) -> str:
    """A prompt that says the same as `strengths` [left 32, right 32], worded at random; one-sided where they are."""
    left, right = strengths
    asked = [
        (name, (float(left[at]), float(right[at])))
        for at, name in enumerate(NAMES)
        if name != NEUTRAL and max(left[at], right[at]) > 0.0
    ]
    if not asked:
        return _dressed(random.choice(PARAPHRASES[NEUTRAL] + ("Neutral", EXPRESSIONS[0].prompt, "AU0")), random)
    mood = _mood(dict(asked), random)
    if mood and random.random() < 0.6:
        return _dressed(mood, random)
    random.shuffle(asked)
    style = random.choices((_worded, _named, _coded, _shaped), (6, 1, 1, 1))[0]
    parts = [part for name, pair in asked for part in _sides(name, pair, style, random)]
    if style is _coded and random.random() < 0.5:
        return "+".join(parts)
    if style is not _worded:
        return random.choice((" + ", ", ", "; ")).join(parts)
    return _dressed(random.choice(_JOINTS).join(parts), random)


_Style = Callable[[str, str, float, Random], str]


def _sides(name: str, pair: tuple[float, float], style: _Style, random: Random) -> list[str]:
    """One part where both sides are alike or one is still, else one for each side."""
    left, right = pair
    if name in _UNDIVIDED or abs(left - right) < 0.02:
        return [style(name, "", max(left, right), random)]
    return [
        style(name, side, strength, random) for side, strength in (("left", left), ("right", right)) if strength > 0.0
    ]


def _worded(name: str, side: str, strength: float, random: Random) -> str:
    """English: a paraphrase, or a verb and what it is done to."""
    choices: list[str] = []
    for entry in filter(None, _ACTIONS.get(name, "").split(";")):
        verbs, plural, single = (piece.strip() for piece in entry.split(">"))
        verb, done = random.choice(verbs.split()).replace("-", " ").split("/")
        thing = random.choice((single if side else plural).split(",")).strip()
        choices += [f"{verb} {random.choice(('the', 'your', 'his', 'her'))} {thing}", f"{thing} {done}"]
        if not side and " " not in done:
            choices.append(f"{done} {thing}")
    plain = (*PARAPHRASES[name], name)
    if side:
        choices += [text.strip() for text in _SIDED.get(name, "").split("|") if text.strip()]
        outright = [text for text in plain if text not in SAID or SAID[text].said]  # a mood has no side
        choices.append(random.choice(_ANY_SIDED).replace("{}", random.choice(outright)))
    else:
        choices += plain
    return _measured(random.choice(choices).replace("{side}", side), strength, random)


def _named(name: str, side: str, strength: float, random: Random) -> str:
    """The vocabulary's name, as sliders show it."""
    text = random.choice((name, name.casefold()))
    if side:
        text = random.choice((f"{text} on the {side}", f"{text} ({side})", f"{text} ({side[0].upper()})"))
    return text if strength > 0.95 else f"{text} {_number(strength, random)}"


def _coded(name: str, side: str, strength: float, random: Random) -> str:
    """FACS units with intensities; the name where no unit stands for the row."""
    units = [unit for unit, look in UNITS.items() if _is(look, name)]
    if name in ("Jaw Left", "Jaw Right"):
        units, side = ["30"], name.split()[1].casefold()
    if not units:
        return _named(name, side, strength, random)
    unit = random.choice(units)
    letter = next((mark for mark, value in LETTERS.items() if abs(value - strength) < _NEAR), "")
    mark = letter.upper() if letter and (strength < 0.95 or random.random() < 0.5) else ""
    if side:
        text = random.choice(
            (f"AU{unit}{side[0].upper()}{mark}", f"{side[0].upper()}{unit}{mark}", f"AU{unit}{mark} {side}")
        )
    else:
        text = f"AU{random.choice(('', '', ' '))}{unit}{mark}"
    return text if letter or strength > 0.95 else f"{text} {_number(strength, random)}"


def _shaped(name: str, side: str, strength: float, random: Random) -> str:
    """ARKit blend shapes; the name where none stands for the row."""
    wanted = ((side != "right") * 1.0, (side != "left") * 1.0)
    named = [(stem, meant.mix()) for stem, meant in (*SINGLES.items(), *PAIRS.items())]
    named += [(stem + end, meant.mix({end.casefold()})) for stem, meant in PAIRS.items() for end in ("Left", "Right")]
    shapes = [shape for shape, mix in named if {row: pair for row, pair in mix.items() if any(pair)} == {name: wanted}]
    if not shapes and not side:
        halves = [_shaped(name, half, strength, random) for half in ("left", "right")]
        return (
            " ".join(halves)
            if all(half[:3] in ("eye", "mou", "bro") for half in halves)
            else _named(name, side, strength, random)
        )
    if not shapes:
        return _named(name, side, strength, random)
    return f"{random.choice(shapes)}{random.choice(('=', ' ', ': '))}{strength:.2f}"


def _is(look: Look, name: str) -> bool:
    return len(look.rows) == 1 and look.rows[0][:3] == (name, 1.0, 1.0) and not look.rows[0].one


def _measured(text: str, strength: float, random: Random) -> str:
    """With a strength word or number; none where the strength is full."""
    adverbs = [word for word, value in _ADVERBS.items() if abs(value - strength) < _NEAR]
    if strength > 0.95 and random.random() < 0.75:
        return text
    if not adverbs or random.random() < 0.4:
        return f"{text}{random.choice((' ', ' at ', ': ', ', '))}{_number(strength, random)}"
    word = random.choice(adverbs)
    return f"{text} {word}" if word in _AFTER or random.random() < 0.4 else f"{word} {text}"


def _number(strength: float, random: Random) -> str:
    return random.choice((f"{strength:.2f}", f"{strength:.1f}" if abs(strength * 10 % 1) < 0.01 else f"{strength:.2f}",
                          f"{round(strength * 100)}%"))  # fmt: skip


def _mood(asked: Mapping[str, tuple[float, float]], random: Random) -> str:
    """A word for a mood or scene that has just these rows, '' where there is none."""
    fitting = []
    for word, mix in _moods().get(frozenset(asked), ()):
        pairs = [(want, have) for name in mix for want, have in zip(asked[name], mix[name], strict=True)]
        share = sum(want * have for want, have in pairs) / sum(have * have for _, have in pairs)
        if share > 0.15 and all(abs(want - share * have) < _NEAR for want, have in pairs):
            fitting.append((word, share))
    if not fitting:
        return ""
    word, share = random.choice(fitting)
    return _measured(word, min(share, 1.0), random)


@lru_cache(maxsize=1)
def _moods() -> dict[frozenset[str], list[tuple[str, Mix]]]:
    """Words for moods and scenes of more than one row, by their rows."""
    moods: dict[frozenset[str], list[tuple[str, Mix]]] = {}
    for word, look in SAID.items():
        mix = look.mix()
        if len(mix) > 1:
            moods.setdefault(frozenset(mix), []).append((word, mix))
    return moods


def _dressed(text: str, random: Random) -> str:
    """With or without words that say nothing."""
    if random.random() < 0.25:
        text = random.choice(_OPENINGS) + text
    if random.random() < 0.2:
        text += random.choice(_ENDS)
    return text[:1].upper() + text[1:] if random.random() < 0.3 else text
