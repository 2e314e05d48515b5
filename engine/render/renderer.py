"""Renderer: a project onto a framebuffer. Window, screenshot and export all call this one.

It is a list of passes over a frame (`engine.render.targets`): each says which targets it reads and which it writes, and
for which shots it is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby

import moderngl
import numpy as np

from engine.channels import CHANNELS
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.project import Project
from engine.render import passes
from engine.render.camera import (
    Part4,
    clip_from_world,
    common_part,
    direction,
    eye_position,
    grown,
    part_of_picture,
    screen_box,
)
from engine.render.color_scale import color_scale
from engine.render.compose import Blend
from engine.render.context import is_software
from engine.render.environment import EnvironmentCache
from engine.render.frame import FRAME, KIND_ORDER, light_ends, pack_frame
from engine.render.sampling import EnvironmentSampler, FrameSample
from engine.render.scatter import Quality, ScatterPass, pixels_per_metre, reach_px
from engine.render.shadows import Shadows
from engine.render.sources import lamps_around, lights_of
from engine.render.stage import stage_key, stage_light, stage_radiance
from engine.render.tables import dfg_texture, ltc_texture, scatter_texture
from engine.render.targets import LIT, Frame, Pace, Pass, Piece, SampleMean, Shot, Target, strips
from engine.render.upload import MAP_MEMORY_BYTES
from engine.render.uploaded_head import UploadedHead
from engine.scene import Scene, ViewChannel, scene_with, staged


class Renderer:
    """Everything of ours on one context. Knows nothing of windows; the context must be current in every call."""

    def __init__(self, context: moderngl.Context, map_memory_bytes: int = MAP_MEMORY_BYTES) -> None:
        """Compile programs and build tables on `context` (OpenGL 4.1 core); GraphicsError where the driver refuses.

        Maps that would take more than `map_memory_bytes`, or a side more than the driver allows, are shown smaller.
        """
        self.context = context
        self.idle = context.simple_framebuffer((3, 3))
        """Bound while nothing is drawn, because the caller's target may be gone by the next call. No power of two a
        side: Mesa compiles for such textures anew, and `warm` is to have compiled what pictures need."""
        self.idle.use()
        context.disable(moderngl.BLEND | moderngl.CULL_FACE | moderngl.DEPTH_TEST)  # as tables are drawn
        context.wireframe = False
        self.by_pixel = is_software(context)
        """Skin is shaded a pixel at a time, not a triangle at a time: on a software driver, which alone has tables of
        vertices for it."""
        self.head = UploadedHead(context, map_memory_bytes)
        self.mean = SampleMean(context)
        self.frame = Frame(context)
        """Targets for callers who bring a framebuffer only."""
        self._shadows = Shadows(context, penumbra=not is_software(context))
        self._environments = EnvironmentCache(context)
        self._tables = {
            passes.UNIT_DFG: dfg_texture(context),
            passes.UNIT_SCATTER: scatter_texture(context),
            passes.UNIT_LTC: ltc_texture(context),
        }
        self._uniforms = context.buffer(reserve=FRAME.itemsize, dynamic=True)
        self._in_place: Shot | None = None
        """Whose uniforms are in the buffer."""
        self._blend: Blend | None = None
        self._backdrop = passes.BackdropPass(context)
        self._wall = passes.WallPass(context)
        self._converged = passes.ConvergedPass(context)
        self._scatter = ScatterPass(context)
        self.passes = self._passes()
        """In the order in which they are drawn."""

    def _passes(self) -> tuple[Pass, ...]:
        _, shadows, thickness, light, across, spread, picture = Target

        def scattered(shot: Shot) -> bool:
            return shot.in_floats and shot.scatters

        def combined(shot: Shot) -> bool:
            return shot.in_floats and not shot.layers

        def blur(axis: int) -> Callable[[Shot, Frame], None]:
            return lambda shot, frame: self._scatter.blur(frame.light, axis, _scale(shot), shot.quality)

        return (
            Pass("shadow maps", (), shadows, lambda shot: True, self._draw_shadows),
            Pass("thickness", (), thickness, scattered, self._draw_thickness),
            Pass("light", (shadows, thickness), light, lambda shot: shot.in_floats, self._draw_head, has_edges=True),
            Pass("blur across", (light,), across, scattered, blur(0)),
            Pass("blur up", (light, across), spread, scattered, blur(1)),
            Pass("backdrop", (), picture, lambda shot: shot.backdrop, lambda shot, frame: self._backdrop.draw()),
            Pass("wall", (), picture, lambda shot: shot.wall, self._draw_wall),
            Pass("head", (shadows,), picture, lambda shot: not shot.in_floats, self._draw_head, has_edges=True),
            Pass("light and albedo", (light, spread), picture, combined, self._combine),
            Pass("wires", (picture,), picture, lambda shot: shot.wires, self._draw_wires, has_edges=True),
        )

    @property
    def notice(self) -> str:
        """What the user should know about the head that was drawn last: that its maps are shown smaller."""
        return self.head.notice

    def draw(
        self,
        project: Project,
        target: moderngl.Framebuffer,
        size: tuple[int, int],
        *,
        transparent: bool = False,
        part: Part4 | None = None,
        quality: Quality = Quality.MOVING,
        sample: FrameSample | None = None,
        clip: Part4 | None = None,
        moving: bool = False,
        coarse: bool = False,
    ) -> None:
        """Draw `project` over the lower-left `size` (width, height) pixels of `target`, colours display-encoded.

        With `part`, only that rectangle (left, bottom, width, height) of such a picture, over the lower-left pixels.
        With a `quality` above MOVING light is spread inside the skin over as many samples a pixel as `target` has, and
        each pixel is brought to the display after their mean. With `sample`, linear light of one frame of a picture
        that converges, alpha associated, into a float target over nothing.
        With `clip`, a rectangle of the target, pixels outside of it stay as they are. `moving`: another picture follows
        soon, so maps are blended in the way that is quickest for one. `coarse`: with fewer, wider strands of hair,
        and shadows of the skin alone, for a software driver and a head that moves.
        The backdrop has alpha 1, or with `transparent` alpha 0 and no colour; the head has alpha 1. Sets all GL state
        it needs and leaves depth test, culling, blending and scissor off. FileFormatError for a broken light.
        """
        shot = replace(
            self._shot(project, size, part, sample),
            transparent=transparent or sample is not None,
            quality=quality,
            clip=clip,
            moving=moving,
            coarse=coarse,
        )
        self.frame.take(target)
        for _ in self._draw(shot, self.frame, None):
            pass

    def draw_in_pieces(
        self,
        project: Project,
        target: moderngl.Framebuffer,
        size: tuple[int, int],
        frame: Frame,
        pace: Pace,
        *,
        quality: Quality = Quality.STILL,
        clip: Part4 | None = None,
    ) -> Iterator[Piece]:
        """As `draw`, a piece each time it is asked for the next, none with more pixels than `pace` says.

        `target` holds floats where `frame` is jittered, and is whole after the last piece. Nothing else may be drawn
        by this renderer before that, or the rest is not.
        """
        frame.take(target)
        return self._draw(replace(self._shot(project, size), quality=quality, clip=clip), frame, pace)

    def layers(self, project: Project, size: tuple[int, int], part: Part4) -> list[np.ndarray]:
        """What head.frag writes with LAYERS, (height, width, 4) float32 each, row 0 on top, light spread in the skin.

        Of the rectangle `part` (left, bottom, width, height) of a picture of `size`, over nothing; the scene's exposure
        is left out. Errors and state as `draw`.
        """
        shown = replace(project, scene=scene_with(project.scene, channel=ViewChannel.SHADED))
        shot = replace(self._shot(shown, size, part), quality=Quality.FULL, layers=True)
        for _ in self._draw(shot, self.frame, None):
            pass
        left, bottom, *_ = self._around(shot).part
        corner, light = (part[0] - left, part[1] - bottom), self.frame.light
        pixels = []
        for attachment in range(len(light.textures)):
            read = light.whole.read((*corner, *part[2:]), components=4, attachment=attachment, dtype="f4")
            pixels.append(np.frombuffer(read, np.float32).reshape(part[3], part[2], 4)[::-1])
        return pixels

    def warm(self, project: Project, quality: Quality = Quality.MOVING) -> Iterator[Piece]:
        """Compile, a piece at a time, what turning `project` and dragging its sliders in `quality` need, so that no
        hand waits: a Mesa driver compiles a program once for each kind of texture it reads."""
        offsets_m, change = np.zeros_like(project.identity.positions_m), np.zeros((4, 4, CHANNELS), np.float16)
        pair = tuple(Expression(name, offsets_m, ReflectanceChange(change)) for name in "ab")
        two = ExpressionSet(project.expressions.identity_hash, pair)
        # maps at rest, a change, a sum, a change beside a sum
        for weights in ({}, {"a": 0.5}, {"a": 0.5, "b": 0.5}, {"a": 0.6, "b": 0.5}):
            shown = replace(project, expressions=two, weights=weights)
            self.draw(shown, self.idle, self.idle.size, quality=quality, moving=True)
            yield Piece(Target.PICTURE, 0)

    def sampler(self, scene: Scene) -> EnvironmentSampler:
        """What `frame_sample` draws the environment of `scene` from; FileFormatError for a broken light."""
        if scene.stage.enabled:
            return self._environments.picture_sampler(lambda: stage_radiance(scene), stage_key(scene))
        return self._environments.sampler(scene.environment.name)

    def show(
        self,
        project: Project,
        target: moderngl.Framebuffer,
        size: tuple[int, int],
        frames: tuple[moderngl.Texture, int],
        *,
        presence: float = 1.0,
        transparent: bool = False,
        part: Part4 | None = None,
    ) -> None:
        """Draw the mean of `frames`, a sum of linear light in float texels and how many it is of, as `draw` would.

        With `presence` below 1 it is blended over what `target` holds.
        """
        shot, context = replace(self._shot(project, size, part), transparent=transparent), self.context
        self._put_in_place(shot)
        self.frame.take(target)
        self.frame.open(Target.PICTURE, replace(shot, kept=presence < 1.0), None)
        if presence >= 1.0 and shot.backdrop:
            self._backdrop.draw()
        if presence >= 1.0 and shot.wall:
            self._draw_wall(shot, self.frame)
        if not transparent:
            context.enable(moderngl.BLEND)
            over = moderngl.ONE_MINUS_SRC_ALPHA
            context.blend_func = moderngl.SRC_ALPHA, over, moderngl.ONE, over  # pyright: ignore[reportAttributeAccessIssue]
        self._converged.draw(*frames, presence)
        context.disable(moderngl.BLEND)

    def _shot(
        self, project: Project, size: tuple[int, int], part: Part4 | None = None, sample: FrameSample | None = None
    ) -> Shot:
        """`project` under its light, or under that of `sample`."""
        scene = project.scene
        if scene.stage.enabled:
            lamps = stage_light(scene)
            environment = self._environments.picture(lamps.radiance, stage_key(scene))._replace(suns=lamps.lights)
            project = replace(project, scene=staged(scene))
        else:
            environment = self._environments.light(scene.environment.name, scene.environment.suns)
        around = lamps_around(project.identity)
        lights = lights_of(project.scene, environment.suns, *around) if sample is None else sample.lights
        ordered = sorted(lights, key=lambda one: KIND_ORDER[one.kind])
        shift_px = (0.0, 0.0) if sample is None else sample.shift_px
        return Shot(project, size, part or (0, 0, *size), environment, ordered, sample=sample, shift_px=shift_px)

    def _draw(self, shot: Shot, frame: Frame, pace: Pace | None) -> Iterator[Piece]:
        """Draw all passes that `shot` wants, at once or piece by piece."""
        if pace is not None:
            yield from self.head.take_in_pieces(shot.project, shot.coarse)
        self._take(shot)
        if pace is not None:
            yield Piece(Target.SHADOWS, 0)
            yield from self.head.compose_in_pieces(shot.project, pace)
        around = self._around(shot)
        if shot.in_floats:
            frame.take_light(around.part[2:], shot.layers)
        wanted = (one for one in self.passes if one.wanted(shot))
        for target, together in groupby(wanted, key=lambda one: one.writes):
            seen = shot if target is Target.PICTURE else around
            yield from self._draw_together(target, list(together), seen, frame, pace)
        self.idle.use()

    def _draw_together(
        self, target: Target, together: list[Pass], shot: Shot, frame: Frame, pace: Pace | None
    ) -> Iterator[Piece]:
        """Draw passes that write one target, strip by strip, as often as a pixel has samples."""
        jittered = frame.jittered and any(one.has_edges for one in together)
        frame.clear(target)
        for number, shift_px in enumerate(frame.jitter if jittered else (shot.shift_px,)):
            seen = replace(shot, shift_px=shift_px) if jittered else shot
            for strip in _strips(target, seen, pace):
                self._put_in_place(seen)
                drawn = frame.open(target, seen, strip, jittered)
                for one in together:
                    one.draw(seen, frame)
                if drawn is not None:
                    drawn.scissor = None  # pyright: ignore[reportAttributeAccessIssue]  (the stub forgets that None means off)
                if jittered:
                    frame.add(self.mean, target, number, strip)
                if pace is not None:
                    yield Piece(target, 0 if strip is None else strip[2] * strip[3])
        if target is Target.LIGHT:
            frame.light.resolve()

    def _around(self, shot: Shot) -> Shot:
        """`shot` of as much more than its part as light comes from, so that parts fit together without a seam; clipped
        to where the head is."""
        if not (shot.in_floats and shot.scatters):
            return shot
        camera, (centre, radius_m) = shot.scene.view.camera, self.head.ball
        nearest_m = float((eye_position(camera) - centre) @ direction(camera.yaw_rad, camera.pitch_rad)) - radius_m
        reach = reach_px(_scale(shot), nearest_m)
        part = grown(shot.part, reach, shot.size)
        clip = part_of_picture(shot.size, part) @ clip_from_world(camera, shot.size, centre, radius_m)
        box = screen_box(clip, self.head.box_m, part[2:])
        if shot.clip is not None:
            left, bottom, width, height = shot.clip
            left, bottom = left + shot.part[0] - part[0], bottom + shot.part[1] - part[1]
            box = common_part(box, grown((left, bottom, width, height), reach, part[2:]))
        return replace(shot, part=part, clip=box)

    def _take(self, shot: Shot) -> None:
        """Upload the head of `shot`, as far as it is new."""
        self.idle.use()
        self.context.disable(moderngl.BLEND | moderngl.CULL_FACE)
        self.context.wireframe = False
        self.head.take(shot.project, shot.coarse)
        self._shadows.fit(shot.lights, self.head.ball[1])

    def _put_in_place(self, shot: Shot) -> None:
        """Bind uniforms and textures of `shot`, uploaded as far as they are new."""
        self._take(shot)
        if self._blend is None or self._in_place is not shot:
            self._blend, self._in_place = self.head.blend(shot.project, shot.moving), shot
            self._uniforms.write(self._pack(shot).tobytes())
            self.head.light(shot.environment, shot.scene.environment.rotation_rad)
        self._uniforms.bind_to_uniform_block(0)
        self.head.bind(self._blend)
        shot.environment.atlas.use(passes.UNIT_ENVIRONMENT)
        for unit, table in self._tables.items():
            table.use(unit)
        self._shadows.bind()

    def _pack(self, shot: Shot) -> np.ndarray:
        shadowed = [(light, shadow.size) for light, shadow in zip(shot.lights, self._shadows.maps, strict=False)]
        scale = color_scale(shot.project)
        ends = (scale.low, scale.high) if scale else (0.0, 1.0)
        seen, size = (shot.scene, shot.project.identity), shot.size
        return pack_frame(*seen, size, self.head.ball, shadowed, shot.backdrop, shot.part, shot.shift_px, ends)

    # Passes

    def _draw_shadows(self, shot: Shot, frame: Frame) -> None:
        self._shadows.draw(self.head.parts, shot.lights, self.head.poses, shot.coarse)

    def _draw_thickness(self, shot: Shot, frame: Frame) -> None:
        self._shadows.draw_thickness(self.head.parts, shot.lights, self.head.poses)
        self._shadows.bind()

    def _draw_wall(self, shot: Shot, frame: Frame) -> None:
        self._wall.draw(shot.scene.background_srgb, shot.size, shot.part)

    def _draw_head(self, shot: Shot, frame: Frame) -> None:
        """The head into what is bound."""
        scene, target = shot.scene, self.context.fbo
        assert self._blend is not None
        assert target is not None
        uses = {"PASSES": shot.in_floats, "LAYERS": shot.layers, "SAMPLE": shot.sample is not None}
        tone = (
            () if shot.in_floats else (f"TONE TONE_{scene.tone_curve.name}",)
        )  # floats are brought to the display later
        by_pixel = self.by_pixel and scene.view.channel in LIT and not scene.view.uv_view
        manner = passes.Manner(
            scene,
            tuple(name for name, on in uses.items() if on),
            passes.lamp_defines(shot.lights, self._shadows.penumbra),
            [weight for _, weight in self._blend.layers],
            frame.numbers_for(target) if by_pixel else None,
            shot.coarse,
            (f"LIGHTS ivec3{light_ends(shot.lights)}", *tone),
        )
        with self._depth_test():
            (self.head.parts.draw_flat if scene.view.uv_view else self.head.parts.draw)(manner)

    def _combine(self, shot: Shot, frame: Frame) -> None:
        around, light = self._around(shot).part, frame.light
        corner = shot.part[0] - around[0], shot.part[1] - around[1]
        scattered, reflected, albedo = light.textures
        self._scatter.combine(scattered, reflected, albedo, light.depth, corner, linear=shot.sample is not None)

    def _draw_wires(self, shot: Shot, frame: Frame) -> None:
        with self._depth_test():
            self.head.parts.draw_wires(shot.scene.view.uv_view)

    @contextmanager
    def _depth_test(self) -> Iterator[None]:
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.depth_func = "<="
        yield
        self.context.disable(moderngl.DEPTH_TEST)

    def release(self) -> None:
        """Give everything back to the driver; the context must be current. The renderer cannot be used afterwards."""
        drawing = self._backdrop, self._wall, self._converged, self._scatter, self.mean
        for owned in (self.head, self._shadows, self._environments, self.frame, *drawing):
            owned.release()
        for owned in (*self._tables.values(), self._uniforms, self.idle):
            owned.release()


def _strips(target: Target, shot: Shot, pace: Pace | None) -> Iterable[Part4 | None]:
    """The rectangles in which `target` is drawn; None for all of it."""
    if target in (Target.SHADOWS, Target.THICKNESS):
        return (None,)
    if pace is None:
        return (shot.clip,)
    return strips(shot.clip or (0, 0, *shot.part[2:]), lambda: pace.pixels(target))


def _scale(shot: Shot) -> float:
    return pixels_per_metre(shot.scene.view.camera, shot.size)
