"""Which triangles of a mesh pass through each other."""

from __future__ import annotations

import numpy as np

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
    first, second = faces[pairs[:, 0]], faces[pairs[:, 1]]
    apart = ~(first[:, :, None] == second[:, None, :]).any(axis=(1, 2))
    pairs = pairs[apart]
    crossing = [_crossing(corners, block, deeper_m) for block in np.array_split(pairs, len(pairs) // _BLOCK + 1)]
    return pairs[np.concatenate(crossing)] if len(pairs) else pairs


def _box_pairs(corners: np.ndarray) -> np.ndarray:
    """(P, 2) pairs of triangles whose boxes overlap, lower number first, each once."""
    low, high = corners.min(axis=1), corners.max(axis=1)
    if len(corners) < 2:
        return np.zeros((0, 2), np.int64)
    cell = max(float(np.median((high - low).max(axis=1))) * _CELL, 1e-9)
    start = np.floor((low - low.min(axis=0)) / cell).astype(np.int64)
    extent = np.floor((high - low.min(axis=0)) / cell).astype(np.int64) - start + 1
    shape = (start + extent).max(axis=0)
    count = extent.prod(axis=1)
    owner = np.repeat(np.arange(len(corners)), count)
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    wide, deep = extent[owner, 1], extent[owner, 2]
    place = start[owner] + np.stack([rank // (wide * deep), rank // deep % wide, rank % deep], axis=1)
    key = (place[:, 0] * shape[1] + place[:, 1]) * shape[2] + place[:, 2]
    order = np.argsort(key, kind="stable")
    key, owner, place = key[order], owner[order], place[order]
    found = []
    for step in range(1, len(key)):
        near = np.flatnonzero(key[step:] == key[:-step])
        if not len(near):
            break
        a, b = owner[near], owner[near + step]
        overlap = (low[a] <= high[b]).all(axis=1)
        overlap[overlap] = (low[b[overlap]] <= high[a[overlap]]).all(axis=1)
        near, a, b = near[overlap], a[overlap], b[overlap]
        # boxes share several cells: counted in the lowest of them only
        first = (place[near] == np.maximum(start[a], start[b])).all(axis=1)
        found.append(np.stack([a[first], b[first]], axis=1))
    if not found:
        return np.zeros((0, 2), np.int64)
    pairs = np.sort(np.concatenate(found), axis=1)
    return pairs[np.lexsort(pairs.T[::-1])]


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
    normal = np.cross(plane[:, 1] - plane[:, 0], plane[:, 2] - plane[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-30)
    return np.einsum("nkc,nc->nk", points - plane[:, :1], normal)


def _edge_hits(triangle: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(N,) bool: whether segments pass through (N, 3, 3) triangles: ends on both sides, line inside all three edges."""
    side = _sides(triangle, np.stack([start, end], axis=1))
    through = side[:, 0] * side[:, 1] < 0
    turn = [
        np.einsum("nc,nc->n", np.cross(triangle[:, k] - start, triangle[:, (k + 1) % 3] - start), end - start)
        for k in range(3)
    ]
    return through & (((turn[0] > 0) == (turn[1] > 0)) & ((turn[1] > 0) == (turn[2] > 0)))
