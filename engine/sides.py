"""Left and right: weights that differ between the subject's two sides, and what of a head lies on which side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.errors import VocabularyError
from engine.image import smoothstep
from engine.mesh import Part, Topology
from engine.raster import fill_nearest, rasterize
from engine.vocabulary import NEUTRAL, find

LEAST_WEIGHT = 1.0 / 512
"""Weights nearer to zero than this are off: they change no map by more than half a step of its 8 bits (a log ratio
of 1 times 1/512 is 0.2 %) and move a vertex that travels 20 mm by 0.04 mm."""
LARGEST_WEIGHT = 20.0
"""Ten times what sliders give: more is a slip of the hand or of a file."""
BLEND_M = 0.022
"""Left becomes right within this distance of the middle: narrower, and half an open mouth tears the lips; wider, and a
wink moves the other eye."""
SHARE_SIZE = 256
_STEPS = 256.0
"""Shares are multiples of 1/256: a share and what it leaves add up to 1 exactly, in half floats too."""


class Sides(NamedTuple):
    """How strongly an expression is on, on the subject's left (+X) and right."""

    left: float
    right: float


Weight = float | Sides
"""A number is for both sides."""


def both(weight: Weight) -> Sides:
    """`weight` as a pair."""
    return weight if isinstance(weight, Sides) else Sides(weight, weight)


def plain(weight: Weight) -> Weight:
    """`weight` as a number where both sides have the same."""
    left, right = both(weight)
    return Sides(float(left), float(right)) if left != right else float(left)


def is_on(weight: Weight) -> bool:
    """Does `weight` change anything that can be seen (`LEAST_WEIGHT`)?"""
    return max(map(abs, both(weight))) >= LEAST_WEIGHT


def weight_at(weight: Weight, left: np.ndarray | None) -> np.ndarray | np.float32:
    """float32 `weight` where the share of the left is `left` (any shape); the number itself for both sides alike.

    ValueError where the sides differ and there is no `left`.
    """
    if not isinstance(weight, Sides):
        return np.float32(weight)
    if left is None:
        raise ValueError(f"weights: expected shares of the left side for {weight}, found none")
    return np.float32(weight.left) * left + np.float32(weight.right) * (np.float32(1) - left)


def parse_weights(text: str, names: tuple[str, ...]) -> dict[str, Weight]:
    """NAME=NUMBER pairs, NAME:L=NUMBER for the subject's left alone, NAME:R for the right.

    Names are the project's own or the table's; a side that is not given is as the whole is, or 0.
    """
    own = {name.casefold(): name for name in names}
    weights: dict[str, Weight] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        label, equals, value = part.rpartition("=")
        label, value = (label.strip(), value) if equals else (value.strip(), "1")
        whole, _, side = label.rpartition(":")
        if side.strip().upper() not in ("L", "R") or label.casefold() in own:
            whole, side = label, ""
        name, weight = _weight(part, whole.strip(), value, own)
        left, right = both(weights.get(name, 0.0))
        side = side.strip().upper()
        weights[name] = plain(Sides(left if side == "R" else weight, right if side == "L" else weight))
    return {name: weight for name, weight in weights.items() if name != NEUTRAL}


def _weight(part: str, label: str, value: str, own: dict[str, str]) -> tuple[str, float]:
    """The name that `label` stands for and the number in `value`; VocabularyError quotes `part`."""
    name = own.get(label.casefold()) or find(label).name
    try:
        weight = float(value)
    except ValueError:
        raise VocabularyError(f"weights: expected NAME=NUMBER, found '{part}'") from None
    if not abs(weight) <= LARGEST_WEIGHT:  # NaN too
        limits = f"{-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}"
        raise VocabularyError(f"weights: expected a finite number from {limits} for '{name}', found {weight}")
    return name, weight


@dataclass(frozen=True, eq=False, slots=True)
class LeftShare:
    """How much of a head is its left side: 0..1, 1/2 in the middle, the same function of place on mesh and maps."""

    vertices: np.ndarray
    """(V,) float32."""
    texels: np.ndarray
    """(256, 256) float32 on the skin's own UV layout, gaps from the nearest texel; sampled bilinearly."""


def left_share(positions_m: np.ndarray, topology: Topology) -> LeftShare:
    """Shares of a head at rest with (V, 3) `positions_m`: a smoothstep in x, `BLEND_M` to either side of the middle.

    The middle is that between the eyes, or of the skin where there are none. A function of place has no jump where a
    texture is cut.
    """
    from_middle_m = positions_m[:, 0] - _middle_m(positions_m, topology)
    faces = topology.faces_of(Part.SKIN)
    if not len(faces):
        return LeftShare(_share(from_middle_m), np.full((SHARE_SIZE, SHARE_SIZE), 0.5, np.float32))
    index, inside = rasterize(topology.uvs[topology.uv_faces[faces]], SHARE_SIZE)
    texels_m = (from_middle_m[topology.faces[faces]][index] * inside).sum(axis=2)
    covered = index >= 0
    texels_m = fill_nearest(texels_m, covered) if covered.any() else np.zeros_like(texels_m)
    return LeftShare(_share(from_middle_m), _share(texels_m))


def _middle_m(positions_m: np.ndarray, topology: Topology) -> float:
    eyes = [topology.vertices_of(part) for part in (Part.EYE_LEFT, Part.EYE_RIGHT)]
    if all(len(eye) for eye in eyes):
        return float(np.mean([positions_m[eye, 0].mean() for eye in eyes]))
    skin = positions_m[topology.vertices_of(Part.SKIN), 0]
    return float(skin.min() + skin.max()) / 2 if len(skin) else 0.0


def _share(from_middle_m: np.ndarray) -> np.ndarray:
    return (np.rint(smoothstep(from_middle_m / (2 * BLEND_M) + 0.5) * _STEPS) / _STEPS).astype(np.float32)
