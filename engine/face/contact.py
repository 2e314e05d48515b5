"""The two sides of a slit of the skin (lips, lids): how far apart they stand, and keeping them from passing through.

Both sides are looked at as sheets over the horizontal plane (x, z): lips and lid margins meet from above and below, so
the distance that matters is the vertical one, wherever along the depth of the fold they are nearest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix, diags

from engine.derived import derived
from engine.face import layout
from engine.face.ict_shapes import MARGIN_RINGS, has_shapes
from engine.face.registration import registered
from engine.identity import Identity
from engine.mesh import Part, Registration, Topology, boundary_edges
from engine.raster import barycentric, counted

STATIONS = 24
_REACH = 0.028
"""How far from its rim, in v, a side can meet the other."""
_RIM_WIDTH = 0.007
"""How far from its line, in v, a registration may have put a rim."""
_DEEPEST_M = 0.004
"""A point deeper than this in the other side is behind it, not in it."""
_CORNER = 0.03
"""Share of the slit's length over which contact fades in from its corners."""
_ROUNDS = 6


@dataclass(frozen=True, eq=False, slots=True)
class Side:
    """The skin above or below a slit. Rows count `Registration.vertices`."""

    rows: np.ndarray
    """(N,) int64."""
    faces: np.ndarray
    """(F, 3) int64 triangles, in rows."""
    corners: np.ndarray
    """(F, 3) int64 `faces` as numbers of `rows`."""
    along: np.ndarray
    """(N,) float64 place along the slit, 0 at the image's left end, 1 at the right one."""
    rim: np.ndarray
    """(K,) int64 rows on the line where it meets the other side, corners included, by u."""


Sides = tuple[Side, Side]
"""Upper and lower side."""


@derived
def sides(topology: Topology, slit: layout.Slit) -> Sides:
    """The skin above and below `slit`."""
    place, faces = registered(topology), skin_faces(topology)
    edge, hidden = _meeting(topology, slit)
    outer = faces[~np.isin(faces, hidden).any(axis=1)]
    upper, lower = (_side(place, slit, outer, edge, sign) for sign in (-1.0, 1.0))
    above, below = _beside_corners(place, slit, np.intersect1d(upper.rim, lower.rim))
    return (
        replace(upper, rim=upper.rim[~np.isin(upper.rim, below)]),
        replace(lower, rim=lower.rim[~np.isin(lower.rim, above)]),
    )


@derived
def _meeting(topology: Topology, slit: layout.Slit) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the line on which the sides of `slit` meet, and rows beyond it, under the other skin.

    It is the edge of the skin; of lids that are lined within (ICT-FaceKit's) a ring of vertices before it.
    """
    faces = skin_faces(topology)
    edge = np.unique(boundary_edges(faces))
    hidden = np.zeros(0, np.int64)
    if slit is layout.SLITS[0] or not has_shapes(topology):
        return edge, hidden
    u, v = registered(topology).opened_uv.astype(np.float64).T
    edge = edge[((np.abs(slit.along(u) - 0.5) < 0.8) & (np.abs(v - slit.v_at(u)) < 0.05))[edge]]
    for _ in range(MARGIN_RINGS):
        hidden = np.union1d(hidden, edge)
        edge = np.setdiff1d(faces[np.isin(faces, edge).any(axis=1)], hidden)
    return edge, hidden


def _beside_corners(place: Registration, slit: layout.Slit, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of the rows that lie on `both` rims, those above and those below the one that is the corner, at either end: a
    fine mesh has several so near to the slit's end that it does not part them."""
    uv = place.opened_uv[both].astype(np.float64)
    away, right = uv[:, 1] - slit.v_at(uv[:, 0]), slit.along(uv[:, 0]) > 0.5
    found: list[list[np.ndarray]] = [[], []]
    for end in (right, ~right):
        if end.any():
            corner = away[end][np.abs(away[end]).argmin()]
            found[0].append(both[end & (away < corner)])
            found[1].append(both[end & (away > corner)])
    return tuple(np.concatenate([*rows, np.zeros(0, np.int64)]) for rows in found)  # pyright: ignore[reportReturnType]


def _side(place: Registration, slit: layout.Slit, faces: np.ndarray, edge: np.ndarray, sign: float) -> Side:
    uv = place.opened_uv.astype(np.float64)
    along = slit.along(uv[:, 0])
    away = (uv[:, 1] - slit.v_at(uv[:, 0])) * sign - slit.gap_at(uv[:, 0])
    near = (along > -0.1) & (along < 1.1) & (away > -0.003) & (away < _REACH)
    chosen = faces[near[faces].all(axis=1)]
    rows = np.unique(chosen)
    rim = edge[near[edge] & (away[edge] < _RIM_WIDTH)]
    return Side(rows, chosen, np.searchsorted(rows, chosen), along[rows], rim[np.argsort(uv[rim, 0])])


def lining(topology: Topology, slit: layout.Slit) -> np.ndarray:
    """(N,) int64 rows of the skin that lines the sides of `slit` from within, beyond the line where they meet."""
    return _meeting(topology, slit)[1]


@dataclass(frozen=True, eq=False, slots=True)
class Surround:
    """The skin around a slit."""

    rows: np.ndarray
    """(N,) int64 of `Registration.vertices`."""
    faces: np.ndarray
    """(F, 3) int64 numbers of `rows`: the triangles between them."""
    mean: csr_matrix
    """(N, N) average over the neighbours of each row."""


@derived
def surround(topology: Topology, slit: layout.Slit) -> Surround:
    """The skin around `slit`."""
    uv = registered(topology).opened_uv.astype(np.float64)
    along = slit.along(uv[:, 0])
    near = (along > -0.25) & (along < 1.25) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < 0.06)
    rows, faces = np.flatnonzero(near), skin_faces(topology)
    faces = np.searchsorted(rows, faces[near[faces].all(axis=1)])
    start, end = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    ones, both = np.ones(2 * len(start)), (np.r_[start, end], np.r_[end, start])
    beside = csr_matrix((ones, both), shape=(len(rows), len(rows)))
    mean = diags(1 / np.maximum(np.asarray(beside.sum(axis=1)).ravel(), 1)) @ beside
    return Surround(rows, faces, csr_matrix(mean))


