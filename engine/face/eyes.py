"""Eyeballs: a painted iris and sclera, and how far they turn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.color import bytes_from_unit, srgb_from_linear
from engine.face.noise import band_noise
from engine.image import smoothstep

IRIS_SHARE = 0.39
"""Iris radius over the radius of the frontal texture's unit disc: 5.9 mm over balls of 15 mm."""
PUPIL_SHARE = 0.31
"""Pupil radius over that of the iris, indoors."""
_SCLERA_RGB = np.array([0.60, 0.535, 0.50])
"""Linear: less white than one thinks, mean of MakeHuman's photographed eyes (CC0)."""
_LOOK_RAD = {"In": np.radians(32.0), "Out": np.radians(32.0), "Up": np.radians(22.0), "Down": np.radians(28.0)}


def gaze(arkit: Mapping[str, float], side: str) -> tuple[float, float]:
    """(yaw, pitch) in radians of the eye on `side` ('Left' or 'Right'): yaw turns to the subject's left, pitch up.

    From the ARKit eyeLook weights; full strength turns 32 degrees sideways, 22 up, 28 down.
    """
    angle = {way: arkit.get(f"eyeLook{way}{side}", 0.0) * _LOOK_RAD[way] for way in _LOOK_RAD}
    outward = angle["Out"] - angle["In"]
    return (outward if side == "Left" else -outward), angle["Up"] - angle["Down"]


def rotation(yaw_rad: float, pitch_rad: float) -> np.ndarray:
    """(3, 3) rotation that turns +Z by `yaw_rad` towards +X and then up by `pitch_rad`."""
    sin_y, cos_y, sin_p, cos_p = np.sin(yaw_rad), np.cos(yaw_rad), np.sin(pitch_rad), np.cos(pitch_rad)
    turn = np.array([[cos_y, 0, sin_y], [0, 1, 0], [-sin_y, 0, cos_y]])
    lift = np.array([[1, 0, 0], [0, cos_p, sin_p], [0, -sin_p, cos_p]])
    return turn @ lift


def frontal_uv(directions: np.ndarray) -> np.ndarray:
    """(N, 3) unit directions from an eyeball's centre -> (N, 2) UVs of its frontal texture, back half on the rim."""
    flat = directions[:, :2] / np.maximum(np.linalg.norm(directions[:, :2], axis=1, keepdims=True), 1e-9)
    radius = np.where(directions[:, 2] > 0, np.linalg.norm(directions[:, :2], axis=1), 1.0)
    return (0.5 + 0.49 * flat * radius[:, None] * (1, -1)).astype(np.float32)


def paint_eye(seed: int, iris_rgb: tuple[float, float, float] | None = None, size: int = 512) -> np.ndarray:
    """(size, size, 3) uint8 sRGB frontal texture of an eyeball: veined sclera, limbal ring, fibrous iris, pupil.

    `iris_rgb` is the iris's mean colour, linear; drawn from `seed` where it is not given.
    """
    rng = np.random.default_rng([seed, 0xE7E])
    if iris_rgb is None:
        colours = np.array([(0.075, 0.038, 0.016), (0.095, 0.062, 0.030), (0.085, 0.095, 0.060), (0.095, 0.135, 0.165)])
        iris_rgb = tuple(rng.dirichlet((2.2, 1.2, 0.5, 0.6)) @ colours)
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 2 - 1
    radius, angle = np.hypot(x, y) / 0.98, np.arctan2(y, x)
    iris = _iris(np.array(iris_rgb), radius / IRIS_SHARE, angle, rng)
    sclera = _sclera(radius, size, rng)
    share = _step(radius, IRIS_SHARE * 0.93, IRIS_SHARE * 1.07)[..., None]
    pupil = _step(radius, IRIS_SHARE * (PUPIL_SHARE - 0.03), IRIS_SHARE * (PUPIL_SHARE + 0.04))[..., None]
    linear = (iris * (1 - share) + sclera * share) * (0.012 + 0.988 * pupil)
    return bytes_from_unit(srgb_from_linear(linear.clip(0, 1)))


def _iris(colour: np.ndarray, radius: np.ndarray, angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) linear: fibres that run outwards, a paler collar around the pupil, a dark ring at the edge."""
    wander = 0.06 * np.sin(5 * angle + 7 * radius + rng.uniform(0, 6.3)) + 0.04 * np.sin(9 * angle - 5 * radius)
    strands = np.zeros_like(radius)
    for cycles in (23, 37, 61, 97, 151):
        phase = rng.uniform(0, 6.3) + 3.0 * np.sin(3 * radius + rng.uniform(0, 6.3))
        strands += np.cos(cycles * (angle + wander * radius) + phase) / cycles**0.35
    strands /= strands.std()
    zone = np.exp(-(((radius - 0.52 - 0.03 * np.sin(11 * angle + rng.uniform(0, 6.3))) / 0.10) ** 2))
    crypts = np.clip(np.cos(7 * angle + 5 * np.sin(2 * angle) + rng.uniform(0, 6.3)) - 0.55, 0, 1)
    crypts = crypts * np.exp(-(((radius - 0.66) / 0.09) ** 2))
    tone = np.exp(0.22 * strands * np.clip(1.4 - radius, 0.3, 1) + 0.40 * zone - 0.9 * crypts)
    ring = 1 - 0.75 * np.exp(-(((radius - 1.0) / 0.13) ** 2))
    warm = 1 + zone[..., None] * np.array([0.25, 0.05, -0.25])
    return colour * warm * (tone * ring)[..., None]


def _sclera(radius: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) linear: veins that branch in from the rim, redder and darker outwards."""
    outwards = np.clip((radius - 0.45) / 0.5, 0, 1)
    bend = 0.5 * band_noise(rng, size, 5)
    veins = np.zeros_like(radius)
    for cycles, strength in ((4, 1.0), (8, 0.7), (15, 0.5)):
        field = band_noise(rng, size, cycles) + 0.3 * bend
        veins += strength * np.exp(-((field / 0.05) ** 2)) * np.clip(band_noise(rng, size, 3) + 0.2, 0, 1)
    absorbed = (0.5 * veins * outwards)[..., None] * np.array([0.10, 0.55, 0.50])
    absorbed = absorbed + (outwards**1.5)[..., None] * np.array([0.10, 0.50, 0.52])
    mottled = 0.03 * band_noise(rng, size, 12)[..., None]
    return _SCLERA_RGB * np.exp(mottled - absorbed)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Hermite step from 0 at `low` to 1 at `high`."""
    return smoothstep((values - low) / (high - low))
