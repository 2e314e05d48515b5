"""How much of the sky each vertex of the neutral head sees, and where: nostrils, ears and the throat are dark.

A ring of shadow maps, one per direction, on the GPU; done once per identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import moderngl
import numpy as np

from engine.identity import Identity
from engine.render.context import drawing_into
from engine.render.frame import FRAME, pack_frame
from engine.render.passes import UNIT_SHADOW, HeadPass, ShadowMap, linked
from engine.render.shaders import set_uniforms
from engine.render.upload import MeshBuffers
from engine.scene import KeyLight, Scene

_MAP_SIZE = 256


@dataclass(frozen=True, slots=True)
class Visibility:
    """What N vertices see."""

    ambient: np.ndarray
    """(N,) float32 0..1: share of the cosine-weighted sky above the surface."""
    sky: np.ndarray
    """(N, 4) float32: visibility in direction d is about w + xyz . d (spherical harmonics up to degree 1)."""


def unoccluded(normals: np.ndarray) -> Visibility:
    """What (N, 3) unit normals see with nothing in the way: their hemisphere, w = 1/2 and xyz = 3/4 n."""
    sky = np.full((len(normals), 4), 0.5, np.float32)
    sky[:, :3] = 0.75 * normals
    return Visibility(np.ones(len(normals), np.float32), sky)


def sphere_directions(count: int) -> np.ndarray:
    """(count, 3) evenly spread unit vectors. Swinbank and Purser 2006, "Fibonacci grids"."""
    z = 1 - (2 * np.arange(count) + 1) / count
    turn = np.arange(count) * np.pi * (3 - math.sqrt(5))
    flat = np.sqrt(1 - z * z)
    return np.stack([flat * np.cos(turn), z, flat * np.sin(turn)], axis=-1)


def bake_visibility(
    context: moderngl.Context,
    head: HeadPass,
    mesh: MeshBuffers,
    identity: Identity,
    ball: tuple[np.ndarray, float],
    directions: int = 64,
) -> Visibility:
    """Visibility of each GL vertex of `mesh`, which `head` draws at its present pose inside `ball`."""
    count = len(mesh.split.vertex)
    side = math.isqrt(count - 1) + 1
    textures = [context.texture((side, side), parts, dtype="f4") for parts in (4, 2)]
    target = context.framebuffer(textures)
    points = linked(context, "visibility.vert", "visibility.frag")
    array = context.vertex_array(points, [(mesh.moving, "3f 3f 4x", "a_position", "a_normal")])
    frame = context.buffer(reserve=FRAME.itemsize, dynamic=True)
    shadow = ShadowMap(context, _MAP_SIZE)
    set_uniforms(points, u_size=(side, side))
    target.clear()
    frame.bind_to_uniform_block(0)
    shadow.texture.use(UNIT_SHADOW)
    for x, y, z in sphere_directions(directions):
        key = KeyLight(yaw_rad=math.atan2(x, z), pitch_rad=math.asin(y))
        scene = replace(Scene(), key_light=key)
        frame.write(pack_frame(scene, identity, (1, 1), ball, _MAP_SIZE, False).tobytes())
        context.enable(moderngl.DEPTH_TEST)
        shadow.draw(head)
        context.disable(moderngl.DEPTH_TEST)
        context.enable(moderngl.BLEND)
        context.blend_func = moderngl.ONE, moderngl.ONE
        with drawing_into(target):
            array.render(moderngl.POINTS, count)
        context.disable(moderngl.BLEND)
    sky, cosine = (
        np.frombuffer(texture.read(), np.float32).reshape(side * side, -1)[:count].copy() for texture in textures
    )
    for made in (array, points, target, *textures, frame, shadow):
        made.release()
    sky /= directions
    sky[:, :3] *= 3
    return Visibility(cosine[:, 0] / np.maximum(cosine[:, 1], 1e-6), sky)
