"""Directional lights of a frame: key light and other lamps, and the suns that are taken out of an environment.

An environment lights from everywhere and casts no shadow. What is small and bright in it, the sun above all, is taken
out and becomes a light of its own, with the same irradiance and a shadow (Debevec 2005, "A Median Cut Algorithm for
Light Probe Sampling", in spirit; here only what is a sun).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from engine.color import luminance
from engine.render.camera import direction
from engine.scene import KeyLight, Scene

MOST_LIGHTS, MOST_SUNS = 6, 3
"""`MOST_LIGHTS` of shaders/common/frame.glsl: the key light, two further lamps and three suns."""
_BRIGHT = 12.0
"""A sun is this many times as bright as the mean of the picture."""
_SHARE = 0.1
"""It gives a surface that faces it this share of what the mean sky would."""
_REACH_RAD, _RING_RAD = math.radians(9.0), math.radians(14.0)
"""No sun is larger than the first; between both the sky around it is looked at."""
_EDGE = 0.1
"""What is brighter than this share of the peak belongs to the sun."""
OCCLUDER_M = 0.03
"""Typical distance from what casts a shadow on a face, a nose or a brow: how far a sun's penumbra spreads."""
_SHARPEST_M = 0.002


@dataclass(frozen=True, slots=True)
class DirectionalLight:
    """Light from one direction, as the shaders see it."""

    towards: tuple[float, float, float]
    """Unit vector to the light."""
    irradiance_linear: tuple[float, float, float]
    """RGB, on a surface that faces the light."""
    radius_rad: float = 0.0
    """Half the angle it fills in the sky: highlights are as much wider."""
    softness_m: float = _SHARPEST_M
    """Width of its shadow's edge."""
    shadow: bool = True
    """Whether the head hides it from itself."""


def extract_suns(
    radiance: np.ndarray, directions: np.ndarray, solid_angles: np.ndarray
) -> tuple[np.ndarray, tuple[DirectionalLight, ...]]:
    """The environment without its suns, (H, W, 3) float32, and the suns, brightest first, in its own directions.

    radiance (H, W, 3) linear, directions (H, W, 3) unit, solid_angles (H, W). Where a sun was there is the sky around
    it, so light is neither lost nor doubled. Windows, softboxes and bright skies are no suns and stay.
    """
    rest = np.array(radiance, np.float32)
    mean = float((luminance(rest) * solid_angles).sum() / solid_angles.sum())
    suns: list[DirectionalLight] = []
    for _ in range(MOST_SUNS):
        bright = luminance(rest)
        peak = np.unravel_index(int(bright.argmax()), bright.shape)
        if mean <= 0.0 or bright[peak] < _BRIGHT * mean:
            break
        cosine = directions @ directions[peak]
        near = cosine > math.cos(_REACH_RAD)
        ring = (cosine > math.cos(_RING_RAD)) & ~near
        disc = near & (bright > _EDGE * bright[peak])
        around = (rest[ring] * solid_angles[ring][:, None]).sum(0) / solid_angles[ring].sum()
        excess = (rest[disc] - around).clip(min=0.0) * solid_angles[disc][:, None]
        irradiance = excess.sum(0)
        large = float((bright[ring] > _EDGE * bright[peak]).mean()) > 0.02
        if large or luminance(irradiance) < _SHARE * math.pi * mean:
            break
        towards = (directions[disc] * excess.sum(1, keepdims=True)).sum(0)
        radius = math.acos(1 - min(float(solid_angles[disc].sum()) / (2 * math.pi), 1.0))
        suns.append(
            DirectionalLight(
                _triple(towards / np.linalg.norm(towards)),
                _triple(irradiance),
                radius,
                max(_SHARPEST_M, 2 * math.tan(radius) * OCCLUDER_M),
            )
        )
        rest[disc] = np.minimum(rest[disc], around)
    return rest, tuple(suns)


def lights_of(scene: Scene, suns: tuple[DirectionalLight, ...]) -> tuple[DirectionalLight, ...]:
    """The directional lights of a scene in the world, at most `MOST_LIGHTS`, those that are off left out."""
    lamps = [_lamp(lamp) for lamp in (scene.key_light, *scene.fill_lights) if lamp.enabled and lamp.irradiance > 0]
    scale = 2.0**scene.environment.exposure_ev
    bright = [
        replace(
            turned(sun, scene.environment.rotation_rad),
            irradiance_linear=_triple(np.asarray(sun.irradiance_linear) * scale),
        )
        for sun in suns
    ]
    return (*lamps[: MOST_LIGHTS - MOST_SUNS], *bright)


def _lamp(lamp: KeyLight) -> DirectionalLight:
    towards = direction(lamp.yaw_rad, lamp.pitch_rad)
    irradiance = np.asarray(lamp.color_linear) * lamp.irradiance
    return DirectionalLight(_triple(towards), _triple(irradiance), 0.0, lamp.shadow_softness_m)


def turned(light: DirectionalLight, rotation_rad: float) -> DirectionalLight:
    """From an environment's own directions into the world: the inverse of `environment_from_world`."""
    cosine, sine = math.cos(rotation_rad), math.sin(rotation_rad)
    x, y, z = light.towards
    return replace(light, towards=(cosine * x + sine * z, y, cosine * z - sine * x))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
