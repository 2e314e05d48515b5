"""Mesh connectivity and the geometry that follows from it.

Letters in shapes: V vertices, F triangles, U texture coordinates. Metres, right-handed, +Y up, the face looks along +Z,
the subject's left is +X, counter-clockwise is front. UV origin is the image's top-left corner.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from engine.checks import check_count
from engine.derived import derived
from engine.errors import check_array, check_magnitude


class Part(StrEnum):
    """What a triangle belongs to. It decides shading, and which rule moves it when the face moves."""

    SKIN = "skin"
    MOUTH = "mouth"
    """Mouth bag, gums and tongue."""
    TEETH = "teeth"
    EYE_LEFT = "eye_left"
    """The subject's left eyeball (+X)."""
    EYE_RIGHT = "eye_right"
    SOCKET = "socket"
    """Inside of the eye socket, behind the lids."""
    OVERLAY = "overlay"
    """Lashes, tear line and other cards that need a texture of their own: kept and exported, not drawn."""
    HAIR = "hair"
    """Ribbons, each of one or more hairs side by side. Texture coordinates run along each from the root to the tip, v
    growing; the diffuse map holds the colours."""


PARTS: tuple[Part, ...] = tuple(Part)
FARTHEST_UV = 1e4
"""Texture coordinate: tiles are numbered to 1e3, and single precision still parts the texels of a map there."""


@dataclass(frozen=True, eq=False, slots=True)
class Registration:
    """Where a topology's skin lies in the canonical space: read off its UVs, shipped, or fitted."""

    vertices: np.ndarray
    """(N,) int64 indices of the skin vertices that have a canonical place."""
    opened_uv: np.ndarray
    """(N, 2) float32 place of each in the opened layout."""
    same_layout: bool = False
    """Whether the head's own UVs are the canonical ones, so that maps need no resampling."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "vertices", check_array("Registration.vertices", self.vertices, ("N",), np.int64))
        places = check_array("Registration.opened_uv", self.opened_uv, (len(self.vertices), 2), np.float32)
        set_(self, "opened_uv", places)


@dataclass(frozen=True, eq=False)
class Topology:
    """Connectivity of a head, all its parts in one vertex array."""

    faces: np.ndarray
    """(F, 3) int32 vertex indices, counter-clockwise seen from outside."""
    uvs: np.ndarray
    """(U, 2) float32, origin top-left of the image."""
    uv_faces: np.ndarray
    """(F, 3) int32 indices into `uvs`, corner by corner."""
    face_parts: np.ndarray
    """(F,) uint8 indices into `PARTS`."""
    vertex_count: int
    """V, including vertices no face uses."""
    head_vertex_count: int
    """The first so many vertices are the head file's own, in its own order: what `shape.npy` holds. What follows
    (eyeballs from other files, teeth the program added) travels beside it."""
    registration: Registration | None = None
    """Given where neither the UVs nor a shipped registration tell it (`engine.face.registration.registered`)."""

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        set_(self, "faces", check_array("Topology.faces", self.faces, ("F", 3), np.int32))
        set_(self, "uvs", check_array("Topology.uvs", self.uvs, ("U", 2), np.float32))
        set_(self, "uv_faces", check_array("Topology.uv_faces", self.uv_faces, (len(self.faces), 3), np.int32))
        set_(self, "face_parts", check_array("Topology.face_parts", self.face_parts, (len(self.faces),), np.uint8))
        check_magnitude("Topology.uvs", self.uvs, FARTHEST_UV)
        check_count("Topology.vertex_count", self.vertex_count, 0, 2**31)
        check_count("Topology.head_vertex_count", self.head_vertex_count, 0, self.vertex_count)
        if len(self.face_parts) and self.face_parts.max() >= len(PARTS):
            raise ValueError(f"Topology.face_parts: expected numbers of {len(PARTS)} parts, found more")
        if len(self.faces) and not (self.faces.min() >= 0 and self.faces.max() < self.vertex_count):
            raise ValueError(f"Topology.faces: expected indices below {self.vertex_count}, found {self.faces.max()}")
        if len(self.faces) and not (self.uv_faces.min() >= 0 and self.uv_faces.max() < len(self.uvs)):
            raise ValueError(f"Topology.uv_faces: expected indices below {len(self.uvs)}, found {self.uv_faces.max()}")
        given = self.registration.vertices if self.registration else np.zeros(0, np.int64)
        if len(given) and not (given.min() >= 0 and given.max() < self.vertex_count):
            raise ValueError(f"Topology.registration: expected vertices below {self.vertex_count}, found others")

    @cached_property
    def hash(self) -> str:
        """Hex digest of connectivity, UVs and a registration that was given: equal for two heads of one topology."""
        digest = hashlib.sha256()
        given = (self.registration.vertices, self.registration.opened_uv) if self.registration else ()
        for array in (self.faces, self.uvs, self.uv_faces, self.face_parts, *given):
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        digest.update(f"{self.vertex_count} {self.head_vertex_count}".encode())
        return digest.hexdigest()[:32]

    def faces_of(self, *parts: Part) -> np.ndarray:
        """(N,) int64 indices of the faces that belong to any of `parts`."""
        return np.flatnonzero(np.isin(self.face_parts, [PARTS.index(part) for part in parts]))

    def vertices_of(self, *parts: Part) -> np.ndarray:
        """(N,) int64 sorted indices of the vertices used by faces of any of `parts`."""
        used = np.zeros(self.vertex_count, bool)
        used[self.faces[self.faces_of(*parts)]] = True
        return np.flatnonzero(used)

    def vertex_normals(self, positions_m: np.ndarray) -> np.ndarray:
        """`vertex_normals` of (V, 3) positions in metres; of the first N vertices for (N, 3), by the faces between
        those."""
        return self._normals(len(positions_m))(positions_m)

    @derived
    def _normals(self, count: int) -> _Normals:
        return _Normals(self.faces[(self.faces < count).all(axis=1)], count)


def vertex_normals(positions_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(V, 3) float32 unit normals, face normals weighted by area. A vertex without area gets +Z.

    Area weighting: Gouraud 1971 with the cross product left unnormalised. Of a `Topology` its own method is faster.
    """
    return _Normals(faces, len(positions_m))(positions_m)


