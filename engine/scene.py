"""How a project is looked at: camera, light, channel and tone curve. Plain values; the renderer reads them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Annotated, Any

import numpy as np

from engine.checks import check_count, check_limits, check_range, check_text, short

Vector3 = tuple[float, float, float]
MOST_FILL_LIGHTS = 2
MOST_STAGE_LAMPS = 4096
RIG_SUFFIXES = (".json", ".txt", ".csv", ".npy")
_MOST_KEPT_FILL_LIGHTS = 16
_LIGHT = (0.0, 1e6)
Angle = Annotated[float, (-1e4, 1e4)]
Stops = Annotated[float, (-64.0, 64.0)]
Reach = Annotated[float, (0.0, 1e3)]
"""Limits, here and below, keep arithmetic in single precision finite; no hand sets what is beyond them."""


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
    """Distance from neutral."""
    F0 = "F0"
    """Reflectance at normal incidence, as the light sees it: the specular map in its physical scale, and constants."""
    MESH_NORMAL = "Mesh normal"
    """Without the slopes of the map."""
    OCCLUSION = "Ambient visibility"
    """Share of the sky that is seen."""
    CURVATURE = "Mean curvature (1/m)"
    """Its size, as scattering uses it."""
    DEPTH = "Depth (mm)"
    """Along the view axis."""
    POSITION = "World position"
    UV_CHECKER = "UV checker"
    """64 squares to a side of the maps: how densely and how evenly texels lie."""
    PARTS = "Parts"
    """What each triangle belongs to."""
    OFFSET_NORMAL = "Offset along normal (mm)"
    """Signed: outwards is positive."""
    DIFFUSE_CHANGE = "Albedo change (stops)"
    """log2 of the luminance of albedo over the neutral's."""
    SPECULAR_CHANGE = "Specular change (stops)"
    ROUGHNESS_CHANGE = "Roughness change"
    NORMAL_CHANGE = "Normal map change (degrees)"
    """Angle between the map's normal and the neutral's."""


DIFFERENCES: tuple[ViewChannel, ...] = (
    ViewChannel.OFFSET,
    ViewChannel.OFFSET_NORMAL,
    ViewChannel.DIFFUSE_CHANGE,
    ViewChannel.SPECULAR_CHANGE,
    ViewChannel.ROUGHNESS_CHANGE,
    ViewChannel.NORMAL_CHANGE,
)
"""Channels that show the head minus its neutral."""


class ToneCurve(StrEnum):
    """Scene-referred light to display. Value = the label in menus."""

    NEUTRAL = "Khronos Neutral"
    LINEAR = "Linear (clipped)"
    AGX = "AgX"
    ACES = "ACES"


class StageMode(StrEnum):
    """Which lamps of a light stage are lit, and how brightly. Value = the label in menus."""

    ONE = "One lamp"
    FULL = "Full-on"
    GRADIENT_X = "Gradient X"
    """Spherical gradients: brightest on the subject's left (X), above (Y), in front (Z); dark opposite."""
    GRADIENT_Y = "Gradient Y"
    GRADIENT_Z = "Gradient Z"
    COMPLEMENT_X = "Complement X"
    """What a gradient leaves of full-on."""
    COMPLEMENT_Y = "Complement Y"
    COMPLEMENT_Z = "Complement Z"
    MIXTURE = "Mixture"
    ENVIRONMENT = "Environment"
    """The scene's environment, shown by the lamps."""


@dataclass(frozen=True, slots=True)
class Camera:
    """An orbit camera around a target."""

    target_m: Annotated[Vector3, (-1e3, 1e3)] = (0.0, 0.0, 0.0)
    distance_m: Annotated[float, (1e-3, 1e3)] = 1.0
    yaw_rad: Angle = 0.0
    """Positive moves the eye to the subject's left (+X)."""
    pitch_rad: Angle = 0.0
    """Positive moves the eye up."""
    vertical_fov_rad: Annotated[float, (1e-3, 3.1)] = math.radians(20.0)
    """A portrait lens: 20 degrees is about 68 mm on full frame."""
    uv_center: Annotated[tuple[float, float], (-1e3, 1e3)] = (0.5, 0.5)
    """Of the UV view: texture coordinate in the middle of the picture, origin top-left."""
    uv_span: Annotated[float, (1e-6, 1e3)] = 1.0
    """Of the UV view: texture coordinates across the shorter side of the picture."""

    def __post_init__(self) -> None:
        check_limits(self)


