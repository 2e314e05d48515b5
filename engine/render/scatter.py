"""Light inside the skin, spread on the screen: the float targets it is drawn into, the blur, and the picture's end."""

from __future__ import annotations

import math
from enum import IntEnum

import moderngl

from engine.render.context import give_back
from engine.render.shaders import program, set_uniforms
from engine.render.tables import SCATTER_REACH_M, scatter_kernel
from engine.scene import Camera

MOST_REACH_PX = 1024
"""Where a millimetre is wider than this allows, light spreads less far: memory for the margins of tiles ends there."""
_MOST_TAPS = 25
"""`MOST_TAPS` of shaders/scatter.frag."""
_LIGHT = ("t_scattered", "t_reflected", "t_albedo", "t_depth")


class Quality(IntEnum):
    """How light inside the skin is drawn; the value is the number of taps along each axis of the screen."""

    MOVING = 0
    """Not spread on the screen: one pass with a table of pre-integrated scattering, for software rasterisers."""
    STILL = 17
    FULL = 25


class LightTargets:
    """Float targets of one size for what head.frag writes with PASSES, as textures in `textures` and `depth`.

    With `samples` above 0 what is drawn is multisampled, and the textures hold its means after `resolve`. With
    `jittered` it is one sample of each pixel, to be added up as `sums` says.
    """

    def __init__(
        self,
        context: moderngl.Context,
        size: tuple[int, int],
        samples: int,
        count: int,
        dtype: str,
        *,
        jittered: bool = False,
    ) -> None:
        self.size = size
        self.textures = [context.texture(size, 4, dtype=dtype) for _ in range(count)]
        self.across = context.texture(size, 4, dtype=dtype)
        """Light after the blur's first pass."""
        for texture in (*self.textures, self.across):
            texture.filter = moderngl.LINEAR, moderngl.LINEAR
            texture.repeat_x = texture.repeat_y = False
        self.depth = context.depth_texture(size)
        self.depth.filter = moderngl.LINEAR, moderngl.LINEAR  # a tap between two surfaces lies on neither
        self.depth.compare_func = ""
        self.depth.repeat_x = self.depth.repeat_y = False
        self.whole = context.framebuffer(self.textures, self.depth)
        self.blurred = [context.framebuffer([texture]) for texture in (self.across, self.textures[0])]
        self._owned: list[moderngl.Texture | moderngl.Renderbuffer] = [*self.textures, self.across, self.depth]
        self.drawn = self.whole
        """What to draw into."""
        self.sums: list[tuple[moderngl.Texture, moderngl.Framebuffer]] = []
        """Each texture that is drawn into, and the target of the sum of its samples."""
        if jittered:
            drawn = [context.texture(size, 4, dtype=dtype) for _ in range(count)]
            self.drawn = context.framebuffer(drawn, self.depth)
            rest = [context.framebuffer([texture]) for texture in self.textures[1:]]
            self.sums = list(zip(drawn, (self.blurred[1], *rest), strict=True))
            self._owned += drawn
        elif samples:
            buffers = [context.renderbuffer(size, 4, samples=samples, dtype=dtype) for _ in range(count)]
            depth = context.depth_renderbuffer(size, samples=samples)
            self.drawn = context.framebuffer(buffers, depth)
            self._owned += [*buffers, depth]

    def resolve(self) -> None:
        """Mean over the samples of each pixel; depth of one of them."""
        if self.drawn.samples:
            self.whole.ctx.copy_framebuffer(self.whole, self.drawn)

    def release(self) -> None:
        """Give everything back to the driver."""
        give_back(*{self.drawn, self.whole, *self.blurred, *(target for _, target in self.sums)})
        give_back(*self._owned)


