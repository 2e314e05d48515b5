"""Values that follow smoothly from those around them: harmonic extension over the edges of a mesh."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import splu


class Harmonic:
    """Gives the rows `free` the weighted mean of their neighbours, where the values of the rows `given` are known."""

    def __init__(
        self, weights: csr_matrix, free: np.ndarray, given: np.ndarray, diagonal: np.ndarray | float | None = None
    ) -> None:
        """`weights` is (V, V); `diagonal` (N,) their sums over each free row, or more for what is held near zero."""
        self.free, self.given = free, given
        self._coupling = csr_matrix(weights[free][:, given])
        matrix = -weights[free][:, free]
        matrix.setdiag(row_sums(weights)[free] if diagonal is None else diagonal)
        self._factor = splu(matrix.tocsc()) if len(free) else None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(V, C) values, of which the given count -> (N, C) those of the free rows."""
        return values[self.free] if self._factor is None else self._factor.solve(self._coupling @ values[self.given])


def row_sums(weights: csr_matrix) -> np.ndarray:
    """(V,) sums of the rows of (V, V) weights."""
    return np.asarray(weights.sum(axis=1)).ravel()


def inverse_lengths(faces: np.ndarray, positions_m: np.ndarray, least_m: float) -> csr_matrix:
    """(V, V) inverse lengths of the edges of triangles between (V, 3) positions, none taken for shorter than
    `least_m`."""
    edges = np.unique(np.sort(np.concatenate([faces[:, :2], faces[:, 1:], faces[:, ::2]]), axis=1), axis=0)
    length = np.linalg.norm(positions_m[edges[:, 0]] - positions_m[edges[:, 1]], axis=1)
    both, count = np.concatenate([edges, edges[:, ::-1]]), len(positions_m)
    weight = np.tile(1 / np.maximum(length, least_m), 2)
    return csr_matrix((weight, (both[:, 0], both[:, 1])), shape=(count, count))
