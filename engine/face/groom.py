"""A person's hair: brows, lashes and what grows on the scalp, as strands on any skin that has canonical places.

Shapes are plausible rather than measured. Lashes follow ICT-FaceKit's lash cards.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial import KDTree

from engine.face import layout, regions
from engine.face.head_model import SKIN_VERTICES, HeadShape, head_model
from engine.face.registration import canonical_uv
from engine.face.skin import TEXEL_MM, brow_axis
from engine.face.strands import BROWS, LASHES, SCALP, Strands
from engine.image import resize_bilinear
from engine.mesh import Part, Topology, vertex_normals
from engine.raster import barycentric

UV_MM = TEXEL_MM * 512
"""Width of the layout on the front of the face."""
BROWS_WINDOW = (0.28, 0.72, 0.22, 0.36)
"""Of the canonical layout, in which brows lie: u from, to, v from, to."""


class HairStyle(StrEnum):
    """How the scalp's hair is worn."""

    SHAVED = "shaved"
    BUZZED = "buzzed"
    CROPPED = "cropped"
    SWEPT = "swept"
    CURLED = "curled"
    TIED = "tied"
    RECEDING = "receding"


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
    BrowStyle(1.00, 420, 0.0, 0.0, 0.0, 0.6, 8.5),
    BrowStyle(1.30, 560, -0.6, -0.5, 1.0, 0.3, 10.0),
    BrowStyle(0.85, 400, 1.2, 0.8, -0.5, 0.9, 7.5),
    BrowStyle(1.10, 500, 0.5, 0.0, 0.5, 0.5, 9.0),
    BrowStyle(0.85, 380, -0.4, 0.3, 0.0, 0.7, 8.0),
    BrowStyle(1.45, 620, 0.0, -1.0, 1.5, 0.2, 10.5),
    BrowStyle(0.80, 340, 1.8, 1.2, -1.0, 0.9, 7.0),
    BrowStyle(1.20, 460, 0.8, -0.3, 0.3, 0.4, 9.5),
    BrowStyle(0.95, 330, -0.8, 0.0, -0.6, 0.5, 8.0),
    BrowStyle(1.15, 600, 1.0, 0.4, 0.6, 0.8, 8.5),
    BrowStyle(0.95, 460, 0.6, 0.9, 0.2, 0.8, 8.0),
    BrowStyle(1.35, 400, -0.2, -0.8, 0.8, 0.15, 11.0),
)
"""Odd ones are rather men's; see `engine.face.traits`."""


@dataclass(frozen=True, eq=False, slots=True)
class Scalp:
    """Skin that hair grows on."""

    positions_m: np.ndarray
    """(N, 3) float64."""
    faces: np.ndarray
    """(F, 3) triangles."""
    corner_uv: np.ndarray
    """(F, 3, 2) float64 canonical places of their corners."""


def scalp_of(topology: Topology, positions_m: np.ndarray) -> Scalp:
    """The skin of a registered topology with (V, 3) positions, but triangles without a place; TopologyError."""
    chosen = topology.faces_of(Part.SKIN)
    corners = canonical_uv(topology)[topology.uv_faces[chosen]].astype(np.float64)
    # seen from another layout a face over the seam at the back has corners on both sides of the chart
    whole = np.isfinite(corners).all(axis=(1, 2)) & (np.ptp(corners[..., 0], axis=1) < 0.5)
    vertices, faces = np.unique(topology.faces[chosen][whole], return_inverse=True)
    return Scalp(positions_m[vertices].astype(np.float64), faces.reshape(-1, 3), corners[whole])


def model_scalp(shape: HeadShape) -> Scalp:
    """The skin of a head of the shipped model."""
    model = head_model()
    skin = (model.faces < SKIN_VERTICES).all(axis=1)
    corners = model.uvs[model.uv_faces[skin]].astype(np.float64)
    return Scalp(shape.mesh_m[:SKIN_VERTICES], model.faces[skin], corners)


class Chart:
    """Places of the canonical layout on a head's skin."""

    def __init__(self, skin: Scalp, window: tuple[float, float, float, float]) -> None:
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


