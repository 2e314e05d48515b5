"""The viewport: its surface's framebuffer goes to the renderer, and the mouse moves the camera.

OpenGL is called on the GUI thread only, always with the surface's context current.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import moderngl
import numpy as np
from PySide6.QtCore import QPointF, Qt, QTimer, Signal
from PySide6.QtGui import QMouseEvent, QOpenGLContext, QResizeEvent, QSurfaceFormat, QWheelEvent
from PySide6.QtWidgets import QWidget

from engine.errors import GraphicsError
from engine.expression import ExpressionSet
from engine.face.lips import posed_m
from engine.memory import give_back
from engine.mesh import Part
from engine.project import Project
from engine.render.accumulate import converges
from engine.render.offscreen import render_image, render_layers
from engine.render.renderer import Renderer
from engine.render.sampling import SAMPLES
from engine.scene import Camera
from viewer import orbit
from viewer.canvas import Canvas
from viewer.compare import Comparison
from viewer.document import Document
from viewer.surface import surface

log = logging.getLogger(__name__)

GL_VERSION = (4, 1)
REST_MS = 180
"""After the last change, until a software driver draws the fine frame."""
WHEEL_NOTCH = 120.0
"""Qt's angle delta of one notch of a wheel."""


def set_default_format() -> None:
    """Ask for a GL 4.1 core context without multisampling (the renderer antialiases); before QApplication is made."""
    wanted = QSurfaceFormat()
    wanted.setVersion(*GL_VERSION)
    wanted.setProfile(QSurfaceFormat.OpenGLContextProfile.CoreProfile)
    wanted.setDepthBufferSize(24)
    wanted.setSwapInterval(1)
    QSurfaceFormat.setDefaultFormat(wanted)


