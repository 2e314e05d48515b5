"""The uniform block that all passes share, packed as shaders/common/frame.glsl declares it (std140)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.channels import LOG_FLOOR
from engine.identity import Identity
from engine.render.camera import (
    Part4,
    clip_from_uv,
    clip_from_world,
    eye_position,
    part_of_picture,
    shadow_from_world,
    shadow_frustum,
)
from engine.render.sources import MOST_LIGHTS, LightSource, rectangle_form_factor
from engine.scene import LampKind, Scene, ToneCurve, ViewChannel

FRINGE_M = 0.006
"""Shadow edges up to this width have the whole red fringe of scattered light; it does not grow with them."""
_EACH = (MOST_LIGHTS,)
FRAME = np.dtype(
    [
        ("clip_from_world", np.float32, (4, 4)),
        ("world_from_clip", np.float32, (4, 4)),
        ("shadow_from_world", np.float32, (*_EACH, 4, 4)),
        ("eye_m", np.float32, 4),
        ("light_direction", np.float32, (*_EACH, 4)),
        ("light_irradiance", np.float32, (*_EACH, 4)),
        ("light_position", np.float32, (*_EACH, 4)),
        ("light_right", np.float32, (*_EACH, 4)),
        ("light_up", np.float32, (*_EACH, 4)),
        ("shadow", np.float32, (*_EACH, 4)),
        ("penumbra", np.float32, (*_EACH, 4)),
        ("lights", np.float32, 4),
        ("environment", np.float32, 4),
        ("display", np.float32, 4),
        ("material", np.float32, 4),
        ("scale", np.float32, 4),
        ("ball", np.float32, 4),
    ]
)
"""One record; matrices are stored column by column."""

KIND_ORDER = {LampKind.DIRECTIONAL: 0, LampKind.POINT: 1, LampKind.SPOT: 1, LampKind.RECTANGLE: 2}
"""The shaders go through the lights in this order; a point is a spot of any width."""
CHANNELS: tuple[ViewChannel, ...] = tuple(ViewChannel)
TONES: tuple[ToneCurve, ...] = tuple(ToneCurve)


def pack_frame(
    scene: Scene,
    identity: Identity,
    size: tuple[int, int],
    ball: tuple[np.ndarray, float],
    lights: Sequence[tuple[LightSource, int]],
    backdrop: bool,
    part: Part4 | None = None,
    shift_px: tuple[float, float] = (0.0, 0.0),
    scale: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """A 0-d record of `FRAME` for a picture of `size` (width, height) pixels, or the rectangle `part` of it; `ball`
    bounds the head in metres. `lights`, in the order of `KIND_ORDER`, come with the side of their shadow map in
    texels. `shift_px` moves the picture right and up against its pixels. `scale` holds the values at both ends of the
    channel's colour scale."""
    frame = np.zeros((), FRAME)
    centre, radius = ball
    flat = scene.view.uv_view
    clip = clip_from_uv(scene.view.camera, size) if flat else clip_from_world(scene.view.camera, size, centre, radius)
    if part is not None:
        clip = part_of_picture(size, part) @ clip
    drawn = size if part is None else part[2:]
    clip[:2] += np.outer([2 * shift_px[0] / drawn[0], 2 * shift_px[1] / drawn[1]], clip[3])
    frame["clip_from_world"] = clip.T
    frame["world_from_clip"] = np.linalg.inv(clip).T
    frame["eye_m"][:3] = eye_position(scene.view.camera)
    for index, (one, side) in enumerate(lights):
        _pack_light(frame, index, one)
        _pack_shadow(frame, index, one, side, ball)
    frame["lights"] = *light_ends([one for one, _ in lights])[:2], *drawn
    light = scene.environment
    turn = light.rotation_rad
    frame["environment"] = math.cos(turn), math.sin(turn), 2.0**light.exposure_ev, float(backdrop)
    tone, channel = TONES.index(scene.tone_curve), CHANNELS.index(scene.view.channel)
    frame["display"] = 2.0**scene.exposure_ev, tone, channel, 0.0
    frame["material"][:3] = identity.specular_f0_scale, len(lights), float(scene.scattering)
    frame["scale"][:3] = *scale, LOG_FLOOR
    frame["ball"] = *centre, radius
    return frame


def light_ends(lights: Sequence[LightSource]) -> tuple[int, int, int]:
    """Where among `lights` the directional ones end, points and spots, and rectangles."""
    kinds = [KIND_ORDER[one.kind] for one in lights]
    if kinds != sorted(kinds):
        raise ValueError(f"lights: expected them in the order of KIND_ORDER, found {[one.kind for one in lights]}")
    return kinds.count(0), kinds.count(0) + kinds.count(1), len(kinds)


def _pack_light(frame: np.ndarray, index: int, one: LightSource) -> None:
    """Where the light comes from and how strong it is there."""
    scale, scale_of_cone, offset_of_cone, at = 1.0, 0.0, 1.0, one.position_m
    if one.kind in (LampKind.POINT, LampKind.SPOT):
        scale = one.distance_m**2
    if one.kind == LampKind.SPOT:
        inner, outer = (math.cos(angle) for angle in one.cone_rad)
        scale_of_cone = 1 / (inner - outer)
        offset_of_cone = -outer * scale_of_cone
    if one.kind == LampKind.RECTANGLE:
        width, height = math.hypot(*one.right_m), math.hypot(*one.up_m)
        scale, at = 1 / rectangle_form_factor(width, height, one.distance_m), one.corner_m
    frame["light_direction"][index] = *one.towards, one.radius_rad
    fringe = min(1.0, FRINGE_M / max(one.softness_m, 1e-6))
    frame["light_irradiance"][index] = *np.multiply(one.irradiance_linear, scale), fringe
    frame["light_position"][index] = *at, scale_of_cone
    frame["light_right"][index] = *one.right_m, offset_of_cone
    frame["light_up"][index] = *one.up_m, float(one.flat)


def _pack_shadow(frame: np.ndarray, index: int, one: LightSource, side: int, ball: tuple[np.ndarray, float]) -> None:
    """How the shadow map of `side` texels looks at the ball that holds the head."""
    centre, radius = ball
    half_size = np.array(one.angular_size) / 2
    if one.kind == LampKind.DIRECTIONAL:
        matrix, near, far = shadow_from_world(np.array(one.towards), centre, radius), 0.0, 2 * radius
        texel_m, depth_per_m = 2 * radius / side, 1 / (2 * radius)
        spread = half_size / (2 * radius)
    else:
        frustum = shadow_frustum(np.array(one.position_m), centre, radius)
        matrix, near, far = frustum.matrix, frustum.near_m, frustum.far_m
        distance = far - radius
        texel_m, depth_per_m = 2 * frustum.tangent * distance / side, near * far / ((far - near) * distance**2)
        spread = half_size * one.distance_m / (2 * frustum.tangent)
    frame["shadow_from_world"][index] = matrix.T
    # Moving the look-up by 1.5 texels along the normal keeps a surface from shadowing itself: Holbert 2011,
    # "Normal Offset Shadows".
    frame["shadow"][index] = side, 1.5 * texel_m, 0.5 * texel_m * depth_per_m, float(one.kind != LampKind.DIRECTIONAL)
    frame["penumbra"][index] = near, far, *spread
