"""The text of a prompt -> tokens: words with their class and meaning, numbers, FACS codes, joins."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from engine.diffusion.language import phrases, words
from engine.diffusion.language.looks import ARKIT, PAIRS, SAID, SCENES, SINGLES, SOUNDS, UNITS, Look, looks
from engine.diffusion.language.spelling import corrected, inflected
from engine.errors import VocabularyError

Value = str | float | Look


@dataclass(frozen=True, slots=True)
class Token:
    """One word, idiom, number, code or sign.

    Kinds: negation join compare modifier side degree booster part act preposition mix scene unfit filler (words by
    their table), number, code (a FACS unit), unknown.
    """

    kind: str
    text: str
    value: Value = ""
    lemma: str = ""


def _tables() -> dict[str, tuple[str, Value]]:
    """Base word -> kind and value; the earlier table wins."""
    known: dict[str, tuple[str, Value]] = {}
    scenes = sorted(word for scene in SCENES for word in scene if word not in words.FILLERS)
    tables: tuple[tuple[str, Mapping[str, Value]], ...] = (
        ("negation", dict.fromkeys(words.NEGATIONS, "")),
        ("join", dict.fromkeys(words.JOINS, "")),
        ("compare", dict.fromkeys(words.COMPARES, "")),
        ("modifier", {"lower": "lower", "bottom": "lower", "upper": "upper", "top": "upper"}),
        ("side", dict(words.SIDES)),
        ("degree", dict(words.DEGREES)),
        ("booster", dict.fromkeys(words.BOOSTERS, "")),
        ("part", dict(words.PARTS)),
        ("act", dict(words.ACTS)),
        ("preposition", dict.fromkeys(words.PREPOSITIONS, "")),
        ("mix", dict(SAID)),
        ("scene", dict.fromkeys(scenes, "")),
        ("unfit", dict(words.UNFIT_WORDS)),
        ("filler", dict.fromkeys(words.FILLERS, "")),
    )
    for kind, table in tables:
        for word, value in table.items():
            known.setdefault(word, (kind, value))
    return known


_BENT = frozenset(("part", "act", "mix", "scene", "unfit", "degree", "filler"))


def _forms(known: dict[str, tuple[str, Value]]) -> dict[str, str]:
    """Every form of every word -> its base; words that only idioms have are added to `known`, unknown by themselves."""
    forms = inflected(word for word, (kind, _) in known.items() if kind in _BENT) | {word: word for word in known}
    texts = [*phrases.PHRASES.values(), *(text for _, _, wordings in words.IDIOMS for text in wordings)]
    idiomatic = {word for text in texts for word in text.split() if word.isalpha() and word not in forms}
    known.update(dict.fromkeys(sorted(idiomatic), ("unknown", "")))
    return inflected(sorted(idiomatic)) | forms


_KNOWN = _tables()
FORMS: Mapping[str, str] = MappingProxyType(_forms(_KNOWN))
"""Every form of every word -> its base."""
WORDS: Mapping[str, tuple[str, Value]] = MappingProxyType(_KNOWN)
"""Base word -> kind and value."""
_MISSPELT = frozenset(("part", "act", "mix", "side", "degree", "modifier", "filler"))
_SPELLINGS = tuple(
    form
    for form, base in FORMS.items()
    if form == base
    or (WORDS[base][0] in _MISSPELT and form.endswith(("s", "ed", "ing", "ly")) and len(form) < len(base) + 4)
)

_DOERS = frozenset(["he", "she", "it", "they", "you", "i", "we", "the", "his", "her", "their", "your", "its", "my"])
"""Words before who or what does something."""


def _base(form: str) -> str:
    """The base of a word; for parts of the face the part's name, so that 'eyebrow' is 'brow'."""
    base = FORMS.get(form, form)
    kind, value = WORDS.get(base, ("", ""))
    return str(value) if kind == "part" else base


def _key(text: str) -> tuple[str, ...]:
    return tuple(_base(word) for word in text.split() if word not in words.UNCOUNTED)


IDIOMS: Mapping[tuple[str, ...], tuple[str, Value]] = MappingProxyType(
    {
        _key(re.sub("(?=[A-Z])", " ", name).casefold()): ("mix", found)
        for name, found in (*PAIRS.items(), *SINGLES.items())
        if len(re.findall("[A-Z]", name)) > 1 and name not in ("eyeLookUp", "eyeLookDown")
    }
    | {_key(text): ("mix", found) for text, found in looks(phrases.PHRASES, split="|").items()}
    | {_key(text): (kind, value) for kind, value, texts in words.IDIOMS for text in texts}
)
"""Base words without determiners -> what they mean together."""
_LONGEST = max(map(len, IDIOMS))

