"""How the maps in a head's files are to be read: what program, scanner or light stage wrote them states it nowhere.

In memory there is one convention (docs/conventions.md); files are brought to it as they are read, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any, get_type_hints

import numpy as np

from engine.channels import DIFFUSE, MAP_NAMES, MAPS, NORMAL, ROUGHNESS, SPECULAR, FaceMap
from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.errors import FileFormatError
from engine.identity import SKIN_F0, Provenance, ReflectanceMaps
from engine.image import slope_from_normal_bytes


class Diffuse(StrEnum):
    """What the diffuse map is. Values are what `--maps` takes."""

    ALBEDO = "albedo"
    """The share that scatters back of the light that has entered the skin."""
    MEASURED = "measured"
    """What a camera sees under even, cross-polarised light: what the surface reflected has left it (Ma et al. 2007)."""


class Specular(StrEnum):
    """What the value 1 of the specular map means."""

    INTENSITY = "intensity"
    """F0 of the published sets: 37/255, their mean over skin, is 0.028."""
    MEAN = "mean"
    """F0 by the map itself: its mean where it is not black is 0.028."""
    F0 = "f0"
    """F0 = 1."""
    UNREAL = "unreal"
    """F0 = 0.08."""


class Encoding(StrEnum):
    """How the specular map is encoded."""

    LINEAR = "linear"
    SRGB = "srgb"


class Finish(StrEnum):
    """What the roughness map holds."""

    ROUGHNESS = "roughness"
    """Perceptual roughness."""
    GLOSS = "gloss"
    """1 - perceptual roughness."""
    ALPHA = "alpha"
    """GGX alpha, the square of perceptual roughness."""


class Normal(StrEnum):
    """Where the green of the normal map points."""

    OPENGL = "opengl"
    """Up the image."""
    DIRECTX = "directx"
    """Down the image."""


@dataclass(frozen=True, slots=True)
class MapConventions:
    """How files are read; the defaults are the published layout's."""

    diffuse: Diffuse = Diffuse.ALBEDO
    specular: Specular = Specular.INTENSITY
    encoding: Encoding = Encoding.LINEAR
    roughness: Finish = Finish.ROUGHNESS
    normal: Normal = Normal.OPENGL

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(MapConventions).items():  # as text they come from a list of a window
            object.__setattr__(self, name, kind(getattr(self, name)))

    def __str__(self) -> str:
        """What differs from the defaults, as `parse_conventions` takes it."""
        return ",".join(
            f"{part.name}={getattr(self, part.name)}"
            for part in fields(self)
            if getattr(self, part.name) != part.default
        )


PUBLISHED = MapConventions()

_REFLECTED = np.array([0.0742, 0.0737, 0.0698, 0.0618, 0.0522, 0.0430, 0.0351, 0.0285, 0.0229, 0.0184, 0.0147])
"""Share of an even light that skin of F0 0.028 reflects at the surface in all directions, at perceptual roughness 0,
0.1 .. 1: the specular albedo of the renderer's lobe, averaged over views (tests/io/test_map_conventions.py)."""
_UNREAL_F0 = 0.08


def parse_conventions(text: str) -> MapConventions:
    """KEY=VALUE pairs with commas, such as `specular=f0,normal=directx`. FileFormatError names what is possible."""
    kinds: dict[str, type[StrEnum]] = get_type_hints(MapConventions)
    chosen: dict[str, Any] = {}
    for pair in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = (piece.strip().lower() for piece in pair.partition("="))
        if key not in kinds or value not in set(kinds[key]):
            possible = ", ".join(f"{name}={'|'.join(kind)}" for name, kind in kinds.items())
            raise FileFormatError(f"maps: expected {possible}; found '{pair}'")
        chosen[key] = kinds[key](value)
    return MapConventions(**chosen)


def maps_from_files(
    pixels: Mapping[str, np.ndarray], conventions: MapConventions, own: ReflectanceMaps | None = None
) -> ReflectanceMaps:
    """The maps of one face from `pixels` by `MAP_NAMES`, (H, W, 3) uint8 or (H, W) as the files hold them; those
    without a file are `own`'s, or even."""
    size = pixels[DIFFUSE.name].shape[:2]
    stored = dict(zip(MAP_NAMES, own.images, strict=True)) if own else {}
    for row in MAPS:
        if row.name in pixels:
            stored[row.name] = _stored(row, pixels[row.name], conventions)
        elif own is None:
            stored[row.name] = row.blank(size)
    if conventions.diffuse is Diffuse.MEASURED:
        stored[DIFFUSE.name] = albedo_from_measured(stored[DIFFUSE.name], stored[ROUGHNESS.name])
    return ReflectanceMaps(*(stored[name] for name in MAP_NAMES))


def _stored(row: FaceMap, pixels: np.ndarray, conventions: MapConventions) -> np.ndarray:
    """`pixels` of a file as the map is stored in memory."""
    levels = np.arange(256, dtype=np.uint8)
    if row is SPECULAR and conventions.encoding is Encoding.SRGB:
        return bytes_from_unit(linear_from_srgb(levels))[pixels]
    if row is ROUGHNESS and conventions.roughness is Finish.GLOSS:
        return levels[::-1][pixels]
    if row is ROUGHNESS and conventions.roughness is Finish.ALPHA:
        return bytes_from_unit(np.sqrt(levels / np.float32(255)))[pixels]
    return slope_from_normal_bytes(pixels, conventions.normal is Normal.DIRECTX) if row is NORMAL else pixels


def albedo_from_measured(diffuse_srgb: np.ndarray, roughness_data: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 sRGB albedo of what a camera saw, given the (H, W) uint8 perceptual roughness.

    The camera saw albedo times (1 - E), E what the surface keeps out; the renderer takes (1 - E) again at each view, so
    the map is divided by its mean over views. Ma et al. 2007, "Rapid Acquisition of Specular and Diffuse Normal Maps
    from Polarized Spherical Gradient Illumination".
    """
    levels = np.arange(256, dtype=np.uint8)
    entered = 1 - np.interp(levels / 255, np.linspace(0, 1, len(_REFLECTED)), _REFLECTED)
    table = bytes_from_unit(srgb_from_linear(linear_from_srgb(levels)[None] / entered[:, None]))
    return table[roughness_data[..., None], diffuse_srgb]


def with_note(provenance: Provenance, conventions: MapConventions) -> Provenance:
    """`provenance` that also says how the maps were read, where that is not the published way."""
    if conventions == PUBLISHED:
        return provenance
    note = "; ".join(filter(None, (provenance.note, f"maps read as {conventions}")))
    return replace(provenance, note=note)


def f0_scale(specular_data: np.ndarray, conventions: MapConventions) -> float | None:
    """F0 per unit of the (H, W, 3) uint8 linear specular map; None where the published scale or a stated one counts."""
    if conventions.specular is Specular.F0:
        return 1.0
    if conventions.specular is Specular.UNREAL:
        return _UNREAL_F0
    if conventions.specular is Specular.MEAN:
        painted = specular_data[specular_data.max(axis=2) > 0]
        return SKIN_F0 / (float(painted.mean()) / 255) if len(painted) else None
    return None
