"""Builds the files that `engine.face` ships, from the third-party heads in a data folder.

    python -m scripts.build_faces --data DIR [--out FOLDER]      DIR holds ict-facekit/ and ffhq-uv/

Writes canonical.npz (valid mask, mean head), registered/*.npz (ICT-FaceKit's place in the canonical square),
head_model.npz (the built-in people), shapes.npz (ICT-FaceKit's expressions) and relief.npz (pores) into FOLDER,
engine/face by default, and prints the registration's residual.
Reproducible: fixed seeds, no wall clock. The registration takes about two minutes on two cores.
Needs trimesh: scripts/install '.[faces]'.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import KDTree

from engine.face import layout
from engine.face.eyes import frontal_uv
from engine.face.head_model import LANDMARKS, LASH_COLUMNS, LASH_ROWS, MEAN_STEP_MM, MESH_VERTICES, packed
from engine.face.ict_shapes import STEP_MM, ict_mix, skin_digest
from engine.face.registration import REGISTERED, skin_key
from engine.face.relief import TEXEL_MM, TILE_SIDE, TILES
from engine.face.skin import INNER_UV
from engine.face.space import GEOMETRY_SIZE
from engine.head import topology_of
from engine.io import ict
from engine.io.obj import read_obj
from engine.io.source import SourceMesh
from engine.mesh import PARTS, Part
from engine.raster import fill_nearest, rasterize
from engine.vocabulary import EXPRESSIONS
from scripts.nonrigid import canonical_landmarks_uv, nearest, register

FACE = REGISTERED.parent


@dataclass(frozen=True, eq=False, slots=True)
class Template:
    """The skin chart of an FFHQ-UV head after registration to ICT's neutral."""

    uvs: np.ndarray
    """(V, 2) canonical UVs."""
    faces: np.ndarray
    """(F, 3)."""
    positions_cm: np.ndarray
    """(V, 3) on ICT's neutral."""


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=FACE, help="folder to write (default: the one that ships)")
    parser.add_argument("--registration", type=Path, help="keep the registration here; taken if present")
    args = parser.parse_args(argv)
    folder = args.data
    generic = read_obj(folder / "ict-facekit" / "FaceXModel" / "generic_neutral_mesh.obj")
    skin_faces = generic.faces[(generic.faces < ict.SKIN_VERTICES).all(axis=1)]
    target = trimesh.Trimesh(generic.positions, skin_faces, process=False)
    sides = _sides(ict.expression_deltas(folder / "ict-facekit"))
    template = _registered_template(folder / "ffhq-uv" / "teaser_1" / "mesh_head.obj", target, args.registration)
    args.out.mkdir(parents=True, exist_ok=True)
    opened_uv = _write_ict(template, generic.positions, sides, folder, args.out / REGISTERED.name)
    _write_canonical(template, target, sides, args.out)
    deltas = ict.expression_deltas(folder / "ict-facekit")
    blink = deltas["eyeBlink_L"] + deltas["eyeBlink_R"]
    modes = ict.identity_modes(folder / "ict-facekit")
    _write_head_model(generic, modes, deltas["jawOpen"], blink, opened_uv, args.out)
    _write_shapes(deltas, skin_faces, args.out)
    _write_relief(args.out)
    return 0


def surface_operator(points: np.ndarray, uvs: np.ndarray, target: trimesh.Trimesh, sides: np.ndarray) -> csr_matrix:
    """(N, 26719) weights of the ICT surface nearest to (N, 3) `points`, whose canonical UVs tell the side of each
    slit."""
    face_side = _face_sides(sides, target.faces)
    group = slit_side(uvs)
    rows, columns, values = [], [], []
    for label in np.unique(group):
        chosen = np.flatnonzero(group == label)
        allowed = np.ones(len(target.faces), bool) if label == 0 else face_side != -label
        points_on = nearest(target, points[chosen], allowed)
        rows.append(np.repeat(chosen, 3))
        columns.append(target.faces[points_on.faces].ravel())
        values.append(points_on.weights.ravel())
    joined = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_matrix(coo_matrix(joined, shape=(len(points), ict.VERTEX_COUNT)))


