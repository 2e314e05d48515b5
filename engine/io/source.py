"""What files say of a head, before anybody asks where its mouth is: what every reader of a mesh gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.errors import FileFormatError
from engine.identity import Provenance
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.mesh import PARTS, Part

UNITS_M = {"metre": 1.0, "decimetre": 0.1, "centimetre": 0.01, "millimetre": 0.001, "inch": 0.0254}
SMALLEST_M, LARGEST_M = 0.16, 0.50
"""Height of what people save as a head: from a face with forehead to a bust with shoulders."""


@dataclass(frozen=True, eq=False)
class SourceMesh:
    """A mesh in its file's own order, polygons as they are."""

    positions: np.ndarray
    """(V, 3) floats in the file's unit."""
    uvs: np.ndarray
    """(U, 2) floats, origin moved to the top-left; one texel where the file has none."""
    sizes: np.ndarray
    """(P,) how many corners each polygon has, at least 3."""
    corners: np.ndarray
    """(C,) int32 vertices of the polygons' corners, one polygon after the other."""
    uv_corners: np.ndarray
    """(C,) int32 texture coordinates of the same; zeros where the file has none."""
    polygon_materials: np.ndarray
    """(P,) int32 indices into `materials`."""
    materials: tuple[str, ...]
    """Names in order of appearance; '' before the first."""
    polygon_groups: np.ndarray | None = None
    """(P,) int32 indices into `groups`; None where there are none."""
    groups: tuple[str, ...] = ()

    @classmethod
    def of_triangles(
        cls,
        positions: np.ndarray,
        uvs: np.ndarray,
        faces: np.ndarray,
        uv_faces: np.ndarray,
        face_materials: np.ndarray,
        materials: tuple[str, ...],
    ) -> SourceMesh:
        """The mesh of (F, 3) `faces` and `uv_faces`."""
        sizes = np.full(len(faces), 3)
        return cls(positions, uvs, sizes, faces.ravel(), uv_faces.ravel(), face_materials, materials)

    @cached_property
    def faces(self) -> np.ndarray:
        """(F, 3) int32: polygons as triangle fans."""
        return self.corners[self._fans]

    @cached_property
    def uv_faces(self) -> np.ndarray:
        """(F, 3) int32 of the same triangles."""
        return self.uv_corners[self._fans]

    @cached_property
    def _fans(self) -> np.ndarray:
        """(F, 3) numbers of corners."""
        counts = self.sizes - 2
        first = np.repeat(np.cumsum(self.sizes) - self.sizes, counts)
        second = first + 1 + np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([first, second, second + 1], axis=1)

    @property
    def parts(self) -> np.ndarray:
        """(F,) uint8 indices into `PARTS`: skin, but where a material has the name of another part."""
        parts = [PARTS.index(Part(name) if name in set(Part) else Part.SKIN) for name in self.materials]
        return np.array(parts, np.uint8)[np.repeat(self.polygon_materials, self.sizes - 2)]


def metres_per_unit(positions: np.ndarray, path: Path) -> float:
    """Metres per unit of (V, 3) `positions` in the file `path`; FileFormatError where no common unit gives a head.

    The unit is chosen that brings the height nearest to 0.3 m; inches only where no metric unit fits.
    """
    height = float(np.ptp(positions[:, 1]))
    fits = {name: scale for name, scale in UNITS_M.items() if SMALLEST_M <= height * scale <= LARGEST_M}
    metric = {name: scale for name, scale in fits.items() if name != "inch"} or fits
    if not metric:
        raise FileFormatError(
            f"{path}: expected a head {SMALLEST_M * 1000:g} to {LARGEST_M * 1000:g} mm tall in m, dm, cm, mm or inch, "
            f"found {height:g} units from top to bottom; scale it"
        )
    return min(metric.values(), key=lambda scale: abs(height * scale - 0.3))


def seed_from(path: str, text: str) -> int:
    """The seed that `text`, a part of `path`, says; FileFormatError."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise FileFormatError(f"{path}: expected a whole number from 0 as seed, found '{text}'")
    return int(text)


@dataclass(frozen=True, eq=False, slots=True)
class SourceHead:
    """A head as its files say it."""

    path: Path
    """What errors name."""
    kind: str
    """What `path` was taken for: "an ICT-FaceKit folder"."""
    name: str
    mesh: SourceMesh
    metres_per_unit: float
    provenance: Provenance
    parts: np.ndarray | None = None
    """(F,) uint8 indices into `PARTS` of the mesh's triangles, where the format numbers its vertices by them."""
    map_files: Mapping[str, Path] = field(default_factory=dict)
    """File of each map that came with it, by `channels.MAP_NAMES`, for all materials; without any, skin is painted."""
    conventions: MapConventions = PUBLISHED
    """How those are to be read."""
    eyeballs: Mapping[Part, SourceMesh] = field(default_factory=dict)
    """Meshes of their own, in the same unit."""
    eye_file: Path | None = None
    """Albedo of both eyeballs, seen from the front."""
    is_ffhq_uv: bool = False
    """Whether it must have the texture layout of FFHQ-UV, and lids to be repaired."""
    seed: int = 0
    """Draws what is painted because no file says it."""
