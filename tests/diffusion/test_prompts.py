import random

import pytest

from engine.diffusion.prompts import PARAPHRASES, caption, parse_prompt
from engine.errors import VocabularyError
from engine.vocabulary import EXPRESSIONS, NAMES


@pytest.mark.parametrize("entry", EXPRESSIONS, ids=lambda entry: entry.name)
def test_names_prompts_and_paraphrases_mean_their_own_row(entry):
    for text in (entry.name, entry.name.upper(), entry.prompt, *PARAPHRASES[entry.name]):
        assert parse_prompt(text) == {entry.name: 1.0}, text


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
        ("eyeLookOutLeft", {"Eye Look Left": 1.0}),
        ("jaw to the left", {"Jaw Left": 1.0}),
        ("jaw_open .25", {"Jaw Open": 0.25}),
        ("neutral + jaw open", {"Jaw Open": 1.0}),
        ("half surprised", {"Brows Up": 0.5, "Eye Wide": 0.4, "Jaw Open": 0.25}),
    ],
)
def test_prompts_are_understood(prompt, strengths):
    assert parse_prompt(prompt) == pytest.approx(strengths)


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("", "found nothing"),
        (" + ", "found nothing"),
        ("flibber", "not understood"),
        ("jaw opem", "Jaw Open"),
        ("smile purple", "purple"),
        ("left eye blink", "both sides"),
        ("eyeBlinkLeft", "not understood"),
        ("jaw open 1.5", "0 to 1"),
        ("not smiling", "'not'"),
        ("smile + xyzzy", "xyzzy"),
    ],
)
def test_what_is_not_understood_is_said_and_never_neutral(prompt, said):
    with pytest.raises(VocabularyError, match=r"^(?s:.*)" + said):
        parse_prompt(prompt)


def test_captions_say_every_active_row_and_are_repeatable():
    strengths = [0.0] * len(NAMES)
    strengths[NAMES.index("Jaw Open")], strengths[NAMES.index("Brows Up")] = 1.0, 0.4
    told = {caption(strengths, random.Random(seed)) for seed in range(40)}
    assert len(told) > 20
    assert caption(strengths, random.Random(3)) == caption(strengths, random.Random(3))
    row = dict.fromkeys(PARAPHRASES["Jaw Open"]) | {"Jaw Open": None, EXPRESSIONS[10].prompt: None}
    assert all(any(words in text for words in row) for text in told)
