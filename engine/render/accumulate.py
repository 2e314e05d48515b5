"""Adds up frames of a picture that converges."""

from __future__ import annotations

import moderngl
import numpy as np

from engine.project import Project
from engine.render.camera import Part4
from engine.render.context import give_back
from engine.render.renderer import Renderer
from engine.render.sampling import frame_sample
from engine.render.scatter import Quality
from engine.render.sources import lamps_around
from engine.render.targets import LIT
from engine.scene import Scene


def converges(scene: Scene) -> bool:
    """Is a picture of `scene` one of light on a head, which more frames make truer? Channels that need no light, the UV
    view and wires are drawn at once."""
    return scene.view.channel in LIT and not scene.view.uv_view and not scene.view.wireframe


class Accumulator:
    """The sum of sampled frames of one project, seen by one camera. The context must be current in every call."""

    def __init__(self, renderer: Renderer, size: tuple[int, int]) -> None:
        """For pictures, or parts of one, of at most `size` (width, height) pixels."""
        context = renderer.context
        self.renderer, self.size = renderer, size
        self.count = 0
        """Frames added since `clear`."""
        self._frame, self._sum = (context.texture(size, 4, dtype="f4") for _ in range(2))
        for texture in (self._frame, self._sum):
            texture.filter = moderngl.NEAREST, moderngl.NEAREST
        self._depth = context.depth_renderbuffer(size)
        self._frame_target = context.framebuffer([self._frame], self._depth)
        self._sum_target = context.framebuffer([self._sum])
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.count = 0
        self._sum_target.clear()

    def add(
        self,
        project: Project,
        picture: tuple[int, int],
        part: Part4 | None = None,
        quality: Quality = Quality.FULL,
    ) -> None:
        """Draw the next frame of `project` as a `picture` of (width, height) pixels, or of its `part`, and add it.

        Errors as `Renderer.draw`.
        """
        around = lamps_around(project.identity)
        sample = frame_sample(project.scene, self.renderer.sampler(project.scene), self.count, around)
        self.renderer.draw(project, self._frame_target, picture, part=part, quality=quality, sample=sample)
        self.renderer.mean.add(self._frame, self._sum_target, 1.0)
        self.count += 1

    @property
    def frames(self) -> tuple[moderngl.Texture, int]:
        """The sum, linear light with alpha associated, and of how many frames: what `Renderer.show` takes."""
        return self._sum, self.count

    def read(self, size: tuple[int, int]) -> np.ndarray:
        """(height, width, 4) float32: the lower-left `size` (width, height) pixels of the sum, row 0 at the bottom."""
        read = self._sum_target.read(viewport=(0, 0, *size), components=4, dtype="f4")
        return np.frombuffer(read, np.float32).reshape(size[1], size[0], 4)

    def release(self) -> None:
        """Give everything back to the driver."""
        give_back(self._frame_target, self._sum_target, self._depth, self._frame, self._sum)
