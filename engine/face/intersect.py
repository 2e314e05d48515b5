"""Which triangles of a mesh pass through each other."""

from __future__ import annotations

import numpy as np

from engine.raster import blocks, counted

_BLOCK = 400_000
"""Pairs looked at together; bounds memory."""

_CELL = 1.5
"""Side of a grid cell over the median side of the triangles' boxes."""


def intersecting_pairs(positions_m: np.ndarray, faces: np.ndarray, deeper_m: float = 0.0) -> np.ndarray:
    """(K, 2) int64 pairs of rows of `faces` whose triangles cross, lower row first, sorted.

    `positions_m` is (V, 3), `faces` (F, 3). Triangles that share a vertex never count, nor do coplanar ones, nor pairs
    of which one reaches `deeper_m` or less beyond the other's plane. Broad phase: a uniform grid over the boxes; narrow
    phase: a triangle that lies on one side of the other's plane is out (Moller 1997), then edges are tested against
    triangles by signed volumes.
    """
    corners = positions_m[faces].astype(np.float64)
    pairs = _box_pairs(corners)
    columns = faces.T
    shared = np.zeros(len(pairs), bool)
    for own in columns:
        for other in columns:
            shared |= own[pairs[:, 0]] == other[pairs[:, 1]]
    pairs = pairs[~shared]
    crossing = [_crossing(corners, block, deeper_m) for block in np.array_split(pairs, len(pairs) // _BLOCK + 1)]
    return pairs[np.concatenate(crossing)] if len(pairs) else pairs


def _box_pairs(corners: np.ndarray) -> np.ndarray:
    """(P, 2) pairs of triangles whose boxes overlap, lower number first, each once, sorted."""
    if len(corners) < 2:
        return np.zeros((0, 2), np.int64)
    columns = np.ascontiguousarray(corners.transpose(1, 2, 0))
    low, high = columns.min(axis=0), columns.max(axis=0)
    cell = max(float(np.median((high - low).max(axis=0))) * _CELL, 1e-9)
    start, end = (np.floor((side - low.min(axis=1, keepdims=True)) / cell).astype(np.int64) for side in (low, high))
    key, owner = _cells(start, end)
    after = np.searchsorted(key, key, "right") - np.arange(len(key)) - 1  # boxes of the same cell that follow
    pairs = [np.zeros((0, 2), np.int64)]
    for some in blocks(np.flatnonzero(after), after[after > 0], _BLOCK):
        place, other = counted(some, some + 1, after[some])
        a, b, here = owner.take(place), owner.take(other), key.take(place)
        for lowest, highest in zip(low, high, strict=True):  # axis by axis: each leaves fewer
            overlap = (lowest.take(a) <= highest.take(b)) & (lowest.take(b) <= highest.take(a))
            a, b, here = a[overlap], b[overlap], here[overlap]
        # boxes share several cells: counted in the lowest of them only
        first = here == _key(np.maximum(start.take(a, axis=1), start.take(b, axis=1)), end)
        a, b = a[first], b[first]
        pairs.append(np.stack([np.minimum(a, b), np.maximum(a, b)], axis=1))
    each = np.concatenate(pairs)
    return each[np.argsort(each[:, 0] * len(corners) + each[:, 1])]


def _cells(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of boxes from cell `start` to `end` (3, F): (N,) key of each cell of each box, sorted, and (N,) whose it is."""
    extent = end - start + 1
    owner, rank = counted(np.arange(start.shape[1]), np.zeros(start.shape[1], np.int64), extent.prod(axis=0))
    column, z = np.divmod(rank, extent[2].take(owner))
    x, y = np.divmod(column, extent[1].take(owner))
    key = _key(start.take(owner, axis=1) + np.stack([x, y, z]), end)
    order = np.argsort(key, kind="stable")
    return key[order], owner[order]


def _key(place: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N,) one number for each cell (3, N) of a grid that holds all cells up to `end` (3, F)."""
    shape = end.max(axis=1) + 1
    return (place[0] * shape[1] + place[1]) * shape[2] + place[2]


def _crossing(corners: np.ndarray, pairs: np.ndarray, deeper_m: float) -> np.ndarray:
    """(P,) bool: which pairs of triangles cross."""
    result = np.zeros(len(pairs), bool)
    left = np.arange(len(pairs))
    for own, other in ((0, 1), (1, 0)):
        side = _sides(corners[pairs[left, own]], corners[pairs[left, other]])
        left = left[(side.min(axis=1) < -deeper_m) & (side.max(axis=1) > deeper_m)]
    a, b = corners[pairs[left, 0]], corners[pairs[left, 1]]
    hit = np.zeros(len(left), bool)
    for triangle, edges in ((a, b), (b, a)):
        for k in range(3):
            hit |= _edge_hits(triangle, edges[:, k], edges[:, (k + 1) % 3])
    result[left] = hit
    return result


def _sides(plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(N, 3) signed distances of (N, 3, 3) `points` to the planes of (N, 3, 3) triangles."""
    normal = _cross(plane[:, 1] - plane[:, 0], plane[:, 2] - plane[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return np.einsum("nkc,nc->nk", points - plane[:, :1], normal)


def _edge_hits(triangle: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N,) bool: whether segments pass through (N, 3, 3) triangles: ends on both sides, line inside all three edges."""
    side = _sides(triangle, np.stack([start, end], axis=1))
    through = side[:, 0] * side[:, 1] < 0
    turn = [
        np.einsum("nc,nc->n", _cross(triangle[:, k] - start, triangle[:, (k + 1) % 3] - start), end - start)
        for k in range(3)
    ]
    return through & (((turn[0] > 0) == (turn[1] > 0)) & ((turn[1] > 0) == (turn[2] > 0)))


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, 3) cross products; `np.cross` spends more on shapes than on numbers."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)