def brows(skin: Scalp, style: BrowStyle, rng: np.random.Generator, fullness: float = 1.0) -> Strands:
    """Both brows as `style` has them."""
    us, middle, half = brow_axis()
    axis = np.polynomial.Polynomial.fit(us, middle, 3)
    count = int(1.35 * style.hairs * fullness)

    def roots() -> Roots:
        along = np.clip(rng.beta(1.1, 1.0, count), 0.0, 1.0)
        across = np.clip(rng.normal(0, 0.5, count), -1, 1)
        profile = np.interp(along, [0, 0.08, 0.3, 0.6, 1], [0.75, 1.05, 1.2, 1.1, 0.55])
        thick = np.interp(along, np.linspace(0, 1, len(half)), np.maximum(half, half.max() * 0.5)) * style.thickness
        start = us[0] + (0.5 - style.inset_mm) / UV_MM
        u0 = start + along * (us[-1] - us[0] - 2.0 / UV_MM)
        rise = style.lift_mm + style.arch_mm * (np.sin(np.pi * np.clip(along / 1.3, 0, 1)) - 0.4)
        return u0, axis(u0) - rise / UV_MM - across * thick * profile * 0.8, along, across

    chart = Chart(skin, BROWS_WINDOW)
    sides = [brow_strands(chart, roots(), style, rng, mirrored) for mirrored in (False, True)]
    curves, width, facing = (np.concatenate(each) for each in zip(*sides, strict=True))
    return Strands(curves, width, facing, rng.choice(list(BROWS), len(curves)))


