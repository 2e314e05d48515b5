"""What lies over the viewport: the line of a comparison, and the colour bar of a channel that shows numbers."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QImage, QLinearGradient, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QWidget

from engine.color import bytes_from_unit
from engine.project import Project
from engine.render.color_scale import ColorScale, color_scale
from viewer.compare import Against, Comparison
from viewer.viewport import Viewport

_BAR = 96, 208
"""Width and height of a colour bar with its numbers."""
_MARGIN = 12
_GRAB = 13
"""Pixels to each side together in which the line can be taken."""
_BACK, _INK = QColor(20, 20, 22, 190), QColor(232, 232, 234)


def paint_color_bar(painter: QPainter, scale: ColorScale, corner: QPointF, factor: float = 1.0) -> None:
    """The colours of `scale` with five numbers and the unit, top-left at `corner`, `factor` times as large."""
    painter.save()
    painter.translate(corner)
    painter.scale(factor, factor)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_BACK)
    painter.drawRoundedRect(QRectF(0, 0, *_BAR), 4, 4)
    bar = QRectF(10, 32, 14, _BAR[1] - 44)
    shades, stops = QLinearGradient(bar.bottomLeft(), bar.topLeft()), scale.stops_srgb
    for at, (red, green, blue) in zip(np.linspace(0, 1, len(stops)), bytes_from_unit(stops).tolist(), strict=True):
        shades.setColorAt(float(at), QColor(red, green, blue))
    painter.setBrush(shades)
    painter.drawRect(bar)
    font = QFont(painter.font())
    font.setPixelSize(11)
    painter.setFont(font)
    painter.setPen(_INK)
    painter.drawText(QRectF(10, 8, _BAR[0] - 14, 18), Qt.AlignmentFlag.AlignLeft, scale.unit or "value")
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = bar.bottom() - share * bar.height()
        painter.drawLine(QPointF(bar.right(), y), QPointF(bar.right() + 4, y))
        text = f"{scale.low + share * (scale.high - scale.low):.4g}"
        painter.drawText(QRectF(bar.right() + 8, y - 8, 60, 16), Qt.AlignmentFlag.AlignVCenter, text)
    painter.restore()


def with_color_bar(image: np.ndarray, scale: ColorScale | None, *, left: bool = False) -> np.ndarray:
    """(H, W, 3 or 4) uint8 sRGB `image` with the bar of `scale` at its right edge, or its `left` one, where there is
    one and room."""
    height, width, channels = image.shape
    factor = height / 640
    if scale is None or _BAR[0] * factor > width / 3:
        return image
    pixels = np.ascontiguousarray(image)
    kind = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_RGBA8888
    picture = QImage(pixels.data, width, height, width * channels, kind).copy()
    painter = QPainter(picture)
    x = _MARGIN * factor if left else width - (_BAR[0] + _MARGIN) * factor
    paint_color_bar(painter, scale, QPointF(x, (height - _BAR[1] * factor) / 2), factor)
    painter.end()
    rows = np.frombuffer(picture.constBits(), np.uint8).reshape(height, picture.bytesPerLine())
    return rows[:, : width * channels].reshape(image.shape).copy()


class ColorBar(QWidget):
    """The colour bar of the channel that is shown, at the right edge of the viewport; hidden where there is none.

    With `left`, that of what stands left of a comparison's line, at the left edge.
    """

    def __init__(self, viewport: Viewport, left: bool = False) -> None:
        super().__init__(viewport)
        self._viewport, self._left = viewport, left
        self.scale: ColorScale | None = None
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(*_BAR)
        viewport.resized.connect(self._place)
        viewport.document.changed.connect(self._show)
        viewport.comparison.changed.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        project = self._viewport.document.project
        shown = self._viewport.comparison.left_of(project) if self._left else project
        self.scale = None if shown is None else color_scale(shown)
        self.setVisible(self.scale is not None)
        self._place()
        self.update()

    def painted_on(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3 or 4) uint8 sRGB `image` with this bar at its edge (`with_color_bar`)."""
        return with_color_bar(image, self.scale, left=self._left)

    def _place(self) -> None:
        x = _MARGIN if self._left else self._viewport.width() - _BAR[0] - _MARGIN
        self.move(x, max((self._viewport.height() - _BAR[1]) // 2, 0))

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bar."""
        if self.scale is not None:
            painter = QPainter(self)
            paint_color_bar(painter, self.scale, QPointF(0, 0))
            painter.end()


class WipeLine(QWidget):
    """The line between both sides of a comparison, which can be dragged, and what stands at each side."""

    def __init__(self, viewport: Viewport) -> None:
        super().__init__(viewport)
        self._viewport, self._comparison = viewport, viewport.comparison
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.left, self.right = QLabel(viewport), QLabel(viewport)
        for label in (self.left, self.right):
            label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            label.setStyleSheet("background: rgba(20, 20, 22, 190); color: #e8e8ea; padding: 3px 7px;")
        viewport.resized.connect(self._show)
        self._comparison.changed.connect(self._show)
        viewport.document.changed.connect(self._show)
        self._show()

    def _show(self, *_: object) -> None:
        project, comparison = self._viewport.document.project, self._comparison
        shown = comparison.left_of(project) is not None
        if shown:
            x = round(comparison.position * self._viewport.width())
            self.setGeometry(x - _GRAB // 2, 0, _GRAB, self._viewport.height())
            left, right = _names(comparison, project)
            self.left.setText(left)
            self.right.setText(right)
            for label in (self.left, self.right):
                label.adjustSize()
            self.left.move(x - self.left.width() - _MARGIN, _MARGIN)
            self.right.move(x + _MARGIN, _MARGIN)
            self.update()
        for widget in (self, self.left, self.right):
            widget.setVisible(shown)

    def paintEvent(self, event: QPaintEvent) -> None:
        """A thin line and a grip."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle, centre = self.width() / 2, self.height() / 2
        painter.fillRect(QRectF(middle - 0.5, 0, 1, self.height()), _INK)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_INK)
        painter.drawRoundedRect(QRectF(middle - 3, centre - 16, 6, 32), 3, 3)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the line; the viewport below must not turn."""
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Follow the pointer."""
        at = self.mapTo(self._viewport, event.position())
        self._comparison.move(at.x() / max(self._viewport.width(), 1))


def _names(comparison: Comparison, project: Project) -> tuple[str, str]:
    """What stands left and right of the line."""
    if comparison.against is Against.CHANNEL:
        return comparison.channel.value, project.scene.view.channel.value
    return comparison.against.value, "Now"
