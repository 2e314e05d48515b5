"""Lips that meet when the expression closes them, and do not pass through each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.face import layout
from engine.face.contact import STATIONS, column_gap_m, part_sides, sides, skin_m
from engine.face.correspondence import correspond
from engine.identity import Identity

_PARTING = ("jawOpen", "mouthFunnel", "mouthUpperUp", "mouthLowerDown")
"""ARKit shapes that part the lips."""
_SEALING = ("mouthClose", "mouthPress", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "cheekPuff")
"""ARKit shapes that press the lips together."""
_REACH = 0.045
"""How far from the slit, in v, a correction fades out."""
_APART_M = 0.00006
"""Between closed lips."""


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


def settle_lips(identity: Identity, moved_m: np.ndarray, arkit: Mapping[str, float]) -> np.ndarray:
    """`moved_m` (N, 3), positions of `Correspondence.vertices`, with the lips settled on each other.

    Lips that the expression does not part stand no further apart than at rest, and where it presses them together they
    meet: both go half the way, fading out over `_REACH`. Then what crosses gives way (`contact.part_sides`).
    """
    mouth = layout.SLITS[0]
    pair = sides(identity.topology, mouth)
    result = moved_m.copy()
    if parting_share(arkit) == 0:
        at_rest = np.maximum(column_gap_m(pair, skin_m(identity)), 0.0)
        right, left = seal_share(arkit)
        wanted = at_rest * (1 - np.linspace(right, left, STATIONS))
        for _ in range(3):
            excess = _smooth(np.maximum(column_gap_m(pair, result) - wanted, 0.0))
            result[:, 1] += 0.5 * _spread(identity, excess)
    return part_sides(identity, mouth, result, _APART_M)


def _smooth(values: np.ndarray) -> np.ndarray:
    """(K,) averaged over neighbours along the slit."""
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
    return np.convolve(np.pad(values, 4, mode="edge"), kernel / kernel.sum(), mode="valid")


def _spread(identity: Identity, amount: np.ndarray) -> np.ndarray:
    """(N,) `amount`, given at the stations, carried to all points, positive below the slit and negative above: nothing
    beyond the corners and beyond `_REACH`."""
    mouth = layout.SLITS[0]
    uv = correspond(identity.topology).opened_uv.astype(np.float64)
    along = mouth.along(uv[:, 0])
    away = uv[:, 1] - mouth.v_at(uv[:, 0])
    corner = np.clip(np.minimum(along, 1 - along) / 0.08, 0, 1)
    fade = np.clip(1 - (np.abs(away) - mouth.gap_at(uv[:, 0])).clip(min=0) / _REACH, 0, 1)
    stations = (np.arange(len(amount)) + 0.5) / len(amount)
    return np.sign(away) * np.interp(along, stations, amount) * corner * fade * fade * (3 - 2 * fade)