def brow_strands(
    chart: Chart, roots: Roots, style: BrowStyle, rng: np.random.Generator, mirrored: bool, before: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, K, 3), widths (N,) and normals (N, 3) of one brow's hairs, on the image's left if `mirrored`. Each
    starts a share of its length `before` its root.

    Inner hairs stand up, those above lean down and those below up, so that the brow closes to a line outwards; hairs
    lie on the skin and lift at the tip.
    """
    us, middle, _ = brow_axis()
    axis = np.polynomial.Polynomial.fit(us, middle, 3)
    u0, v0, along, across = roots
    count, points = len(u0), 4
    upper = np.interp(along, [0, 0.12, 0.35, 0.7, 1], [80, 48, 8, -16, -26])
    lower = np.interp(along, [0, 0.12, 0.35, 0.7, 1], [88, 70, 40, 16, -8])
    heading = np.radians(lower + (upper - lower) * (across + 1) / 2 + rng.normal(0, 16 - 11 * style.tidy, count))
    length = style.length_mm * np.interp(along, [0, 0.15, 0.5, 1], [0.62, 0.85, 1.0, 0.65])
    length = length * rng.uniform(0.6, 1.05, count)
    bend = np.radians(rng.normal(-18, 10, count))
    step = np.linspace(0, 1, points)
    angle = heading[:, None] + bend[:, None] * step
    tilt = np.arctan2(-axis.deriv()(u0), 1.0)[:, None]
    du, dv = np.cos(angle + tilt), -np.sin(angle + tilt)
    stride = (length / UV_MM / points)[:, None]
    u = u0[:, None] + (np.cumsum(du, 1) - du[:, :1] - before * points * du) * stride
    v = v0[:, None] + (np.cumsum(dv, 1) - dv[:, :1] - before * points * dv) * stride
    u = 1 - u if mirrored else u
    place, normal = chart(np.stack([u, v], -1).reshape(-1, 2))
    place, normal = place.reshape(count, points, 3), normal.reshape(count, points, 3)
    lift = step**1.3 * rng.uniform(0.3, 0.9, count)[:, None] * 1e-3 * (0.4 + 0.6 * (1 - style.tidy))
    curves = place + normal * (lift + 0.00006)[..., None]
    width = 1.2e-4 * rng.uniform(0.6, 1.1, count) * np.interp(along, [0, 0.1, 0.7, 1], [0.75, 1, 1, 0.75])
    return curves, width, normal.mean(axis=1)


def lashes(cards_m: np.ndarray, rng: np.random.Generator, fullness: float = 1.0) -> Strands:
    """Upper and lower lashes of both eyes, in clumps, along (12, R, C, 3) cards as `HeadShape` has them."""
    points, parts = 4, []
    for card in range(12):
        upper = card % 6 < 3
        grid = cards_m[card]
        count = int((52 if upper else 22) * fullness)
        column = np.sort(rng.uniform(0.02, 0.98, count)) * (grid.shape[1] - 1)
        clumps = (grid.shape[1] - 1) / (12 if upper else 8)
        together = np.round(column / clumps) * clumps
        reach = rng.uniform(0.6, 1.0, count) * (0.95 if upper else 0.75)
        row = np.linspace(0, 1, points) * reach[:, None] * (grid.shape[0] - 1)
        share = (row / (grid.shape[0] - 1)) ** 1.5
        at = column[:, None] + 0.75 * (together - column)[:, None] * share + rng.normal(0, 0.3, (count, 1)) * share
        parts.append((_on_grid(grid, row, at), (1.0e-4 if upper else 6.5e-5) * rng.uniform(0.7, 1.1, count)))
    curves, width = (np.concatenate(each) for each in zip(*parts, strict=True))
    facing = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(curves), 3))
    return Strands(curves, width, facing, rng.choice(list(LASHES), len(curves)))


def _on_grid(grid: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """(..., 3) a (R, C, 3) grid of points at fractional places, bilinear."""
    row, column = row.clip(0, grid.shape[0] - 1.001), column.clip(0, grid.shape[1] - 1.001)
    r, c = row.astype(int), column.astype(int)
    y, x = (row - r)[..., None], (column - c)[..., None]
    upper = grid[r, c] * (1 - x) + grid[r, c + 1] * x
    lower = grid[r + 1, c] * (1 - x) + grid[r + 1, c + 1] * x
    return upper * (1 - y) + lower * y


@dataclass(frozen=True, slots=True)
class _Cut:
    """What a style asks for; lengths in metres."""

    hairs: int
    points: int
    width: float
    top: float
    side: float
    lift: float
    """Angle between hair and scalp, radians."""
    sweep: tuple[float, float, float]
    """Added to the direction of hair on top of the head."""
    curl: float = 0.0
    """Radius of curls."""
    hairline: float = 0.0
    """How much higher the hairline is, canonical UV."""


_CUTS: dict[HairStyle, _Cut] = {
    HairStyle.BUZZED: _Cut(20000, 2, 2.4e-4, 0.0045, 0.0035, 0.75, (0.1, 0, 0.5)),
    HairStyle.CROPPED: _Cut(20000, 3, 2.8e-4, 0.013, 0.006, 0.40, (0.15, 0, 0.6)),
    HairStyle.SWEPT: _Cut(15000, 4, 3.4e-4, 0.042, 0.014, 0.48, (0.75, 0.1, 0.45)),
    HairStyle.CURLED: _Cut(9000, 6, 6.5e-4, 0.018, 0.012, 1.2, (0, 0, 0), curl=0.0022),
    HairStyle.TIED: _Cut(12000, 4, 5.0e-4, 0.11, 0.09, 0.10, (0, 0, 0)),
    HairStyle.RECEDING: _Cut(11000, 3, 2.6e-4, 0.012, 0.009, 0.5, (0.1, 0, -0.2), hairline=0.16),
}


def scalp(skin: Scalp, style: HairStyle, rng: np.random.Generator, part_left: bool = False) -> Strands | None:
    """The hair of the head; None where there is none to see as strands."""
    if style is HairStyle.SHAVED:
        return None
    cut = _CUTS[style]
    root, normal, share, height = _roots(skin, cut, rng)
    count = len(root)
    flow = _flow(skin, root, height, cut, style, rng, part_left)
    flow -= normal * (flow * normal).sum(axis=1, keepdims=True)
    flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-9)
    length = (cut.side + (cut.top - cut.side) * height) * (0.35 + 0.65 * share) * rng.uniform(0.75, 1.1, count)
    step = np.linspace(0, 1, cut.points)
    if style is HairStyle.TIED:
        curves = _gathered(skin, root, normal, flow, share, step, rng)
    else:
        angle = cut.lift * (1 - 0.35 * height) * rng.uniform(0.7, 1.3, count) * (0.5 + 0.5 * share)
        up, out = (np.sin(angle), np.cos(angle))
        rising = step * (1 - 0.5 * step)
        curves = root[:, None] + length[:, None, None] * (
            (flow * out[:, None])[:, None] * step[None, :, None]
            + (normal * up[:, None])[:, None] * rising[None, :, None] * 1.4
        )
        curves[..., 1] -= 4.0 * (length[:, None] * step) ** 2 * (1 - height[:, None] * 0.5)
        if cut.curl:
            curves += _curls(normal, flow, step, cut.curl, rng)
    thin = 0.75 if style is HairStyle.TIED else 0.5  # at the hairline
    width = cut.width * rng.uniform(0.6, 1.15, count) * (thin + (1 - thin) * share)
    facing = normal + rng.normal(0, 0.3, normal.shape)
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    return Strands(curves, width, facing, _columns(root, rng))


def _columns(root: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S,) colours that neighbours mostly share, so that hair shows streaks and not noise."""
    wave = rng.normal(0, 1, (5, 3)) * 140
    streak = sum(np.sin(root @ wave[k] + rng.uniform(0, 6.3)) for k in range(5)) / 5
    mixed = 0.5 + 0.28 * streak + rng.normal(0, 0.22, len(root))
    return SCALP[0] + np.clip(mixed * len(SCALP), 0, len(SCALP) - 1).astype(int)


