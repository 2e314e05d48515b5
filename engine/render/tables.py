"""Look-up tables that depend on nothing but physics: reflectance (DFG), lobes (LTC) and skin scattering."""

from __future__ import annotations

from pathlib import Path

import moderngl
import numpy as np
from scipy.special import erf

from engine.render.context import drawing_into, give_back
from engine.render.shaders import program, set_uniforms

DFG_SIZE = 48
_DFG_SAMPLES = 48

SKIN_GAUSSIANS = np.array(
    [
        (0.0064, 0.233, 0.455, 0.649),
        (0.0484, 0.100, 0.336, 0.344),
        (0.187, 0.118, 0.198, 0.0),
        (0.567, 0.113, 0.007, 0.007),
        (1.99, 0.358, 0.004, 0.0),
        (7.41, 0.078, 0.0, 0.0),
    ]
)
"""(6, 4) variance in mm^2 and weight of red, green, blue: d'Eon and Luebke 2007, "Advanced Techniques for Realistic
Real-Time Skin Rendering", GPU Gems 3 ch. 14."""
SCATTER_REACH_M = 0.006
"""Furthest tap of `scatter_kernel`: 1.2 % of red goes further and is counted there."""
SCATTER_MAX_CURVATURE_PER_MM = 0.25
"""The table's last row; shaders/lighting/skin.glsl has the same number per metre."""


def dfg_texture(context: moderngl.Context) -> moderngl.Texture:
    """(48, 48) RGBA32F: x = NoV, y = perceptual roughness; red, green as in shaders/dfg.frag; blue, alpha their means.

    A row's mean is 2 int E(NoV) NoV dNoV, what is reflected of even light. Rows and columns stand at 0, 1/47 .. 1; look
    up with half-texel correction.
    """
    texture = context.texture((DFG_SIZE, DFG_SIZE), 4, dtype="f4")
    texture.filter = moderngl.LINEAR, moderngl.LINEAR
    texture.repeat_x = texture.repeat_y = False
    draw = program(context, "fullscreen.vert", "dfg.frag")
    set_uniforms(draw, u_size=(DFG_SIZE, DFG_SIZE), u_samples=_DFG_SAMPLES)
    array, target = context.vertex_array(draw, []), context.framebuffer([texture])
    with drawing_into(target):
        array.render(moderngl.TRIANGLES, 3)
    give_back(array, target, draw)
    table = np.frombuffer(texture.read(), np.float32).reshape(DFG_SIZE, DFG_SIZE, 4).copy()
    table[..., 2:] = (table[..., :2] * _cosine_weights(DFG_SIZE)[:, None]).sum(axis=1, keepdims=True)
    texture.write(table.tobytes())
    return texture


def _cosine_weights(count: int) -> np.ndarray:
    """(count,) weights that sum values at 0, 1 / (count - 1) .. 1 to 2 int f(x) x dx, f linear in between; they sum to
    1."""
    step, at = 1 / (count - 1), np.linspace(0, 1, count)
    rising = step * (at / 2 - step / 6)  # of the half of the hat that rises to a point
    falling = step * (at / 2 + step / 6)
    rising[0] = falling[-1] = 0.0
    return 2 * (rising + falling)


def scatter_table(cosines: int = 97, curvatures: int = 16) -> np.ndarray:
    """(curvatures, cosines, 3) float32: light that leaves a ring of skin, per channel, at NoL = -1 .. 1.

    Row 0 is flat: max(NoL, 0). Row k is a ring of curvature 0.25 / mm * k / (curvatures - 1):
    D(t) = int max(cos(t + x), 0) R(2 r sin(x / 2)) dx / int R(2 r sin(x / 2)) dx
    (Penner and Borshukov 2011, GPU Pro 2, eq. 1), so the ring sends out what falls on it.
    """
    cosine = np.linspace(-1, 1, cosines)
    angle = np.arccos(cosine)
    table = np.empty((curvatures, cosines, 3))
    table[0] = np.maximum(cosine, 0.0)[:, None]
    steps = np.linspace(0, 1, 200) ** 3  # dense where the narrow Gaussians live
    for row in range(1, curvatures):
        radius = (curvatures - 1) / (SCATTER_MAX_CURVATURE_PER_MM * row)
        x = steps * min(np.pi, 16.0 / radius)
        profile = _profile(2 * radius * np.sin(x / 2))
        width = np.gradient(x)[:, None]
        around = np.maximum(np.cos(angle[:, None] + x), 0) + np.maximum(np.cos(angle[:, None] - x), 0)
        table[row] = around @ (profile * width) / (2 * (profile * width).sum(axis=0))
    return table.astype(np.float32)


def _profile(distance_mm: np.ndarray) -> np.ndarray:
    """(N,) distances -> (N, 3) radiant exitance around a thin beam on skin."""
    variance = SKIN_GAUSSIANS[:, 0]
    gaussians = np.exp(-(distance_mm[:, None] ** 2) / (2 * variance)) / (2 * np.pi * variance)
    return gaussians @ SKIN_GAUSSIANS[:, 1:]


def scatter_kernel(taps: int) -> np.ndarray:
    """(taps, 4) float32: share of red, green, blue and offset in metres of a blur along one axis, the middle first.

    The light of a beam on skin, summed across the axis, is a sum of Gaussians again: one pass along x gives exactly
    what skin does to light that varies along x only (Jimenez et al. 2015, "Separable Subsurface Scattering", the
    pre-integrated kernel). Each tap stands for what lies nearer to it than to its neighbours; offsets grow with the
    square, shares add up to 1 per channel. `taps` is odd.
    """
    half = np.arange(-(taps // 2), taps // 2 + 1) / (taps // 2)
    offset_mm = 1000 * SCATTER_REACH_M * np.sign(half) * half**2
    between = np.concatenate([[-np.inf], (offset_mm[1:] + offset_mm[:-1]) / 2, [np.inf]])
    below = 0.5 * (1 + erf(between[:, None] / np.sqrt(2 * SKIN_GAUSSIANS[:, 0]))) @ SKIN_GAUSSIANS[:, 1:]
    share = np.diff(below, axis=0) / SKIN_GAUSSIANS[:, 1:].sum(axis=0)
    rows = np.concatenate([share, offset_mm[:, None] / 1000], axis=1)
    return rows[np.argsort(np.abs(half), kind="stable")].astype(np.float32)


def scatter_texture(context: moderngl.Context) -> moderngl.Texture:
    """`scatter_table` as RGB16F, edges clamped."""
    table = scatter_table()
    texture = context.texture(table.shape[1::-1], 3, table.astype(np.float16).tobytes(), alignment=2, dtype="f2")
    texture.filter = moderngl.LINEAR, moderngl.LINEAR
    texture.repeat_x = texture.repeat_y = False
    return texture


def ltc_texture(context: moderngl.Context) -> moderngl.Texture:
    """The table of scripts/ltc_fit.py as RGBA16F, edges clamped; rows and columns stand as those of
    `dfg_texture`."""
    table = np.load(Path(__file__).parent / "ltc.npy", allow_pickle=False)
    texture = context.texture(table.shape[1::-1], 4, table.tobytes(), dtype="f2")
    texture.filter = moderngl.LINEAR, moderngl.LINEAR
    texture.repeat_x = texture.repeat_y = False
    return texture
