"""The drawing passes: shadow map, thickness, head, wire overlay, backdrop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import moderngl
import numpy as np

from engine.mesh import Part
from engine.render.camera import Part4
from engine.render.context import give_back
from engine.render.shaders import program, set_array, set_uniforms
from engine.render.sources import LightSource
from engine.render.targets import LIT
from engine.render.triangles import TriangleNumbers
from engine.render.upload import MOVING, STILL, MeshBuffers
from engine.scene import LampKind, Scene, Vector3, ViewChannel

_UNITS = {
    "t_diffuse": 0,
    "t_specular": 1,
    "t_slope": 2,
    "t_eye": 3,
    "t_environment": 4,
    "t_dfg": 5,
    "t_scatter": 6,
    "t_neutral_diffuse": 20,
    "t_neutral_specular": 21,
    "t_neutral_slope": 22,
    "t_ltc": 13,
    "t_thickness": 14,
    "t_triangles": 23,
    "t_corners": 24,
    "t_moving": 25,
    "t_still": 26,
    "t_reach": 27,
}
UNIT_MAPS, UNIT_EYE, UNIT_ENVIRONMENT, UNIT_DFG, UNIT_SCATTER, UNIT_SHADOW, UNIT_LTC = 0, 3, 4, 5, 6, 7, 13
UNIT_THICKNESS = UNIT_LTC + 1
UNIT_CHANGE = UNIT_THICKNESS + 1
UNIT_NEUTRAL = 20
UNIT_TRIANGLES = UNIT_NEUTRAL + 3
_UNITS_FROM = {"t_shadow": UNIT_SHADOW, "t_change": UNIT_CHANGE}
_FRAME_BINDING = 0


@dataclass(frozen=True, slots=True)
class Tissue:
    """Material of a part that no map describes."""

    albedo_linear: tuple[float, float, float]
    perceptual_roughness: float
    f0: float
    curvature_per_m: float
    """Scatters light as skin of this curvature does."""


TISSUES: dict[Part, Tissue] = {
    Part.MOUTH: Tissue((0.34, 0.10, 0.085), 0.28, 0.028, 60.0),  # wet mucosa
    Part.TEETH: Tissue((0.50, 0.44, 0.35), 0.22, 0.045, 120.0),  # enamel, n = 1.62, under saliva
    Part.SOCKET: Tissue((0.37, 0.21, 0.17), 0.32, 0.025, 80.0),  # and the wet rim of the lids
}
CLAY = Tissue((0.42, 0.42, 0.42), 0.6, 0.04, 0.0)
"""Every part in the geometry channel."""
_KINDS = {Part.SKIN: "SKIN", Part.EYE_LEFT: "EYE", Part.EYE_RIGHT: "EYE", Part.HAIR: "HAIR"}
ON_MAPS = (
    ViewChannel.DIFFUSE,
    ViewChannel.SPECULAR,
    ViewChannel.ROUGHNESS,
    ViewChannel.NORMAL_MAP,
    ViewChannel.UV,
    ViewChannel.UV_CHECKER,
    ViewChannel.DIFFUSE_CHANGE,
    ViewChannel.SPECULAR_CHANGE,
    ViewChannel.ROUGHNESS_CHANGE,
    ViewChannel.NORMAL_CHANGE,
)
"""Channels that the maps alone decide: the UV view shows them beyond the mesh's charts too."""
PART_SRGB: dict[Part, tuple[float, float, float]] = {
    Part.SKIN: (0.90, 0.62, 0.00),
    Part.MOUTH: (0.84, 0.37, 0.00),
    Part.TEETH: (0.94, 0.89, 0.26),
    Part.SOCKET: (0.00, 0.62, 0.45),
    Part.EYE_LEFT: (0.34, 0.71, 0.91),
    Part.EYE_RIGHT: (0.00, 0.45, 0.70),
    Part.HAIR: (0.80, 0.47, 0.65),
}
"""Okabe and Ito 2008, "Color Universal Design": told apart with any colour vision."""

PROGRAMS_KEPT = 24
"""Of the head's programs, those used last: a software driver needs 3 to 6 MB for each, and there is one for every
choice of lamps, channel and tone curve. One picture, coarse, fine and with a moving slider, takes about ten."""


