"""Widgets that show what OpenGL draws: Qt's own on hardware; on a software driver a plain one, because there Qt would
compose the whole window by OpenGL, on the CPU, whenever anything in it is painted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QImage, QOffscreenSurface, QOpenGLContext, QPainter, QPaintEvent
from PySide6.QtOpenGL import QOpenGLFramebufferObject
from PySide6.QtOpenGLWidgets import QOpenGLWidget
from PySide6.QtWidgets import QWidget

from engine.render.context import names_software

Opened = Callable[[QOpenGLContext], None]
"""Called with a context that Qt has just made, current; again should Qt make another."""
Drawn = Callable[[int], None]
"""Called, the context current, to draw into the framebuffer of that OpenGL name. It is another one after a resize."""

_GL_RENDERER, _GL_TEXTURE_2D, _GL_RGB8 = 0x1F01, 0x0DE1, 0x8051


def surface(parent: QWidget, opened: Opened, drawn: Drawn) -> OpenGLSurface | PictureSurface:
    """The one for the driver of this machine; it lets the mouse through to its `parent`."""
    made = PictureSurface(parent, opened, drawn) if _on_software() else OpenGLSurface(parent, opened, drawn)
    made.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    return made


@cache
def _on_software() -> bool:
    """Asked once: the driver stays, and so may what the shared context was current on."""
    shared, aside = QOpenGLContext.globalShareContext(), QOffscreenSurface()
    aside.create()
    if shared is None or not shared.makeCurrent(aside):
        return False
    name = str(shared.functions().glGetString(_GL_RENDERER))
    shared.doneCurrent()
    return names_software(name)


class OpenGLSurface(QOpenGLWidget):
    """Qt composes the window on the graphics card, and the picture never leaves it."""

    def __init__(self, parent: QWidget, opened: Opened, drawn: Drawn) -> None:
        super().__init__(parent)
        self._opened, self._drawn = opened, drawn

    def draw_soon(self) -> None:
        """Draw anew with the next paint; any number of calls until then are one."""
        self.update()

    def initializeGL(self) -> None:
        """The context is there."""
        self._opened(self.context())

    def paintGL(self) -> None:
        """Draw."""
        self._drawn(self.defaultFramebufferObject())


class PictureSurface(QWidget):
    """The picture is drawn aside, read, and painted as that of any other widget."""

    def __init__(self, parent: QWidget, opened: Opened, drawn: Drawn) -> None:
        super().__init__(parent)
        self._opened, self._drawn = opened, drawn
        # no context shares this one: Qt would free the buffer, whenever Python lets go of it, in any that does. It ends
        # before the surface it is current on, as children do in the order in which they came
        self._context, self._aside = QOpenGLContext(self), QOffscreenSurface(parent=self)
        self._buffer: QOpenGLFramebufferObject | None = None
        self._picture, self._stale = QImage(), True
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)

    def draw_soon(self) -> None:
        """Draw anew with the next paint; any number of calls until then are one."""
        self._stale = True
        self.update()

    def makeCurrent(self) -> None:
        """Make the context current; the first call makes it."""
        first = not self._context.isValid()
        if first:
            self._aside.create()
            self._context.create()
            self._context.aboutToBeDestroyed.connect(self._end)
        self._context.makeCurrent(self._aside)
        if first:
            self._opened(self._context)

    def doneCurrent(self) -> None:
        """No context is current any more."""
        self._context.doneCurrent()

    def _end(self) -> None:
        self._context.makeCurrent(self._aside)
        self._buffer = None

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw what is new, and copy the part that Qt asks for: what lies over the picture may have changed alone."""
        size = self.size() * self.devicePixelRatioF()
        if self._stale or self._picture.size() != size:
            self._stale = False
            self.makeCurrent()
            if self._buffer is None or self._buffer.size() != size:
                opaque = QOpenGLFramebufferObject.Attachment.NoAttachment, _GL_TEXTURE_2D, _GL_RGB8
                self._buffer = QOpenGLFramebufferObject(size, *opaque)
            self._drawn(self._buffer.handle())
            self._picture = self._buffer.toImage()
            self._picture.setDevicePixelRatio(self.devicePixelRatioF())
            self.doneCurrent()
        painter = QPainter(self)
        painter.setClipRegion(event.region())
        painter.drawImage(0, 0, self._picture)
        painter.end()
