"""Carrying a motion of a slit's rims into the skin around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.linalg import splu

from engine.derived import derived
from engine.face import layout
from engine.face.contact import sides, skin_faces
from engine.face.registration import mean_position_m, registered
from engine.mesh import Topology

_ALONG, _AWAY = 0.35, 0.06
"""How far around the slit the skin takes part: beyond its ends, in slit lengths, and across it, in v."""


@dataclass(frozen=True, eq=False, slots=True)
class Spread:
    """Harmonic extension from the rims of a slit to the skin around it, which is held further out."""

    rim: np.ndarray
    """(K,) int64 rows of `Registration.vertices` whose motion is given."""
    free: np.ndarray
    """(N,) int64 rows that follow."""
    coupling: csr_matrix
    factor: object

    def __call__(self, motion_m: np.ndarray) -> np.ndarray:
        """(K, 3) motion of the rim -> (N, 3) motion of the free rows."""
        return self.factor.solve(self.coupling @ motion_m)  # type: ignore[attr-defined]


@derived
def spread(topology: Topology, slit: layout.Slit) -> Spread:
    """The extension for a slit of `topology`; weights are inverse edge lengths on the mean head, so that it does not
    depend on whose head it is."""
    place = registered(topology)
    count, faces = len(place.vertices), skin_faces(topology)
    uv = place.opened_uv.astype(np.float64)
    rim = np.unique(np.concatenate([side.rim for side in sides(topology, slit)]))
    along = slit.along(uv[:, 0])
    near = (along > -_ALONG) & (along < 1 + _ALONG) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < _AWAY)
    near[rim] = False
    free = np.intersect1d(np.flatnonzero(near), faces)
    mean = layout.sample_bilinear(mean_position_m(), place.opened_uv).astype(np.float64)
    edges = np.unique(np.sort(np.concatenate([faces[:, :2], faces[:, 1:], faces[:, ::2]]), axis=1), axis=0)
    weight = 1 / np.maximum(np.linalg.norm(mean[edges[:, 0]] - mean[edges[:, 1]], axis=1), 2e-4)
    both = np.concatenate([edges, edges[:, ::-1]])
    adjacency = coo_matrix((np.tile(weight, 2), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    matrix = -adjacency[free][:, free]
    matrix.setdiag(np.asarray(adjacency.sum(axis=1)).ravel()[free])
    return Spread(rim, free, csr_matrix(adjacency[free][:, rim]), splu(matrix.tocsc()))
