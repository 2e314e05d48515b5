"""What a picture is made from and into: the shot, the targets of a frame by name, and the pieces it is drawn in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import moderngl

from engine.project import Project
from engine.render.camera import Part4
from engine.render.context import drawing_into
from engine.render.environment import EnvironmentLight
from engine.render.sampling import FrameSample
from engine.render.scatter import LightTargets, Quality
from engine.render.shaders import program, set_uniforms
from engine.render.sources import LightSource
from engine.render.triangles import TriangleNumbers
from engine.scene import Scene, ViewChannel

LIGHT_COUNT, LAYER_COUNT = 3, 7
"""Targets that head.frag writes with PASSES, and with LAYERS too."""
SPREAD = (ViewChannel.SHADED, ViewChannel.DIFFUSE_LIGHT)
"""Channels in which light is spread inside the skin."""
LIT = (*SPREAD, ViewChannel.GEOMETRY, ViewChannel.SPECULAR_LIGHT)
"""Channels that need light; the others show a map as it is."""
JITTER: tuple[tuple[float, float], ...] = ((0.125, 0.375), (-0.375, 0.125), (0.375, -0.125), (-0.125, -0.375))
"""Pixels by which a picture is shifted for each of its samples: the pattern of multisampling with four."""
FINE_JITTER = tuple(((row + 0.5) / 9 - 0.5, (4 * row % 9 + 0.5) / 9 - 0.5) for row in range(9))
"""The same for nine, as many as a still of the command line has: each alone in its row and its column."""

PIECE_S = 0.02
"""Seconds that a piece of a picture in pieces should take."""
LEAST_PIXELS, MOST_PIXELS = 1 << 15, 1 << 17
"""Of a piece: a machine too busy for the least waits longer; no machine is asked for more than the most at once."""


class Target(Enum):
    """What passes read and write."""

    MAPS = "maps of the head under its weights"
    SHADOWS = "depth of the head as each light sees it"
    THICKNESS = "depth at which each light enters the head"
    LIGHT = "linear light and albedo in float targets, with their depth"
    ACROSS = "light inside the skin, spread across the screen"
    SPREAD = "the same, spread up and down too"
    PICTURE = "what the caller gets, and its depth"


class Piece(NamedTuple):
    """What of a picture was drawn at a time."""

    kind: Target
    pixels: int
    """Samples that may have been shaded, or texels written; 0 for what has no pixels of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What is to be seen, and how."""

    project: Project
    """With the scene that its light stage makes."""
    size: tuple[int, int]
    """Of the whole picture, (width, height) pixels."""
    part: Part4
    """Of the picture, what is drawn."""
    environment: EnvironmentLight
    lights: list[LightSource]
    """In the order of `KIND_ORDER`."""
    quality: Quality = Quality.MOVING
    sample: FrameSample | None = None
    """One frame of a picture that converges: linear light over nothing."""
    transparent: bool = False
    moving: bool = False
    """Another picture follows soon."""
    coarse: bool = False
    """With fewer, wider strands of hair, and shadows of the skin alone."""
    layers: bool = False
    clip: Part4 | None = None
    """Of the part, what is drawn; None for all."""
    kept: bool = False
    """It is drawn over what the picture holds."""
    shift_px: tuple[float, float] = (0.0, 0.0)

    @property
    def scene(self) -> Scene:
        return self.project.scene

    @property
    def scatters(self) -> bool:
        """Is light spread inside the skin where it is seen? Not on maps that are laid flat."""
        return self.scene.scattering and not self.scene.view.uv_view

    @property
    def in_floats(self) -> bool:
        """Is light drawn into float targets first?"""
        spread = self.quality is not Quality.MOVING and self.scatters and self.scene.view.channel in SPREAD
        return spread or self.layers

    @property
    def over_nothing(self) -> bool:
        """Is nothing seen behind the head?"""
        return self.transparent or self.layers or self.scene.view.uv_view

    @property
    def backdrop(self) -> bool:
        """Is the environment seen behind the head?"""
        return self.scene.environment.visible and not self.over_nothing

    @property
    def wall(self) -> bool:
        """Is the studio's wall seen behind the head? Where light shows; behind values there is one colour."""
        return self.scene.view.channel in LIT and not self.scene.environment.visible and not self.over_nothing

    @property
    def wires(self) -> bool:
        """Are triangles seen as lines?"""
        return self.scene.view.wireframe and self.sample is None and not self.layers

    @property
    def background(self) -> tuple[float, float, float, float]:
        """Display-encoded colour and alpha where nothing is."""
        return (0.0, 0.0, 0.0, 0.0) if self.transparent else (*self.scene.background_srgb, 1.0)