class Viewport(QWidget):
    """Shows the document's project; left drag orbits, middle or shift-drag pans, the wheel zooms."""

    painted = Signal()
    """A frame has been drawn."""
    failed = Signal(object)
    """(Exception): a frame could not be drawn; what it says ends in the log too."""
    told = Signal(str)
    """Something to know about the head that is shown."""
    resized = Signal()

    def __init__(self, document: Document, comparison: Comparison, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.document, self.comparison = document, comparison
        self.surface = surface(self, self._opened, self._drawn)
        self._context: moderngl.Context | None = None
        self._canvas: Canvas | None = None
        self._moving = False
        self._rest = QTimer(self, interval=REST_MS, singleShot=True)
        self._rest.timeout.connect(self._rested)
        self._grabbed: QPointF | None = None
        self._preview: ExpressionSet | None = None
        self._notice = ""
        self._converges: bool | None = None
        self._frames, self._frames_size = 0, (0, 0)
        self._next = QTimer(self, interval=0, singleShot=True)
        self._next.timeout.connect(self.surface.draw_soon)
        self._piece = QTimer(self, interval=0, singleShot=True)
        self._piece.timeout.connect(self._draw_piece)
        self.setMinimumSize(320, 240)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        document.changed.connect(self._changed)
        comparison.changed.connect(self._move)

    def _changed(self, old: Project, new: Project) -> None:
        if old.identity is not new.identity:
            self._notice = ""  # the next head may have to be told the same
        if not _look_alike(old, new):
            self._move()

    def _move(self) -> None:
        """Paint soon (Qt joins any number of updates into one paint), and finely once at rest."""
        self._moving, self._frames = True, 0
        if self._canvas is not None:
            self._canvas.drop()
        self._rest.start()
        self.surface.draw_soon()

    def _rested(self) -> None:
        self._moving = False
        if self._canvas is not None and self._canvas.software:
            self._begin()
        elif self._canvas is not None and self.converges:
            self.surface.draw_soon()

    def _begin(self) -> None:
        """Begin the fine frame."""
        assert self._canvas is not None
        shown = self._shown()
        self._canvas.begin(shown, self.pixel_size(), self.comparison.left_of(shown), self.comparison.position)
        self._piece.start()

    def _draw_piece(self) -> None:
        """Go on with the fine frame and the finer one; as long as either is not whole, what was seen last stays."""
        if self._canvas is None or not self._canvas.busy:
            return
        try:
            with self._drawing():
                seen = self._canvas.finished
                whole = self._canvas.draw_piece() is None
        except Exception as error:
            log.exception("paint")
            self.failed.emit(error)
        else:
            if whole:
                give_back()  # while nobody waits: what drawing needed a moment would add up over a day
            else:
                self._piece.start()
            if whole or seen != self._canvas.finished:
                self.surface.draw_soon()

    @property
    def converges(self) -> bool:
        """Does a picture at rest go on to converge? Unless chosen: on hardware, since a CPU has other work."""
        if self._converges is None:
            return self._canvas is not None and not self._canvas.software
        return self._converges

    def set_converges(self, on: bool) -> None:
        """Choose for `converges`."""
        self._converges = on
        self._move()

    @property
    def moving(self) -> bool:
        """Has something changed a moment ago, so that what is seen may still be coarse?"""
        return self._moving or (self._canvas is not None and self._canvas.busy)

    def set_preview(self, preview: ExpressionSet | None) -> None:
        """Show `preview` in place of the document's expressions of the same names; None ends it."""
        if preview is not self._preview:
            self._preview = preview
            self._move()

    def _shown(self) -> Project:
        project, preview = self.document.project, self._preview
        if preview is None or preview.identity_hash != project.expressions.identity_hash:
            return project
        return replace(project, expressions=project.expressions.merged(preview))

    # OpenGL

    def _opened(self, context: QOpenGLContext) -> None:
        """Make the renderer for the context Qt has just made; runs again should Qt make another."""
        try:
            self._initialize(context)
        except Exception as error:
            log.exception("OpenGL")
            self._canvas = None
            self.failed.emit(error)

    def _initialize(self, context: QOpenGLContext) -> None:
        self._drop()
        context.aboutToBeDestroyed.connect(self.release)
        # init_context, not create_context: a later create_context in one process would look for GLX on an EGL display
        moderngl.init_context()
        self._context = moderngl.get_context()
        found = self._context.version_code
        if found < GL_VERSION[0] * 100 + GL_VERSION[1] * 10:
            raise GraphicsError(
                f"expected OpenGL {GL_VERSION[0]}.{GL_VERSION[1]} or newer, found {found / 100:.1f}; "
                "update the graphics driver, or set LIBGL_ALWAYS_SOFTWARE=1"
            )
        self._canvas = Canvas(self._context)
        self._move()  # the first picture soon, the fine one after it

    def _drawn(self, framebuffer: int) -> None:
        """One frame. What goes wrong is told by `failed`: an exception that leaves a paint event ends the process."""
        try:
            self._paint(framebuffer)
        except Exception as error:
            log.exception("paint")
            self.failed.emit(error)
        else:
            self.painted.emit()

    def _paint(self, framebuffer: int) -> None:
        if self._canvas is not None:
            shown = self._shown()
            left, line = self.comparison.left_of(shown), self.comparison.position
            size, software = self.pixel_size(), self._canvas.software
            if self._frames_size != size:
                self._frames, self._frames_size = 0, size
                if software:
                    self._move()
            again = software and not self._moving and self._frames == 0 and self._canvas.show(framebuffer, size)
            if self._frames == 0 and not again:
                self._canvas.draw(shown, framebuffer, size, moving=self._moving, left=left, line=line)
            still = not self._moving and left is None and self._canvas.finished
            if self.converges and still and converges(shown.scene):
                self._frames = self._canvas.converge(shown, framebuffer, size, again=self._frames == 0)
                if self._frames < SAMPLES:
                    self._next.start()
            self._tell(self._canvas.renderer.notice)

    def _tell(self, notice: str) -> None:
        if notice != self._notice:
            self._notice = notice
            if notice:
                self.told.emit(notice)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The renderer is told its size in each paint; what lies over the viewport follows `resized`."""
        self.surface.setGeometry(self.rect())
        self._move()
        self.resized.emit()

    def pixel_size(self) -> tuple[int, int]:
        """(width, height) in device pixels."""
        ratio = self.devicePixelRatioF()
        return max(round(self.width() * ratio), 1), max(round(self.height() * ratio), 1)

    def picture(self, width: int, height: int, *, transparent: bool = False) -> np.ndarray:
        """(height, width, 3 or 4) uint8 sRGB of the project at any size, row 0 on top, with both sides of a comparison;
        drawn with the same renderer.

        GraphicsError when there is no renderer, or beyond the largest size of `render_image`.
        """
        with self._drawing_aside() as renderer:
            sides = self.comparison.sides(self.document.project)
            drawn = [render_image(each, width, height, transparent=transparent, renderer=renderer) for each in sides]
        return self.comparison.joined(drawn)

    def layers(self, width: int, height: int) -> dict[str, np.ndarray]:
        """What such a picture is made of (`render_layers`); errors as `picture`."""
        with self._drawing_aside() as renderer:
            sides = self.comparison.sides(self.document.project)
            drawn = [render_layers(each, width, height, renderer=renderer) for each in sides]
        return {name: self.comparison.joined([layers[name] for layers in drawn]) for name in drawn[0]}

    @contextmanager
    def _drawing(self) -> Iterator[Renderer]:
        """The renderer, its context current."""
        if self._canvas is None:
            raise GraphicsError("expected a viewport with OpenGL, found none; show the window first")
        self.surface.makeCurrent()
        try:
            yield self._canvas.renderer
        finally:
            self.surface.doneCurrent()

    @contextmanager
    def _drawing_aside(self) -> Iterator[Renderer]:
        """The same for another picture; the fine frame, if it is not whole, begins anew after it."""
        try:
            with self._drawing() as renderer:
                yield renderer
        finally:
            if self._canvas is not None and self._canvas.busy:
                self._begin()

    def release(self) -> None:
        """Give the GPU back; safe to call twice. Qt's signal arrives without a current context, so make it current."""
        if self._context is None:
            return
        self.surface.makeCurrent()
        self._drop()
        self.surface.doneCurrent()

    def _drop(self) -> None:
        if self._canvas is not None:
            self._canvas.release()
        if self._context is not None:
            self._context.release()
        self._canvas = self._context = None

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the view."""
        self._grabbed = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        self._grabbed = None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Orbit with the left button; pan with the middle one, or with shift held; zoom with the right one. Pan the UV
        view with any."""
        if self._grabbed is None:
            return
        moved = event.position() - self._grabbed
        self._grabbed = event.position()
        buttons, camera = event.buttons(), self._camera
        shifted = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if self.document.project.scene.view.uv_view:
            self.document.look(camera=orbit.pan_uv(camera, moved.x(), moved.y(), (self.width(), self.height())))
        elif buttons & Qt.MouseButton.MiddleButton or (buttons & Qt.MouseButton.LeftButton and shifted):
            self.document.look(camera=orbit.pan(camera, moved.x(), moved.y(), self.height()))
        elif buttons & Qt.MouseButton.LeftButton:
            self.document.look(camera=orbit.orbit(camera, moved.x(), moved.y()))
        elif buttons & Qt.MouseButton.RightButton:
            self.document.look(camera=orbit.zoom(camera, -moved.y() / 20.0))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Look at the point of the head under the pointer; beside the head nothing happens. The UV view shows all."""
        if self.document.project.scene.view.uv_view:
            self.document.look(camera=replace(self._camera, uv_center=(0.5, 0.5), uv_span=1.0))
            return
        at = event.position()
        origin, direction = orbit.ray(self._camera, at.x(), at.y(), self.width(), self.height())
        project = self.document.project
        topology = project.identity.topology
        positions = posed_m(project.identity, project.expressions, project.active())
        drawn = topology.faces_of(*(part for part in Part if part is not Part.OVERLAY))
        point = orbit.hit(positions, topology.faces[drawn], origin, direction)
        if point is not None:
            self.document.look(camera=orbit.recentre(self._camera, point))

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom; the UV view towards the pointer."""
        notches, at = event.angleDelta().y() / WHEEL_NOTCH, event.position()
        if self.document.project.scene.view.uv_view:
            size = self.width(), self.height()
            self.document.look(camera=orbit.zoom_uv(self._camera, notches, (at.x(), at.y()), size))
        else:
            self.document.look(camera=orbit.zoom(self._camera, notches))

    @property
    def _camera(self) -> Camera:
        return self.document.project.scene.view.camera


def _look_alike(old: Project, new: Project) -> bool:
    """Do both give the same picture? Expressions may have come that no weight shows."""
    if old.identity is not new.identity or old.scene is not new.scene:
        return old is new
    active = new.active()
    return old.active() == active and all(old.expressions[name] is new.expressions[name] for name in active)
