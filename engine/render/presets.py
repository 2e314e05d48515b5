"""Portrait lighting by name: where a photographer puts the lamps. Directions are those of the subject."""

from __future__ import annotations

import math
from dataclasses import replace

from engine.errors import EngineError
from engine.scene import Environment, Lamp, LampKind, Scene

_WARM, _WHITE, _COOL = (1.0, 0.95, 0.88), (1.0, 1.0, 1.0), (0.86, 0.93, 1.0)


def _lamp(
    yaw_deg: float, pitch_deg: float, irradiance: float, softness_m: float, color: tuple[float, float, float] = _WHITE
) -> Lamp:
    return Lamp(True, math.radians(yaw_deg), math.radians(pitch_deg), color, irradiance, softness_m)


def _softbox(
    yaw_deg: float,
    pitch_deg: float,
    irradiance: float,
    size_m: tuple[float, float],
    distance_m: float,
    color: tuple[float, float, float] = _WHITE,
) -> Lamp:
    lamp = _lamp(yaw_deg, pitch_deg, irradiance, 0.004, color)
    return replace(lamp, kind=LampKind.RECTANGLE, width_m=size_m[0], height_m=size_m[1], distance_m=distance_m)


_OFF = Lamp(enabled=False)
_PRESETS: dict[str, tuple[Environment, Lamp, tuple[Lamp, ...]]] = {
    # a key, a fill half as high on the other side, a lamp behind that parts the head from the ground
    "Three-Point": (
        Environment("Even", exposure_ev=-2.0),
        _lamp(40, 30, 4.2, 0.010, _WARM),
        (_lamp(-45, 12, 1.4, 0.012, _COOL), _lamp(155, 35, 2.4, 0.006)),
    ),
    # a triangle of light on the far cheek, bounded by the nose's shadow: a small softbox, or the triangle drowns
    "Rembrandt": (Environment("Even", exposure_ev=-2.0), _softbox(48, 40, 6.0, (0.4, 0.5), 1.1, _WARM), ()),
    # the shadow of the nose falls straight down from a softbox over the camera; a reflector below
    "Butterfly": (
        Environment("Even", exposure_ev=-2.0),
        _softbox(0, 45, 5.0, (0.5, 0.5), 1.0),
        (_softbox(0, -35, 0.9, (0.8, 0.5), 0.7),),
    ),
    # half the face
    "Split": (Environment("Even", exposure_ev=-4.5), _lamp(88, 8, 4.2, 0.004), ()),
    # outlines alone
    "Rim": (
        Environment("Even", exposure_ev=-4.0),
        _OFF,
        (_lamp(145, 22, 5.6, 0.006, _COOL), _lamp(-145, 22, 5.6, 0.006, _WARM)),
    ),
    # what a scanner sees: the same light from everywhere
    "Flat Capture": (Environment("Even"), _OFF, ()),
}
PRESETS: tuple[str, ...] = tuple(_PRESETS)
"""Names, in the order of menus."""


def with_preset(scene: Scene, name: str) -> Scene:
    """`scene` lit by the preset `name`, its light stage off; camera, channel and exposure stay.

    EngineError for an unknown name.
    """
    if name not in _PRESETS:
        raise EngineError(f"preset '{name}': expected one of {', '.join(PRESETS)}")
    environment, key, fill = _PRESETS[name]
    environment = replace(environment, visible=scene.environment.visible)
    stage = replace(scene.stage, enabled=False)
    return replace(scene, environment=environment, key_light=key, fill_lights=fill, stage=stage)


def preset_of(scene: Scene) -> str:
    """The preset that lights `scene` just so, '' where it is the user's own light."""
    return next((name for name in PRESETS if with_preset(scene, name) == scene), "")
