"""Open whatever a person names: the built-in head, a folder of one of four kinds, or a saved project."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.errors import FileFormatError
from engine.identity import Identity
from engine.io import cache, ffhq_uv, ict, jreflectance, project, scan
from engine.io.border import reads, unpacking
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.source import SourceHead, seed_from
from engine.project import Project, new_project
from engine.reproducible import code_digest, machine_text

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
_LAYOUT_MESHES = (ffhq_uv.MESH, jreflectance.TEMPLATE)
"""What stands for its folder where that has the layout of FFHQ-UV or of a person."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How a path is opened."""

    conventions: MapConventions = PUBLISHED
    """How map files of others are read."""
    maps: Mapping[str, str] = field(default_factory=dict)
    """Which file is which map, where names do not say it (`engine.io.map_names.map_files`)."""
    grow_hair: bool = False
    """Let strands take the place of painted brows, lashes and hair (`engine.face.grow`)."""


AS_IT_IS = Opening()


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of what is opened. `can_read` scores a path, 0 for not at all; the surest reader gets it."""

    can_read: Callable[[str], int]
    read: Callable[[str, Opening], SourceHead | Project]
    has_map_files: bool = False
    """Whether it comes with maps of others, which conventions may say how to read."""


@reads("a head or a project")
def open_project(path: str, how: Opening = AS_IT_IS) -> Project:
    """The project at `path`, which is one of `KINDS`; weights are zero and the head is framed unless it was saved so.

    FileFormatError says what was looked for, or that there are no map files to be read in another way; TopologyError
    that hair does not grow on such a head.
    """
    with unpacking():
        return _open(str(path), how)


def mesh_with_maps(path: Path) -> Path | None:
    """The OBJ that is opened for `path`, with the maps beside it; None where a layout says which file is which map."""
    return scan.mesh_of(path) if _reader_of(str(path)) is _SCAN else None


def _open(path: str, how: Opening) -> Project:
    mesh = Path(path).expanduser()
    if mesh.name in _LAYOUT_MESHES and _reader_of(str(mesh.parent)) in (_PERSON, _FFHQ_UV):
        path = str(mesh.parent)
    reader = _reader_of(path)
    if how.maps and reader is not _SCAN:
        layout = reader in (_PERSON, _FFHQ_UV, _ICT) and Path(path).expanduser().is_dir()
        raise FileFormatError(
            f"{path}: expected an OBJ, or a folder with one, that wears {', '.join(how.maps.values())}; found "
            + ("a layout that says which file is which map" if layout else "none")
        )
    if how.conventions != PUBLISHED and not (reader and reader.has_map_files):
        raise FileFormatError(
            f"{path}: expected a folder with map files to be read with {how.conventions}, found none; maps of saved "
            "projects and of built-in and ICT-FaceKit heads are this program's own"
        )
    if reader is None:
        place = Path(path).expanduser()
        what = _what_is_there(place) if place.is_dir() else "a file of another kind"
        raise FileFormatError(
            f"{place}: expected {_SOUGHT}; found {what}"
            if place.exists()
            else f"{path}: expected {_SOUGHT}; found nothing of that name"
        )
    project, seed = reader.read(path, how), None
    if isinstance(project, SourceHead):
        from engine.head import identity_of  # late, as below: nobody needs all kinds of heads

        project, seed = new_project(identity_of(project)), project.seed
    return _with_hair(project, seed) if how.grow_hair else project


def _with_hair(project: Project, seed: int | None) -> Project:
    """`project` whose head has grown hair; its expressions, which know only the head without, must be none."""
    from engine.face.grow import with_grown_hair

    identity = with_grown_hair(project.identity, seed)
    if identity is project.identity:
        return project
    if project.expressions.expressions:
        raise FileFormatError(
            f"{identity.name}: expected a head alone to grow hair on, found one with "
            f"{len(project.expressions.expressions)} expressions; grow hair on the head they were made of"
        )
    return replace(new_project(identity), scene=project.scene)


def _reader_of(path: str) -> Reader | None:
    """The reader that is surest of `path`, None where none can read it."""
    score, best = max(((reader.can_read(path), reader) for reader in READERS), key=lambda each: each[0])
    return best if score else None


def _read_person(path: str, how: Opening) -> Project:
    identity, expressions = jreflectance.read(Path(path).expanduser(), how.conventions)
    return Project(identity, expressions, {}, new_project(identity).scene)


def _read_scan(path: str, how: Opening) -> SourceHead:
    place = Path(path).expanduser()
    return scan.read(scan.mesh_of(place) or place, how.conventions, how.maps)


def _read_builtin(path: str) -> Project:
    """Painted once, then kept: a start waits for it."""
    seed = seed_from(path, path[8:] or "0")
    kept_at = cache.cache_path("head", [f"builtin:{seed}", code_digest("face"), machine_text()])
    identity = cache.load(kept_at, Identity)
    if identity is None:
        from engine.face.builtin import builtin_identity

        identity = builtin_identity(seed)
        cache.store(kept_at, identity)
    return new_project(identity)


def _read_ffhq_uv(path: str, how: Opening) -> SourceHead:
    return ffhq_uv.read(Path(path).expanduser(), how.conventions)


_PERSON = Reader(jreflectance.can_read, _read_person, has_map_files=True)
_FFHQ_UV = Reader(ffhq_uv.can_read, _read_ffhq_uv, has_map_files=True)
_ICT = Reader(ict.can_read, lambda path, _: ict.read_named(path))
_SCAN = Reader(scan.can_read, _read_scan, has_map_files=True)
_SAVED = Reader(project.can_read, lambda path, _: project.load_project(Path(path).expanduser()))
_BUILTIN = Reader(lambda path: 2 * bool(re.match(r"builtin(:|\Z)", path)), lambda path, _: _read_builtin(path))
READERS = (_PERSON, _FFHQ_UV, _ICT, _SCAN, _SAVED, _BUILTIN)


def _what_is_there(folder: Path) -> str:
    """A hint for the commonest slips: the data set above a person, and one expression below."""
    if persons := jreflectance.persons_of(folder):
        shown = ", ".join(persons[:5]) + (", ..." if len(persons) > 5 else "")
        return f"a data set of {len(persons)} persons; open one of them: {shown}"
    if meshes := scan.meshes_in(folder):
        return f"several meshes; open one of them: {', '.join(mesh.name for mesh in meshes[:5])}"
    if (folder / "shape.npy").is_file():
        return f"one expression; open the person folder above it: {folder.resolve().parent}"
    return "none of these in the folder"
