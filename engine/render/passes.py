"""The drawing passes: shadow map, head, wire overlay, backdrop."""

from __future__ import annotations

import moderngl

from engine.render.context import drawing_into
from engine.render.shaders import program, set_uniforms
from engine.render.upload import DRAWN, PART_CODES, MeshBuffers

_UNITS = {
    "t_diffuse": 0,
    "t_specular": 1,
    "t_slope": 2,
    "t_eye": 3,
    "t_environment": 4,
    "t_dfg": 5,
    "t_scatter": 6,
    "t_shadow": 7,
}
UNIT_MAPS, UNIT_EYE, UNIT_ENVIRONMENT, UNIT_DFG, UNIT_SCATTER, UNIT_SHADOW = 0, 3, 4, 5, 6, 7
_FRAME_BINDING = 0


def linked(context: moderngl.Context, vertex: str, fragment: str) -> moderngl.Program:
    """A program with the frame block and its samplers on the agreed binding points."""
    made = program(context, vertex, fragment)
    for name in made:
        member = made[name]
        if isinstance(member, moderngl.UniformBlock):
            member.binding = _FRAME_BINDING
        elif name in _UNITS:
            assert isinstance(member, moderngl.Uniform)
            member.value = _UNITS[name]
    return made


class HeadPass:
    """Draws the parts of a head into whatever framebuffer is bound: shaded, as wires, or as depth from the light."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._head = linked(context, "head.vert", "head.frag")
        self._wire = linked(context, "head.vert", "wire.frag")
        self._depth = linked(context, "shadow.vert", "shadow.frag")
        self._arrays: list[moderngl.VertexArray] = []

    def take(self, mesh: MeshBuffers) -> None:
        """Draw `mesh` from now on."""
        self._release_arrays()
        layout = [
            (mesh.moving, "3f 3f 1f", "a_position", "a_normal", "a_offset"),
            (mesh.still, "2f 2f 4f", "a_uv", "a_still", "a_sky"),
        ]
        only_position = [(mesh.moving, "3f 16x", "a_position")]
        context, elements = self._context, mesh.elements
        self._arrays = [
            context.vertex_array(self._head, layout, elements),
            context.vertex_array(self._wire, only_position, elements),
            context.vertex_array(self._depth, only_position, elements),
        ]

    def draw(self, mesh: MeshBuffers) -> None:
        """All drawn parts, shaded."""
        for part in DRAWN:
            if part in mesh.split.ranges:
                first, count = mesh.split.ranges[part]
                set_uniforms(self._head, u_part=PART_CODES[part])
                self._arrays[0].render(moderngl.TRIANGLES, count, first=first)

    def draw_wires(self) -> None:
        """All triangles as dark lines, a little in front of themselves."""
        self._context.wireframe = True
        self._context.polygon_offset = -1.0, -1.0
        self._arrays[1].render(moderngl.TRIANGLES)
        self._context.polygon_offset = 0.0, 0.0
        self._context.wireframe = False

    def draw_depth(self) -> None:
        """All triangles, depth only."""
        self._arrays[2].render(moderngl.TRIANGLES)

    def _release_arrays(self) -> None:
        for array in self._arrays:
            array.release()
        self._arrays = []

    def release(self) -> None:
        """Give everything back to the driver."""
        self._release_arrays()
        for made in (self._head, self._wire, self._depth):
            made.release()


class BackdropPass:
    """The blurred environment behind the head."""

    def __init__(self, context: moderngl.Context) -> None:
        self._program = linked(context, "fullscreen.vert", "background.frag")
        self._array = context.vertex_array(self._program, [])

    def draw(self) -> None:
        """Fill the target; depth test off."""
        self._array.render(moderngl.TRIANGLES, 3)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._array.release()
        self._program.release()


class ShadowMap:
    """Depth of the head as the key light sees it, compared on look-up."""

    def __init__(self, context: moderngl.Context, size: int) -> None:
        self.size = size
        self.texture = context.depth_texture((size, size))
        self.texture.filter = moderngl.LINEAR, moderngl.LINEAR
        self.texture.compare_func = "<="
        self.texture.repeat_x = self.texture.repeat_y = False
        self._target = context.framebuffer(depth_attachment=self.texture)

    def draw(self, head: HeadPass) -> None:
        """Draw the map again."""
        with drawing_into(self._target):
            self._target.clear(depth=1.0)
            head.draw_depth()

    def release(self) -> None:
        """Give everything back to the driver."""
        self._target.release()
        self.texture.release()


def shadow_map_size(softness_m: float, radius_m: float) -> int:
    """Side in texels whose 3 x 3 tent is about `softness_m` wide over a ball of `radius_m`: 128 to 2048, power of 2."""
    wanted = 2 * radius_m / max(softness_m / 2, 1e-6)
    size = 128
    while size < min(wanted, 2048) * 0.7071:
        size *= 2
    return size
