"""How a project is looked at: camera, light, channel and tone curve. Plain values; the renderer reads them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

Vector3 = tuple[float, float, float]


class ViewChannel(StrEnum):
    """What the picture shows. Value = the label in menus."""

    SHADED = "Shaded"
    DIFFUSE = "Diffuse albedo"
    SPECULAR = "Specular albedo"
    ROUGHNESS = "Roughness"
    NORMAL_MAP = "Normal map"
    NORMAL = "Normal"
    GEOMETRY = "Geometry"
    """Grey clay: shape without maps."""
    DIFFUSE_LIGHT = "Diffuse light"
    SPECULAR_LIGHT = "Specular light"
    UV = "UV"
    OFFSET = "Offset (mm)"
    """Distance from neutral as a colour, 0 to 10 mm."""


class ToneCurve(StrEnum):
    """Scene-referred light to display. Value = the label in menus."""

    NEUTRAL = "Khronos Neutral"
    LINEAR = "Linear (clipped)"
    AGX = "AgX"
    ACES = "ACES"


@dataclass(frozen=True, slots=True)
class Camera:
    """An orbit camera around a target."""

    target_m: Vector3 = (0.0, 0.0, 0.0)
    distance_m: float = 1.0
    yaw_rad: float = 0.0
    """Positive moves the eye to the subject's left (+X)."""
    pitch_rad: float = 0.0
    """Positive moves the eye up."""
    vertical_fov_rad: float = math.radians(20.0)
    """A portrait lens: 20 degrees is about 68 mm on full frame."""


@dataclass(frozen=True, slots=True)
class KeyLight:
    """One directional light with a shadow map."""

    enabled: bool = True
    yaw_rad: float = math.radians(40.0)
    """Where the light comes from, around +Y from +Z towards +X."""
    pitch_rad: float = math.radians(30.0)
    """Where the light comes from, above the horizon."""
    color_linear: Vector3 = (1.0, 0.95, 0.88)
    irradiance: float = 1.5
    """Irradiance on a surface that faces the light, in units where the environment is shown at exposure 0."""
    shadow_softness_m: float = 0.004


@dataclass(frozen=True, slots=True)
class Environment:
    """Image-based light."""

    name: str = "Studio"
    """A built-in name (`engine.render.environment.BUILT_IN`) or the path of a .hdr/.exr equirectangular image."""
    rotation_rad: float = 0.0
    """Turns the light around +Y."""
    exposure_ev: float = 0.0
    """Stops applied to the environment's light only."""
    visible: bool = False
    """Show it (blurred) as the background."""
    suns: bool = True
    """What is small and very bright in it, a sun, lights as a lamp with a shadow."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All of it."""

    camera: Camera = field(default_factory=Camera)
    environment: Environment = field(default_factory=Environment)
    key_light: KeyLight = field(default_factory=KeyLight)
    fill_lights: tuple[KeyLight, ...] = ()
    """Further lamps, of a preset: fill, rim. At most two are drawn."""
    exposure_ev: float = 0.0
    """Stops applied to the whole picture."""
    tone_curve: ToneCurve = ToneCurve.NEUTRAL
    channel: ViewChannel = ViewChannel.SHADED
    background_srgb: Vector3 = (0.16, 0.16, 0.17)
    """Backdrop where neither environment nor head is seen; display-encoded."""
    wireframe: bool = False
    scattering: bool = True
    """Light travels inside the skin; without, it leaves where it enters."""
