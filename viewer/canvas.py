"""Where frames are drawn before Qt shows them: four samples a pixel; on a CPU smaller and in one pass in motion."""

from __future__ import annotations

import moderngl
from PySide6.QtGui import QOpenGLContext

from engine.project import Project
from engine.render.accumulate import Accumulator
from engine.render.context import is_software
from engine.render.renderer import Renderer
from engine.render.sampling import SAMPLES
from engine.render.scatter import Quality
from engine.scene import scene_with

MULTISAMPLES = 4
COARSE = 1.5
"""While something moves, a software driver draws a picture so many times smaller in each direction."""

FAINT = 8, 64
"""Frames from which and up to which a converging picture is mixed in."""

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
        self._targets: dict[bool, tuple[tuple[int, int], moderngl.Framebuffer]] = {}
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
        drawn = self._targets[False][1]
        self._blit(drawn.glo, size, self._mixed.glo, size, (0, size[0]))
        presence = min(max((count - FAINT[0]) / (FAINT[1] - FAINT[0]), 0.0), 1.0)
        if presence > 0:
            self.renderer.show(project, self._mixed, size, self._frames.frames, presence=presence)
        self._blit(self._mixed.glo, size, framebuffer, size, (0, size[0]))
        return count

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
        """Draw `project` over the whole of Qt's `framebuffer` (an OpenGL name) of `size` (width, height) pixels.

        With `left`, that project left of the share `line` of the width: two parts cost about one picture.
        """
        coarse = moving and self.software
        factor = COARSE if coarse else 1
        fine = max(round(size[0] / factor), 1), max(round(size[1] / factor), 1)
        target = self._target(coarse, fine)
        quality = Quality.MOVING if coarse else Quality.STILL if self.software else Quality.FULL
        edge = 0
        if left is None:
            self._release_second()
        else:
            edge = max(0, min(round(line * fine[0]), fine[0]))
            if edge:
                self._draw_columns(self._renderer_of(left, project), left, target, fine, (0, edge), quality, moving)
                self._blit(target.glo, fine, framebuffer, size, (0, edge))
        if edge < fine[0]:
            self._draw_columns(self.renderer, project, target, fine, (edge, fine[0]), quality, moving)
            self._blit(target.glo, fine, framebuffer, size, (edge, fine[0]))
        if not (moving or self._warm) and project.expressions.names:
            self._warm = True
            # after the first picture at rest, before the first drag
            self.renderer.warm(project, Quality.MOVING if self.software else Quality.FULL)

    def _draw_columns(
        self,
        renderer: Renderer,
        project: Project,
        target: moderngl.Framebuffer,
        size: tuple[int, int],
        columns: tuple[int, int],
        quality: Quality,
        moving: bool,
    ) -> None:
        """Draw at least the columns from the first to before the last: Mesa's software driver clips some samples of a
        pixel one column off."""
        first, end = max(columns[0] - 1, 0), min(columns[1] + 1, size[0])
        whole = columns == (0, size[0])
        clip = None if whole else (first, 0, end - first, size[1])
        renderer.draw(project, target, size, quality=quality, clip=clip, moving=moving)

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

    def _target(self, coarse: bool, size: tuple[int, int]) -> moderngl.Framebuffer:
        held = self._targets.get(coarse)
        if held is not None and held[0] == size:
            return held[1]
        if held is not None:
            _release(self._targets.pop(coarse)[1])
        samples = 0 if coarse else self._samples
        color = self.context.renderbuffer(size, 4, samples=samples)
        target = self.context.framebuffer([color], self.context.depth_renderbuffer(size, samples=samples))
        self._targets[coarse] = size, target
        return target

    def _blit(
        self, source: int, from_size: tuple[int, int], target: int, to_size: tuple[int, int], columns: tuple[int, int]
    ) -> None:
        """Resolve or enlarge `columns` of the source. Through Qt's functions: ModernGL copies whole framebuffers of one
        size only."""
        gl = QOpenGLContext.currentContext().extraFunctions()
        gl.glBindFramebuffer(_GL_READ_FRAMEBUFFER, source)
        gl.glBindFramebuffer(_GL_DRAW_FRAMEBUFFER, target)
        sampling = _GL_NEAREST if from_size == to_size else _GL_LINEAR
        left, right = (round(column * to_size[0] / from_size[0]) for column in columns)
        taken, given = (columns[0], 0, columns[1], from_size[1]), (left, 0, right, to_size[1])
        gl.glBlitFramebuffer(*taken, *given, _GL_COLOR_BUFFER_BIT, sampling)
        gl.glBindFramebuffer(_GL_READ_FRAMEBUFFER, target)

    def release(self) -> None:
        """Give everything back to the driver."""
        for _, target in self._targets.values():
            _release(target)
        self._targets.clear()
        self._release_second()
        self._release_frames()
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
