"""Lids that meet when they should, and never sink into the eyeball."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from engine.derived import derived
from engine.face import layout
from engine.face.contact import Sides, lining, part_sides, sides, skin_faces, skin_m, surround
from engine.face.harmonic import Harmonic, inverse_lengths
from engine.face.ict_shapes import shapes
from engine.face.registration import mean_position_m, registered
from engine.identity import Identity
from engine.mesh import Part, Topology, sphere

_CLEARANCE_M = 0.0003
"""Between lids and eyeball."""
_APART_M = 0.00002
"""Between closed lids, too little to see through."""
_SHELL_M = 0.0008
"""A vertex of an eyeball that lies deeper than this under its neighbours belongs to a shell inside."""
_DRAPES = 12
"""Rings of vertices over which what is pushed out takes the skin along."""
_PUSHES = 3
"""Of moving lid points out of the eyeball until the triangles between them clear it too."""
_ROUNDS = 5
"""Of parting crossed lids and joining their rims again; few would do for fine meshes."""
_CORNER = 0.2
"""Near its corners, over this share of its length, an eye is closed by both lids alike; in the middle by the upper."""

_ALONG, _ACROSS = 0.35, 0.06
"""How far around the slit the skin takes part: beyond its ends, in slit lengths, and across it, in v."""


def eye_slit(side: str) -> layout.Slit:
    """The slit of the eye on `side`, 'Left' or 'Right' (the subject's)."""
    return layout.SLITS[2 if side == "Left" else 1]


def settle_lids(
    identity: Identity, moved_m: np.ndarray, ball_offset_m: np.ndarray, side: str, closed: bool
) -> np.ndarray:
    """`moved_m` (N, 3), positions of `Registration.vertices`, with the lids of the eye on `side` ('Left' or 'Right')
    settled on its eyeball and on each other. `ball_offset_m` (M, 3) is how the eyeball's own vertices moved.

    Where `closed`, the rims are brought together, the skin around them following smoothly. Lid points under the
    eyeball's surface (of an open eye: deeper than at rest) are moved out to it, and lids that cross give way
    (`contact.part_sides`).
    """
    slit = eye_slit(side)
    result = moved_m.copy()
    for _ in range(2 if closed else 1):
        if closed:
            result += _closing(identity.topology, slit, result)
        result = _on_ball(identity, side, result, ball_offset_m, closed)
    draped = result
    for _ in range(_ROUNDS if closed else 1):
        result = part_sides(identity, slit, result, _APART_M)
        if closed:
            result += _closing(identity.topology, slit, result, rims_only=True)
    if closed:
        _join_rims(sides(identity.topology, slit), result)
    within, rim = _lining_by_rim(identity.topology, slit)
    result[within] += (result - draped)[rim]
    return result


def lids_clear(identity: Identity) -> np.ndarray:
    """(V, 3) metres: `identity` at rest, its lids before its eyeballs."""
    result, rows = identity.positions_m.astype(np.float64), registered(identity.topology).vertices
    for side, part in (("Left", Part.EYE_LEFT), ("Right", Part.EYE_RIGHT)):
        ball = identity.topology.vertices_of(part)
        result[rows] = _on_ball(identity, side, result[rows], np.zeros((len(ball), 3)), closed=True)
    return result


@derived
def _lining_by_rim(topology: Topology, slit: layout.Slit) -> tuple[np.ndarray, np.ndarray]:
    """(N,) rows of the `lining` of `slit`, and (N,) of each the nearest row of its rims, on which it hangs: left behind
    it would come through the other lid."""
    within, uv = lining(topology, slit), registered(topology).opened_uv
    rim = np.unique(np.concatenate([side.rim for side in sides(topology, slit)]))
    return within, rim[KDTree(uv[rim]).query(uv[within])[1]] if len(within) else within


def to_shut_m(topology: Topology, positions_m: np.ndarray, side: str) -> np.ndarray:
    """(V, 3) metres by which more of a blink, or less, brings the lids together best in the mean of their length, of a
    head that has shapes: what squeezes an eye shut adds up to more than a blink. `positions_m` is (V, 3)."""
    blink, skin = shapes().dense_m(f"eyeBlink_{side[0]}", len(positions_m)), registered(topology).vertices
    gap = lid_gap_m(topology, positions_m[skin], side)
    closes = lid_gap_m(topology, positions_m[skin] + blink[skin], side) - gap
    return -float(gap @ closes / max(closes @ closes, 1e-12)) * blink


def lid_gap_m(topology: Topology, positions_m: np.ndarray, side: str) -> np.ndarray:
    """(64,) signed height in metres of the upper rim over the lower one along the slit of the eye on `side`.

    `positions_m` is (N, 3) for `Registration.vertices`. Zero is closed, below zero the rims cross.
    """
    return rim_gap_m(sides(topology, eye_slit(side)), positions_m)


def rim_gap_m(pair: Sides, positions_m: np.ndarray) -> np.ndarray:
    """(64,) signed height in metres of a slit's upper rim over its lower one, at equal steps between its corners."""
    upper, lower = (positions_m[side.rim] for side in pair)
    ends = max(upper[:, 0].min(), lower[:, 0].min()), min(upper[:, 0].max(), lower[:, 0].max())
    x = np.linspace(*ends, 66)[1:-1]
    return (_at(upper, x) - _at(lower, x))[:, 0]


def _closing(topology: Topology, slit: layout.Slit, moved_m: np.ndarray, rims_only: bool = False) -> np.ndarray:
    """(N, 3) metres that bring the rims together, up, down and in depth, with the skin around them."""
    pair = sides(topology, slit)
    result = np.zeros_like(moved_m)
    if min(len(side.rim) for side in pair) < 4:
        return result
    uv = registered(topology).opened_uv
    for side, other in (pair, pair[::-1]):
        along = slit.along(uv[side.rim, 0])
        corner = 1 - np.clip(np.minimum(along, 1 - along) / _CORNER, 0, 1)
        share = 0.5 * corner if side is pair[1] else 1 - 0.5 * corner
        gap = _at(moved_m[other.rim], moved_m[side.rim, 0]) - moved_m[side.rim, 1:]
        result[side.rim, 1:] = gap * share[:, None]
    corners = np.intersect1d(pair[0].rim, pair[1].rim)
    result[corners] = 0
    if rims_only:
        return result
    follow = _spread(topology, slit)
    result[follow.free] = follow(result)
    return result


@derived
def _spread(topology: Topology, slit: layout.Slit) -> Harmonic:
    """From the rims of a slit of `topology` to the skin around it, which is held further out, in rows of
    `Registration.vertices`; weights are those of the mean head, so that it does not depend on whose head it is."""
    place, faces = registered(topology), skin_faces(topology)
    uv = place.opened_uv.astype(np.float64)
    rim = np.unique(np.concatenate([side.rim for side in sides(topology, slit)]))
    along = slit.along(uv[:, 0])
    near = (along > -_ALONG) & (along < 1 + _ALONG) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < _ACROSS)
    near[rim] = False
    mean_m = layout.sample_bilinear(mean_position_m(), place.opened_uv).astype(np.float64)
    return Harmonic(inverse_lengths(faces, mean_m, 2e-4), np.intersect1d(np.flatnonzero(near), faces), rim)


