"""Renderer: a project onto a framebuffer. Window, screenshot and export all call this one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import moderngl
import numpy as np

from engine.composer import compose_positions, left_texels
from engine.identity import Identity, ReflectanceMaps
from engine.mesh import Part
from engine.project import Project
from engine.render import passes
from engine.render.camera import (
    Part4,
    bounds,
    clip_from_world,
    direction,
    eye_position,
    grown,
    part_of_picture,
    screen_box,
)
from engine.render.color_scale import color_scale
from engine.render.compose import Blend, MapComposer
from engine.render.context import is_software
from engine.render.environment import EnvironmentCache, EnvironmentLight
from engine.render.frame import FRAME, KIND_ORDER, light_ends, pack_frame
from engine.render.occlusion import Visibility, bake_visibility
from engine.render.sampling import EnvironmentSampler, FrameSample
from engine.render.scatter import LightTargets, Quality, ScatterPass, pixels_per_metre, reach_px
from engine.render.sources import MOST_LIGHTS, LightSource, lamps_around, lights_of
from engine.render.stage import stage_key, stage_light, stage_radiance
from engine.render.tables import dfg_texture, ltc_texture, scatter_texture
from engine.render.triangles import TriangleNumbers
from engine.render.upload import MAP_MEMORY_BYTES, MeshBuffers, byte_texture, fitted, split_mesh
from engine.scene import Scene, ViewChannel, scene_with, staged
from engine.sides import Weight

LOG = logging.getLogger(__name__)

_READ_MAP_SIZE = 1024
"""Side in texels of a shadow map that is read for penumbras."""


class Renderer:
    """Everything of ours on one context. Knows nothing of windows; the context must be current in every call.

    What is uploaded follows the objects in the project: a new object is uploaded, the same object never twice.
    """

    def __init__(self, context: moderngl.Context, map_memory_bytes: int = MAP_MEMORY_BYTES) -> None:
        """Compile programs and build tables on `context` (OpenGL 4.1 core); GraphicsError where the driver refuses.

        Maps that would take more than `map_memory_bytes`, or a side more than the driver allows, are shown smaller.
        """
        self.context = context
        self.notice = ""
        """What the user should know about the head that was drawn last: that its maps are shown smaller."""
        self._map_limits = context.info["GL_MAX_TEXTURE_SIZE"], map_memory_bytes
        self.idle = context.simple_framebuffer((1, 1))
        """Bound while nothing is drawn, because the caller's target may be gone by the next call."""
        self.idle.use()
        context.disable(moderngl.BLEND | moderngl.CULL_FACE | moderngl.DEPTH_TEST)  # as tables are drawn
        context.wireframe = False
        self._head = passes.HeadPass(context)
        self._backdrop = passes.BackdropPass(context)
        self._converged = passes.ConvergedPass(context)
        self._composer = MapComposer(context)
        self._environments = EnvironmentCache(context)
        self._dfg = dfg_texture(context)
        self._scatter = scatter_texture(context)
        self._ltc = ltc_texture(context)
        self._frame = context.buffer(reserve=FRAME.itemsize, dynamic=True)
        self._identity: Identity | None = None
        self.by_pixel = is_software(context)
        """Skin is shaded a pixel at a time, not a triangle at a time: on a software driver, which alone has tables of
        vertices for it."""
        self._penumbra = not is_software(context)
        """Shadows grow softer with distance: about fifty look-ups a light, for a GPU."""
        self._maps: ReflectanceMaps | None = None
        self._mesh: MeshBuffers | None = None
        self._eye: moderngl.Texture | None = None
        self._posed: list[tuple[object, Weight]] = []
        self._ball: tuple[np.ndarray, float] = (np.zeros(3), 1.0)
        self._shadows: list[passes.ShadowMap] = []
        self._shadows_of: list[tuple[object, ...] | None] = []
        self._box = np.zeros((2, 3))
        self._outside: tuple[np.ndarray, Visibility] | None = None
        """Vertices that see the sky, and what of it."""
        self._reach_of: tuple[np.ndarray, float] | None = None
        """Environment and rotation that the vertices are lit by."""
        self._thickness: passes.ThicknessMaps | None = None
        self._thickness_of: dict[int, tuple[object, ...]] = {}
        self._scatter_pass = ScatterPass(context)
        self._numbers: TriangleNumbers | None = None
        self._light: tuple[tuple[tuple[int, int], int, bool], LightTargets] | None = None

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
    ) -> None:
        """Draw `project` over the lower-left `size` (width, height) pixels of `target`, colours display-encoded.

        With `part`, only that rectangle (left, bottom, width, height) of such a picture, over the lower-left pixels.
        With a `quality` above MOVING light is spread inside the skin over as many samples a pixel as `target` has, and
        each pixel is brought to the display after their mean. With `sample`, linear light of one frame of a picture
        that converges, alpha associated, into a float target over nothing.
        With `clip`, a rectangle of the target, pixels outside of it stay as they are. `moving`: another picture follows
        soon, so maps are blended in the way that is quickest for one.
        The backdrop has alpha 1, or with `transparent` alpha 0 and no colour; the head has alpha 1. Sets all GL state
        it needs and leaves depth test, culling, blending and scissor off. FileFormatError for a broken light.
        """
        environment = self._light_of(project.scene)
        project = _lit(project)
        scene, part = project.scene, part or (0, 0, *size)
        lights = _in_order(_lights(project, environment.suns) if sample is None else sample.lights)
        transparent = transparent or sample is not None
        spread: tuple[LightTargets, tuple[int, int]] | None = None
        if quality is not Quality.MOVING and _spreads(scene) and scene.view.channel in passes.SPREAD:
            samples = target.samples
            lit = environment, lights
            spread = self._draw_light(project, lit, size, part, quality, sample, samples=samples, moving=moving)
        blend = self._begin(project, target, size, lights, transparent, part, sample, clip=clip, moving=moving)
        self._bind(blend, scene, environment)
        self._draw_backdrop(scene, transparent)
        if spread is None:
            use = () if sample is None else ("SAMPLE",)
            self._draw_head(scene, lights, use, blend, target)
        else:
            light, corner = spread
            scattered, reflected, albedo = light.textures
            self._scatter_pass.combine(scattered, reflected, albedo, light.depth, corner, linear=sample is not None)
        if scene.view.wireframe and sample is None:
            self.context.enable(moderngl.DEPTH_TEST)
            self.context.depth_func = "<="
            self._head.draw_wires(scene.view.uv_view)
            self.context.disable(moderngl.DEPTH_TEST)
        target.scissor = None  # pyright: ignore[reportAttributeAccessIssue]

    def layers(self, project: Project, size: tuple[int, int], part: Part4) -> list[np.ndarray]:
        """What head.frag writes with LAYERS, (height, width, 4) float32 each, row 0 on top, light spread in the skin.

        Of the rectangle `part` (left, bottom, width, height) of a picture of `size`, over nothing; the scene's exposure
        is left out. Errors and state as `draw`.
        """
        environment = self._light_of(project.scene)
        project = _lit(project)
        scene = scene_with(project.scene, channel=ViewChannel.SHADED)
        lit = environment, _in_order(_lights(project, environment.suns))
        light, corner = self._draw_light(replace(project, scene=scene), lit, size, part, Quality.FULL, layers=True)
        found = []
        for attachment in range(len(light.textures)):
            read = light.whole.read((*corner, *part[2:]), components=4, attachment=attachment, dtype="f4")
            found.append(np.frombuffer(read, np.float32).reshape(part[3], part[2], 4)[::-1])
        return found

    def warm(self, project: Project, quality: Quality = Quality.MOVING) -> None:
        """Compile what dragging a slider of `project` in `quality` needs and upload its first two changes, so that no
        drag waits."""
        names = project.expressions.names[:2]
        for weight in (0.5, 0.6) if names else ():
            weights = dict.fromkeys(names, 0.5) | {names[0]: weight}
            self.draw(replace(project, weights=weights), self.idle, (1, 1), quality=quality, moving=True)

    def sampler(self, scene: Scene) -> EnvironmentSampler:
        """What `frame_sample` draws the environment of `scene` from; FileFormatError for a broken light."""
        if scene.stage.enabled:
            return self._environments.picture_sampler(lambda: stage_radiance(scene), stage_key(scene))
        return self._environments.sampler(scene.environment.name)

    def _light_of(self, scene: Scene) -> EnvironmentLight:
        if not scene.stage.enabled:
            return self._environments.light(scene.environment.name, scene.environment.suns)
        lamps = stage_light(scene)
        return self._environments.picture(lamps.radiance, stage_key(scene))._replace(suns=lamps.lights)

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
        environment = self._light_of(project.scene)
        project = _lit(project)
        scene, context = project.scene, self.context
        keep = target if presence < 1.0 else None
        lights = _in_order(_lights(project, environment.suns))
        blend = self._begin(project, target, size, lights, transparent, part, kept=keep)
        self._bind(blend, scene, environment)
        if keep is None:
            self._draw_backdrop(scene, transparent)
        if not transparent:
            context.enable(moderngl.BLEND)
            over = moderngl.ONE_MINUS_SRC_ALPHA
            context.blend_func = moderngl.SRC_ALPHA, over, moderngl.ONE, over  # pyright: ignore[reportAttributeAccessIssue]
        self._converged.draw(*frames, presence)
        context.disable(moderngl.BLEND)

    def _begin(
        self,
        project: Project,
        target: moderngl.Framebuffer,
        size: tuple[int, int],
        lights: Sequence[LightSource],
        transparent: bool,
        part: Part4 | None,
        sample: FrameSample | None = None,
        kept: moderngl.Framebuffer | None = None,
        clip: Part4 | None = None,
        moving: bool = False,
    ) -> Blend:
        """Upload what is new, draw shadows, fill the frame block, bind and clear `target` (unless it is `kept`)."""
        scene = project.scene
        blend = self._prepare(project, size, lights, _has_backdrop(scene, transparent), part, sample, moving)
        target.use()
        target.viewport = (0, 0, *(size if part is None else part[2:]))
        target.scissor = clip  # pyright: ignore[reportAttributeAccessIssue]  (the stub forgets that None means off)
        if kept is None:
            background = (0.0, 0.0, 0.0, 0.0) if transparent else (*scene.background_srgb, 1.0)
            target.clear(*background, depth=1.0)
        return blend

    def _prepare(
        self,
        project: Project,
        size: tuple[int, int],
        lights: Sequence[LightSource],
        backdrop: bool,
        part: Part4 | None,
        sample: FrameSample | None,
        moving: bool = False,
    ) -> Blend:
        """Upload what is new, draw shadows and fill the frame block."""
        self.idle.use()
        self.context.disable(moderngl.BLEND | moderngl.CULL_FACE)
        self.context.wireframe = False
        self._take_pose(project, self._take_identity(project.identity))
        assert self._maps is not None
        active = project.active()
        left = left_texels(project.identity, active)
        blend = self._composer.blend(self._maps, project.expressions, active, left, moving=moving)
        self._fit_shadows(lights)
        shadowed = [(light, shadow.size) for light, shadow in zip(lights, self._shadows, strict=False)]
        shift = (0.0, 0.0) if sample is None else sample.shift_px
        scale = color_scale(project)
        ends = (scale.low, scale.high) if scale else (0.0, 1.0)
        frame = pack_frame(project.scene, project.identity, size, self._ball, shadowed, backdrop, part, shift, ends)
        self._frame.write(frame.tobytes())
        self._frame.bind_to_uniform_block(0)
        self._draw_shadows(lights)
        return blend

    def _draw_light(
        self,
        project: Project,
        lit: tuple[EnvironmentLight, Sequence[LightSource]],
        size: tuple[int, int],
        part: Part4,
        quality: Quality,
        sample: FrameSample | None = None,
        *,
        samples: int = 0,
        layers: bool = False,
        moving: bool = False,
    ) -> tuple[LightTargets, tuple[int, int]]:
        """Light of environment and lamps (`lit`) in float targets, spread inside the skin, and which of their texels is
        the first of `part`.

        They reach as far beyond `part` as light comes from, so that parts fit together without a seam.
        """
        scene, (environment, lights) = project.scene, lit
        self._take_pose(project, self._take_identity(project.identity))
        scale = pixels_per_metre(scene.view.camera, size)
        centre, radius = self._ball
        camera = scene.view.camera
        nearest = float((eye_position(camera) - centre) @ direction(camera.yaw_rad, camera.pitch_rad))
        outer = grown(part, reach_px(scale, nearest - radius) if _spreads(scene) else 0, size)
        blend = self._prepare(project, size, lights, False, outer, sample, moving)
        if _spreads(scene):
            self._draw_thickness(lights)
        light = self._light_targets(outer[2:], samples, layers)
        light.drawn.use()
        light.drawn.clear(depth=1.0)
        self._bind(blend, scene, environment)
        use = ("PASSES", *(("LAYERS",) if layers else ()), *(("SAMPLE",) if sample is not None else ()))
        self._draw_head(scene, lights, use, blend, light.drawn)
        light.resolve()
        if _spreads(scene):
            clip = part_of_picture(size, outer) @ clip_from_world(scene.view.camera, size, centre, radius)
            self._scatter_pass.spread(light, screen_box(clip, self._box, outer[2:]), scale, quality)
        return light, (part[0] - outer[0], part[1] - outer[1])

    def _light_targets(self, size: tuple[int, int], samples: int, layers: bool) -> LightTargets:
        """Kept until another size is wanted."""
        key = size, samples, layers
        if self._light is None or self._light[0] != key:
            if self._light is not None:
                self._light[1].release()
                self._light = None
            count, dtype = (passes.LAYER_COUNT, "f4") if layers else (passes.LIGHT_COUNT, "f2")
            self._light = key, LightTargets(self.context, size, samples, count, dtype)
        return self._light[1]

    def _numbers_for(self, scene: Scene, target: moderngl.Framebuffer) -> TriangleNumbers | None:
        """What skin is shaded by a pixel at a time in `target`; None where that is not done. Kept for one target."""
        depth = target.depth_attachment
        lit = scene.view.channel in passes.LIT and not scene.view.uv_view
        if not (self.by_pixel and lit) or depth is None or target.samples:
            return None
        if self._numbers is None or self._numbers.depth is not depth:
            if self._numbers is not None:
                self._numbers.release()
            self._numbers = TriangleNumbers(self.context, depth)
            target.use()
        return self._numbers

    def _draw_backdrop(self, scene: Scene, transparent: bool) -> None:
        if _has_backdrop(scene, transparent):
            self.context.disable(moderngl.DEPTH_TEST)
            self._backdrop.draw()

    def _draw_head(
        self,
        scene: Scene,
        lights: Sequence[LightSource],
        use: tuple[str, ...],
        blend: Blend,
        target: moderngl.Framebuffer,
    ) -> None:
        """The head into `target`, which is bound."""
        lamps = passes.lamp_defines(lights, self._penumbra)
        fixed = f"TONE TONE_{scene.tone_curve.name}", f"LIGHTS ivec3{light_ends(lights)}"
        weights = [weight for _, weight in blend.layers]
        manner = passes.Manner(scene, use, lamps, weights, self._numbers_for(scene, target), fixed)
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.depth_func = "<="
        (self._head.draw_flat if scene.view.uv_view else self._head.draw)(manner)
        self.context.disable(moderngl.DEPTH_TEST)

    def _bind(self, blend: Blend, scene: Scene, light: EnvironmentLight) -> None:
        self._light_vertices(light, scene.environment.rotation_rad)
        assert self._eye is not None
        blend.maps.use(passes.UNIT_MAPS)
        for unit, (texture, _) in enumerate(blend.layers, start=passes.UNIT_CHANGE):
            texture.use(unit)
        self._composer.neutral.use(passes.UNIT_NEUTRAL)
        self._eye.use(passes.UNIT_EYE)
        light.atlas.use(passes.UNIT_ENVIRONMENT)
        self._dfg.use(passes.UNIT_DFG)
        self._scatter.use(passes.UNIT_SCATTER)
        self._ltc.use(passes.UNIT_LTC)
        for index in range(MOST_LIGHTS):  # a sampler that is not looked at wants a texture of its kind all the same
            self._shadows[min(index, len(self._shadows) - 1)].texture.use(passes.UNIT_SHADOW + index)
        if self._thickness is not None:
            self._thickness.texture.use(passes.UNIT_THICKNESS)

    def _take_identity(self, identity: Identity) -> MeshBuffers:
        if self._mesh is not None and identity is self._identity:
            return self._mesh
        known = self._mesh.split if self._mesh and self._identity else None
        same = known is not None and self._identity is not None and identity.topology is self._identity.topology
        split = known if known is not None and same else split_mesh(identity.topology)
        self._release_identity()
        self._mesh = MeshBuffers(self.context, identity, split)
        self._eye = byte_texture(self.context, identity.eye_srgb)
        self._head.take(self._mesh)
        self._take_maps(identity.maps)
        self._identity, self._posed = identity, []
        self._forget_shadows()
        self._measure(identity.positions_m[split.vertex])
        self._shade_outside(identity, self._mesh)
        return self._mesh

    def _take_maps(self, maps: ReflectanceMaps) -> None:
        self._maps, self.notice = fitted(maps, *self._map_limits), ""
        if self._maps is not maps:
            (tall, wide), (height, width) = maps.size, self._maps.size
            self.notice = f"maps of {wide} x {tall} are shown at {width} x {height}; exports keep their size"
            LOG.info("%s", self.notice)

    def _shade_outside(self, identity: Identity, mesh: MeshBuffers) -> None:
        """Darken what sees little of the sky; the mesh is in its neutral pose."""
        context = self.context
        context.depth_func = "<="
        normals = identity.topology.vertex_normals(identity.positions_m)
        self._outside = self._reach_of = None
        outside = mesh.vertices_of(Part.SKIN, Part.EYE_LEFT, Part.EYE_RIGHT)
        if not len(outside):
            return
        vertices = mesh.split.vertex[outside]
        points = identity.positions_m[vertices], normals[vertices]
        seen = bake_visibility(context, self._head, identity, points, self._ball)
        mesh.shade(outside, seen.ambient, seen.sky)
        self._outside = outside, seen

    def _light_vertices(self, light: EnvironmentLight, rotation_rad: float) -> None:
        """Work out anew how much of the environment gets to each vertex, where it or its rotation is another."""
        known = self._reach_of
        if self._outside is None or (known and known[0] is light.coarse and known[1] == rotation_rad):
            return
        assert self._mesh is not None
        outside, seen = self._outside
        self._mesh.light(outside, seen.reach(light.coarse, rotation_rad))
        self._reach_of = light.coarse, rotation_rad

    def _take_pose(self, project: Project, mesh: MeshBuffers) -> None:
        """Morph on the CPU when an active expression or its weight is a new one."""
        active = project.active()
        wanted: list[tuple[object, Weight]] = [(project.expressions[name], weight) for name, weight in active.items()]
        same = len(wanted) == len(self._posed) and all(
            a[0] is b[0] and a[1] == b[1] for a, b in zip(wanted, self._posed, strict=True)
        )
        if same:
            return
        positions = compose_positions(project.identity, project.expressions, active)
        mesh.pose(positions, project.identity.topology.vertex_normals(positions))
        self._measure(positions[mesh.split.vertex])
        self._posed = wanted
        self._forget_shadows()

    def _measure(self, positions_m: np.ndarray) -> None:
        found = bounds(positions_m)
        self._ball, self._box = (found.centre, found.radius), found.box

    def _fit_shadows(self, lights: Sequence[LightSource]) -> None:
        """A shadow map of the right size for each light, and one at least."""
        radius = self._ball[1]
        sizes = [_READ_MAP_SIZE if self._penumbra else passes.shadow_map_size(one.softness_m, radius) for one in lights]
        for index, size in enumerate(sizes or [1]):
            if index < len(self._shadows) and self._shadows[index].size == size:
                continue
            made = passes.ShadowMap(self.context, size, compared=not self._penumbra)
            if index < len(self._shadows):
                self._shadows[index].release()
                self._shadows[index], self._shadows_of[index] = made, None
            else:
                self._shadows.append(made)
                self._shadows_of.append(None)

    def _draw_shadows(self, lights: Sequence[LightSource]) -> None:
        for index, light in enumerate(lights):
            drawn = light.kind, light.towards, light.position_m, light.shadow
            if self._shadows_of[index] != drawn:
                self.context.enable(moderngl.DEPTH_TEST)
                self.context.depth_func = "<="
                self._shadows[index].draw(self._head if light.shadow else None, index)
                self._shadows_of[index] = drawn

    def _draw_thickness(self, lights: Sequence[LightSource]) -> None:
        if self._thickness is None:
            self._thickness = passes.ThicknessMaps(self.context)
        self.context.enable(moderngl.DEPTH_TEST)
        self.context.depth_func = "<="
        for index, light in enumerate(lights):
            drawn = light.kind, light.towards, light.position_m, light.shadow
            if self._thickness_of.get(index) != drawn:
                self._thickness.draw(self._head if light.shadow else None, index)
                self._thickness_of[index] = drawn

    def _forget_shadows(self) -> None:
        self._shadows_of = [None] * len(self._shadows)
        self._thickness_of = {}

    def _release_identity(self) -> None:
        for made in (self._mesh, self._eye):
            if made is not None:
                made.release()
        self._mesh = self._eye = self._identity = self._maps = None

    def release(self) -> None:
        """Give everything back to the driver; the context must be current. The renderer cannot be used afterwards."""
        self._release_identity()
        owned = (self._head, self._backdrop, self._converged, self._composer, self._environments)
        for made in (*owned, self._dfg, self._scatter, self._ltc, self._frame):
            made.release()
        self._scatter_pass.release()
        for made in (*self._shadows, self._thickness, self._light and self._light[1], self._numbers):
            if made is not None:
                made.release()
        self._shadows, self._shadows_of = [], []
        self.idle.release()


def _has_backdrop(scene: Scene, transparent: bool) -> bool:
    return scene.environment.visible and not transparent and not scene.view.uv_view


def _lit(project: Project) -> Project:
    """`project` with the scene that its light stage, if on, makes of its own."""
    return replace(project, scene=staged(project.scene)) if project.scene.stage.enabled else project


def _lights(project: Project, suns: tuple[LightSource, ...]) -> tuple[LightSource, ...]:
    return lights_of(project.scene, suns, *lamps_around(project.identity))


def _in_order(lights: Sequence[LightSource]) -> list[LightSource]:
    """By kind, as the shaders go through them."""
    return sorted(lights, key=lambda one: KIND_ORDER[one.kind])


def _spreads(scene: Scene) -> bool:
    """Is light spread inside the skin where it is seen? Not on maps that are laid flat."""
    return scene.scattering and not scene.view.uv_view
