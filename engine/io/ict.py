"""An ICT-FaceKit folder (Li et al. 2020): the generic head plus identity modes, 26,719 vertices, files in
centimetres."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import FileFormatError, check_array, check_magnitude
from engine.face import skin
from engine.face.assemble import Piece, assemble
from engine.face.eyes import frontal_uv, paint_eye
from engine.face.transfer import maps_to_own
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.io.archive import reading
from engine.io.border import border, reads
from engine.io.files import read_json
from engine.io.obj import ObjMesh, read_obj
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


@reads("an ICT-FaceKit folder")
def read(
    folder: Path, seed: int | None = None, coefficients: np.ndarray | None = None, *, registered: bool = True
) -> Identity:
    """The head of `folder` with (<= 100,) identity `coefficients`, or ones drawn from `seed`, or generic.

    Skin is painted by `skin.paint` (the model has no textures), which needs the shipped registration; without it
    (`registered` False, to build it) the skin stays flat. FileFormatError where a file is missing or another.
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
    name = "ICT generic" if coefficients is None else f"ICT {seed if seed is not None else 'fitted'}"
    return _identity(mesh, positions * METRES_PER_UNIT, name, seed or 0, registered)


def face_parts(faces: np.ndarray) -> np.ndarray:
    """(F,) uint8 indices into `PARTS` of (F, 3) faces of ICT-FaceKit's mesh, by their last vertex."""
    parts = np.array([PARTS.index(part) for _, part in _RANGES], np.uint8)
    return parts[np.searchsorted([end for end, _ in _RANGES], faces.max(axis=1), side="right").clip(max=len(parts) - 1)]


def generic_positions_m(folder: Path) -> np.ndarray:
    """(26719, 3) float64 metres of the generic neutral."""
    model = model_folder(folder) or folder
    return read_obj(model / "generic_neutral_mesh.obj").positions.astype(np.float64) * METRES_PER_UNIT


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


def _identity(mesh: ObjMesh, positions_m: np.ndarray, name: str, seed: int, registered: bool) -> Identity:
    piece = _piece(mesh, positions_m)
    canonical = skin.paint(skin.sample_traits(seed), 1024 if registered else 8)
    provenance = Provenance("ICT-FaceKit", LICENCE, "skin painted by the program; 1 unit = 10 mm")

    def build(maps: ReflectanceMaps) -> Identity:
        return assemble(name, [piece], maps, paint_eye(seed), frozenset(), provenance)

    if not registered:
        return build(canonical)
    topology = build(canonical).topology
    stacked = np.concatenate(
        [
            canonical.diffuse_srgb,
            canonical.specular_data,
            canonical.roughness_data[..., None],
            canonical.slope.astype(np.float32) * 255,
        ],
        axis=2,
        dtype=np.float32,
    )
    own = maps_to_own(topology, stacked)
    rounded = np.rint(own).clip(0, 255).astype(np.uint8)
    return build(ReflectanceMaps(rounded[..., :3], rounded[..., 3:6], rounded[..., 6], own[..., 7:9] / 255))


def _piece(mesh: ObjMesh, positions_m: np.ndarray) -> Piece:
    """The mesh with its texture tiles packed into one square, and parts by vertex range."""
    parts = face_parts(mesh.faces)
    tile = np.floor(mesh.uvs[:, 0]).clip(0, 6)
    local = np.stack([mesh.uvs[:, 0] - tile, mesh.uvs[:, 1]], axis=1)
    # face tile left and large, back of the head beside it, everything else in a strip that skin maps do not use
    scale = np.where(tile[:, None] == 0, (0.70, 1.0), np.where(tile[:, None] == 1, (0.26, 1.0), (0.03, 0.1)))
    start = np.where(tile[:, None] == 0, (0.0, 0.0), np.where(tile[:, None] == 1, (0.705, 0.0), (0.968, 0.0)))
    uvs = local * scale + start
    uv_faces = mesh.uv_faces.astype(np.int64)
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        chosen = parts == PARTS.index(part)
        vertices = np.unique(mesh.faces[chosen])
        ball = positions_m[vertices]
        direction = ball - (ball.min(axis=0) + ball.max(axis=0)) / 2
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        lookup = np.full(len(positions_m), -1, np.int64)
        lookup[vertices] = len(uvs) + np.arange(len(vertices))
        uvs = np.concatenate([uvs, frontal_uv(direction)])
        uv_faces[chosen] = lookup[mesh.faces[chosen]]
    return Piece(positions_m, mesh.faces, uvs, uv_faces, parts)