def slit_side(uvs: np.ndarray) -> np.ndarray:
    """(N,) int: 1 above the mouth's slit and near it, -1 below; 2 and -2 at the eyes; 0 elsewhere."""
    side = np.zeros(len(uvs), int)
    for slit in layout.SLITS:
        number = 1 if slit.name == "mouth" else 2
        away = uvs[:, 1] - slit.v_at(uvs[:, 0])
        near = (np.abs(away) < 0.035) & (uvs[:, 0] > slit.u_left + 0.004) & (uvs[:, 0] < slit.u_right - 0.004)
        side[near] = np.where(away[near] < 0, number, -number)
    return side


def _sides(deltas: dict[str, np.ndarray]) -> np.ndarray:
    """(2, 26719) signs: how lips follow the jaw (-1 lower) and lids the blink (1 upper), 0 where undecided."""
    jaw = np.linalg.norm(deltas["jawOpen"], axis=1)
    blink = -(deltas["eyeBlink_L"] + deltas["eyeBlink_R"])[:, 1]
    lips = np.where(jaw > 0.55 * jaw.max(), -1, np.where(jaw < 0.25 * jaw.max(), 1, 0))
    lids = np.where(blink > 0.35 * blink.max(), 1, np.where(blink < 0.12 * blink.max(), -1, 0))
    return np.stack([lips, lids])


def _face_sides(sides: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(F,) labels 1/-1 of lips; lids' 2/-2 where a face is not near the mouth is told by `nearest` distances alone."""
    mean = sides[0][faces].mean(axis=1)
    return np.where(mean > 0.3, 1, np.where(mean < -0.3, -1, 0))


def _registered_template(path: Path, target: trimesh.Trimesh, cache: Path | None) -> Template:
    mesh = read_obj(path)
    parts = layout.canonical_parts(mesh.uvs, mesh.uv_faces)
    assert parts is not None
    skin = parts == PARTS.index(Part.SKIN)
    used, faces = np.unique(mesh.faces[skin], return_inverse=True)
    faces = faces.reshape(-1, 3)
    uvs = np.zeros((len(used), 2))
    uvs[faces.ravel()] = mesh.uvs[mesh.uv_faces[skin].ravel()]
    landmarks = KDTree(uvs).query(canonical_landmarks_uv())[1]
    source = trimesh.Trimesh(mesh.positions[used] * 10, faces, process=False)  # decimetres to centimetres
    goal = np.asarray(target.vertices)[list(LANDMARKS)]
    pull = np.asarray(target.vertices)[: ict.SKIN_VERTICES]
    if cache is not None and cache.is_file():
        positions = np.load(cache, allow_pickle=False)
    else:
        positions = register(source, target, np.asarray(landmarks), goal, pull)
        if cache is not None:
            np.save(cache, positions)
    # the chart's two edges meet at the back of the head: triangles over that seam span the whole square
    narrow = np.ptp(uvs[faces][..., 0], axis=1) < 0.2
    return Template(uvs, faces[narrow], positions)


def _write_ict(template: Template, positions_cm: np.ndarray, sides: np.ndarray, folder: Path, out: Path) -> np.ndarray:
    """ICT's place in the canonical square: nearest point of the registered template, kept on its side of the mouth.

    Returns it, (11248, 2) in the opened layout.
    """
    surface = trimesh.Trimesh(template.positions_cm, template.faces, process=False)
    side = slit_side(template.uvs[template.faces].mean(axis=1))
    points = positions_cm[: ict.SKIN_VERTICES]
    lips = sides[0][: ict.SKIN_VERTICES]
    uv = np.zeros((ict.SKIN_VERTICES, 2))
    distance = np.zeros(ict.SKIN_VERTICES)
    for label in (-1, 0, 1):
        chosen = np.flatnonzero(lips == label)
        points_on = nearest(surface, points[chosen], None if label == 0 else side != -label)
        uv[chosen] = (template.uvs[template.faces[points_on.faces]] * points_on.weights[..., None]).sum(axis=1)
        distance[chosen] = points_on.distance * 10
    face = distance[:9409]
    print(
        f"ICT face vertices to the registered surface: mean {face.mean():.2f} mm, 95th percentile "
        f"{np.percentile(face, 95):.2f} mm; all skin: {distance.mean():.2f}, {np.percentile(distance, 95):.2f}"
    )
    out.mkdir(exist_ok=True)
    topology = topology_of(ict.read(folder / "ict-facekit"))
    vertices = np.arange(ict.SKIN_VERTICES, dtype=np.uint16)
    opened = layout.open_uv(uv).astype(np.float32)
    np.savez_compressed(out / f"{skin_key(topology)}.npz", vertices=vertices, opened_uv=opened)
    return opened


def _write_canonical(template: Template, target: trimesh.Trimesh, sides: np.ndarray, out: Path) -> None:
    operator, valid = geometry_operator(template, target, sides)
    mean = (operator @ np.asarray(target.vertices)).reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 3) * 10
    index, _ = rasterize(template.uvs[template.faces], 512)
    path = out / "canonical.npz"
    np.savez_compressed(
        path,
        valid_bits=np.packbits(index.ravel() >= 0),
        geometry_valid_bits=np.packbits(valid.ravel()),
        mean_position_mm=mean.astype(np.float16),
    )
    print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


