"""Prompts -> strengths of the 32 rows -> FACS: what people type, as the condition that sliders give too.

`parse_prompt` understands the vocabulary's names, free English about parts of the face, moods, scenes ('as if biting
a lemon'), FACS codes and ARKit names, with sides, degrees and negation; the tables are in
`engine.diffusion.language`. What it does not understand it says. Left and right are the subject's. Imports no torch:
the viewer may check a prompt before the model is loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from engine.diffusion.language.clauses import Clause, clauses
from engine.diffusion.language.filling import filled, idle, moodily, rests, smiles, turned
from engine.diffusion.language.looks import UNITS, Look, Mix
from engine.diffusion.language.phrases import EITHER, REGIONS, RIVALS
from engine.diffusion.language.rules import Statement, rows_of_act, statements
from engine.diffusion.language.tokens import FORMS, WORDS, read
from engine.diffusion.language.words import UNFIT
from engine.errors import VocabularyError
from engine.vocabulary import EXPRESSIONS, NAMES, NEUTRAL

_SMALLEST = 0.02
"""Strengths below it are none."""
_EXACT = {_text.casefold(): entry.name for entry in EXPRESSIONS for _text in (entry.name, entry.prompt)}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a prompt means, and its words that nothing was made of."""

    mix: Mix
    unread: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people: 'Lip Corner Puller 0.5 left, Jaw Open; not read: zebra'."""
        rows = ", ".join(_said_row(name, pair) for name, pair in self.mix.items())
        return f"{rows}; not read: {', '.join(self.unread)}" if self.unread else rows


def _said_row(name: str, pair: tuple[float, float]) -> str:
    left, right = (f"{value:.2g}" for value in pair)
    if left == right:
        return name if left == "1" else f"{name} {left}"
    sides = [f"{value} {side}" for value, side in ((left, "left"), (right, "right")) if value != "0"]
    return f"{name} {' and '.join(sides)}"


def parse_prompt(prompt: str) -> Mix:
    """'crooked smile, left eye half closed' -> {'Lip Corner Puller': (1.0, 0.0), 'Eye Blink': (0.5, 0.0)}.

    Row name -> strength 0..1 on the subject's left and right. One side without saying which ('wink', 'one brow up') is
    the left. 'Neutral' only where the prompt asks for it or for a strength of zero. A comparison, or the mood that
    something is done in, tells how, not what: beside an action ('raise your brows as if surprised') it adds nothing;
    alone ('like you smell something bad') it is what is meant.
    Words that are not understood beside others that are can be had from `understand`. VocabularyError where nothing is
    understood, or asked for what cannot be done, with the nearest known expressions.
    """
    return understand(prompt).mix


def understand(prompt: str) -> Reading:
    """`parse_prompt` with what it could leave unread, for the user to be told."""
    exact = _EXACT.get(" ".join(prompt.casefold().split()))
    if exact:
        return Reading({exact: (1.0, 1.0)})
    found = filled(clauses(read(prompt)))
    unread: list[str] = []
    for clause in list(found):
        if clause.strange:
            unread += _leave_unread(clause, found, prompt)
    smiling = any(smiles(clause.looks) for clause in found)
    calm = smiling or any(rests(clause) for clause in found)
    stated = any(clause.joint != "like" and not clause.negative and clause.active for clause in found)
    said: list[Statement] = []
    halves: list[str] = []
    for clause in found:
        if stated and (clause.joint == "like" or moodily(clause)):
            continue  # how, not what: 'look up like you are thinking'
        lost = clause.active and not clause.parts and not clause.looks
        half = lost or (idle(clause) and "relax" not in clause.acts)
        meant = None if half else statements(clause, smiling, calm)
        if meant is not None:
            said += meant
            continue
        wrong = "half of an instruction" if half else "nothing that a face here can do"
        halves.append(f"prompt '{prompt}': '{clause.text}' is {wrong}; {_hint([], clause)}")
        unread.append(clause.text)
    if halves and not any(one.mix and not one.negative for one in said):
        raise VocabularyError(halves[0])
    return Reading(_merged(said, prompt), tuple(unread))


def _merged(said: Sequence[Statement], prompt: str) -> Mix:
    """One mix: what is said outright over moods, without what is negated or compared to what is there already."""
    if not said:
        raise VocabularyError(
            f"prompt '{prompt}': expected an expression such as 'Jaw Open 0.5 + Brows Up', found nothing"
        )
    sure = {row for one in said if one.weight and not (one.guessed or one.negative) for row in one.mix}
    levels: tuple[Mix, Mix, Mix] = ({}, {}, {})
    for late in (False, True):
        before = {row for mix in levels[1:] for row, pair in mix.items() if any(pair)}
        for one in said:
            if one.negative or one.compared is not late or (late and before & one.mix.keys()):
                continue
            level = levels[one.weight]
            for row, pair in one.mix.items():
                if not (one.guessed and row in sure):
                    level[row] = _most(pair, level.get(row, (0.0, 0.0)))
    resting = [one.rest for one in said if one.rest and not one.negative]
    moods, looks, acts = levels
    if looks.keys() >= EITHER and acts.keys() & EITHER:
        looks = {row: pair for row, pair in looks.items() if row not in EITHER - acts.keys()}
    single = {row for one in said if one.weight == 1 and len(one.mix) == 1 for row in one.mix}
    looks = {row: _beside(row, pair, {} if row in single else acts, resting) for row, pair in looks.items()}
    outright = looks | acts | {row: _most(acts[row], looks[row]) for row in single & acts.keys() & looks.keys()}
    mix = outright | {row: _beside(row, pair, outright, resting) for row, pair in moods.items() if row not in outright}
    for one in said:
        if one.negative and one.weight:  # 'surprised, not afraid' is surprised all over
            mix = {row: _without(pair, one.mix.get(row, (0.0, 0.0))) for row, pair in mix.items()}
    made = {
        row: (round(left, 4), round(right, 4)) for row, (left, right) in mix.items() if max(left, right) > _SMALLEST
    }
    if len(made) > 1:
        made.pop(NEUTRAL, None)
    if not made and all(one.negative for one in said):
        raise VocabularyError(f"prompt '{prompt}': expected what the face does, found only what it does not")
    return made or {NEUTRAL: (1.0, 1.0)}


def _most(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    return min(1.0, max(first[0], second[0])), min(1.0, max(first[1], second[1]))


def _without(pair: tuple[float, float], gone: tuple[float, float]) -> tuple[float, float]:
    return pair[0] * (not gone[0]), pair[1] * (not gone[1])


def _beside(row: str, pair: tuple[float, float], over: Mix, resting: Sequence[Mix]) -> tuple[float, float]:
    """A row on the sides where no weightier rival undoes it and nothing is to be at rest."""
    rivals = {other for group in RIVALS if row in group for other in group} - {row}
    for other in rivals & over.keys():
        pair = _without(pair, over[other])
    for rest in resting:
        pair = _without(pair, rest.get(row, (0.0, 0.0)))
    return pair


def _leave_unread(clause: Clause, found: list[Clause], prompt: str) -> list[str]:
    """Pass over what is not understood, or cannot be done, beside what is, to be told; VocabularyError where nothing
    else is said."""
    sense = bool(clause.looks or clause.active or turned(clause))
    others = any(
        not (other.strange or other.negative) and (other.looks or other.active or turned(other)) for other in found
    )
    spoken = clause.joint == "like" and others  # as if about to speak
    unfit = [token for token in clause.strange if token.kind == "unfit" and not (spoken and token.value == "the voice")]
    if unfit and others and not clause.negative:
        found.remove(clause)  # 'nostrils flared' beside a curled lip
        return [clause.text]
    if unfit and not clause.negative:
        things = " and ".join(dict.fromkeys(str(token.value) for token in unfit))
        names = " ".join(token.text for token in unfit)
        near = dict.fromkeys(row for token in unfit for row in UNFIT[str(token.value)])
        raise VocabularyError(
            f"prompt '{prompt}': '{names}' cannot be done, no expression here moves {things}; "
            f"nearest: {', '.join(near)}"
        )
    unknown = [token for token in clause.strange if token.kind == "unknown"]
    compared = clause.joint == "like" and (others or bool(clause.looks))
    if not sense and (others or not (unknown or unfit)):
        found.remove(clause)
    if compared:
        return [clause.text]
    if not unknown:
        return []
    text = " ".join(token.text for token in unknown)
    if not (sense or others):
        raise VocabularyError(
            f"prompt '{prompt}': '{text}' is not understood; {_hint([t.lemma for t in unknown], clause)}"
        )
    return [text if sense else clause.text]


def _hint(unknown: Sequence[str], clause: Clause) -> str:
    """The nearest known expressions: words spelt alike, else what the parts named in the clause can do."""
    names: dict[str, None] = {}
    for word in unknown:
        for form in get_close_matches(word, FORMS, n=4, cutoff=0.76):
            names |= dict.fromkeys(_rows_of(FORMS[form], clause))
    if not names:
        names = dict.fromkeys(row for part in clause.parts for row in REGIONS.get(part.split()[-1], ()))
    if not names:
        names = dict.fromkeys(row.name for look in clause.looks for row in look.rows)
    near = list(names)[:4]
    if not near and any(token.kind == "code" or token.text.casefold().startswith("au") for token in clause.strange):
        return f"known: AU{' '.join(UNITS)} 30"
    if not near:
        keys = {name.casefold(): name for name in NAMES}
        near = [keys[key] for key in get_close_matches(" ".join(unknown) or clause.text, keys, n=3, cutoff=0.0)]
    return f"did you mean {' or '.join(near)}?"


def _rows_of(base: str, clause: Clause) -> Sequence[str]:
    kind, value = WORDS[base]
    if isinstance(value, Look):
        return [row.name for row in value.rows]
    if kind == "act":
        return rows_of_act(str(value), clause.parts)
    return REGIONS.get(str(value), ())[:2] if kind == "part" else ()
