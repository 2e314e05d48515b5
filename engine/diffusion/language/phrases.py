"""What parts, actions, moods, scenes, FACS codes and ARKit names mean in rows of the vocabulary: tables only.

A meaning is text like 'Brows Up 0.8, Eye Wide': rows with strengths 0..1, 1 where none is given; 'one' after a row
makes it one-sided, the subject's left unless a side is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

RULES: Mapping[str, Mapping[str, str]] = MappingProxyType({
    "brow": {
        "Brows Up": "up, wide, stretch, relax up, apart, shrug, curl, bulge",
        "Brows Down": "down, drop, droop, together, close together, in, furrow, wrinkle, scrunch, thin, squeeze, press, narrow, tight",
    },
    "forehead": {
        "Brows Up": "up, wrinkle, scrunch, thin, stretch",
        "Brows Down": "down, furrow, together, tight, drop, squeeze",
    },
    "eye": {
        "Eye Blink": "close",
        "Eye Blink 0.5": "droop",
        "Eye Blink, Eye Squint 0.6": "close tight, close squeeze, squeeze, press, close press, close scrunch",
        "Eye Look Up": "up, roll, back, roll back, roll up",
        "Eye Look Down": "down, drop, look drop",
        "Eye Squint": "narrow, tight, wrinkle, scrunch, small, thin, together, furrow, curl",
        "Eye Wide": "white, wide, wide open, open big, big, bulge, stare, round, open stretch, stretch, out, open up, open bulge, "
        "open round",
    },
    "lid": {
        "Eye Blink": "close, down, drop, big",
        "Eye Blink 0.5": "droop",
        "Eye Blink, Eye Squint 0.6": "close tight, squeeze, close squeeze, press",
        "Eye Squint": "narrow, tight, together, wrinkle, thin",
        "Eye Wide": "white, up, wide, wide open, back, open big, big, open up, stretch",
    },
    "lower lid": {"Eye Squint": "up, push, push up"},
    "nose": {
        "Nose Wrinkler": "wrinkle, scrunch, up, squeeze, curl, narrow, furrow, in, tight, thin",
        "Eye Look Down": "look down, look",
    },
    "cheek": {
        "Cheek Puff": "puff, blow, out, bulge, big, round, air",
        "Cheek Suck": "suck, in, bite, thin, narrow, press in, pull in, back",
        "Eye Squint": "up, wrinkle",
        "Dimpler": "dimple, tight",
    },
    "lip": {
        "Lip Pressor": "press, press flat, flat thin, flat press thin, tight, thin, together, squeeze, press in, close tight, close together, close press, narrow, "
        "furrow",
        "Lip Puckerer": "pucker, out, push, push together, pucker together, bulge, small",
        "Lip Puckerer, Cheek Puff 0.5": "blow",
        "Lip Funneler": "round, round out, open round, out round",
        "Lip Suck": "in, suck, roll, bite, curl in, press roll",
        "Lip Stretcher": "stretch, flat, sideways, back, wide, wide thin, pull apart, stretch apart, stretch tight, wide tight",
        "Jaw Open 0.3": "apart, open",
        "Lip Corner Puller": "curl up, pull up, wide up",
        "Lip Corner Depressor": "down, drop, curl down, droop",
        "Upper Lip Raiser": "up, curl",
        "Chin Raiser": "push up, shrug, tremble",
    },
    "upper lip": {"Upper Lip Raiser": "up, curl, wrinkle, show, curl up, pull, pull up, wrinkle up, back, narrow"},
    "lower lip": {
        "Lower lip Depressor": "down, drop, pull, curl, curl down, show, open, droop, apart",
        "Chin Raiser 0.6": "tremble",
        "Chin Raiser": "up, push up, push",
        "Chin Raiser, Lip Puckerer 0.5": "out, push out, curl out, bulge, big",
    },
    "mouth": {
        "Jaw Open": "open, wide open, open drop, drop, apart, big, open stretch, open down, open round wide, bulge",
        "Lip Stretcher": "stretch, wide, flat, back, stretch wide, thin wide",
        "Lip Corner Puller": "up, curl",
        "Lip Corner Depressor": "down, curl down, droop",
        "Lip Funneler": "round, open round",
        "Lip Puckerer": "small",
        "Chin Raiser, Lip Corner Depressor 0.5": "shrug",
        "Dimpler": "dimple",
        "Cheek Puff": "air",
    },
    "corner": {
        "Lip Corner Puller": "up, up back, curl, up out, wide up, up sideways",
        "Lip Corner Depressor": "down, drop, droop",
        "Dimpler": "in, tight, press, roll, dimple, wrinkle, squeeze, push, tight in, narrow, together, suck",
        "Lip Stretcher": "out, back, sideways, stretch, apart, wide",
    },
    "jaw": {
        "Jaw Open": "open, down, drop, apart, wide, wide open, big",
        "Jaw Forward": "out, push",
        "Jaw Open 0.4": "droop",
    },
    "chin": {
        "Chin Raiser 0.6": "tremble",
        "Chin Raiser": "up, wrinkle, scrunch, dimple, squeeze, push, tight, push up, press, furrow, round",
        "Jaw Forward": "out, push out",
        "Jaw Open": "down, drop, open",
    },
    "teeth": {"Upper Lip Raiser 0.7, Lower lip Depressor 0.7": "show, grit, squeeze, open, apart"},
    "upper teeth": {"Upper Lip Raiser": "show, grit"},
    "lower teeth": {"Lower lip Depressor": "show, grit"},
    "face": {
        "Face Compression": "squeeze, wrinkle, scrunch, in, tight, together, press, small, furrow, narrow, bite, pucker, pull together",
        "Face Stretch": "stretch, long, wide, open, drop, stretch open, out, apart, big",
    },
})  # fmt: skip
"""Part -> meaning -> the actions (several together separated by spaces) that ask for it."""

PARENTS = MappingProxyType({
    "upper lip": "lip", "lower lip": "lip", "lip": "mouth", "mouth": "lip", "upper lid": "lid", "lower lid": "lid",
    "lid": "eye", "upper teeth": "teeth", "lower teeth": "teeth", "forehead": "brow", "corner": "mouth",
})  # fmt: skip
"""Where to look for a rule that a part has not got itself."""

OPPOSITES = MappingProxyType({
    ("eye", "open"): "Eye Blink", ("lid", "open"): "Eye Blink", ("mouth", "close"): "Jaw Open",
    ("lip", "close"): "Jaw Open", ("jaw", "close"): "Jaw Open",
})  # fmt: skip
"""The face at rest already has open eyes and a closed mouth: half open eyes are half of the row's opposite."""