def _join_rims(pair: Sides, moved_m: np.ndarray) -> None:
    """Bring points of either rim, in turn, onto the line through the other's: between points that are not face to face
    two lines of few points leave gaps. Moves `moved_m`."""
    if min(len(side.rim) for side in pair) < 4:
        return
    corners = np.intersect1d(pair[0].rim, pair[1].rim)
    for number in range(2 * _ROUNDS):
        side, other = pair[number % 2], pair[1 - number % 2]
        rim = side.rim[~np.isin(side.rim, corners)]
        moved_m[rim, 1:] = _at(moved_m[other.rim], moved_m[rim, 0])


class Eyeball:
    """The surface of an eyeball, cornea and all, looked up by direction from its centre; of an eyeball in an eyeball
    that of the outer one."""

    def __init__(self, ball_m: np.ndarray, centre_m: np.ndarray) -> None:
        """Of vertices (M, 3)."""
        ball = ball_m - centre_m
        radius = np.linalg.norm(ball, axis=1)
        towards = ball / radius[:, None]
        outer = radius > radius[KDTree(towards).query(towards, k=8)[1]].max(axis=1) - _SHELL_M
        self._centre_m, self._radius, self._directions = centre_m, radius[outer], KDTree(towards[outer])

    def depth_m(self, points_m: np.ndarray, least_m: float = -np.inf) -> np.ndarray:
        """(N,) metres by which (N, 3) points before the eyeball lie under its surface; -inf behind it, and where it
        is surely less than `least_m`."""
        points = points_m - self._centre_m
        distance = np.maximum(np.linalg.norm(points, axis=1), 1e-9)
        chosen = np.flatnonzero((points[:, 2] > 0) & (distance <= self._radius.max() - least_m))
        result = np.full(len(points), -np.inf)
        away, near = self._directions.query(points[chosen] / distance[chosen, None], k=4)
        weight = 1 / np.maximum(away, 1e-6)
        result[chosen] = (self._radius[near] * weight).sum(axis=1) / weight.sum(axis=1) - distance[chosen]
        return result


