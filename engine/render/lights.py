"""The built-in environments, drawn by formula: radiance over directions, no files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.render.camera import direction

Radiance = Callable[[np.ndarray], np.ndarray]
"""(..., 3) unit directions -> (..., 3) linear radiance."""


def _softbox(
    toward: np.ndarray, yaw: float, pitch: float, width: float, height: float, color: tuple[float, float, float]
) -> np.ndarray:
    """A soft-edged rectangle of light: centre and full size in degrees, `color` its radiance."""
    middle = direction(np.radians(yaw), np.radians(pitch))
    side = np.cross([0.0, 1.0, 0.0], middle)
    side /= np.linalg.norm(side)
    up = np.cross(middle, side)
    ahead = np.maximum(toward @ middle, 1e-6)
    x = np.abs(toward @ side) / ahead / np.tan(np.radians(width / 2))
    y = np.abs(toward @ up) / ahead / np.tan(np.radians(height / 2))
    edge = np.clip((1.06 - np.maximum(x, y)) / 0.12, 0.0, 1.0)
    falloff = 1.0 - 0.35 * np.minimum(x * x + y * y, 2.0) / 2.0  # brighter in the middle, as a lamp behind cloth
    return (edge * falloff * (toward @ middle > 0))[..., None] * np.asarray(color)


def _gradient(toward: np.ndarray, *stops: tuple[float, tuple[float, float, float]]) -> np.ndarray:
    """Colour by elevation: stops of (degrees above the horizon, radiance), ascending."""
    elevation = np.degrees(np.arcsin(np.clip(toward[..., 1], -1, 1)))
    at = [stop[0] for stop in stops]
    return np.stack([np.interp(elevation, at, [stop[1][c] for stop in stops]) for c in range(3)], axis=-1)


def _studio(toward: np.ndarray) -> np.ndarray:
    room = _gradient(toward, (-90, (0.17, 0.155, 0.145)), (-5, (0.30, 0.30, 0.30)), (90, (0.42, 0.42, 0.43)))
    room = room + _softbox(toward, 48, 28, 52, 62, (3.5, 3.3, 3.0))
    room = room + _softbox(toward, 40, 32, 20, 26, (22.0, 20.7, 18.9))  # what shines in the eyes
    room = room + _softbox(toward, -58, 12, 60, 80, (2.5, 2.5, 2.5))
    room = room + _softbox(toward, 155, 25, 26, 80, (1.8, 1.8, 1.9))
    room = room + _softbox(toward, -145, 30, 26, 80, (2.2, 2.2, 2.4))
    return room + _softbox(toward, 5, 80, 60, 30, (3.2, 3.2, 3.2))


def _sunset(toward: np.ndarray) -> np.ndarray:
    sky = _gradient(
        toward,
        (-90, (0.07, 0.055, 0.045)),
        (-4, (0.16, 0.11, 0.08)),
        (0, (1.15, 0.58, 0.26)),
        (8, (0.95, 0.60, 0.40)),
        (30, (0.42, 0.44, 0.58)),
        (90, (0.16, 0.24, 0.46)),
    )
    near_sun = toward @ direction(np.radians(62), np.radians(9))
    glow = np.exp((near_sun - 1) * 14)[..., None] * np.array([2.6, 1.25, 0.45])
    disc = np.clip((near_sun - np.cos(np.radians(6.5))) * 250, 0, 1)[..., None] * np.array([64.0, 34.0, 13.0])
    above = np.clip(toward[..., 1:2] * 30 + 1, 0, 1)
    return sky + (glow + disc) * above


def _overcast(toward: np.ndarray) -> np.ndarray:
    # Moon and Spencer 1942: the overcast sky is three times as bright overhead as at the horizon.
    up = toward[..., 1:2]
    sky = (1 + 2 * np.maximum(up, 0)) / 3 * np.array([1.42, 1.50, 1.60])
    return np.where(up > 0, sky, np.array([0.20, 0.19, 0.17]) * (1 - 0.4 * -np.minimum(up, 0)))


def _window(toward: np.ndarray) -> np.ndarray:
    room = _gradient(toward, (-90, (0.10, 0.075, 0.055)), (0, (0.16, 0.135, 0.11)), (90, (0.20, 0.18, 0.155)))
    panes = [(70, 22), (70, -6), (95, 22), (95, -6)]
    for yaw, pitch in panes:
        room = room + _softbox(toward, yaw, pitch, 22, 25, (13.5, 14.6, 16.4))
    return room + _softbox(toward, -100, -4, 30, 40, (0.75, 0.52, 0.33))


def _night(toward: np.ndarray) -> np.ndarray:
    dark = _gradient(toward, (-90, (0.012, 0.012, 0.018)), (0, (0.045, 0.05, 0.085)), (90, (0.02, 0.03, 0.07)))
    dark = dark + _softbox(toward, -128, 18, 34, 70, (3.2, 7.0, 15.0))
    dark = dark + _softbox(toward, 132, 12, 30, 70, (16.0, 6.6, 2.4))
    return dark + _softbox(toward, 15, 35, 40, 40, (0.85, 0.85, 0.95))


def _even(toward: np.ndarray) -> np.ndarray:
    return np.ones_like(toward)


_LIGHTS: dict[str, tuple[Radiance, float]] = {
    "Studio": (_studio, 2.7),
    "Window": (_window, 1.6),
    "Overcast": (_overcast, 2.2),
    "Sunset": (_sunset, 1.8),
    "Night Rim": (_night, 0.45),
    "Even": (_even, 2.4),
}
"""Name -> radiance, and the irradiance it gives a face that looks along +Z."""

BUILT_IN: tuple[str, ...] = tuple(_LIGHTS)
"""Names of the built-in lights."""


def built_in_light(name: str, directions: np.ndarray, solid_angles: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 linear radiance of a built-in light at (H, W, 3) `directions`; KeyError for another name.

    Scaled so that a face looking along +Z gets the irradiance in the table; `solid_angles` (H, W) weigh the sum.
    """
    formula, wanted = _LIGHTS[name]
    radiance = formula(directions)
    facing = np.maximum(directions[..., 2], 0) * solid_angles
    found = float((radiance.mean(axis=2) * facing).sum())
    return (radiance * (wanted / found)).astype(np.float32)