DIRECTIONS = MappingProxyType({
    "eye": "Eye Look", "lid": "Eye Look", "jaw": "Jaw", "chin": "Jaw", "mouth": "Mouth", "lip": "Mouth",
    "lower lip": "Mouth", "upper lip": "Mouth", "lower jaw": "Jaw",
})  # fmt: skip
"""Parts that move to the left or right -> start of the row's name."""

_MOUTH = ("Lower lip Depressor", "Chin Raiser", "Upper Lip Raiser", "Lip Corner Puller", "Lip Corner Depressor", "Dimpler",
          "Lip Stretcher", "Lip Puckerer", "Lip Funneler", "Lip Suck", "Lip Pressor", "Mouth Left", "Mouth Right",
          "Jaw Open")  # fmt: skip
_EYES = ("Eye Blink", "Eye Look Down", "Eye Look Up", "Eye Look Left", "Eye Look Right", "Eye Squint", "Eye Wide")
REGIONS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "brow": ("Brows Up", "Brows Down"), "forehead": ("Brows Up", "Brows Down"), "eye": _EYES, "lid": _EYES,
    "nose": ("Nose Wrinkler",), "cheek": ("Cheek Suck", "Cheek Puff"), "lip": _MOUTH, "mouth": _MOUTH, "corner": _MOUTH,
    "teeth": ("Upper Lip Raiser", "Lower lip Depressor"), "jaw": ("Jaw Open", "Jaw Forward", "Jaw Left", "Jaw Right"),
    "chin": ("Chin Raiser", "Jaw Forward"),
})  # fmt: skip
"""Part -> rows that show there: what 'angry brows' take from anger."""

