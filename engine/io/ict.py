"""An ICT-FaceKit folder (Li et al. 2020): the generic head plus identity modes, 26,719 vertices, files in
centimetres."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.errors import FileFormatError, check_array, check_magnitude
from engine.identity import Provenance
from engine.io.archive import reading
from engine.io.border import border, reads
from engine.io.files import read_json
from engine.io.obj import read_obj
from engine.io.source import SourceHead, seed_from
from engine.mesh import PARTS, Part

VERTEX_COUNT = 26719
SKIN_VERTICES = 11248
"""Face, head and neck; what follows is sockets, gums, teeth, eyes and cards."""
EYEBALLS = ((21451, 23021), (23021, 24591))
"""Vertex ranges of the subject's left and right eyeball."""
GUMS, TEETH, WET_RIM, LASHES = 14062, 17039, 24591, 25351
"""First vertices of the gums, of the teeth, of the strip along the lids' margins, and of the 12 lash cards."""
METRES_PER_UNIT = 0.01
MODE_COUNT = 100
_FARTHEST = 1000.0
"""Largest coefficient in standard deviations, and offset in centimetres."""
LICENCE = "MIT (ICT-FaceKit, USC Institute for Creative Technologies)"
# face | head and neck | mouth socket | eye sockets | gums and tongue | teeth | eyeballs | the rest
_RANGES: tuple[tuple[int, Part], ...] = (
    (SKIN_VERTICES, Part.SKIN),
    (13294, Part.MOUTH),
    (GUMS, Part.SOCKET),
    (TEETH, Part.MOUTH),
    (21451, Part.TEETH),
    (23021, Part.EYE_LEFT),
    (WET_RIM, Part.EYE_RIGHT),
    (VERTEX_COUNT, Part.OVERLAY),
)


def model_folder(folder: Path) -> Path | None:
    """The folder with the generic mesh at or under `folder`, None where there is none."""
    for candidate in (folder, folder / "FaceXModel"):
        if (candidate / "generic_neutral_mesh.obj").is_file():
            return candidate
    return None


def can_read(path: str) -> int:
    """How surely `path` is an ICT-FaceKit folder, its people by ?seed=N or by a JSON file in it, 0 for not at all."""
    place = Path(path).expanduser()
    if place.is_dir():
        return 4 if model_folder(place) is not None else 0
    if place.suffix == ".json" and place.is_file():
        return 4 if _folder_of(place) is not None else 0
    return 1 if "?" in path and not Path(path).exists() else 0


def read_named(path: str) -> SourceHead:
    """What `can_read` takes; FileFormatError for another question than ?seed=N, and as `read`."""
    place, question, query = path.partition("?") if not Path(path).exists() else (path, "", "")
    folder = Path(place).expanduser()
    if question:
        key, _, value = query.partition("=")
        if key != "seed":
            raise FileFormatError(f"{path}: expected ?seed=N after an ICT-FaceKit folder, found '?{query}'")
        if model_folder(folder) is None:
            raise FileFormatError(f"{folder}: expected FaceXModel/generic_neutral_mesh.obj (ICT-FaceKit), found none")
        return read(folder, seed_from(path, value))
    if folder.is_dir():
        return read(folder)
    return read(_folder_of(folder) or folder, coefficients=read_coefficients(folder))


def _folder_of(coefficients: Path) -> Path | None:
    """The ICT-FaceKit folder that a file of coefficients lies in, None where there is none."""
    folders = (coefficients.parent, coefficients.parent.parent)
    return next((folder for folder in folders if model_folder(folder) is not None), None)


@reads("an ICT-FaceKit folder")
def read(folder: Path, seed: int | None = None, coefficients: np.ndarray | None = None) -> SourceHead:
    """The head of `folder` with (<= 100,) identity `coefficients`, or ones drawn from `seed`, or generic.

    It has no maps. FileFormatError where a file is missing or another.
    """
    model = model_folder(folder)
    if model is None:
        raise FileFormatError(
            f"{folder}: expected FaceXModel/generic_neutral_mesh.obj of ICT-FaceKit, found none there"
        )
    mesh = read_obj(model / "generic_neutral_mesh.obj")
    if len(mesh.positions) != VERTEX_COUNT:
        raise FileFormatError(
            f"{model / 'generic_neutral_mesh.obj'}: expected {VERTEX_COUNT} vertices, found {len(mesh.positions)}; "
            "use the full ICT-FaceKit mesh"
        )
    if coefficients is None and seed is not None:
        coefficients = np.random.default_rng(seed).standard_normal(MODE_COUNT)
    positions = mesh.positions.astype(np.float64)
    if coefficients is not None:
        positions = positions + np.tensordot(coefficients, identity_modes(folder, len(coefficients)), axes=1)
    return SourceHead(
        path=folder,
        kind="an ICT-FaceKit folder",
        name="ICT generic" if coefficients is None else f"ICT {seed if seed is not None else 'fitted'}",
        mesh=replace(mesh, positions=positions, uvs=_in_one_square(mesh.uvs)),
        metres_per_unit=METRES_PER_UNIT,
        provenance=Provenance("ICT-FaceKit", LICENCE, "skin painted by the program; 1 unit = 10 mm"),
        parts=face_parts(mesh.faces),
        seed=seed or 0,
    )


