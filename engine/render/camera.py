"""Matrices of the orbit camera and of lights. Column vectors; `clip_from_world @ p`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pyrr import matrix44

from engine.scene import Camera

Part4 = tuple[int, int, int, int]
"""Left, bottom, width and height in pixels of a picture whose lower-left corner is (0, 0)."""
_CUBE_FROM_CLIP = np.array([[0.5, 0, 0, 0.5], [0, 0.5, 0, 0.5], [0, 0, 0.5, 0.5], [0, 0, 0, 1.0]])


def eye_position(camera: Camera) -> np.ndarray:
    """(3,) float64 metres, where the eye is: yaw 0 looks at the face from +Z, positive yaw goes to +X, pitch up."""
    return np.asarray(camera.target_m) + camera.distance_m * direction(camera.yaw_rad, camera.pitch_rad)


def direction(yaw_rad: float, pitch_rad: float) -> np.ndarray:
    """(3,) float64 unit vector, `yaw_rad` around +Y from +Z towards +X, `pitch_rad` above the horizon."""
    flat = math.cos(pitch_rad)
    return np.array([math.sin(yaw_rad) * flat, math.sin(pitch_rad), math.cos(yaw_rad) * flat])


def look_along(position: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(4, 4) float64 view_from_world of an eye at `position` whose view axis is -`backward`; +Y stays up."""
    up = (0.0, 1.0, 0.0) if abs(backward[1]) < 0.9999 else (0.0, 0.0, -np.sign(backward[1]))
    return matrix44.create_look_at(position, position - backward, up, dtype=np.float64).T  # pyrr's vectors are rows


def clip_from_world(camera: Camera, size: tuple[int, int], centre: np.ndarray, radius: float) -> np.ndarray:
    """(4, 4) float64 OpenGL clip space for a target of `size` (width, height) pixels.

    Near and far planes hold the ball `centre` (3,), `radius`, metres: a depth buffer has few bits.
    """
    eye = eye_position(camera)
    backward = direction(camera.yaw_rad, camera.pitch_rad)
    depth = float((eye - centre) @ backward)
    far = max(depth + radius, 0.02)
    near = max(depth - radius, far * 1e-3)
    return _perspective(camera.vertical_fov_rad, size[0] / size[1], near, far) @ look_along(eye, backward)


def _perspective(vertical_fov_rad: float, aspect: float, near: float, far: float) -> np.ndarray:
    fov_deg = math.degrees(vertical_fov_rad)
    return matrix44.create_perspective_projection(fov_deg, aspect, near, far, dtype=np.float64).T


def clip_from_uv(camera: Camera, size: tuple[int, int]) -> np.ndarray:
    """(4, 4) float64: (u, v, 0, 1), v down, to OpenGL clip space of the UV view, for a target of `size` pixels."""
    matrix = np.eye(4)
    texels = 2.0 * min(size) / camera.uv_span
    for axis, sign in ((0, 1.0), (1, -1.0)):
        matrix[axis, axis] = sign * texels / size[axis]
        matrix[axis, 3] = -matrix[axis, axis] * camera.uv_center[axis]
    return matrix


def part_of_picture(size: tuple[int, int], part: Part4) -> np.ndarray:
    """(4, 4) float64: clip space of a picture of `size` -> that of its rectangle `part`."""
    matrix = np.eye(4)
    for axis in (0, 1):
        scale = size[axis] / part[2 + axis]
        matrix[axis, axis] = scale
        matrix[axis, 3] = scale - 1 - 2 * part[axis] / part[2 + axis]
    return matrix


def grown(part: Part4, margin: int, size: tuple[int, int]) -> Part4:
    """`part` of a picture of `size` with `margin` pixels more on each side, as far as the picture has them."""
    left, bottom = max(part[0] - margin, 0), max(part[1] - margin, 0)
    right, top = (min(part[axis] + part[axis + 2] + margin, size[axis]) for axis in (0, 1))
    return left, bottom, right - left, top - bottom


def common_part(one: Part4, other: Part4) -> Part4:
    """What two rectangles share; empty where that is nothing."""
    low = max(one[0], other[0]), max(one[1], other[1])
    width, height = (
        max(min(one[axis] + one[axis + 2], other[axis] + other[axis + 2]) - low[axis], 0) for axis in (0, 1)
    )
    return *low, width, height


def screen_box(clip: np.ndarray, box_m: np.ndarray, size: tuple[int, int]) -> Part4:
    """The pixels of a target of `size` that hold the box between the rows of `box_m` (2, 3), seen by `clip` (4, 4)."""
    corners = np.array([(*corner, 1.0) for corner in np.stack(np.meshgrid(*box_m.T), -1).reshape(-1, 3)]) @ clip.T
    if corners[:, 3].min() <= 0.0:  # the eye is inside
        return 0, 0, *size
    at = (corners[:, :2] / corners[:, 3:] * 0.5 + 0.5) * size
    low = np.clip(np.floor(at.min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(at.max(axis=0)) + 1, 0, size).astype(int)
    return int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])


def shadow_from_world(towards: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """(4, 4) float64, world to the unit cube of the shadow map of the light that lies `towards` (3,), unit; it just
    holds the ball given in metres."""
    sides = -radius, radius, -radius, radius, 0.0, 2 * radius
    clip_from_view = matrix44.create_orthogonal_projection(*sides, dtype=np.float64).T
    return _CUBE_FROM_CLIP @ clip_from_view @ look_along(centre + towards * radius, towards)


@dataclass(frozen=True, slots=True)
class ShadowFrustum:
    """What a lamp at a place sees of a ball: the smallest square frustum around it, metres."""

    near_m: float
    far_m: float
    tangent: float
    """Of half its angle."""
    matrix: np.ndarray
    """(4, 4) float64, world to the unit cube of the shadow map; homogeneous."""


def shadow_frustum(position: np.ndarray, centre: np.ndarray, radius: float) -> ShadowFrustum:
    """The frustum of a lamp at `position` (3,) around a ball. A lamp that stands inside the ball sees a part of it."""
    backward = position - centre
    distance = max(float(np.linalg.norm(backward)), 1e-6)
    near, far = max(distance - radius, 0.1 * radius), distance + radius
    tangent = radius / math.sqrt(max(distance**2 - radius**2, 0.01 * radius**2))
    clip_from_view = _perspective(2 * math.atan(tangent), 1.0, near, far)
    matrix = _CUBE_FROM_CLIP @ clip_from_view @ look_along(position, backward / distance)
    return ShadowFrustum(near, far, tangent, matrix)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What holds a mesh, metres."""

    centre: np.ndarray
    """(3,) float64 middle of the box; also of the ball, which is not the smallest."""
    radius: float
    box: np.ndarray
    """(2, 3) float64 lowest and highest corner."""


def bounds(positions_m: np.ndarray, vertices: np.ndarray | None = None) -> Bounds:
    """Of (V, 3) positions in metres, or of those numbered `vertices`."""
    axes = np.array(positions_m.T, np.float32, order="C")  # an axis at a time is several times faster
    if vertices is not None:
        axes = axes.take(vertices, axis=1)
    box = np.stack([axes.min(axis=1), axes.max(axis=1)]).astype(np.float64)
    centre = box.mean(axis=0)
    axes -= centre[:, None].astype(np.float32)
    farthest_m = math.sqrt(float(np.einsum("ij,ij->j", axes, axes).max()))
    return Bounds(centre, max(farthest_m * 1.01, 1e-4), box)
