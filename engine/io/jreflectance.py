"""A person folder in the published layout of J-Reflectance / FFHQ-BRDFExp (ExpDiff), both ways.

    data set/train.json, test.json          lists of person names
    data set/PERSON/expN/shape.npy          (head vertices, 3) positions; N is the vocabulary's number, exp1 is Neutral
                        /texture.png        look under even light; written equal to diffuse.png, not read
                        /diffuse.png        sRGB albedo          /specular.png    linear specular intensity
                        /roughness.png      linear perceptual    /normal.png      tangent space, OpenGL (+Y up)

Beside these stand files that a reader of the published layout may ignore; this one does without where it can:

    PERSON/template.obj     all vertices at rest, UVs, faces; materials name the parts (skin, eye_left, ...)
          /identity.json    unit, F0 scale, which maps were given, provenance, name and recipe of each expN; whether the
                            folder is "complete", and if not, which expressions are "unfinished"
          /eye.png          eyeball albedo               /occlusion.npy   (V,) share of sky
          /expN/parts.npy   vertices after the head's own (eyes, added teeth), same unit as shape.npy

Maps in the folder are absolute; in memory an expression is a change against neutral.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from engine.channels import DIFFUSE, MAPS, MODEL_MAPS
from engine.checks import check_count, check_text, short
from engine.errors import FileFormatError
from engine.expression import Expression, ExpressionSet, ReflectanceChange, Request
from engine.identity import LARGEST_SIDE, LONGEST_NAME, Identity, Provenance, ReflectanceMaps
from engine.io.border import border, name_from, reads, unpacking
from engine.io.files import check_vertices, read_json, read_npy, write_json
from engine.io.images import read_grey, read_rgb
from engine.io.map_conventions import PUBLISHED, MapConventions, f0_scale, maps_from_files, with_note
from engine.io.obj import read_textured_obj
from engine.io.plain import from_plain
from engine.io.source import SourceMesh, metres_per_unit
from engine.io.temporary import finished
from engine.mesh import Topology
from engine.vocabulary import EXPRESSIONS

LOG = logging.getLogger(__name__)

TEMPLATE, IDENTITY = "template.obj", "identity.json"
NEUTRAL_KEY = "exp1"
REQUIRED_MAPS = tuple(each.file for each in MODEL_MAPS)
EXPRESSION_FILES = ("shape.npy", "parts.npy", "texture.png", *(each.file for each in MAPS))
FORMAT, VERSION = "expdiff person", 1
LARGEST_CHANGE = 1024
"""Changes are kept at no more texels a side than this: 32 expressions at 4096 would need 10 GB."""

_BY_NUMBER = {entry.number: entry for entry in EXPRESSIONS}
_FOLDER = re.compile(r"exp([1-9][0-9]{0,4})")


def is_person_folder(folder: Path) -> bool:
    """Whether `folder` holds expN folders."""
    return bool(_numbers(folder))


def can_read(path: str) -> int:
    """How surely `path` is a person folder, 0 for not at all."""
    return 6 if is_person_folder(Path(path).expanduser()) else 0


def persons_of(folder: Path) -> tuple[str, ...]:
    """Names of the person folders inside a data-set folder, sorted."""
    if not folder.is_dir():
        return ()
    return tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and is_person_folder(child)))


def numbered(folder: Path) -> tuple[str, ...]:
    """Names of the expN in `folder`, folders or not, sorted by N."""
    matches = (_FOLDER.fullmatch(child.name) for child in folder.iterdir())
    return tuple(sorted((match[0] for match in matches if match), key=lambda key: int(key[3:])))


def is_whole(expression: Path) -> bool:
    """Whether all files of an expN folder are there."""
    return all((expression / name).is_file() for name in ("shape.npy", *REQUIRED_MAPS))


def is_complete(folder: Path) -> bool:
    """Whether `folder` is a person that this program wrote to the end, with all that it lists still there."""
    person = read_person(folder / IDENTITY)
    return person.get("complete") is True and all(is_whole(folder / key) for key in person["expressions"])


def missing_expressions(folder: Path) -> tuple[str, ...]:
    """Names of what identity.json lists and `folder` does not hold: it is still written, that was stopped, or somebody
    took them away."""
    person = read_person(folder / IDENTITY)
    listed = person.get("expressions", {}) | person.get("unfinished", {})
    return tuple(recipe["name"] for key, recipe in listed.items() if not (folder / key).is_dir())


def unfinished_note(folder: Path) -> str:
    """What is missing of a person folder, and what is still as it was before it was to be written anew; '' for nothing,
    and where `folder` is another kind of place."""
    person, missing = read_person(folder / IDENTITY), missing_expressions(folder)
    older = [recipe["name"] for recipe in person.get("unfinished", {}).values() if recipe["name"] not in missing]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"as before: {', '.join(older)}"] if older else []
    if not person.get("complete", True):
        parts.insert(0, "not written to the end, so write it again")
    elif missing:
        parts.append(f"though {IDENTITY} lists them")
    return "; ".join(parts)


def read_split(dataset: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(train, test) person names of a data-set folder; a list whose file is missing is empty."""
    return _names(dataset / "train.json"), _names(dataset / "test.json")


