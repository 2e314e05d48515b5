"""A person: neutral head, its four reflectance maps, its eyes, and where all of it came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine.channels import MAP_NAMES, MAPS, STEEPEST
from engine.checks import check_range, check_text, short
from engine.errors import check_array, check_magnitude
from engine.mesh import Topology
from engine.sides import LeftShare, left_share

SKIN_F0 = 0.028
"""Mean normal-incidence reflectance of skin, ((n-1)/(n+1))^2 at n = 1.4 (d'Eon and Luebke 2007, GPU Gems 3 ch. 14)."""

LARGEST_SIDE = 16384
"""Texels of a map."""
FARTHEST_M = 1000.0
LONGEST_NAME = 1024
"""Characters: prompts are names of expressions."""
_LARGEST_F0_SCALE = 100.0
"""A map whose brightest texel is 1 of 255 needs 7 to mean skin."""


@dataclass(frozen=True, eq=False, slots=True)
class ReflectanceMaps:
    """The maps of one face, absolute, on one UV layout and of one size (H, W); `engine.channels.MAPS` lists them."""

    diffuse_srgb: np.ndarray
    """(H, W, 3) uint8 diffuse albedo, sRGB-encoded."""
    specular_data: np.ndarray
    """(H, W, 3) uint8 specular intensity, linear; F0 = `Identity.specular_f0_scale` * value / 255."""
    roughness_data: np.ndarray
    """(H, W) uint8 perceptual roughness, linear; alpha is its square."""
    slope: np.ndarray
    """(H, W, 2) float16 tangent-space slopes (nx / nz, ny / nz); x along +U, y up the image (OpenGL convention)."""

    def __post_init__(self) -> None:
        size: tuple[int | str, ...] = ("H", "W")
        for row, image in zip(MAPS, self.images, strict=True):
            checked = check_array(row.field, image, (*size, *row.shape), row.dtype)
            size = checked.shape[:2]
            object.__setattr__(self, row.field, checked)
        for side in self.size:
            check_range("maps: texels a side", side, 1, LARGEST_SIDE)
        check_magnitude("slope", self.slope, STEEPEST)

    @property
    def images(self) -> tuple[np.ndarray, ...]:
        """All of them, in the order of `engine.channels.MAPS`."""
        return tuple(getattr(self, row.field) for row in MAPS)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in texels."""
        height, width = self.diffuse_srgb.shape[:2]
        return height, width


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where something came from and what may be done with it."""

    source: str
    """Path, command or model that made it, for people."""
    licence: str
    """SPDX name, or a sentence where there is none."""
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("source", "licence", "note"):
            check_text(f"Provenance.{name}", getattr(self, name))


UNKNOWN = Provenance("unknown", "unknown")


@dataclass(frozen=True, eq=False)
class Identity:
    """One person at rest."""

    name: str
    topology: Topology
    positions_m: np.ndarray
    """(V, 3) float32 neutral positions in metres."""
    maps: ReflectanceMaps
    """Neutral maps, laid out in `topology.uvs`, for skin (and the mouth bag where the source paints it there)."""
    eye_srgb: np.ndarray
    """(H, W, 3) uint8 eyeball albedo seen from the front, sRGB; eye faces carry UVs into it."""
    occlusion: np.ndarray
    """(V,) float32 0..1, share of the sky a vertex sees where shadow maps cannot tell (mouth, eyes); 1 on skin."""
    known_maps: frozenset[str]
    """Which of diffuse, specular, roughness, normal came with the input; the others were completed."""
    provenance: Provenance
    specular_f0_scale: float = SKIN_F0 / (37.0 / 255.0)
    """F0 per unit of specular map: 37/255 is the mean of captured light-stage skin (ExpDiff samples)."""

    def __post_init__(self) -> None:
        set_, count = object.__setattr__, self.topology.vertex_count
        check_text("Identity.name", self.name, LONGEST_NAME)
        check_range("Identity.specular_f0_scale", self.specular_f0_scale, 0.0, _LARGEST_F0_SCALE)
        if not self.known_maps <= set(MAP_NAMES):
            raise ValueError(f"Identity.known_maps: expected {', '.join(MAP_NAMES)}, found {short(self.known_maps)}")
        set_(self, "positions_m", check_array(f"{self.name}: positions_m", self.positions_m, (count, 3), np.float32))
        check_magnitude(f"{self.name}: positions_m", self.positions_m, FARTHEST_M)
        for side in np.shape(self.eye_srgb)[:2]:
            check_range("eye_srgb: texels a side", side, 1, LARGEST_SIDE)
        set_(self, "eye_srgb", check_array(f"{self.name}: eye_srgb", self.eye_srgb, ("H", "W", 3), np.uint8))
        set_(self, "occlusion", check_array(f"{self.name}: occlusion", self.occlusion, (count,), np.float32))

    @cached_property
    def left_share(self) -> LeftShare:
        """How much of each vertex and texel is the subject's left side."""
        return left_share(self.positions_m, self.topology)

    @cached_property
    def hash(self) -> str:
        """Hex digest of the head itself, not of its name: the key of caches and of generated sets."""
        digest = hashlib.sha256(self.topology.hash.encode())
        for array in (self.positions_m, *self.maps.images):
            digest.update(str(array.shape).encode())
            digest.update(memoryview(array))  # pyright: ignore[reportArgumentType] - a buffer since Python 3.12
        return digest.hexdigest()[:32]
