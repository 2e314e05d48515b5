"""Live blending of the four maps on the GPU; the same sums as `engine.composer.compose_maps`."""

from __future__ import annotations

from collections.abc import Mapping

import moderngl

from engine.expression import LOG_FLOOR, ExpressionSet, ReflectanceChange
from engine.identity import ReflectanceMaps
from engine.render.context import drawing_into
from engine.render.shaders import program, set_uniforms
from engine.render.upload import ChangeTextures, MapTextures

Active = tuple[tuple[ReflectanceChange, float], ...]
_SUM_FORMATS = ((4, "f4"), (4, "f4"), (2, "f4"))
_SPARE = 4
"""Changes kept on the GPU after their slider went to zero."""


class MapComposer:
    """Neutral maps plus weighted changes, composed when a weight or an object is a new one, else kept.

    Changes are summed first, at their own size when they share one (blending is linear, so bilinear sampling of the sum
    is the sum of the samples), else at the size of the neutral maps. One full-size pass then applies the sum.
    """

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._sum = program(context, "fullscreen.vert", "compose_sum.frag")
        self._apply = program(context, "fullscreen.vert", "compose_maps.frag")
        self._arrays = [context.vertex_array(each, []) for each in (self._sum, self._apply)]
        set_uniforms(self._sum, t_log_diffuse=0, t_log_specular=1, t_slope=2)
        set_uniforms(self._apply, t_neutral_diffuse=0, t_neutral_specular=1, t_neutral_slope=2)
        set_uniforms(self._apply, t_log_diffuse=3, t_log_specular=4, t_slope=5, u_log_floor=LOG_FLOOR)
        self._maps: ReflectanceMaps | None = None
        self._neutral: MapTextures | None = None
        self._composed: MapTextures | None = None
        self._composed_target: moderngl.Framebuffer | None = None
        self._composed_of: Active | None = None
        self._sum_target: moderngl.Framebuffer | None = None
        self._sum_textures: list[moderngl.Texture] = []
        # By id, with the change kept alive beside its textures, so that its id cannot come back as another object's.
        self._changes: dict[int, tuple[ReflectanceChange, ChangeTextures]] = {}

    def compose(self, maps: ReflectanceMaps, expressions: ExpressionSet, weights: Mapping[str, float]) -> MapTextures:
        """Textures of `maps` under the non-zero `weights`; valid until the next call."""
        if maps is not self._maps:
            self._take_neutral(maps)
        assert self._neutral is not None
        active = tuple((expressions[name].change, weight) for name, weight in weights.items() if weight != 0.0)
        if not active:
            return self._neutral
        composed = self._composed_textures()
        if not self._is_composed(active):
            self._draw(active)
            composed.build_mipmaps()
            self._composed_of = active
            self._evict(active)
        return composed

    @property
    def neutral(self) -> MapTextures:
        """Textures of the neutral maps of the last `compose`."""
        assert self._neutral is not None
        return self._neutral

    def _is_composed(self, active: Active) -> bool:
        known = self._composed_of
        return (
            known is not None
            and len(known) == len(active)
            and all(a[0] is b[0] and a[1] == b[1] for a, b in zip(known, active, strict=True))
        )

    def _take_neutral(self, maps: ReflectanceMaps) -> None:
        same_size = self._neutral is not None and self._neutral.size == maps.size
        if not same_size:
            self._release_maps()
            self._neutral = MapTextures(self._context, maps.size)
        assert self._neutral is not None
        self._neutral.write(maps)
        self._maps, self._composed_of = maps, None

    def _composed_textures(self) -> MapTextures:
        assert self._neutral is not None
        if self._composed is None:
            self._composed = MapTextures(self._context, self._neutral.size)
            self._composed_target = self._context.framebuffer(self._composed.textures)
        return self._composed

    def _draw(self, active: Active) -> None:
        context = self._context
        assert self._neutral is not None
        assert self._composed_target is not None
        context.disable(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        total = self._summing_target(active)
        with drawing_into(total):
            total.clear()
            context.enable(moderngl.BLEND)
            context.blend_func = moderngl.ONE, moderngl.ONE
            for change, weight in active:
                self._textures_of(change).use(0)
                set_uniforms(self._sum, u_weight=weight)
                self._arrays[0].render(moderngl.TRIANGLES, 3)
            context.disable(moderngl.BLEND)
        with drawing_into(self._composed_target):
            self._neutral.use(0)
            for unit, texture in enumerate(self._sum_textures):
                texture.use(3 + unit)
            self._arrays[1].render(moderngl.TRIANGLES, 3)

    def _summing_target(self, active: Active) -> moderngl.Framebuffer:
        assert self._neutral is not None
        sizes = {change.size for change, _ in active}
        height, width = sizes.pop() if len(sizes) == 1 else self._neutral.size
        if self._sum_target is None or self._sum_target.size != (width, height):
            self._release_sum()
            textures = [self._context.texture((width, height), parts, dtype=dtype) for parts, dtype in _SUM_FORMATS]
            for texture in textures:
                texture.filter = moderngl.LINEAR, moderngl.LINEAR
                texture.repeat_x = texture.repeat_y = False
            self._sum_target, self._sum_textures = self._context.framebuffer(textures), textures
        return self._sum_target

    def _textures_of(self, change: ReflectanceChange) -> ChangeTextures:
        if id(change) not in self._changes:
            self._changes[id(change)] = change, ChangeTextures(self._context, change)
        self._changes[id(change)] = self._changes.pop(id(change))  # last used comes last
        return self._changes[id(change)][1]

    def _evict(self, active: Active) -> None:
        while len(self._changes) > len(active) + _SPARE:
            self._changes.pop(next(iter(self._changes)))[1].release()

    def _release_maps(self) -> None:
        for made in (self._neutral, self._composed, self._composed_target):
            if made is not None:
                made.release()
        self._neutral = self._composed = self._composed_target = None

    def _release_sum(self) -> None:
        if self._sum_target is not None:
            for made in (self._sum_target, *self._sum_textures):
                made.release()
            self._sum_target, self._sum_textures = None, []

    def release(self) -> None:
        """Give everything back to the driver; the context must be current."""
        self._release_maps()
        self._release_sum()
        for _, textures in self._changes.values():
            textures.release()
        self._changes.clear()
        for made in (*self._arrays, self._sum, self._apply):
            made.release()