@derived
def skin_faces(topology: Topology) -> np.ndarray:
    """(F, 3) int64 triangles of the skin, in rows of `Registration.vertices`."""
    place = registered(topology)
    row = np.full(topology.vertex_count, -1)
    row[place.vertices] = np.arange(len(place.vertices))
    faces = row[topology.faces[topology.faces_of(Part.SKIN)]]
    return faces[(faces >= 0).all(axis=1)]


def skin_m(identity: Identity) -> np.ndarray:
    """(N, 3) float64 metres at rest of `Registration.vertices`."""
    return identity.positions_m[registered(identity.topology).vertices].astype(np.float64)


def clearance_m(points_m: np.ndarray, sheet_m: np.ndarray, sign: float) -> np.ndarray:
    """(N,) metres by which (N, 3) points lie over the highest of (M, 3, 3) triangles (`sign` 1), or under the lowest
    (`sign` -1); inf where no triangle lies over or under a point."""
    return _Columns(points_m, sheet_m).clearance_m(points_m[:, 1], sheet_m[:, :, 1], sign)


class _Columns:
    """Which of (M, 3, 3) triangles lie over or under which of (N, 3) points: as x and z say, so it stays while all
    move up and down."""

    def __init__(self, points_m: np.ndarray, sheet_m: np.ndarray) -> None:
        order = np.argsort(points_m[:, 0], kind="stable")
        x, z = points_m[order, 0], points_m[order, 2]
        low, high = sheet_m.min(axis=1), sheet_m.max(axis=1)
        first, end = np.searchsorted(x, low[:, 0], "left"), np.searchsorted(x, high[:, 0], "right")
        triangle, place = counted(np.arange(len(sheet_m)), first, end - first)
        inside = (z[place] >= low[triangle, 2]) & (z[place] <= high[triangle, 2])
        triangle, point = triangle[inside], order[place[inside]]
        weight = barycentric(sheet_m[triangle][:, :, ::2], points_m[point][:, None, ::2])[:, 0]
        inside = np.flatnonzero((weight >= -1e-9).all(axis=1))
        inside = inside[np.argsort(point[inside], kind="stable")]
        self._triangle, self._point, self._weight = triangle[inside], point[inside], weight[inside]
        self._first = np.flatnonzero(np.diff(self._point, prepend=-1))  # of each point's triangles
        self._count = len(points_m)

    def clearance_m(self, point_heights_m: np.ndarray, sheet_heights_m: np.ndarray, sign: float) -> np.ndarray:
        """See `clearance_m`; of heights (N,) and (M, 3)."""
        result = np.full(self._count, np.inf)
        if len(self._point):
            under = (sheet_heights_m[self._triangle] * self._weight).sum(axis=1)
            apart = sign * (point_heights_m[self._point] - under)
            result[self._point[self._first]] = np.minimum.reduceat(apart, self._first)
        return result