_CODE = (
    r"(?<![a-z0-9.])(?P<au>(?:f?aus?|action\s+units?|facs(?:\s+aus?)?)[\s:.#_-]*)?(?P<before>[lrbtu](?=\d))?"
    r"(?P<unit>\d{1,2})(?P<after>[lr][a-e]|[a-e]?[lr]?)(?![a-z0-9]|\.\d|\s*%|\s*/\s*\d|\s*(?:per\s?cent|out\s+of|of\s+\d))"
)
_LEX = re.compile(
    rf"(?P<code>{_CODE})"
    r"|(?P<top>\d+(?:\.\d+)?)\s*(?:/|out\s+of|of)\s*(?P<whole>\d+)"
    r"|(?P<number>(?:(?<!\S)-)?(?:\d+(?:\.\d+)?|\.\d+))\s*(?P<percent>%|per\s?cent\b|percentage\b)?"
    r"|(?P<word>[a-z]+)"
    r"|(?P<sign>[+,;&/()\[\]{}|!?\n—–>…]|\.(?=\s|$)|(?<=\s)-(?=\s))"
    r"|(?P<space>[\s:=_\"*#<'@~^→]+|[-.])"
    r"|(?P<strange>.)",
    re.IGNORECASE,
)
_EMOTICONS = {r"[:=]-?[)D]": "smile", r"[:=]-?\(": "sad", r"[:=]-?[oO0]": "surprised", r";-?\)": "wink smile"}
_SCALE = r"on\s+a\s+scale\s+(?:of|from)\s+\d+\s*(?:to|-)\s*(?P<most>\d+)"
_SCALES = {
    rf"{_SCALE}\W{{1,3}}(?P<mark>\d*\.?\d+)": r"\g<mark>/\g<most>",
    rf"(?P<mark>\d*\.?\d+)\W{{1,2}}{_SCALE}": r"\g<mark>/\g<most>",
}
"""How a strength is said on a scale, before and after it -> as a share."""
_CAMEL = re.compile("[a-z][A-Z]")
_LETTER_LEADS = frozenset(("intensity", "level", "grade", "strength", "degree"))


def read(prompt: str) -> list[Token]:
    """Tokens with misspellings mended and idioms joined; VocabularyError where a number is no strength."""
    text = unicodedata.normalize("NFKC", prompt).replace("⁄", "/").replace("’", "'").replace("`", "'")
    text = re.sub(r"\bw/o\b", "without", text)
    text = re.sub(r"\bw/", "with ", text)
    for face, word in _EMOTICONS.items():  # beside words they only decorate
        text = re.sub(rf"(?<!\S){face}(?!\S)", "" if re.search("[a-z]{2}", text, re.IGNORECASE) else word, text)
    text = re.sub(r":(?=\s+(?!left|right|up|down)[a-zA-Z]{2})", ",", text)  # 'shrug: mouth down'
    text = re.sub(r"(?<![\d.])0,(?=\d)", "0.", text)
    for order, share in _SCALES.items():
        text = re.sub(order, share, text, flags=re.IGNORECASE)
    text = re.sub(r"\bone's\b", "their", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[a-z])'s\b", "", text, flags=re.IGNORECASE).replace("'", "")
    lexed = [token for found in _LEX.finditer(text) for token in _lexed(found)]
    return list(_joined(list(_counted(lexed, prompt))))


def _lexed(found: re.Match[str]) -> Iterator[Token]:
    text = found[0].strip()
    if found["code"]:
        marks = f"{found['before'] or ''}|{found['after']}".casefold()
        if found["au"] or marks != "|":
            yield Token("code", text, str(int(found["unit"])), marks)
        else:
            yield Token("number", text, float(found["unit"]), "whole")
    elif found["whole"]:
        yield Token("number", text, float(found["top"]) / max(float(found["whole"]), 1e-9), "share")
    elif found["number"]:
        share = found["percent"] is not None
        yield Token("number", text, float(found["number"]) / (100.0 if share else 1.0), "share")
    elif found["word"]:
        yield from word_tokens(text)
    elif found["sign"]:
        yield Token("join", text, "", text)
    elif found["strange"]:
        yield Token("unknown", text)


def word_tokens(text: str) -> Iterator[Token]:
    """A word as it stands, as an ARKit name, cut at inner capitals, as a spoken sound, or as the nearest known word."""
    low = text.casefold()
    if low in ARKIT:
        found, side = ARKIT[low]
        yield Token("mix", text, found, low)
        if side:
            yield Token("side", text, side, side)
    elif low in FORMS:
        yield _tagged(low, text)
    elif _CAMEL.search(text):
        for piece in re.findall("[A-Z]?[a-z]+|[A-Z]+", text):
            yield from word_tokens(piece)
    else:
        pieces = _taken_apart(low)
        pieces = pieces if any(WORDS[FORMS[piece]][0] == "part" for piece in pieces) else []  # not 'setup'
        sounds = [found for pattern, found in SOUNDS.items() if re.fullmatch(pattern, low)]
        bases = {FORMS[form] for form in corrected(low, _SPELLINGS)}
        near = {base for base in bases if WORDS[base][0] != "filler"} or bases
        if sounds:
            yield Token("mix", text, sounds[-1], low)
        elif pieces:
            yield from (_tagged(piece, piece) for piece in pieces)
        elif len({WORDS[base] for base in near}) == 1:
            yield _tagged(min(near), text)
        else:
            yield Token("unknown", text, "", low)