def linked(context: moderngl.Context, vertex: str, fragment: str, defines: tuple[str, ...] = ()) -> moderngl.Program:
    """A program with the frame block and its samplers on the agreed binding points."""
    made = program(context, vertex, fragment, defines)
    for name in made:
        member = made[name]
        if isinstance(member, moderngl.UniformBlock):
            member.binding = _FRAME_BINDING
        elif name in _UNITS:
            assert isinstance(member, moderngl.Uniform)
            member.value = _UNITS[name]
        elif name in _UNITS_FROM:
            assert isinstance(member, moderngl.Uniform)
            first = _UNITS_FROM[name]
            set_array(made, name, range(first, first + member.array_length))
    return made


def lamp_defines(lights: Iterable[LightSource], penumbra: bool) -> tuple[str, ...]:
    """What head.frag is compiled with for `lights`: what no light asks for stays out of the program. `penumbra` for
    shadows that grow softer with distance (shadow maps then are read, not compared)."""
    kinds = {one.kind for one in lights}
    wanted = {
        "POINT_LAMPS": bool(kinds & {LampKind.POINT, LampKind.SPOT}),
        "RECTANGLE_LAMPS": LampKind.RECTANGLE in kinds,
        "PCSS": penumbra,
    }
    return tuple(name for name, asked in wanted.items() if asked)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a frame of the head is drawn."""

    scene: Scene
    use: tuple[str, ...] = ()
    """What head.frag is compiled for beyond a finished picture: "PASSES", or with it "LAYERS", into several float
    targets, "SAMPLE" one frame of a picture that converges."""
    lamps: tuple[str, ...] = ()
    """As from `lamp_defines`."""
    weights: Sequence[float] = ()
    """Of the changes that are bound from `UNIT_CHANGE` for the skin to apply."""
    numbers: TriangleNumbers | None = None
    """Of what is drawn into, where skin is to be shaded a pixel, not a triangle at a time; lit channels alone."""
    coarse: bool = False
    """With less hair."""
    fixed: tuple[str, ...] = ()
    """What else the skin is compiled with there, for this very frame: a software rasteriser walks through both sides
    of every branch, and a loop whose end it does not know costs it a tenth of a frame."""


class HeadPass:
    """Draws the parts of a head into whatever framebuffer is bound: shaded, as wires, or as depth from the light."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self.programs: dict[tuple[str, ...], moderngl.Program] = {}
        """Made so far; those used last."""
        self._arrays: dict[tuple[str, ...], moderngl.VertexArray] = {}
        self._mesh: MeshBuffers | None = None
        self._depth = linked(context, "shadow.vert", "shadow.frag")
        self._depth_array: moderngl.VertexArray | None = None
        self._numbered = linked(context, "triangles.vert", "triangles.frag")
        self._numbered_array: moderngl.VertexArray | None = None
        self._square = _square(context)

    def take(self, mesh: MeshBuffers) -> None:
        """Draw `mesh` from now on."""
        self._release_arrays()
        self._mesh = mesh
        only_position = [(mesh.moving, "3f 20x", "a_position")]
        self._depth_array = self._context.vertex_array(self._depth, only_position, mesh.elements)
        self._numbered_array = self._context.vertex_array(self._numbered, only_position, mesh.elements)

    def draw(self, manner: Manner) -> None:
        """All drawn parts: what faces the eye, skin first because it hides most, then the inside of an open neck.

        Two rounds, so that the far side of the head is never shaded to be drawn over. Hair has no inside: it comes
        last, at once.
        """
        assert self._mesh is not None
        spans = dict(self._mesh.split.ranges)
        if manner.numbers is not None and Part.SKIN in spans:
            self._draw_pixels(manner, manner.numbers, *spans.pop(Part.SKIN))
        hair = spans.pop(Part.HAIR, None)
        self._context.enable(moderngl.CULL_FACE)
        for culled in ("back", "front"):
            self._context.cull_face = culled
            for part, (first, count) in spans.items():
                self._array_for(part, manner).render(moderngl.TRIANGLES, count, first=first)
        self._context.disable(moderngl.CULL_FACE)
        if hair is not None:
            first, count = self._mesh.coarse_hair if manner.coarse else hair
            self._array_for(Part.HAIR, manner).render(moderngl.TRIANGLES, count, first=first)

    def _draw_pixels(self, manner: Manner, numbers: TriangleNumbers, first: int, count: int) -> None:
        """The skin, `count` indices from `first`, both of its sides, each pixel once."""
        context, mesh = self._context, self._mesh
        assert mesh is not None
        assert mesh.tables is not None
        assert self._numbered_array is not None
        target = context.fbo
        assert target is not None
        numbers.draw(self._numbered_array, first, count, target)
        numbers.texture.use(UNIT_TRIANGLES)
        mesh.tables.use(UNIT_TRIANGLES + 1)
        context.depth_func = ">"  # the array lies at the far end: pixels that something stands before
        target.depth_mask = False
        self._array_for(Part.SKIN, manner, "BY_TRIANGLE").render(moderngl.TRIANGLES, 3)
        target.depth_mask = True
        context.depth_func = "<="

    def draw_flat(self, manner: Manner) -> None:
        """The skin laid out in texture coordinates, in the frame's UV view; what maps alone decide, over the square."""
        array = self._array_for(Part.SKIN, manner, "FLAT")
        if manner.scene.view.channel in ON_MAPS and not manner.use:
            array.render(moderngl.TRIANGLE_STRIP)
        else:
            self._render_skin(array)

    def _render_skin(self, array: moderngl.VertexArray) -> None:
        assert self._mesh is not None
        first, count = self._mesh.split.ranges.get(Part.SKIN, (0, 0))
        if count:
            array.render(moderngl.TRIANGLES, count, first=first)

    def _array_for(self, part: Part, manner: Manner, laid: str = "") -> moderngl.VertexArray:
        """The vertex array of the program that draws `part`, compiled on first use, with its material set.

        `laid`: "FLAT" or "BY_TRIANGLE", as head.frag tells.
        """
        scene, use, weights = manner.scene, manner.use, manner.weights
        channel = scene.view.channel
        clay = channel == ViewChannel.GEOMETRY
        lit = bool(use) or channel in LIT
        kind = ["TISSUE" if clay else _KINDS.get(part, "TISSUE"), *use]
        kind += [] if lit else ["PLAIN", f"SHOWN CHANNEL_{channel.name}"]
        kind += ["DUAL"] if lit and scene.dual_specular and kind[0] == "SKIN" else []
        kind += manner.lamps if lit else ()
        kind += [laid] if laid else []
        kind += ["STRANDS"] if part is Part.HAIR else []
        kind += manner.fixed if laid == "BY_TRIANGLE" else ()
        kind += [f"CHANGES {len(weights)}"] if weights and kind[0] == "SKIN" else []
        array, shader = self._array("head.frag", tuple(kind), square=laid == "FLAT" and not use and channel in ON_MAPS)
        tissue = CLAY if clay else TISSUES.get(part, CLAY)
        values = {
            "u_tissue": (*tissue.albedo_linear, tissue.perceptual_roughness),
            "u_tissue_depth": (tissue.f0, tissue.curvature_per_m),
            "u_part": PART_SRGB[part],
            "u_coarse": float(manner.coarse),
        }
        set_uniforms(shader, **{name: value for name, value in values.items() if name in shader})
        if "u_weight" in shader:
            set_array(shader, "u_weight", weights)
        return array

    def _array(
        self, fragment: str, defines: tuple[str, ...], square: bool = False
    ) -> tuple[moderngl.VertexArray, moderngl.Program]:
        """A program of head.vert with the head, or the square of its maps, as its input; both made on first use."""
        key = (fragment, *defines)
        whole_target = "BY_TRIANGLE" in defines
        if key not in self.programs:
            vertex = "fullscreen.vert" if whole_target else "head.vert"
            self.programs[key] = linked(self._context, vertex, fragment, defines)
        self.programs[key] = self.programs.pop(key)  # last used comes last
        while len(self.programs) > PROGRAMS_KEPT:
            oldest = next(iter(self.programs))
            give_back(self._arrays.pop(oldest, None), self.programs.pop(oldest))
        if key not in self._arrays:
            made = self.programs[key]
            self._arrays[key] = self._context.vertex_array(made, []) if whole_target else self._lay_out(made, square)
        return self._arrays[key], self.programs[key]

    def _lay_out(self, shader: moderngl.Program, square: bool) -> moderngl.VertexArray:
        """Attributes of the head, or of the square of its maps, for `shader`; those it does not read are skipped."""
        mesh = self._mesh
        assert mesh is not None
        moving = [("3f", "a_position"), ("3f", "a_normal"), ("2f", "a_offset")]
        still = [("2f", "a_uv"), ("2f", "a_still"), ("4f", "a_sky")]
        reach = [("4f", "a_reach")]
        content = []
        buffers = self._square if square else (mesh.moving, mesh.still, mesh.reach, mesh.wider)
        for buffer, fields in zip(buffers, (moving, still, reach, [("3f", "a_wider")]), strict=False):
            layout = " ".join(form if name in shader else f"{4 * int(form[0])}x" for form, name in fields)
            names = [name for _, name in fields if name in shader]
            if names:
                content.append((buffer, layout, *names))
        return self._context.vertex_array(shader, content, None if square else mesh.elements)

    def draw_wires(self, flat: bool = False) -> None:
        """All triangles as dark lines, a little in front of themselves; `flat`, those of the skin in the UV view."""
        array, _ = self._array("wire.frag", ("FLAT",) if flat else ())
        self._context.wireframe = True
        self._context.polygon_offset = -1.0, -1.0
        if flat:
            self._render_skin(array)
        else:
            array.render(moderngl.TRIANGLES)
        self._context.polygon_offset = 0.0, 0.0
        self._context.wireframe = False

    def draw_depth(self, light: int, skin_alone: bool = False, hair: bool = True) -> None:
        """All triangles, with `hair` that casts shadows or without, or the skin's alone; depth only, as light number
        `light` of the frame sees them."""
        assert self._depth_array is not None
        assert self._mesh is not None
        set_uniforms(self._depth, u_light=light)
        if skin_alone:
            self._render_skin(self._depth_array)
        else:
            self._depth_array.render(moderngl.TRIANGLES, self._mesh.coarse_hair[0])
            first, count = self._mesh.casting_hair
            if hair and count:
                self._depth_array.render(moderngl.TRIANGLES, count, first=first)

    def _release_arrays(self) -> None:
        give_back(self._depth_array, self._numbered_array, *self._arrays.values())
        self._depth_array, self._numbered_array, self._arrays = None, None, {}

    def release(self) -> None:
        """Give everything back to the driver."""
        self._release_arrays()
        give_back(*self.programs.values(), self._depth, self._numbered, *self._square)


