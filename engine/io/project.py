"""A saved project, one `.expdiff` file: `project.json` and arrays that restore a Project exactly.

The JSON is the Project by its own fields, and the version of the format. A file of an older version goes through a step
for each version since.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.checks import short
from engine.errors import FileFormatError
from engine.io.archive import Archive, reading, writing
from engine.io.border import border
from engine.io.plain import ARRAY, JOINED
from engine.project import Project

SUFFIX = ".expdiff"
FORMAT, VERSION = "expdiff project", 2
CONTENT = "project.json"


def can_read(path: str) -> int:
    """How surely `path` is a saved project, 0 for not at all."""
    place = Path(path).expanduser()
    return 6 if place.suffix == SUFFIX and place.is_file() else 0


def save_project(project: Project, path: str | Path) -> None:
    """Write `project` to `path`, whole or not at all. ExportError when the place cannot be written."""
    with writing(Path(path)) as archive:
        put_project(archive, project)


def load_project(path: str | Path) -> Project:
    """The project saved at `path`, equal to what was saved; FileFormatError where it is missing or damaged."""
    with reading(Path(path)) as archive:
        return get_project(archive)


def put_project(archive: Archive, project: Project, **more: Any) -> Any:
    """Store `project` in `archive`, its content last, with entries `more`; that content."""
    return archive.put_value(CONTENT, project, format=FORMAT, version=VERSION, **more)


def get_project(archive: Archive) -> Project:
    """The project that is stored in `archive`, by this version of the program or an older one."""
    where, content = archive.where, archive.get_json(CONTENT)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise FileFormatError(f"{where}: expected an ExpDiff project, found another kind of file")
    version = content.get("version")
    if type(version) is not int or not 1 <= version <= VERSION:
        raise FileFormatError(
            f"{where}: expected version {VERSION} or an older one, found {short(version)}; update the program"
        )
    with border(where, f"a project as saved in version {version}"):
        for step in _UPGRADES[version - 1 :]:
            content = step(content)
    return archive.value(Project, content, "a project as saved")


def _from_1(content: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had arrays under fixed names, which its JSON did not tell, expressions as rows, and the view's fields
    among the scene's."""

    def arrays(folder: str, *names: str) -> dict[str, Any]:
        return {name: {ARRAY: f"{folder}/{name}.npy"} for name in names}

    identity, expressions = content["identity"], content["expressions"]
    topology = arrays("topology", "faces", "uvs", "uv_faces", "face_parts")
    topology |= {name: identity[name] for name in ("vertex_count", "head_vertex_count")}
    maps = arrays("maps", "diffuse_srgb", "specular_data", "roughness_data", "slope")
    changes = ("log_diffuse", "log_specular", "roughness", "slope")
    rows = []
    for index, row in enumerate(expressions["rows"]):
        folder = f"expressions/{index}"
        change = {"channels": {JOINED: list(arrays(folder, *changes).values())}}
        rows.append(row | arrays(folder, "offsets_m") | {"change": change})
    identity = identity | arrays("identity", "positions_m", "eye_srgb", "occlusion")
    scene = content["scene"]
    return content | {
        "scene": scene | {"view": scene},
        "identity": identity | {"topology": topology, "maps": maps},
        "expressions": expressions | {"expressions": rows},
    }


_UPGRADES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_from_1,)
"""From version 1 to 2, and so on."""
