"""The lamps of a light stage on one disc, as bright as they are lit, to be chosen with the mouse."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPalette
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.color import srgb_from_linear

_SIDE, _MARGIN = 152, 6.0
_DARKEST = 0.27
"""Display value of a lamp that is off."""


class RigMap(QWidget):
    """Directions in Lambert's azimuthal equal-area projection: in front of the face is the middle, behind it the rim.

    The subject's left is on the right, as a camera in front sees it. The inner circle is a right angle off the front.
    """

    pressed = Signal(int)
    """(lamp): the mouse went down nearest to it."""
    dragged = Signal(int)
    """(lamp): the mouse moved to it with the button held."""
    released = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._places = np.zeros((0, 2))
        self._colors: list[QColor] = []
        self._lit = np.zeros(0, bool)
        self._held = -1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(_SIDE)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setToolTip("The lamps seen from the front; the rim is behind the head. Click or drag to light one")

    def sizeHint(self) -> QSize:
        """As high as wide."""
        return QSize(_SIDE, _SIDE)

    def show_rig(self, directions: np.ndarray, light_linear: np.ndarray) -> None:
        """Show (N, 3) unit `directions` and (N, 3) linear `light_linear`, in any unit: the brightest is drawn white."""
        out = np.sqrt(np.clip((1.0 - directions[:, 2]) / 2.0, 0.0, 1.0))  # sine of half the angle off the front
        flat = directions[:, :2] * (1.0, -1.0)
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        outward = np.where(length > 1e-9, flat / np.maximum(length, 1e-9), (0.0, 1.0))
        self._places = outward * out[:, None]
        share = light_linear / max(float(light_linear.max(initial=0.0)), 1e-12)
        shown = _DARKEST + (1.0 - _DARKEST) * srgb_from_linear(share)
        self._colors = [QColor.fromRgbF(*map(float, color)) for color in shown]
        self._lit = light_linear.max(axis=1) > 0
        self.update()

    def lamp_at(self, at: QPointF) -> int:
        """The lamp nearest to a point of the widget, -1 without lamps."""
        middle, radius = self._frame()
        place = np.array([at.x() - middle.x(), at.y() - middle.y()]) / radius
        return int(((self._places - place) ** 2).sum(axis=1).argmin()) if len(self._places) else -1

    def place_of(self, lamp: int) -> QPointF:
        """Where a lamp is drawn."""
        middle, radius = self._frame()
        return middle + QPointF(*(radius * self._places[lamp]))

    def _frame(self) -> tuple[QPointF, float]:
        return QPointF(self.width() / 2, self.height() / 2), min(self.width(), self.height()) / 2 - _MARGIN

    def paintEvent(self, event: QPaintEvent) -> None:
        """Disc, circle of the horizon, lamps; those that are lit on top."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette = self.palette()
        middle, radius = self._frame()
        painter.setPen(palette.color(QPalette.ColorRole.Mid))
        painter.setBrush(palette.color(QPalette.ColorRole.Base))
        painter.drawEllipse(middle, radius + _MARGIN - 1, radius + _MARGIN - 1)
        painter.drawEllipse(middle, radius * math.sqrt(0.5), radius * math.sqrt(0.5))
        dot = min(max(radius * 0.5 / math.sqrt(max(len(self._places), 1)), 1.2), 4.0)
        painter.setPen(Qt.PenStyle.NoPen)
        for lamp in np.argsort(self._lit, kind="stable").tolist():
            painter.setBrush(self._colors[lamp])
            size = dot * (1.25 if self._lit[lamp] else 0.8)
            painter.drawEllipse(self.place_of(lamp), size, size)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the nearest lamp."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._held = self.lamp_at(event.position())
            if self._held >= 0:
                self.pressed.emit(self._held)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Go on to another lamp."""
        lamp = self.lamp_at(event.position())
        if event.buttons() & Qt.MouseButton.LeftButton and lamp not in (self._held, -1):
            self._held = lamp
            self.dragged.emit(lamp)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._held = -1
        self.released.emit()