class LampKind(StrEnum):
    """The shape of a lamp and how its light spreads. Value = the label in menus."""

    DIRECTIONAL = "Directional"
    """From so far away that distance does not matter."""
    POINT = "Point"
    SPOT = "Spot"
    RECTANGLE = "Softbox"
    """An evenly bright rectangle, such as a softbox or a window."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """One lamp with a shadow, aimed at the middle of the head at rest."""

    enabled: bool = True
    yaw_rad: Annotated[float, (-1e4, 1e4)] = math.radians(40.0)
    """Where the light comes from, around +Y from +Z towards +X."""
    pitch_rad: Annotated[float, (-1e4, 1e4)] = math.radians(30.0)
    """Where the light comes from, above the horizon."""
    color_linear: Annotated[Vector3, _LIGHT] = (1.0, 0.94, 0.85)
    irradiance: Annotated[float, _LIGHT] = 1.7
    """Irradiance at the middle of the head on a surface that faces the lamp, in units where the environment is shown at
    exposure 0. Kind, distance and size do not change it."""
    shadow_softness_m: Reach = 0.004
    """Width of the edge of a shadow that falls 3 cm. A rectangle's follows from its size."""
    kind: LampKind = LampKind.DIRECTIONAL
    distance_m: Reach = 1.2
    """From the middle of the head; no lamp stands inside it."""
    width_m: Reach = 0.6
    height_m: Reach = 0.6
    """Of a rectangle."""
    inner_cone_rad: Annotated[float, (0.0, math.pi)] = math.radians(6.0)
    outer_cone_rad: Annotated[float, (0.0, math.pi)] = math.radians(9.0)
    """Of a spot, from its axis: within the first it is at full strength, beyond the second it is dark."""

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True)
class Environment:
    """Image-based light."""

    name: str = "Studio"
    """A built-in name (`engine.render.environment.BUILT_IN`) or the path of a .hdr/.exr equirectangular image."""
    rotation_rad: Angle = 0.0
    """Turns the light around +Y."""
    exposure_ev: Stops = 0.0
    """Stops applied to the environment's light only."""
    visible: bool = False
    """Show it (blurred) as the background."""
    suns: bool = True
    """What is small and very bright in it, a sun, lights as a lamp with a shadow."""

    def __post_init__(self) -> None:
        check_text("Environment.name", self.name)
        check_limits(self)


@dataclass(frozen=True, slots=True)
class LightStage:
    """A sphere of lamps around the head; while enabled it takes the place of environment and lamps."""

    enabled: bool = False
    rig: str = ""
    """Path of a file of lamp directions (`engine.io.rig`); empty for the built-in 156 lamps."""
    mode: StageMode = StageMode.ONE
    lamp: int = 0
    """Number of the lamp in mode ONE; beyond the rig it starts again at 0."""
    mixture_linear: tuple[Vector3, ...] = ()
    """RGB of each lamp in mode MIXTURE; 1 is a lamp as bright as in mode ONE, and lamps beyond the list are off."""
    rotation_rad: Angle = 0.0
    """Turns the rig around +Y, as `Environment.rotation_rad` does an environment."""
    exposure_ev: Stops = 0.0
    """Stops applied to the lamps."""

    def __post_init__(self) -> None:
        check_text("LightStage.rig", self.rig)
        if self.rig and not self.rig.lower().endswith(RIG_SUFFIXES):
            raise ValueError(f"LightStage.rig: expected one of {', '.join(RIG_SUFFIXES)}, found {short(self.rig)}")
        check_count("LightStage.lamp", self.lamp, 0, 2**31)
        check_limits(self)
        check_range("LightStage.mixture_linear: lamps", len(self.mixture_linear), 0, MOST_STAGE_LAMPS)
        mixture = np.asarray(self.mixture_linear, np.float64).reshape(-1, 3)
        if not ((mixture >= _LIGHT[0]) & (mixture <= _LIGHT[1])).all():
            raise ValueError(f"LightStage.mixture_linear: expected {_LIGHT[0]:g} to {_LIGHT[1]:g}, found others")


