"""A slider for a float: click to jump, drag, type; the wheel scrolls the list around it, never the value."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QWidget

from viewer.widgets.number import Number

OVER_RANGE = QColor(0xE0, 0xA0, 0x4A)
_HANDLE = 5.0  # radius in device-independent pixels


class Groove(QSlider):
    """The bar itself. Filled from zero (or the left end); amber beyond `usual`, which carries a tick."""

    reset = Signal()
    """Double-clicked."""

    def __init__(self, usual: float | None, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._usual = usual
        self.dim = False
        """Draw it grey: it has no effect yet."""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(18)
        self.setMinimumWidth(60)

    def _at(self, share: float) -> float:
        return _HANDLE + share * (self.width() - 2 * _HANDLE)

    def _share(self, value: float) -> float:
        return (value - self.minimum()) / (self.maximum() - self.minimum())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Groove, fill, tick and handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        palette, middle = self.palette(), self.height() / 2
        accent = palette.color(QPalette.ColorRole.Highlight)
        if self.dim or not self.isEnabled():
            accent = palette.color(QPalette.ColorRole.Mid).lighter(130)

        def bar(start: float, end: float, color: QColor) -> None:
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(min(start, end), middle - 1.5, abs(end - start), 3.0), 1.5, 1.5)

        zero = self._at(min(max(self._share(0.0), 0.0), 1.0))
        here = self._at(self._share(self.value()))
        bar(self._at(0.0), self._at(1.0), palette.color(QPalette.ColorRole.Mid))
        bar(zero, here, accent)
        if self._usual is not None:
            usual = self._at(self._share(self._usual))
            if here > usual:
                bar(usual, here, OVER_RANGE)
            painter.setBrush(palette.color(QPalette.ColorRole.Mid).lighter(150))
            painter.drawRect(QRectF(usual - 0.5, middle - 5, 1.0, 10.0))
        painter.setBrush(palette.color(QPalette.ColorRole.PlaceholderText if self.dim else QPalette.ColorRole.Text))
        radius = _HANDLE + (1.0 if self.hasFocus() or self.isSliderDown() else 0.0) - (0.5 if self.dim else 0.0)
        painter.drawEllipse(QPointF(here, middle), radius, radius)
        painter.end()

    def _jump(self, x: float) -> None:
        span = max(self.width() - 2 * _HANDLE, 1.0)
        share = min(max((x - _HANDLE) / span, 0.0), 1.0)
        self.setValue(round(self.minimum() + share * (self.maximum() - self.minimum())))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Jump to the pointer and start a drag."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(True)
            self._jump(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        if self.isSliderDown():
            self._jump(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """End the drag."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.setSliderDown(False)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Back to the resting value."""
        self.setSliderDown(False)
        self.reset.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the scroll area."""
        event.ignore()


class FloatSlider(QWidget):
    """Groove and number side by side for one float.

    `soft` is the groove's range, `hard` what may be typed, in shown numbers; `scale` turns those into the value (pi/180
    shows degrees of a value in radians).
    """

    edited = Signal(object)
    """The user moved it: float value."""
    settled = Signal()
    """The user let go, typed or reset: one edit is complete."""

    def __init__(
        self,
        soft: tuple[float, float],
        hard: tuple[float, float] | None = None,
        *,
        rest: float = 0.0,
        usual: float | None = None,
        decimals: int = 2,
        suffix: str = "",
        scale: float = 1.0,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._scale, self._ticks, self._rest = scale, 10**decimals, rest
        low, high = hard or soft
        self.groove = Groove(None if usual is None else usual * self._ticks, self)
        self.groove.setRange(round(soft[0] * self._ticks), round(soft[1] * self._ticks))
        self.groove.setPageStep(max((self.groove.maximum() - self.groove.minimum()) // 10, 1))
        self.number = Number(low, high, decimals=decimals, suffix=suffix, parent=self)
        self.number.setFixedWidth(58)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self.groove, 1)
        layout.addWidget(self.number)
        self.show_value(rest * scale)
        self.groove.valueChanged.connect(self._groove_moved)
        self.groove.sliderReleased.connect(self.settled)
        self.groove.reset.connect(lambda: self._set(self._rest))
        self.number.valueChanged.connect(self._set)

    def set_range(self, low: float, high: float) -> None:
        """Another range of shown numbers, for groove and typing alike, without emitting anything."""
        for control, ticks in ((self.groove, self._ticks), (self.number, 1)):
            with QSignalBlocker(control):
                control.setRange(round(low * ticks), round(high * ticks))

    def value(self) -> float:
        """What is shown, as `edited` tells it."""
        return self.number.value() * self._scale

    def show_value(self, value: float) -> None:
        """Show `value` without emitting anything."""
        shown = value / self._scale
        with QSignalBlocker(self.groove):
            self.groove.setValue(round(shown * self._ticks))
        self.number.show_value(shown)

    def _groove_moved(self, ticks: int) -> None:
        self.show_value(ticks / self._ticks * self._scale)
        self.edited.emit(ticks / self._ticks * self._scale)
        if not self.groove.isSliderDown():
            self.settled.emit()

    def _set(self, shown: float) -> None:
        self.show_value(shown * self._scale)
        self.edited.emit(shown * self._scale)
        self.settled.emit()
