"""Putting a head together from pieces: skin, eyeballs, teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.mesh import PARTS, Part, Topology


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A mesh that becomes part of a head."""

    positions_m: np.ndarray
    """(V, 3) metres."""
    faces: np.ndarray
    """(F, 3)."""
    uvs: np.ndarray
    """(U, 2), origin top-left."""
    uv_faces: np.ndarray
    """(F, 3)."""
    parts: np.ndarray
    """(F,) uint8 indices into `PARTS`."""


def assemble(
    name: str,
    pieces: list[Piece],
    maps: ReflectanceMaps,
    eye_srgb: np.ndarray,
    known_maps: frozenset[str],
    provenance: Provenance,
    own_vertices: int | None = None,
) -> Identity:
    """An identity of `pieces`; the first is the head file's own mesh, of which `own_vertices` (default: all) are the
    file's; the rest travel beside it."""
    vertex_start = np.cumsum([0] + [len(piece.positions_m) for piece in pieces])
    uv_start = np.cumsum([0] + [len(piece.uvs) for piece in pieces])
    topology = Topology(
        np.concatenate([piece.faces + start for piece, start in zip(pieces, vertex_start, strict=False)]),
        np.concatenate([piece.uvs for piece in pieces]),
        np.concatenate([piece.uv_faces + start for piece, start in zip(pieces, uv_start, strict=False)]),
        np.concatenate([piece.parts for piece in pieces]),
        int(vertex_start[-1]),
        len(pieces[0].positions_m) if own_vertices is None else own_vertices,
    )
    positions = np.concatenate([piece.positions_m for piece in pieces])
    occlusion = inner_occlusion(topology, positions)
    return Identity(name, topology, positions, maps, eye_srgb, occlusion, known_maps, provenance)


def inner_occlusion(topology: Topology, positions_m: np.ndarray) -> np.ndarray:
    """(V,) float32 share of the sky seen: falls off behind the lips and behind the lids' front, 1 on skin.

    Inside the mouth exp(-depth / 12 mm) with depth behind the foremost lip, not below 0.03; sockets likewise. Eyeballs
    are darkened towards the back of their front cap (depth / 7 mm). Plausible, not measured: shadow maps tell the rest.
    """
    occlusion = np.ones(topology.vertex_count, np.float32)
    skin = topology.vertices_of(Part.SKIN)
    for part, scale_m, floor in (
        (Part.MOUTH, 0.012, 0.03),
        (Part.TEETH, 0.012, 0.10),
        (Part.SOCKET, 0.006, 0.05),
        (Part.EYE_LEFT, 0.012, 0.25),
        (Part.EYE_RIGHT, 0.012, 0.25),
    ):
        inside = topology.vertices_of(part)
        if not len(inside):
            continue
        front = float(positions_m[inside, 2].max())
        depth = np.maximum(front - positions_m[inside, 2], 0.0)
        occlusion[inside] = np.maximum(np.exp(-depth / scale_m), floor)
    occlusion[skin] = 1.0
    return occlusion


def constant_parts(count: int, part: Part) -> np.ndarray:
    """(count,) uint8 of one part."""
    return np.full(count, PARTS.index(part), np.uint8)
