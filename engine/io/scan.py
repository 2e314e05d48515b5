"""A head of anybody's: one OBJ, and its maps in files of whatever names (`engine.io.map_names`)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from engine.checks import LONGEST_TEXT, printable
from engine.identity import Provenance
from engine.io.border import name_from, reads
from engine.io.jreflectance import persons_of
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.map_names import by_names, map_files, packed_in_green
from engine.io.obj import read_textured_obj
from engine.io.source import SourceHead, metres_per_unit
from engine.io.temporary import finished

LOG = logging.getLogger(__name__)


def can_read(path: str) -> int:
    """How surely `path` is an OBJ or a folder with one, 0 for not at all."""
    return 3 if mesh_of(Path(path).expanduser()) is not None else 0


def mesh_of(path: Path) -> Path | None:
    """The OBJ that `path` is, or the only one in that folder; None where there is none, and for a data set."""
    if path.is_file():
        return path if path.suffix.casefold() == ".obj" else None
    meshes = meshes_in(path) if path.is_dir() else []
    return meshes[0] if len(meshes) == 1 and not persons_of(path) else None


def meshes_in(folder: Path) -> list[Path]:
    """The OBJ files of a folder."""
    return [path for path in finished(folder) if path.suffix.casefold() == ".obj"]


@reads("a mesh with its maps")
def read(path: Path, conventions: MapConventions = PUBLISHED, given: Mapping[str, str] | None = None) -> SourceHead:
    """Read the mesh at `path`, and find the maps beside it; FileFormatError says what is missing.

    `given` as in `engine.io.map_names.map_files`.
    """
    mesh = read_textured_obj(path)
    files = map_files(path.parent, given or {})
    scale = metres_per_unit(mesh.positions, path)
    which = ", ".join(f"{kind} {file.name}{' (green)' * packed_in_green(file)}" for kind, file in files.items())
    LOG.info("%s: %s", path, which)
    note = printable(f"1 unit = {scale * 1000:g} mm by head size; {which}")[:LONGEST_TEXT]
    return SourceHead(
        path=path,
        kind="a mesh with its maps",
        name=name_from(path.with_suffix("")),
        mesh=mesh,
        metres_per_unit=scale,
        provenance=Provenance(name_from(path), "unknown", note),
        map_files=files,
        conventions=by_names(conventions, files),
    )
