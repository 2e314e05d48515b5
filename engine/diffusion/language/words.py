"""What single words of a prompt mean: body parts, actions, sides, degrees and joins.

All tables map a meaning to the base words that have it; endings (-s, -ed, -ing, -ly, ...) are made by `spelling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PARTS: Mapping[str, str] = MappingProxyType({
    "brow": "brow eyebrow unibrow browed", "forehead": "forehead", "eye": "eye eyeball eyed peeper",
    "lid": "lid eyelid lidded eyelash lash", "nose": "nose nosed snout nostril", "cheek": "cheek cheeked", "lip": "lip lipped",
    "mouth": "mouth mouthed", "corner": "corner edge", "jaw": "jaw jawed mandible", "chin": "chin chinned",
    "teeth": "teeth tooth toothed toothy gum", "face": "face faced feature visage countenance",
})  # fmt: skip

ACTS: Mapping[str, str] = MappingProxyType({
    "up": "up upward raise uplift lift elevate hike hoist upturn rise rose risen arch arc cock quirk perk waggle wiggle high heighten "
    "raiser lifter ceiling sky overhead hairline shoot above heaven",
    "down": "down downward lowerer depressor downturn downcast downturned sink sank sunk floor ground foot feet "
    "shoe table desk phone below",
    "drop": "drop dropper fall fell fallen hang hung dangle slack slacken unhinge sag saggy plunge",
    "droop": "droop droopy heavy hooded drowse",
    "in": "in inward inside",
    "out": "out outward forward forth protrude protrusion jut thrust stick stuck project extend poke",
    "back": "back backward retract",
    "together": "together join meet converge unite",
    "apart": "apart part separate ajar",
    "sideways": "sideways sideway lateral horizontal askew skew twist slant sidelong aside askance contort warp",
    "close": "close shut closure",
    "open": "open unclosed opener",
    "wide": "wide widen broad broaden width",
    "big": "big huge large enormous giant massive",
    "small": "small tiny",
    "bulge": "bulge pop bug goggle saucer protuberant boggle",
    "narrow": "narrow squint squinty squinch slit slitted",
    "tight": "tight tighten tightener tense taut firm stiff stiffen",
    "thin": "thin line", "flat": "flat flatten straighten",
    "press": "press pressor presser clamp seal zip pinch mash smash pressure",
    "squeeze": "squeeze squish squash compress compression crush bunch shrink shrivel condense clench squinched",
    "wrinkle": "wrinkle wrinkler wrinkly crinkle crinkly crease twitch corrugate ruck",
    "scrunch": "scrunch scrunchy screw crumple",
    "furrow": "furrow knit knot gather",
    "puff": "puff puffy puffer inflate swell swollen bloat fill expand chubby stuff",
    "blow": "blow blew blown exhale",
    "suck": "suck hollow sunken cave inhale gaunt",
    "pucker": "pucker puckerer purse",
    "round": "round funnel funneler funnelled circle circular oval cone hoop ring tube",
    "roll": "roll fold tuck hide hid hidden disappear vanish swallow",
    "bite": "bite bitten bit nibble chew gnaw",
    "curl": "curl curve", "tremble": "tremble quiver wobble",
    "stretch": "stretch stretcher spread stretchy",
    "long": "long elongate lengthen",
    "show": "show shown bare expose reveal display visible flash uncover",
    "grit": "grit gnash bared",
    "relax": "relax loose loosen soften still steady natural normal resting rested unmoved unchanged",
    "look": "look gaze glance peer peek peep avert dart direct glimpse",
    "stare": "stare gawk",
    "dimple": "dimple dimpler dimply",
    "shrug": "shrug", "white": "white sclera", "air": "air breath",
    "push": "push",
    "pull": "pull puller draw drew drawn drag tug bring brought move shift slide slid swing turn bend set hold held "
    "keep kept cast grind flex tip form shape stay remain",
})  # fmt: skip

LIGHT = frozenset(("pull", "push", "look", "show", "relax"))
"""Actions that say little without a part or a direction."""
FREE = frozenset("up down in out back together apart sideways big small wide tight thin flat drop air aside".split())
"""Directions and sizes: after an action that says enough ('puffed out') they add nothing."""
SOFT = MappingProxyType({"wide": 1.0, "big": 1.0, "small": 0.4, "tight": 1.0, "thin": 1.0})
"""Actions that are only a degree where the part has no use for them: a wide smile, a small laugh."""
PARTICLES = frozenset(
    "up down in out back forward upward downward inward outward together apart sideways upwards downwards forwards "
    "backwards inwards outwards high higher low wide tight tightly".split()
)
"""Words that follow what they belong to: pull the lip down."""
OWN_PART = MappingProxyType({
    "narrow": "eye", "pucker": "lip", "puff": "cheek", "squeeze": "face", "look": "eye",
    "stare": "eye", "blow": "lip", "dimple": "corner", "round": "lip", "grit": "teeth", "scrunch": "face", "furrow": "brow", "white": "eye", "air": "cheek",
})  # fmt: skip
"""Actions that need no part to be named."""

SIDES: Mapping[str, str] = MappingProxyType({
    "left": "left l lb lt", "right": "right r rb rt", "leftward": "leftward leftwards", "rightward": "rightward rightwards",
    "both": "both bilateral bilaterally symmetric symmetrical symmetrically either pair equal equally two",
    "one": "one single lone unilateral unilaterally crooked crookedly lopsided lopsidedly asymmetric asymmetrical "
    "asymmetrically asymmetry wry wryly uneven unevenly",
    "other": "other opposite",
})  # fmt: skip

_DEGREES: Mapping[float, str] = MappingProxyType({
    0.15: "trace hardly minimal minimum imperceptible",
    0.2: "barely hint ghost scarcely suggestion",
    0.35: "slight little tad touch smidge smidgen gentle light mild soft faint subtle tentative shallow lightly",
    0.4: "weak low modest",
    0.5: "half halfway midway partly partial partway semi less lazily lazy",
    0.6: "medium moderate mid marked middling average",
    0.75: "quite rather fairly pretty considerable noticeable considerably clear",
    0.8: "almost nearly severe pronounced mostly",
    1.0: "strong hard full fully complete total entire extreme maximum maximal max intense deep heavily exaggerate powerful "
    "vigorous forceful far bright dramatic utmost whole great massively lot overly possible peak loud",
})  # fmt: skip
DEGREES: Mapping[str, float] = MappingProxyType(
    {word: value for value, words in _DEGREES.items() for word in words.split()}
)
"""Strength words -> strength 0..1; trace, slight, marked, severe and maximum are the names of FACS A to E."""
BOOSTERS = frozenset("very really so super extremely incredibly too such even more much ultra totally".split())
"""Make a strong word no stronger, a weak word weaker: very slightly."""

NEGATIONS = frozenset(
    "no not never without dont doesnt didnt isnt arent wont cant cannot none neither avoid sans minus stop "
    "instead".split()
)
JOINS = frozenset("and with while whilst but then plus also yet though although when where until or nor alongside "
                  "having featuring because after before except besides".split())  # fmt: skip
COMPARES = frozenset(
    "like as resembling imitating mimicking pretending pretend resemble imitate mimic suggesting suggest suggests indicating "
    "indicate indicates conveying convey conveys betraying betray implying imply signaling signalling hinting expressing "
    "communicating denoting".split()
)
PREPOSITIONS = frozenset(
    "to toward towards into onto over under against between behind on at from around about of for near through past "
    "beside across along by".split()
)
UNFIT: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({
    "the tongue": ("tongue lick", ("Jaw Open", "Lip Suck")),
    "the ears": ("ear earlobe", ("Brows Up",)),
    "the nostrils": ("flare dilate", ("Nose Wrinkler",)),
    "the head and neck": ("head nod tilt neck shake bow headshake", ("Eye Look Left", "Eye Look Right", "Eye Look Down")),
    "hair": ("hair beard moustache mustache stubble haircut bald", ("Brows Up",)),
    "skin colour, tears or sweat": (
        "blush pale sweat tear tearful redden flush freckle colour color tan", ("Lip Corner Depressor", "Cheek Puff"),
    ),
    "the pupils": ("pupil iris", ("Eye Wide", "Eye Squint")),
    "the clenched jaw": ("clencher", ("Lip Pressor", "Lip Stretcher")),
    "the body": ("hand finger shoulder arm body thumb leg fist torso chest", ("Neutral",)),
    "things worn or held": ("hat glasses glass sunglass cigarette mask helmet earring", ("Neutral",)),
    "the voice": ("talk speak speech", ("Jaw Open", "Lip Funneler")),
})  # fmt: skip
"""What no expression here moves -> the words that ask for it, the nearest rows."""

FILLERS = frozenset(
    """
    a an the this that these those it its he she they you we i me him her his hers them their theirs us my our your yours
    who whom which what whose here there himself herself yourself itself themselves myself self own im ive id youre youve
    youd hes shes theyre theres thats
    be is are am was were been being do does doing did done have has had get got give gave make made can could will would shall should
    may might must let want need try tried gonna go goes going went gone come came start begin began become became use apply create
    generate render produce perform act put seem appear feel felt say said see saw seen hear heard find found know knew
    taste eat ate eaten drink drank smell play read catch caught pronounce mouthing sip slurp take took cause wear wore
    happen notice imagine
    expression express portrait photo photograph picture image selfie animation frame camera viewer lens audience mirror
    photographer observer person people man woman guy girl boy lady kid child children baby adult human male female actor
    actress character subject model avatar player performer figure friend everyone someone somebody something anything
    thing everything
    pose key blendshape slider value amount strength intensity level grade degree area region muscle contraction contract
    activation activate action unit facs au aus movement motion gesture apex onset x major minor v viseme phoneme syllable
    kind sort way style type version state position place direction point perspective moment time word letter vowel sound
    name tune song melody fashion manner mix mixture combination combined blend center centre middle side sided
    please kindly ok okay hi hello thanks thank just only merely simply actually now again any each every all once same
    than if perhaps maybe always ever constantly sure certain exactly enough well else rest straight ahead front
    clearly slow quick sudden gradual final usual simultaneous first second next new additional main primary
    predominant especially inner outer central per upon bridge root boss
    good nice beautiful lovely cute charming pleasant warm polite sweet genuine sincere proper typical simple expressive
    attractive handsome fine cool awesome wonderful thick cold fresh delicious raw hot spicy off away vertical skin cover reach
    involve prominent icy t b
    """.split()
)
"""Words that change nothing."""

IDIOMS: tuple[tuple[str, str | float, str], ...] = (
    ("join", "", "as well as | along with | combined with | so that | in order to | at same time | in addition "
     "| on top of that | followed by | except for | such that | apart from that"),
    ("negation", "", "rather than | instead of | free of"),
    ("compare", "", "as if | as though | such as | look like | looks like | similar to | way you | as in | as for | as when"),
    ("filler", "", "would like | id like | i like | mean it | close up | right now | all right | nothing else | no other | "
     "anything else | any other | everything else | stick to | in general | of course | other than that | at all"),
    ("degree", 1.0, "all way | to max | ear to ear | from ear to ear | as much as possible | as much as can | at max | "
     "to fullest | to limit"),
    ("degree", 0.33, "one third | third"), ("degree", 0.67, "two third"), ("degree", 0.25, "one quarter | quarter"),
    ("degree", 0.75, "three quarter"), ("degree", 0.9, "nine tenth"),
    ("degree", 0.35, "little bit | tiny bit | wee bit | small bit | tiny little bit | slight bit"),
    ("degree", 0.5, "not too | not very | not so | not fully | not completely | not entirely | not totally | not quite | "
     "not all way | not much | half way | less than fully | not wholly | not overly"),
    ("side", "left", "left hand | left half | stage left | viewer right | screen right | camera right | image right | "
     "picture right | frame right | photo right | observer right | audience right | right screen | right image | "
     "right picture | right side image | right side screen | right side picture"),
    ("side", "right", "right hand | right half | stage right | viewer left | screen left | camera left | image left | "
     "picture left | frame left | photo left | observer left | audience left | left screen | left image | "
     "left picture | left side image | left side screen | left side picture"),
    ("act", "aside", "to side | to one side | off to side | over to one side"),
    ("act", "askance", "side eye | look away | avert eye | avert gaze | side glance | look aside"),
    ("act", "in", "to middle | to center | to centre | toward center | towards center | toward middle | towards middle | "
     "into center | into middle | toward centre | towards centre"),
    ("act", "droop", "half mast"), ("filler", "", "out of head | of head | in head"),
    ("act", "roll", "over teeth | behind teeth | around teeth"),
    ("act", "bite", "between teeth | under teeth | with teeth bite | under upper teeth | under top teeth"),
)  # fmt: skip
"""Kind, value and wordings of what several words say together; determiners and 'of' do not count."""
