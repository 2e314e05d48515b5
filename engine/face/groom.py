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
from engine.face.strands import BROWS, LASHES, SCALP, SHADES, Strands
from engine.image import resize_bilinear, smoothstep
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
    LOOSE = "loose"
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
    """Both brows as `style` has them: long hairs, and below them twice as many that are short, fine and fairer."""
    count = int(style.hairs * fullness)
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


_ALONG = np.linspace(0, 1, 201)


def _brow_profile(along: np.ndarray) -> np.ndarray:
    """How thick a brow is, of its style's thickness."""
    return np.interp(along, [0, 0.1, 0.35, 0.65, 0.85, 1], [0.80, 1.0, 1.0, 0.85, 0.6, 0.35])


def _brow_ends(along: np.ndarray) -> np.ndarray:
    """How dense it is along: thin at both ends."""
    return np.interp(along, [0, 0.06, 0.18, 0.7, 0.9, 1], [0.25, 0.6, 1.0, 1.0, 0.65, 0.15])


class _BrowPlace:
    """Where a brow lies in the layout, on the image's right."""

    def __init__(self, style: BrowStyle) -> None:
        us, middle, half = brow_axis()
        self._axis = np.polynomial.Polynomial.fit(us, middle, 3)
        self._start, self._span = us[0] + (0.5 - style.inset_mm) / UV_MM, us[-1] - us[0] - 1.0 / UV_MM
        self._thick, self._style = 0.9 * half.max() * style.thickness, style

    def _line(self, u: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        style = self._style
        rise = style.lift_mm + style.arch_mm * (np.sin(np.pi * np.clip(along / 1.3, 0, 1)) - 0.4)
        return self._axis(u) - rise / UV_MM, self._thick * _brow_profile(along)

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
    v, u = (np.mgrid[0:small, 0:small].reshape(2, -1) + 0.5) / small
    cover = _BrowPlace(style).density(u, v).reshape(small, small)
    return resize_bilinear(cover.astype(np.float32), (size, size))


def brow_strands(
    chart: Chart, roots: Roots, style: BrowStyle, rng: np.random.Generator, mirrored: bool, before: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, K, 3), widths (N,) and normals (N, K, 3) of one brow's hairs, and how fine they are, 0 to 1 (N,); on the
    image's left if `mirrored`. Each starts a share of its length `before` its root.

    Inner hairs stand up, those above lean down and those below up, so that the brow closes to a line outwards; hairs
    lie on the skin and lift at the tip.
    """
    us, middle, _ = brow_axis()
    axis = np.polynomial.Polynomial.fit(us, middle, 3)
    u0, v0, along, across = roots
    count, points = len(u0), 4
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
    ends = np.interp(along, [0, 0.15, 0.7, 1], [0.7, 1, 1, 0.7])
    width = rng.uniform(0.7, 1.1, count) * ends * np.where(fine > 0.45, 2.1e-4, 0.9e-4)
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


@dataclass(frozen=True, slots=True)
class Hairline:
    """Where a person's hair begins; canonical UV units."""

    temples: float = 0.004
    """How far back it lies beside the forehead."""
    peak: float = 0.0
    """How much lower it comes down in the middle."""
    bald: float = 0.0
    """How far down no hair grows on forehead and crown; 0 for hair everywhere."""
    sideburns: float = -0.1
    """How far they come down before the ears; -0.1 for none."""
    point: float = 0.0
    """How far hair comes forward beside the brow."""
    phase: float = 0.0
    """Of the waves that it runs in."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """What a style asks for; lengths in metres."""

    locks: int
    """Ribbons."""
    points: int
    width: float
    top: float
    side: float
    lift: float
    """Angle between hair and scalp, radians."""
    volume: float
    """How thick hair lies on the scalp."""
    sweep: tuple[float, float, float]
    """Added to the direction of hair on top of the head."""
    together: int
    """Ribbons that go one way."""
    loose: float = 0.5
    """How far those of one tuft lie apart at the tip, 0 to 1."""
    gravity: float = 0.0
    """How fast hair bends down, of its direction per centimetre."""
    curl: tuple[float, float] = (0.0, 0.0)
    """Radius of curls, and how often they turn."""
    stray: float = 0.16
    """How far tufts go other ways than their neighbours."""
    off: float = 0.0
    """How far from the skull long hair hangs, so that it covers the ears."""


_CUTS: dict[HairStyle, _Cut] = {
    HairStyle.BUZZED: _Cut(26000, 2, 1.2e-3, 0.0050, 0.0036, 0.60, 0.0, (0.1, 0, 0.6), 6, 1.0),
    HairStyle.CROPPED: _Cut(16000, 3, 1.2e-3, 0.020, 0.009, 0.45, 0.003, (0.25, 0, 0.7), 14, 0.7, 0.05),
    HairStyle.SWEPT: _Cut(7500, 6, 1.7e-3, 0.058, 0.020, 0.45, 0.008, (1.3, 0.1, 0.25), 18, 0.8, 0.40, stray=0.07),
    HairStyle.LOOSE: _Cut(5600, 9, 3.0e-3, 0.18, 0.14, 0.25, 0.013, (0, 0, 0), 7, 1.0, 1.5, (0.003, 0.9), 0.06, 0.009),
    HairStyle.CURLED: _Cut(8500, 8, 2.0e-3, 0.015, 0.012, 1.0, 0.006, (0, 0, 0), 8, 0.9, 0.0, (0.0030, 1.0)),
    HairStyle.TIED: _Cut(6500, 7, 1.7e-3, 0.11, 0.09, 0.10, 0.006, (0, 0, 0), 14, 0.6),
    HairStyle.RECEDING: _Cut(15000, 3, 0.8e-3, 0.013, 0.009, 0.28, 0.002, (0.1, 0, -0.2), 12, 0.8, 0.05),
}


def scalp(
    skin: Scalp,
    style: HairStyle,
    rng: np.random.Generator,
    part_left: bool = False,
    line: Hairline | None = None,
) -> Strands | None:
    """The hair of the head; None where there is none to see as strands.

    Ribbons lie in tufts around guides, which are combed, fall and rest on the skull.
    """
    if style is HairStyle.SHAVED:
        return None
    cut, line = _CUTS[style], line or Hairline()
    root, normal, share, height = _roots(skin, cut, line, rng)
    count, step = len(root), np.linspace(0, 1, cut.points)
    guides = max(count // cut.together, 1)
    of = KDTree(root[:guides]).query(root + rng.normal(0, 0.0012, root.shape))[1]
    skull = _Skull(skin)
    flow, rise = _flow(skin, root[:guides], height[:guides], style, rng, part_left)
    length = cut.side + (cut.top - cut.side) * height
    length *= (0.25 + 0.75 * share) * rng.uniform(0.7, 1.1, guides)[of]
    if cut.side < 0.03:  # short before the ears and at the nape
        length *= np.clip((root[:, 1] - skull.top + 0.130) / 0.040, 0.35, 1)
    if style is HairStyle.TIED:
        path, outward = _gathered(skull, root[:guides], step, rng, part_left)
    else:
        path, outward = _fallen(skull, root[:guides], normal[:guides], flow, rise, length[:guides], cut, rng)
    layer = rng.uniform(0 if cut.volume else 0.7, 1, count)
    own = (length / np.maximum(length[:guides], 1e-6)[of]).clip(0.3, 1.5) * rng.uniform(0.75, 1.05, count)
    own = np.ones(count) if style is HairStyle.TIED else own
    apart = (root - root[:guides][of])[:, None] * (1 - (1 - cut.loose) * step[:, None])
    curves = root[:guides][of][:, None] + apart + (path - path[:, :1])[of] * own[:, None, None]
    stray = (rng.random(count) < 0.04) * cut.volume
    height_of = np.minimum(3 * step, 1) * (1 - 0.9 * step**4 if style is HairStyle.TIED else 1)
    raised = (layer * cut.volume + stray)[:, None] * height_of * (0.3 + 0.7 * share[:, None])
    curves += outward[of] * raised[..., None]
    curves += rng.normal(0, 0.06, (count, 1, 3)) * (np.minimum(length, 0.08)[:, None] * step**1.5)[..., None]
    if cut.curl[0]:
        curves += _curls(normal, flow[of], step, cut, of, rng) * share[:, None, None] ** 0.5
    width = cut.width * rng.uniform(0.5, 1.1, count) * (0.08 + 0.92 * share**1.5) * np.where(stray > 0, 0.1, 1)
    facing = outward[of] + rng.normal(0, 0.8 if cut.off else 0.25, (count, 1, 3))
    facing /= np.linalg.norm(facing, axis=2, keepdims=True)
    return Strands(curves, width, facing, _columns(root, layer, of, rng))


def down(skin: Scalp, style: HairStyle, rng: np.random.Generator, line: Hairline) -> Strands | None:
    """The short and fine hairs before and along the hairline."""
    if style in (HairStyle.SHAVED, HairStyle.BUZZED, HairStyle.RECEDING):
        return None
    root, normal, place = _scattered(skin, 26000, rng, line, -0.03)
    inside = hair_distance(place, line)
    chosen = (inside < 0.012) & (rng.random(len(root)) < np.clip((inside + 0.012) / 0.02, 0, 1) ** 2)
    root, normal, count = root[chosen], normal[chosen], int(chosen.sum())
    flow, _ = _flow(skin, root, np.ones(count), style, rng, False)
    if style is HairStyle.TIED:
        flow = np.array([0.0, skin.positions_m[:, 1].max() - 0.07, root[:, 2].min()]) - root
    flow += rng.normal(0, 0.25, root.shape) * np.linalg.norm(flow, axis=1, keepdims=True)
    flow -= normal * (flow * normal).sum(axis=1, keepdims=True)
    flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-9)
    step, length = np.linspace(0, 1, 3), rng.uniform(0.006, 0.016, count)
    rise = rng.uniform(0.05, 0.35, count)[:, None] * step * (1.3 - step)
    curves = root[:, None] + length[:, None, None] * (flow[:, None] * step[:, None] + normal[:, None] * rise[..., None])
    column = SCALP[0] + SHADES * rng.integers(4, 10, count) + rng.integers(SHADES, size=count)
    return Strands(curves, rng.uniform(0.4e-4, 0.9e-4, count), normal[:, None], column)


def _columns(root: np.ndarray, layer: np.ndarray, tuft: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S,) colours: those of a tuft are alike, what lies below (`layer` 0 to 1) is darker, and hair turns grey tuft by
    tuft, at the temples first."""
    wave = rng.normal(0, 1, (5, 3)) * 90
    streak = sum(np.sin(root @ wave[k] + rng.uniform(0, 6.3)) for k in range(5)) / 5
    own = rng.normal(0, 0.5, tuft.max() + 1)[tuft]
    tone = 0.10 + 0.62 * layer + 0.10 * streak + 0.16 * own + rng.normal(0, 0.08, len(root))
    grey = 0.5 + 0.25 * streak + 0.35 * rng.normal(0, 1, tuft.max() + 1)[tuft] + rng.normal(0, 0.25, len(root))
    tones = len(SCALP) // SHADES
    at = SHADES * np.clip(tone * tones, 0, tones - 1).astype(int) + np.clip(grey * SHADES, 0, SHADES - 1).astype(int)
    return SCALP[0] + at


def hair_distance(uv: np.ndarray, line: Hairline | None = None) -> np.ndarray:
    """(N,) how far (N, 2) canonical places lie inside the hair, UV units."""
    line = line or Hairline()
    aside, v = np.abs(uv[:, 0] - 0.5), uv[:, 1]
    distance = layout.sample_bilinear(np.asarray(regions.distance("hairless", 512))[..., None], uv)[:, 0]
    before_ear = np.minimum(0.017 - np.abs(aside - 0.266), np.minimum(v - 0.26, 0.405 + line.sideburns - v))
    distance = np.maximum(distance, before_ear)
    distance = distance + line.peak * _bump(aside, 0, 0.035) - line.temples * _bump(aside, 0.165, 0.05) * _bump(v, 0.15, 0.06)
    distance += line.point * _bump(aside, 0.228, 0.03) * _bump(v, 0.285, 0.035)
    for waves, high in ((23, 0.0045), (57, 0.0030), (131, 0.0016)):
        distance += high * np.sin(waves * (uv[:, 0] + 0.61 * v) + line.phase * waves) * np.cos(0.7 * waves * v)
    ear = layout.sample_bilinear(np.asarray(regions.distance("ear", 512))[..., None], uv)[:, 0]
    distance = np.minimum(np.minimum(distance, 0.665 - v), ear - 0.010)  # the nape; behind and above the ear
    if line.bald:  # a wreath is left
        distance = np.minimum(distance, 0.45 * (v - line.bald + 0.3 * np.maximum(aside - 0.2, 0)))
    return distance


def _bump(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-(((x - middle) / width) ** 2))


def _roots(
    skin: Scalp, cut: _Cut, line: Hairline, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places (S, 3), normals (S, 3), how far inside of the hairline 0..1 (S,), and 1 on top of the head (S,)."""
    root, normal, place = _scattered(skin, cut.locks, rng, line, -0.03)
    share = np.clip((hair_distance(place, line) + 0.006 + 0.006 * rng.standard_normal(cut.locks)) / 0.036, 0, 1)
    kept = rng.random(cut.locks) < np.clip(3 * share - (1.0 if cut.top > 0.12 else 0.4), 0, 1)
    height = np.clip((root[:, 1] - (skin.positions_m[:, 1].max() - 0.080)) / 0.055, 0, 1)
    return root[kept], normal[kept], share[kept], height[kept]


def _scattered(
    skin: Scalp, count: int, rng: np.random.Generator, line: Hairline, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(count, 3) places and normals, evenly over the skin that is `least` inside the hair, and (count, 2) where in UV."""
    hairy = hair_distance(skin.corner_uv.mean(axis=1), line) > least
    faces, uv = skin.faces[hairy], skin.corner_uv[hairy]
    corners = skin.positions_m[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    weight = rng.dirichlet((1, 1, 1), count)[..., None]
    normal = (vertex_normals(skin.positions_m, skin.faces)[faces[chosen]] * weight).sum(axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return (corners[chosen] * weight).sum(axis=1), normal, (uv[chosen] * weight).sum(axis=1)


def _flow(
    skin: Scalp, root: np.ndarray, height: np.ndarray, style: HairStyle, rng: np.random.Generator, part_left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(S, 3) where hair wants to go: away from whorl or parting, down at the sides, forward or aside on top; in waves.
    And (S,) how much it rises there, 0 to 1: little around the whorl."""
    cut = _CUTS[style]
    top, back = skin.positions_m[:, 1].max(), root[:, 2].min()
    side = 1.0 if part_left else -1.0
    whorl = np.array([0.012 * side, top - 0.012, back + 0.055])
    away = root - whorl
    far = np.linalg.norm(away, axis=1)
    rise = (0.45 + 0.55 * height) * np.clip(far / 0.055 - 0.1, 0.15, 1)
    away /= np.maximum(far, 0.03)[:, None]
    if style is HairStyle.LOOSE:
        parted = np.tanh((root[:, 0] + rng.choice([0, 0.018, 0.028]) * side) / 0.006)
        away = np.stack([parted, np.full(len(root), -0.1), np.full(len(root), -1.1)], -1)
    flow = away + height[:, None] * np.array(cut.sweep) * (side, 1, 1)
    flow += (1 - height[:, None]) * np.array([0, -0.9, -0.15])
    wave = rng.normal(0, 1, (6, 3)) * 100
    for number in range(6):
        flow += np.sin(root @ wave[number] + rng.uniform(0, 6.3))[:, None] * rng.normal(0, 0.75 * cut.stray, 3)
    return flow + rng.normal(0, cut.stray, root.shape), rise


class _Skull:
    """What hair rests on."""

    def __init__(self, skin: Scalp) -> None:
        self.top = skin.positions_m[:, 1].max()
        ear = layout.sample_bilinear(np.asarray(regions.distance("ear", 512))[..., None], skin.corner_uv.mean(axis=1))
        bare = np.unique(skin.faces[ear[:, 0] > 0.004])  # hair passes ears as if they were not there
        self._positions, self._normals = skin.positions_m[bare], vertex_normals(skin.positions_m, skin.faces)[bare]
        self._tree = KDTree(self._positions)

    def outside(self, points: np.ndarray, least_m: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) `points` at least so far out, and the normals of the skin below them."""
        near = self._tree.query(points)[1]
        normal = self._normals[near]
        depth = ((points - self._positions[near]) * normal).sum(axis=1)
        return points + normal * np.maximum(least_m - depth, 0)[:, None], normal


def _fallen(
    skull: _Skull,
    root: np.ndarray,
    normal: np.ndarray,
    flow: np.ndarray,
    rise: np.ndarray,
    length: np.ndarray,
    cut: _Cut,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """(G, K, 3) guides that rise, bend down and rest on the skull, and the normals below them."""
    flow = flow - normal * (flow * normal).sum(axis=1, keepdims=True)
    flow /= np.maximum(np.linalg.norm(flow, axis=1, keepdims=True), 1e-9)
    angle = (cut.lift * rise * rng.uniform(0.6, 1.3, len(root)))[:, None]
    way = flow * np.cos(angle) + normal * np.sin(angle)
    path, outward, fine = [root], [normal], max(round(float(length.max()) / (cut.points - 1) / 0.008), 1)
    stride = (length / (cut.points - 1) / fine)[:, None]
    for done in np.linspace(0, 1, (cut.points - 1) * fine):
        at, below = skull.outside(path[-1] + way * stride, 0.0015 + cut.off * min(2 * done, 1))
        way = (at - path[-1]) / np.maximum(np.linalg.norm(at - path[-1], axis=1, keepdims=True), 1e-9)
        way += cut.gravity * stride / 0.01 * (0.0, -1.0, -0.7 * (1 - done) ** 3)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        path.append(at)
        outward.append(below)
    whole = np.stack(path, 1)
    whole[:, 1:-1] = (whole[:, :-2] + 2 * whole[:, 1:-1] + whole[:, 2:]) / 4
    return whole[:, ::fine], np.stack(outward[::fine], 1)


def _gathered(
    skull: _Skull, root: np.ndarray, step: np.ndarray, rng: np.random.Generator, part_left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(G, K, 3) guides combed from a parting over the skull to a knot at its back, and the normals below them."""
    back, front = root[:, 2].min(), root[:, 2].max()
    knot = np.array([0.0, skull.top - 0.085, back - 0.012])
    parting = rng.choice([0.0, 0.022, -0.022]) if rng.random() < 0.6 else None
    reach = rng.uniform(0.45, 0.85, len(root))[:, None, None] * step[None, :, None]
    line = root[:, None] + (knot - root)[:, None] * reach
    over_ear = 1.3 * np.maximum(knot[1] + 0.004 - root[:, 1], 0) * (root[:, 2] > 0.5 * (back + front))
    line[..., 1] += over_ear[:, None] * (4 * reach * (1 - reach))[..., 0]
    if parting is not None:
        forward = np.clip((root[:, 2] - back) / (front - back) * 1.6 - 0.5, 0, 1)
        away = np.tanh((root[:, 0] - parting) / 0.012)
        aside = np.stack([0.055 * away, np.full(len(root), -0.02), np.zeros(len(root))], -1)
        line = line + (aside * forward[:, None])[:, None] * (4 * reach * (1 - reach))
    flat, normal = skull.outside(line.reshape(-1, 3), 0.0012)
    path = flat.reshape(line.shape)
    path[:, 0] = root
    return path, normal.reshape(line.shape)


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
    layer = rng.uniform(0, 1, count)
    curves = centre + unit * radius * (0.86 + 0.14 * layer[:, None, None])
    column = _columns(curves[:, 0], layer, np.arange(count), rng)
    return Strands(curves, rng.uniform(1.2e-3, 2.4e-3, count), unit, column)


def _curls(
    normal: np.ndarray, flow: np.ndarray, step: np.ndarray, cut: _Cut, tuft: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(S, K, 3) offsets that wind the strands of a tuft together."""
    tufts = tuft.max() + 1
    phase = (rng.uniform(0, 2 * np.pi, tufts)[tuft] + rng.normal(0, 0.5, len(tuft)))[:, None]
    turns = (cut.curl[1] * rng.uniform(0.7, 1.3, tufts)[tuft])[:, None] * 2 * np.pi * step
    grown = cut.curl[0] * (rng.uniform(0.6, 1.4, tufts)[tuft])[:, None] * np.minimum(step * 3, 1)
    across = np.cross(normal, flow)
    first, second = grown * (np.cos(phase + turns) - np.cos(phase)), grown * (np.sin(phase + turns) - np.sin(phase))
    return first[..., None] * across[:, None] + second[..., None] * flow[:, None]


def scalp_cover(line: Hairline, size: int) -> np.ndarray:
    """(size, size) float32 0..1 how much of the scalp's skin its hair colours, less towards the hairline."""
    small = 512
    v, u = (np.mgrid[0:small, 0:small].reshape(2, -1) + 0.5) / small
    inside = hair_distance(np.stack([u, v], -1), line).reshape(small, small)
    return resize_bilinear(smoothstep((inside + 0.008) / 0.034).astype(np.float32), (size, size))
