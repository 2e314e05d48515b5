import random

import pytest

from engine.diffusion.language.captions import PARAPHRASES, caption
from engine.diffusion.prompts import parse_prompt, understand
from engine.errors import VocabularyError
from engine.vocabulary import EXPRESSIONS, NAMES


@pytest.mark.parametrize("entry", EXPRESSIONS, ids=lambda entry: entry.name)
def test_names_prompts_and_paraphrases_mean_their_own_row(entry):
    for text in (entry.name, entry.name.upper(), entry.prompt, *PARAPHRASES[entry.name]):
        found = parse_prompt(text)
        assert list(found) == [entry.name], text
        assert min(found[entry.name]) > 0.2, text


@pytest.mark.parametrize(
    ("prompt", "strengths"),
    [
        ("Jaw Open 0.5 + Brows Up", {"Jaw Open": 0.5, "Brows Up": 1.0}),
        ("jaw open 50%, raised brows", {"Jaw Open": 0.5, "Brows Up": 1.0}),
        ("a big smile", {"Lip Corner Puller": 1.0}),
        ("a slight smile", {"Lip Corner Puller": 0.35}),
        ("smile with the eyes closed", {"Lip Corner Puller": 1.0, "Eye Blink": 1.0}),
        ("smiling and looking left", {"Lip Corner Puller": 1.0, "Eye Look Left": 1.0}),
        ("AU12", {"Lip Corner Puller": 1.0}),
        ("au12:0.5 + AU4", {"Lip Corner Puller": 0.5, "Brows Down": 1.0}),
        ("AU30L", {"Jaw Left": 1.0}),
        ("jawOpen=0.7", {"Jaw Open": 0.7}),
        ("mouthSmile", {"Lip Corner Puller": 1.0}),
        ("jaw to the left", {"Jaw Left": 1.0}),
        ("jaw_open .25", {"Jaw Open": 0.25}),
        ("neutral + jaw open", {"Jaw Open": 1.0}),
        ("half surprised", {"Brows Up": 0.5, "Eye Wide": 0.4, "Jaw Open": 0.25}),
    ],
)
def test_prompts_are_understood(prompt, strengths):
    found = parse_prompt(prompt)
    assert {name: max(sides) for name, sides in found.items()} == pytest.approx(strengths, abs=0.15)
    assert all(left == right for left, right in found.values())


@pytest.mark.parametrize(
    ("prompt", "left", "right"),
    [
        ("left eye blink", {"Eye Blink"}, set()),
        ("eyeBlinkRight", set(), {"Eye Blink"}),
        ("wink with the right eye", set(), {"Eye Blink"}),
        ("a crooked smile with the left eye half closed", {"Lip Corner Puller", "Eye Blink"}, set()),
        ("AU12L + AU4", {"Lip Corner Puller", "Brows Down"}, {"Brows Down"}),
    ],
)
def test_sides_are_the_subjects(prompt, left, right):
    found = parse_prompt(prompt)
    assert {name for name, sides in found.items() if sides[0] > 0.1} == left
    assert {name for name, sides in found.items() if sides[1] > 0.1} == right


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("lips parted, just barely", "Jaw Open 0.12"),  # what is asked for can be seen
        ("lids droop to 40%", "Eye Blink 0.4"),  # a number is the strength itself
        ("AU26C", "Jaw Open 0.55"),
        ("avert your gaze downwards", "Eye Look Down"),
        ("peer out of the left corner of the eyes", "Eye Look Left"),
        ("pupils moved over to the left side", "Eye Look Left"),
        ("looks down at the baby in her arms", "Eye Look Down"),
        ("puckered lips as he looks up", "Lip Puckerer, Eye Look Up"),
        ("lips pressed together in anger", "Lip Pressor"),
        ("surprised, not scared", "Brows Up, Eye Wide 0.8, Jaw Open 0.5"),
        ("mouth slid across to the right side of the face", "Mouth Right"),
        ("a left-shifted mouth", "Mouth Left"),
        ("everything pulled apart", "Face Stretch"),
        ("all features pulled toward the nose", "Face Compression"),
        ("lower lip pushed up against the upper one", "Chin Raiser"),
        ("bottom teeth in front of the top teeth", "Jaw Forward"),
        ("upper lip raised on the left, showing the teeth", "Upper Lip Raiser 1 left"),
        ("drop the bottom lip a bit so we see the lower teeth", "Lower lip Depressor 0.35"),
        ("resting face, lips together", "Neutral"),
        ("a mild frown, brows only", "Brows Down 0.35"),
        ("the right eye squints harder than the left", "Eye Squint 0.5 left and 1 right"),
        ("brows pulled low over the eyes", "Brows Down"),
        ("open wide", "Jaw Open"),
        ("chin tense and dimpled", "Chin Raiser"),
        ("open mouth on a scale of 0 to 1: 0.3", "Jaw Open 0.3"),
        ("3 on a scale of 1 to 10, mouth open", "Jaw Open 0.3"),
        ("cheeks pufed", "Cheek Puff"),
        ("eyesclosed, lippuckerer", "Eye Blink, Lip Puckerer"),
    ],
)
def test_general_rules_of_what_people_say(prompt, read):
    assert str(understand(prompt)) == read


@pytest.mark.parametrize("prompt", ["dilated pupils", "wearing red lipstick", "close the door", "smoother skin"])
def test_what_is_no_expression_is_refused(prompt):
    with pytest.raises(VocabularyError):
        parse_prompt(prompt)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "found nothing"),
        (" + ", "found nothing"),
        ("flibber", "not understood"),
        ("jaw opem", "Jaw Open"),
        ("jaw open 1.5", "0 to 1"),
        ("xyzzy + plugh", "xyzzy"),
    ],
)
def test_what_is_not_understood_is_said_and_never_neutral(prompt, said):
    with pytest.raises(VocabularyError, match=r"^(?s:.*)" + said):
        parse_prompt(prompt)


@pytest.mark.parametrize(
    ("prompt", "read", "unread"),
    [
        ("smile purple", "Lip Corner Puller", ("purple",)),
        ("smile + xyzzy", "Lip Corner Puller", ("xyzzy",)),
        ("left brow up 40%, frobnicate the lips", "Brows Up 0.4 left", ("frobnicate the lips",)),
        ("smile and clench your jaw", "Lip Corner Puller", ("clench your jaw",)),
        ("close your eyes like my grandmother", "Eye Blink", ("my grandmother",)),
        ("half a smile on the left, jaw open", "Lip Corner Puller 0.6 left, Jaw Open", ()),
    ],
)
def test_what_is_left_unread_beside_what_is_understood_is_told(prompt, read, unread):
    found = understand(prompt)
    assert found.unread == unread
    assert str(found) == (f"{read}; not read: {unread[0]}" if unread else read)


def test_captions_say_every_active_row_and_are_repeatable():
    """What a caption says is what the parser reads: rows, sides, about the strength."""
    wrong = 0
    for seed in range(300):
        rng = random.Random(seed)
        left, right = [0.0] * len(NAMES), [0.0] * len(NAMES)
        row = rng.randrange(1, len(NAMES))
        left[row] = right[row] = rng.choice((1.0, 1.0, 0.5))
        text = caption((left, right), random.Random(seed))
        assert text == caption((left, right), random.Random(seed))
        try:
            wrong += set(parse_prompt(text)) != {NAMES[row]}
        except VocabularyError:
            wrong += 1
    assert wrong <= 15
