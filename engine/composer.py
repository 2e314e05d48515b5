"""compose: the CPU reference of what the renderer blends on the GPU, and what exports bake."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from engine.channels import MAPS
from engine.expression import ExpressionSet, ReflectanceChange
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_axis, resize_bilinear, strips
from engine.sides import Sides, Weight, weight_at

THREADS = 2
"""numpy lets go of the interpreter, so strips of one map keep two cores busy."""


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

    Positions and slopes are linear in the weights; albedo and specular multiply (`engine.channels.Blend`). Changes are
    sampled bilinearly at the neutral's texel centres. Clamped once, after the sum. Names without an expression raise
    VocabularyError.
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


def compose_positions(identity: Identity, expressions: ExpressionSet, weights: Mapping[str, Weight]) -> np.ndarray:
    """(V, 3) float32 metres: neutral plus weighted offsets."""
    positions = identity.positions_m
    left = identity.left_share.vertices[:, None] if _sided(weights) else None
    for name, weight in weights.items():
        positions = positions + weight_at(weight, left) * expressions[name].offsets_m
    return positions


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
            change = _widened([row.of(each) for each in sums], neutral.size[1])
            composed[strip] = row.changed(image[strip], change)

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


def _widened(sums: list[np.ndarray], width: int) -> np.ndarray:
    """The sum of `sums`, each sampled at `width`."""
    wide = [resize_axis(np.ascontiguousarray(narrow), 1, width) for narrow in sums]
    return sum(wide[1:], start=wide[0])
