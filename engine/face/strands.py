"""Hairs as opaque ribbons that taper to a point, and how they follow the skin they grow on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.face.assemble import Piece, constant_parts
from engine.mesh import Part, Topology

COLUMNS, ROWS = 64, 16
"""Of the palette that hairs take their colours from: strands across, root to tip down."""
PALETTE = (0.940, 0.005, 0.995, 0.045)
"""Where it lies in the canonical layout, in a corner that skin does not use: u from, v from, u to, v to."""
SCALP, BROWS, LASHES = range(48), range(48, 60), range(60, 64)
"""Columns of the palette."""
SHADES = 4
"""Columns of the scalp side by side that have one tone, the first turning grey last."""
FIBRE_M = 1.3e-4
"""Width that a hair takes in a ribbon, which stands for as many as fit in it side by side."""
_CELL_M = 0.015
"""Side of the cubes in which strands stand for each other."""
_CASTING_M, _WIDEST_M = 0.5e-3, 10e-3
"""How wide a strand is at least that casts a shadow, and at most that stands for others."""
_PATCH = 12
"""Skin vertices around a root whose motion turns a strand."""


@dataclass(frozen=True, eq=False, slots=True)
class Strands:
    """S hairs of K points each."""

    points_m: np.ndarray
    """(S, K, 3) from the root to the tip."""
    width_m: np.ndarray
    """(S,) at the root."""
    facing: np.ndarray
    """(S, K or 1, 3) normals of the flat ribbons; those of the skin below where hair lies on it."""
    column: np.ndarray
    """(S,) of the palette."""


Place = tuple[float, float, float, float]
"""A rectangle of a map: u from, v from, u to, v to."""


def ribbons(strands: Strands, palette: Place = PALETTE) -> Piece:
    """2 (K - 1) + 1 vertices and 2 K - 3 triangles a strand, textured by what lies at `palette`."""
    count, points, _ = strands.points_m.shape
    along = np.gradient(strands.points_m, axis=1)
    side = np.cross(along, strands.facing)
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-12)
    taper = 1 - np.linspace(0, 1, points) ** 2.5
    half = side * (0.5 * strands.width_m[:, None] * taper)[..., None]
    left, right = strands.points_m[:, :-1] - half[:, :-1], strands.points_m[:, :-1] + half[:, :-1]
    vertices = np.concatenate([left, right, strands.points_m[:, -1:]], axis=1)
    size = vertices.shape[1]
    rows = np.arange(points - 2)
    first, second = rows, points - 1 + rows
    quads = [np.stack([first, second, second + 1], -1), np.stack([first, second + 1, first + 1], -1)]
    tip = np.array([[points - 2, size - 2, size - 1]])
    one = np.concatenate([*quads, tip])
    faces = (one[None] + size * np.arange(count)[:, None, None]).reshape(-1, 3)
    place = np.concatenate([np.arange(points - 1), np.arange(points - 1), [points - 1]])
    uv_faces = (place[one][None] + points * strands.column[:, None, None]).reshape(-1, 3)
    left_u, top, right_u, bottom = palette
    u = left_u + (np.arange(COLUMNS) + 0.5) / COLUMNS * (right_u - left_u)
    v = top + (0.5 + np.linspace(0, ROWS - 1, points)) / ROWS * (bottom - top)
    uvs = np.stack(np.broadcast_arrays(u[:, None], v[None]), -1).reshape(-1, 2)
    return Piece(vertices.reshape(-1, 3), faces, uvs, uv_faces, constant_parts(len(faces), Part.HAIR))


def _spans(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first and last vertex of each strand of `ribbons` with (F, 3) `faces`, and where its faces end; (S,) each."""
    lowest, so_far = faces.min(axis=1), np.maximum.accumulate(faces.max(axis=1))
    starts = np.flatnonzero(np.r_[True, lowest[1:] > so_far[:-1]][: len(faces)])
    ends = np.r_[starts[1:], len(faces)][: len(starts)]
    return lowest[starts], so_far[ends - 1], ends


