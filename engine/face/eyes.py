"""Eyeballs: a painted iris and sclera, and how far they turn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.color import bytes_from_unit, srgb_from_linear
from engine.face.noise import band_noise, gaussian_blur
from engine.image import smoothstep

IRIS_SHARE = 0.39
"""Iris radius over the radius of the frontal texture's unit disc: 5.9 mm over balls of 15 mm."""
PUPIL_SHARE = 0.31
"""Pupil radius over that of the iris, indoors."""
_SCLERA_RGB = np.array([0.42, 0.355, 0.315])
"""Linear: less white than one thinks; somewhat below the mean of MakeHuman's photographed eyes (CC0: 0.50, 0.44, 0.39),
which were lit from the front."""
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
        colours = np.array([(0.064, 0.036, 0.017), (0.083, 0.055, 0.029), (0.080, 0.085, 0.056), (0.083, 0.115, 0.140)])
        iris_rgb = tuple(rng.dirichlet((2.2, 1.2, 0.5, 0.6)) @ colours)
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 2 - 1
    radius, angle = np.hypot(x, y) / 0.98, np.arctan2(y, x)
    iris = _iris(np.array(iris_rgb), radius / IRIS_SHARE, angle, rng)
    sclera = _sclera(radius, size, rng)
    share = _step(radius, IRIS_SHARE * 0.90, IRIS_SHARE * 1.10)[..., None]
    pupil = _step(radius, IRIS_SHARE * (PUPIL_SHARE - 0.03), IRIS_SHARE * (PUPIL_SHARE + 0.04))[..., None]
    linear = (iris * (1 - share) + sclera * share) * (0.012 + 0.988 * pupil)
    return bytes_from_unit(srgb_from_linear(linear.clip(0, 1)))


def _iris(colour: np.ndarray, radius: np.ndarray, angle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) linear: fibres that run outwards and cross, a paler collar around the pupil, crypts beyond it, and an
    edge that darkens softly."""
    fibres = np.zeros_like(radius)
    for cycles in (17, 29, 41, 59, 83, 113, 149):
        lean = rng.normal(0, 3.0) * radius + 0.6 * np.sin(rng.uniform(4, 9) * radius + rng.uniform(0, 6.3))
        fibres += np.sin(cycles * angle + lean + rng.uniform(0, 6.3)) / cycles**0.3
    fibres /= fibres.std()
    edge = 0.50 + 0.025 * np.sin(11 * angle + rng.uniform(0, 6.3)) + 0.02 * np.sin(19 * angle + rng.uniform(0, 6.3))
    collar = np.exp(-(((radius - edge) / 0.07) ** 2))
    inside = _step(edge - radius, -0.04, 0.08)
    crypts = np.clip(np.cos(7 * angle + 5 * np.sin(2 * angle) + rng.uniform(0, 6.3)) - 0.4, 0, 1)
    crypts = crypts * np.exp(-(((radius - 0.68) / 0.10) ** 2))
    strength = 0.34 * _step(radius, PUPIL_SHARE, 0.6) * np.clip(1.5 - 0.7 * radius, 0.3, 1)
    tone = np.exp(strength * fibres + 0.35 * collar - 0.10 * inside - 0.9 * crypts)
    limbus = 1 - 0.85 * _step(radius, 0.68, 1.04)
    warm = 1 + (0.5 * collar + 0.5 * inside)[..., None] * np.array([0.30, 0.05, -0.25])
    return colour * warm * (tone * limbus)[..., None]


def _sclera(radius: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(S, S, 3) linear: redder and darker outwards, with veins."""
    outwards = np.clip((radius - 0.40) / 0.42, 0, 1)
    blood = 0.8 * _veins(size, rng) + 0.14 * np.clip(band_noise(rng, size, 7), 0, 2) * outwards
    absorbed = (blood + 0.60 * outwards**1.2)[..., None] * np.array([0.12, 0.52, 0.50])
    absorbed = absorbed + 0.25 * _step(radius, 0.60, 0.95)[..., None]
    mottled = 0.03 * band_noise(rng, size, 12)[..., None]
    return _SCLERA_RGB * np.exp(mottled - absorbed)


def _veins(size: int, rng: np.random.Generator) -> np.ndarray:
    """(S, S) 0..about 1: trunks that wind inwards, most from the corners, and the twigs they part into, which end
    before the iris."""
    trunks, twigs, steps = 14, 5, 500
    along = np.linspace(0, 1, steps)

    def winding(*shape: int) -> np.ndarray:
        frequency = np.array([5, 11, 23, 47])[:, None]
        phase, size = rng.uniform(0, 6.3, (*shape, 4, 1)), rng.normal(0, 0.3, (*shape, 4, 1))
        return (size * np.sin(frequency * along + phase) / frequency**0.9).sum(axis=-2)

    corner = rng.choice((0.0, np.pi, np.pi / 2, -np.pi / 2), (trunks, 1, 1), p=(0.36, 0.36, 0.14, 0.14))
    parts = rng.uniform(0.05, 0.75, (trunks, twigs, 1))
    beyond = np.maximum(along - parts, 0)
    twig = np.minimum(6 * beyond, 1) * winding(trunks, twigs) + beyond * rng.normal(0, 0.45, (trunks, twigs, 1))
    angle = corner + rng.normal(0, 0.40, (trunks, 1, 1)) + winding(trunks, 1) + twig
    radius = 1.0 - along * rng.uniform(0.30, 0.57, (trunks, twigs, 1))
    weight = rng.uniform(0.3, 1, (trunks, 1, 1)) * (1 - along) ** 0.7 * np.where(beyond > 0, 0.7, 1.4 / twigs)
    x, y = ((0.49 * radius * turn + 0.5) * size for turn in (np.cos(angle), np.sin(angle)))
    texel = y.astype(int).clip(0, size - 1) * size + x.astype(int).clip(0, size - 1)
    drawn = np.bincount(texel.ravel(), weight.ravel(), size * size).reshape(size, size)
    drawn = np.minimum(drawn, 1.6)
    return 1.6 * gaussian_blur(drawn, 0.0012 * size) + 1.6 * gaussian_blur(drawn, 0.006 * size)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Hermite step from 0 at `low` to 1 at `high`."""
    return smoothstep((values - low) / (high - low))
