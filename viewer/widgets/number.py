"""A field for a number: what is typed is what is meant, in every country."""

from __future__ import annotations

import re

from PySide6.QtCore import QLocale, QSignalBlocker, Qt
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QValidator, QWheelEvent
from PySide6.QtWidgets import QAbstractSpinBox, QDialog, QDoubleSpinBox, QLineEdit, QWidget

_BEGUN = re.compile(r"[+-]?(\d+\.?\d*|\.\d*)([eE][+-]?\d*)?")
"""What is, or may become, a number as it is typed."""


class Number(QDoubleSpinBox):
    """A plain number, without arrows and deaf to the wheel; commits on Return or when the keyboard leaves it.

    A click or Tab into it selects all of it. Shows a point everywhere and takes a comma for one; a
    whole number (`decimals` 0) takes neither. What is out of range when committed becomes the nearest that is in it.
    """

    def __init__(
        self,
        low: float = 0.0,
        high: float = 1.0,
        *,
        decimals: int = 2,
        suffix: str = "",
        value: float = 0.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        field = _Field(self)
        self.setLineEdit(field)
        self.editingFinished.connect(lambda: field.setModified(False))
        self.setLocale(QLocale.c())
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setAlignment(Qt.AlignmentFlag.AlignRight)
        self.setKeyboardTracking(False)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setSuffix(suffix)
        self.setValue(value)

    def show_value(self, value: float) -> None:
        """Show `value` without emitting."""
        with QSignalBlocker(self):
            self.setValue(value)

    def validate(self, text: str, at: int) -> tuple[QValidator.State, str, int]:  # type: ignore[override]
        """A comma becomes a point; a number out of range, or half an exponent, may still be typed on."""
        text = text.replace(",", ".")
        if self.decimals() == 0 and "." in text:
            return QValidator.State.Invalid, text, at
        state, text, at = super().validate(text, at)  # type: ignore[misc]
        begun = _BEGUN.fullmatch(text.removesuffix(self.suffix()).strip())
        if state == QValidator.State.Invalid and begun:
            state = QValidator.State.Intermediate
        return state, text, at

    def fixup(self, text: str) -> str:
        """The nearest number in range; what is no number stays for Qt to take back."""
        typed = self._typed(text)
        return text if typed is None else self.textFromValue(min(max(typed, self.minimum()), self.maximum()))

    def _typed(self, text: str) -> float | None:
        number, ok = self.locale().toDouble(text.removesuffix(self.suffix()).strip())
        return number if ok else None

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Select all."""
        super().focusInEvent(event)
        self.selectAll()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Return and Escape give the keyboard back to the window and its shortcuts, Escape without what was being
        typed; in a dialog they are the dialog's."""
        ends = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape)
        if not ends or isinstance(self.window(), QDialog):
            super().keyPressEvent(event)
            return
        if event.key() == Qt.Key.Key_Escape:
            self.show_value(self.value())
        self.clearFocus()


class _Field(QLineEdit):
    """A click selects all, so that what is typed replaces it; in what is being typed it puts the cursor."""

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Select all or put the cursor."""
        super().mousePressEvent(event)
        if not self.isModified():
            self.selectAll()