def geometry_operator(template: Template, target: trimesh.Trimesh, sides: np.ndarray) -> tuple[csr_matrix, np.ndarray]:
    """(128 * 128, 26719) weights from ICT vertices to opened-layout texels, and (128, 128) bool where they are on
    skin."""
    opened = layout.open_uv(template.uvs)
    index, weights = rasterize(opened[template.faces], GEOMETRY_SIZE)
    valid = index >= 0
    corner = template.positions_cm[template.faces[index]]
    uv = (template.uvs[template.faces[index]] * weights[..., None]).sum(axis=2)
    points = (corner * weights[..., None]).sum(axis=2)
    operator = surface_operator(points[valid], uv[valid], target, sides)
    source = np.zeros((GEOMETRY_SIZE, GEOMETRY_SIZE, 1), np.int64)
    source[valid, 0] = np.arange(valid.sum())
    return operator[fill_nearest(source, valid).ravel()], valid


def _write_head_model(
    generic: SourceMesh, modes: np.ndarray, jaw: np.ndarray, blink: np.ndarray, opened_uv: np.ndarray, out: Path
) -> None:
    """Linear model of head shape on ICT-FaceKit's own vertices, in the canonical layout.

    What each seed looks like is in the file itself: `mixing`, the coefficients of the modes for each component and,
    last, for the mean. It is taken over from the file that is there, so that people stay who they are.
    """
    path = out / "head_model.npz"
    with np.load(FACE / path.name, allow_pickle=False) as stored:
        mixing = stored["mixing"].astype(np.float64)
    cards = _lash_cards(generic)
    used = np.concatenate([np.arange(MESH_VERTICES), cards.ravel()])
    shapes = np.tensordot(mixing, modes[:, used], axes=1) * 10
    mean = generic.positions[used] * 10.0 + shapes[-1]
    step = np.abs(shapes[:-1]).max(axis=(1, 2)) / 127
    jaw_step = np.float32(np.abs(jaw).max() * 10 / 32000)
    faces, uvs, uv_faces, parts = _canonical_mesh(generic, mean[:MESH_VERTICES], jaw, layout.close_uv(opened_uv))
    np.savez_compressed(
        path,
        mean=packed(np.rint(mean / MEAN_STEP_MM).astype(np.int16)),
        components=packed(np.rint(shapes[:-1] / step[:, None, None]).astype(np.int8)),
        step_mm=step.astype(np.float32),
        jaw=packed(np.rint(jaw[used] * 10 / jaw_step).astype(np.int16)),
        blink=packed(np.rint(blink[used] * 10 / jaw_step).astype(np.int16)),
        jaw_step_mm=jaw_step,
        faces=packed(faces.astype(np.uint16)),
        uvs=uvs.astype(np.float32),
        uv_faces=packed(uv_faces.astype(np.uint16)),
        parts=parts,
        ict_vertices=used.astype(np.uint16),
        mixing=mixing.astype(np.float32),
    )
    print(f"{path.name}: {len(step)} components, {path.stat().st_size / 1e6:.2f} MB")


