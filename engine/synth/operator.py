"""From ICT-FaceKit's vertices to texels of the opened canonical layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix

from engine.face import layout
from engine.face.correspondence import correspond
from engine.face.space import GEOMETRY_SIZE
from engine.face.transfer import fill_nearest
from engine.io import ict
from engine.mesh import Part


def ict_geometry_operator(folder: Path) -> csr_matrix:
    """(128 * 128, 26719) float64 weights: values at ICT's vertices -> opened-layout map, gaps from the nearest
    texel."""
    topology = ict.read(folder, registered=False).topology
    place = correspond(topology)
    vertex_uv = np.full((topology.vertex_count, 2), np.nan)
    vertex_uv[place.vertices] = place.opened_uv
    faces = topology.faces[topology.faces_of(Part.SKIN)]
    corners = vertex_uv[faces]
    usable = np.isfinite(corners).all(axis=(1, 2)) & (np.ptp(corners[..., 0], axis=1) < 0.2)
    index, weights = layout.rasterize(corners[usable], GEOMETRY_SIZE)
    valid = index >= 0
    rows = np.repeat(np.flatnonzero(valid), 3)
    columns = faces[usable][index[valid]].ravel()
    shape = (GEOMETRY_SIZE * GEOMETRY_SIZE, topology.vertex_count)
    operator = coo_matrix((weights[valid].ravel().astype(np.float64), (rows, columns)), shape=shape).tocsr()
    numbers = np.arange(GEOMETRY_SIZE * GEOMETRY_SIZE).reshape(GEOMETRY_SIZE, GEOMETRY_SIZE, 1)
    return operator[fill_nearest(numbers, valid).ravel()]