def _square(context: moderngl.Context) -> tuple[moderngl.Buffer, moderngl.Buffer]:
    """Moving and still attributes of the four corners of the maps."""
    moving, still = np.zeros(4, MOVING), np.zeros(4, STILL)
    moving["normal"] = 0.0, 0.0, 1.0
    still["uv"] = (0, 0), (0, 1), (1, 0), (1, 1)
    return context.buffer(moving.tobytes()), context.buffer(still.tobytes())


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


class WallPass:
    """The studio's wall behind the head, brightest in the middle of the picture."""

    def __init__(self, context: moderngl.Context) -> None:
        self._program = linked(context, "fullscreen.vert", "wall.frag")
        self._array = context.vertex_array(self._program, [])

    def draw(self, color_srgb: Vector3, size: tuple[int, int], part: Part4) -> None:
        """Fill the target, the rectangle `part` of a picture of `size`; depth test off."""
        left, bottom, width, height = part
        place = left - size[0] / 2, bottom - size[1] / 2, width, height
        set_uniforms(self._program, u_color=color_srgb, u_part=tuple(each / size[1] for each in place))
        self._array.render(moderngl.TRIANGLES, 3)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._array.release()
        self._program.release()


class ConvergedPass:
    """Shows the mean of many frames."""

    def __init__(self, context: moderngl.Context) -> None:
        self._program = linked(context, "fullscreen.vert", "converge.frag")
        self._array = context.vertex_array(self._program, [])

    def draw(self, frames: moderngl.Texture, count: int, presence: float) -> None:
        """The mean of `count` frames whose sum `frames` holds, `presence` of it; depth test off."""
        frames.use(0)
        set_uniforms(self._program, t_sum=0, u_share=1 / count, u_presence=presence)
        self._array.render(moderngl.TRIANGLES, 3)

    def release(self) -> None:
        """Give everything back to the driver."""
        self._array.release()
        self._program.release()
