"""Live blending of the four maps on the GPU; the same sums as `engine.composer.compose_maps`.

Changes are linear in their weights, so those of one size are summed at that size. Then one of two things:

* full: one pass at the size of the maps applies the sums to the neutral maps, and mip levels are built;
* direct: the head's own shader applies them to what it reads of the neutral maps.

While one weight moves, the sum from before is kept and the shader adds to it what the moving change has become more or
less (incremental): a step costs nothing but the picture. Every sum is made from the changes themselves, so nothing
drifts. What was measured, and hence which way is taken when: docs/shading.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import moderngl
import numpy as np

from engine.channels import CHANGE_TILES
from engine.expression import ExpressionSet, ReflectanceChange
from engine.identity import ReflectanceMaps
from engine.render.camera import Part4
from engine.render.context import drawing_into, give_back, is_software
from engine.render.shaders import program, set_array, set_uniforms
from engine.render.targets import Pace, Piece, Target, strips
from engine.render.upload import ChangeTexture, MapTextures, share_texture
from engine.sides import Sides, Weight, both, is_on

Active = tuple[tuple[ReflectanceChange, Weight], ...]
Layers = tuple[tuple[moderngl.Texture, float], ...]
"""Textures of changes or of sums, each with its weight."""

DIRECT_LAYERS = 2
"""Changes or sums of changes that the head's shader takes; where there are more, maps are composed in full."""
SOFTWARE_LARGEST_FULL = 2048
"""Of larger maps a software driver never composes a full set: it takes longer than many frames drawn directly."""
LAYER_BYTES, SOFTWARE_LAYER_BYTES = 512 * 2**20, 256 * 2**20
"""Changes kept on the GPU; on a software driver that is memory of the machine."""
_AT_ONCE = 4
"""Changes summed in one pass."""


class Mix(NamedTuple):
    """What is blended: neutral maps, and the changes that expressions make of them by their weights."""

    maps: ReflectanceMaps
    expressions: ExpressionSet
    weights: Mapping[str, Weight]
    left: np.ndarray | None = None
    """As in `engine.composer.compose_maps`."""


@dataclass(frozen=True, slots=True)
class Blend:
    """What the head's shader reads."""

    maps: MapTextures
    layers: Layers = ()
    """Not empty: `maps` are the neutral's, and the shader adds these (shaders/common/change.glsl)."""


class _Sum:
    """A float texture with the weighted sum of changes of one size."""

    def __init__(self, context: moderngl.Context, size: tuple[int, int]) -> None:
        height, width = size
        self.texture = context.texture((width, CHANGE_TILES * height), 4, dtype="f4")
        self.texture.filter = moderngl.LINEAR, moderngl.LINEAR
        self.texture.repeat_x = self.texture.repeat_y = False
        self.target = context.framebuffer([self.texture])
        self.nbytes = width * CHANGE_TILES * height * 16
        self.of: Active = ()
        """What it is the sum of."""

    def release(self) -> None:
        self.target.release()
        self.texture.release()


