"""The uniform block that all passes share, packed as shaders/common/frame.glsl declares it (std140)."""

from __future__ import annotations

import math

import numpy as np

from engine.identity import Identity
from engine.render.camera import clip_from_world, direction, eye_position, part_of_picture, shadow_from_world
from engine.scene import Scene, ToneCurve, ViewChannel

OFFSET_RANGE_M = 0.010
"""Offset that the heat map shows in its last colour."""

_MATRICES = ("clip_from_world", "world_from_clip", "shadow_from_world")
_VECTORS = ("eye_m", "key_direction", "key_irradiance", "environment", "display", "shadow", "material")
FRAME = np.dtype([(name, np.float32, (4, 4)) for name in _MATRICES] + [(name, np.float32, 4) for name in _VECTORS])
"""One record; matrices are stored column by column."""

CHANNELS: tuple[ViewChannel, ...] = tuple(ViewChannel)
TONES: tuple[ToneCurve, ...] = tuple(ToneCurve)


def pack_frame(
    scene: Scene,
    identity: Identity,
    size: tuple[int, int],
    ball: tuple[np.ndarray, float],
    shadow_size: int,
    backdrop: bool,
    part: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """A 0-d record of `FRAME` for a picture of `size` (width, height) pixels, or the rectangle `part` of it; `ball`
    bounds the head in metres."""
    frame = np.zeros((), FRAME)
    centre, radius = ball
    clip = clip_from_world(scene.camera, size, centre, radius)
    if part is not None:
        clip = part_of_picture(size, part) @ clip
    frame["clip_from_world"] = clip.T
    frame["world_from_clip"] = np.linalg.inv(clip).T
    frame["shadow_from_world"] = shadow_from_world(scene.key_light, centre, radius).T
    frame["eye_m"][:3] = eye_position(scene.camera)
    key, light = scene.key_light, scene.environment
    frame["key_direction"][:3] = direction(key.yaw_rad, key.pitch_rad)
    frame["key_irradiance"][:3] = np.asarray(key.color_linear) * (key.irradiance if key.enabled else 0.0)
    turn = light.rotation_rad
    frame["environment"] = math.cos(turn), math.sin(turn), 2.0**light.exposure_ev, float(backdrop)
    tone, channel = TONES.index(scene.tone_curve), CHANNELS.index(scene.channel)
    frame["display"] = 2.0**scene.exposure_ev, tone, channel, OFFSET_RANGE_M
    # Moving the look-up by 1.5 texels along the normal keeps a surface from shadowing itself: Holbert 2011,
    # "Normal Offset Shadows".
    texel_m = 2 * radius / shadow_size
    frame["shadow"] = shadow_size, 1.5 * texel_m, 0.5 * texel_m / (2 * radius), 0.0
    frame["material"][0] = identity.specular_f0_scale
    return frame