@dataclass(frozen=True, slots=True)
class View:
    """From where and as what a person looks at a project: none of it is of the project, or is undone."""

    camera: Camera = field(default_factory=Camera)
    channel: ViewChannel = ViewChannel.SHADED
    scale_end: Annotated[float, (0.0, 1e9)] = 0.0
    """Value at the end of the channel's colour scale, in its unit; 0 for one that fits the head."""
    uv_view: bool = False
    """The skin laid out flat, as the maps are."""
    wireframe: bool = False

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True)
class Scene:
    """All of it: the view, and what lights the head."""

    view: View = field(default_factory=View)
    environment: Environment = field(default_factory=Environment)
    key_light: Lamp = field(default_factory=lambda: Lamp(shadow_softness_m=0.012))
    fill_lights: tuple[Lamp, ...] = ()
    """Further lamps: fill, rim. At most `MOST_FILL_LIGHTS` are drawn."""
    stage: LightStage = field(default_factory=LightStage)
    exposure_ev: Stops = 0.0
    """Stops applied to the whole picture."""
    tone_curve: ToneCurve = ToneCurve.ACES
    background_srgb: Annotated[Vector3, (0.0, 1.0)] = (0.43, 0.43, 0.445)
    """Backdrop where neither environment nor head is seen, in its middle; display-encoded."""
    scattering: bool = True
    """Light travels inside the skin; without, it leaves where it enters."""
    dual_specular: bool = False
    """Skin reflects in two lobes, a sharp and a wide one; without, in the one that a captured roughness is a fit of."""

    def __post_init__(self) -> None:
        check_range("Scene.fill_lights: lamps", len(self.fill_lights), 0, _MOST_KEPT_FILL_LIGHTS)
        check_limits(self)

    @property
    def lamps(self) -> tuple[Lamp, ...]:
        """The key light first."""
        return self.key_light, *self.fill_lights

    def with_lamps(self, lamps: Sequence[Lamp]) -> Scene:
        """Lit by `lamps` (one at least), the first of them the key light; the rest of the scene as it is."""
        return replace(self, key_light=lamps[0], fill_lights=tuple(lamps[1:]))


_VIEW = frozenset(part.name for part in fields(View))


def scene_with(scene: Scene, **changes: Any) -> Scene:
    """`scene` with fields of it, or of its view, replaced."""
    seen = {name: changes.pop(name) for name in _VIEW & changes.keys()}
    return replace(scene, **changes, **({"view": replace(scene.view, **seen)} if seen else {}))


def with_channel(scene: Scene, channel: ViewChannel) -> Scene:
    """`scene` showing `channel`, on a colour scale that fits: a fixed one was meant for another unit."""
    return scene_with(scene, channel=channel, scale_end=0.0) if channel is not scene.view.channel else scene


def staged(scene: Scene) -> Scene:
    """`scene` as it is lit: with its light stage on, environment and lamps are off, turned and exposed as the rig is.

    What the rig's lamps give is `engine.render.stage.stage_light`.
    """
    stage, own = scene.stage, scene.environment
    if not stage.enabled:
        return scene
    exposure_ev = stage.exposure_ev + (own.exposure_ev if stage.mode is StageMode.ENVIRONMENT else 0.0)
    environment = Environment(rotation_rad=stage.rotation_rad, exposure_ev=exposure_ev)
    return replace(scene, environment=environment, key_light=Lamp(enabled=False), fill_lights=())