class _Normals:
    """What `vertex_normals` needs to know of the faces: a sparse matrix from faces to vertices."""

    def __init__(self, faces: np.ndarray, vertex_count: int) -> None:
        ones, number = np.ones(faces.size, np.float32), np.repeat(np.arange(len(faces)), 3)
        self._at_corners = csr_array((ones, (faces.ravel(), number)), shape=(vertex_count, len(faces)))
        self._corners = np.ascontiguousarray(faces.T).astype(np.intp)

    def __call__(self, positions_m: np.ndarray) -> np.ndarray:
        axes = np.ascontiguousarray(positions_m.T)  # an axis at a time is several times faster
        start, along, other = (axes.take(corner, axis=1) for corner in self._corners)
        along -= start
        other -= start
        sums = np.empty_like(axes)
        for axis in range(3):
            y, z = (axis + 1) % 3, (axis + 2) % 3
            sums[axis] = self._at_corners @ (along[y] * other[z] - along[z] * other[y])  # twice the area
        lengths = np.sqrt(np.einsum("ij,ij->j", sums, sums))
        flat = lengths < 1e-20
        sums /= np.where(flat, 1.0, lengths)
        sums[:, flat] = np.array([[0.0], [0.0], [1.0]])
        return np.ascontiguousarray(sums.T, np.float32)


def sphere(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the sphere that fits (N, 3) points best (algebraic least squares)."""
    design = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    solution = np.linalg.lstsq(design, (points**2).sum(axis=1), rcond=None)[0]
    return solution[:3], float(np.sqrt(max(solution[3] + (solution[:3] ** 2).sum(), 0.0)))
