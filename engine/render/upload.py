"""Engine values to GPU buffers and textures. Handles live here, never in the values."""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np

from engine.channels import CHANGE_TILES
from engine.expression import ReflectanceChange
from engine.face.strands import casting, fibre_places, stand_ins
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_bilinear
from engine.mesh import Part, Topology
from engine.render.context import give_back, is_software

DRAWN: tuple[Part, ...] = (
    Part.SKIN, Part.MOUTH, Part.TEETH, Part.SOCKET, Part.EYE_LEFT, Part.EYE_RIGHT, Part.HAIR
)  # fmt: skip
"""Parts in drawing order; OVERLAY is kept and exported but not drawn."""

MAP_MEMORY_BYTES = 2**30
"""For the maps of one head, neutral and composed, half of a small graphics card: 4096 a side are 0.7 GiB."""
_TEXEL_BYTES = 2 * 16 * 4 / 3
"""Two sets of `MapTextures` with their mip levels."""

HALF_FLOAT = 60000.0
"""Largest value that is kept in half floats, which end at 65504."""

MOVING = np.dtype([("position", np.float32, 3), ("normal", np.float32, 3), ("offset", np.float32, 2)])
STILL = np.dtype([("uv", np.float32, 2), ("occlusion", np.float32), ("curvature", np.float32), ("sky", np.float32, 4)])
COARSE_HAIR = 12_000
"""Triangles of hair in a coarse picture, as a software rasteriser draws a head that moves: hair is a fifth of
the drawing, and most of the posing. Brows and lashes come first, then strands from all over the head."""
TABLE_WIDTH = 1024
"""Texels in a row of what shaders/common/triangle.glsl looks vertices up in."""


@dataclass(frozen=True, slots=True)
class SplitMesh:
    """A topology as OpenGL wants it: one index per corner, a vertex doubled where the texture is cut."""

    vertex: np.ndarray
    """(N,) int64 engine vertex of each GL vertex."""
    uv: np.ndarray
    """(N,) int64 texture coordinate of each GL vertex."""
    elements: np.ndarray
    """(F, 3) int32 GL vertices, faces sorted by `DRAWN`, overlays left out."""
    ranges: dict[Part, tuple[int, int]]
    """First index and count of each drawn part, in indices (3 per face)."""


def split_mesh(topology: Topology) -> SplitMesh:
    """Unique (vertex, uv) pairs of `topology` and its drawn faces in terms of them."""
    order = [topology.faces_of(part) for part in DRAWN]
    chosen = np.concatenate(order)
    pairs = topology.faces[chosen].ravel().astype(np.int64) * len(topology.uvs) + topology.uv_faces[chosen].ravel()
    unique, inverse = np.unique(pairs, return_inverse=True)
    ends = np.cumsum([0] + [3 * len(faces) for faces in order])
    ranges = {part: (int(ends[i]), 3 * len(order[i])) for i, part in enumerate(DRAWN) if len(order[i])}
    vertex, uv = unique // len(topology.uvs), unique % len(topology.uvs)
    return SplitMesh(vertex, uv, inverse.reshape(-1, 3).astype(np.int32), ranges)


def vertex_curvature(positions_m: np.ndarray, normals: np.ndarray, faces: np.ndarray, passes: int = 3) -> np.ndarray:
    """(V,) float32 size of the mean curvature in 1/m, smoothed over `passes` rings; 0 for vertices without edges.

    Along an edge the curvature is (n1 - n0) . (p1 - p0) / |p1 - p0|^2 (Rusinkiewicz 2004, "Estimating Curvatures and
    Their Derivatives on Triangle Meshes", the diagonal term).
    """
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    start, end = edges[:, 0], edges[:, 1]
    along = positions_m[end] - positions_m[start]
    length2 = np.maximum((along * along).sum(axis=1), 1e-12)
    bend = ((normals[end] - normals[start]) * along).sum(axis=1) / length2
    count = len(positions_m)
    degree = np.maximum(np.bincount(start, minlength=count) + np.bincount(end, minlength=count), 1)
    curvature = (np.bincount(start, bend, count) + np.bincount(end, bend, count)) / degree
    curvature = np.abs(curvature)
    for _ in range(passes):
        around = np.bincount(start, curvature[end], count) + np.bincount(end, curvature[start], count)
        curvature = 0.5 * curvature + 0.5 * around / degree
    return curvature.astype(np.float32)


