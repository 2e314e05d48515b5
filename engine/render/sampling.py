"""Samples of a scene for a picture that converges: where in the pixel, from where in each lamp and in the environment.

Each sample is a frame lit by directional lights with shadow maps alone. The environment is drawn from in proportion to
its light (Pharr, Jakob and Humphreys 2023, "Physically Based Rendering", 12.5): the mean of all frames is the picture
that a path tracer of one bounce makes. Points come from a scrambled Sobol sequence (Owen 1998), which fills its cube
evenly after any number of samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.color import luminance
from engine.render.sources import MOST_LIGHTS, MOST_SUNS, OCCLUDER_M, LightSource, lights_of, point_of, turned
from engine.scene import LampKind, Scene, Vector3, staged

SAMPLES = 256
"""After so many a picture is taken as converged."""
_SHADOW_M = 0.001
"""Edge of the shadow of one sample: the mean of many is as soft as the light is large."""


@dataclass(frozen=True, slots=True)
class FrameSample:
    """What one of the frames of a converging picture is drawn with."""

    shift_px: tuple[float, float]
    """Of the picture against its pixels, -0.5 .. 0.5, right and up."""
    lights: tuple[LightSource, ...]
    """All the light there is, at most `MOST_LIGHTS`."""


class EnvironmentSampler:
    """Draws directions from an environment in proportion to the light that comes from there."""

    def __init__(self, radiance: np.ndarray, directions: np.ndarray, solid_angles: np.ndarray) -> None:
        """radiance (H, W, 3) linear, directions (H, W, 3) unit, solid_angles (H, W)."""
        light = np.maximum(luminance(radiance), 0.0).astype(np.float64) * solid_angles
        self._radiance, self._directions, self._solid_angles = radiance, directions, solid_angles
        self.total = float(light.sum())
        rows = light.sum(axis=1)
        self._rows = np.cumsum(rows) / max(self.total, 1e-30)
        self._columns = np.cumsum(light, axis=1) / np.maximum(rows, 1e-30)[:, None]
        self._share = light / max(self.total, 1e-30)

    def lights(self, square: np.ndarray) -> list[LightSource]:
        """One light for each point (N, 2) of the unit square, in the environment's own directions. The mean over the
        square of what they give a surface is what the environment gives it. None where the environment is dark."""
        if self.total <= 0.0:
            return []
        row = np.minimum(np.searchsorted(self._rows, square[:, 1], side="right"), len(self._rows) - 1)
        found = []
        for y, u in zip(row, square[:, 0], strict=True):
            x = min(int(np.searchsorted(self._columns[y], u, side="right")), self._columns.shape[1] - 1)
            red, green, blue = self._radiance[y, x] * (self._solid_angles[y, x] / self._share[y, x])
            towards = self._directions[y, x].astype(np.float64)
            towards /= np.linalg.norm(towards)
            found.append(LightSource(tuple(towards.tolist()), (float(red), float(green), float(blue))))
        return found


def frame_sample(
    scene: Scene,
    environment: EnvironmentSampler,
    number: int,
    around: tuple[Vector3, float] = ((0.0, 0.0, 0.0), 0.0),
) -> FrameSample:
    """Sample `number` (from 0) of `scene`, its lamps `around` a place (see `lamps_around`); the first 2^k of them are
    evenly spread for every k."""
    scene = staged(scene)
    pixel, disc, *sky_points = _points()[number % _COUNT]
    lamps = [_jittered(lamp, disc) for lamp in lights_of(scene, (), *around)]
    each = MOST_LIGHTS - max(len(lamps), MOST_LIGHTS - MOST_SUNS)
    share = 2.0**scene.environment.exposure_ev / each
    sky = [
        replace(
            turned(light, scene.environment.rotation_rad),
            irradiance_linear=tuple(share * value for value in light.irradiance_linear),
        )
        for light in environment.lights(np.array(sky_points[:each]))
    ]
    lights = tuple(replace(light, radius_rad=0.0, softness_m=_SHADOW_M) for light in (*lamps, *sky))
    return FrameSample((float(pixel[0]) - 0.5, float(pixel[1]) - 0.5), lights)


def _jittered(lamp: LightSource, point: np.ndarray) -> LightSource:
    """The lamp seen at `point` (2,) of the unit square over its rectangle, or over its disc, whose size follows the
    edge of its shadow."""
    if lamp.kind == LampKind.RECTANGLE:
        return point_of(lamp, float(point[0]), float(point[1]))
    if lamp.kind != LampKind.DIRECTIONAL:
        away, turn = math.sqrt(point[0]), 2 * math.pi * point[1]
        return point_of(lamp, away * math.cos(turn), away * math.sin(turn))
    radius = math.tan(max(lamp.radius_rad, math.atan(lamp.softness_m / (2 * OCCLUDER_M))))
    towards = np.array(lamp.towards)
    side = np.cross(towards, (0.0, 1.0, 0.0) if abs(towards[1]) < 0.9 else (1.0, 0.0, 0.0))
    side /= np.linalg.norm(side)
    away, turn = radius * math.sqrt(point[0]), 2 * math.pi * point[1]
    moved = towards + away * (math.cos(turn) * side + math.sin(turn) * np.cross(towards, side))
    x, y, z = (float(value) for value in moved / np.linalg.norm(moved))
    return replace(lamp, towards=(x, y, z))


_COUNT = 4096


_SQUARES = 2 + MOST_LIGHTS
_POINTS = Path(__file__).parent / "sobol.npy"
_BITS = 30
"""Of the numbers in that file, (_COUNT, 2 * _SQUARES) uint32: drawn anew, they would ask for all of `scipy.stats`, a
second of a start."""


@lru_cache(maxsize=1)
def _points() -> np.ndarray:
    """(_COUNT, 2 + MOST_LIGHTS, 2) float64: for each sample points of unit squares, for pixel, lamps and environment.
    One sequence of many dimensions: with one for each square a part of the pixel would see a part of the light."""
    return np.load(_POINTS, allow_pickle=False).reshape(_COUNT, _SQUARES, 2) / 2.0**_BITS


def draw_points() -> np.ndarray:
    """What the shipped file holds: `np.save("engine/render/sobol.npy", draw_points())` writes it."""
    from scipy.stats import qmc

    sobol = qmc.Sobol(2 * _SQUARES, scramble=True, bits=_BITS, rng=np.random.default_rng(0))
    return (sobol.random(_COUNT) * 2.0**_BITS).astype(np.uint32)
