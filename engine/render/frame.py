"""The uniform block that all passes share, packed as shaders/common/frame.glsl declares it (std140)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from engine.expression import LOG_FLOOR
from engine.identity import Identity
from engine.render.camera import clip_from_uv, clip_from_world, eye_position, part_of_picture, shadow_from_world
from engine.render.directional import MOST_LIGHTS, DirectionalLight
from engine.scene import Scene, ToneCurve, ViewChannel

_EACH = (MOST_LIGHTS,)
FRAME = np.dtype(
    [
        ("clip_from_world", np.float32, (4, 4)),
        ("world_from_clip", np.float32, (4, 4)),
        ("shadow_from_world", np.float32, (*_EACH, 4, 4)),
        ("eye_m", np.float32, 4),
        ("light_direction", np.float32, (*_EACH, 4)),
        ("light_irradiance", np.float32, (*_EACH, 4)),
        ("shadow", np.float32, (*_EACH, 4)),
        ("environment", np.float32, 4),
        ("display", np.float32, 4),
        ("material", np.float32, 4),
        ("scale", np.float32, 4),
        ("ball", np.float32, 4),
    ]
)
"""One record; matrices are stored column by column."""

CHANNELS: tuple[ViewChannel, ...] = tuple(ViewChannel)
TONES: tuple[ToneCurve, ...] = tuple(ToneCurve)


def pack_frame(
    scene: Scene,
    identity: Identity,
    size: tuple[int, int],
    ball: tuple[np.ndarray, float],
    lights: Sequence[tuple[DirectionalLight, int]],
    backdrop: bool,
    part: tuple[int, int, int, int] | None = None,
    shift_px: tuple[float, float] = (0.0, 0.0),
    scale: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """A 0-d record of `FRAME` for a picture of `size` (width, height) pixels, or the rectangle `part` of it; `ball`
    bounds the head in metres. `lights` come with the side of their shadow map in texels. `shift_px` moves the picture
    right and up against its pixels. `scale` holds the values at both ends of the channel's colour scale."""
    frame = np.zeros((), FRAME)
    centre, radius = ball
    flat = scene.uv_view
    clip = clip_from_uv(scene.camera, size) if flat else clip_from_world(scene.camera, size, centre, radius)
    if part is not None:
        clip = part_of_picture(size, part) @ clip
    drawn = size if part is None else part[2:]
    clip[:2] += np.outer([2 * shift_px[0] / drawn[0], 2 * shift_px[1] / drawn[1]], clip[3])
    frame["clip_from_world"] = clip.T
    frame["world_from_clip"] = np.linalg.inv(clip).T
    frame["eye_m"][:3] = eye_position(scene.camera)
    for index, (one, side) in enumerate(lights):
        frame["shadow_from_world"][index] = shadow_from_world(np.array(one.towards), centre, radius).T
        frame["light_direction"][index] = *one.towards, one.radius_rad
        frame["light_irradiance"][index, :3] = one.irradiance_linear
        # Moving the look-up by 1.5 texels along the normal keeps a surface from shadowing itself: Holbert 2011,
        # "Normal Offset Shadows".
        texel_m = 2 * radius / side
        frame["shadow"][index] = side, 1.5 * texel_m, 0.5 * texel_m / (2 * radius), 0.0
    light = scene.environment
    turn = light.rotation_rad
    frame["environment"] = math.cos(turn), math.sin(turn), 2.0**light.exposure_ev, float(backdrop)
    tone, channel = TONES.index(scene.tone_curve), CHANNELS.index(scene.channel)
    frame["display"] = 2.0**scene.exposure_ev, tone, channel, 0.0
    frame["material"][:3] = identity.specular_f0_scale, len(lights), float(scene.scattering)
    frame["scale"][:3] = *scale, LOG_FLOOR
    frame["ball"] = *centre, radius
    return frame
