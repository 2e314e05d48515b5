"""Prompts and strengths: paraphrases of the 32 expressions, captions for training, and the parser of what people type.

Imports no torch: the viewer may check a prompt before the model is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from random import Random
from types import MappingProxyType

from engine.errors import VocabularyError
from engine.vocabulary import EXPRESSIONS, NAMES, NEUTRAL

_PARAPHRASES: dict[str, str] = {
    "Neutral": "relaxed face | no expression | resting face | at rest | blank face",
    "Eye Blink": "eyes closed | close the eyes | blink | eyelids shut | closed eyes | eyes shut | sleeping",
    "Eye Look Down": "look down | looking down | gaze down | eyes down | glance down",
    "Eye Look Up": "look up | looking up | gaze up | eyes up | glance up",
    "Eye Look Left": "look left | looking left | gaze left | eyes left | look to the left | glance left",
    "Eye Look Right": "look right | looking right | gaze right | eyes right | look to the right | glance right",
    "Eye Squint": "squint | squinting | narrow the eyes | narrowed eyes | lid tightener | tighten the lids",
    "Eye Wide": "eyes wide | wide eyes | eyes wide open | upper lid raiser | open the eyes wide | staring",
    "Brows Up": "raise the brows | raised eyebrows | raised brows | eyebrows up | brow raiser | lift the brows",
    "Brows Down": "lower the brows | brow lowerer | eyebrows down | furrowed brows | frown lines | brows together",
    "Jaw Open": "open the mouth | mouth open | open mouth | jaw drop | drop the jaw | mouth wide open | yawn",
    "Jaw Forward": "push the jaw forward | jaw thrust | chin forward | jaw out",
    "Jaw Left": "jaw to the left | move the jaw left | chin left",
    "Jaw Right": "jaw to the right | move the jaw right | chin right",
    "Face Compression": "compress the face | squeeze the face | scrunch | scrunched face | face squeezed",
    "Lower lip Depressor": "lower lip down | pull the lower lip down | show the lower teeth | lower teeth",
    "Chin Raiser": "raise the chin | chin up | pout with the chin | chin boss up | push the lower lip up",
    "Cheek Suck": "suck the cheeks | sucked in cheeks | suck in the cheeks | hollow cheeks",
    "Cheek Puff": "puff the cheeks | puffed cheeks | blow out the cheeks | cheeks blown out | cheek blow",
    "Nose Wrinkler": "wrinkle the nose | wrinkled nose | nose wrinkle | scrunch the nose | sneer",
    "Upper Lip Raiser": "raise the upper lip | upper lip up | show the upper teeth | upper teeth",
    "Lip Corner Puller": "smile | smiling | closed mouth smile | grin | mouth corners up | happy",
    "Lip Corner Depressor": "mouth corners down | frown | sad mouth | turn the mouth down | corners of the mouth down",
    "Dimpler": "dimple | dimples | smirk | tighten the mouth corners",
    "Lip Stretcher": "stretch the lips | lips stretched | stretched mouth | wide mouth | lips sideways",
    "Lip Puckerer": "pucker | pucker the lips | kiss | puckered lips | lips forward",
    "Lip Funneler": "funnel | funnel the lips | lips in a funnel | round lips | say oh",
    "Lip Suck": "suck the lips | roll the lips in | lips rolled in | lips in | lip roll",
    "Lip Pressor": "press the lips | lips pressed | pressed lips | lips together | lip tightener | thin lips",
    "Mouth Left": "mouth to the left | move the mouth left | lips left",
    "Mouth Right": "mouth to the right | move the mouth right | lips right",
    "Face Stretch": "stretch the face | face stretched | long face | stretched face | scream | screaming",
}

PARAPHRASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(text.strip() for text in _PARAPHRASES[name].split("|")) for name in NAMES}
)
"""Expression name -> other ways to say it."""

_EMOTIONS: dict[str, dict[str, float]] = {
    "surprise": {"Brows Up": 1.0, "Eye Wide": 0.8, "Jaw Open": 0.5},
    "anger": {"Brows Down": 1.0, "Eye Squint": 0.4, "Lip Pressor": 0.7},
    "sadness": {"Lip Corner Depressor": 1.0, "Brows Up": 0.3, "Eye Look Down": 0.3},
    "disgust": {"Nose Wrinkler": 1.0, "Upper Lip Raiser": 0.6},
    "fear": {"Brows Up": 0.8, "Eye Wide": 1.0, "Lip Stretcher": 0.6},
    "laugh": {"Lip Corner Puller": 1.0, "Jaw Open": 0.45},
}
_EMOTION_WORDS = {
    "surprise": "surprise surprised astonished amazed",
    "anger": "anger angry furious mad",
    "sadness": "sadness sad unhappy sorrow",
    "disgust": "disgust disgusted",
    "fear": "fear afraid scared fearful frightened",
    "laugh": "laugh laughing laughter",
}
"""Prototypes of basic emotions as mixes (EMFACS, Friesen and Ekman 1983, in the units that the vocabulary has)."""

_UNITS: dict[str, tuple[str, float]] = {
    **{f"au{unit}": ("Brows Up", 1.0) for unit in (1, 2)},
    **{f"au{unit}": ("Eye Squint", 1.0) for unit in (6, 7)},
    **{f"au{unit}": ("Lip Pressor", 1.0) for unit in (23, 24)},
    **{f"au{unit}": ("Cheek Puff", 1.0) for unit in (33, 34)},
    **{f"au{unit}": ("Eye Blink", 1.0) for unit in (43, 45)},
    "au4": ("Brows Down", 1.0), "au5": ("Eye Wide", 1.0), "au9": ("Nose Wrinkler", 1.0),
    "au10": ("Upper Lip Raiser", 1.0), "au12": ("Lip Corner Puller", 1.0), "au14": ("Dimpler", 1.0),
    "au15": ("Lip Corner Depressor", 1.0), "au16": ("Lower lip Depressor", 1.0), "au17": ("Chin Raiser", 1.0),
    "au18": ("Lip Puckerer", 1.0), "au20": ("Lip Stretcher", 1.0), "au22": ("Lip Funneler", 1.0),
    "au26": ("Jaw Open", 0.6), "au27": ("Jaw Open", 1.0), "au28": ("Lip Suck", 1.0), "au29": ("Jaw Forward", 1.0),
    "au30l": ("Jaw Left", 1.0), "au30r": ("Jaw Right", 1.0), "au35": ("Cheek Suck", 1.0),
    "au61": ("Eye Look Left", 1.0), "au62": ("Eye Look Right", 1.0), "au63": ("Eye Look Up", 1.0),
    "au64": ("Eye Look Down", 1.0),
}  # fmt: skip
"""FACS action unit -> the row it is the main part of."""

_STRENGTH_WORDS: dict[str, float] = {
    "barely": 0.2, "hint": 0.2, "slight": 0.35, "slightly": 0.35, "little": 0.35, "bit": 0.35, "gentle": 0.4,
    "gently": 0.4, "subtle": 0.3, "small": 0.4, "half": 0.5, "halfway": 0.5, "partly": 0.5, "medium": 0.6,
    "moderate": 0.6, "moderately": 0.6, "strong": 1.0, "strongly": 1.0, "big": 1.0, "full": 1.0, "fully": 1.0,
    "very": 1.0, "wide": 1.0, "completely": 1.0, "extreme": 1.0, "extremely": 1.0, "maximum": 1.0,
}  # fmt: skip
_FILLERS = frozenset(
    re.findall(
        r"\w+",
        "a an the of his her their its my your to in on at it is are be please make face facial expression person both "
        "so really",
    )
)
_SIDES = frozenset(("left", "right", "l", "r", "one"))
_CLAUSE = re.compile(r"\s*(?:[+;&,]|\band\b|\bwith\b|\bwhile\b)\s*")
_TOKEN = re.compile(r"[a-z]+\d*[lr]?\b|\d+(?:\.\d+)?%?|\.\d+")
_NUMBER = re.compile(r"(?:\d+(?:\.\d+)?|\.\d+)%?")


def _key(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z]+\d*[lr]?", text.casefold()))


def _phrases() -> dict[tuple[str, ...], dict[str, float]]:
    """Every known way to say something -> strengths by name."""
    known: dict[tuple[str, ...], dict[str, float]] = {}
    for word, (name, strength) in _UNITS.items():
        known[(word,)] = {name: strength}
    for emotion, words in _EMOTION_WORDS.items():
        known.update({(word,): _EMOTIONS[emotion] for word in words.split()})
    for entry in EXPRESSIONS:
        known[(entry.name.casefold().replace(" ", ""),)] = {entry.name: 1.0}
        for text in (entry.name, entry.prompt, *PARAPHRASES[entry.name]):
            known[_key(text)] = {entry.name: 1.0}
        mains = [shape for shape, weight in entry.arkit.items() if weight == 1.0]
        if entry.name in ("Face Compression", "Face Stretch", "Neutral"):
            continue  # mixes: their shapes belong to other rows
        for shape in mains:
            stem = re.sub(r"(Left|Right)$", "", shape)
            both = stem + "Left" in mains and stem + "Right" in mains
            known.setdefault(_key(stem if both else shape), {entry.name: 1.0})
    return known


PHRASES: Mapping[tuple[str, ...], Mapping[str, float]] = MappingProxyType(_phrases())
_LONGEST = max(map(len, PHRASES))


def parse_prompt(prompt: str) -> dict[str, float]:
    """'Jaw Open 0.5 + raised brows' -> {'Jaw Open': 0.5, 'Brows Up': 1.0}; rows of the vocabulary, strengths 0..1.

    Understands names, prompts and paraphrases, FACS units (AU12, AU26:0.5), ARKit names of both sides, emotions,
    numbers, percentages and strength words; parts joined by + , ; & 'and' or 'with'. VocabularyError on anything else,
    with the nearest known wording: nothing is dropped silently or taken for Neutral.
    """
    whole = _key(prompt)
    if whole in PHRASES and not _NUMBER.search(prompt):
        return dict(PHRASES[whole])
    strengths: dict[str, float] = {}
    clauses = [clause for clause in _CLAUSE.split(prompt.casefold().strip()) if clause.strip()]
    for clause in clauses:
        for name, strength in _parse_clause(clause, prompt).items():
            strengths[name] = max(strength, strengths.get(name, 0.0))
    if not strengths:
        raise VocabularyError("prompt: expected an expression such as 'Jaw Open 0.5 + Brows Up', found nothing")
    if len(strengths) > 1:
        strengths.pop(NEUTRAL, None)
    return strengths


def _parse_clause(clause: str, prompt: str) -> dict[str, float]:
    words = _TOKEN.findall(clause.replace("_", " ").replace("-", " "))
    found, rest = _match(words)
    strength, unknown = _strength(rest, prompt)
    sided = [word for word in unknown if word in _SIDES]
    if found and sided:
        raise VocabularyError(
            f"prompt '{prompt}': '{' '.join(sided)}' of '{clause}' is not known; expressions move both sides except "
            "Eye Look, Jaw and Mouth Left/Right. Leave the side out."
        )
    if unknown or not found:
        raise VocabularyError(f"prompt '{prompt}': '{' '.join(unknown) or clause}' is not understood; {_hint(clause)}")
    return {name: min(base * strength, 1.0) for name, base in found.items()}


def _match(words: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Take the longest known phrases out of `words`, from the left; strengths found and the words left over."""
    found: dict[str, float] = {}
    rest: list[str] = []
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            known = PHRASES.get(tuple(words[at : at + length]))
            if known is not None:
                found |= known
                at += length
                break
        else:
            rest.append(words[at])
            at += 1
    return found, rest