def write_split(dataset: Path, train: tuple[str, ...], test: tuple[str, ...]) -> None:
    """Write both lists, where they change; ValueError where a person stands in both."""
    if both := set(train) & set(test):
        raise ValueError(f"write_split: expected each person in one list, found in both: {sorted(both)}")
    for path, names in ((dataset / "train.json", train), (dataset / "test.json", test)):
        if not path.exists() or _names(path) != names:
            write_json(path, list(names))


def list_person(folder: Path, split: str) -> None:
    """Put the person folder on its data set's list `split`, "train" or "test", off the other."""
    person = folder.resolve()
    train, test = ([name for name in names if name != person.name] for names in read_split(person.parent))
    (train if split == "train" else test).append(person.name)
    write_split(person.parent, tuple(train), tuple(test))


def check_split(dataset: Path) -> None:
    """FileFormatError where a list of `dataset` is no list of person folders there: somebody else's, best asked before
    long work."""
    for path in (dataset / "train.json", dataset / "test.json"):
        names = _names(path)
        if names and not any(is_person_folder(dataset / name) for name in names):
            raise FileFormatError(
                f"{path}: expected names of person folders beside it, found '{names[0]}'; choose another folder"
            )


@reads("a list of person names")
def _names(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise FileFormatError(f'{path}: expected a list of person names such as ["p001", "p002"], found something else')
    with border(path, "names of persons"):
        for name in names:
            check_text("name", name, LONGEST_NAME)
    return tuple(names)


@reads("a person folder")
def read(folder: Path, conventions: MapConventions = PUBLISHED) -> tuple[Identity, ExpressionSet]:
    """Read a person folder: neutral from exp1, every other expN as a change against it, in order of N.

    `conventions` for folders of others whose maps mean something else. FileFormatError says what is missing or does not
    fit. Unit by head size where identity.json does not give it, which the log says.
    """
    with unpacking():
        return _read_folder(folder, conventions)


def _read_folder(folder: Path, conventions: MapConventions) -> tuple[Identity, ExpressionSet]:
    numbers = _numbers(folder)
    if 1 not in numbers:
        folders = ", ".join(f"exp{number}" for number in sorted(numbers)) or "no expN folder"
        raise FileFormatError(f"{folder}: expected the neutral face in exp1, found {folders}; add exp1 (Neutral)")
    person = read_person(folder / IDENTITY)
    template_path = _template(folder)
    mesh = read_textured_obj(template_path)
    positions, head = _read_positions(folder / "exp1", len(mesh.positions), template_path)
    scale = _scale(person, positions[:head], folder)
    identity = _identity(folder, person, mesh, positions * np.float32(scale), head, conventions)
    if note := unfinished_note(folder):
        LOG.warning("%s: %s", folder, note)
    recipes = person.get("unfinished", {}) | person.get("expressions", {})
    expressions = tuple(
        _read_expression(folder / f"exp{number}", identity, recipes, scale, template_path, conventions)
        for number in sorted(numbers - {1})
    )
    return identity, ExpressionSet(identity.hash, expressions)


def _numbers(folder: Path) -> set[int]:
    if not folder.is_dir():
        return set()
    with border(folder, "a folder that can be read"):
        matches = (_FOLDER.fullmatch(child.name) for child in folder.iterdir() if child.is_dir())
        return {int(match[1]) for match in matches if match}


@reads("what identity.json of a person says")
def read_person(path: Path) -> dict[str, Any]:
    """identity.json with its types checked, or {} where a folder of others has none; FileFormatError when damaged."""
    if not path.exists():
        return {}
    person = read_json(path)
    kinds = {
        "name": str,
        "unit": str,
        "specular_f0_scale": float,
        "known_maps": list,
        "provenance": dict,
        "expressions": dict,
    }
    if not isinstance(person, dict) or person.get("format") != FORMAT:
        LOG.info("%s: not of this program, ignored", path)
        return {}
    if person.get("version") != VERSION:
        raise FileFormatError(
            f"{path}: expected version {VERSION}, found {short(person.get('version'))}; update the program"
        )
    kinds |= {key: kind for key, kind in (("complete", bool), ("unfinished", dict)) if key in person}
    for key, kind in kinds.items():
        if not isinstance(person.get(key), kind):
            raise FileFormatError(f"{path}: expected '{key}' as {kind.__name__}, found {short(person.get(key))}")
    for key, recipe in (*person["expressions"].items(), *person.get("unfinished", {}).items()):
        if not (isinstance(recipe, dict) and _FOLDER.fullmatch(key) and isinstance(recipe.get("name"), str)):
            raise FileFormatError(f"{path}: expected a name and recipe for {short(key)}, found {short(recipe)}")
    return person


def _template(folder: Path) -> Path:
    """Ours, or the only OBJ of the folder or of the one above it (data sets share one template)."""
    if (folder / TEMPLATE).exists():
        return folder / TEMPLATE
    for place in (folder, folder.resolve().parent):
        meshes = [path for path in finished(place) if path.suffix == ".obj"]
        if len(meshes) == 1:
            LOG.info("%s: faces and UVs taken from %s", folder, meshes[0])
            return meshes[0]
        if meshes:
            names = ", ".join(path.name for path in meshes)
            raise FileFormatError(
                f"{place}: expected one OBJ as template mesh, found {names}; name the right one {TEMPLATE}"
            )
    raise FileFormatError(
        f"{folder}: expected a template mesh (faces and UVs): {TEMPLATE} or one other .obj here or in the folder "
        "above, found none; shape.npy holds vertices only"
    )


def _read_positions(folder: Path, count: int, template: Path) -> tuple[np.ndarray, int]:
    """((V, 3) float32 in the file's unit, number of the head's own vertices) of one expN folder."""
    head = check_vertices(str(folder / "shape.npy"), read_npy(folder / "shape.npy"))
    parts = folder / "parts.npy"
    if len(head) == count:
        return head, count
    if len(head) > count or not parts.exists():
        raise FileFormatError(
            f"{folder / 'shape.npy'}: expected {count} vertices as in {template.name}, found {len(head)}; "
            "shape and template must be of one topology"
        )
    rest = check_vertices(str(parts), read_npy(parts), count - len(head))
    return np.concatenate([head, rest]), len(head)


def _scale(person: dict[str, Any], head: np.ndarray, folder: Path) -> float:
    if person.get("unit") == "metre":
        return 1.0
    scale = metres_per_unit(head, folder / "exp1" / "shape.npy")
    LOG.info("%s: 1 unit = %g mm, by head size", folder, scale * 1000)
    return scale


def _identity(
    folder: Path,
    person: dict[str, Any],
    mesh: SourceMesh,
    positions_m: np.ndarray,
    head: int,
    conventions: MapConventions,
) -> Identity:
    topology = Topology(mesh.faces, mesh.uvs, mesh.uv_faces, mesh.parts, len(positions_m), head)
    maps, extra = _read_maps(folder / "exp1", conventions), {}
    scale = f0_scale(maps.specular_data, conventions) or person.get("specular_f0_scale")
    if scale is not None:
        extra["specular_f0_scale"] = scale
    if not person:
        LOG.info("%s: no identity.json; specular scale and licence are assumed", folder)
    return Identity(
        person.get("name") or name_from(folder),
        topology,
        positions_m,
        maps,
        _eye(folder / "eye.png"),
        _occlusion(folder / "occlusion.npy", len(positions_m)),
        frozenset(person.get("known_maps", (each.name for each in MODEL_MAPS))),
        with_note(_provenance(person.get("provenance"), folder / IDENTITY), conventions),
        **extra,
    )


def _eye(path: Path) -> np.ndarray:
    """(H, W, 3) uint8; one texel of sclera where there is no picture (such a folder has no eyeballs that use it)."""
    return read_rgb(path) if path.exists() else np.full((1, 1, 3), (235, 230, 225), np.uint8)


def _occlusion(path: Path, count: int) -> np.ndarray:
    if not path.exists():
        return np.ones(count, np.float32)
    values = read_npy(path)
    if values.shape != (count,) or values.dtype.kind != "f" or not np.isfinite(values).all():
        raise FileFormatError(f"{path}: expected {count} finite numbers, found {values.dtype} {values.shape}")
    return values


def _provenance(value: Any, path: Path) -> Provenance:
    if value is None:
        return Provenance("person folder", "unknown")
    try:
        return Provenance(str(value["source"]), str(value["licence"]), str(value.get("note", "")))
    except (KeyError, TypeError, AttributeError):
        raise FileFormatError(f"{path}: expected provenance with source and licence, found {short(value)}") from None


def _read_maps(folder: Path, conventions: MapConventions) -> ReflectanceMaps:
    missing = [name for name in REQUIRED_MAPS if not (folder / name).exists()]
    if missing:
        raise FileFormatError(f"{folder}: expected {', '.join(REQUIRED_MAPS)}, found no {', '.join(missing)}")
    pixels: dict[str, np.ndarray] = {}
    for row in (each for each in MAPS if (folder / each.file).exists()):
        image = pixels[row.name] = (read_rgb if row.shape else read_grey)(folder / row.file)
        height, width = pixels[DIFFUSE.name].shape[:2]
        if image.shape[:2] != (height, width):
            raise FileFormatError(
                f"{folder / row.file}: expected {width} x {height} as {DIFFUSE.file}, "
                f"found {image.shape[1]} x {image.shape[0]}"
            )
    return maps_from_files(pixels, conventions)


def _read_expression(
    folder: Path, identity: Identity, recipes: dict[str, Any], scale: float, template: Path, conventions: MapConventions
) -> Expression:
    entry = _BY_NUMBER.get(int(folder.name[3:]))
    usual = {"name": entry.name, "prompt": entry.prompt, "facs": dict(entry.facs)} if entry else {"name": folder.name}
    recipe = usual | recipes.get(folder.name, {})
    positions, _ = _read_positions(folder, identity.topology.vertex_count, template)
    with unpacking():  # what is kept is the change, averaged down
        maps = _read_maps(folder, conventions)
    if maps.size != identity.maps.size:
        raise FileFormatError(f"{folder}: expected maps of {identity.maps.size} texels as in exp1, found {maps.size}")
    with border(folder.parent / IDENTITY, f"a recipe for {folder.name}"):
        size = recipe.get("change_size", list(maps.size))
        for side in size if isinstance(size, list) and len(size) == 2 else [size]:
            check_count("change_size", side, 1, LARGEST_SIDE)
        return Expression(
            recipe["name"],
            positions * np.float32(scale) - identity.positions_m,
            change_between(identity.maps, maps, min(*size, LARGEST_CHANGE)),
            recipe.get("prompt", ""),
            recipe.get("facs", {}),
            _provenance(recipe.get("provenance"), folder.parent / IDENTITY),
            from_plain(Request | None, recipe.get("request")),
        )


def change_between(neutral: ReflectanceMaps, other: ReflectanceMaps, side: int) -> ReflectanceChange:
    """The change that turns `neutral` into `other`, averaged down to about `side`."""
    parts = [
        _reduce(row.additive(after) - row.additive(before), side).astype(np.float16)
        for row, after, before in zip(MAPS, other.images, neutral.images, strict=True)
    ]
    return ReflectanceChange(np.dstack(parts))


def _reduce(image: np.ndarray, side: int) -> np.ndarray:
    """Mean over blocks of whole texels so that the shorter side comes as near to `side` as it can from above."""
    height, width = image.shape[:2]
    block = max(min(height, width) // max(side, 1), 1)
    if height % block or width % block:
        return image
    # strided sums: numpy reduces short axes many times slower
    total = sum(image[row::block, column::block].astype(np.float32) for row in range(block) for column in range(block))
    return np.asarray(total / np.float32(block * block))