def _write_shapes(deltas: dict[str, np.ndarray], skin_faces: np.ndarray, out: Path) -> None:
    """Those of ICT-FaceKit's expressions that the vocabulary's are mixed of, on the head model's vertices."""
    used = {name for entry in EXPRESSIONS for name in ict_mix(entry.arkit)}
    path = out / "shapes.npz"
    packed_mm = packed_shapes({name: deltas[name][:MESH_VERTICES] * 10.0 for name in sorted(used)}, skin_faces)
    np.savez_compressed(path, **packed_mm)  # pyright: ignore[reportArgumentType]
    print(f"{path.name}: {len(used)} shapes, {path.stat().st_size / 1e6:.2f} MB")


def packed_shapes(deltas_mm: Mapping[str, np.ndarray], skin_faces: np.ndarray) -> dict[str, np.ndarray]:
    """What the file holds, for `np.savez_compressed`: `deltas_mm` are (V, 3) each, `skin_faces` (F, 3)."""
    names = sorted(deltas_mm)
    steps = np.rint(np.stack([deltas_mm[name] for name in names]) / STEP_MM).astype(np.int16)
    moves = steps.any(axis=2)
    columns = steps[moves].T
    return {
        "names": np.array(names),
        "moves": np.packbits(moves, axis=1),
        "steps": np.diff(columns, axis=1, prepend=np.zeros_like(columns[:, :1])),
        "skin": np.array(skin_digest(skin_faces)),
    }


def _write_relief(out: Path) -> None:
    """The tile of furrows and pores of `engine.face.relief`, (2, 512, 512) uint8, periodic; see there."""
    rng, side, width_mm = np.random.default_rng(3), TILE_SIDE, TEXEL_MM * 512 / TILES
    coarse, fine = (_cells(rng, width_mm / spacing, 0.42, 2, side) for spacing in (1.05, 0.55))
    furrows = 0.65 * _groove(coarse[0], 0.28 / width_mm) + 0.35 * _groove(fine[0], 0.18 / width_mm)
    away, owner, count = _cells(rng, width_mm / 1.3, 0.48, 1, side)
    size = rng.gamma(4, 0.25, count)[owner]
    pores = np.exp(-((away[..., 0] * width_mm / (0.20 + 0.16 * size)) ** 2)) * size.clip(0.2, 1.8) / 1.8
    levels = np.rint(np.stack([furrows, pores]).clip(0, 1) * 31) * 8
    np.savez_compressed(out / "relief.npz", relief=levels.astype(np.uint8))