def face_parts(faces: np.ndarray) -> np.ndarray:
    """(F,) uint8 indices into `PARTS` of (F, 3) faces of ICT-FaceKit's mesh, by their last vertex."""
    parts = np.array([PARTS.index(part) for _, part in _RANGES], np.uint8)
    return parts[np.searchsorted([end for end, _ in _RANGES], faces.max(axis=1), side="right").clip(max=len(parts) - 1)]


@reads("JSON with identity_coefficients")
def read_coefficients(path: Path) -> np.ndarray:
    """(<= 100,) identity coefficients of a JSON file with `identity_coefficients`; the model's first 100 are used."""
    values = np.array(read_json(path)["identity_coefficients"], np.float64)
    if values.ndim != 1 or not (np.abs(values) <= _FARTHEST).all():  # NaN too
        raise FileFormatError(f"{path}: expected a list of identity_coefficients within {_FARTHEST:g}, found others")
    return values[:MODE_COUNT]


def identity_modes(folder: Path, count: int = MODE_COUNT) -> np.ndarray:
    """(count, 26719, 3) float32 offsets in centimetres, from identity_modes.npz or the identityNNN.obj files."""
    model = model_folder(folder) or folder
    for path in (folder / "identity_modes.npz", model.parent / "identity_modes.npz"):
        if path.is_file():
            with reading(path) as stored:
                return _offsets(stored.get("deltas.npy")[:count], path)
    neutral = read_obj(model / "generic_neutral_mesh.obj").positions
    paths = [model / f"identity{number:03d}.obj" for number in range(count)]
    return np.stack([read_obj(path).positions - neutral for path in paths])


def expression_deltas(folder: Path) -> dict[str, np.ndarray]:
    """Shape name -> (26719, 3) float32 offsets in centimetres, from expression_deltas.npz or the shape files."""
    model = model_folder(folder) or folder
    for path in (folder / "expression_deltas.npz", model.parent / "expression_deltas.npz"):
        if path.is_file():
            with reading(path) as stored, border(path, "names and deltas of shapes"):
                names = [str(name) for name in stored.get("names.npy").tolist()]
                return dict(zip(names, _offsets(stored.get("deltas.npy"), path), strict=True))
    neutral = read_obj(model / "generic_neutral_mesh.obj").positions
    skip = ("generic_neutral_mesh", "identity")
    shapes = [path for path in sorted(model.glob("*.obj")) if not path.stem.startswith(skip)]
    return {path.stem: read_obj(path).positions - neutral for path in shapes}


def _offsets(stored: np.ndarray, path: Path) -> np.ndarray:
    """`stored` as (N, 26719, 3) float32 centimetres; FileFormatError where it has another shape or is not finite."""
    with border(path, "offsets of every vertex"):
        offsets = check_array("deltas", stored, ("N", VERTEX_COUNT, 3), np.float32)
        check_magnitude("deltas", offsets, _FARTHEST)
    return offsets


def _in_one_square(uvs: np.ndarray) -> np.ndarray:
    """(U, 2) texture coordinates over seven tiles packed into one: the face's large on the left, the back of the head's
    beside it, everything else in a strip that skin maps do not use."""
    tile = np.floor(uvs[:, 0]).clip(0, 6)
    local = np.stack([uvs[:, 0] - tile, uvs[:, 1]], axis=1)
    scale = np.where(tile[:, None] == 0, (0.70, 1.0), np.where(tile[:, None] == 1, (0.26, 1.0), (0.03, 0.1)))
    start = np.where(tile[:, None] == 0, (0.0, 0.0), np.where(tile[:, None] == 1, (0.705, 0.0), (0.968, 0.0)))
    return local * scale + start
