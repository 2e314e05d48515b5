"""From ICT-FaceKit's vertices to texels of the opened canonical layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from engine.face.space import GEOMETRY_SIZE
from engine.face.transfer import geometry_raster
from engine.head import topology_of
from engine.io import ict
from engine.raster import fill_nearest


def ict_geometry_operator(folder: Path) -> csr_matrix:
    """(128 * 128, 26719) float64 weights: values at ICT's vertices -> opened-layout map, gaps from the nearest
    texel."""
    topology = topology_of(ict.read(folder))
    faces, index, weights = geometry_raster(topology)
    valid = index >= 0
    rows = np.repeat(np.flatnonzero(valid), 3)
    columns = faces[index[valid]].ravel()
    shape = (GEOMETRY_SIZE * GEOMETRY_SIZE, topology.vertex_count)
    operator = coo_matrix((weights[valid].ravel().astype(np.float64), (rows, columns)), shape=shape).tocsr()
    numbers = np.arange(GEOMETRY_SIZE * GEOMETRY_SIZE).reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 1)
    return operator[fill_nearest(numbers, valid).ravel()]