class Facing:
    """The two sides of a slit over each other; it stays right while points move up and down only."""

    def __init__(self, pair: Sides, positions_m: np.ndarray) -> None:
        """Of (N, 3) positions of all rows."""
        self._pair = pair
        self._columns = tuple(
            _Columns(_with_middles(positions_m, side), positions_m[other.faces]) for side, other in (pair, pair[::-1])
        )

    def depths_m(self, heights_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`clearance_m` of the upper side over the lower sheet, and of the lower side under the upper one: (N + F,)
        each, first of a side's points, then of the middles of its triangles. `heights_m` are those of all rows."""
        (upper, lower), (over, under) = self._pair, self._columns
        return (
            over.clearance_m(_with_middles(heights_m, upper), heights_m[lower.faces], 1.0),
            under.clearance_m(_with_middles(heights_m, lower), heights_m[upper.faces], -1.0),
        )

    def gap_m(self, heights_m: np.ndarray) -> np.ndarray:
        """See `column_gap_m`."""
        return _nearest_m(self._pair, self.depths_m(heights_m))


def _with_middles(values: np.ndarray, side: Side) -> np.ndarray:
    """(N + F, ...) `values` of a side's points, and their means over its triangles."""
    return np.concatenate([values[side.rows], values[side.faces].mean(axis=1)])


def depths_m(pair: Sides, positions_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`Facing.depths_m` of (N, 3) positions of all rows."""
    return Facing(pair, positions_m).depths_m(positions_m[:, 1])


@derived
def depths_at_rest_m(identity: Identity, slit: layout.Slit) -> tuple[np.ndarray, np.ndarray]:
    """`depths_m` of the neutral."""
    return depths_m(sides(identity.topology, slit), skin_m(identity))


def column_gap_m(pair: Sides, positions_m: np.ndarray) -> np.ndarray:
    """(STATIONS,) metres between the two sides of a slit where they are nearest, at equal steps along it.

    `positions_m` is (N, 3) for `Registration.vertices`. Below zero they cross. Stations without a value are
    interpolated; zero where there is none at all.
    """
    return Facing(pair, positions_m).gap_m(positions_m[:, 1])


def gap_at_rest_m(identity: Identity, slit: layout.Slit) -> np.ndarray:
    """`column_gap_m` of the neutral."""
    return _nearest_m(sides(identity.topology, slit), depths_at_rest_m(identity, slit))


def _nearest_m(pair: Sides, depths: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """(STATIONS,) least of `depths` at each place along a slit."""
    stations = (np.arange(STATIONS) + 0.5) / STATIONS
    result = np.full(STATIONS, np.inf)
    for side, depth in zip(pair, depths, strict=True):
        nearest = np.rint(along_with_middles(side) * STATIONS - 0.5).astype(np.int64)
        used = (nearest >= 0) & (nearest < STATIONS) & np.isfinite(depth)
        np.minimum.at(result, nearest[used], depth[used])
    finite = np.isfinite(result)
    return np.interp(stations, stations[finite], result[finite]) if finite.any() else np.zeros(STATIONS)


def along_with_middles(side: Side) -> np.ndarray:
    """(N + F,) places along the slit of a side's points and of the middles of its triangles."""
    return np.concatenate([side.along, side.along[side.corners].mean(axis=1)])


def part_sides(
    identity: Identity,
    slit: layout.Slit,
    moved_m: np.ndarray,
    apart_m: float,
    *,
    as_at_rest: bool = True,
    facing: Facing | None = None,
) -> np.ndarray:
    """`moved_m` (N, 3), positions of `Registration.vertices`, with the two sides of a slit out of each other.

    Points and middles of triangles that are deeper in the other side than they were at rest give way vertically, each
    side by half: a soft contact that leaves `apart_m` between them. What crosses at rest may stay as deep unless
    `as_at_rest` is False, and the very corners, where one side goes over into the other, are left alone. `facing` is
    that of positions which differ from `moved_m` in height only, where somebody has it.
    """
    pair = sides(identity.topology, slit)
    wanted: list[np.ndarray | float] = [apart_m, apart_m]
    if as_at_rest:
        wanted = [np.minimum(depth, apart_m) for depth in depths_at_rest_m(identity, slit)]
    result, facing = moved_m.copy(), facing or Facing(pair, moved_m)
    for _ in range(_ROUNDS):
        worst = 0.0
        for side, sign, now, least in zip(pair, (1.0, -1.0), facing.depths_m(result[:, 1]), wanted, strict=True):
            lack = np.where(now > -_DEEPEST_M, np.maximum(least - now, 0.0), 0.0)
            push = lack[: len(side.rows)].copy()
            np.maximum.at(push, side.corners.ravel(), np.repeat(lack[len(side.rows) :], 3))
            push *= np.clip(np.minimum(side.along, 1 - side.along) / _CORNER, 0, 1)
            result[side.rows, 1] += sign * 0.55 * push
            worst = max(worst, float(push.max(initial=0.0)))
        if worst < 1e-5:
            break
    return result
