"""compose: the CPU reference of what the renderer blends on the GPU, and what exports bake."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from engine.channels import MAPS
from engine.derived import derived
from engine.expression import ExpressionSet, ReflectanceChange
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_axis, resize_bilinear, strips
from engine.mesh import Part, sphere
from engine.sides import Sides, Weight, weight_at

THREADS = 2
"""numpy lets go of the interpreter, so strips of one map keep two cores busy."""
_BLOCK = 8192
"""Vertices posed at a time: what comes between stays in the cache, and no page is asked of the system for it."""
_TURN_M = 0.0002
"""An eyeball whose vertices stay as far from its centre, within this, turns."""


@dataclass(frozen=True, eq=False, slots=True)
class Surface:
    """A head as it stands: positions, normals, maps."""

    positions_m: np.ndarray
    """(V, 3) float32 metres."""
    normals: np.ndarray
    """(V, 3) float32 unit."""
    maps: ReflectanceMaps


def compose(identity: Identity, expressions: ExpressionSet, weights: Mapping[str, Weight]) -> Surface:
    """Blend `expressions` by `weights` onto `identity`; zero weights give the neutral exactly.

    Positions follow `compose_positions`; slopes are linear in the weights; albedo and specular multiply
    (`engine.channels.Blend`). Changes are sampled bilinearly at the neutral's texel centres. Clamped once, after the
    sum. Names without an expression raise VocabularyError.
    """
    active = {name: weight for name, weight in weights.items() if weight != 0.0}
    positions = compose_positions(identity, expressions, active)
    normals = identity.topology.vertex_normals(positions)
    maps = compose_maps(identity.maps, expressions, active, left_texels(identity, active))
    return Surface(positions, normals, maps)


def left_texels(identity: Identity, weights: Mapping[str, Weight]) -> np.ndarray | None:
    """What `compose_maps` needs of `identity` to blend by `weights`: None unless sides differ somewhere."""
    return identity.left_share.texels if _sided(weights) else None


def _sided(weights: Mapping[str, Weight]) -> bool:
    return any(isinstance(weight, Sides) for weight in weights.values())


def compose_positions(
    identity: Identity, expressions: ExpressionSet, weights: Mapping[str, Weight], count: int | None = None
) -> np.ndarray:
    """(V, 3) float32 metres: the neutral moved by the weighted offsets; with `count`, of the first so many vertices.

    They add up, as blend shapes do, while the weights do not come to more than 1. Two full expressions, however, do not
    move skin twice as far: what one has gathered, the next cannot gather again. From 1 to 2 in all, the sum along each
    axis gives way to the fourth root of the sum of fourth powers, for each way apart: hardly more than the strongest
    does alone. Eyeballs that expressions only turn keep their size.
    """
    neutral_m = identity.positions_m if count is None else identity.positions_m[:count]
    if not weights:
        return neutral_m
    left = identity.left_share.vertices[:, None] if _sided(weights) else None
    shares = [weight_at(weight, left) for weight in weights.values()]
    offsets_m = [expressions[name].offsets_m for name in weights]
    positions = np.empty_like(neutral_m)
    for first in range(0, len(positions), _BLOCK):
        rows = slice(first, min(first + _BLOCK, len(positions)))
        some = [share[rows] if isinstance(share, np.ndarray) else share for share in shares]
        positions[rows] = neutral_m[rows] + _moved_m(some, [each[rows] for each in offsets_m])
    for ball in _eyeballs(identity):
        whole = ball.rows[-1] < len(positions)
        if whole and all(ball.turns(neutral_m[ball.rows] + each[ball.rows]) for each in offsets_m):
            positions[ball.rows] = ball.kept_round_m(positions[ball.rows])
    return positions


def _moved_m(shares: Sequence[np.ndarray | np.float32], offsets_m: Sequence[np.ndarray]) -> np.ndarray:
    """(V, 3) what `shares`, each a number or (V, 1), of (V, 3) offsets come to."""
    moves_m = [share * each for share, each in zip(shares, offsets_m, strict=True)]
    moved_m, over = sum(moves_m[1:], start=moves_m[0]), np.clip(sum(map(np.abs, shares)) - np.float32(1), 0, 1)
    if len(moves_m) > 1 and np.any(over):
        moved_m += over * (_saturated_m(moves_m) - moved_m)
    return moved_m


def _saturated_m(moves_m: Sequence[np.ndarray]) -> np.ndarray:
    """(V, 3) fourth root of the sum of fourth powers of what goes up an axis, less that of what goes down."""
    ways = []
    for way in (np.float32(1), np.float32(-1)):
        powers = sum(np.square(np.square(np.maximum(way * move, 0))) for move in moves_m)
        ways.append(np.sqrt(np.sqrt(powers)))
    return ways[0] - ways[1]


@dataclass(frozen=True, eq=False, slots=True)
class _Eyeball:
    rows: np.ndarray
    """(N,) its vertices."""
    centre_m: np.ndarray
    """(3,) metres."""
    reach_m: np.ndarray
    """(N, 1) how far from the centre each vertex is at rest."""

    def turns(self, posed_m: np.ndarray) -> bool:
        """Does the ball only turn about its centre when its vertices go to (N, 3) `posed_m`?"""
        return bool(np.abs(self._reach_m(posed_m) - self.reach_m).max() < _TURN_M)

    def kept_round_m(self, posed_m: np.ndarray) -> np.ndarray:
        """(N, 3) `posed_m` as far from the centre as at rest: sums of turns, and parts of one, lead off the sphere."""
        return self.centre_m + (posed_m - self.centre_m) * (self.reach_m / self._reach_m(posed_m))

    def _reach_m(self, posed_m: np.ndarray) -> np.ndarray:
        return np.maximum(np.linalg.norm(posed_m - self.centre_m, axis=1, keepdims=True), _TURN_M)


@derived
def _eyeballs(identity: Identity) -> list[_Eyeball]:
    balls = []
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        rows = identity.topology.vertices_of(part)
        if len(rows):
            centre_m = sphere(identity.positions_m[rows].astype(np.float64))[0].astype(np.float32)
            reach_m = np.linalg.norm(identity.positions_m[rows] - centre_m, axis=1, keepdims=True)
            balls.append(_Eyeball(rows, centre_m, reach_m))
    return balls


def compose_maps(
    neutral: ReflectanceMaps,
    expressions: ExpressionSet,
    weights: Mapping[str, Weight],
    left: np.ndarray | None = None,
) -> ReflectanceMaps:
    """`neutral` with the weighted changes applied, at the neutral's own size, so that its pores stay.

    `left` is `LeftShare.texels`, needed where a weight differs between the sides; it is sampled at the change's texels.
    Made in strips of rows on two threads: memory beside the result stays small at any size, and where strips begin
    changes no bit.
    """
    if not weights:
        return neutral
    changes = [_weighted(expressions[name].change, weight, left) for name, weight in weights.items()]
    result = [np.empty_like(image) for image in neutral.images]

    def compose_strip(rows: tuple[int, int]) -> None:
        strip, sums = slice(*rows), _narrow_sums(changes, neutral.size[0], rows)
        for row, image, composed in zip(MAPS, neutral.images, result, strict=True):
            wide = [resize_axis(np.ascontiguousarray(row.of(each)), 1, neutral.size[1]) for each in sums]
            composed[strip] = row.changed(image[strip], sum(wide[1:], start=wide[0]))

    with ThreadPoolExecutor(THREADS) as pool:
        deque(pool.map(compose_strip, strips(neutral.size)), maxlen=0)  # asks for each, so that errors come through
    for each in result:
        each.flags.writeable = False  # handed over: nothing copies what nobody can write
    return ReflectanceMaps(*result)


def _weighted(change: ReflectanceChange, weight: Weight, left: np.ndarray | None) -> tuple[np.ndarray, np.float32]:
    """The channels of `change` and the number they are multiplied by; sides that differ are multiplied in."""
    if not isinstance(weight, Sides):
        return change.channels, np.float32(weight)
    by_texel = weight_at(weight, None if left is None else resize_bilinear(left, change.size))
    return change.channels * by_texel.reshape(*change.size, 1), np.float32(1)


def _narrow_sums(changes: list[tuple[np.ndarray, np.float32]], height: int, rows: tuple[int, int]) -> list[np.ndarray]:
    """Rows `rows` of the weighted changes sampled at `height`, summed for each of their widths.

    Sampling is linear: those of one width are summed before they are widened, which is most of the work.
    """
    by_width: dict[int, np.ndarray] = {}
    for channels, weight in changes:
        narrow = weight * resize_axis(channels, 0, height, *rows)
        width = channels.shape[1]
        by_width[width] = by_width[width] + narrow if width in by_width else narrow
    return list(by_width.values())