class MapComposer:
    """Neutral maps plus weighted changes, blended when a weight or an object is a new one, else kept.

    Changes stay on the GPU as long as they fit `layer_bytes`; those used longest ago go first, and one that is larger
    than the maps is brought to their size, at which it would be sampled.
    """

    def __init__(self, context: moderngl.Context, layer_bytes: int | None = None) -> None:
        self._context = context
        self._software = is_software(context)
        self.layer_bytes = layer_bytes or (SOFTWARE_LAYER_BYTES if self._software else LAYER_BYTES)
        self._programs: dict[tuple[str, ...], tuple[moderngl.Program, moderngl.VertexArray]] = {}
        self._maps: ReflectanceMaps | None = None
        self._neutral: MapTextures | None = None
        self._composed: MapTextures | None = None
        self._composed_target: moderngl.Framebuffer | None = None
        self._composed_of: Active = ()
        self._sums: dict[tuple[int, int], _Sum] = {}
        self._left: tuple[np.ndarray, moderngl.Texture] | None = None
        # By id, with the change kept alive beside its texture, so that its id cannot come back as another object's.
        self._changes: dict[int, tuple[ReflectanceChange, ChangeTexture]] = {}

    @property
    def gpu_bytes(self) -> dict[str, int]:
        """Bytes of textures held: `maps` (neutral and composed, mip levels included), `layers`, `sums`."""
        return {
            "maps": sum(each.nbytes for each in (self._neutral, self._composed) if each is not None),
            "layers": self._layer_bytes(),
            "sums": sum(each.nbytes for each in self._sums.values()),
        }

    def blend(self, mix: Mix, *, moving: bool = False) -> Blend:
        """What to draw `mix` with, in the way that is quickest; valid until the next call.

        `moving`: another picture follows soon, so the time until this one counts.
        """
        active = self._take(mix)
        layers = self._direct(active, moving)
        if layers is None:
            return self._full(active)
        assert self._neutral is not None
        return Blend(self._neutral, layers)

    def compose_in_pieces(self, mix: Mix, pace: Pace) -> Iterator[Piece]:
        """Do beforehand, a piece each time it is asked for the next, what `blend` does for what does not move."""
        active = self._take(mix)
        if self._direct(active, moving=False) is None:
            yield from self._compose(active, pace)

    @property
    def neutral(self) -> MapTextures:
        """Textures of the neutral maps that were blended last."""
        assert self._neutral is not None
        return self._neutral

    def _take(self, mix: Mix) -> Active:
        """Upload what is new of the maps and of the left's shares; the changes that are on and their weights."""
        left = mix.left
        if mix.maps is not self._maps:
            self._take_neutral(mix.maps)
        active = tuple((mix.expressions[name].change, weight) for name, weight in mix.weights.items() if is_on(weight))
        if any(isinstance(weight, Sides) for _, weight in active):
            if left is None:
                raise ValueError("MapComposer: expected shares of the left side for weights that differ, found none")
            if self._left is None or self._left[0] is not left:
                self._release_left()
                self._left = left, share_texture(self._context, left)
                self._forget_sums()
        return active

    def _take_neutral(self, maps: ReflectanceMaps) -> None:
        self._release_layers()  # another head: what belongs to the one before does not come back
        if self._neutral is None or self._neutral.size != maps.size:
            self._release_maps()
            self._neutral = MapTextures(self._context, maps.size)
        self._neutral.write(maps)
        self._maps = maps

    def _direct(self, active: Active, moving: bool) -> Layers | None:
        """What the head's shader is to apply itself; None for maps composed in full."""
        assert self._neutral is not None
        large = self._software and max(self._neutral.size) > SOFTWARE_LARGEST_FULL
        if not active or not (moving or large) or _same(active, self._composed_of):
            return None
        layers = self._layers(active, moving)
        return layers if len(layers) <= DIRECT_LAYERS else None

    # Full

    def _full(self, active: Active) -> Blend:
        assert self._neutral is not None
        for _ in self._compose(active, None):
            pass
        return Blend(self._composed if active and self._composed is not None else self._neutral)

    def _compose(self, active: Active, pace: Pace | None) -> Iterator[Piece]:
        """Make full maps under the changes that are `active`, unless they are there."""
        assert self._neutral is not None
        if not active or _same(active, self._composed_of):
            return
        if self._composed is None:
            self._composed = MapTextures(self._context, self._neutral.size)
            self._composed_target = self._context.framebuffer(self._composed.textures)
        composed, (height, width) = self._composed, self._composed.size
        self._composed_of = ()  # until the last piece they are nobody's
        layers = self._layers(active, moving=False)
        yield Piece(Target.MAPS, 0)
        whole = 0, 0, width, height
        for strip in (whole,) if pace is None else strips(whole, lambda: pace.pixels(Target.MAPS)):
            self._apply(layers, strip)
            yield Piece(Target.MAPS, strip[2] * strip[3])
        for texture in composed.textures:
            composed.build_mipmaps_of(texture)
            yield Piece(Target.MAPS, 0)
        self._composed_of = active

    def _apply(self, layers: Layers, strip: Part4 | None = None) -> None:
        assert self._neutral is not None
        assert self._composed_target is not None
        made, array = self._program("compose_maps.frag", f"CHANGES {len(layers)}")
        set_uniforms(made, t_neutral_diffuse=0, t_neutral_specular=1, t_neutral_slope=2)
        set_array(made, "t_change", range(3, 3 + len(layers)))
        set_array(made, "u_weight", [weight for _, weight in layers])
        self._context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
        self._neutral.use(0)
        for unit, (texture, _) in enumerate(layers, start=3):
            texture.use(unit)
        self._composed_target.scissor = strip  # pyright: ignore[reportAttributeAccessIssue]  (None means off)
        with drawing_into(self._composed_target):
            array.render(moderngl.TRIANGLES, 3)

    # Sums

    def _layers(self, active: Active, moving: bool) -> Layers:
        """What adds up to the active changes: a sum for each of their sizes, and beside it the change that moves."""
        by_size: dict[tuple[int, int], Active] = {}
        for one in active:
            size = self._size(one[0])
            by_size[size] = (*by_size.get(size, ()), one)
        room = DIRECT_LAYERS - len(by_size) if moving else 0
        layers: list[tuple[moderngl.Texture, float]] = []
        moved: list[tuple[ReflectanceChange, float]] = []
        for size, wanted in sorted(by_size.items(), reverse=True):
            base, one = self._moved(size, wanted) if len(moved) < room else (wanted, None)
            if base:
                layers.append((self._summed(size, base), 1.0))
            if one is not None:
                moved.append(one)
        # after the sums, which may have let go of layers to make room for others
        layers += [(self._texture_of(change), by) for change, by in moved]
        if not moving:
            for size in [size for size in self._sums if size not in by_size]:
                self._sums.pop(size).release()
        return tuple(layers)

    def _moved(self, size: tuple[int, int], wanted: Active) -> tuple[Active, tuple[ReflectanceChange, float] | None]:
        """A sum that is there, or none at all, and the one change that adds up to `wanted` with it, by how much; else
        `wanted` and None."""
        held = self._sums[size].of if size in self._sums else ()
        for base in (held, ()):
            fresh, gone = (
                [one for one in some if not _has(rest, one)] for some, rest in ((wanted, base), (base, wanted))
            )
            differing = [*fresh, *gone]
            if len({id(change) for change, _ in differing}) == 1 and not any(
                isinstance(by, Sides) for _, by in differing
            ):
                more, less = (sum(both(weight).left for _, weight in some) for some in (fresh, gone))
                return base, (differing[0][0], more - less)
        return wanted, None

    def _summed(self, size: tuple[int, int], wanted: Active) -> moderngl.Texture:
        """The weighted sum of `wanted`, drawn unless it is there."""
        if size not in self._sums:
            self._sums[size] = _Sum(self._context, size)
        held = self._sums[size]
        if not _same(wanted, held.of):
            context = self._context
            context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE | moderngl.BLEND)
            context.blend_func = moderngl.ONE, moderngl.ONE
            with drawing_into(held.target):
                for start in range(0, len(wanted), _AT_ONCE):
                    self._draw_sum(wanted[start : start + _AT_ONCE])
                    context.enable(moderngl.BLEND)  # what follows is added
            context.disable(moderngl.BLEND)
            held.of = wanted
        return held.texture

    def _draw_sum(self, chunk: Active) -> None:
        sided = any(isinstance(weight, Sides) for _, weight in chunk)
        made, array = self._program("compose_sum.frag", f"COUNT {len(chunk)}", *(("SIDED",) if sided else ()))
        set_array(made, "t_change", range(len(chunk)))
        set_array(made, "u_weight", [tuple(both(weight)) for _, weight in chunk])
        for unit, (change, _) in enumerate(chunk):
            self._texture_of(change).use(unit)
        if sided:
            assert self._left is not None
            set_uniforms(made, t_left=len(chunk))
            self._left[1].use(len(chunk))
        array.render(moderngl.TRIANGLES, 3)

    def _program(self, fragment: str, *defines: str) -> tuple[moderngl.Program, moderngl.VertexArray]:
        kind = (fragment, *defines)
        if kind not in self._programs:
            made = program(self._context, "fullscreen.vert", fragment, defines)
            self._programs[kind] = made, self._context.vertex_array(made, [])
        return self._programs[kind]

    # Layers

    def _size(self, change: ReflectanceChange) -> tuple[int, int]:
        """(H, W) at which `change` is kept."""
        assert self._neutral is not None
        (height, width), (tall, wide) = change.size, self._neutral.size
        return min(height, tall), min(width, wide)

    def _texture_of(self, change: ReflectanceChange) -> moderngl.Texture:
        key = id(change)
        if key not in self._changes:
            self._changes[key] = change, ChangeTexture(self._context, change, self._size(change))
        self._changes[key] = self._changes.pop(key)  # last used comes last
        while len(self._changes) > _AT_ONCE and self._layer_bytes() > self.layer_bytes:
            self._changes.pop(next(iter(self._changes)))[1].release()
        return self._changes[key][1].texture

    def _layer_bytes(self) -> int:
        return sum(texture.nbytes for _, texture in self._changes.values())

    # Giving back

    def _release_maps(self) -> None:
        give_back(self._neutral, self._composed, self._composed_target)
        self._neutral = self._composed = self._composed_target = None

    def _release_left(self) -> None:
        if self._left is not None:
            self._left[1].release()
        self._left = None

    def _forget_sums(self) -> None:
        give_back(*self._sums.values())
        self._sums.clear()
        self._composed_of = ()

    def _release_layers(self) -> None:
        self._forget_sums()
        for _, texture in self._changes.values():
            texture.release()
        self._changes.clear()

    def release(self) -> None:
        """Give everything back to the driver; the context must be current."""
        self._release_maps()
        self._release_layers()
        self._release_left()
        for made, array in self._programs.values():
            array.release()
            made.release()
        self._programs.clear()


def _same(first: Active, second: Active) -> bool:
    return len(first) == len(second) and all(a[0] is b[0] and a[1] == b[1] for a, b in zip(first, second, strict=True))


def _has(some: Active, one: tuple[ReflectanceChange, Weight]) -> bool:
    return any(_same((one,), (other,)) for other in some)
