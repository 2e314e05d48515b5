"""Builds the files that `engine.face` ships, from the third-party heads in a data folder.

    python -m engine.build --data DIR [--out FOLDER]      DIR holds ict-facekit/ and ffhq-uv/

Writes canonical.npz (valid mask, mean head), registered/*.npz (ICT-FaceKit's place in the canonical square) and
head_model.npz (the built-in people) into FOLDER, engine/face by default, and prints the registration's residual.
Reproducible: fixed seeds, no wall clock. The registration takes about two minutes on two cores.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import trimesh
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.spatial import KDTree

from engine.face import layout
from engine.face.correspondence import REGISTERED, skin_key
from engine.face.grid import SkinGrid, skin_grid
from engine.face.landmarks import ICT_VERTICES, canonical_landmarks_uv
from engine.face.registration import nearest, register
from engine.face.space import GEOMETRY_SIZE
from engine.io import ict
from engine.io.obj import read_obj
from engine.mesh import PARTS, Part, vertex_normals
from engine.raster import barycentric, fill_nearest, rasterize

FACE = Path(__file__).parent / "face"
SAMPLES, COMPONENTS = 600, 64
EYES = {Part.EYE_LEFT: (21451, 23021), Part.EYE_RIGHT: (23021, 24591)}


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
    _write_ict(template, generic.positions, sides, folder, args.out / REGISTERED.name)
    modes = ict.identity_modes(folder / "ict-facekit")
    _write_canonical(template, target, sides, args.out)
    _write_head_model(template, target, sides, modes, args.out)
    return 0


def ict_operator(uvs: np.ndarray, template: Template, target: trimesh.Trimesh, sides: np.ndarray) -> csr_matrix:
    """(N, 26719) weights that interpolate ICT vertices at (N, 2) canonical `uvs`, upper and lower lip and lid kept
    apart."""
    points, _ = _locate(template, uvs)
    return surface_operator(points, uvs, target, sides)


def surface_operator(points: np.ndarray, uvs: np.ndarray, target: trimesh.Trimesh, sides: np.ndarray) -> csr_matrix:
    """(N, 26719) weights of the ICT surface nearest to (N, 3) `points`, whose canonical UVs tell the side of each
    slit."""
    face_side = _face_sides(sides, target.faces)
    group = slit_side(uvs)
    rows, columns, values = [], [], []
    for label in np.unique(group):
        chosen = np.flatnonzero(group == label)
        allowed = np.ones(len(target.faces), bool) if label == 0 else face_side != -label
        found = nearest(target, points[chosen], allowed)
        rows.append(np.repeat(chosen, 3))
        columns.append(target.faces[found.faces].ravel())
        values.append(found.weights.ravel())
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


def _registered_template(path: Path, target: trimesh.Trimesh, kept: Path | None) -> Template:
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
    goal = np.asarray(target.vertices)[list(ICT_VERTICES)]
    pull = np.asarray(target.vertices)[: ict.SKIN_VERTICES]
    if kept is not None and kept.is_file():
        positions = np.load(kept, allow_pickle=False)
    else:
        positions = register(source, target, np.asarray(landmarks), goal, pull)
        if kept is not None:
            np.save(kept, positions)
    # the chart's two edges meet at the back of the head: triangles over that seam span the whole square
    narrow = np.ptp(uvs[faces][..., 0], axis=1) < 0.2
    return Template(uvs, faces[narrow], positions)


def _locate(template: Template, uvs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 3) cm on the registered template at canonical `uvs`, and (N,) whether the chart holds the point."""
    flat = template.uvs[template.faces]
    near = 24
    points, inside = np.zeros((len(uvs), 3)), np.zeros(len(uvs), bool)
    tree = KDTree(flat.mean(axis=1))
    for block in np.array_split(np.arange(len(uvs)), max(1, len(uvs) // 2000)):
        candidates = np.asarray(tree.query(uvs[block], k=near)[1])
        queries = np.repeat(uvs[block], near, axis=0)[:, None]
        weights = barycentric(flat[candidates].reshape(-1, 3, 2), queries)[:, 0].reshape(-1, near, 3)
        best = weights.min(axis=2).argmax(axis=1)
        rows = np.arange(len(block))
        inside[block] = weights[rows, best].min(axis=1) > -1e-3
        weight = weights[rows, best].clip(0, 1)
        weight /= weight.sum(axis=1, keepdims=True)
        points[block] = (template.positions_cm[template.faces[candidates[rows, best]]] * weight[..., None]).sum(axis=1)
    return points, inside


def _write_ict(template: Template, positions_cm: np.ndarray, sides: np.ndarray, folder: Path, out: Path) -> None:
    """ICT's place in the canonical square: nearest point of the registered template, kept on its side of the mouth."""
    surface = trimesh.Trimesh(template.positions_cm, template.faces, process=False)
    side = slit_side(template.uvs[template.faces].mean(axis=1))
    points = positions_cm[: ict.SKIN_VERTICES]
    lips = sides[0][: ict.SKIN_VERTICES]
    uv = np.zeros((ict.SKIN_VERTICES, 2))
    distance = np.zeros(ict.SKIN_VERTICES)
    for label in (-1, 0, 1):
        chosen = np.flatnonzero(lips == label)
        found = nearest(surface, points[chosen], None if label == 0 else side != -label)
        uv[chosen] = (template.uvs[template.faces[found.faces]] * found.weights[..., None]).sum(axis=1)
        distance[chosen] = found.distance * 10
    face = distance[:9409]
    print(
        f"ICT face vertices to the registered surface: mean {face.mean():.2f} mm, 95th percentile "
        f"{np.percentile(face, 95):.2f} mm; all skin: {distance.mean():.2f}, {np.percentile(distance, 95):.2f}"
    )
    out.mkdir(exist_ok=True)
    topology = ict.read(folder / "ict-facekit", registered=False).topology
    vertices = np.arange(ict.SKIN_VERTICES, dtype=np.uint16)
    np.savez_compressed(
        out / f"{skin_key(topology)}.npz", vertices=vertices, opened_uv=layout.open_uv(uv).astype(np.float32)
    )


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
    template: Template, target: trimesh.Trimesh, sides: np.ndarray, modes: np.ndarray, out: Path
) -> None:
    """Linear model of head shape (Blanz and Vetter 1999) on the built-in mesh, fitted to heads sampled from ICT-
    FaceKit."""
    index, _ = rasterize(template.uvs[template.faces], 512)
    grid = skin_grid(index >= 0)
    neutral = np.asarray(target.vertices, np.float64)
    operator = _smoothed(ict_operator(grid.vertex_uv, template, target, sides), grid, neutral)
    shape = np.concatenate([operator @ neutral, _eye_centres(neutral)]).ravel() * 10
    spread = np.stack([np.concatenate([operator @ mode, _eye_centres(mode)]).ravel() * 10 for mode in modes])
    samples = np.random.default_rng(7).standard_normal((SAMPLES, len(modes))) @ spread
    mean = shape + samples.mean(axis=0)
    _, singular, components = np.linalg.svd(samples - samples.mean(axis=0), full_matrices=False)
    deviation = singular[:COMPONENTS] / np.sqrt(SAMPLES - 1)
    scaled = components[:COMPONENTS] * deviation[:, None]
    step = np.abs(scaled).max(axis=1) / 127
    kept = (deviation**2).sum() / ((singular**2).sum() / (SAMPLES - 1))
    path = out / "head_model.npz"
    np.savez_compressed(
        path,
        mean_mm=mean.astype(np.float32).reshape(-1, 3),
        components=np.rint(scaled / step[:, None]).astype(np.int8).reshape(COMPONENTS, -1, 3),
        step_mm=step.astype(np.float32),
        vertex_uv=grid.vertex_uv.astype(np.float32),
        faces=grid.faces.astype(np.uint16 if len(grid.vertex_uv) < 65536 else np.int32),
        rims=np.concatenate(grid.rims).astype(np.int32),
        rim_lengths=np.array([len(rim) for rim in grid.rims], np.int32),
    )
    print(
        f"{path.name}: {len(grid.vertex_uv)} skin vertices, {COMPONENTS} components keep {kept:.1%} of the variance, "
        f"{path.stat().st_size / 1e6:.2f} MB"
    )


def _smoothed(operator: csr_matrix, grid: SkinGrid, neutral: np.ndarray, rounds: int = 6) -> csr_matrix:
    """`operator` averaged over neighbours where the mean skin folds around the nostrils.

    The nearest surface jumps there between wing and hollow: faces that turn away from their vertices' mean normal.
    """
    count = len(grid.vertex_uv)
    edges = np.concatenate([grid.faces[:, :2], grid.faces[:, 1:], grid.faces[:, ::2]])
    both = np.concatenate([edges, edges[:, ::-1]])
    adjacency = coo_matrix((np.ones(len(both)), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    mean = diags(1 / np.maximum(np.asarray(adjacency.sum(axis=1)).ravel(), 1)) @ adjacency
    positions = operator @ neutral
    corner = positions[grid.faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    turned = (normal[:, None] * vertex_normals(positions, grid.faces)[grid.faces]).sum(axis=2).min(axis=1) < 0.45
    folded = np.zeros(count)
    folded[grid.faces[turned]] = 1
    u, v = grid.vertex_uv.T
    folded *= (np.abs(u - 0.5) < 0.11) & (v > 0.41) & (v < 0.535)
    folded = np.maximum(folded, np.asarray((adjacency @ folded) > 0, float))
    for _ in range(2):
        folded = np.maximum(folded * 0.999, np.asarray(mean @ folded))
    share = diags(0.8 * folded)
    step = csr_matrix(share @ mean + diags(1 - share.diagonal()))
    for _ in range(rounds):
        operator = csr_matrix(step @ operator)
    return operator


def _eye_centres(values: np.ndarray) -> np.ndarray:
    """(2, 3): mean of each eyeball's vertices, left then right."""
    return np.stack([values[start:end].mean(axis=0) for start, end in EYES.values()])


if __name__ == "__main__":
    sys.exit(main())
