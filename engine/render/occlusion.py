"""How much of the sky each vertex of the neutral head sees, and where: nostrils, ears and the throat are dark.

One shadow map per direction, on the GPU; done once per identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import moderngl
import numpy as np

from engine.identity import Identity
from engine.render.context import drawing_into
from engine.render.frame import FRAME, pack_frame
from engine.render.passes import UNIT_SHADOW, HeadPass, ShadowMap, linked
from engine.render.shaders import set_uniforms
from engine.render.sources import MOST_LIGHTS, LightSource
from engine.scene import Scene

_MAP_SIZE = 256
_DIRECTIONS = 40


@dataclass(frozen=True, slots=True)
class Visibility:
    """What N vertices see."""

    ambient: np.ndarray
    """(N,) float32 0..1: share of the cosine-weighted sky above the surface."""
    sky: np.ndarray
    """(N, 4) float32: visibility in direction d is about w + xyz . d (spherical harmonics up to degree 1). An open
    vertex sees its hemisphere: w = 1/2, xyz = 3/4 n."""


def sphere_directions(count: int) -> np.ndarray:
    """(count, 3) evenly spread unit vectors. Swinbank and Purser 2006, "Fibonacci grids"."""
    y = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * np.pi * (3 - math.sqrt(5))
    flat = np.sqrt(1 - y * y)
    return np.stack([flat * np.cos(turn), y, flat * np.sin(turn)], axis=-1)


def bake_visibility(
    context: moderngl.Context,
    head: HeadPass,
    identity: Identity,
    points: tuple[np.ndarray, np.ndarray],
    ball: tuple[np.ndarray, float],
) -> Visibility:
    """Visibility at `points`, (N, 3) positions in metres and (N, 3) normals, past what `head` draws inside `ball`."""
    count = len(points[0])
    side = math.isqrt(count - 1) + 1
    inputs = [_texture_of(context, rows, side) for rows in points]
    outputs = [context.texture((side, side), parts, dtype="f4") for parts in (4, 2)]
    target = context.framebuffer(outputs)
    shader = linked(context, "fullscreen.vert", "visibility.frag")
    array = context.vertex_array(shader, [])
    frame = context.buffer(reserve=FRAME.itemsize, dynamic=True)
    shadow = ShadowMap(context, _MAP_SIZE)
    set_uniforms(shader, t_position=0, t_normal=1)
    frame.bind_to_uniform_block(0)
    for unit, texture in ((0, inputs[0]), (1, inputs[1])):
        texture.use(unit)
    for index in range(MOST_LIGHTS):
        shadow.texture.use(UNIT_SHADOW + index)
    target.clear()
    for x, y, z in sphere_directions(_DIRECTIONS):
        light = LightSource((x, y, z), (1.0, 1.0, 1.0))
        frame.write(pack_frame(Scene(), identity, (1, 1), ball, [(light, _MAP_SIZE)], False).tobytes())
        context.enable(moderngl.DEPTH_TEST)
        shadow.draw(head, 0)
        context.disable(moderngl.DEPTH_TEST)
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE
        with drawing_into(target):
            array.render(moderngl.TRIANGLES, 3)
        context.disable(moderngl.BLEND)
    sky, cosine = (np.frombuffer(each.read(), np.float32).reshape(side * side, -1)[:count].copy() for each in outputs)
    for made in (array, shader, target, *outputs, *inputs, frame, shadow):
        made.release()
    hidden = sky / _DIRECTIONS * np.array([3, 3, 3, 1], np.float32)
    half = np.concatenate([0.75 * points[1], np.full((count, 1), 0.5)], axis=1, dtype=np.float32)
    return Visibility(cosine[:, 0] / np.maximum(cosine[:, 1], 1e-6), half - hidden)


def _texture_of(context: moderngl.Context, rows: np.ndarray, side: int) -> moderngl.Texture:
    """(N, 3) values as the first N texels of a square RGB32F texture."""
    texels = np.zeros((side * side, 3), np.float32)
    texels[: len(rows)] = rows
    texture = context.texture((side, side), 3, texels.tobytes(), dtype="f4")
    texture.filter = moderngl.NEAREST, moderngl.NEAREST
    return texture
