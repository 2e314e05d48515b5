"""Wavefront OBJ: meshes in vertex order, with texture coordinates, materials and groups."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from engine.errors import FileFormatError
from engine.io.border import border, reads
from engine.io.files import check_vertices, read_text, write_bytes
from engine.io.source import SourceMesh
from engine.mesh import FARTHEST_UV

MOST_CORNERS = 1000
"""Of one polygon: the cap of a cylinder has dozens; a fan of thousands is a damaged file and no surface of a head."""


class _Polygons:
    """The corners of every polygon of a file, as numbers: as text, or a tuple a triangle, they take fifty times it."""

    def __init__(self) -> None:
        self.have_uvs = True
        self.corners, self.uv_corners = array("q"), array("q")
        self.sizes, self.materials, self.groups = array("q"), array("q"), array("q")

    def add(self, ring: list[str], material: int, group: int) -> None:
        """A polygon of `ring` (`v`, `v/vt` or `v/vt/vn` each); ValueError or OverflowError where one is no number."""
        if len(ring) > MOST_CORNERS:
            raise ValueError(f"a polygon of {len(ring)} corners, more than {MOST_CORNERS}; triangulate it")
        if len(ring) < 3:
            return
        for corner in ring:
            vertex, *others = corner.split("/")
            self.corners.append(int(vertex))
            if others and others[0]:
                self.uv_corners.append(int(others[0]))
            else:
                self.uv_corners.append(0)
                self.have_uvs = False
        self.sizes.append(len(ring))
        self.materials.append(material)
        self.groups.append(group)


@reads("an OBJ file")
def read_obj(path: Path) -> SourceMesh:
    """Read the mesh of `path`; FileFormatError where it is missing, empty or damaged. Normals are not read.

    Where a file has no `usemtl`, its groups are its materials.
    """
    text = read_text(path)
    grouped = "usemtl" not in text
    positions: list[list[str]] = []
    uvs: list[list[str]] = []
    polygons = _Polygons()
    materials: dict[str, int] = {"": 0}
    groups: dict[str, int] = {"": 0}
    material = group = 0
    with border(path, "an OBJ of numbers"), np.errstate(over="ignore"):
        for line in text.splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "v":
                positions.append(rest.split()[:3])
            elif kind == "vt":
                uvs.append(rest.split()[:2])
            elif kind == "f":
                polygons.add(rest.split(), group if grouped else material, group)
            elif kind == "usemtl":
                material = materials.setdefault(rest.strip(), len(materials))
            elif kind == "g":
                group = groups.setdefault(rest.strip(), len(groups))
        xyz = np.array(positions, np.float32)
        uv = np.array(uvs, np.float64).reshape(-1, 2)
        corners, uv_corners = np.array(polygons.corners, np.int64), np.array(polygons.uv_corners, np.int64)
    if not positions or not len(corners):
        triangles = len(corners) - 2 * len(polygons.sizes)
        raise FileFormatError(f"{path}: expected vertices and faces, found {len(positions)} and {triangles}")
    has_uv = len(uv) > 0 and polygons.have_uvs
    corners = np.where(corners < 0, corners + len(xyz), corners - 1)
    uv_corners = np.where(uv_corners < 0, uv_corners + len(uv), uv_corners - 1) if has_uv else np.zeros_like(corners)
    check_vertices(str(path), xyz)
    if not (np.abs(uv) <= FARTHEST_UV).all():  # NaN too
        raise FileFormatError(
            f"{path}: expected texture coordinates within {FARTHEST_UV:g}, found NaN, infinity or more; export it again"
        )
    inside = corners.min() >= 0 and corners.max() < len(xyz)
    if not inside or (has_uv and (uv_corners.min() < 0 or uv_corners.max() >= len(uv))):
        raise FileFormatError(f"{path}: expected face indices up to {len(xyz)}, found some outside; export it again")
    # flipped in double precision: what write_obj wrote comes back as the same float32, so a topology keeps its hash
    uv = np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1).astype(np.float32) if len(uv) else np.zeros((1, 2), np.float32)
    return SourceMesh(
        xyz,
        uv,
        np.array(polygons.sizes, np.int64),
        corners.astype(np.int32),
        uv_corners.astype(np.int32),
        np.array(polygons.materials, np.int32),
        tuple(groups if grouped else materials),
        np.array(polygons.groups, np.int32),
        tuple(groups),
    )


def read_textured_obj(path: Path) -> SourceMesh:
    """`read_obj` of a mesh that maps are laid on: FileFormatError too where it has no texture coordinates."""
    mesh = read_obj(path)
    if not np.ptp(mesh.uvs, axis=0).all():
        raise FileFormatError(
            f"{path}: expected texture coordinates (vt) on every face, found none, so no map has a place; "
            "export it with its UVs"
        )
    return mesh


def write_obj(path: Path, mesh: SourceMesh) -> None:
    """Write `mesh` (same order, `usemtl` per run of polygons), whole or not at all; ExportError when the place cannot
    be written. Groups are not written."""
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in mesh.positions.tolist()]
    lines += [f"vt {u:.9g} {1 - v:.17g}" for u, v in mesh.uvs.astype(np.float64).tolist()]
    pairs = zip((mesh.corners + 1).tolist(), (mesh.uv_corners + 1).tolist(), strict=True)
    corners = [f"{vertex}/{uv}" for vertex, uv in pairs]
    current, start = -1, 0
    for size, material in zip(mesh.sizes.tolist(), mesh.polygon_materials.tolist(), strict=True):
        if material != current:
            current = material
            lines.append(f"usemtl {mesh.materials[material]}")
        lines.append("f " + " ".join(corners[start : start + size]))
        start += size
    write_bytes(path, ("\n".join(lines) + "\n").encode())
