"""Number fields: what is typed is what is meant, whatever the country; what is chosen in a list is what is applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum, StrEnum

import pytest
from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget

from tests.viewer import hand
from viewer.widgets.controls import Choice
from viewer.widgets.number import Number


@pytest.fixture(params=["C", "de_DE", "fr_CH", "en_US"])
def country(request: pytest.FixtureRequest) -> Iterator[str]:
    before = QLocale()
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(before)


@pytest.fixture
def show(dark, qtbot) -> Callable[..., None]:
    """Shows fields below each other in a window."""
    window = QWidget()
    layout = QVBoxLayout(window)
    qtbot.addWidget(window)

    def shown(*fields: QWidget) -> None:
        for field in fields:
            layout.addWidget(field)
        with qtbot.waitExposed(window):
            window.show()

    return shown


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("0.5", 0.5, "0.50"),
        ("0,5", 0.5, "0.50"),
        (".25", 0.25, "0.25"),
        ("-,5", -0.5, "-0.50"),
        ("7", 2.0, "2.00"),  # the nearest in range
        ("-30", -1.0, "-1.00"),
        ("", 1.0, "1.00"),  # nothing is no number: what was there stays
        ("x", 1.0, "1.00"),
        ("1e-1", 0.1, "0.10"),
        ("1e", 1.0, "1.00"),
    ],
)
def test_what_is_typed_over_a_number_is_there(show, country, text: str, value: float, shown: str) -> None:
    field, other = Number(-1.0, 2.0, value=1.0), Number()
    show(other, field)
    hand.fill(field, text)
    assert (field.value(), field.text()) == (value, shown)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2147483647", 2**31 - 1),
        ("1,000", 1000),
        ("1.000", 1000),
        ("12 345", 12345),
        ("99999999999", 2**31 - 1),
        ("-4", 0),
    ],
)
def test_signs_in_a_whole_number_swallow_no_figure(show, country, text: str, value: int) -> None:
    field = Number(0, 2**31 - 1, decimals=0, value=77)
    show(field)
    hand.fill(field, text)
    assert (field.value(), field.text()) == (value, str(value))


def test_the_unit_may_be_typed_or_not(show, country) -> None:
    field = Number(1000, 20000, decimals=0, suffix=" K", value=6500)
    show(field)
    for text, value in (("3200", 3200), ("4100 K", 4100), ("5", 1000)):
        hand.fill(field, text)
        assert (field.value(), field.text()) == (value, f"{value} K")


def test_click_and_tab_select_all_and_a_click_into_what_is_typed_does_not(show) -> None:
    first, second = Number(0, 100, value=3.0), Number(0, 100, value=4.0)
    show(first, second)
    hand.click(second)
    assert second.lineEdit().selectedText() == "4.00"
    hand.fill(first, "12", "Tab")
    assert (first.value(), second.hasFocus(), second.lineEdit().selectedText()) == (12.0, True, "4.00")
    hand.fill(second, "15", "")
    hand.click(second)
    assert second.lineEdit().selectedText() == ""
    hand.keys("End")
    hand.type_text("2")
    hand.keys(Qt.Key.Key_Return)
    assert second.value() == 100.0


def test_return_frees_the_keyboard_and_escape_takes_back(show) -> None:
    field = Number(0, 10, value=3.0)
    show(field)
    hand.fill(field, "5")
    assert (field.value(), field.hasFocus()) == (5.0, False)
    hand.fill(field, "7", "")
    hand.keys(Qt.Key.Key_Escape)
    assert (field.value(), field.text(), field.hasFocus()) == (5.0, "5.00", False)


def test_the_wheel_changes_no_number(show) -> None:
    field = Number(0, 10, value=3.0)
    show(field)
    hand.click(field)
    hand.wheel(field, 2)
    assert field.value() == 3.0


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


VALUES = [Color.RED, Color.BLUE, Size.SMALL, Size.LARGE, None, (1, 2), ("a",), "", 0, frozenset({1}), object()]


@pytest.mark.parametrize("mouse", [False, True])
def test_a_list_gives_the_very_value_that_was_chosen(show, mouse: bool) -> None:
    choice, chosen = Choice((str(at), value) for at, value in enumerate(VALUES)), []
    choice.edited.connect(chosen.append)
    show(choice)
    order = [3, 0, 1, 2, *range(4, len(VALUES))] if not mouse else [1, 4]
    for at in order:
        hand.pick(choice, at, mouse=mouse)
        assert choice.value() is VALUES[at]
    assert all(value is VALUES[at] for value, at in zip(chosen, order, strict=True))
    assert QApplication.activePopupWidget() is None


def test_an_entry_that_only_says_something_cannot_be_chosen(show) -> None:
    choice = Choice([("–", ""), ("one", 1), ("two", 2)])
    choice.grey_out(0)
    show(choice)
    with pytest.raises(hand.Unreachable, match="greyed out"):
        hand.pick(choice, 0)
    hand.pick(choice, "two")
    hand.keys(Qt.Key.Key_Home)
    assert choice.value() == 1