class ScatterPass:
    """The blur and what comes after it. The frame's uniform block must be that of the targets."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._blur = program(context, "fullscreen.vert", "scatter.frag")
        # ends the picture, or leaves linear light
        self._combine = [program(context, "fullscreen.vert", "combine.frag", kind) for kind in ((), ("LINEAR",))]
        for made in (self._blur, *self._combine):
            for unit, name in enumerate(_LIGHT):
                if name in made:
                    set_uniforms(made, **{name: unit})
            if "Frame" in made:
                block = made["Frame"]
                assert isinstance(block, moderngl.UniformBlock)
                block.binding = 0
        self._blur_array, *self._combine_arrays = (
            context.vertex_array(made, []) for made in (self._blur, *self._combine)
        )
        self._taps = 0

    def blur(self, targets: LightTargets, axis: int, pixels_per_m: float, quality: Quality) -> None:
        """Spread the light in the first texture of `targets`, across (0), then up (1), into that target of `blurred`,
        which is bound; after both it is in the first texture again.

        `pixels_per_m` is how large a metre is drawn at a depth of 1 m (`pixels_per_metre`).
        """
        self._context.disable(moderngl.DEPTH_TEST | moderngl.BLEND | moderngl.CULL_FACE)
        if self._taps != quality:
            kernel = scatter_kernel(quality)
            rows = [tuple(map(float, row)) for row in kernel] + [(0.0,) * 4] * (_MOST_TAPS - quality)
            set_uniforms(self._blur, u_taps=rows, u_count=int(quality))  # type: ignore[arg-type]
            self._taps = quality
        step = (1 / targets.size[0], 0.0) if axis == 0 else (0.0, 1 / targets.size[1])
        most = MOST_REACH_PX / SCATTER_REACH_M
        set_uniforms(self._blur, u_step=step, u_pixels_per_m=pixels_per_m, u_most_pixels_per_m=most)
        targets.depth.use(_LIGHT.index("t_depth"))
        (targets.textures[0], targets.across)[axis].use(0)
        self._blur_array.render(moderngl.TRIANGLES, 3)

    def combine(
        self,
        scattered: moderngl.Texture,
        reflected: moderngl.Texture,
        albedo: moderngl.Texture,
        depth: moderngl.Texture,
        corner: tuple[int, int] = (0, 0),
        *,
        linear: bool = False,
    ) -> None:
        """End the picture in the framebuffer that is bound, over what it holds: light times albedo, display-encoded; or
        with `linear` linear light, alpha associated, in place of what it holds.

        Its lower-left pixel takes the texel `corner` of the inputs, which may be sums of many frames divided by their
        number. Its depth becomes `depth`. Leaves the depth test off.
        """
        context = self._context
        for unit, texture in enumerate((scattered, reflected, albedo, depth)):
            texture.use(unit)
        set_uniforms(self._combine[linear], u_corner=corner)
        context.enable(moderngl.DEPTH_TEST if linear else moderngl.DEPTH_TEST | moderngl.BLEND)
        context.depth_func = "1"
        context.blend_func = (  # pyright: ignore[reportAttributeAccessIssue]
            *(moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA),
            *(moderngl.ONE, moderngl.ONE_MINUS_SRC_ALPHA),
        )
        self._combine_arrays[linear].render(moderngl.TRIANGLES, 3)
        context.disable(moderngl.DEPTH_TEST | moderngl.BLEND)

    def release(self) -> None:
        """Give everything back to the driver."""
        give_back(self._blur_array, *self._combine_arrays, self._blur, *self._combine)


def pixels_per_metre(camera: Camera, size: tuple[int, int]) -> float:
    """Pixels of a picture of `size` (width, height) that a metre takes at a depth of 1 m."""
    return size[1] / 2 / math.tan(camera.vertical_fov_rad / 2)


def reach_px(pixels_per_m: float, nearest_m: float) -> int:
    """Pixels around a pixel whose light may come to it, where nothing is nearer to the eye than `nearest_m`."""
    return min(math.ceil(pixels_per_m * SCATTER_REACH_M / max(nearest_m, 1e-3)) + 1, MOST_REACH_PX + 1)
