"""Where each vertex of a head lies in the canonical UV square.

Read off directly where the head's UVs follow the canonical layout (FFHQ-UV heads, built-in people); looked up where the
topology was registered before (`scripts/build_faces.py` ships ICT-FaceKit's).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.derived import derived
from engine.errors import TopologyError
from engine.face import layout
from engine.mesh import PARTS, Part, Registration, Topology

REGISTERED = Path(__file__).parent / "registered"
"""Shipped registrations, one .npz per skin connectivity."""


@derived
def registered(topology: Topology) -> Registration:
    """Where `topology` lies: as it says itself, by its UVs, or as shipped; TopologyError where nothing tells."""
    return topology.registration or _read_off(topology) or _shipped_for(topology)


def skin_key(topology: Topology) -> str:
    """Hex digest of the skin's connectivity in the head's own vertex order; UVs and other parts do not enter."""
    skin = topology.faces[topology.face_parts == PARTS.index(Part.SKIN)]
    ordered = np.sort(np.sort(skin, axis=1).view([("", skin.dtype)] * 3).ravel())
    return hashlib.sha256(f"{topology.head_vertex_count}".encode() + ordered.tobytes()).hexdigest()[:32]


def _read_off(topology: Topology) -> Registration | None:
    """From UVs that follow the canonical layout; None where they do not."""
    head = (topology.faces < topology.head_vertex_count).all(axis=1)
    parts = layout.canonical_parts(topology.uvs, topology.uv_faces[head])
    if parts is None:
        return None
    skin = head & (topology.face_parts == PARTS.index(Part.SKIN))
    vertex_uv = np.full((topology.vertex_count, 2), np.nan, np.float32)
    # a vertex at the back's seam may have a second place, beyond the chart's other edge: the first one is its own
    numbers, first = np.unique(topology.uv_faces[skin], return_index=True)
    vertex_uv[topology.faces[skin].ravel()[first[::-1]]] = topology.uvs[numbers[::-1]]
    vertices = np.flatnonzero(np.isfinite(vertex_uv[:, 0]))
    return Registration(vertices, layout.open_uv(vertex_uv[vertices]), same_layout=True)


def _shipped_for(topology: Topology) -> Registration:
    path = REGISTERED / f"{skin_key(topology)}.npz"
    if not path.is_file():
        raise TopologyError(
            "expected a head in the FFHQ-UV layout or on a registered topology (ICT-FaceKit), found another mesh of "
            f"{topology.vertex_count} vertices; bring the head onto one of these first"
        )
    with np.load(path, allow_pickle=False) as stored:
        vertices, opened = stored["vertices"].astype(np.int64), stored["opened_uv"].astype(np.float32)
    return Registration(vertices, opened)


@derived
def canonical_uv(topology: Topology) -> np.ndarray:
    """(U, 2) float32 canonical place of each texture coordinate of a registered topology; NaN where it has none."""
    place = registered(topology)
    if place.same_layout:
        return topology.uvs
    skin = topology.faces_of(Part.SKIN)
    vertex_canonical = np.full((topology.vertex_count, 2), np.nan, np.float32)
    vertex_canonical[place.vertices] = layout.close_uv(place.opened_uv)
    canonical = np.full((len(topology.uvs), 2), np.nan, np.float32)
    canonical[topology.uv_faces[skin].ravel()] = vertex_canonical[topology.faces[skin].ravel()]
    return canonical


@lru_cache(maxsize=1)
def _shipped() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "canonical.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def valid_mask() -> np.ndarray:
    """(512, 512) bool: texels of the canonical layout that lie on skin."""
    return np.unpackbits(_shipped()["valid_bits"])[: 512 * 512].reshape(512, 512).astype(bool)


def mean_position_m() -> np.ndarray:
    """(128, 128, 3) float32 metres, opened layout: the average head, in the canonical head frame."""
    return _shipped()["mean_position_mm"].astype(np.float32) / 1000