def _widths(positions_m: np.ndarray, root: np.ndarray, tip: np.ndarray) -> np.ndarray:
    """(S,) metres that strands from `root` to `tip` of `_spans` are wide at the root."""
    return np.linalg.norm(positions_m[root + (tip - root) // 2] - positions_m[root], axis=1)


def fibre_places(faces: np.ndarray, positions_m: np.ndarray) -> np.ndarray:
    """(H, 4) float32 for the H vertices, which follow each other, of the ribbons' (F, 3) `faces`: -1 left to 1 right, 0
    at the root to 1 at the tip, the strand's number modulo 256, and how many hairs lie side by side in it."""
    root, tip, _ = _spans(faces)
    half, size = (tip - root) // 2, tip - root + 1
    step, points = _counted(size), np.repeat(half, size)
    places = np.empty((len(step), 4), np.float32)
    places[:, 0] = np.where(step < points, -1, np.where(step < 2 * points, 1, 0))
    places[:, 1] = np.where(step < 2 * points, step % points, points) / points
    places[:, 2] = np.repeat(np.arange(len(root)) % 256, size)
    places[:, 3] = np.repeat(np.maximum(np.rint(_widths(positions_m, root, tip) / FIBRE_M), 1), size)
    return places


def casting(faces: np.ndarray, positions_m: np.ndarray) -> tuple[int, int]:
    """First and end of the ribbons' (F, 3) `faces` from the first to the last strand that is wide enough to cast a
    shadow: finer ones would speckle a shadow map."""
    root, tip, ends = _spans(faces)
    wide = np.flatnonzero(_widths(positions_m, root, tip) > _CASTING_M)
    return (int(np.r_[0, ends][wide[0]]), int(ends[wide[-1]])) if len(wide) else (0, 0)


def _counted(lengths: np.ndarray) -> np.ndarray:
    """0, 1, 2 ... up to each of (S,) `lengths`, one after the other."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def stand_ins(faces: np.ndarray, positions_m: np.ndarray, count: int) -> tuple[int, np.ndarray]:
    """The first strands of `ribbons` within `count` of (F, 3) `faces`, as wide as those around that they stand for.

    How many triangles they have, and (V, 3) metres from `positions_m` to where their vertices go.
    """
    wider_m = np.zeros_like(positions_m)
    root, tip, ends = _spans(faces)
    shown = int(np.searchsorted(ends, count, side="right"))
    if not 0 < shown < len(root):
        return len(faces) if shown else 0, wider_m
    cell = np.unique((positions_m[root] // _CELL_M).astype(int), axis=0, return_inverse=True)[1].ravel()
    here = np.bincount(cell[:shown], minlength=cell.max() + 1)
    most = _WIDEST_M / np.maximum(_widths(positions_m, root[:shown], tip[:shown]), 1e-9)
    more = np.maximum(np.minimum(np.bincount(cell)[cell[:shown]] / here[cell[:shown]], most) - 1, 0)
    half = (tip - root)[:shown] // 2
    left = np.repeat(root[:shown], half) + _counted(half)
    right = left + np.repeat(half, half)
    wider_m[left] = 0.5 * np.repeat(more, half)[:, None] * (positions_m[left] - positions_m[right])
    wider_m[right] = -wider_m[left]
    return int(ends[shown - 1]), wider_m


class HairRig:
    """How strands follow: each turns with the skin around its root as a whole."""

    def __init__(self, topology: Topology, positions_m: np.ndarray, skin: np.ndarray) -> None:
        """Of a head at rest with (V, 3) positions; `skin` are the vertices that hair grows on."""
        faces = topology.faces[topology.faces_of(Part.HAIR)]
        self.vertices = np.unique(faces)
        if not len(self.vertices):
            return
        root, tip, _ = _spans(faces)
        strand = np.searchsorted(root, self.vertices, side="right") - 1
        roots = (positions_m[root] + positions_m[root + (tip - root) // 2]) / 2
        from scipy.spatial import KDTree  # late: no start needs it

        tree = KDTree(positions_m[skin])
        nearest, number = np.unique(tree.query(roots)[1], return_inverse=True)
        self._patch = skin[tree.query(positions_m[skin[nearest]], k=_PATCH)[1]]
        self._anchor, self._number = skin[nearest], number[strand]
        self._rest = positions_m.astype(np.float64)

    def __call__(self, posed_m: np.ndarray) -> np.ndarray:
        """(H, 3) offsets of `vertices` for (V, 3) positions of a pose: rotations by Kabsch 1976."""
        if not len(self.vertices):
            return np.zeros((0, 3))
        rest, posed = self._rest[self._patch], posed_m[self._patch]
        spread = np.swapaxes(rest - rest.mean(1, keepdims=True), 1, 2) @ (posed - posed.mean(1, keepdims=True))
        u, _, vt = np.linalg.svd(spread)
        flip = np.ones((len(u), 1, 3))
        flip[:, 0, 2] = np.sign(np.linalg.det(u @ vt))
        turn = (u * flip) @ vt  # rows: p' = p turn
        anchor, number = self._anchor, self._number
        from_root = self._rest[self.vertices] - self._rest[anchor][number]
        turned = (from_root[:, None] @ turn[number])[:, 0]
        return turned - from_root + (posed_m[anchor] - self._rest[anchor])[number]
