"""What a control is to a walk: what kind, how it is called, what it shows, and what is typed into it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QTabBar,
    QWidget,
)

from tests.viewer import hand

NUMBERS = ("3000", "40", "20", "7", "1,5", "0.5")
"""What is typed into number fields: the last two of these that are in range, so that a film is short."""


def takes_the_mouse(widget: QWidget) -> bool:
    """Is it one of this program's own widgets that is not made of Qt's controls?"""
    own = vars(type(widget))
    return type(widget).__module__.startswith("viewer.") and "mousePressEvent" in own


def is_between_its_like(widget: QWidget) -> bool:
    """Is it in a row of this program, such as an expression's, that is neither the first nor the last of its kind?"""
    row = widget.parentWidget()
    while row is not None and (parent := row.parentWidget()) is not None:
        like = [each for each in parent.children() if type(each) is type(row)]
        if type(row).__module__.startswith("viewer.panels") and row is not like[0] and row is not like[-1]:
            return True
        row = parent
    return False


def closes(widget: QWidget) -> bool:
    return isinstance(widget.parentWidget(), QDialogButtonBox)


def exclusive(action: QAction) -> bool:
    group = action.actionGroup()
    return group is not None and group.isExclusive()


def kind_of(widget: QWidget) -> str:
    for kind, name in (
        (QComboBox, "lists"),
        (QAbstractSpinBox, "number fields"),
        (QLineEdit, "text fields"),
        (QAbstractSlider, "sliders"),
        (QTabBar, "tab bars"),
        (QAbstractButton, "check boxes" if isinstance(widget, QAbstractButton) and widget.isCheckable() else "buttons"),
    ):
        if isinstance(widget, kind):
            return name
    return "pictures that take the mouse"


def name_of(widget: QWidget) -> str:
    """Where it is and what it is called."""
    parent, place = widget.parentWidget(), ""
    while parent is not None and not place:
        title = getattr(parent, "title", "") or getattr(parent, "name", "") or parent.windowTitle()
        place = title if isinstance(title, str) else ""
        parent = parent.parentWidget()
    return f"{place}: {hand.named(widget)}"


def whole(widget: QWidget) -> QWidget:
    """The control that a groove or number is part of."""
    whole, parent = widget, widget.parentWidget()
    while parent is not None and isinstance(widget, QAbstractSlider | QAbstractSpinBox):
        if hasattr(parent, "edited") or hasattr(parent, "moved"):
            whole = parent
        parent = parent.parentWidget()
    return whole


def shown(widget: QWidget, own: bool) -> Hashable:
    """What a widget shows; of the control in hand only what is written on a button."""
    button = isinstance(widget, QAbstractButton)
    if own:
        return widget.text() if button else None
    if isinstance(widget, QComboBox):
        return widget.currentText(), widget.count(), widget.isEnabled(), widget.hasFocus()
    if isinstance(widget, QAbstractSlider):
        return widget.value(), widget.isEnabled()
    if isinstance(widget, QLabel | QLineEdit) or button:
        return widget.text(), widget.isEnabled(), button and widget.isChecked()
    return widget.isEnabled()


def texts_for(field: Any) -> list[str]:
    """Two numbers to type: in range, and others than is there."""
    whole = not hasattr(field, "decimals") or field.decimals() == 0
    values = {text: float(text.replace(",", ".")) for text in NUMBERS}
    return [
        text
        for text, value in values.items()
        if field.minimum() <= value <= field.maximum() and value != field.value() and not (whole and value % 1)
    ][-2:]


def slide(groove: QAbstractSlider) -> None:
    """Drag it to another place than it is at."""
    low = groove.value() < (groove.minimum() + groove.maximum()) / 2
    hand.slide(groove, 0.5, *((0.4, 0.8) if low else (0.6, 0.2)))  # type: ignore[arg-type]


def drag(widget: QWidget) -> None:
    middle = widget.rect().center()
    hand.drag(widget, middle, middle + QPoint(20, 12), middle + QPoint(40, 25))
