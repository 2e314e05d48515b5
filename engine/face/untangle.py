"""Skin that would pass through itself in a fold moves less differently on the fold's two sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags
from scipy.spatial import KDTree

from engine.derived import derived
from engine.face import layout
from engine.face.contact import skin_faces, skin_m
from engine.face.intersect import intersecting_pairs
from engine.face.registration import registered
from engine.identity import Identity

_WINDOW = (0.30, 0.70, 0.30, 0.66)
"""Where folds can meet, opened layout: u from, to, v from, to."""
_TOLERANCE_M = 0.00005
_REACH_M = 0.006
"""How far around a crossing offsets are averaged."""
_WIDTH_M = 0.0018
"""Standard deviation of the average, over distances at rest, whichever side of a slit."""
_ROUNDS = 6


@dataclass(frozen=True, eq=False, slots=True)
class _Zone:
    """The skin that is looked at. Rows count `Registration.vertices`."""

    faces: np.ndarray
    """(F, 3) int64, in rows."""
    meeting: np.ndarray
    """(F,) int8: number of the slit in whose middle a triangle lies, from 1; there `contact` has the say."""
    at_rest: np.ndarray
    """(K,) int64 codes of the pairs that cross at rest."""


def untangle(identity: Identity, moved_m: np.ndarray, own_m: np.ndarray | None = None) -> np.ndarray:
    """`moved_m` (N, 3), positions of `Registration.vertices`, with fewer crossings of folds than it came with.

    Around pairs of triangles that cross now and not at rest, offsets are averaged over what is near at rest, again
    until nothing crosses or `_ROUNDS` are over. Equal offsets cannot cross, so each round helps. The middles of the
    slits are left to `contact`. Offsets are those from `own_m` (N, 3), the pose by the head's own shapes, where it is
    given: what these do, such as to part the lips, stays.
    """
    zone = _zone(identity)
    rest = skin_m(identity)
    moves = np.abs(moved_m - rest).max(axis=1) > _TOLERANCE_M
    start = rest if own_m is None else own_m
    offset = moved_m - start
    looked_at = np.flatnonzero(moves[zone.faces].any(axis=1))
    rows = np.unique(zone.faces)
    for _ in range(_ROUNDS):
        tangled = _tangled(zone, looked_at, start + offset)
        if not len(tangled):
            break
        away = KDTree(rest[tangled]).query(rest[rows], distance_upper_bound=_REACH_M)[0]
        near = rows[np.isfinite(away)]
        looked_at = looked_at[np.isin(zone.faces[looked_at], near).any(axis=1)]
        share = (1 - away[np.isfinite(away)] / _REACH_M)[:, None]
        offset[near] += share * (_averaged(rest[near], offset[near]) - offset[near])
    return start + offset


def _tangled(zone: _Zone, looked_at: np.ndarray, positions_m: np.ndarray) -> np.ndarray:
    """Rows of those of the triangles `looked_at` that cross and did not at rest, but for those that meet across the
    middle of a slit."""
    pairs = looked_at[intersecting_pairs(positions_m, zone.faces[looked_at], _TOLERANCE_M)]
    slit = zone.meeting[pairs]
    fresh = ~np.isin(_code(zone, pairs), zone.at_rest) & ~((slit[:, 0] > 0) & (slit[:, 0] == slit[:, 1]))
    return np.unique(zone.faces[pairs[fresh]])


def _averaged(rest_m: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(N, 3) Gaussian average of `values` over neighbours at rest."""
    tree = KDTree(rest_m)
    apart = tree.sparse_distance_matrix(tree, 2.5 * _WIDTH_M, output_type="coo_matrix").tocsr()
    weight = csr_matrix((np.exp(-(apart.data**2) / (2 * _WIDTH_M**2)), apart.indices, apart.indptr), apart.shape)
    total = np.asarray(weight.sum(axis=1)).ravel()
    return diags(1 / total) @ (weight @ values)


@derived
def _zone(identity: Identity) -> _Zone:
    uv = registered(identity.topology).opened_uv.astype(np.float64)
    low_u, high_u, low_v, high_v = _WINDOW
    inside = (uv[:, 0] > low_u) & (uv[:, 0] < high_u) & (uv[:, 1] > low_v) & (uv[:, 1] < high_v)
    faces = skin_faces(identity.topology)
    faces = faces[inside[faces].all(axis=1)]
    centre = layout.close_uv(uv[faces].mean(axis=1))
    meeting = np.zeros(len(faces), np.int8)
    for number, slit in enumerate(layout.SLITS, start=1):
        along = slit.along(centre[:, 0])
        near = (along > 0.1) & (along < 0.9) & (np.abs(centre[:, 1] - slit.v_at(centre[:, 0])) < 0.03)
        meeting[near] = number
    zone = _Zone(faces, meeting, np.zeros(0, np.int64))
    return _Zone(faces, meeting, _code(zone, intersecting_pairs(skin_m(identity), faces)))


def _code(zone: _Zone, pairs: np.ndarray) -> np.ndarray:
    """(K,) one number for each pair."""
    return pairs[:, 0] * len(zone.faces) + pairs[:, 1]