@dataclass(frozen=True, slots=True)
class Pass:
    """One step of a frame: what it needs, where it ends, for which shots it is wanted."""

    name: str
    reads: tuple[Target, ...]
    writes: Target
    wanted: Callable[[Shot], bool]
    draw: Callable[[Shot, Frame], None]
    """With the target it writes bound, viewport and scissor set, and the shot's uniforms and textures in place."""
    has_edges: bool = False
    """It draws outlines, which want several samples a pixel."""


class Frame:
    """The targets of a picture, kept for the next one. The context must be current in every call."""

    def __init__(self, context: moderngl.Context, jittered: bool = False) -> None:
        """`jittered`: samples of a pixel are shifted draws of one sample, whose mean is the picture, a target of
        floats. A software rasteriser takes half the time of multisampling for it, and it can be drawn in pieces."""
        self.jittered, self.jitter = jittered, JITTER
        self._context = context
        self._picture: moderngl.Framebuffer | None = None
        self._drawn: Samples | None = None
        self._light: tuple[object, LightTargets] | None = None
        self._numbers: TriangleNumbers | None = None

    def take(self, picture: moderngl.Framebuffer) -> None:
        """Draw into `picture`, the caller's, from now on."""
        self._picture = picture
        if self.jittered and (self._drawn is None or self._drawn.size != picture.size):
            self._release(self._drawn)
            self._drawn = Samples(self._context, picture.size)

    def take_light(self, size: tuple[int, int], layers: bool) -> None:
        """Float targets of `size` with as many samples a pixel as the picture has, layers with one; kept until others
        are wanted."""
        samples = 0 if layers or self._picture is None else self._picture.samples
        key = size, layers, samples
        if self._light is None or self._light[0] != key:
            self._release(self._light and self._light[1])
            count, dtype = (LAYER_COUNT, "f4") if layers else (LIGHT_COUNT, "f2")
            self._light = key, LightTargets(self._context, size, samples, count, dtype, jittered=self.jittered)

    @property
    def light(self) -> LightTargets:
        """Float targets of the picture."""
        assert self._light is not None
        return self._light[1]

    def target(self, name: Target, jittered: bool = False) -> moderngl.Framebuffer:
        """What passes that write `name` draw into; `jittered`, for one of several samples."""
        if name is Target.PICTURE:
            picture = self._drawn.target if jittered and self._drawn is not None else self._picture
            assert picture is not None
            return picture
        return {
            Target.LIGHT: self.light.drawn,
            Target.ACROSS: self.light.blurred[0],
            Target.SPREAD: self.light.blurred[1],
        }[name]

    def clear(self, name: Target) -> None:
        """Begin a target that `open` does not clear, or not all of it. Scissor must be off."""
        if name is Target.LIGHT:
            self.light.drawn.clear(depth=1.0)
            if self.jittered:
                self.light.whole.clear(depth=1.0)
        elif name is Target.ACROSS:
            self.light.blurred[0].clear()

    def open(
        self, name: Target, shot: Shot, strip: Part4 | None, jittered: bool = False
    ) -> moderngl.Framebuffer | None:
        """Bind what passes that write `name` draw into, for the rectangle `strip` or all of it; None where they bind
        their own. Of a sample, or of a picture that is not kept, nothing is left there."""
        if name in (Target.SHADOWS, Target.THICKNESS):
            return None
        target = self.target(name, jittered)
        target.use()
        target.viewport = (0, 0, *shot.part[2:])
        target.scissor = _in_quads(strip) if jittered and strip else strip  # pyright: ignore[reportAttributeAccessIssue]  (the stub forgets that None means off)
        if name is Target.PICTURE and not shot.kept:
            target.clear(*shot.background, depth=1.0)
        elif name is Target.LIGHT and jittered:
            target.clear(depth=1.0)
        return target

    def add(self, mean: SampleMean, name: Target, number: int, strip: Part4 | None) -> None:
        """Add what lies in the target `name`, sample `number` of a pixel, to the mean of all."""
        if name is Target.PICTURE:
            assert self._drawn is not None
            assert self._picture is not None
            pairs = [(self._drawn.texture, self._picture)]
        else:
            pairs = self.light.sums
        for texture, target in pairs:
            mean.add(texture, target, 1 / len(self.jitter), over=number > 0, strip=strip)

    def numbers_for(self, target: moderngl.Framebuffer) -> TriangleNumbers | None:
        """Numbers of the triangles in `target`; None where it has no depth or several samples. Kept for one target."""
        depth = target.depth_attachment
        if depth is None or target.samples:
            return None
        if self._numbers is None or self._numbers.depth is not depth:
            self._release(self._numbers)
            self._numbers = TriangleNumbers(self._context, depth)
            target.use()
        return self._numbers

    @staticmethod
    def _release(made: Samples | LightTargets | TriangleNumbers | None) -> None:
        if made is not None:
            made.release()

    def release(self) -> None:
        """Give everything back to the driver, but the picture."""
        for made in (self._drawn, self._light and self._light[1], self._numbers):
            self._release(made)
        self._drawn = self._light = self._numbers = self._picture = None


