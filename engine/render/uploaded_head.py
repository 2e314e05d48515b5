"""The head that a renderer draws, on the GPU: mesh, maps, pose, and what of its surroundings each vertex sees."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import moderngl
import numpy as np

from engine.composer import left_texels
from engine.face.lips import posed_m
from engine.identity import Identity, ReflectanceMaps
from engine.mesh import Part
from engine.project import Project
from engine.render.camera import bounds
from engine.render.compose import Blend, MapComposer, Mix
from engine.render.context import give_back
from engine.render.environment import EnvironmentLight
from engine.render.occlusion import Visibility, bake_visibility
from engine.render.passes import UNIT_CHANGE, UNIT_EYE, UNIT_MAPS, UNIT_NEUTRAL, HeadPass
from engine.render.targets import Pace, Piece, Target
from engine.render.upload import MeshBuffers, byte_texture, fitted, split_mesh
from engine.sides import Weight

LOG = logging.getLogger(__name__)


class UploadedHead:
    """What is uploaded follows the objects in the project: a new object is uploaded, the same object never twice."""

    def __init__(self, context: moderngl.Context, map_memory_bytes: int) -> None:
        self._context = context
        self._map_limits = context.info["GL_MAX_TEXTURE_SIZE"], map_memory_bytes
        self.notice = ""
        """What the user should know about it: that its maps are shown smaller."""
        self.parts = HeadPass(context)
        self.composer = MapComposer(context)
        self.ball: tuple[np.ndarray, float] = (np.zeros(3), 1.0)
        """Centre (3,) and radius in metres."""
        self.box_m = np.zeros((2, 3))
        """Lowest and highest corner."""
        self.poses = 0
        """How often it has been another head or in another pose."""
        self._worn: tuple[tuple[object, Weight], ...] = ()
        """Expressions that it wears, with their weights."""
        self._coarse = False
        """Has it been posed for coarse pictures alone?"""
        self.mesh: MeshBuffers | None = None
        self._identity: Identity | None = None
        self._maps: ReflectanceMaps | None = None
        self._eye: moderngl.Texture | None = None
        self._visibility: tuple[np.ndarray, Visibility] | None = None
        """Vertices that see the sky, and what of it."""
        self._lit_by: tuple[np.ndarray, float] | None = None
        """Environment and rotation that the vertices are lit by."""

    def take(self, project: Project, coarse: bool = False) -> None:
        """Upload the head of `project` and pose it, as far as it is another one; `coarse`, what is shown of it so."""
        for _ in self.take_in_pieces(project, coarse):
            pass

    def take_in_pieces(self, project: Project, coarse: bool = False) -> Iterator[Piece]:
        """The same, a piece each time it is asked for the next."""
        if project.identity is not self._identity:
            self._take_identity(project.identity)
        worn = tuple((project.expressions[name], weight) for name, weight in project.active().items())
        same = len(worn) == len(self._worn) and all(
            one[0] is other[0] and one[1] == other[1] for one, other in zip(worn, self._worn, strict=True)
        )
        if same and (coarse or not self._coarse):
            return
        shown = self._mesh.shown(coarse)
        count = int(shown[-1]) + 1 if coarse and len(shown) else None
        positions = posed_m(project.identity, project.expressions, project.active(), count)
        yield Piece(Target.SHADOWS, 0)
        self._mesh.pose(positions, project.identity.topology.vertex_normals(positions))
        self._measure(positions, shown)
        self._worn, self._coarse = worn, len(positions) < len(project.identity.positions_m)

    def blend(self, project: Project, moving: bool) -> Blend:
        """Its maps under the weights of `project`."""
        return self.composer.blend(self._mix(project), moving=moving)

    def compose_in_pieces(self, project: Project, pace: Pace) -> Iterator[Piece]:
        """Do beforehand, in pieces, what `blend` does for a picture at rest."""
        return self.composer.compose_in_pieces(self._mix(project), pace)

    def _mix(self, project: Project) -> Mix:
        assert self._maps is not None
        active = project.active()
        return Mix(self._maps, project.expressions, active, left_texels(project.identity, active))

    def bind(self, blend: Blend) -> None:
        """Put its maps on their texture units."""
        assert self._eye is not None
        blend.maps.use(UNIT_MAPS)
        for unit, (texture, _) in enumerate(blend.layers, start=UNIT_CHANGE):
            texture.use(unit)
        self.composer.neutral.use(UNIT_NEUTRAL)
        self._eye.use(UNIT_EYE)

    def light(self, environment: EnvironmentLight, rotation_rad: float) -> None:
        """Work out anew how much of the environment gets to each vertex, where it or its rotation is another."""
        lit_by = self._lit_by
        if self._visibility is None or (lit_by and lit_by[0] is environment.coarse and lit_by[1] == rotation_rad):
            return
        vertices, visibility = self._visibility
        self._mesh.light(vertices, visibility.reach(environment.coarse, rotation_rad))
        self._lit_by = environment.coarse, rotation_rad

    @property
    def _mesh(self) -> MeshBuffers:
        assert self.mesh is not None
        return self.mesh

    def _take_identity(self, identity: Identity) -> None:
        before = self._identity
        same = self.mesh is not None and before is not None and identity.topology is before.topology
        split = self._mesh.split if same else split_mesh(identity.topology)
        self._release_identity()
        self.mesh = MeshBuffers(self._context, identity, split)
        self._eye = byte_texture(self._context, identity.eye_srgb)
        self.parts.take(self.mesh)
        self._take_maps(identity.maps)
        self._identity, self._worn, self._coarse = identity, (), False
        self._measure(identity.positions_m, self.mesh.shown(False))
        self._see_sky(identity, self.mesh)

    def _take_maps(self, maps: ReflectanceMaps) -> None:
        self._maps, self.notice = fitted(maps, *self._map_limits), ""
        if self._maps is not maps:
            (tall, wide), (height, width) = maps.size, self._maps.size
            self.notice = f"maps of {wide} x {tall} are shown at {width} x {height}; exports keep their size"
            LOG.info("%s", self.notice)

    def _see_sky(self, identity: Identity, mesh: MeshBuffers) -> None:
        """Darken what sees little of the sky; the mesh is in its neutral pose."""
        self._context.depth_func = "<="
        normals = identity.topology.vertex_normals(identity.positions_m)
        self._visibility = self._lit_by = None
        outside = mesh.vertices_of(Part.SKIN, Part.EYE_LEFT, Part.EYE_RIGHT)
        if not len(outside):
            return
        vertices = mesh.split.vertex[outside]
        points = identity.positions_m[vertices], normals[vertices]
        visibility = bake_visibility(self._context, self.parts, identity, points, self.ball)
        mesh.shade(outside, visibility.ambient, visibility.sky)
        self._visibility = outside, visibility

    def _measure(self, positions_m: np.ndarray, shown: np.ndarray) -> None:
        around = bounds(positions_m, shown)
        self.ball, self.box_m = (around.centre, around.radius), around.box
        self.poses += 1

    def _release_identity(self) -> None:
        give_back(self.mesh, self._eye)
        self.mesh = self._eye = self._identity = self._maps = None

    def release(self) -> None:
        """Give everything back to the driver; the context must be current."""
        self._release_identity()
        self.parts.release()
        self.composer.release()
