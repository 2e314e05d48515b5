"""How much of the sky each vertex of the neutral head sees, and where: nostrils, ears and the throat are dark.

One shadow map per direction, on the GPU; done once per identity, and kept on disk for the next start.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import moderngl
import numpy as np

from engine.identity import Identity
from engine.io import cache
from engine.render.context import drawing_into, drawn_by, give_back
from engine.render.environment import equirect_directions
from engine.render.frame import FRAME, pack_frame
from engine.render.passes import UNIT_SHADOW, HeadPass, linked
from engine.render.shaders import set_uniforms
from engine.render.shadows import ShadowMap
from engine.render.sources import MOST_LIGHTS, LightSource
from engine.scene import Scene

_MAP_SIZE = 256
_DIRECTIONS = 40
_WORTH_KEEPING = 5_000
"""Points that take longer to look at than to read."""


_SHARPNESS = 24.0
"""How quickly a direction's part in the light around it fades: exp(-x) at 1 - cos = x / _SHARPNESS."""


@dataclass(frozen=True, eq=False, slots=True)
class Hidden:
    """What is kept on disk."""

    shares: np.ndarray
    """(N, D) float32 0..1, how much of each direction each point does not see."""


class Visibility:
    """What N vertices see: (N, D) shares 0..1 of D even directions that are `hidden`, for (N, 3) unit `normals`."""

    def __init__(self, hidden: np.ndarray, normals: np.ndarray) -> None:
        self._directions = sphere_directions(hidden.shape[1]).astype(np.float32)
        self._open = np.maximum(normals.astype(np.float32) @ self._directions.T, 0.0)
        self._seen = self._open * (1 - hidden)
        self.ambient: np.ndarray = self._seen.sum(axis=1) / np.maximum(self._open.sum(axis=1), 1e-6)
        """(N,) float32 0..1: share of the cosine-weighted sky above the surface."""
        half = np.concatenate([0.75 * normals, np.full((len(normals), 1), 0.5)], axis=1, dtype=np.float32)
        moments = np.concatenate([3 * self._directions, np.ones_like(self._directions[:, :1])], axis=1)
        self.sky: np.ndarray = half - hidden @ moments / hidden.shape[1]
        """(N, 4) float32: visibility in direction d is about w + xyz . d (spherical harmonics up to degree 1). An open
        vertex sees its hemisphere: w = 1/2, xyz = 3/4 n."""

    def reach(self, radiance: np.ndarray, rotation_rad: float) -> np.ndarray:
        """(N, 3) float32 share of the irradiance of an environment, (H, W, 3) turned by `rotation_rad`, that gets to
        each vertex, per channel.

        Ng, Ramamoorthi and Hanrahan 2003, "All-Frequency Shadows Using Non-linear Wavelet Lighting Approximation",
        eq. 4, with directions for wavelets; both sums have the same error, so their ratio has little.
        """
        directions, areas = equirect_directions(*radiance.shape[:2])
        c, s = math.cos(rotation_rad), math.sin(rotation_rad)
        world = directions.reshape(-1, 3) @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]], np.float32)
        shares = np.exp(_SHARPNESS * (world @ self._directions.T - 1))
        shares *= areas.reshape(-1, 1) / shares.sum(axis=1, keepdims=True)
        light = shares.T @ radiance.reshape(-1, 3)
        return (self._seen @ light) / np.maximum(self._open @ light, 1e-12)


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
    """Visibility at `points`, (N, 3) positions in metres and (N, 3) normals, past what `head` draws inside `ball`: all
    of them follow from `identity`."""
    if len(points[0]) < _WORTH_KEEPING:
        return Visibility(_bake(context, head, identity, points, ball), points[1])
    kept_at = cache.cache_path("visibility", [identity.hash, str(len(points[0])), *drawn_by(context)])
    hidden = cache.load(kept_at, Hidden)
    if hidden is None or hidden.shares.shape != (len(points[0]), _DIRECTIONS):
        hidden = Hidden(_bake(context, head, identity, points, ball))
        cache.store(kept_at, hidden)
    return Visibility(hidden.shares, points[1])


def _bake(
    context: moderngl.Context,
    head: HeadPass,
    identity: Identity,
    points: tuple[np.ndarray, np.ndarray],
    ball: tuple[np.ndarray, float],
) -> np.ndarray:
    """(N, D) float32 shares that are hidden."""
    count = len(points[0])
    side = math.isqrt(count - 1) + 1
    inputs = [_texture_of(context, rows, side) for rows in points]
    output = context.texture((side, side), 1, dtype="f4")
    target = context.framebuffer([output])
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
    hidden = np.empty((count, _DIRECTIONS), np.float32)
    for number, (x, y, z) in enumerate(sphere_directions(_DIRECTIONS)):
        light = LightSource((x, y, z), (1.0, 1.0, 1.0))
        frame.write(pack_frame(Scene(), identity, (1, 1), ball, [(light, _MAP_SIZE)], False).tobytes())
        context.enable(moderngl.DEPTH_TEST)
        shadow.draw(head, 0)
        context.disable(moderngl.DEPTH_TEST)
        with drawing_into(target):
            array.render(moderngl.TRIANGLES, 3)
        hidden[:, number] = np.frombuffer(output.read(), np.float32)[:count]
    give_back(array, shader, target, output, *inputs, frame, shadow)
    return hidden


def _texture_of(context: moderngl.Context, rows: np.ndarray, side: int) -> moderngl.Texture:
    """(N, 3) values as the first N texels of a square RGB32F texture."""
    texels = np.zeros((side * side, 3), np.float32)
    texels[: len(rows)] = rows
    texture = context.texture((side, side), 3, texels.tobytes(), dtype="f4")
    texture.filter = moderngl.NEAREST, moderngl.NEAREST
    return texture
