"""Colour scales of the channels that show numbers: the values at both ends, for the shader and for the colour bar."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from engine.channels import DIFFUSE, NORMAL, ROUGHNESS, SPECULAR, FaceMap
from engine.color import DIVERGING_SRGB, SEQUENTIAL_SRGB
from engine.face.lips import posed_m
from engine.project import Project
from engine.render.camera import direction, eye_position
from engine.render.upload import DRAWN
from engine.scene import ViewChannel
from engine.sides import both


@dataclass(frozen=True, slots=True)
class ColorScale:
    """What the colours of a channel mean."""

    label: str
    low: float
    """Value at the first colour, in `unit`."""
    high: float
    """Value at the last colour."""
    unit: str
    """Empty for plain numbers."""
    diverging: bool
    """Grey at zero with two ends, `DIVERGING_SRGB`; else `SEQUENTIAL_SRGB`."""

    @property
    def stops_srgb(self) -> np.ndarray:
        """(N, 3) float32 even stops from `low` to `high`."""
        return DIVERGING_SRGB if self.diverging else SEQUENTIAL_SRGB

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        kind = "blue to red" if self.diverging else "dark to yellow"
        return f"{self.label}: {self.low:.4g} to {self.high:.4g}{unit}, {kind}"


_KINDS: dict[ViewChannel, tuple[str, bool, float, FaceMap | None]] = {
    ViewChannel.OFFSET: ("mm", False, 10.0, None),
    ViewChannel.OFFSET_NORMAL: ("mm", True, 10.0, None),
    ViewChannel.DIFFUSE_CHANGE: ("stops", True, 0.5, DIFFUSE),
    ViewChannel.SPECULAR_CHANGE: ("stops", True, 0.5, SPECULAR),
    ViewChannel.ROUGHNESS_CHANGE: ("", True, 0.1, ROUGHNESS),
    ViewChannel.NORMAL_CHANGE: ("degrees", False, 20.0, NORMAL),
    ViewChannel.CURVATURE: ("1/m", False, 100.0, None),
    ViewChannel.F0: ("", False, 0.08, None),
    ViewChannel.DEPTH: ("mm", False, 0.0, None),
}
"""Unit, whether values have a sign, the end of the scale where the head does not say, the map whose change it is."""
_USUAL = 99.5
"""Percent of texels that an automatic scale holds; the rest may be a speck."""
_SAMPLES = 128
"""Texels a side that are looked at for it."""


def color_scale(project: Project) -> ColorScale | None:
    """The scale of the channel that `project` shows, None where colours are not numbers.

    It ends at `View.scale_end`, or where that is 0 at the round number that holds what the weighted expressions
    change: the largest offset, and for maps the sum of what each changes at 99.5 % of its texels, so that it is never
    too short.
    """
    channel = project.scene.view.channel
    if channel not in _KINDS:
        return None
    unit, signed, usual, _ = _KINDS[channel]
    low, end = 0.0, project.scene.view.scale_end
    if channel is ViewChannel.DEPTH:
        low, far = _depths_mm(project)
        end = end if end > low else far
    elif end <= 0.0:
        end = rounded_up(_reach(project, channel)) or usual
    label = channel.value.split(" (")[0]
    return ColorScale(label, -end if signed else low, end, unit, signed)


def rounded_up(value: float) -> float:
    """The least number with one of a few round figures that is `value` or more; 0 for 0."""
    if value <= 0.0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * (1 - 1e-6))


def _reach(project: Project, channel: ViewChannel) -> float:
    """The largest change, in the unit of `channel`; 0 for channels that show none."""
    active = [(project.expressions[name], weight) for name, weight in project.active().items()]
    if channel in (ViewChannel.OFFSET, ViewChannel.OFFSET_NORMAL):
        vertices, identity = project.identity.topology.vertices_of(*DRAWN), project.identity
        if not active or not len(vertices):
            return 0.0
        positions = posed_m(identity, project.expressions, project.active())
        moved = (positions - identity.positions_m)[vertices]
        if channel is ViewChannel.OFFSET:
            return 1000 * float(np.linalg.norm(moved, axis=1).max())
        normals = identity.topology.vertex_normals(identity.positions_m)[vertices]
        return 1000 * float(np.abs((moved * normals).sum(axis=1)).max())
    unit, *_, row = _KINDS[channel]
    if row is None:
        return 0.0
    factor = 1 / math.log(2) if unit == "stops" else 1.0
    parts = ((max(map(abs, both(weight))), row.of(expression.change.channels)) for expression, weight in active)
    reach = factor * sum(weight * _usual(image) for weight, image in parts)
    return math.degrees(math.atan(reach)) if channel is ViewChannel.NORMAL_CHANGE else reach


def _usual(image: np.ndarray) -> float:
    """The size that `_USUAL` percent of an (H, W[, C]) change stay within."""
    step = max(1, min(image.shape[:2]) // _SAMPLES)
    return float(np.percentile(np.abs(image[::step, ::step]).astype(np.float32), _USUAL))


def _depths_mm(project: Project) -> tuple[float, float]:
    """Of the nearest and the farthest vertex along the view axis."""
    positions = posed_m(project.identity, project.expressions, project.active())
    camera = project.scene.view.camera
    drawn = positions[project.identity.topology.vertices_of(*DRAWN)]
    depths = (eye_position(camera) - drawn) @ direction(camera.yaw_rad, camera.pitch_rad)
    return 1000 * float(depths.min(initial=np.inf)), 1000 * float(depths.max(initial=-np.inf))
