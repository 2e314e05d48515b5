"""The table of 32 and reading names and weights."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import VocabularyError
from engine.vocabulary import EXPRESSIONS, NAMES, find, nearest_first, parse_names

PUBLISHED = (
    "Neutral",
    "Eye Blink",
    "Eye Look Down",
    "Eye Look Up",
    "Eye Look Left",
    "Eye Look Right",
    "Eye Squint",
    "Eye Wide",
    "Brows Up",
    "Brows Down",
    "Jaw Open",
    "Jaw Forward",
    "Jaw Left",
    "Jaw Right",
    "Face Compression",
    "Lower lip Depressor",
    "Chin Raiser",
    "Cheek Suck",
)
"""What ExpDiff's pipeline figure shows, letter by letter."""

_PAIRS = (
    "eyeBlink eyeLookDown eyeLookIn eyeLookOut eyeLookUp eyeSquint eyeWide mouthSmile mouthFrown mouthDimple "
    "mouthStretch mouthPress mouthLowerDown mouthUpperUp browDown browOuterUp cheekSquint noseSneer"
)
_SINGLES = (
    "jawForward jawLeft jawRight jawOpen mouthClose mouthFunnel mouthPucker mouthLeft mouthRight mouthRollLower "
    "mouthRollUpper mouthShrugLower mouthShrugUpper browInnerUp cheekPuff tongueOut"
)
APPLE = {name + side for name in _PAIRS.split() for side in ("Left", "Right")} | set(_SINGLES.split())
"""ARFaceAnchor.BlendShapeLocation."""


def test_there_are_32_rows_numbered_in_order_and_named_once():
    assert [entry.number for entry in EXPRESSIONS] == list(range(1, 33))
    assert len({entry.name.casefold() for entry in EXPRESSIONS}) == len({entry.prompt for entry in EXPRESSIONS}) == 32
    assert all(entry.prompt.strip() for entry in EXPRESSIONS)


def test_the_published_names_are_kept_to_the_letter():
    assert NAMES[:18] == PUBLISHED


def test_every_arkit_name_is_one_of_apples():
    assert len(APPLE) == 52
    used = {name for entry in EXPRESSIONS for name in entry.arkit}
    assert used <= APPLE
    assert used == APPLE - {"mouthClose", "tongueOut"}  # neither follows from the 32


def test_strengths_are_in_range_and_units_are_facs():
    for entry in EXPRESSIONS:
        assert all(re.fullmatch(r"AU[1-9][0-9]?[LR]?", unit) for unit in entry.facs), entry.name
        assert all(0 < strength <= 1 for strength in entry.facs.values())
        assert all(0 < abs(weight) <= 1 for weight in entry.arkit.values())
        assert bool(entry.arkit) == (entry.name != "Neutral")


def test_left_and_right_rows_mirror_each_other():
    def mirrored(name):
        return re.sub("Left|Right", lambda side: {"Left": "Right", "Right": "Left"}[side[0]], name)

    for entry in EXPRESSIONS:
        if mirrored(entry.name) != entry.name:
            other = find(mirrored(entry.name))
            assert {mirrored(name): weight for name, weight in entry.arkit.items()} == other.arkit
        else:
            assert {mirrored(name): weight for name, weight in entry.arkit.items()} == entry.arkit


def test_rows_cannot_be_changed():
    with pytest.raises(TypeError):
        EXPRESSIONS[1].arkit["eyeBlinkLeft"] = 0.0


@given(st.sampled_from(EXPRESSIONS), st.sampled_from(["", " ", "_", "-", "  "]), st.booleans())
def test_names_are_found_whatever_their_capitals_and_spaces(entry, gap, upper):
    written = gap.join(entry.name.split())
    assert find(written.upper() if upper else written.lower()) is entry


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Jaw Opne", "Jaw Open"),
        ("eyeblnik", "Eye Blink"),
        ("Brow Up", "Brows Up"),
        ("lower lip", "Lower lip Depressor"),
    ],
)
def test_a_slip_is_answered_with_the_nearest_name(written, meant):
    with pytest.raises(VocabularyError, match=f"unknown expression '{written}'; did you mean .*{meant}"):
        find(written)


@pytest.mark.parametrize("written", ["", "qqqq", "表情"])
def test_what_is_near_nothing_is_answered_with_all_names(written):
    with pytest.raises(VocabularyError) as caught:
        find(written)
    assert all(name in str(caught.value) for name in NAMES)


def test_names_are_parsed_in_order_and_once():
    assert parse_names("jaw open, Brows Up,JAW_OPEN,") == ("Jaw Open", "Brows Up")
    assert parse_names(" ALL ") == NAMES[1:]
    assert parse_names("") == ()
    assert parse_names(", ".join(NAMES)) == NAMES
    with pytest.raises(VocabularyError, match="Jaw Open"):
        parse_names("Brows Up, Jaw Opem")


def test_the_nearest_share_units_then_the_part_of_the_face():
    smile = find("Lip Corner Puller")
    order = nearest_first({**smile.facs, **smile.arkit})
    assert order[0] == "Lip Corner Puller"
    assert sorted(order) == sorted(NAMES[1:])
    # cheeks rise in a squint as well; then what else the mouth does; the brows have nothing to do with it
    assert order.index("Eye Squint") < order.index("Lip Corner Depressor") < order.index("Brows Up")
    jaw = find("Jaw Left")
    nearest = nearest_first({**jaw.facs, **jaw.arkit})
    assert nearest[:4] == ("Jaw Left", "Jaw Forward", "Jaw Right", "Jaw Open")
    assert nearest_first({"AU12": 0.7, "AU6": 0.4}, ("Brows Up", "Eye Squint", "Lip Corner Puller"))[-1] == "Brows Up"
    assert nearest_first({}) == NAMES[1:]
