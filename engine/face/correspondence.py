"""Where each vertex of a head lies in the canonical UV square.

Read off directly where the head's UVs follow the canonical layout (FFHQ-UV heads, built-in people); looked up where the
topology was registered before (`engine/build.py` ships ICT-FaceKit's). Cached per topology.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.errors import TopologyError
from engine.face import layout
from engine.mesh import PARTS, Part, Topology

REGISTERED = Path(__file__).parent / "registered"
"""Shipped registrations, one .npz per skin connectivity."""


@dataclass(frozen=True, eq=False, slots=True)
class Correspondence:
    """A topology's place in the canonical square."""

    vertices: np.ndarray
    """(N,) int64 indices of the skin vertices that have a canonical place."""
    opened_uv: np.ndarray
    """(N, 2) float32 place of each in the opened layout."""
    canonical_uv: np.ndarray
    """(U, 2) float32 canonical place of each texture coordinate of the head's own layout; NaN where it has none."""
    same_layout: bool
    """Whether the head's own UVs are the canonical ones, so that maps need no resampling."""


_CACHE: dict[str, Correspondence] = {}


def correspond(topology: Topology) -> Correspondence:
    """The correspondence of `topology`; TopologyError where its layout is neither canonical nor registered."""
    found = _CACHE.get(topology.hash)
    if found is None:
        found = _read_off(topology) or _registered(topology)
        _CACHE[topology.hash] = found
    return found


def skin_key(topology: Topology) -> str:
    """Hex digest of the skin's connectivity in the head's own vertex order; UVs and other parts do not enter."""
    skin = topology.faces[topology.face_parts == PARTS.index(Part.SKIN)]
    ordered = np.sort(np.sort(skin, axis=1).view([("", skin.dtype)] * 3).ravel())
    return hashlib.sha256(f"{topology.head_vertex_count}".encode() + ordered.tobytes()).hexdigest()[:32]


def _read_off(topology: Topology) -> Correspondence | None:
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
    return Correspondence(vertices, layout.open_uv(vertex_uv[vertices]), topology.uvs, same_layout=True)


def _registered(topology: Topology) -> Correspondence:
    path = REGISTERED / f"{skin_key(topology)}.npz"
    if not path.is_file():
        raise TopologyError(
            "expected a head in the FFHQ-UV layout or on a registered topology (ICT-FaceKit), found another mesh of "
            f"{topology.vertex_count} vertices; bring the head onto one of these first"
        )
    with np.load(path, allow_pickle=False) as stored:
        vertices, opened = stored["vertices"].astype(np.int64), stored["opened_uv"].astype(np.float32)
    skin = topology.faces_of(Part.SKIN)
    vertex_canonical = np.full((topology.vertex_count, 2), np.nan, np.float32)
    vertex_canonical[vertices] = layout.close_uv(opened)
    canonical = np.full((len(topology.uvs), 2), np.nan, np.float32)
    canonical[topology.uv_faces[skin].ravel()] = vertex_canonical[topology.faces[skin].ravel()]
    return Correspondence(vertices, opened, canonical, same_layout=False)


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
