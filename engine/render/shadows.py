"""Depth of the head as its lights see it: shadow maps, and maps of where light enters thin parts."""

from __future__ import annotations

from collections.abc import Sequence

import moderngl

from engine.render.context import drawing_into, give_back
from engine.render.passes import UNIT_SHADOW, UNIT_THICKNESS, HeadPass
from engine.render.sources import MOST_LIGHTS, LightSource

_READ_MAP_SIZE = 1024
"""Side in texels of a shadow map that is read for penumbras."""


class Shadows:
    """A shadow map for each light, and one at least; drawn again where its light or the head's pose is another."""

    def __init__(self, context: moderngl.Context, penumbra: bool) -> None:
        """`penumbra`: shadows grow softer with distance: about fifty look-ups a light, for a GPU."""
        self._context = context
        self.penumbra = penumbra
        self.maps: list[ShadowMap] = []
        self._maps_of: list[tuple[object, bool]] = []
        """Light and pose that each was drawn for, and whether it shows the skin alone."""
        self._thickness: ThicknessMaps | None = None
        self._thickness_of: dict[int, object] = {}

    def fit(self, lights: Sequence[LightSource], radius_m: float) -> None:
        """Make a map of the right size for each of `lights`, around a ball of `radius_m`."""
        sizes = [_READ_MAP_SIZE if self.penumbra else shadow_map_size(one.softness_m, radius_m) for one in lights]
        for index, size in enumerate(sizes or [1]):
            if index < len(self.maps) and self.maps[index].size == size:
                continue
            fresh = ShadowMap(self._context, size, compared=not self.penumbra)
            if index < len(self.maps):
                self.maps[index].release()
                self.maps[index], self._maps_of[index] = fresh, (None, False)
            else:
                self.maps.append(fresh)
                self._maps_of.append((None, False))

    def draw(self, head: HeadPass, lights: Sequence[LightSource], pose: int, coarse: bool = False) -> None:
        """Draw the maps for `lights` of the frame that do not show this light and pose (`UploadedHead.poses`) yet.

        `coarse`, the skin alone: half of the triangles, and what lies inside of it hardly shades it.
        """
        self._context.enable(moderngl.DEPTH_TEST)
        self._context.depth_func = "<="
        for index, light in enumerate(lights):
            seen, (shown, skin_alone) = _seen_by(light, pose), self._maps_of[index]
            if shown != seen or (skin_alone and not coarse):
                self.maps[index].draw(head if light.shadow else None, index, coarse)
                self._maps_of[index] = seen, coarse

    def draw_thickness(self, head: HeadPass, lights: Sequence[LightSource], pose: int) -> None:
        """The same for the maps of where light enters."""
        if self._thickness is None:
            self._thickness = ThicknessMaps(self._context)
        self._context.enable(moderngl.DEPTH_TEST)
        self._context.depth_func = "<="
        for index, light in enumerate(lights):
            seen = _seen_by(light, pose)
            if self._thickness_of.get(index) != seen:
                self._thickness.draw(head if light.shadow else None, index)
                self._thickness_of[index] = seen

    def bind(self) -> None:
        """Put all on their texture units."""
        for index in range(MOST_LIGHTS):  # a sampler that is not looked at wants a texture of its kind all the same
            self.maps[min(index, len(self.maps) - 1)].texture.use(UNIT_SHADOW + index)
        if self._thickness is not None:
            self._thickness.texture.use(UNIT_THICKNESS)

    def release(self) -> None:
        """Give everything back to the driver."""
        give_back(*self.maps, self._thickness)
        self.maps, self._maps_of, self._thickness = [], [], None


def _seen_by(light: LightSource, pose: int) -> tuple[object, ...]:
    """What tells one map of `light` from another."""
    return light.kind, light.towards, light.position_m, light.shadow, pose


class ShadowMap:
    """Depth of the head as a light sees it, compared on look-up, or with `compared` False read as it is."""

    def __init__(self, context: moderngl.Context, size: int, compared: bool = True) -> None:
        self.size = size
        self.texture = context.depth_texture((size, size))
        filtering = moderngl.LINEAR if compared else moderngl.NEAREST
        self.texture.filter = filtering, filtering
        self.texture.compare_func = "<=" if compared else ""
        self.texture.repeat_x = self.texture.repeat_y = False
        self._target = context.framebuffer(depth_attachment=self.texture)

    def draw(self, head: HeadPass | None, light: int, skin_alone: bool = False) -> None:
        """Draw the map again, for light number `light` of the frame; without a head nothing is in shadow."""
        with drawing_into(self._target):
            self._target.clear(depth=1.0)
            if head is not None:
                head.draw_depth(light, skin_alone)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._target.release()
        self.texture.release()


class ThicknessMaps:
    """Where each light enters the head, as depth to be read as it is: an atlas, since texture units are few."""

    SIDE, TILES = 1024, (3, 2)
    """Texels of a light's square; squares across and up, as THICKNESS_TILES of shaders/lighting/transmission.glsl."""

    def __init__(self, context: moderngl.Context) -> None:
        self.texture = context.depth_texture((self.SIDE * self.TILES[0], self.SIDE * self.TILES[1]))
        self.texture.filter = moderngl.NEAREST, moderngl.NEAREST  # between a rim and the void nothing is to be had
        self.texture.compare_func = ""
        self.texture.repeat_x = self.texture.repeat_y = False
        self._target = context.framebuffer(depth_attachment=self.texture)

    def draw(self, head: HeadPass | None, light: int) -> None:
        """Draw the square of light number `light` of the frame again; without a head no light enters."""
        square = (light % self.TILES[0] * self.SIDE, light // self.TILES[0] * self.SIDE, self.SIDE, self.SIDE)
        with drawing_into(self._target):
            self._target.clear(depth=1.0, viewport=square)
            self._target.viewport = square
            if head is None:
                return
            self._target.ctx.enable(moderngl.CULL_FACE)  # what is seen from inside lets no light in
            self._target.ctx.cull_face = "back"
            head.draw_depth(light, hair=False)
            self._target.ctx.disable(moderngl.CULL_FACE)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._target.release()
        self.texture.release()


def shadow_map_size(softness_m: float, radius_m: float) -> int:
    """Side in texels whose 3 x 3 tent is about `softness_m` wide over a ball of `radius_m`: 64 to 2048, power of 2."""
    wanted = 2 * radius_m / max(softness_m / 2, 1e-6)
    size = 64
    while size < min(wanted, 2048) * 0.7071:
        size *= 2
    return size
