"""Small controls that share one shape: `edited(value)`, `settled()`, `show_value(value)`. They know no project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtWidgets import QCheckBox, QColorDialog, QComboBox, QLabel, QSizePolicy, QToolButton, QWidget

Color = tuple[float, float, float]


class Choice(QComboBox):
    """One of several values, each with a label.

    The values stay in Python: Qt gives item data back as its own types, an enum of strings as a plain text.
    """

    edited = Signal(object)
    settled = Signal()

    def __init__(self, items: Iterable[tuple[str, Any]] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: list[Any] = []
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.set_items(items)
        self.activated.connect(self._chosen)

    def set_items(self, items: Iterable[tuple[str, Any]]) -> None:
        """Replace the list, keeping the current value where it is still there; the same list again is left alone."""
        items, current = list(items), self.value()
        if items == [(self.itemText(at), value) for at, value in enumerate(self._values)]:
            return
        self.clear()
        self._values = [value for _, value in items]
        self.addItems([label for label, _ in items])
        if current is not None:
            self.show_value(current)

    def grey_out(self, index: int) -> None:
        """Let the entry be shown, not chosen."""
        self.setItemData(index, 0, Qt.ItemDataRole.UserRole - 1)  # the flags of an item, to Qt

    def value(self) -> Any:
        """The chosen value, None in an empty list."""
        return self._values[self.currentIndex()] if self._values else None

    def show_value(self, value: Any) -> None:
        """Choose `value` without emitting; unknown values leave the choice as it is."""
        at = self.position(value)
        if at >= 0:
            self.setCurrentIndex(at)

    def position(self, value: Any) -> int:
        """Index of `value`, -1 where it is not in the list."""
        return self._values.index(value) if value in self._values else -1

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to what lies around."""
        event.ignore()

    def _chosen(self, index: int) -> None:
        self.edited.emit(self._values[index])
        self.settled.emit()


class Toggle(QCheckBox):
    """On or off."""

    edited = Signal(object)
    settled = Signal()

    def __init__(self, label: str, parent: QWidget | None = None) -> None:
        super().__init__(label, parent)
        self.clicked.connect(self._clicked)

    def show_value(self, value: bool) -> None:
        """Set it without emitting (`clicked` is the user's alone)."""
        self.setChecked(value)

    def _clicked(self, on: bool) -> None:
        self.edited.emit(on)
        self.settled.emit()


class ColorButton(QToolButton):
    """A swatch that opens a colour dialog; values are display-encoded floats 0..1."""

    edited = Signal(object)
    settled = Signal()

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._color: Color = (0.0, 0.0, 0.0)
        self.setToolTip(title)
        self.setFixedSize(QSize(44, 22))
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.clicked.connect(self._ask)

    def show_value(self, value: Color) -> None:
        """Show `value` without emitting."""
        self._color = value
        color = QColor.fromRgbF(*value)
        faint = f"rgba({color.red()}, {color.green()}, {color.blue()}, 20%)"
        self.setStyleSheet(
            f"QToolButton {{ background: {color.name()}; border: 1px solid #555; border-radius: 3px; }}"
            f"QToolButton:disabled {{ background: {faint}; }}"
        )

    def _ask(self) -> None:
        chosen = QColorDialog.getColor(QColor.fromRgbF(*self._color), self, self._title)
        if chosen.isValid():
            self.choose((chosen.redF(), chosen.greenF(), chosen.blueF()))

    def choose(self, value: Color) -> None:
        """Take `value` as if it had been picked in the dialog."""
        self.show_value(value)
        self.edited.emit(value)
        self.settled.emit()


class Elided(QLabel):
    """One line of text, shortened with an ellipsis where it does not fit; the whole of it in the tool tip."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._full = ""
        self.set_full(text)

    def set_full(self, text: str) -> None:
        """Show `text`, shortened to the width there is."""
        self._full = " ".join(text.split())
        self._fit()

    def resizeEvent(self, event: Any) -> None:
        """Shorten again."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """No wider than the layout allows."""
        return QSize(0, super().minimumSizeHint().height())

    def _fit(self) -> None:
        short = self.fontMetrics().elidedText(self._full, Qt.TextElideMode.ElideRight, max(self.width(), 0))
        self.setText(short)
        self.setToolTip(self._full if short != self._full else "")