EITHER = frozenset(("Brows Down", "Lip Corner Depressor"))
"""What a frown is, of the brows or of the mouth: both, unless an action says which."""

RIVALS: tuple[tuple[str, ...], ...] = (
    ("Brows Up", "Brows Down"),
    ("Eye Blink", "Eye Wide", "Eye Squint"),
    ("Lip Corner Puller", "Lip Corner Depressor"),
    ("Jaw Open", "Lip Pressor", "Lip Suck"),
    ("Cheek Suck", "Cheek Puff"),
    ("Eye Look Left", "Eye Look Right"),
    ("Eye Look Up", "Eye Look Down"),
)
"""Rows that undo each other: what is said outright drives its rivals out of a mood, a calm smile keeps no frown."""

EXPRESSIONS: Mapping[str, str] = MappingProxyType(
    {
        "smile smiley grin beam": "Lip Corner Puller",
        "smirk smirky simper": "Lip Corner Puller 0.8 one",
        "laugh laughter giggle cackle guffaw lol": "Lip Corner Puller, Jaw Open 0.5",
        "chuckle": "Lip Corner Puller 0.8, Jaw Open 0.3",
        "frown frowny": "Brows Down, Lip Corner Depressor 0.8",
        "scowl glower": "Brows Down, Eye Squint 0.4",
        "glare": "Brows Down 0.8, Eye Squint 0.5",
        "grimace": "Lip Stretcher, Eye Squint 0.5",
        "wince flinch": "Eye Squint, Brows Down 0.6, Lip Stretcher 0.6",
        "sneer": "Upper Lip Raiser 0.9, Nose Wrinkler 0.7",
        "snarl growl hiss": "Nose Wrinkler, Upper Lip Raiser",
        "pout pouty sulk sulky": "Chin Raiser, Lip Puckerer 0.5",
        "kiss kissy smooch mwah muah whistle whistler": "Lip Puckerer",
        "wink winky": "Eye Blink one",
        "blink": "Eye Blink",
        "yawn": "Jaw Open, Eye Blink 0.5",
        "gape agape": "Jaw Open",
        "gasp": "Jaw Open 0.7, Eye Wide 0.6, Brows Up 0.6",
        "scream shriek screech": "Jaw Open, Lip Stretcher 0.5",
        "shout yell holler bellow sing": "Jaw Open 0.9",
        "roar": "Jaw Open, Nose Wrinkler 0.7, Brows Down 0.7",
        "sniff": "Nose Wrinkler 0.5",
        "sleep asleep doze nap snooze slumber": "Eye Blink",
        "duchenne": "Lip Corner Puller, Eye Squint 0.6",
        "frontalis": "Brows Up",
        "corrugator": "Brows Down",
        "procerus nasalis": "Nose Wrinkler",
        "zygomaticus zygomatic": "Lip Corner Puller",
        "risorius platysma": "Lip Stretcher",
        "mentalis": "Chin Raiser",
        "buccinator": "Dimpler",
        "triangularis": "Lip Corner Depressor",
    }
)
"""Expressions and muscles with a word of their own; what is said with them is said outright."""

