"""Wavefront OBJ: meshes in vertex order, with texture coordinates and material names."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import FileFormatError
from engine.io.border import border, reads
from engine.io.files import check_vertices, read_text, write_bytes
from engine.mesh import FARTHEST_UV, PARTS, Part

MOST_CORNERS = 1000
"""Of one polygon: the cap of a cylinder has dozens; a fan of thousands is a damaged file and no surface of a head."""


@dataclass(frozen=True, eq=False, slots=True)
class ObjMesh:
    """What the file says, polygons cut into triangle fans."""

    positions: np.ndarray
    """(V, 3) float32 in the file's unit, in the file's order."""
    uvs: np.ndarray
    """(U, 2) float32, origin moved to the top-left; empty where the file has none."""
    faces: np.ndarray
    """(F, 3) int32."""
    uv_faces: np.ndarray
    """(F, 3) int32; zeros where the file has no texture coordinates."""
    face_materials: np.ndarray
    """(F,) int32 indices into `materials`."""
    materials: tuple[str, ...]
    """Names by `usemtl` (or `g` where a file has no usemtl), in order of appearance; '' before the first."""

    @property
    def parts(self) -> np.ndarray:
        """(F,) uint8 indices into `PARTS`: skin, but where a material has the name of another part."""
        parts = [PARTS.index(Part(name) if name in set(Part) else Part.SKIN) for name in self.materials]
        return np.array(parts, np.uint8)[self.face_materials]


class _Rings:
    """The corners of every polygon of a file, as numbers: as text, or a tuple a triangle, they take fifty times it."""

    def __init__(self) -> None:
        self.have_uvs = True
        self._corners, self._uv_corners = array("q"), array("q")
        self._sizes, self._owners = array("q"), array("q")

    def add(self, ring: list[str], owner: int) -> None:
        """A polygon of `ring` (`v`, `v/vt` or `v/vt/vn` each); ValueError or OverflowError where one is no number."""
        if len(ring) > MOST_CORNERS:
            raise ValueError(f"a polygon of {len(ring)} corners, more than {MOST_CORNERS}; triangulate it")
        if len(ring) < 3:
            return
        for corner in ring:
            vertex, *others = corner.split("/")
            self._corners.append(int(vertex))
            if others and others[0]:
                self._uv_corners.append(int(others[0]))
            else:
                self._uv_corners.append(0)
                self.have_uvs = False
        self._sizes.append(len(ring))
        self._owners.append(owner)

    def triangles(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Fans of the polygons: vertex numbers and texture coordinate numbers (F, 3) int64 as in the file, and owners
        (F,) int32."""
        sizes = np.array(self._sizes, np.int64)
        counts = sizes - 2
        first = np.repeat(np.cumsum(sizes) - sizes, counts)
        second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        fans = np.stack([first, second, second + 1], axis=1)
        corners, uv_corners = np.array(self._corners, np.int64), np.array(self._uv_corners, np.int64)
        return corners[fans], uv_corners[fans], np.repeat(np.array(self._owners, np.int32), counts)


@reads("an OBJ file")
def read_obj(path: Path) -> ObjMesh:
    """Read the mesh of `path`; FileFormatError where it is missing, empty or damaged. Normals are not read."""
    text = read_text(path)
    grouped = "usemtl" not in text
    positions: list[list[str]] = []
    uvs: list[list[str]] = []
    rings = _Rings()
    materials: dict[str, int] = {"": 0}
    current = 0
    with border(path, "an OBJ of numbers"), np.errstate(over="ignore"):
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                positions.append(rest.split()[:3])
            elif kind == "vt":
                uvs.append(rest.split()[:2])
            elif kind == "f":
                rings.add(rest.split(), current)
            elif kind == "usemtl" or (grouped and kind == "g"):
                current = materials.setdefault(rest.strip(), len(materials))
        xyz = np.array(positions, np.float32)
        uv = np.array(uvs, np.float64).reshape(-1, 2)
        faces, uv_faces, owner = rings.triangles()
    if not positions or not len(faces):
        raise FileFormatError(f"{path}: expected vertices and faces, found {len(positions)} and {len(faces)}")
    has_uv = len(uv) > 0 and rings.have_uvs
    faces = np.where(faces < 0, faces + len(xyz), faces - 1)
    uv_faces = np.where(uv_faces < 0, uv_faces + len(uv), uv_faces - 1) if has_uv else np.zeros_like(faces)
    check_vertices(str(path), xyz)
    if not (np.abs(uv) <= FARTHEST_UV).all():  # NaN too
        raise FileFormatError(
            f"{path}: expected texture coordinates within {FARTHEST_UV:g}, found NaN, infinity or more; export it again"
        )
    if faces.min() < 0 or faces.max() >= len(xyz) or (has_uv and (uv_faces.min() < 0 or uv_faces.max() >= len(uv))):
        raise FileFormatError(f"{path}: expected face indices up to {len(xyz)}, found some outside; export it again")
    # flipped in double precision: what write_obj wrote comes back as the same float32, so a topology keeps its hash
    uv = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32) if len(uv) else np.zeros((1, 2), np.float32)
    return ObjMesh(xyz, uv, faces.astype(np.int32), uv_faces.astype(np.int32), owner, tuple(materials))


def read_textured_obj(path: Path) -> ObjMesh:
    """`read_obj` of a mesh that maps are laid on: FileFormatError too where it has no texture coordinates."""
    mesh = read_obj(path)
    if not np.ptp(mesh.uvs, axis=0).all():
        raise FileFormatError(
            f"{path}: expected texture coordinates (vt) on every face, found none, so no map has a place; "
            "export it with its UVs"
        )
    return mesh


def write_obj(path: Path, mesh: ObjMesh) -> None:
    """Write `mesh` (same order, `usemtl` per run of faces), whole or not at all; ExportError when the place cannot be
    written."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.positions.tolist()]
    lines += [f"vt {u:.9g} {1 - v:.17g}" for u, v in mesh.uvs.astype(np.float64).tolist()]
    current = -1
    for face, uv_face, material in zip(
        (mesh.faces + 1).tolist(), (mesh.uv_faces + 1).tolist(), mesh.face_materials.tolist(), strict=True
    ):
        if material != current:
            current = material
            lines.append(f"usemtl {mesh.materials[material]}")
        lines.append("f " + " ".join(f"{vertex}/{uv}" for vertex, uv in zip(face, uv_face, strict=True)))
    write_bytes(path, ("\n".join(lines) + "\n").encode())
