"""Captions for training: random English, FACS codes and ARKit names that say the same as strengths."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from types import MappingProxyType

from engine.diffusion.language.looks import ARKIT, SAID, UNITS, Look
from engine.diffusion.language.phrases import ARKIT_PAIRS, ARKIT_SINGLES, LETTERS
from engine.vocabulary import EXPRESSIONS, NAMES, NEUTRAL

_PARAPHRASES: Mapping[str, str] = {
    "Neutral": "a relaxed face | no expression | resting face | at rest | blank face | neutral | deadpan | a neutral expression",
    "Eye Blink": "eyes closed | close your eyes | a blink | eyelids shut | closed eyes | eyes shut | asleep | both eyes closed",
    "Eye Look Down": "look down | looking down | gaze down | eyes down | glance downward | look at the floor",
    "Eye Look Up": "look up | looking up | gaze up | eyes up | glance upward | look at the ceiling | roll your eyes",
    "Eye Look Left": "look left | looking left | gaze to the left | eyes left | look to the left | glance left",
    "Eye Look Right": "look right | looking right | gaze to the right | eyes right | look to the right | glance right",
    "Eye Squint": "squint | squinting | narrow the eyes | narrowed eyes | lid tightener | tighten the lids | eyes narrowed to "
    "slits | squint as if into the sun",
    "Eye Wide": "eyes wide | wide eyes | eyes wide open | upper lid raiser | open the eyes wide | staring | wide-eyed | "
    "bulging eyes | upper eyelids raised",
    "Brows Up": "raise the brows | raised eyebrows | raised brows | eyebrows up | brow raiser | lift the brows | wrinkle the "
    "forehead | eyebrows high",
    "Brows Down": "lower the brows | brow lowerer | eyebrows down | furrowed brows | furrow your brow | brows drawn together | "
    "knitted brows | eyebrows drawn together",
    "Jaw Open": "open the mouth | mouth open | open mouth | jaw dropped | drop the jaw | mouth wide open | mouth agape | say ah",
    "Jaw Forward": "push the jaw forward | jaw thrust | chin forward | jaw out | stick the chin out | jutting jaw",
    "Jaw Left": "jaw to the left | move the jaw left | chin left | slide the jaw to the left | jaw shifted left",
    "Jaw Right": "jaw to the right | move the jaw right | chin right | slide the jaw to the right | jaw shifted right",
    "Face Compression": "compress the face | squeeze the face together | scrunched-up face | face squeezed | screw up your face",
    "Lower lip Depressor": "lower lip down | pull the lower lip down | show the lower teeth | bottom lip pulled down",
    "Chin Raiser": "raise the chin | chin up | chin boss up | push the lower lip up | dimpled chin | wrinkle the chin",
    "Cheek Suck": "suck the cheeks in | sucked in cheeks | suck in the cheeks | hollow cheeks | cheeks pulled in",
    "Cheek Puff": "puff the cheeks | puffed cheeks | blow out the cheeks | cheeks blown out | cheeks full of air | "
    "cheeks puffed like a chipmunk",
    "Nose Wrinkler": "wrinkle the nose | wrinkled nose | scrunch up your nose | scrunched nose | nose wrinkled",
    "Upper Lip Raiser": "raise the upper lip | upper lip up | show the upper teeth | curled upper lip | top lip raised",
    "Lip Corner Puller": "smile | smiling | a closed mouth smile | grin | mouth corners up | happy | a grin | "
    "corners of the mouth up | joyful",
    "Lip Corner Depressor": "mouth corners down | turn the mouth down | corners of the mouth down | mouth turned down | "
    "lip corners pulled down",
    "Dimpler": "dimples | dimple your cheeks | tighten the mouth corners | tuck in the corners of the mouth | dimpled cheeks",
    "Lip Stretcher": "stretch the lips | lips stretched | stretched mouth | lips stretched sideways | mouth stretched wide | "
    "lips pulled back",
    "Lip Puckerer": "pucker | pucker the lips | a kiss | puckered lips | lips forward | purse your lips | whistle | say ooh",
    "Lip Funneler": "lips in a funnel | funnel the lips | round lips | say oh | rounded lips | lips in a circle",
    "Lip Suck": "suck the lips in | roll the lips in | lips rolled in | tuck the lips in | hide the lips | bite your lips",
    "Lip Pressor": "press the lips | lips pressed together | pressed lips | tight lips | lips pressed into a thin line | "
    "tight-lipped",
    "Mouth Left": "mouth to the left | move the mouth left | lips to the left | mouth pulled to the left | mouth twisted left",
    "Mouth Right": "mouth to the right | move the mouth right | lips to the right | mouth pulled to the right | "
    "mouth twisted right",
    "Face Stretch": "stretch the face | face stretched | long face | stretched face | make your face long | lengthen the face",
}
PARAPHRASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {name: tuple(text.strip() for text in _PARAPHRASES[name].split("|")) for name in NAMES}
)
"""Expression name -> other ways to say it on both sides, each the row at strength 1."""

_ACTIONS: Mapping[str, str] = MappingProxyType({
    "Eye Blink": "close/closed shut/shut > eyes, eyelids > {side} eye, {side} eyelid",
    "Eye Squint": "narrow/narrowed tighten/tightened > eyes, eyelids > {side} eye",
    "Eye Wide": "widen/widened > eyes > {side} eye ; raise/raised lift/lifted > upper eyelids, upper lids > {side} upper lid",
    "Brows Up": "raise/raised lift/lifted elevate/elevated > eyebrows, brows > {side} eyebrow, {side} brow",
    "Brows Down": "lower/lowered furrow/furrowed pull-down/pulled-down > eyebrows, brows > {side} eyebrow, {side} brow",
    "Jaw Open": "drop/dropped open/opened lower/lowered > jaw > jaw on the {side} ; open/open > mouth > mouth on the {side}",
    "Jaw Forward": "push-forward/pushed-forward push-out/pushed-out > jaw, chin, lower jaw > jaw",
    "Face Compression": "squeeze/squeezed scrunch-up/scrunched-up compress/compressed > face > {side} side of the face",
    "Lower lip Depressor": "pull-down/pulled-down depress/depressed > lower lip, bottom lip > {side} side of the lower lip",
    "Chin Raiser": "raise/raised push-up/pushed-up > chin, chin boss > {side} side of the chin",
    "Cheek Suck": "suck-in/sucked-in hollow/hollowed > cheeks > {side} cheek",
    "Cheek Puff": "puff/puffed puff-out/puffed-out inflate/inflated blow-up/blown-up > cheeks > {side} cheek",
    "Nose Wrinkler": "wrinkle/wrinkled scrunch-up/scrunched-up crinkle/crinkled > nose > {side} side of the nose",
    "Upper Lip Raiser": "raise/raised lift/lifted curl/curled > upper lip, top lip > {side} side of the upper lip",
    "Lip Corner Puller": "raise/raised lift/lifted pull-up/pulled-up > mouth corners, corners of the mouth > "
    "{side} mouth corner, {side} corner of the mouth",
    "Lip Corner Depressor": "lower/lowered pull-down/pulled-down turn-down/turned-down > mouth corners, lip corners > "
    "{side} mouth corner, {side} corner of the mouth",
    "Dimpler": "tighten/tightened tuck-in/tucked-in > mouth corners, corners of the mouth > {side} corner of the mouth",
    "Lip Stretcher": "stretch/stretched > lips > {side} side of the lips",
    "Lip Puckerer": "pucker/puckered purse/pursed push-forward/pushed-forward > lips > {side} side of the lips",
    "Lip Funneler": "funnel/funneled round/rounded > lips > {side} side of the lips",
    "Lip Suck": "suck-in/sucked-in roll-in/rolled-in > lips > {side} side of the lips",
    "Lip Pressor": "press/pressed press-together/pressed-together tighten/tightened > lips > {side} side of the lips",
    "Face Stretch": "stretch/stretched elongate/elongated lengthen/lengthened > face > {side} side of the face",
})  # fmt: skip
"""Row -> verbs (to do / done) > what they are done to > the same on one side; several such lists between semicolons."""

_SIDED: Mapping[str, str] = MappingProxyType({
    "Eye Blink": "wink with the {side} eye | {side} eye shut | only the {side} eye closed | {side} wink",
    "Eye Look Down": "{side} eye looking down | only the {side} eye looks down",
    "Eye Look Up": "{side} eye looking up | only the {side} eye looks up",
    "Eye Look Left": "{side} eye looking left | only the {side} eye looks to the left",
    "Eye Look Right": "{side} eye looking right | only the {side} eye looks to the right",
    "Eye Squint": "squint with the {side} eye | {side} eye squinting",
    "Eye Wide": "{side} eye wide open | {side} eye wide",
    "Brows Up": "{side} brow up | cock the {side} eyebrow | only the {side} brow raised",
    "Brows Down": "{side} brow down | frown with the {side} brow",
    "Lip Corner Puller": "crooked smile on the {side} | smile on the {side} side | "
    "{side} mouth corner up",
    "Lip Corner Depressor": "{side} mouth corner down | mouth turned down on the {side}",
    "Dimpler": "dimple on the {side} | dimple in the {side} cheek",
    "Upper Lip Raiser": "curl the {side} side of the upper lip | upper lip up on the {side}",
    "Nose Wrinkler": "nose wrinkled on the {side}",
    "Cheek Puff": "{side} cheek puffed | air in the {side} cheek",
})  # fmt: skip
_ANY_SIDED = (
    "{} on the {side}",
    "{} on the {side} side",
    "{}, {side} side only",
    "{} ({side})",
    "{}, only on the {side}",
)
_UNDIVIDED = frozenset(("Jaw Forward", "Jaw Left", "Jaw Right", "Mouth Left", "Mouth Right", "Neutral"))
_ADVERBS: Mapping[str, float] = MappingProxyType({
    "barely": 0.2, "very slightly": 0.21, "slightly": 0.35, "a little": 0.35, "a bit": 0.35, "gently": 0.35, "halfway": 0.5,
    "partly": 0.5, "moderately": 0.6, "quite": 0.75, "almost fully": 0.8, "strongly": 1.0, "fully": 1.0, "completely": 1.0,
    "as much as possible": 1.0, "extremely": 1.0,
})  # fmt: skip
_AFTER = frozenset(("as much as possible", "halfway", "a bit", "a little"))
_NEAR = 0.09
"""A strength word or letter may be this far from the strength."""
_OPENINGS = (
    "a face with ", "please, ", "the character has ", "show me ", "an expression with ", "I want ", "make a face: ", "he has ",
    "she has ", "can you do ", "expression: ", "give him ", "now ", "her face shows ", "someone with ", "portrait with ",
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
    shapes = [shape for shape, row in ARKIT_SINGLES.items() if row == name and not side]
    for stem, row in ARKIT_PAIRS.items():
        for end in ("", "Left", "Right"):
            mix = ARKIT[(stem + end).casefold()][0].mix({end.casefold()} if end else set())
            fits = [pair for key, pair in mix.items() if key == name and any(pair)]
            if fits and (row == name or end) and fits[0] == ((side != "right") * 1.0, (side != "left") * 1.0):
                shapes.append(stem + end)
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
    for word, look in SAID.items():
        mix = look.mix()
        if len(mix) < 2 or mix.keys() != asked.keys():
            continue
        pairs = [(want, have) for name in mix for want, have in zip(asked[name], mix[name], strict=True)]
        share = sum(want * have for want, have in pairs) / sum(have * have for _, have in pairs)
        if share > 0.15 and all(abs(want - share * have) < _NEAR for want, have in pairs):
            fitting.append((word, share))
    if not fitting:
        return ""
    word, share = random.choice(fitting)
    return _measured(word, min(share, 1.0), random)


def _dressed(text: str, random: Random) -> str:
    """With or without words that say nothing."""
    if random.random() < 0.25:
        text = random.choice(_OPENINGS) + text
    if random.random() < 0.2:
        text += random.choice(_ENDS)
    return text[:1].upper() + text[1:] if random.random() < 0.3 else text