def hair_distance(uv: np.ndarray, hairline: float = 0.0) -> np.ndarray:
    """(N,) how far (N, 2) canonical places lie inside the hair, UV units; `hairline` higher on forehead and crown."""
    distance = layout.sample_bilinear(np.asarray(regions.distance("hairless", 512))[..., None], uv)[:, 0]
    distance = np.minimum(distance, 0.665 - uv[:, 1])  # the nape
    receded = 0.165 + 0.02 * np.cos((uv[:, 0] - 0.5) * 22) - uv[:, 1]
    middle = np.clip(1 - np.abs(uv[:, 0] - 0.5) / 0.30, 0, 1)
    return distance - hairline * np.clip(middle * 2.2, 0, 1) * (receded > -0.05) if hairline else distance


def _roots(skin: Scalp, cut: _Cut, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places (S, 3), normals (S, 3), how far inside of the hairline 0..1 (S,), and 1 on top of the head (S,)."""
    positions, uv = skin.positions_m, skin.corner_uv
    hairy = hair_distance(uv.mean(axis=1), cut.hairline) > -0.03
    faces, uv = skin.faces[hairy], uv[hairy]
    corners = positions[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(faces), cut.hairs, p=area / area.sum())
    weight = rng.dirichlet((1, 1, 1), cut.hairs)[..., None]
    root, place = (corners[chosen] * weight).sum(axis=1), (uv[chosen] * weight).sum(axis=1)
    normal = (vertex_normals(positions, skin.faces)[faces[chosen]] * weight).sum(axis=1)
    ragged = 0.004 * rng.standard_normal(cut.hairs)
    share = np.clip((hair_distance(place, cut.hairline) + 0.004 + ragged) / 0.024, 0, 1)
    kept = rng.random(cut.hairs) < np.clip(share * 1.8, 0, 1)
    top = positions[:, 1].max()
    height = np.clip((root[:, 1] - (top - 0.080)) / 0.055, 0, 1)
    return root[kept], (normal / np.linalg.norm(normal, axis=1, keepdims=True))[kept], share[kept], height[kept]


def _flow(
    skin: Scalp,
    root: np.ndarray,
    height: np.ndarray,
    cut: _Cut,
    style: HairStyle,
    rng: np.random.Generator,
    part_left: bool,
) -> np.ndarray:
    """(S, 3) where hair wants to go: away from the whorl, down at the sides, forward or aside on top; in waves."""
    top = skin.positions_m[:, 1].max()
    back = root[:, 2].min()
    side = 1.0 if part_left else -1.0
    if style is HairStyle.TIED:
        knot = np.array([0.0, top - 0.085, back - 0.005])
        return knot - root
    whorl = np.array([0.012 * side, top - 0.012, back + 0.055])
    away = root - whorl
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    sweep = np.array(cut.sweep) * (side, 1, 1)
    flow = away + height[:, None] * sweep + (1 - height[:, None]) * np.array([0, -0.9, -0.15])
    wave = rng.normal(0, 1, (6, 3)) * 100
    for number in range(6):
        lean = rng.normal(0, 0.10, 3)
        flow = flow + np.sin(root @ wave[number] + rng.uniform(0, 6.3))[:, None] * lean
    return flow + rng.normal(0, 0.10, root.shape)


def _gathered(
    skin: Scalp,
    root: np.ndarray,
    normal: np.ndarray,
    flow: np.ndarray,
    share: np.ndarray,
    step: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """(S, K, 3) strands combed over the skull to a knot at its back."""
    top = skin.positions_m[:, 1].max()
    back = root[:, 2].min()
    knot = np.array([0.0, top - 0.085, back - 0.012])
    tree = KDTree(skin.positions_m)
    normals = vertex_normals(skin.positions_m, skin.faces)
    reach = np.clip(rng.uniform(0.35, 0.75, len(root)), 0, 1)[:, None, None]
    line = root[:, None] + (knot - root)[:, None] * step[None, :, None] * reach
    _, near = tree.query(line.reshape(-1, 3))
    surface, outward = skin.positions_m[near].reshape(line.shape), normals[near].reshape(line.shape)
    depth = ((line - surface) * outward).sum(axis=-1)
    lift = 0.0006 + 0.0042 * np.minimum(step * 2.2, 1)[None] * rng.uniform(0.2, 1.0, (len(root), 1))
    pushed = line + outward * np.maximum(lift - depth, 0)[..., None]
    pushed[:, 0] = root
    return pushed


def knot(skin: Scalp, rng: np.random.Generator) -> Strands:
    """A bun at the back of the head: strands wound around a ball."""
    positions = skin.positions_m
    top = positions[:, 1].max()
    behind = positions[(np.abs(positions[:, 1] - (top - 0.085)) < 0.006) & (np.abs(positions[:, 0]) < 0.01)]
    centre = np.array([0.0, top - 0.085, behind[:, 2].min() - 0.016])
    count, points, radius = 420, 6, np.array([0.030, 0.027, 0.024])
    turn = rng.uniform(0, 2 * np.pi, count)
    tilt = np.clip(rng.normal(0, 0.5, count), -1.3, 1.3)
    wound = np.linspace(0, 1.9, points)[None] + turn[:, None]
    lean = tilt[:, None] + 0.25 * np.linspace(-1, 1, points)[None] * rng.normal(0, 1, (count, 1))
    unit = np.stack([np.cos(wound) * np.cos(lean), np.sin(wound) * np.cos(lean), -np.sin(lean)], -1)
    layer = rng.uniform(0.86, 1.0, count)[:, None, None]
    curves = centre + unit * radius * layer
    facing = unit[:, points // 2]
    return Strands(curves, rng.uniform(1.2e-3, 2.4e-3, count), facing, _columns(curves[:, 0], rng))


def _curls(
    normal: np.ndarray, flow: np.ndarray, step: np.ndarray, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """(S, K, 3) offsets that wind strands around themselves."""
    phase = rng.uniform(0, 2 * np.pi, (len(normal), 1))
    turns = rng.uniform(1.0, 1.8, (len(normal), 1)) * 2 * np.pi * step
    grown = radius * rng.uniform(0.6, 1.4, (len(normal), 1)) * np.minimum(step * 3, 1)
    across = np.cross(normal, flow)
    first, second = grown * (np.cos(phase + turns) - np.cos(phase)), grown * (np.sin(phase + turns) - np.sin(phase))
    return first[..., None] * across[:, None] + second[..., None] * flow[:, None]


def scalp_cover(style: HairStyle, size: int) -> np.ndarray:
    """(size, size) float32 0..1 how much of the scalp's skin its hair colours."""
    small = 512
    v, u = (np.mgrid[0:small, 0:small].reshape(2, -1) + 0.5) / small
    hairline = _CUTS[style].hairline if style in _CUTS else 0.0
    inside = hair_distance(np.stack([u, v], -1), hairline).reshape(small, small)
    return resize_bilinear(np.clip((inside + 0.010) / 0.020, 0, 1).astype(np.float32), (size, size))
