"""The light sources of a frame: key light and other lamps, and the suns that are taken out of an environment.

An environment lights from everywhere and casts no shadow. What is small and bright in it, the sun above all, is taken
out and becomes a light of its own, with the same irradiance and a shadow (Debevec 2005, "A Median Cut Algorithm for
Light Probe Sampling", in spirit; here only what is a sun).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from engine.color import luminance
from engine.identity import Identity
from engine.project import framed
from engine.render.camera import bounds, direction, look_along
from engine.scene import MOST_FILL_LIGHTS, Lamp, LampKind, Scene, Vector3

MOST_SUNS = 3
MOST_LIGHTS = 1 + MOST_FILL_LIGHTS + MOST_SUNS
"""`MOST_LIGHTS` of shaders/common/frame.glsl."""
_BRIGHT = 12.0
"""A sun is this many times as bright as the mean of the picture."""
_SHARE = 0.1
"""It gives a surface that faces it this share of what the mean sky would."""
_REACH_RAD, _RING_RAD = math.radians(9.0), math.radians(14.0)
"""No sun is larger than the first; between both the sky around it is looked at."""
_EDGE = 0.1
"""What is brighter than this share of the peak belongs to the sun."""
OCCLUDER_M = 0.03
"""Typical distance from what casts a shadow on a face, a nose or a brow: how far a penumbra spreads."""
_SHARPEST_M = 0.002
_CLEARANCE = 1.25
"""No lamp stands nearer to the head than so many times the radius of the ball that holds it."""


@dataclass(frozen=True, slots=True)
class LightSource:
    """One lamp or sun in the world, with all that the shaders need of it."""

    towards: Vector3
    """Unit vector to the light; from the middle of the head where the light stands near."""
    irradiance_linear: Vector3
    """RGB at the middle of the head, on a surface that faces the light."""
    radius_rad: float = 0.0
    """Half the angle a sun fills in the sky: highlights are as much wider."""
    softness_m: float = _SHARPEST_M
    """Width of the edge of a shadow that falls `OCCLUDER_M`."""
    shadow: bool = True
    """Whether the head hides it from itself."""
    kind: LampKind = LampKind.DIRECTIONAL
    distance_m: float = math.inf
    """From the middle of the head."""
    position_m: Vector3 = (0.0, 0.0, 0.0)
    """Where a point or a spot stands, and where the shadow map of any lamp that is not directional looks from."""
    cone_rad: tuple[float, float] = (0.0, 0.0)
    """Of a spot, from its axis: where full light ends and where the dark begins."""
    corner_m: Vector3 = (0.0, 0.0, 0.0)
    right_m: Vector3 = (0.0, 0.0, 0.0)
    up_m: Vector3 = (0.0, 0.0, 0.0)
    """A rectangle: one corner, and its sides from there, to the right and up for whom it lights."""
    flat: bool = False
    """A point of a rectangle: it shines with the cosine to its axis."""

    @property
    def angular_size(self) -> tuple[float, float]:
        """Width and height of what the middle of the head sees of it, in radians while small: twice the tangent."""
        if self.kind == LampKind.RECTANGLE:
            return math.hypot(*self.right_m) / self.distance_m, math.hypot(*self.up_m) / self.distance_m
        return self.softness_m / OCCLUDER_M, self.softness_m / OCCLUDER_M


def extract_suns(
    radiance: np.ndarray, directions: np.ndarray, solid_angles: np.ndarray
) -> tuple[np.ndarray, tuple[LightSource, ...]]:
    """The environment without its suns, (H, W, 3) float32, and the suns, brightest first, in its own directions.

    radiance (H, W, 3) linear, directions (H, W, 3) unit, solid_angles (H, W). Where a sun was there is the sky around
    it, so light is neither lost nor doubled. Windows, softboxes and bright skies are no suns and stay.
    """
    rest = np.array(radiance, np.float32)
    mean = float((luminance(rest) * solid_angles).sum() / solid_angles.sum())
    suns: list[LightSource] = []
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
            LightSource(
                triple(towards / np.linalg.norm(towards)),
                triple(irradiance),
                radius,
                max(_SHARPEST_M, 2 * math.tan(radius) * OCCLUDER_M),
            )
        )
        rest[disc] = np.minimum(rest[disc], around)
    return rest, tuple(suns)


@lru_cache(maxsize=4)
def lamps_around(identity: Identity) -> tuple[Vector3, float]:
    """The middle of the head at rest, where a new camera looks, and how near to it a lamp may stand, metres."""
    ball = bounds(identity.positions_m)
    middle = framed(identity).target_m
    return middle, math.dist(middle, ball.centre) + _CLEARANCE * ball.radius


def lights_of(
    scene: Scene, suns: tuple[LightSource, ...], middle_m: Iterable[float] = (0.0, 0.0, 0.0), nearest_m: float = 0.0
) -> tuple[LightSource, ...]:
    """The light sources of a scene in the world, at most `MOST_LIGHTS`, those that are off left out.

    Lamps stand around `middle_m` (3,), none nearer than `nearest_m`: one inside the head would light nothing.
    """
    middle = np.array(tuple(middle_m), float)
    found = [_lamp(lamp, middle, nearest_m) for lamp in scene.lamps if lamp.enabled and lamp.irradiance > 0]
    scale = 2.0**scene.environment.exposure_ev
    bright = [
        replace(
            turned(sun, scene.environment.rotation_rad),
            irradiance_linear=triple(np.asarray(sun.irradiance_linear) * scale),
        )
        for sun in suns
    ]
    return (*found[: 1 + MOST_FILL_LIGHTS], *bright)


def _lamp(lamp: Lamp, middle: np.ndarray, nearest_m: float) -> LightSource:
    towards = direction(lamp.yaw_rad, lamp.pitch_rad)
    irradiance = triple(np.asarray(lamp.color_linear) * lamp.irradiance)
    softness, kind = lamp.shadow_softness_m, lamp.kind
    if kind == LampKind.DIRECTIONAL:
        return LightSource(triple(towards), irradiance, softness_m=softness)
    distance = max(lamp.distance_m, nearest_m, 1e-3)
    at = middle + distance * towards
    outer = min(max(lamp.outer_cone_rad, 1e-3), math.pi / 2)
    cone = min(max(lamp.inner_cone_rad, 0.0), 0.999 * outer), outer
    right, up = np.zeros(3), np.zeros(3)
    if kind == LampKind.RECTANGLE:
        sides = max(lamp.width_m, 1e-3), max(lamp.height_m, 1e-3)
        frame = look_along(at, towards)[:2, :3]
        right, up = sides[0] * frame[0], sides[1] * frame[1]
        softness = OCCLUDER_M * sum(sides) / 2 / distance
    return LightSource(
        triple(towards),
        irradiance,
        softness_m=softness,
        kind=kind,
        distance_m=distance,
        position_m=triple(at),
        cone_rad=cone,
        corner_m=triple(at - right / 2 - up / 2),
        right_m=triple(right),
        up_m=triple(up),
    )


def rectangle_form_factor(width_m: float, height_m: float, distance_m: float) -> float:
    """Irradiance over pi times the radiance, 0..1, straight in front of the middle of a rectangle and facing it.

    Howell, Menguc, Daun and Siegel 2020, "Thermal Radiation Heat Transfer", configuration B-3, four quarters.
    """
    x, y = width_m / (2 * distance_m), height_m / (2 * distance_m)
    across, along = math.hypot(1, x), math.hypot(1, y)
    return 2 / math.pi * (x / across * math.atan(y / across) + y / along * math.atan(x / along))


def turned(light: LightSource, rotation_rad: float) -> LightSource:
    """From an environment's own directions into the world: the inverse of `environment_from_world`."""
    cosine, sine = math.cos(rotation_rad), math.sin(rotation_rad)
    x, y, z = light.towards
    return replace(light, towards=(cosine * x + sine * z, y, cosine * z - sine * x))


def point_of(lamp: LightSource, across: float, up: float) -> LightSource:
    """A point of a lamp that stands near, at (`across`, `up`) 0..1 over its rectangle, or over the unit disc, -1..1, of
    a point or a spot. The mean over all points lights as the lamp does, with the shadow that its size gives it."""
    if lamp.kind != LampKind.RECTANGLE:
        sides = look_along(np.zeros(3), np.array(lamp.towards))[:2, :3]
        radius = lamp.angular_size[0] / 2 * lamp.distance_m
        return replace(lamp, position_m=triple(lamp.position_m + radius * (across * sides[0] + up * sides[1])))
    right, above = np.array(lamp.right_m), np.array(lamp.up_m)
    width, height = float(np.linalg.norm(right)), float(np.linalg.norm(above))
    share = width * height / (math.pi * rectangle_form_factor(width, height, lamp.distance_m) * lamp.distance_m**2)
    return replace(
        lamp,
        kind=LampKind.POINT,
        position_m=triple(np.array(lamp.corner_m) + across * right + up * above),
        irradiance_linear=triple(share * np.asarray(lamp.irradiance_linear)),
        flat=True,
    )


def triple(values: np.ndarray) -> Vector3:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
