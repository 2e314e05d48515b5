"""Which triangle each pixel shows, so that the skin is shaded once a pixel: shaders/common/triangle.glsl says why."""

from __future__ import annotations

import moderngl

from engine.render.context import drawing_into


class PixelTarget:
    """A picture of (width, height) pixels in the making, colours of `dtype`, and the numbers of its triangles.

    Both share their depth, so that where the skin is hidden, or is not, no pixel is shaded.
    """

    def __init__(self, context: moderngl.Context, size: tuple[int, int], dtype: str) -> None:
        self.size = size
        self.numbers = context.texture(size, 1, dtype="f4")
        """Of the triangle that a pixel shows, from 1."""
        self.numbers.filter = moderngl.NEAREST, moderngl.NEAREST
        self._color = context.renderbuffer(size, 4, dtype=dtype)
        self._depth = context.depth_renderbuffer(size)
        self.drawn = context.framebuffer([self._color], self._depth)
        """Where the picture is drawn."""
        self._numbered = context.framebuffer([self.numbers], self._depth)

    def number(self, array: moderngl.VertexArray, first: int, count: int) -> None:
        """Draw `count` indices from `first` of `array`, a vertex array of triangles.vert and .frag."""
        with drawing_into(self._numbered):
            array.render(moderngl.TRIANGLES, count, first=first)

    def copy_into(self, target: moderngl.Framebuffer) -> None:
        """The finished picture over the lower left of `target`, within its scissor."""
        context = target.ctx
        context.copy_framebuffer(target, self.drawn)

    def release(self) -> None:
        """Give the target back."""
        for made in (self._numbered, self.drawn, self._depth, self._color, self.numbers):
            made.release()