MOODS: Mapping[str, str] = MappingProxyType(
    {
        "happy joy joyful joyous glad cheerful merry jolly delight delightful happiness": "Lip Corner Puller",
        "pleased content contented satisfy satisfaction amuse amusement tickled proud pride": ("Lip Corner Puller 0.6"),
        "excite excitement thrill ecstatic elate elation overjoyed enthusiastic enthusiasm euphoric euphoria": (
            "Lip Corner Puller, Brows Up 0.6, Jaw Open 0.4"
        ),
        "relief relieved bliss blissful peaceful": "Lip Corner Puller 0.5, Eye Blink 0.8",
        "surprise surprisal amaze amazement": "Brows Up, Eye Wide 0.8, Jaw Open 0.5",
        "shock astonish astonishment astound stun startle awe awestruck wonder flabbergasted gobsmacked dumbfounded stupefied "
        "thunderstruck": "Brows Up, Eye Wide, Jaw Open 0.7",
        "anger angry mad furious fury rage enrage irate cross outrage wrath livid hate hatred hostile hostility aggressive "
        "aggression": "Brows Down, Eye Squint 0.5, Lip Pressor 0.7",
        "annoy annoyance irritate irritation grumpy cranky frustrate frustration displease displeasure impatient "
        "impatience mean": "Brows Down 0.8, Lip Pressor 0.6",
        "sad sadness unhappy unhappiness sorrow sorrowful grief grieve mourn heartbroken depress depression miserable misery "
        "gloomy gloom melancholy melancholic upset despair": "Lip Corner Depressor, Brows Up 0.4, Brows Down 0.4",
        "disappoint disappointment dejected discouraged": "Lip Corner Depressor 0.8, Brows Down 0.4",
        "cry weep sob wail bawl whimper": "Lip Corner Depressor, Brows Up 0.4, Brows Down 0.6, Eye Squint 0.6, Chin Raiser 0.5",
        "fear afraid scare scary fearful frighten fright terrify terror horror horrify dread panic alarm": (
            "Brows Up 0.8, Brows Down 0.4, Eye Wide, Lip Stretcher 0.6"
        ),
        "worry anxious anxiety concern apprehension apprehensive pity sympathy sympathetic distress": (
            "Brows Up 0.6, Brows Down 0.5"
        ),
        "nervous nervousness tension awkward embarrass embarrassment uneasy": (
            "Lip Stretcher 0.5, Brows Up 0.4, Brows Down 0.3"
        ),
        "cringe yikes eek": "Lip Stretcher, Eye Squint 0.6",
        "disgust revulsion repulse revolt gross yuck yucky ew eww eew nasty nauseous nausea queasy sicken puke vomit gag "
        "rotten stink stinky stench smelly foul fart garbage skunk putrid": "Nose Wrinkler, Upper Lip Raiser 0.7",
        "contempt contemptuous scorn scornful disdain disdainful arrogant arrogance haughty condescending mock derision "
        "superior": "Dimpler one",
        "smug smugness cocky sarcastic sarcasm ironic irony self-satisfied": "Lip Corner Puller 0.7 one",
        "sly cunning mischievous mischief devious sneaky cheeky naughty playful scheming": (
            "Lip Corner Puller 0.8 one, Eye Squint 0.5"
        ),
        "evil wicked sinister villainous villain menace malicious maniacal diabolic": (
            "Brows Down 0.8, Lip Corner Puller 0.6"
        ),
        "pain painful ouch toothache headache migraine stung sting agony ache hurt suffer torment excruciating": "Brows Down, Eye Squint, Nose Wrinkler 0.5",
        "strain effort exert exertion struggle": "Brows Down 0.8, Eye Squint 0.8, Lip Pressor",
        "sleepy tired drowsy exhaust exhaustion weary fatigue sleepiness drunk dazed groggy dreamy daydream": "Eye Blink 0.5",
        "bored boredom meh unimpressed apathetic": "Eye Blink 0.4, Lip Corner Depressor 0.3",
        "suspect suspicious suspicion distrust wary mistrust scrutinise scrutinize inspect": "Eye Squint, Brows Down 0.5",
        "concentrate concentration focus think thoughtful ponder pensive contemplate thinker": "Brows Down 0.7, Eye Squint 0.4",
        "determine determination resolute stubborn stubbornness defiant defiance": "Brows Down 0.7, Lip Pressor 0.8",
        "serious stern strict severity grim": "Brows Down 0.6, Lip Pressor 0.4",
        "confuse confusion puzzle perplex bewilder baffle": "Brows Down 0.8, Eye Squint 0.3",
        "doubt doubtful sceptical skeptical sceptic skeptic skepticism scepticism dubious quizzical incredulous unconvinced": (
            "Brows Up one"
        ),
        "curious curiosity interested interest intrigue": "Brows Up 0.6, Eye Wide 0.3",
        "innocent innocence": "Brows Up 0.6, Eye Wide 0.5",
        "plead beg": "Brows Up 0.7, Brows Down 0.4",
        "disapprove disapproval": "Brows Down 0.7, Lip Corner Depressor 0.6",
        "shy shyness bashful coy": "Lip Corner Puller 0.5, Eye Look Down 0.6",
        "shame ashamed guilt guilty": "Eye Look Down 0.8, Lip Corner Depressor 0.5",
        "flirt flirty flirtatious seductive": "Lip Corner Puller 0.5, Eye Blink 0.35",
        "neutral blank expressionless deadpan emotionless impassive calm serene indifferent indifference unemotional composed "
        "default idle stoic": "Neutral",
    }
)
"""Moods as mixes: prototypes of EMFACS (Friesen and Ekman 1983), of pain (Prkachin and Solomon 2008) and of embarrassment
(Keltner 1995), in the units that the vocabulary has; the rest by custom."""

