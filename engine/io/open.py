"""Open whatever a person names: the built-in head, a folder of one of four kinds, or a saved project."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from engine.errors import FileFormatError
from engine.identity import Identity
from engine.io.border import reads, unpacking
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.temporary import finished
from engine.project import Project, new_project

KINDS = (
    "builtin[:SEED], a person folder (exp1/shape.npy), an FFHQ-UV head folder (mesh_head.obj), an ICT-FaceKit folder "
    "(FaceXModel/generic_neutral_mesh.obj; add ?seed=N for another person) or its identity JSON, "
    "an OBJ, or a folder with one, beside its maps, a saved project (.expdiff)"
)
"""What `open_project` takes, for help."""
_SOUGHT = (
    "builtin[:SEED], an .expdiff or .obj file, or a folder with exp1/shape.npy (person), mesh_head.obj (FFHQ-UV), "
    "FaceXModel/generic_neutral_mesh.obj (ICT-FaceKit) or one OBJ and its maps"
)
_LAYOUT_MESHES = ("mesh_head.obj", "template.obj")
"""What stands for its folder where that has the layout of FFHQ-UV or of a person."""


@reads("a head or a project")
def open_project(path: str, conventions: MapConventions = PUBLISHED, maps: Mapping[str, str] | None = None) -> Project:
    """The project at `path`, which is one of `KINDS`; weights are zero and the head is framed unless it was saved so.

    `conventions` say how map files of others are read, `maps` which file is which map where names do not say it
    (`engine.io.map_names.map_files`). Only the reader that is needed is imported. FileFormatError says what was looked
    for, or that there are no map files to be read in another way.
    """
    with unpacking():
        return _open(str(path), conventions, maps or {})


def _open(path: str, conventions: MapConventions, maps: Mapping[str, str]) -> Project:
    folder = Path(path).expanduser()
    if folder.name in _LAYOUT_MESHES and _has_map_files(folder.parent):
        path, folder = str(folder.parent), folder.parent
    if mesh := mesh_with_maps(folder):
        from engine.io import scan

        return new_project(scan.read(mesh, conventions, maps))
    if maps:
        raise FileFormatError(
            f"{path}: expected an OBJ, or a folder with one, that wears {', '.join(maps.values())}; found "
            + ("a layout that says which file is which map" if _has_layout(folder) else "none")
        )
    if conventions != PUBLISHED and not _has_map_files(folder):
        raise FileFormatError(
            f"{path}: expected a folder with map files to be read with {conventions}, found none; maps of saved "
            "projects and of built-in and ICT-FaceKit heads are this program's own"
        )
    if path == "builtin" or path.startswith("builtin:"):
        from engine.face.builtin import builtin_identity

        return new_project(builtin_identity(_seed(path, path[8:] or "0")))
    place, question, query = path.partition("?") if not Path(path).exists() else (path, "", "")
    folder = Path(place).expanduser()
    if question:
        return new_project(_ict_by_seed(path, folder, query))
    if not folder.exists():
        raise FileFormatError(f"{path}: expected {_SOUGHT}; found nothing of that name")
    return _open_folder(folder, conventions) if folder.is_dir() else _open_file(folder)


def mesh_with_maps(path: Path) -> Path | None:
    """The OBJ that is opened for `path`, with the maps beside it; None where a layout says which file is which map."""
    from engine.io.jreflectance import persons_of

    if path.suffix.casefold() == ".obj" and path.is_file():
        return path
    if not path.is_dir() or _has_layout(path):
        return None
    meshes = _meshes(path)
    return meshes[0] if len(meshes) == 1 and not persons_of(path) else None


def _meshes(folder: Path) -> list[Path]:
    return [path for path in finished(folder) if path.suffix.casefold() == ".obj"]


def _has_layout(folder: Path) -> bool:
    from engine.io import ict

    return _has_map_files(folder) or (folder.is_dir() and ict.model_folder(folder) is not None)


def _has_map_files(folder: Path) -> bool:
    from engine.io import jreflectance

    return jreflectance.is_person_folder(folder) or _is_ffhq_uv(folder)


def _is_ffhq_uv(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("mesh_head.obj", "tex_uv.png"))


def _seed(path: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise FileFormatError(f"{path}: expected a whole number from 0 as seed, found '{text}'")
    return int(text)


def _ict_by_seed(path: str, folder: Path, query: str) -> Identity:
    from engine.io import ict

    key, _, value = query.partition("=")
    if key != "seed":
        raise FileFormatError(f"{path}: expected ?seed=N after an ICT-FaceKit folder, found '?{query}'")
    if ict.model_folder(folder) is None:
        raise FileFormatError(f"{folder}: expected FaceXModel/generic_neutral_mesh.obj (ICT-FaceKit), found none")
    return ict.read(folder, _seed(path, value))


def _open_file(path: Path) -> Project:
    from engine.io import ict
    from engine.io.project import SUFFIX, load_project

    if path.suffix == SUFFIX:
        return load_project(path)
    for folder in (path.parent, path.parent.parent):
        if path.suffix == ".json" and ict.model_folder(folder) is not None:
            return new_project(ict.read(folder, coefficients=ict.read_coefficients(path)))
    raise FileFormatError(f"{path}: expected {_SOUGHT}; found a file of another kind")


def _open_folder(folder: Path, conventions: MapConventions) -> Project:
    from engine.io import jreflectance

    if jreflectance.is_person_folder(folder):
        identity, expressions = jreflectance.read(folder, conventions)
        plain = new_project(identity)
        return Project(identity, expressions, {}, plain.scene)
    if _is_ffhq_uv(folder):
        from engine.io import ffhq_uv

        return new_project(ffhq_uv.read(folder, conventions))
    from engine.io import ict

    if ict.model_folder(folder) is not None:
        return new_project(ict.read(folder))
    raise FileFormatError(f"{folder}: expected {_SOUGHT}; found {_what_is_there(folder)}")


def _what_is_there(folder: Path) -> str:
    """A hint for the commonest slips: the data set above a person, and one expression below."""
    from engine.io.jreflectance import persons_of

    if persons := persons_of(folder):
        shown = ", ".join(persons[:5]) + (", ..." if len(persons) > 5 else "")
        return f"a data set of {len(persons)} persons; open one of them: {shown}"
    if meshes := _meshes(folder):
        return f"several meshes; open one of them: {', '.join(mesh.name for mesh in meshes[:5])}"
    if (folder / "shape.npy").is_file():
        return f"one expression; open the person folder above it: {folder.resolve().parent}"
    return "none of these in the folder"