class VertexTable:
    """`count` rows of four floats that shaders/common/triangle.glsl looks up by number."""

    def __init__(self, context: moderngl.Context, count: int) -> None:
        self._rows = np.zeros((max(-(-count // TABLE_WIDTH), 1), TABLE_WIDTH, 4), np.float32)
        self.texture = context.texture((TABLE_WIDTH, len(self._rows)), 4, dtype="f4")
        self.texture.filter = moderngl.NEAREST, moderngl.NEAREST

    def write(self, data: np.ndarray) -> None:
        """Take `data`, whose bytes are float32, four to a row: the first rows, or all."""
        values = data.view(np.float32).ravel()
        self._rows.ravel()[: len(values)] = values
        height = -(-len(values) // (4 * TABLE_WIDTH))
        self.texture.write(self._rows[:height], viewport=(0, 0, TABLE_WIDTH, height))


@dataclass(frozen=True, slots=True)
class VertexTables:
    """A mesh for shaders that shade pixels by the number of their triangle."""

    corners: VertexTable
    moving: VertexTable
    still: VertexTable
    reach: VertexTable

    def use(self, first: int) -> None:
        """Bind to four texture units from `first`."""
        for unit, table in enumerate((self.corners, self.moving, self.still, self.reach), start=first):
            table.texture.use(unit)

    def release(self) -> None:
        """Give the textures back."""
        for table in (self.corners, self.moving, self.still, self.reach):
            table.texture.release()


class MeshBuffers:
    """Buffers of one identity; positions and normals are written again for each pose."""

    def __init__(self, context: moderngl.Context, identity: Identity, split: SplitMesh) -> None:
        self.split = split
        self.tables = _tables(context, split) if is_software(context) else None
        self._neutral = identity.positions_m
        count = len(split.vertex)
        self._neutral_normals = normals = identity.topology.vertex_normals(identity.positions_m)
        self._still_data = still = np.empty(count, STILL)
        still["uv"] = identity.topology.uvs[split.uv]
        still["occlusion"] = identity.occlusion[split.vertex]
        curvature = vertex_curvature(identity.positions_m, normals, identity.topology.faces)
        still["curvature"] = curvature[split.vertex]
        still["sky"][:, :3] = 0.75 * normals[split.vertex]  # an open hemisphere: w = 1/2, xyz = 3/4 n
        still["sky"][:, 3] = 0.5
        hair, grown = identity.topology.faces[identity.topology.faces_of(Part.HAIR)], self.vertices_of(Part.HAIR)
        if len(hair):  # whose sky is open: what the shader asks of a strand instead
            still["sky"][grown] = fibre_places(hair, identity.positions_m)[split.vertex[grown] - hair.min()]
        self.still = context.buffer(still.tobytes())
        self._reach_data = np.repeat(still["occlusion"][:, None], 4, axis=1)
        self.reach = context.buffer(self._reach_data.tobytes(), dynamic=True)
        if self.tables:
            self.tables.still.write(still)
            self.tables.reach.write(self._reach_data)
        self.moving = context.buffer(reserve=count * MOVING.itemsize, dynamic=True)
        # only a software driver draws coarse pictures, and it alone has tables
        strands, wider_m = stand_ins(hair, identity.positions_m, COARSE_HAIR if self.tables else len(hair))
        self.wider = context.buffer(wider_m[split.vertex].tobytes())
        """Where hair goes in coarse pictures, metres from where it is."""
        self.coarse_hair = split.ranges.get(Part.HAIR, (split.elements.size, 0))[0], 3 * strands
        """First index and count, in `elements`."""
        first, end = casting(hair, identity.positions_m)
        self.casting_hair = self.coarse_hair[0] + 3 * first, 3 * (end - first)
        """The same of hair that casts shadows."""
        self._coarse_count = int(split.elements.ravel()[: sum(self.coarse_hair)].max(initial=-1)) + 1
        """GL vertices that coarse pictures show: the first so many."""
        # Kept from pose to pose: fresh memory costs more than what is written to it.
        self._rows = np.empty((len(identity.positions_m), MOVING.itemsize // 4), np.float32)
        self._moving_rows = np.empty((count, MOVING.itemsize // 4), np.float32)
        self.elements = context.buffer(split.elements.tobytes())
        self.pose(identity.positions_m, normals)

    def shade(self, chosen: np.ndarray, ambient: np.ndarray, sky: np.ndarray) -> None:
        """Take (N,) ambient visibility and (N, 4) sky (see `engine.render.occlusion`) for N `chosen` GL vertices.

        Meant for skin and eyes: the mouth keeps `Identity.occlusion`, which knows it when it is open too.
        """
        still = self._still_data
        still["occlusion"][chosen] = np.minimum(still["occlusion"][chosen], ambient)
        still["sky"][chosen] = sky
        self.still.write(still.tobytes())
        if self.tables:
            self.tables.still.write(still)

    def light(self, chosen: np.ndarray, reach: np.ndarray) -> None:
        """Take the (N, 3) shares of the environment's light that get to N `chosen` GL vertices, per channel."""
        self._reach_data[chosen, :3] = reach
        self.reach.write(self._reach_data)
        if self.tables:
            self.tables.reach.write(self._reach_data)

    def vertices_of(self, *parts: Part) -> np.ndarray:
        """GL vertices of `parts`, sorted."""
        spans = [self.split.ranges.get(part, (0, 0)) for part in parts]
        corners = self.split.elements.ravel()
        chosen = np.zeros(len(self.split.vertex), bool)
        for first, count in spans:
            chosen[corners[first : first + count]] = True
        return np.flatnonzero(chosen)

    def shown(self, coarse: bool) -> np.ndarray:
        """(N,) the vertex of each GL vertex that is drawn, sorted; with `coarse`, of a coarse picture."""
        return self.split.vertex[: self._coarse_count] if coarse else self.split.vertex

    def pose(self, positions_m: np.ndarray, normals: np.ndarray) -> None:
        """Upload (V, 3) positions in metres and (V, 3) unit normals, or for a coarse picture those of the first
        vertices, up to the last one `shown`."""
        count = len(positions_m)
        moved, rows = positions_m - self._neutral[:count], self._rows[:count]
        rows[:, :3] = positions_m
        rows[:, 3:6] = normals
        rows[:, 6] = np.sqrt(np.einsum("ij,ij->i", moved, moved))
        rows[:, 7] = np.einsum("ij,ij->i", moved, self._neutral_normals[:count])
        vertices = self.shown(count < len(self._rows))
        moving = self._moving_rows[: len(vertices)]
        rows.take(vertices, axis=0, out=moving, mode="clip")  # "raise" would take a copy
        self.moving.orphan()
        self.moving.write(moving)
        if self.tables:
            self.tables.moving.write(moving)

    def release(self) -> None:
        """Give the buffers back."""
        give_back(self.still, self.moving, self.reach, self.wider, self.elements, self.tables)


def _tables(context: moderngl.Context, split: SplitMesh) -> VertexTables:
    texels = len(split.vertex) * MOVING.itemsize // 16
    tables = VertexTables(
        *(VertexTable(context, count) for count in (len(split.elements), texels, texels, len(split.vertex)))
    )
    corners = np.zeros((len(split.elements), 4), np.float32)
    corners[:, :3] = split.elements
    tables.corners.write(corners)
    return tables


class MapTextures:
    """The maps of one head: sRGB-encoded albedo RGBA8, specular and roughness RGBA8, slope and its square RGBA16F, with
    mip levels, which so know how slopes scatter (slope_variance of shaders/lighting/ggx.glsl).

    Texture row 0 is image row 0, so the engine's UVs (origin top-left) are used as they are.
    """

    FORMATS = ((4, "f1"), (4, "f1"), (4, "f2"))
    """Components and type of each."""

    def __init__(self, context: moderngl.Context, size: tuple[int, int]) -> None:
        height, width = size
        self.size = size
        # Two levels per fetch are a third of a software rasteriser's frame.
        software = is_software(context)
        self._filter = moderngl.LINEAR_MIPMAP_NEAREST if software else moderngl.LINEAR_MIPMAP_LINEAR
        self.textures = [context.texture((width, height), parts, dtype=dtype) for parts, dtype in self.FORMATS]
        self.nbytes = round(height * width * _TEXEL_BYTES / 2)

    def use(self, first: int) -> None:
        """Bind to three texture units from `first`."""
        for number, texture in enumerate(self.textures):
            texture.use(first + number)

    def release(self) -> None:
        """Give the textures back."""
        give_back(*self.textures)

    def write(self, maps: ReflectanceMaps) -> None:
        """Upload `maps`, whose size must be this one's."""
        height, width = self.size
        packed = np.full((2, height, width, 4), 255, np.uint8)
        packed[0, ..., :3] = maps.diffuse_srgb
        packed[1, ..., :3] = maps.specular_data
        packed[1, ..., 3] = maps.roughness_data
        moments = np.ones((height, width, 4), np.float16)
        moments[..., :2] = maps.slope
        squares = np.square(maps.slope, dtype=np.float32).sum(axis=2)
        moments[..., 2] = np.minimum(squares, HALF_FLOAT)
        for texture, data in zip(self.textures, (packed[0], packed[1], moments), strict=True):
            texture.write(data.tobytes())
        self.build_mipmaps()

    def build_mipmaps(self) -> None:
        """Average level 0 into the others and sample all of them."""
        for texture in self.textures:
            self.build_mipmaps_of(texture)

    def build_mipmaps_of(self, texture: moderngl.Texture) -> None:
        """The same for one of `textures`."""
        texture.build_mipmaps()
        texture.filter = self._filter, moderngl.LINEAR


def fitted(maps: ReflectanceMaps, largest_side: int, memory_bytes: int = MAP_MEMORY_BYTES) -> ReflectanceMaps:
    """`maps`, or where a driver that takes `largest_side` texels a side or `memory_bytes` for maps cannot hold them, as
    often halved as it needs: means of encoded values, as mip levels are."""
    factor = 1
    while max(maps.size) // factor > largest_side or np.prod(maps.size) / factor**2 * _TEXEL_BYTES > memory_bytes:
        factor *= 2
    if factor == 1:
        return maps
    return ReflectanceMaps(*(_shrunk(each, factor) for each in maps.images))


def _shrunk(image: np.ndarray, factor: int) -> np.ndarray:
    """Means of blocks of `factor`^2 texels of an (H, W[, C]) image, rounded where it holds integers."""
    height, width = (max(side // factor, 1) for side in image.shape[:2])
    down, across = (min(factor, side) for side in image.shape[:2])
    result = np.empty((height, width, *image.shape[2:]), image.dtype)
    for row in range(height):  # a row at a time: a float copy of a large map would not fit
        block = image[row * down : (row + 1) * down, : width * across]
        mean = block.reshape(down, width, across, -1).mean(axis=(0, 2), dtype=np.float32)
        result[row] = (np.rint(mean) if image.dtype.kind == "u" else mean).reshape(result.shape[1:])
    return result


class ChangeTexture:
    """One expression's change at `size` (H, W): its channels, four to an RGBA16F tile, one above the other, as
    shaders/common/change.glsl says. One texture, because a shader may read from 16 and no more on every driver."""

    def __init__(self, context: moderngl.Context, change: ReflectanceChange, size: tuple[int, int]) -> None:
        height, width = size
        channels = change.channels if change.size == size else resize_bilinear(change.channels, size)
        tiles = np.zeros((CHANGE_TILES, height, width, 4), np.float16)
        for number, tile in enumerate(tiles):
            part = channels[..., 4 * number : 4 * number + 4]
            tile[..., : part.shape[2]] = part
        self.nbytes = tiles.nbytes
        self.texture = context.texture((width, CHANGE_TILES * height), 4, tiles.tobytes(), dtype="f2")
        self.texture.filter = moderngl.LINEAR, moderngl.LINEAR
        self.texture.repeat_x = self.texture.repeat_y = False

    def release(self) -> None:
        """Give the texture back."""
        self.texture.release()


def share_texture(context: moderngl.Context, share: np.ndarray) -> moderngl.Texture:
    """(H, W) shares 0..1, multiples of 1/256, as R16F, which holds those exactly; bilinear, edges clamped."""
    height, width = share.shape
    texture = context.texture((width, height), 1, share.astype(np.float16).tobytes(), dtype="f2", alignment=1)
    texture.filter = moderngl.LINEAR, moderngl.LINEAR
    texture.repeat_x = texture.repeat_y = False
    return texture


def byte_texture(context: moderngl.Context, image: np.ndarray) -> moderngl.Texture:
    """(H, W, 3) uint8 as an RGB8 texture with mip levels, edges clamped, row 0 at v = 0."""
    height, width = image.shape[:2]
    texture = context.texture((width, height), 3, np.ascontiguousarray(image).tobytes(), alignment=1)
    texture.repeat_x = texture.repeat_y = False
    texture.build_mipmaps()
    texture.filter = moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR
    return texture