PHRASES: Mapping[str, str] = MappingProxyType(
    {
        "half smile | half grin | half a smile": "Lip Corner Puller 0.6 one",
        "duck face | duck lip | trout pout": "Lip Puckerer, Cheek Suck 0.4",
        "fish face | fish lip": "Cheek Suck, Lip Puckerer 0.6",
        "puppy eye | puppy dog eye": "Brows Up 0.7, Brows Down 0.4",
        "doe eye | crazy eye | goggle eye | pop eye | starry eye": "Eye Wide",
        "bedroom eye | sleepy eye | tired eye": "Eye Blink 0.4",
        "evil eye | stink eye": "Brows Down 0.8, Eye Squint 0.6",
        "beady eye | crow foot | crow feet | orbicularis oculi | smile eye | smize | smile only with eye | only smile with eye": "Eye Squint",
        "half lid": "Eye Blink 0.5",
        "reach eye": "Eye Squint 0.6",
        "straight ahead | look forward | look straight | look ahead": "Neutral",
        "cross eye | eye cross | go cross": "crossed",
        "wall eye": "walled",
        "lip toward": "Lip Pressor 0.5",
        "slack jaw | jaw slack | jaw hang": "Jaw Open 0.6",
        "worry line": "Brows Up",
        "lip corner puller": "Lip Corner Puller",
        "depressor anguli oris": "Lip Corner Depressor",
        "depressor labii | depressor labii inferioris": "Lower lip Depressor",
        "levator labii | levator labii superioris": "Upper Lip Raiser",
        "levator palpebrae": "Eye Wide",
        "orbicularis oris": "Lip Pressor",
        "fake smile | friendly smile": "Lip Corner Puller 0.7",
        "mona lisa smile": "Lip Corner Puller 0.3",
        "closed smile | close mouth smile | close lip smile": "Lip Corner Puller",
        "open smile | open mouth smile": "Lip Corner Puller, Jaw Open 0.4",
        "tight lip smile": "Lip Corner Puller, Lip Pressor 0.6",
        "gummy smile": "Lip Corner Puller, Upper Lip Raiser 0.8",
        "toothy smile | toothy grin": "Lip Corner Puller, Upper Lip Raiser 0.5",
        "bitter smile": "Lip Corner Puller 0.6, Brows Down 0.4",
        "straight face | straight faced | poker face | poker faced | stony faced | rest face | rest pose | no expression | "
        "no emotion | without expression | without emotion | at rest | nothing | relax face": "Neutral",
        "dont know | no idea": "Chin Raiser 0.7, Brows Up 0.7, Lip Corner Depressor 0.4",
        "full cheek": "Cheek Puff",
        "blow kiss | air kiss": "Lip Puckerer",
        "bright light | strong light | harsh light | light is bright | light too bright | light is too bright": "Eye Squint",
        "suppress smile | suppress laugh | stifle laugh | stifle smile | hold back laugh | hold back smile": (
            "Lip Corner Puller 0.5, Lip Pressor 0.7"
        ),
        "look at nose | look at tip of nose | look at own nose": "crossed",
        "nose sneer": "Nose Wrinkler",
    }
)
"""Several words that mean another thing together than each alone."""