def _cells(
    rng: np.random.Generator, across: float, jitter: float, nearest: int, side: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """(side, side, nearest) distances to the nearest points of a jittered periodic grid of the unit square, (side,
    side) which point is nearest, and how many there are (Worley 1996, "A Cellular Texture Basis Function")."""
    count = int(across)
    points = (np.stack(np.meshgrid(np.arange(count), np.arange(count)), -1).reshape(-1, 2) + 0.5) / count
    points = (points + rng.uniform(-jitter, jitter, points.shape) / count) % 1
    around = np.concatenate([points + np.array([i, j]) for i in (-1, 0, 1) for j in (-1, 0, 1)])
    y, x = (np.mgrid[0:side, 0:side].reshape(2, -1) + 0.5) / side
    away, number = KDTree(around).query(np.stack([x, y], -1), k=nearest)
    owner = np.asarray(number).reshape(side, side, nearest)[..., 0] % len(points)
    return np.asarray(away).reshape(side, side, nearest), owner, len(points)


def _groove(away: np.ndarray, width: float) -> np.ndarray:
    """(S, S) 0..1: 1 on the borders of cells, falling over `width`."""
    share = np.clip((away[..., 1] - away[..., 0]) / width, 0, 1)
    return 1 - share * share * (3 - 2 * share)


def _lash_cards(generic: SourceMesh) -> np.ndarray:
    """(12, 6, 19) vertices of the lash cards, from the root to the tip and along the lid."""
    cards = []
    for card in range(12):
        first = ict.LASHES + card * LASH_ROWS * LASH_COLUMNS
        vertices = np.arange(first, first + LASH_ROWS * LASH_COLUMNS)
        faces = np.isin(generic.faces, vertices).all(axis=1)
        uv = np.zeros((len(vertices), 2))
        uv[generic.faces[faces].ravel() - first] = generic.uvs[generic.uv_faces[faces].ravel()]
        cards.append(vertices[np.lexsort((uv[:, 0], np.round(uv[:, 1], 3)))].reshape(LASH_ROWS, LASH_COLUMNS))
    return np.stack(cards)


def _canonical_mesh(
    generic: SourceMesh, mean_mm: np.ndarray, jaw: np.ndarray, skin_uv: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Faces (F, 3), canonical UVs (U, 2), faces in them (F, 3) and parts (F,) of the head model's mesh.

    Left out: what no light falls on right without a texture of its own (lash cards, the fold at the inner corner, the
    eye's shade), the eyeballs inside the eyeballs, and the few faces that tie the lower gums to the upper ones.
    """
    parts = ict.face_parts(generic.faces)
    last, moved = generic.faces.max(axis=1), np.linalg.norm(jaw, axis=1) > 0.05 * np.linalg.norm(jaw, axis=1).max()
    gums = (last >= ict.GUMS) & (last < ict.TEETH)
    ties = gums & moved[generic.faces].any(axis=1) & ~moved[generic.faces].all(axis=1)
    drawn = (last < MESH_VERTICES) & ~ties & ~_inner_balls(generic)
    faces, parts = generic.faces[drawn].astype(np.int64), parts[drawn]
    parts[faces.max(axis=1) >= ict.WET_RIM] = PARTS.index(Part.SOCKET)
    uvs, uv_faces = [skin_uv.astype(np.float64)], faces.copy()
    inner = np.isin(parts, [PARTS.index(part) for part in (Part.MOUTH, Part.SOCKET, Part.TEETH)])
    uv_faces[inner] = len(skin_uv)
    uvs.append(np.array([INNER_UV]))
    count = len(skin_uv) + 1
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        chosen = parts == PARTS.index(part)
        vertices, packed_faces = np.unique(faces[chosen], return_inverse=True)
        ball = mean_mm[vertices]
        direction = ball - (ball.min(axis=0) + ball.max(axis=0)) / 2
        uvs.append(frontal_uv(direction / np.linalg.norm(direction, axis=1, keepdims=True)))
        uv_faces[chosen] = count + packed_faces.reshape(-1, 3)
        count += len(vertices)
    skin = np.flatnonzero(parts == PARTS.index(Part.SKIN))
    over = skin[_over_seam(skin_uv[faces[skin]])]
    corners = skin_uv[faces[over]].astype(np.float64)
    right = corners[..., 0] > 0.5
    odd = right != (right.sum(axis=1) > 1)[:, None]
    vertices, number = np.unique(faces[over][odd], return_inverse=True)
    outside, along = layout.beyond_seam(skin_uv[vertices])
    left = layout.seam_uv(along, -outside)
    uvs.append(np.where(skin_uv[vertices, :1] > 0.5, left, left * (-1, 1) + (1, 0)))
    replaced = uv_faces[over]
    replaced[odd] = count + number
    uv_faces[over] = replaced
    return faces, np.concatenate(uvs).clip(0, 1), uv_faces, parts


def _inner_balls(generic: SourceMesh) -> np.ndarray:
    """(F,) bool: faces of the smaller of the two pieces of each eyeball, which the one with the cornea hides."""
    piece = layout.charts(generic.faces, len(generic.positions))[generic.faces[:, 0]]
    hidden = np.zeros(len(generic.faces), bool)
    for start, end in ict.EYEBALLS:
        ball = (generic.faces >= start).all(axis=1) & (generic.faces < end).all(axis=1)
        front = {
            number: generic.positions[generic.faces[piece == number], 2].max() for number in np.unique(piece[ball])
        }
        hidden |= ball & (piece != max(front, key=lambda number: front[number]))
    return hidden


def _over_seam(corners: np.ndarray) -> np.ndarray:
    """(F,) bool: triangles, (F, 3, 2) canonical UVs, with corners on both sides of the back's seam."""
    right = corners[..., 0] > 0.5
    across = right.any(axis=1) & ~right.all(axis=1)
    middles = (corners + np.roll(corners, 1, axis=1)) / 2
    beyond = layout.beyond_seam(middles.reshape(-1, 2))[0].reshape(-1, 3).max(axis=1)
    return across & ((beyond > 0) | (np.ptp(corners[..., 0], axis=1) > 0.4))


if __name__ == "__main__":
    sys.exit(main())