@dataclass(frozen=True, eq=False, slots=True)
class _Lids:
    """The skin around an eye, and the eyeball at rest. Rows count `Registration.vertices`."""

    rows: np.ndarray
    """(N,) int64."""
    outer: np.ndarray
    """(K,) int64 numbers of `rows`: without what lines the lids from within."""
    faces: np.ndarray
    """(F, 3) int64 numbers of `rows`: the triangles between the outer ones."""
    mean: csr_matrix
    """(N, N) average over the neighbours of each row."""
    centre_m: np.ndarray
    ball_m: np.ndarray
    """(M, 3) float64 vertices of the eyeball."""
    ball: Eyeball
    at_rest_m: np.ndarray
    """(K + 4 F,) `lack_m` at rest, at least 0."""

    def lack_m(self, ball: Eyeball, skin_m: np.ndarray) -> np.ndarray:
        """(K + 4 F,) how deep lid points lie, then the middles of the lid's triangles and of their edges; -inf of what
        is well out."""
        corners = skin_m[self.rows][self.faces]
        middles = np.concatenate([corners.mean(axis=1), *np.swapaxes(corners + np.roll(corners, 1, axis=1), 0, 1) / 2])
        points = np.concatenate([skin_m[self.rows[self.outer]], middles])
        return ball.depth_m(points, -_CLEARANCE_M) + _CLEARANCE_M


@derived
def _lids(identity: Identity, side: str) -> _Lids:
    skin = surround(identity.topology, eye_slit(side))
    hidden = np.isin(skin.rows, lining(identity.topology, eye_slit(side)))
    faces, outer = skin.faces[~hidden[skin.faces].any(axis=1)], np.flatnonzero(~hidden)
    vertices = identity.topology.vertices_of(Part.EYE_LEFT if side == "Left" else Part.EYE_RIGHT)
    ball_m = identity.positions_m[vertices].astype(np.float64)
    centre_m, _ = sphere(ball_m)
    ball = Eyeball(ball_m, centre_m)
    lids = _Lids(skin.rows, outer, faces, skin.mean, centre_m, ball_m, ball, np.zeros(0))
    return replace(lids, at_rest_m=np.maximum(lids.lack_m(ball, skin_m(identity)), 0.0))


def _on_ball(identity: Identity, side: str, moved_m: np.ndarray, ball_offset_m: np.ndarray, closed: bool) -> np.ndarray:
    """`moved_m` with lid points, and what lies between them, moved out to the eyeball's surface, or of an open eye as
    deep as at rest: a triangle of a coarse lid would cut the cornea."""
    if len(ball_offset_m) < 8:
        return moved_m
    lids = _lids(identity, side)
    ball = Eyeball(lids.ball_m + ball_offset_m, lids.centre_m) if ball_offset_m.any() else lids.ball
    at_rest_m = 0.0 if closed else lids.at_rest_m
    result = moved_m.copy()
    for _ in range(_PUSHES):
        lack = np.maximum(lids.lack_m(ball, result) - at_rest_m, 0.0)
        push, of_faces = np.zeros(len(lids.rows)), lack[len(lids.outer) :].reshape(4, -1).max(axis=0)
        push[lids.outer] = lack[: len(lids.outer)]
        np.maximum.at(push, lids.faces.ravel(), np.repeat(of_faces, 3))
        if push.max(initial=0.0) < _CLEARANCE_M / 10:
            break
        push = _draped(lids.mean, push)
        outward = result[lids.rows] - lids.centre_m
        outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
        result[lids.rows] += outward * push[:, None]
    return result


def _draped(mean: csr_matrix, lift: np.ndarray) -> np.ndarray:
    """(N,) smooth heights of at least `lift`: as cloth over what sticks out."""
    result = lift
    for _ in range(_DRAPES):
        result = np.maximum(lift, mean @ result)
    return result


def _at(rim_m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(K, 2) heights and depths of a rim (R, 3) at `x`, constant beyond its ends."""
    order = np.argsort(rim_m[:, 0], kind="stable")
    return np.stack([np.interp(x, rim_m[order, 0], rim_m[order, axis]) for axis in (1, 2)], axis=-1)