SCENES: Mapping[str, str] = MappingProxyType(
    {
        "lemon | lime | sour | vinegar | pickle | grapefruit": "Face Compression 0.8",
        "candle | match blow": "Lip Puckerer, Cheek Puff 0.5",
        "balloon | trumpet | tuba | chipmunk | hamster | squirrel | blowfish": "Cheek Puff",
        "bubble | soup | dandelion": "Lip Puckerer, Cheek Puff 0.5",
        "straw | milkshake | lollipop | smoothie": "Cheek Suck, Lip Puckerer 0.6",
        "fish | goldfish": "Cheek Suck, Lip Puckerer 0.6",
        "sun | sunlight | sunshine | headlight | dazzle | small print | fine print | nearsighted | shortsighted "
        "| blur | smoke": "Eye Squint",
        "ghost | spider | snake | monster | nightmare": "Brows Up 0.8, Brows Down 0.4, Eye Wide, Lip Stretcher 0.6",
        "deer headlight": "Eye Wide, Brows Up 0.6",
        "smell bad | smell awful | smell terrible | smell horrible | taste bad | taste awful | taste terrible | taste horrible | "
        "smell unpleasant | taste unpleasant | bitter | medicine | spoil": "Nose Wrinkler, Upper Lip Raiser 0.7",
        "dentist | doctor | tonsil | burger | hamburger | apple bite": "Jaw Open",
        "cheese": "Lip Corner Puller",
        "toothless | denture": "Lip Suck",
        "rabbit | bunny": "Nose Wrinkler 0.8",
        "bulldog | underbite | caveman": "Jaw Forward",
        "owl": "Eye Wide",
        "sneeze": "Nose Wrinkler 0.8, Eye Blink 0.7, Jaw Open 0.4",
        "burst tear | verge tear | close tear | fight tear | back tear | onion": (
            "Lip Corner Depressor, Brows Up 0.4, Brows Down 0.6, Eye Squint 0.6, Chin Raiser 0.5"
        ),
        "bad news": "Lip Corner Depressor, Brows Up 0.4, Brows Down 0.4",
        "good news | present | gift": "Lip Corner Puller, Brows Up 0.6",
        "joke": "Lip Corner Puller, Jaw Open 0.4",
        "secret": "Lip Pressor",
        "barbell | dumbbell | weightlifter": "Brows Down 0.8, Eye Squint 0.8, Lip Pressor",
        "elvis": "Upper Lip Raiser one",
        "spock": "Brows Up one",
        "clown | joker": "Lip Corner Puller",
        "dunno": "Chin Raiser 0.7, Brows Up 0.7, Lip Corner Depressor 0.4",
    }
)
"""What a face is compared with -> its look; all words of a scene have to be in one clause, in any order."""

SOUNDS = (
    ("o+h*", "Lip Funneler"), ("oo+h*|u+|w+oo+", "Lip Puckerer"), ("a+h+|aa+", "Jaw Open"), ("e{2,}", "Lip Stretcher"),
    ("m{2,}|hu?m+", "Lip Pressor"),
)  # fmt: skip
"""Patterns of spoken sounds -> the mouth's shape; a later pattern is tried first."""

