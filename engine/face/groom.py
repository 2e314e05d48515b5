"""A person's brows and lashes, as strands on any skin that has canonical places; scalp.py has the hair of the head.

Shapes are plausible rather than measured. Lashes follow ICT-FaceKit's lash cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import KDTree

from engine.face.head_model import SKIN_VERTICES, HeadShape, head_model
from engine.face.layout import texel_uv
from engine.face.registration import canonical_uv
from engine.face.skin import TEXEL_MM, brow_axis
from engine.face.strands import BROWS, LASHES, Strands
from engine.image import resize_bilinear
from engine.mesh import Part, Topology, vertex_normals
from engine.raster import barycentric

UV_MM = TEXEL_MM * 512
"""Width of the layout on the front of the face."""
BROWS_WINDOW = (0.28, 0.72, 0.22, 0.36)
"""Of the canonical layout, in which brows lie: u from, to, v from, to."""


@dataclass(frozen=True, slots=True)
class BrowStyle:
    """How a pair of brows looks."""

    thickness: float
    """1 as the layout draws them."""
    hairs: int
    """Of one brow."""
    arch_mm: float
    lift_mm: float
    inset_mm: float
    """How much nearer to the nose it starts."""
    tidy: float
    """0 wild to 1 plucked."""
    length_mm: float
    """Of the longest hairs."""


BROW_STYLES: tuple[BrowStyle, ...] = (
    BrowStyle(1.02, 670, 0.0, 0.0, 0.0, 0.6, 8.5),
    BrowStyle(1.23, 900, -0.6, -0.5, 1.0, 0.3, 10.0),
    BrowStyle(0.92, 640, 1.2, 0.8, -0.5, 0.9, 7.5),
    BrowStyle(1.09, 800, 0.5, 0.0, 0.5, 0.5, 9.0),
    BrowStyle(0.92, 610, -0.4, 0.3, 0.0, 0.7, 8.0),
    BrowStyle(1.33, 990, 0.0, -1.0, 1.5, 0.2, 10.5),
    BrowStyle(0.88, 540, 1.8, 1.2, -1.0, 0.9, 7.0),
    BrowStyle(1.16, 740, 0.8, -0.3, 0.3, 0.4, 9.5),
    BrowStyle(0.98, 530, -0.8, 0.0, -0.6, 0.5, 8.0),
    BrowStyle(1.12, 960, 1.0, 0.4, 0.6, 0.8, 8.5),
    BrowStyle(0.98, 740, 0.6, 0.9, 0.2, 0.8, 8.0),
    BrowStyle(1.26, 640, -0.2, -0.8, 0.8, 0.15, 11.0),
)
"""Odd ones are rather men's; see `engine.face.traits`."""


@dataclass(frozen=True, eq=False, slots=True)
class Skin:
    """Skin that hair grows on."""

    positions_m: np.ndarray
    """(N, 3) float64."""
    faces: np.ndarray
    """(F, 3) triangles."""
    corner_uv: np.ndarray
    """(F, 3, 2) float64 canonical places of their corners."""


def skin_of(topology: Topology, positions_m: np.ndarray) -> Skin:
    """The skin of a registered topology with (V, 3) positions, but triangles without a place; TopologyError."""
    chosen = topology.faces_of(Part.SKIN)
    corners = canonical_uv(topology)[topology.uv_faces[chosen]].astype(np.float64)
    # seen from another layout a face over the seam at the back has corners on both sides of the chart
    whole = np.isfinite(corners).all(axis=(1, 2)) & (np.ptp(corners[..., 0], axis=1) < 0.5)
    vertices, faces = np.unique(topology.faces[chosen][whole], return_inverse=True)
    return Skin(positions_m[vertices].astype(np.float64), faces.reshape(-1, 3), corners[whole])


def model_skin(shape: HeadShape) -> Skin:
    """The skin of a head of the shipped model."""
    model = head_model()
    skin = (model.faces < SKIN_VERTICES).all(axis=1)
    corners = model.uvs[model.uv_faces[skin]].astype(np.float64)
    return Skin(shape.mesh_m[:SKIN_VERTICES], model.faces[skin], corners)


