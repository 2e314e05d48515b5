"""Where frames are drawn before Qt shows them: four samples a pixel; on a CPU smaller and in one pass in motion, and at
rest in pieces, between which the window hears its user, first with four samples and then with nine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import moderngl
from PySide6.QtGui import QOpenGLContext

from engine.project import Project
from engine.render.accumulate import Accumulator
from engine.render.camera import Part4
from engine.render.context import is_software
from engine.render.renderer import Renderer
from engine.render.sampling import SAMPLES
from engine.render.scatter import Quality
from engine.render.targets import FINE_JITTER, JITTER, Frame, Pace, Piece
from engine.scene import scene_with

MULTISAMPLES = 4
COARSE = 1.75, 2.5, 3.5
"""While something moves, a software driver draws a picture so many times smaller in each direction: the first that is
quick enough. The first picture of a motion, which has most to make ready, is of the last."""
COARSE_S = 0.045
"""A coarse picture should not take longer than so many seconds."""

FAINT = 8, 64
"""Frames from which and up to which a converging picture is mixed in."""
_COARSE, _FINE, _NEXT = range(3)
"""Targets: what moves, what is seen at rest, and the finer one that is under way."""

_GL_READ_FRAMEBUFFER, _GL_DRAW_FRAMEBUFFER = 0x8CA8, 0x8CA9
_GL_COLOR_BUFFER_BIT, _GL_NEAREST, _GL_LINEAR = 0x4000, 0x2600, 0x2601


class Canvas:
    """Draws projects into the framebuffer of a widget. The context must be current in every call."""

    def __init__(self, context: moderngl.Context) -> None:
        self.context = context
        self.renderer = Renderer(context)
        self.software = is_software(context)
        """Whether frames at full quality are slow, so that motion is drawn coarsely."""
        self._second: Renderer | None = None
        """Draws the left of a comparison whose head stands otherwise, so that neither undoes the other's work."""
        self._samples = min(MULTISAMPLES, context.max_samples)
        self._warm = False
        self._frame = Frame(context, jittered=self.software)
        self._pace = Pace()
        self._pieces: Iterator[Piece] | None = None
        """What is left to do of the fine picture."""
        self._coarse = 1
        """Which of `COARSE` was quick enough last."""
        self._at_rest = True
        self.finished = False
        """Is the fine picture there? A finer one may be under way."""
        self._targets: dict[int, tuple[tuple[int, int], moderngl.Framebuffer]] = {}
        self._frames: Accumulator | None = None
        self._mixed: moderngl.Framebuffer | None = None

    def converge(self, project: Project, framebuffer: int, size: tuple[int, int], *, again: bool) -> int:
        """Add a frame to the converging picture of `project` (or, with `again`, to a new one) and show it over the one
        that `draw` drew last, at rest and of the same size: first faintly, because few frames are noisy. How many
        frames there are; after `SAMPLES` none is added.
        """
        if self._frames is None or self._frames.size != size:
            self._release_frames()
            self._frames = Accumulator(self.renderer, size)
            self._mixed = self.context.framebuffer([self.context.renderbuffer(size, 4)])
        assert self._mixed is not None
        if again:
            self._frames.clear()
        if self._frames.count < SAMPLES:
            quality = Quality.STILL if self.software else Quality.FULL
            self._frames.add(project, size, quality=quality)
        count = self._frames.count
        drawn = self._targets[_FINE][1]
        self._blit(drawn.glo, size, self._mixed.glo, size)
        presence = min(max((count - FAINT[0]) / (FAINT[1] - FAINT[0]), 0.0), 1.0)
        if presence > 0:
            self.renderer.show(project, self._mixed, size, self._frames.frames, presence=presence)
        self._blit(self._mixed.glo, size, framebuffer, size)
        return count

    def begin(self, project: Project, size: tuple[int, int], left: Project | None = None, line: float = 0.0) -> None:
        """Begin the fine picture of what `draw` drew coarsely; `draw_piece` goes on with it."""
        self.finished, self._pieces, self._at_rest = False, self._fine(project, size, left, line), True

    def drop(self) -> None:
        """Give up the fine picture."""
        self.finished, self._pieces = False, None

    @property
    def busy(self) -> bool:
        """Is there something left to do of a fine picture?"""
        return self._pieces is not None

    def draw_piece(self) -> Piece | None:
        """Draw one piece of the fine picture, wait until the driver is done and learn from how long it took; None when
        the last one had been drawn."""
        pieces, self._pieces = self._pieces, None  # what goes wrong ends it
        start = time.perf_counter()
        piece = next(pieces, None) if pieces else None
        self.context.finish()
        if piece is None:
            return None
        self._pieces = pieces
        if piece.pixels:
            self._pace.took(piece, time.perf_counter() - start)
        return piece

    def _fine(self, project: Project, size: tuple[int, int], left: Project | None, line: float) -> Iterator[Piece]:
        for self._frame.jitter in (JITTER, FINE_JITTER):
            target = self._target(_NEXT, size)
            for renderer, side, clip in self._sides(project, size, left, line):
                yield from renderer.draw_in_pieces(side, target, size, self._frame, self._pace, clip=clip)
            done, before = self._targets.pop(_NEXT), self._targets.pop(_FINE, None)
            self._targets |= {_FINE: done} if before is None else {_FINE: done, _NEXT: before}
            self.finished = True
            yield from self._warm_up(project)

    def show(self, framebuffer: int, size: tuple[int, int]) -> bool:
        """Show what has been drawn last of a size again, the fine picture or the coarse one; is there any?"""
        held = self._targets.get(_FINE if self.finished else _COARSE)
        if held is None or (self.finished and held[0] != size):
            return False
        self._blit(held[1].glo, held[0], framebuffer, size)
        return True

    def _release_frames(self) -> None:
        if self._frames is not None:
            self._frames.release()
        if self._mixed is not None:
            _release(self._mixed)
        self._frames = self._mixed = None

    def draw(
        self,
        project: Project,
        framebuffer: int,
        size: tuple[int, int],
        *,
        moving: bool,
        left: Project | None = None,
        line: float = 0.0,
    ) -> None:
        """Draw `project` over the whole of Qt's `framebuffer` (an OpenGL name) of `size` (width, height) pixels, on a
        software driver coarsely.

        With `left`, that project left of the share `line` of the width: two parts cost about one picture.
        """
        start = time.perf_counter()
        drawn = self._coarse_size(size) if self.software else size
        target = self._target(_COARSE if self.software else _FINE, drawn)
        quality = Quality.MOVING if self.software else Quality.FULL
        for renderer, side, clip in self._sides(project, drawn, left, line):
            moves = moving or self.software
            renderer.draw(side, target, drawn, quality=quality, clip=clip, moving=moves, coarse=self.software)
        self._blit(target.glo, drawn, framebuffer, size)
        if self.software:
            self.context.finish()
            self._learn(time.perf_counter() - start)
        self.finished = not self.software
        if not moving and not self.software:
            for _ in self._warm_up(project):
                pass

    def _coarse_size(self, size: tuple[int, int]) -> tuple[int, int]:
        factor = COARSE[-1 if self._at_rest else self._coarse]
        return round(size[0] / factor) | 1, round(size[1] / factor) | 1  # odd: as in `Renderer.idle`

    def _learn(self, seconds: float) -> None:
        """How coarse the next picture is to be, after one that took so long."""
        if self._at_rest:
            self._at_rest = False
        elif seconds > COARSE_S:
            self._coarse = min(self._coarse + 1, len(COARSE) - 1)
        elif seconds < 0.4 * COARSE_S:  # twice the pixels, and a drag has more to do than a turn
            self._coarse = max(self._coarse - 1, 0)

    def _sides(
        self, project: Project, size: tuple[int, int], left: Project | None, line: float
    ) -> Iterator[tuple[Renderer, Project, Part4 | None]]:
        """Who draws what, and in which columns of a picture of `size`."""
        if left is None:
            self._release_second()
            yield self.renderer, project, None
            return
        edge = max(0, min(round(line * size[0]), size[0]))
        if edge:
            yield self._renderer_of(left, project), left, (0, 0, edge, size[1])
        if edge < size[0]:
            yield self.renderer, project, (edge, 0, size[0] - edge, size[1])

    def _warm_up(self, project: Project) -> Iterator[Piece]:
        """After the first picture at rest, before the first drag."""
        if not self._warm:
            yield from self.renderer.warm(project, Quality.MOVING if self.software else Quality.FULL)
            self._warm = True

    def _renderer_of(self, left: Project, right: Project) -> Renderer:
        if _stand_alike(left, right):
            self._release_second()
            return self.renderer
        if self._second is None:
            self._second = Renderer(self.context)
        return self._second

    def _release_second(self) -> None:
        if self._second is not None:
            self._second.release()
            self._second = None
            self.renderer.idle.use()

    def _target(self, which: int, size: tuple[int, int]) -> moderngl.Framebuffer:
        held = self._targets.get(which)
        if held is not None and held[0] == size:
            return held[1]
        if held is not None:
            _release(self._targets.pop(which)[1])
        samples = 0 if self.software else self._samples
        dtype = "f1" if which == _COARSE or not self.software else "f2"  # the mean of samples
        color = self.context.renderbuffer(size, 4, samples=samples, dtype=dtype)
        target = self.context.framebuffer([color], self.context.depth_renderbuffer(size, samples=samples))
        self._targets[which] = size, target
        return target

    def _blit(self, source: int, from_size: tuple[int, int], target: int, to_size: tuple[int, int]) -> None:
        """Resolve or enlarge. Through Qt's functions: ModernGL copies framebuffers of one size only."""
        gl = QOpenGLContext.currentContext().extraFunctions()
        gl.glBindFramebuffer(_GL_READ_FRAMEBUFFER, source)
        gl.glBindFramebuffer(_GL_DRAW_FRAMEBUFFER, target)
        sampling = _GL_NEAREST if from_size == to_size else _GL_LINEAR
        gl.glBlitFramebuffer(0, 0, *from_size, 0, 0, *to_size, _GL_COLOR_BUFFER_BIT, sampling)
        gl.glBindFramebuffer(_GL_READ_FRAMEBUFFER, target)

    def release(self) -> None:
        """Give everything back to the driver."""
        for _, target in self._targets.values():
            _release(target)
        self._targets.clear()
        self.drop()
        self._release_second()
        self._release_frames()
        self._frame.release()
        self.renderer.release()


def _stand_alike(a: Project, b: Project) -> bool:
    """Can one renderer draw both without posing, blending or shadowing anew?"""
    same_light = scene_with(a.scene, channel=b.scene.view.channel, scale_end=b.scene.view.scale_end) == b.scene
    weights = a.active()
    same_pose = weights == b.active() and all(a.expressions[name] is b.expressions[name] for name in weights)
    return a.identity is b.identity and same_light and same_pose


def _release(target: moderngl.Framebuffer) -> None:
    attachments = (*target.color_attachments, target.depth_attachment)
    target.release()
    for attachment in attachments:
        if attachment is not None:
            attachment.release()