UNITS: Mapping[str, str] = MappingProxyType({
    "0": "Neutral", "1 2": "Brows Up", "4": "Brows Down", "5": "Eye Wide", "6 7 44": "Eye Squint", "9": "Nose Wrinkler",
    "10": "Upper Lip Raiser", "11": "Upper Lip Raiser 0.5", "12": "Lip Corner Puller", "13": "Lip Corner Puller 0.7",
    "14": "Dimpler", "15": "Lip Corner Depressor", "16": "Lower lip Depressor", "17": "Chin Raiser", "18": "Lip Puckerer",
    "20": "Lip Stretcher", "21": "Lip Stretcher 0.4", "22": "Lip Funneler", "23 24": "Lip Pressor", "25": "Jaw Open 0.3",
    "26": "Jaw Open 0.6", "27": "Jaw Open", "28": "Lip Suck", "29": "Jaw Forward", "32": "Lip Suck 0.6",
    "33 34": "Cheek Puff", "35": "Cheek Suck", "41": "Eye Blink 0.4", "42": "Eye Blink 0.8", "43 45": "Eye Blink",
    "46": "Eye Blink one", "61": "Eye Look Left", "62": "Eye Look Right", "63": "Eye Look Up", "64": "Eye Look Down",
    "65": "walled", "66": "crossed",
})  # fmt: skip
"""FACS action units (Ekman, Friesen and Hager 2002) -> the row each is the main part of; AU30 takes its side as direction."""

UNFIT_UNITS: Mapping[str, str] = MappingProxyType({
    "19 36 37": "the tongue", "38 39": "the nostrils", "31": "the clenched jaw", "50": "the voice",
    "51 52 53 54 55 56 57 58": "the head and neck",
})  # fmt: skip
"""FACS units of what no expression here moves, by the name in `words.UNFIT`."""

LETTERS = MappingProxyType({"a": 0.15, "b": 0.3, "c": 0.55, "d": 0.8, "e": 1.0})
"""FACS intensities, trace to maximum, as strengths; the manual orders them and gives no numbers."""

ARKIT_PAIRS: Mapping[str, str] = MappingProxyType({
    "eyeBlink": "Eye Blink", "eyeLookDown": "Eye Look Down", "eyeLookUp": "Eye Look Up", "eyeSquint": "Eye Squint",
    "eyeWide": "Eye Wide", "cheekSquint": "Eye Squint", "browOuterUp": "Brows Up", "browDown": "Brows Down",
    "mouthLowerDown": "Lower lip Depressor", "noseSneer": "Nose Wrinkler", "mouthUpperUp": "Upper Lip Raiser",
    "mouthSmile": "Lip Corner Puller", "mouthFrown": "Lip Corner Depressor", "mouthDimple": "Dimpler",
    "mouthStretch": "Lip Stretcher", "mouthPress": "Lip Pressor", "eyeLookOut": "walled", "eyeLookIn": "crossed",
})  # fmt: skip
"""ARKit blend shapes that end in Left or Right -> row."""
ARKIT_SINGLES: Mapping[str, str] = MappingProxyType({
    "browInnerUp": "Brows Up", "jawOpen": "Jaw Open", "jawForward": "Jaw Forward", "jawLeft": "Jaw Left",
    "jawRight": "Jaw Right", "mouthLeft": "Mouth Left", "mouthRight": "Mouth Right", "cheekPuff": "Cheek Puff",
    "mouthPucker": "Lip Puckerer", "mouthFunnel": "Lip Funneler", "mouthRollLower": "Lip Suck",
    "mouthRollUpper": "Lip Suck", "mouthShrugLower": "Chin Raiser", "mouthShrugUpper": "Chin Raiser",
    "mouthClose": "Chin Raiser",
})  # fmt: skip
"""The other ARKit blend shapes; mouthClose, a corrective of jawOpen, is the lower lip pushed up."""
