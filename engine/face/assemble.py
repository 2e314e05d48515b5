"""Putting a head together from pieces: skin, eyeballs, teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.image import smoothstep
from engine.mesh import PARTS, Part, Registration, Topology, boundary_edges


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


def joined(pieces: list[Piece], registration: Registration | None = None) -> tuple[Topology, np.ndarray]:
    """One mesh of `pieces` and its (V, 3) positions in metres; the first is the head file's own, the rest travel beside
    it. `registration` says where it lies, if given."""
    vertex_start = np.cumsum([0] + [len(piece.positions_m) for piece in pieces])
    uv_start = np.cumsum([0] + [len(piece.uvs) for piece in pieces])
    topology = Topology(
        np.concatenate([piece.faces + start for piece, start in zip(pieces, vertex_start, strict=False)]),
        np.concatenate([piece.uvs for piece in pieces]),
        np.concatenate([piece.uv_faces + start for piece, start in zip(pieces, uv_start, strict=False)]),
        np.concatenate([piece.parts for piece in pieces]),
        int(vertex_start[-1]),
        len(pieces[0].positions_m),
        registration,
    )
    return topology, np.concatenate([piece.positions_m for piece in pieces])


def inner_occlusion(topology: Topology, positions_m: np.ndarray) -> np.ndarray:
    """(V,) float32 share of the sky seen: falls off behind the lips and behind the lids' front, 1 on skin.

    Inside the mouth exp(-depth / 12 mm) with depth behind the foremost lip, not below 0.03; sockets likewise. Eyeballs
    are dark at the lids' rims, over 3 mm, and under the upper one, whose lashes shade them, over 6 mm. Hairs are dark
    at the root, where others stand around them. Plausible, not measured: shadow maps tell the rest.
    """
    occlusion = np.ones(topology.vertex_count, np.float32)
    skin = topology.vertices_of(Part.SKIN)
    rims = positions_m[np.unique(boundary_edges(topology.faces[topology.faces_of(Part.SKIN)]))]
    for part, scale_m, floor in (
        (Part.MOUTH, 0.012, 0.03),
        (Part.TEETH, 0.012, 0.10),
        (Part.SOCKET, 0.006, 0.05),
    ):
        inside = topology.vertices_of(part)
        if not len(inside):
            continue
        front = float(positions_m[inside, 2].max())
        depth = np.maximum(front - positions_m[inside, 2], 0.0)
        occlusion[inside] = np.maximum(np.exp(-depth / scale_m), floor)
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        ball = topology.vertices_of(part)
        if len(ball):
            occlusion[ball] = _under_lids(positions_m[ball], rims)
    occlusion[skin] = 1.0
    hair = topology.faces_of(Part.HAIR)
    if len(hair):
        along = topology.uvs[topology.uv_faces[hair], 1]
        along = (along - along.min()) / max(float(np.ptp(along)), 1e-9)
        occlusion[topology.faces[hair]] = 0.45 + 0.55 * along
    return occlusion


def _under_lids(ball_m: np.ndarray, rims_m: np.ndarray) -> np.ndarray:
    """(N,) float32 0..1 for an eyeball's vertices; `rims_m` (R, 3) are the edges of the skin, those of the lids too."""
    middle, reach = ball_m.mean(axis=0), np.ptp(ball_m, axis=0).max()
    lids = rims_m[np.linalg.norm(rims_m - middle, axis=1) < 1.2 * reach]
    if len(lids) < 4:
        return np.ones(len(ball_m), np.float32)
    upper = lids[lids[:, 1] > np.median(lids[:, 1])]
    near, above = (np.sqrt(((ball_m[:, None] - each[None]) ** 2).sum(axis=2).min(axis=1)) for each in (lids, upper))
    seen = (0.25 + 0.75 * smoothstep(near / 0.0035)) * (0.45 + 0.55 * smoothstep(above / 0.006))
    # behind the rims, where the lids lie on it
    return np.where(ball_m[:, 2] < lids[:, 2].min() - 0.004, 0.25, seen).astype(np.float32)


def constant_parts(count: int, part: Part) -> np.ndarray:
    """(count,) uint8 of one part."""
    return np.full(count, PARTS.index(part), np.uint8)
