"""A saved project, one `.expdiff` file: a zip of JSON and .npy arrays that restores a Project exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from engine.checks import short
from engine.errors import FileFormatError
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.io.archive import Archive, get_expressions, put_expressions, reading, writing
from engine.io.border import border
from engine.mesh import Topology
from engine.project import Project
from engine.scene import Scene
from engine.sides import Sides, Weight

SUFFIX = ".expdiff"
FORMAT, VERSION = "expdiff project", 1
_TOPOLOGY = ("faces", "uvs", "uv_faces", "face_parts")
_MAPS = tuple(part.name for part in fields(ReflectanceMaps))
_IDENTITY = ("positions_m", "eye_srgb", "occlusion")

Value = TypeVar("Value")


def save_project(project: Project, path: str | Path) -> None:
    """Write `project` to `path`, whole or not at all. ExportError when the place cannot be written."""
    identity = project.identity
    with writing(Path(path)) as archive:
        for name in _TOPOLOGY:
            archive.put(f"topology/{name}", getattr(identity.topology, name))
        for name in _MAPS:
            archive.put(f"maps/{name}", getattr(identity.maps, name))
        for name in _IDENTITY:
            archive.put(f"identity/{name}", getattr(identity, name))
        content = {
            "format": FORMAT,
            "version": VERSION,
            "identity": {
                "name": identity.name,
                "hash": identity.hash,
                "vertex_count": identity.topology.vertex_count,
                "head_vertex_count": identity.topology.head_vertex_count,
                "known_maps": sorted(identity.known_maps),
                "provenance": asdict(identity.provenance),
                "specular_f0_scale": identity.specular_f0_scale,
            },
            "expressions": put_expressions(archive, project.expressions),
            "weights": dict(project.weights),
            "scene": asdict(project.scene),
        }
        archive.put_text("project.json", json.dumps(content, indent=1, allow_nan=False).encode())


def load_project(path: str | Path) -> Project:
    """The project saved at `path`, equal to what was saved; FileFormatError where it is missing or damaged."""
    where = str(path)
    with reading(Path(path)) as archive, border(where, "a project as saved"):
        content = archive.get_json("project.json")
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise FileFormatError(f"{where}: expected an ExpDiff project, found another kind of file")
        if content.get("version") != VERSION:
            raise FileFormatError(
                f"{where}: expected version {VERSION}, found {short(content.get('version'))}; update the program to "
                "open it"
            )
        scene = plain_to_value(Scene, content["scene"])
        identity = _identity(archive, content["identity"])
        if identity.hash != content["identity"]["hash"]:
            raise FileFormatError(f"{where}: expected the head that was saved, found it changed; the file is damaged")
        expressions = get_expressions(archive, content["expressions"], where)
        weights = {name: _weight(weight) for name, weight in content["weights"].items()}
        return Project(identity, expressions, weights, scene)


def _weight(plain: Any) -> Weight:
    """A number, or a list of left and right."""
    return Sides(*plain) if isinstance(plain, list) else plain


def _identity(archive: Archive, value: dict[str, Any]) -> Identity:
    wanted = {"identity": _IDENTITY, "topology": _TOPOLOGY, "maps": _MAPS}
    arrays = archive.get_all([f"{folder}/{name}" for folder, names in wanted.items() for name in names])
    return Identity(
        name=value["name"],
        topology=Topology(
            *(arrays[f"topology/{name}"] for name in _TOPOLOGY),
            vertex_count=value["vertex_count"],
            head_vertex_count=value["head_vertex_count"],
        ),
        maps=ReflectanceMaps(*(arrays[f"maps/{name}"] for name in _MAPS)),
        known_maps=frozenset(value["known_maps"]),
        provenance=Provenance(**value["provenance"]),
        specular_f0_scale=value["specular_f0_scale"],
        **{name: arrays[f"identity/{name}"] for name in _IDENTITY},
    )


def plain_to_value(kind: type[Value], plain: Any) -> Value:
    """The inverse of `asdict` for nested dataclasses of numbers, strings, enums and tuples.

    Missing entries take their default, so that an older file opens; TypeError or ValueError on a wrong kind.
    """
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(
            **{
                part.name: plain_to_value(hints[part.name], plain[part.name])
                for part in fields(kind)
                if part.name in plain
            }
        )
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if parts[-1] is ...:
            return tuple(plain_to_value(parts[0], item) for item in plain)  # pyright: ignore
        return tuple(plain_to_value(part, item) for part, item in zip(parts, plain, strict=True))  # pyright: ignore
    if issubclass(kind, StrEnum):
        return kind(plain)
    if kind is float and type(plain) in (int, float):
        return float(plain)  # pyright: ignore
    if type(plain) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {short(plain)}")
    return plain
