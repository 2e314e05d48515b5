"""What tests of GLSL functions say alike: vectors, inputs, a frame of lights around a head, skin in numpy."""

from __future__ import annotations

import numpy as np

from engine.render.frame import pack_frame
from engine.render.sources import LightSource
from engine.scene import Scene
from tests.heads import make_head

BALL = np.array([0.02, -0.01, 0.03]), 0.15
"""Around the head: centre and radius in metres."""
WHITE = 1.0, 1.0, 1.0


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rows(*columns: np.ndarray | float) -> np.ndarray:
    """(N, 4) inputs from columns, the rest 0."""
    found = np.broadcast_arrays(*[np.asarray(each, float) for each in columns], np.zeros(1))
    return np.concatenate([np.stack(found[:-1], -1), np.zeros((len(found[0]), 5 - len(found)))], -1)


def vec3(vector: np.ndarray | tuple[float, ...]) -> str:
    return f"vec3({', '.join(f'{float(each):.9f}' for each in vector)})"


def lit_by(*lights: LightSource, **changes: object) -> np.ndarray:
    """The frame of `lights`, with shadow maps of 64 texels."""
    frame = pack_frame(Scene(), make_head(8, rings=3, segments=4), (8, 8), BALL, [(each, 64) for each in lights], False)
    for name, value in changes.items():
        frame[name] = value
    return frame


def interpolated(table: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(H, W, C) `table`, whose outer texels stand at 0 and 1, bilinearly at `x` along its rows and `y` across them."""
    height, width = table.shape[:2]
    column, row = np.clip(x, 0, 1) * (width - 1), np.clip(y, 0, 1) * (height - 1)
    left, top = np.minimum(column.astype(int), width - 2), np.minimum(row.astype(int), height - 2)
    across, down = (column - left)[..., None], (row - top)[..., None]
    above = table[top, left] * (1 - across) + table[top, left + 1] * across
    return above * (1 - down) + (table[top + 1, left] * (1 - across) + table[top + 1, left + 1] * across) * down


def reflected(f0: np.ndarray | float, table: np.ndarray) -> np.ndarray:
    """Share of light that a surface with (..., 2) `table` sends back, the light that bounces more than once too."""
    once = table.sum(-1)
    return (f0 * table[..., 0] + table[..., 1]) * (1 + f0 * (1 / once - 1))


class Skin:
    """A surface in numpy: what leaves under light from one direction, by the BRDF of docs/shading.md."""

    def __init__(self, dfg: np.ndarray, f0: float = 0.04, roughness: float = 0.4) -> None:
        self.dfg, self.f0, self.roughness = dfg, f0, roughness

    def table(self, cosine: np.ndarray | float) -> np.ndarray:
        cosine = np.asarray(cosine, float)
        return interpolated(self.dfg, cosine, np.full_like(cosine, self.roughness))

    def enters(self, NoL: np.ndarray | float, NoV: np.ndarray | float) -> np.ndarray:
        light, eye = (reflected(self.f0, self.table(each)[..., :2]) for each in (NoL, NoV))
        return (1 - light) * (1 - eye) / (1 - reflected(self.f0, self.table(NoV)[..., 2:]))

    def light(self, n: np.ndarray, v: np.ndarray, l: np.ndarray, sun_rad: float = 0.0) -> np.ndarray:  # noqa: E741
        """(..., 2) scattered and specular radiance under irradiance 1 across the light."""
        NoL, NoV, h = np.maximum((n * l).sum(-1), 0), (n * v).sum(-1), unit(v + l)
        a2 = self.roughness**4 + sun_rad**2 / 4
        tangent = lambda c: np.sqrt(np.maximum(1 / np.maximum(c, 1e-6) ** 2 - 1, 0))  # noqa: E731
        smith = [(np.sqrt(1 + a2 * tangent(c) ** 2) - 1) / 2 for c in (NoL, NoV)]
        d = a2 / (np.pi * (1 - (n * h).sum(-1) ** 2 * (1 - a2)) ** 2)
        fresnel = self.f0 + (1 - self.f0) * (1 - (l * h).sum(-1)) ** 5
        gain = 1 + self.f0 * (1 / self.table(NoV)[..., :2].sum(-1) - 1)
        specular = fresnel * d / (1 + smith[0] + smith[1]) / (4 * np.maximum(NoV, 1e-6)) * gain
        return np.stack([self.enters(NoL, NoV) * NoL / np.pi, np.where(NoL > 0, specular, 0)], -1)
