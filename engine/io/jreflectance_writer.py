"""Writing a person folder; `engine.io.jreflectance` describes the layout and reads it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.composer import compose_maps, compose_positions
from engine.errors import ExportError
from engine.expression import Expression, ExpressionSet
from engine.identity import Identity, ReflectanceMaps
from engine.image import normal_bytes_from_slope
from engine.io.files import read_npy, replacing, write_json, write_npy
from engine.io.images import write_png
from engine.io.jreflectance import FORMAT, IDENTITY, TEMPLATE, VERSION, read_person
from engine.io.obj import ObjMesh, write_obj
from engine.mesh import PARTS
from engine.vocabulary import EXPRESSIONS, NEUTRAL

_BY_NAME = {entry.name: entry for entry in EXPRESSIONS}


class Written(NamedTuple):
    """One step of `write`."""

    index: int
    total: int
    label: str


def write(identity: Identity, expressions: ExpressionSet, folder: Path) -> Iterator[Written]:
    """Write neutral and every expression into `folder`, one step each; positions in metres, maps at the neutral's size.

    Iterate it to the end: each file is whole or absent whenever it stops, and neutral comes first. Expressions outside
    the vocabulary get numbers from 33. A folder that holds this head already keeps its other expressions. ExportError
    when the place cannot be written or holds another head.
    """
    there = prepare(identity, folder)
    numbers = _number_all(expressions, {str(recipe["name"]): int(key[3:]) for key, recipe in there.items()})
    total = len(numbers) + 1
    _write_person(identity, expressions, numbers, there, folder)
    _write_expression(identity, identity.positions_m, identity.maps, folder / "exp1")
    yield Written(1, total, NEUTRAL)
    for index, (name, number) in enumerate(numbers.items(), start=2):
        weights = {name: 1.0}
        positions = compose_positions(identity, expressions, weights)
        maps = compose_maps(identity.maps, expressions, weights)
        _write_expression(identity, positions, maps, folder / f"exp{number}")
        yield Written(index, total, name)


def prepare(identity: Identity, folder: Path) -> dict[str, dict[str, Any]]:
    """Make `folder` and return the recipes of this head's expressions that it holds already, best before long work.

    ExportError where it cannot be made or holds another head: a half of each would read back as neither.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(
            f"{folder}: expected a place that can be written, found: {error.strerror or error}"
        ) from error
    if not (folder / "exp1" / "shape.npy").exists():
        return {}
    there = read_npy(folder / "exp1" / "shape.npy")
    ours = identity.positions_m[: identity.topology.head_vertex_count]
    if there.shape != ours.shape or not np.allclose(there, ours, rtol=0.0, atol=1e-6):
        raise ExportError(f"{folder}: expected an empty folder or this head's, found another head; choose a new folder")
    recipes = read_person(folder / IDENTITY).get("expressions", {})
    return {key: recipe for key, recipe in recipes.items() if (folder / key / "shape.npy").exists()}


def _number_all(expressions: ExpressionSet, there: dict[str, int]) -> dict[str, int]:
    """Expression name -> N of expN; a prompt's own expression keeps the number it has or follows the last."""
    numbers: dict[str, int] = {}
    last = max(len(EXPRESSIONS), *there.values(), 0)
    for name in expressions.names:
        if name == NEUTRAL:
            continue
        number = _BY_NAME[name].number if name in _BY_NAME else there.get(name)
        if number is None:
            number = last = last + 1
        numbers[name] = number
    return numbers


def _write_person(
    identity: Identity,
    expressions: ExpressionSet,
    numbers: dict[str, int],
    there: dict[str, dict[str, Any]],
    folder: Path,
) -> None:
    topology = identity.topology
    mesh = ObjMesh(
        identity.positions_m,
        topology.uvs,
        topology.faces,
        topology.uv_faces,
        topology.face_parts.astype(np.int32),
        tuple(part.value for part in PARTS),
    )
    with replacing(folder / TEMPLATE) as temporary:
        write_obj(temporary, mesh)
    write_png(folder / "eye.png", identity.eye_srgb)
    write_npy(folder / "occlusion.npy", identity.occlusion)
    recipes = {f"exp{number}": _recipe(expressions[name]) for name, number in numbers.items()}
    person = {
        "format": FORMAT,
        "version": VERSION,
        "name": identity.name,
        "unit": "metre",
        "head_vertex_count": topology.head_vertex_count,
        "specular_f0_scale": identity.specular_f0_scale,
        "known_maps": sorted(identity.known_maps),
        "provenance": asdict(identity.provenance),
        "conventions": "diffuse.png sRGB; specular.png, roughness.png linear; normal.png OpenGL (+Y up); "
        "texture.png equals diffuse.png",
        "expressions": {"exp1": {"name": NEUTRAL}} | there | recipes,
    }
    write_json(folder / IDENTITY, person)


def _recipe(expression: Expression) -> dict[str, Any]:
    return {
        "name": expression.name,
        "prompt": expression.prompt,
        "facs": dict(expression.facs),
        "provenance": asdict(expression.provenance),
        "change_size": list(expression.change.size),
    }


def _write_expression(identity: Identity, positions: np.ndarray, maps: ReflectanceMaps, folder: Path) -> None:
    head = identity.topology.head_vertex_count
    write_npy(folder / "shape.npy", positions[:head])
    if head < identity.topology.vertex_count:
        write_npy(folder / "parts.npy", positions[head:])
    write_png(folder / "diffuse.png", maps.diffuse_srgb)
    with replacing(folder / "texture.png") as temporary:
        shutil.copyfile(folder / "diffuse.png", temporary)
    write_png(folder / "specular.png", maps.specular_data)
    write_png(folder / "roughness.png", maps.roughness_data)
    write_png(folder / "normal.png", normal_bytes_from_slope(maps.slope))
