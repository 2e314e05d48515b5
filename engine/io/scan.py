"""A head of anybody's: one OBJ, and its maps in files of whatever names (`engine.io.map_names`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.channels import DIFFUSE, ROUGHNESS
from engine.checks import LONGEST_TEXT, printable
from engine.face import layout
from engine.face.assemble import Piece, assemble
from engine.face.eyes import paint_eye
from engine.face.skin import complete_maps
from engine.face.teeth import dental_arches
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.image import resize_bilinear
from engine.io.border import name_from, reads
from engine.io.images import read_grey, read_rgb
from engine.io.map_conventions import PUBLISHED, MapConventions, f0_scale, maps_from_files, with_note
from engine.io.map_names import PACKED, by_names, map_files, map_name
from engine.io.obj import read_textured_obj
from engine.io.units import metres_per_unit

LOG = logging.getLogger(__name__)


@reads("a mesh with its maps")
def read(path: Path, conventions: MapConventions = PUBLISHED, given: Mapping[str, str] | None = None) -> Identity:
    """Read the mesh at `path` into metres, with the maps beside it; FileFormatError says what is missing.

    All of the mesh wears one set of maps, each brought to the size of the diffuse one. What has no file is completed:
    from the diffuse map in the FFHQ-UV texture layout, else evenly. `given` as in `engine.io.map_names.map_files`.
    """
    mesh = read_textured_obj(path)
    files = map_files(path.parent, given or {})
    conventions = by_names(conventions, files)
    scale = metres_per_unit(mesh.positions, path)
    parts = layout.canonical_parts(mesh.uvs, mesh.uv_faces)
    head = Piece(mesh.positions * scale, mesh.faces, mesh.uvs, mesh.uv_faces, mesh.parts if parts is None else parts)
    maps = _read_maps(files, conventions, canonical=parts is not None)
    which = ", ".join(f"{kind} {file.name}{_green(file) and ' (green)'}" for kind, file in files.items())
    LOG.info("%s: %s", path, which)
    note = printable(f"1 unit = {scale * 1000:g} mm by head size; {which}")[:LONGEST_TEXT]
    identity = assemble(
        name=name_from(path.with_suffix("")),
        pieces=[head] if parts is None else [head, *dental_arches(head)],
        maps=maps,
        eye_srgb=paint_eye(seed=0),
        known_maps=frozenset(files),
        provenance=with_note(Provenance(name_from(path), "unknown", note), conventions),
    )
    stated = f0_scale(maps.specular_data, conventions)
    return identity if stated is None else replace(identity, specular_f0_scale=stated)


def _read_maps(files: Mapping[str, Path], conventions: MapConventions, canonical: bool) -> ReflectanceMaps:
    diffuse = read_rgb(files[DIFFUSE.name], srgb=True)
    size = diffuse.shape[:2]
    pixels = {name: _sized(_read(name, file), size) for name, file in files.items() if name != DIFFUSE.name}
    own = complete_maps(diffuse) if canonical else None
    return maps_from_files(pixels | {DIFFUSE.name: diffuse}, conventions, own)


def _green(file: Path) -> str:
    """Not empty where roughness is packed in green."""
    return PACKED if map_name(file).form == PACKED else ""


def _read(name: str, file: Path) -> np.ndarray:
    if name != ROUGHNESS.name:
        return read_rgb(file)
    return np.ascontiguousarray(read_rgb(file)[..., 1]) if _green(file) else read_grey(file)


def _sized(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """uint8 `image` sampled at the texels of (H, W) `size`."""
    height, width = size
    return image if image.shape[:2] == size else np.rint(resize_bilinear(image, (height, width))).astype(np.uint8)
