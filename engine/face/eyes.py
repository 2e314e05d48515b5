"""Eyeballs: a painted iris and sclera, and how far they turn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.color import bytes_from_unit
from engine.face.noise import band_noise

IRIS_SHARE = 0.42
"""Iris radius over the radius of the frontal texture's unit disc: 5.9 mm over the 14 mm balls that fit the head
model."""
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


def paint_eye(seed: int, size: int = 256) -> np.ndarray:
    """(size, size, 3) uint8 sRGB frontal texture of an eyeball: veined sclera, limbal ring, fibrous iris, pupil."""
    rng = np.random.default_rng([seed, 0xE7E])
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 2 - 1
    radius, angle = np.hypot(x, y) / 0.98, np.arctan2(y, x)
    iris_colour = np.array([(0.30, 0.17, 0.08), (0.36, 0.25, 0.12), (0.30, 0.36, 0.30), (0.30, 0.42, 0.52)])
    mix = rng.dirichlet((2.2, 1.2, 0.5, 0.6))
    base = 0.62 * (mix @ iris_colour)
    waves = [np.cos(angle * k + rng.uniform(0, 6.3) + 2.5 * radius) / k**0.5 for k in (17, 29, 43, 71)]
    fibres = np.sum(waves, axis=0) / 3
    inner = np.clip((radius - 0.12) / (IRIS_SHARE - 0.12), 0, 1)
    iris = (
        base * (1.15 + 0.30 * fibres[..., None] * (0.4 + inner[..., None])) + 0.10 * (1 - inner[..., None]) * base[::1]
    )
    veins = np.clip(1 - 14 * np.abs(band_noise(rng, size, 10) - 0.02), 0, 1) * np.clip((radius - 0.5) * 2, 0, 1)
    sclera = np.array([0.76, 0.73, 0.71]) - veins[..., None] * np.array([0.05, 0.22, 0.22])
    sclera = sclera - np.clip(radius - 0.55, 0, 1)[..., None] * np.array([0.10, 0.32, 0.34])
    limbus = _step(radius, IRIS_SHARE - 0.035, IRIS_SHARE + 0.03)[..., None]
    ring = np.exp(-(((radius - IRIS_SHARE + 0.015) / 0.035) ** 2))[..., None]
    pupil = _step(radius, 0.14, 0.165)[..., None]
    colour = (iris * (1 - 0.65 * ring)) * (1 - limbus) + sclera * limbus
    return bytes_from_unit(colour * (0.04 + 0.96 * pupil))


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Hermite step from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