def _taken_apart(low: str) -> list[str]:
    """The parts and actions that a word of several is made of ('eyesclosed', 'lippuckerer'); empty where it is not."""
    for at in range(2, len(low) - 1):
        first, rest = low[:at], low[at:]
        if WORDS.get(FORMS.get(first, ""), ("",))[0] in ("part", "act"):
            if WORDS.get(FORMS.get(rest, ""), ("",))[0] in ("part", "act"):
                return [first, rest]
            if pieces := _taken_apart(rest):
                return [first, *pieces]
    return []


def _tagged(form: str, text: str) -> Token:
    base = FORMS[form]
    kind, value = WORDS[base]
    return Token(kind, text, value, _base(form))


def _counted(lexed: list[Token], prompt: str) -> Iterator[Token]:
    """Decide which numbers are strengths, which are FACS units ('AU1+2+5') and which letters are intensities."""
    listed = all(token.kind in ("code", "number", "join") for token in lexed) and len(lexed) > 1
    last: list[Token] = [Token("", ""), Token("", "")]
    for token in lexed:
        unit = str(int(token.value)) if token.kind == "number" and token.lemma == "whole" else ""  # type: ignore[arg-type]
        follows = last[-1].kind == "join" and last[-1].lemma in ("+", "/", "&", "and", ",") and last[-2].kind == "code"
        if (unit in UNITS or unit == "30") and (listed or follows):
            token = Token("code", token.text, unit, "|")
        elif unit in ("1", "2", "3", "4", "5") and last[-1].lemma in ("intensity", "level", "grade"):
            token = Token("degree", token.text, phrases.LETTERS["abcde"[int(unit) - 1]], "letter")
        elif token.kind == "number":
            token = _strength(token, prompt)
        elif token.text.casefold() in phrases.LETTERS:
            before = last[-2] if last[-1].lemma in ("(", "at") else last[-1]
            coded = before.kind == "code" and token.text != "a"
            if coded or last[-1].lemma in _LETTER_LEADS:
                token = Token("degree", token.text, phrases.LETTERS[token.text.casefold()], "letter")
        yield token
        if token.lemma != "letter" or last[-1].kind != "code":
            last.append(token)


def _strength(token: Token, prompt: str) -> Token:
    value = float(token.value)  # type: ignore[arg-type]
    if token.lemma == "whole" and 10.0 <= value <= 100.0:
        value /= 100.0
    if not 0.0 <= value <= 1.0:
        raise VocabularyError(f"prompt '{prompt}': expected strengths of 0 to 1 or 0% to 100%, found {token.text}")
    return Token("number", token.text, value, token.lemma)


def _joined(tokens: list[Token]) -> Iterator[Token]:
    """Put idioms together, take 'as wide as possible' apart; 'as' before who does it ('as she looks up') joins."""
    tokens = [
        token
        for at, token in enumerate(tokens)
        if not (token.lemma == "as" and any(other.lemma == "as" for other in _around(tokens, at)))
    ]
    at = 0
    while at < len(tokens):
        length, kind, value = _idiom(tokens, at)
        if length:
            text = " ".join(token.text for token in tokens[at : at + length])
            yield Token(kind, text, value, text.casefold())
            at += length
            continue
        token = tokens[at]
        if token.lemma == "bit" and at and tokens[at - 1].lemma in ("a", "little", "tiny", "quick", "slight"):
            token = Token("degree", token.text, 0.35, "bit")
        if token.lemma == "as" and [other.text.casefold() in _DOERS for other in tokens[at + 1 : at + 2]] == [True]:
            doing = any(other.kind in ("act", "part") or _said(other) for other in tokens[at + 2 : at + 3])
            token = Token("join", token.text, "", "while") if doing else token
        yield token
        at += 1


def _said(token: Token) -> bool:
    """Whether a word is an expression of its own, like 'smile', and no mood."""
    return isinstance(token.value, Look) and token.value.said


def _around(tokens: list[Token], at: int) -> Iterable[Token]:
    """The tokens up to three places before and after."""
    return tokens[max(0, at - 3) : at] + tokens[at + 1 : at + 4]


def _idiom(tokens: list[Token], at: int) -> tuple[int, str, Value]:
    """Length, kind and value of the longest idiom that begins at a token; length 0 where none does."""
    key: list[str] = []
    best: tuple[int, str, Value] = (0, "", "")
    if tokens[at].lemma in words.UNCOUNTED:
        return best
    for length, token in enumerate(tokens[at:], start=1):
        if token.lemma in words.UNCOUNTED:
            continue
        if not token.lemma.isalpha() or len(key) == _LONGEST:
            break
        key.append(token.lemma)
        if tuple(key) in IDIOMS:
            best = (length, *IDIOMS[tuple(key)])
    return best
