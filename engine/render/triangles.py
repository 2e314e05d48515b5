"""Which triangle each pixel shows, so that the skin is shaded once a pixel: shaders/common/triangle.glsl says why."""

from __future__ import annotations

import moderngl

from engine.render.context import drawing_into

Depth = moderngl.Texture | moderngl.Renderbuffer


class TriangleNumbers:
    """The number of the triangle, from 1, that each pixel of a target shows.

    Shares the target's depth, so that where nothing is, or something else stands before the skin, no pixel is shaded.
    """

    def __init__(self, context: moderngl.Context, depth: Depth) -> None:
        self.depth = depth
        """Attached to the target; (width, height) pixels, one sample."""
        self.texture = context.texture(depth.size, 1, dtype="f4")
        self.texture.filter = moderngl.NEAREST, moderngl.NEAREST
        self._target = context.framebuffer([self.texture], depth)

    def draw(self, array: moderngl.VertexArray, first: int, count: int, bound: moderngl.Framebuffer) -> None:
        """Draw `count` indices from `first` of `array`, a vertex array of triangles.vert and .frag, into what `bound`
        shows of its viewport; 0 where there is none. Depth begins anew."""
        self._target.viewport, self._target.scissor = bound.viewport, bound.scissor
        with drawing_into(self._target):
            self._target.clear(depth=1.0)
            array.render(moderngl.TRIANGLES, count, first=first)

    def release(self) -> None:
        """Give the texture back."""
        self._target.release()
        self.texture.release()