class Chart:
    """Places of the canonical layout on a head's skin."""

    def __init__(self, skin: Skin, window: tuple[float, float, float, float]) -> None:
        """Within `window`: u from, to, v from, to; for skin that no slit cuts there."""
        low, high = skin.corner_uv.min(axis=1), skin.corner_uv.max(axis=1)
        near = (high[:, 0] > window[0]) & (low[:, 0] < window[1]) & (high[:, 1] > window[2]) & (low[:, 1] < window[3])
        self._faces = skin.faces[near]
        self._corners = skin.corner_uv[near]
        self._tree = KDTree(self._corners.mean(axis=1))
        self._positions = skin.positions_m
        self._normals = vertex_normals(skin.positions_m, skin.faces)

    def __call__(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and normals (N, 3) at (N, 2) places."""
        candidates = np.asarray(self._tree.query(uv, k=6)[1])
        queries = np.repeat(uv, 6, axis=0)[:, None]
        weights = barycentric(self._corners[candidates].reshape(-1, 3, 2), queries)[:, 0].reshape(-1, 6, 3)
        rows = np.arange(len(uv))
        best = weights.min(axis=2).argmax(axis=1)
        weight = weights[rows, best].clip(0, 1)
        weight /= weight.sum(axis=1, keepdims=True)
        corner = self._faces[candidates[rows, best]]
        normal = (self._normals[corner] * weight[..., None]).sum(axis=1)
        position = (self._positions[corner] * weight[..., None]).sum(axis=1)
        return position, normal / np.linalg.norm(normal, axis=1, keepdims=True)


Roots = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""(N,) u and v of roots in the brow on the image's right, how far along it from the nose, 0 to 1, and how high in it,
-1 below to 1 above."""


def brows(skin: Skin, style: BrowStyle, rng: np.random.Generator, fullness: float = 1.0) -> Strands:
    """Both brows as `style` has them: long hairs, and below them twice as many that are short, fine and fairer."""
    count = int(_FINER * style.hairs * fullness)
    place = _BrowPlace(style)

    def roots() -> Roots:
        along = rng.choice(_ALONG, count, p=(weight := _brow_ends(_ALONG) * _brow_profile(_ALONG)) / weight.sum())
        along = np.clip(along + rng.normal(0, 0.01, count), 0, 1)
        across = np.clip(rng.normal(0, 0.55, count), -1.25, 1.25)
        return *place.uv(along, across), along, across

    chart = Chart(skin, BROWS_WINDOW)
    sides = [brow_strands(chart, roots(), style, rng, mirrored) for mirrored in (False, True)]
    return joined_brows(sides, rng)


def joined_brows(sides: list[tuple[np.ndarray, ...]], rng: np.random.Generator) -> Strands:
    """Hairs of `brow_strands`; the finer, the fairer."""
    curves, width, facing, fine = (np.concatenate(each) for each in zip(*sides, strict=True))
    tone = np.clip(0.22 + 0.35 * fine + rng.normal(0, 0.2, len(curves)), 0, 0.999)
    return Strands(curves, width, facing, BROWS[0] + (tone * len(BROWS)).astype(int))


_ALONG, _FINER = np.linspace(0, 1, 201), 1.4
"""Hairs of a brow for one that its style counts: as one sees them."""


def _brow_profile(along: np.ndarray) -> np.ndarray:
    """How thick a brow is, of its style's thickness."""
    return np.interp(along, [0, 0.1, 0.35, 0.65, 0.85, 1], [0.80, 1.0, 1.0, 0.85, 0.6, 0.35])


def _brow_ends(along: np.ndarray) -> np.ndarray:
    """How dense it is along: thin at both ends."""
    return np.interp(along, [0, 0.06, 0.18, 0.7, 0.9, 1], [0.25, 0.6, 1.0, 1.0, 0.65, 0.15])


@lru_cache(maxsize=1)
def _brow_line() -> np.polynomial.Polynomial:
    """v of the middle of the brow on the image's right, by u."""
    us, middle, _ = brow_axis()
    return np.polynomial.Polynomial.fit(us, middle, 3)


class _BrowPlace:
    """Where a brow lies in the layout, on the image's right."""

    def __init__(self, style: BrowStyle) -> None:
        us, _, half = brow_axis()
        self._start, self._span = us[0] + (0.5 - style.inset_mm) / UV_MM, us[-1] - us[0] - 1.0 / UV_MM
        self._thick, self._style = 0.9 * half.max() * style.thickness, style

    def _line(self, u: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        style = self._style
        rise = style.lift_mm + style.arch_mm * (np.sin(np.pi * np.clip(along / 1.3, 0, 1)) - 0.4)
        return _brow_line()(u) - rise / UV_MM, self._thick * _brow_profile(along)

    def uv(self, along: np.ndarray, across: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """u and v at 0..1 `along` from the nose and -1 below to 1 above."""
        u = self._start + along * self._span
        middle, thick = self._line(u, along)
        return u, middle - across * thick

    def density(self, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """How dense its hairs lie at u and v, 0 to 1: roots, and as far as they reach from there."""
        u = np.where(u < 0.5, 1 - u, u) - 1.5 / UV_MM
        along = (u - self._start) / self._span
        middle, thick = self._line(u, along.clip(0, 1))
        across = (middle - v - 0.8 / UV_MM) / thick
        ends = np.clip(np.minimum((along + 0.08) / 0.25, (1.08 - along) / 0.3), 0, 1)
        return np.exp(-1.6 * across**2) * ends


def brow_cover(style: BrowStyle, size: int) -> np.ndarray:
    """(size, size) float32 0..1 how dense brows are, softly."""
    small = 512
    cover = _BrowPlace(style).density(*texel_uv(small).T).reshape(small, small)
    return resize_bilinear(cover.astype(np.float32), (size, size))


def brow_strands(
    chart: Chart, roots: Roots, style: BrowStyle, rng: np.random.Generator, mirrored: bool, before: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, K, 3), widths (N,) and normals (N, K, 3) of one brow's hairs, and how fine they are, 0 to 1 (N,); on
    the image's left if `mirrored`. Each starts a share of its length `before` its root.

    Inner hairs stand up, those above lean down and those below up, so that the brow closes to a line outwards; hairs
    lie on the skin and lift at the tip.
    """
    u0, v0, along, across = roots
    count, points = len(u0), 3
    fine = np.where(rng.random(count) < 0.5, rng.uniform(0.5, 1, count), rng.uniform(0, 0.3, count))
    fine = np.maximum(fine, np.clip(1.6 * np.abs(across) - 0.9, 0, 1) * rng.random(count))  # at the edges
    upper = np.interp(along, [0, 0.12, 0.35, 0.7, 1], [82, 52, 14, -10, -24])
    lower = np.interp(along, [0, 0.12, 0.35, 0.7, 1], [92, 74, 46, 20, -6])
    heading = np.radians(lower + (upper - lower) * (across + 1) / 2 + rng.normal(0, 18 - 10 * style.tidy, count))
    length = style.length_mm * np.interp(along, [0, 0.15, 0.5, 0.8, 1], [0.60, 0.85, 1.0, 0.75, 0.45])
    length = length * rng.uniform(0.75, 1.1, count) * (1 - 0.35 * fine)
    bend = np.radians(rng.normal(-18, 10, count))
    step = np.linspace(0, 1, points)
    angle = heading[:, None] + bend[:, None] * step
    tilt = np.arctan2(-_brow_line().deriv()(u0), 1.0)[:, None]
    du, dv = np.cos(angle + tilt), -np.sin(angle + tilt)
    stride = (length / UV_MM / points)[:, None]
    u = u0[:, None] + (np.cumsum(du, 1) - du[:, :1] - before * points * du) * stride
    v = v0[:, None] + (np.cumsum(dv, 1) - dv[:, :1] - before * points * dv) * stride
    u = 1 - u if mirrored else u
    place, normal = chart(np.stack([u, v], -1).reshape(-1, 2))
    place, normal = place.reshape(count, points, 3), normal.reshape(count, points, 3)
    lift = step**1.3 * rng.uniform(0.3, 0.9, count)[:, None] * 1e-3 * (0.4 + 0.6 * (1 - style.tidy))
    curves = place + normal * (lift + 0.00006)[..., None]
    ends = np.interp(along, [0, 0.15, 0.7, 1], [0.7, 1, 1, 0.7])
    width = rng.uniform(0.7, 1.1, count) * ends * (8.5e-5 - 3e-5 * fine)
    return curves, width, normal, fine


def lashes(
    cards_m: np.ndarray, rng: np.random.Generator, fullness: float = 1.0, curl_m: tuple[float, float] = (0.0, 0.0)
) -> Strands:
    """Upper and lower lashes of both eyes, in clumps, along (12, R, C, 3) cards as `HeadShape` has them, whose tips go
    up by `curl_m` on the upper and the lower lids."""
    points, parts = 4, []
    for card in range(12):
        upper = card % 6 < 3
        grid = cards_m[card]
        count = int((64 if upper else 26) * fullness)
        column = np.sort(rng.uniform(0.02, 0.98, count)) * (grid.shape[1] - 1)
        clumps = (grid.shape[1] - 1) / (12 if upper else 8)
        together = np.round(column / clumps) * clumps
        reach = rng.uniform(0.6, 1.0, count) * (0.95 if upper else 0.75)
        row = np.linspace(0, 1, points) * reach[:, None] * (grid.shape[0] - 1)
        share = (row / (grid.shape[0] - 1)) ** 1.5
        at = column[:, None] + 0.75 * (together - column)[:, None] * share + rng.normal(0, 0.3, (count, 1)) * share
        curves = _on_grid(grid, row, at)
        curves[..., 1] += curl_m[0 if upper else 1] * share
        parts.append((curves, (1.5e-4 if upper else 7e-5) * rng.uniform(0.7, 1.0, count)))
    curves, width = (np.concatenate(each) for each in zip(*parts, strict=True))
    facing = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(curves), 1, 3))
    return Strands(curves, width, facing, rng.choice(list(LASHES), len(curves)))


def _on_grid(grid: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """(..., 3) a (R, C, 3) grid of points at fractional places, bilinear."""
    row, column = row.clip(0, grid.shape[0] - 1.001), column.clip(0, grid.shape[1] - 1.001)
    r, c = row.astype(int), column.astype(int)
    y, x = (row - r)[..., None], (column - c)[..., None]
    upper = grid[r, c] * (1 - x) + grid[r, c + 1] * x
    lower = grid[r + 1, c] * (1 - x) + grid[r + 1, c + 1] * x
    return upper * (1 - y) + lower * y