class Samples:
    """One sample of each pixel of a display-encoded picture."""

    def __init__(self, context: moderngl.Context, size: tuple[int, int]) -> None:
        self.size = size
        self.texture = context.texture(size, 4)
        self._depth = context.depth_renderbuffer(size)
        self.target = context.framebuffer([self.texture], self._depth)

    def release(self) -> None:
        """Give everything back to the driver."""
        for made in (self.target, self.texture, self._depth):
            made.release()


class SampleMean:
    """Adds pictures up."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = program(context, "fullscreen.vert", "copy.frag")
        self._array = context.vertex_array(self._program, [])

    def add(
        self,
        source: moderngl.Texture,
        target: moderngl.Framebuffer,
        share: float,
        *,
        over: bool = True,
        strip: Part4 | None = None,
    ) -> None:
        """Add `share` of `source` to what `target`, floats of the same size, holds, or without `over` put it there, in
        the rectangle `strip` or all of it. Leaves blending off."""
        context = self._context
        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        if over:
            context.enable(moderngl.BLEND)
            context.blend_func = moderngl.ONE, moderngl.ONE
        target.viewport, target.scissor = (0, 0, *target.size), strip  # pyright: ignore[reportAttributeAccessIssue]
        with drawing_into(target):
            source.use(0)
            set_uniforms(self._program, t_source=0, u_share=share)
            self._array.render(moderngl.TRIANGLES, 3)
        target.scissor = None  # pyright: ignore[reportAttributeAccessIssue]  (the stub forgets that None means off)
        context.disable(moderngl.BLEND)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._array.release()
        self._program.release()


def _in_quads(strip: Part4) -> Part4:
    """`strip` and what else lies in its blocks of 2 x 2 pixels, by whose differences shaders know slopes."""
    left, bottom, width, height = strip
    start = left & ~1, bottom & ~1
    return *start, (left + width + 1 & ~1) - start[0], (bottom + height + 1 & ~1) - start[1]


def strips(region: Part4, pixels: Callable[[], int]) -> Iterator[Part4]:
    """`region` from its lower edge up in whole rows of at most `pixels()` pixels, asked before each; a single row may
    have more."""
    left, bottom, width, height = region
    done = 0 if width else height
    while done < height:
        rows = min(max(pixels() // width, 1), height - done)
        yield left, bottom + done, width, rows
        done += rows


class Pace:
    """How many pixels a piece of each kind of drawing has, so that none takes much longer than `PIECE_S`."""

    def __init__(self) -> None:
        self._pixels: dict[Target, int] = {}

    def pixels(self, kind: Target) -> int:
        """At most so many in the next piece."""
        return self._pixels.get(kind, LEAST_PIXELS)

    def took(self, piece: Piece, seconds: float) -> None:
        """Learn from a piece that was drawn."""
        factor = min(max(PIECE_S / max(seconds, 1e-6), 0.25), 1.5)
        grown = round(min(piece.pixels, self.pixels(piece.kind)) * factor)
        self._pixels[piece.kind] = min(max(grown, LEAST_PIXELS), MOST_PIXELS)