def _strength(words: Sequence[str], prompt: str) -> tuple[float, list[str]]:
    """Read numbers and strength words; returns the strength and what is neither that nor a filler."""
    strength, unknown = 1.0, []
    for word in words:
        if _NUMBER.fullmatch(word):
            strength = float(word.rstrip("%")) / (100.0 if word.endswith("%") else 1.0)
            if not 0.0 <= strength <= 1.0:
                raise VocabularyError(f"prompt '{prompt}': expected strengths of 0 to 1 or 0% to 100%, found {word}")
        elif word in _STRENGTH_WORDS:
            strength = min(strength, _STRENGTH_WORDS[word])
        elif word not in _FILLERS:
            unknown.append(word)
    return strength, unknown


def _hint(clause: str) -> str:
    known = {" ".join(phrase): target for phrase, target in PHRASES.items() if len(phrase) < 6}
    near = get_close_matches(clause, known, n=3, cutoff=0.5)
    near += [phrase for word in clause.split() for phrase in get_close_matches(word, known, n=1, cutoff=0.7)]
    names = dict.fromkeys(name for phrase in near for name in known[phrase])
    return f"did you mean {' or '.join(names)}?" if names else f"known: {', '.join(NAMES)}"


def caption(strengths: Sequence[float], random: Random) -> str:
    """A prompt for training that says the same as `strengths` (32,), worded at random."""
    strengths = [max(pair) for pair in zip(*strengths, strict=True)]
    parts = []
    for entry, strength in zip(EXPRESSIONS, strengths, strict=True):
        if strength <= 0.0:
            continue
        text = random.choice((entry.name, entry.prompt, *PARAPHRASES[entry.name]))
        if strength < 0.95:
            near = [word for word, value in _STRENGTH_WORDS.items() if abs(value - strength) < 0.08]
            number = f"{text} {strength:.2f}"
            text = random.choice((number, f"{random.choice(near)} {text}" if near else number))
        parts.append(text)
    random.shuffle(parts)
    return random.choice((" + ", ", ", " and ")).join(parts)
