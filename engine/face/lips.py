"""Lips that meet when the expression closes them, and do not pass through each other, nor where expressions add up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.composer import compose_positions
from engine.derived import derived
from engine.errors import TopologyError
from engine.expression import ExpressionSet
from engine.face import layout
from engine.face.contact import STATIONS, Facing, column_gap_m, gap_at_rest_m, part_sides, sides, skin_m
from engine.face.registration import registered
from engine.identity import Identity
from engine.mesh import Part, Registration, Topology
from engine.sides import Weight, both

_PARTING = ("jawOpen", "mouthFunnel", "mouthUpperUp", "mouthLowerDown")
"""ARKit shapes that part the lips."""
_SEALING = ("mouthClose", "mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "cheekPuff")
"""ARKit shapes that press the lips together."""
_REACH = 0.045
"""How far from the slit, in v, a correction fades out."""
_ROUNDS, _PASSES = 16, 2
_MARGIN_M = 0.0015
"""Over which lips are slowed down before the teeth."""
_ROLLED_M = 0.009
"""Behind the front of the teeth: lips that shapes take deeper lie between the rows."""
_APART_M = 0.0001
"""Between closed lips at points and middles of triangles; elsewhere triangles come a little nearer to each other."""


def seal_share(arkit: Mapping[str, float]) -> tuple[float, float]:
    """How far the lips are pressed together, 0..1, at the subject's right and left corner (the image's left, right)."""
    if parting_share(arkit) > 0:
        return 0.0, 0.0
    right, left = (
        sum(max(arkit.get(name, 0.0), arkit.get(name + side, 0.0), 0.0) for name in _SEALING)
        for side in ("Right", "Left")
    )
    return min(right, 1.0), min(left, 1.0)


def parting_share(arkit: Mapping[str, float]) -> float:
    """How far the expression parts the lips, 0..1."""
    found = (arkit.get(name + side, 0.0) for name in _PARTING for side in ("", "Left", "Right"))
    return min(max(found), 1.0)


def settle_lips(
    identity: Identity, moved_m: np.ndarray, arkit: Mapping[str, float], own_m: np.ndarray | None = None
) -> np.ndarray:
    """`moved_m` (N, 3), positions of `Registration.vertices`, with the lips settled on each other.

    Lips that the expression does not part stand no further apart than at rest, and where it presses them together they
    meet: both go half the way, fading out over `_REACH`, and stay before the teeth. Then what crosses gives way
    (`contact.part_sides`). What the pose by the head's own shapes, `own_m` (N, 3), does to the lips is believed: they
    lie where its teeth leave room, and stand as far apart where a jaw pushes one before the other, which columns cannot
    tell from parting.
    """
    mouth = layout.SLITS[0]
    pair = sides(identity.topology, mouth)
    result = moved_m.copy()
    seal, pushed = seal_share(arkit), any(name.startswith("jaw") and weight for name, weight in arkit.items())
    if max(seal) > 0:
        result = _before_teeth(identity, result, np.inf if own_m is None else _ROLLED_M)
    if parting_share(arkit) > 0:
        return part_sides(identity, mouth, result, _APART_M)
    open_to = np.maximum(gap_at_rest_m(identity, mouth), 0.0)
    if own_m is not None and pushed:
        open_to = np.maximum(column_gap_m(pair, own_m), open_to)
    return _met(identity, result, open_to * (1 - np.linspace(*seal, STATIONS)))


def posed_m(
    identity: Identity, expressions: ExpressionSet, weights: Mapping[str, Weight], count: int | None = None
) -> np.ndarray:
    """`compose_positions`, with lips that do not pass through each other.

    Each expression alone has settled them; what two do to the lips adds up to more. As sums saturate, from 1 to 2 of
    all weights, lips give way.
    """
    posed = compose_positions(identity, expressions, weights, count)
    share = min(sum(max(map(abs, both(weight))) for weight in weights.values()) - 1, 1)
    place = _place(identity.topology) if share > 0 and len(weights) > 1 else None
    if place is None or place.vertices.max(initial=0) >= len(posed):
        return posed
    lips = posed[place.vertices].astype(np.float64)
    posed[place.vertices] += share * (part_sides(identity, layout.SLITS[0], lips, _APART_M) - lips)
    return posed


@derived
def _place(topology: Topology) -> Registration | None:
    """None of a head that has no lips anybody knows of."""
    try:
        return registered(topology)
    except TopologyError:
        return None


def lips_touching(identity: Identity) -> np.ndarray:
    """(V, 3) metres: `identity` at rest, its lips on each other instead of in each other or apart."""
    result = identity.positions_m.astype(np.float64)
    skin = registered(identity.topology).vertices
    result[skin] = _met(identity, result[skin], np.zeros(STATIONS), as_at_rest=False)
    return result


def _met(identity: Identity, moved_m: np.ndarray, wanted_m: np.ndarray, *, as_at_rest: bool = True) -> np.ndarray:
    """`moved_m` with lips at most (STATIONS,) `wanted_m` apart, and not in each other, or no more than at rest."""
    mouth, result = layout.SLITS[0], moved_m.copy()
    facing = Facing(sides(identity.topology, mouth), result)  # all that follows moves up and down
    lift = _Lift(identity)
    for _ in range(_PASSES):  # parting what crosses opens a little beside it
        for _ in range(_ROUNDS):
            open_m = np.maximum(facing.gap_m(result[:, 1]) - wanted_m, 0.0)
            if open_m.max() < _APART_M:
                break
            result[:, 1] += 0.5 * lift(_smooth(open_m))
        apart_m = _APART_M if as_at_rest else 0.0
        result = part_sides(identity, mouth, result, apart_m, as_at_rest=as_at_rest, facing=facing)
    return result


def _before_teeth(identity: Identity, moved_m: np.ndarray, rolled_m: float) -> np.ndarray:
    """`moved_m` with lips that would go behind the front of the teeth pressed against it, in their order, but for what
    is deeper than `rolled_m`: rolled in between the rows.

    The front is a parabola across the face through the foremost teeth: lips feel no gaps between them. A depth d behind
    it, less a margin m, becomes m exp(d / m) before it. Points that are behind it at rest stay free.
    """
    teeth = identity.positions_m[identity.topology.vertices_of(Part.TEETH)].astype(np.float64)
    if len(teeth) < 50:
        return moved_m
    middle = float(np.median(teeth[:, 0]))
    band = np.rint((teeth[:, 0] - middle) / 0.004).astype(np.int64)
    foremost = np.array([teeth[band == number][teeth[band == number, 2].argmax()] for number in np.unique(band)])
    front = np.polynomial.Polynomial.fit(foremost[:, 0] - middle, foremost[:, 2], 2)
    mouth = layout.SLITS[0]
    rows = np.unique(np.concatenate([side.rows for side in sides(identity.topology, mouth)]))
    rest = skin_m(identity)[rows]
    free = np.clip((rest[:, 2] - front(rest[:, 0] - middle)) / _MARGIN_M, 0, 1)
    before = moved_m[rows, 2] - front(moved_m[rows, 0] - middle)
    pressed = np.where(before < _MARGIN_M, _MARGIN_M * np.exp(np.minimum(before / _MARGIN_M, 1.0) - 1), before)
    result = moved_m.copy()
    result[rows, 2] += free * np.clip(2 + 2 * before / rolled_m, 0, 1) * (pressed - before)
    return result


def _smooth(values: np.ndarray) -> np.ndarray:
    """(K,) averaged over neighbours along the slit."""
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(np.pad(values, 4, mode="edge"), kernel / kernel.sum(), mode="valid")


class _Lift:
    """Carries what is given at the stations to all points, positive below the slit and negative above: nothing beyond
    the corners and beyond `_REACH`."""

    def __init__(self, identity: Identity) -> None:
        mouth = layout.SLITS[0]
        uv = registered(identity.topology).opened_uv.astype(np.float64)
        self._along = mouth.along(uv[:, 0])
        away = uv[:, 1] - mouth.v_at(uv[:, 0])
        corner = np.clip(np.minimum(self._along, 1 - self._along) / 0.05, 0, 1)
        fade = np.clip(1 - (np.abs(away) - mouth.gap_at(uv[:, 0])).clip(min=0) / _REACH, 0, 1)
        self._share = np.sign(away) * corner * fade * fade * (3 - 2 * fade)

    def __call__(self, amount: np.ndarray) -> np.ndarray:
        """(STATIONS,) -> (N,)."""
        stations = (np.arange(len(amount)) + 0.5) / len(amount)
        result, near = np.zeros(len(self._share)), np.flatnonzero(self._share)
        result[near] = np.interp(self._along[near], stations, amount) * self._share[near]
        return result
