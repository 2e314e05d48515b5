"""Writing a person folder; `engine.io.jreflectance` describes the layout and reads it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from engine.channels import MAPS
from engine.composer import compose_maps, compose_positions
from engine.errors import ExportError
from engine.expression import ExpressionSet
from engine.identity import Identity, ReflectanceMaps
from engine.io.files import check_fillable, filling, read_npy, write_json, write_npy, writing_into
from engine.io.images import read_grey, read_rgb, write_png
from engine.io.jreflectance import (
    EXPRESSION_FILES,
    FORMAT,
    IDENTITY,
    NEUTRAL_KEY,
    TEMPLATE,
    VERSION,
    is_whole,
    numbered,
    read_person,
)
from engine.io.obj import write_obj
from engine.io.plain import about
from engine.io.source import SourceMesh
from engine.io.temporary import sweep
from engine.jobs import Step
from engine.mesh import PARTS
from engine.vocabulary import EXPRESSIONS, NEUTRAL

Recipes = dict[str, dict[str, Any]]
"""What identity.json says of each expN: its name, prompt, action units, provenance, recipe."""

_WAIT_S = 0.1
"""Between two looks at whether another writer is done."""
_BY_NAME = {entry.name: entry for entry in EXPRESSIONS}


def write(identity: Identity, expressions: ExpressionSet, folder: Path) -> Iterator[Step]:
    """Write neutral and every expression into `folder`, one step each; positions in metres, maps at the neutral's size.

    Iterate it to the end. Whenever it stops, each expN is whole or as it was before, and identity.json says
    `"complete": false` and what is `unfinished`. Expressions outside the vocabulary get numbers from 33. A folder that
    holds this head already keeps its other expressions; while another writes into it this one waits. Errors as
    `prepare`, and ExportError when the place cannot be written.
    """
    folder = Path(folder)
    prepare(identity, folder, expressions.names)  # before anything is made there
    with writing_into(folder) as take:
        while not take():
            yield Step(0, 1, "until another export into this folder is done")
            time.sleep(_WAIT_S)
        written, numbers = prepare(identity, folder, expressions.names)
        unfinished: Recipes = {NEUTRAL_KEY: {"name": NEUTRAL}} if NEUTRAL_KEY not in written else {}
        for name, number in numbers.items():
            expression = expressions[name]
            unfinished[f"exp{number}"] = about(expression) | {"change_size": list(expression.change.size)}
        _write_manifest(identity, written, unfinished, folder)
        _write_head(identity, folder)
        yield from _write_all(identity, expressions, written, unfinished, folder)
        _write_manifest(identity, written, {}, folder, complete=True)


def _write_all(
    identity: Identity, expressions: ExpressionSet, written: Recipes, unfinished: Recipes, folder: Path
) -> Iterator[Step]:
    """Write the `unfinished` and move each to `written` once it is on the disk."""
    total = len(unfinished.keys() - {NEUTRAL_KEY}) + 1
    index = 1
    if NEUTRAL_KEY not in unfinished:
        yield Step(index, total, NEUTRAL)
    for key, recipe in list(unfinished.items()):
        weights = {} if key == NEUTRAL_KEY else {recipe["name"]: 1.0}
        positions = compose_positions(identity, expressions, weights)
        _write_expression(identity, positions, compose_maps(identity.maps, expressions, weights), folder / key)
        written[key] = unfinished.pop(key)
        _write_manifest(identity, written, unfinished, folder)  # complete only when nothing is written any more
        index += key != NEUTRAL_KEY
        yield Step(index, total, recipe["name"])


def prepare(identity: Identity, folder: Path, names: Sequence[str] = ()) -> tuple[Recipes, dict[str, int]]:
    """Recipes of this head's expressions that `folder` holds already, and the N of the expN that each of `names` gets.

    Nothing is written: ask before long work. ExportError where files of others are in the folder, or another head: a
    half of each would read back as neither.
    """
    person = read_person(folder / IDENTITY)
    if not person:
        check_fillable(folder, "files this program did not write")
        return {}, _number_all(names, {}, set(), folder)
    sweep(folder)
    listed = person.get("unfinished", {}) | person["expressions"]
    written = {key: recipe for key, recipe in listed.items() if is_whole(folder / key)}
    if NEUTRAL_KEY in written:
        _check_head(identity, folder)
    elif written:
        raise ExportError(f"{folder}: expected the neutral face in {NEUTRAL_KEY}, found none; choose a new folder")
    taken = {int(key[3:]) for key in numbered(folder) if key not in listed}
    return written, _number_all(
        names, {str(recipe["name"]): int(key[3:]) for key, recipe in written.items()}, taken, folder
    )


def _check_head(identity: Identity, folder: Path) -> None:
    """ExportError where the neutral of `folder` is not that of `identity`, to the last texel: the maps of its other
    expressions mean changes against it."""
    neutral = folder / NEUTRAL_KEY
    theirs, ours = read_npy(neutral / "shape.npy"), identity.positions_m[: identity.topology.head_vertex_count]
    if theirs.shape != ours.shape or not np.allclose(theirs, ours, rtol=0.0, atol=1e-6):
        raise ExportError(f"{folder}: expected an empty folder or this head's, found another head; choose a new folder")
    for name, pixels in _map_images(identity.maps).items():
        theirs = read_grey(neutral / name) if pixels.ndim == 2 else read_rgb(neutral / name)
        if not np.array_equal(theirs, pixels):
            raise ExportError(f"{folder}: expected this head's maps, found another {name} in it; choose a new folder")


def _number_all(names: Sequence[str], written: dict[str, int], taken: set[int], folder: Path) -> dict[str, int]:
    """Expression name -> N of expN; a prompt's own expression keeps the number it has or takes the next free one.

    ExportError where that of the vocabulary is `taken` by an expression that is not this program's.
    """
    numbers: dict[str, int] = {}
    used = {*written.values(), *taken}
    free = (number for number in count(len(EXPRESSIONS) + 1) if number not in used)
    for name in names:
        if name == NEUTRAL:
            continue
        number = _BY_NAME[name].number if name in _BY_NAME else written.get(name)
        if number is None:
            number = next(free)
        if number in taken:
            raise ExportError(
                f"{folder / f'exp{number}'}: expected no such folder, or one that {IDENTITY} lists, found another; "
                "move it or choose another person folder"
            )
        numbers[name] = number
    return numbers


def _write_head(identity: Identity, folder: Path) -> None:
    topology = identity.topology
    mesh = SourceMesh.of_triangles(
        identity.positions_m,
        topology.uvs,
        topology.faces,
        topology.uv_faces,
        topology.face_parts.astype(np.int32),
        tuple(part.value for part in PARTS),
    )
    write_obj(folder / TEMPLATE, mesh)
    write_png(folder / "eye.png", identity.eye_srgb)
    write_npy(folder / "occlusion.npy", identity.occlusion)


def _write_manifest(
    identity: Identity, written: Recipes, unfinished: Recipes, folder: Path, *, complete: bool = False
) -> None:
    person = {
        "format": FORMAT,
        "version": VERSION,
        "complete": complete,
        "name": identity.name,
        "unit": "metre",
        "head_vertex_count": identity.topology.head_vertex_count,
        "specular_f0_scale": identity.specular_f0_scale,
        "known_maps": sorted(identity.known_maps),
        "provenance": asdict(identity.provenance),
        "conventions": "diffuse.png sRGB; specular.png, roughness.png linear; normal.png OpenGL (+Y up); "
        "texture.png equals diffuse.png",
        "expressions": {key: written[key] for key in sorted(written, key=lambda key: int(key[3:]))},
    }
    write_json(folder / IDENTITY, person | ({"unfinished": unfinished} if unfinished else {}))


def _write_expression(identity: Identity, positions: np.ndarray, maps: ReflectanceMaps, folder: Path) -> None:
    """Write one expN whole; files of other names that somebody put into it stay there."""
    head = identity.topology.head_vertex_count
    with filling(folder, replace=True) as place:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name in EXPRESSION_FILES:
                continue
            if path.is_symlink():
                (place / path.name).symlink_to(path.readlink())
            elif path.is_dir():
                shutil.copytree(path, place / path.name, symlinks=True)
            else:
                shutil.copy2(path, place / path.name)
        write_npy(place / "shape.npy", positions[:head])
        if head < identity.topology.vertex_count:
            write_npy(place / "parts.npy", positions[head:])
        for name, pixels in _map_images(maps).items():
            write_png(place / name, pixels)
        shutil.copyfile(place / "diffuse.png", place / "texture.png")


def _map_images(maps: ReflectanceMaps) -> dict[str, np.ndarray]:
    """File name -> (H, W[, 3]) uint8."""
    return {row.file: row.pixels(image) for row, image in zip(MAPS, maps.images, strict=True)}
