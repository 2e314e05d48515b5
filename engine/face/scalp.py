"""The hair of the head: ribbons in tufts around guides, which are combed, fall and rest on the skull.

Shapes are plausible rather than measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.spatial import KDTree

from engine.face import layout, regions
from engine.face.groom import Skin
from engine.face.strands import SCALP, SHADES, Strands
from engine.image import resize_bilinear, smoothstep
from engine.mesh import vertex_normals


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
class Hairline:
    """Where a person's hair begins; canonical UV units."""

    low: float = 0.0
    """How far down it comes on the forehead."""
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
    """How far from the skull loose hair hangs, so that it covers the ears; 0 for hair that is not cut at one height."""
    end: float = 0.205
    """How far below the top of the head that is."""


_CUTS: dict[HairStyle, _Cut] = {
    HairStyle.BUZZED: _Cut(15000, 2, 0.55e-3, 0.0065, 0.0036, 0.60, 0.0, (0.1, 0, 0.6), 6, 1.0),
    HairStyle.CROPPED: _Cut(8000, 3, 1.3e-3, 0.024, 0.010, 0.45, 0.004, (0.25, 0, 0.8), 14, 0.7, 0.05),
    HairStyle.SWEPT: _Cut(2700, 6, 2.6e-3, 0.062, 0.022, 0.45, 0.009, (1.3, 0.1, 0.25), 12, 0.8, 0.40, stray=0.06),
    HairStyle.LOOSE: _Cut(1500, 16, 4.2e-3, 0.24, 0.24, 0.25, 0.005, (0, 0, 0), 2, 1.0, 0.7, stray=0.03, off=0.005),
    HairStyle.CURLED: _Cut(5400, 6, 2.0e-3, 0.015, 0.012, 1.0, 0.006, (0, 0, 0), 8, 0.9, 0.0, (0.0030, 0.9)),
    HairStyle.TIED: _Cut(1700, 12, 3.2e-3, 0.11, 0.09, 0.10, 0.0025, (0, 0, 0), 1),
    HairStyle.RECEDING: _Cut(7000, 3, 1.2e-3, 0.013, 0.009, 0.28, 0.002, (0.1, 0, -0.2), 12, 0.8, 0.05),
}


def hair(
    skin: Skin,
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
    cut, line, tied, skull = _CUTS[style], line or Hairline(), style is HairStyle.TIED, _Skull(skin)
    combed = tied or cut.off > 0
    root, normal, share, height = _roots(skin, cut, line, rng)
    count, step = len(root), np.linspace(0, 1, cut.points)
    guides = max(count // cut.together, 1)
    guide = np.asarray(KDTree(root[:guides]).query(root + rng.normal(0, 0.0012, root.shape))[1])
    flow, rise = _flow(skin, root[:guides], height[:guides], style, rng, part_left)
    flow = _along(flow, normal[:guides])
    length = (cut.side + (cut.top - cut.side) * height) * (0.25 + 0.75 * share) * rng.uniform(0.7, 1.1, guides)[guide]
    if cut.off:  # all as long as the longest; they are cut at one height
        length[:] = cut.top
    if cut.side < 0.03:  # short before the ears and at the nape
        length *= np.clip((root[:, 1] - skull.top + 0.130) / 0.040, 0.35, 1)
    if tied:
        path, outward = _gathered(skull, root[:guides], step, rng, part_left)
        own = np.ones(count)
    else:
        path, outward = _fallen(skull, root[:guides], normal[:guides], flow, rise, length[:guides], cut, rng)
        own = (length / length[:guides][guide]).clip(0.3, 1.5) * rng.uniform(0.96 if cut.off else 0.75, 1.05, count)
    layer = rng.uniform(0 if cut.volume else 0.7, 1, count)
    strays = rng.random(count) < (0.0 if combed else 0.04)
    own[strays] *= 0.5
    apart = (root - root[guide])[:, None] * (1 - (1 - cut.loose) * step[:, None])
    curves = root[guide][:, None] + apart + (path - path[:, :1])[guide] * own[:, None, None]
    raised = np.minimum((layer + strays) * cut.volume, 0.3 * length) * (0.3 + 0.7 * share)
    raised = raised[:, None] * np.minimum(3 * step, 1)
    if tied:  # full on top, flat where it is gathered
        raised = (raised + 0.004 * np.clip((curves[..., 1] - skull.top + 0.06) / 0.05, 0, 1)) * (1 - 0.9 * step**4)
        raised *= np.minimum(4 * step, 1)
    curves += outward[guide] * raised[..., None]
    astray = rng.normal(0, 0.02 if combed else 0.06, (count, 1, 3))
    curves += astray * (np.minimum(length, 0.08)[:, None] * step**1.5)[..., None]
    if cut.curl[0]:
        curves += _curls(normal, flow[guide], step, cut, guide, rng) * share[:, None, None] ** 0.5
    width = np.minimum(cut.width, length / 4) * rng.uniform(0.5, 1.1, count) * (0.08 + 0.92 * share**1.5)
    width[strays] *= 0.1
    facing = outward[guide] + rng.normal(0, 0.15 if tied else 0.4, (count, 1, 3))
    facing /= np.linalg.norm(facing, axis=2, keepdims=True)
    column = _columns(root, layer, guide, rng)
    first = count // 6  # of all layers, for coarse pictures; then those that hide others
    order = np.concatenate([np.arange(first), first + np.argsort(-layer[first:])])
    return Strands(curves[order], width[order], facing[order], column[order])


def down(skin: Skin, style: HairStyle, rng: np.random.Generator, line: Hairline) -> Strands | None:
    """The short and fine hairs before and along the hairline."""
    if style in (HairStyle.SHAVED, HairStyle.BUZZED, HairStyle.RECEDING):
        return None
    root, normal, place = _scattered(skin, 18000, rng, line)
    inside = distance(place, line)
    chosen = (inside < 0.012) & (rng.random(len(root)) < np.clip((inside + 0.012) / 0.02, 0, 1) ** 2)
    root, normal, count = root[chosen], normal[chosen], int(chosen.sum())
    flow, _ = _flow(skin, root, np.ones(count), style, rng, False)
    if style is HairStyle.TIED:
        flow = np.array([0.0, skin.positions_m[:, 1].max() - 0.07, root[:, 2].min()]) - root
    flow = _along(_along(flow, normal) + rng.normal(0, 0.25, root.shape), normal)
    step, length = np.linspace(0, 1, 3), rng.uniform(0.006, 0.016, count)
    rise = rng.uniform(0.05, 0.35, count)[:, None] * step * (1.3 - step)
    curves = root[:, None] + length[:, None, None] * (flow[:, None] * step[:, None] + normal[:, None] * rise[..., None])
    column = SCALP[0] + SHADES * rng.integers(4, 10, count) + rng.integers(SHADES, size=count)
    return Strands(curves, rng.uniform(0.7e-4, 1.3e-4, count), normal[:, None], column)


def _along(way: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """(S, 3) unit directions of `way` on a surface with (S, 3) `normal`."""
    flat = way - normal * (way * normal).sum(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)


def _columns(root: np.ndarray, layer: np.ndarray, tuft: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(S,) colours: those of a `tuft` are alike, what lies below (`layer` 0 to 1) is darker, and tufts turn grey one by
    one, low ones first."""
    wave = rng.normal(0, 1, (5, 3)) * 90
    streak = sum(np.sin(root @ wave[k] + rng.uniform(0, 6.3)) for k in range(5)) / 5
    own = rng.normal(0, 0.5, tuft.max() + 1)[tuft]
    tone = 0.10 + 0.62 * layer + 0.10 * streak + 0.16 * own + rng.normal(0, 0.08, len(root))
    low = np.clip((root[:, 1].max() - root[:, 1]) / 0.10, 0, 1)
    grey = 0.3 + 0.4 * low + 0.25 * streak + rng.normal(0, 0.35, tuft.max() + 1)[tuft] + rng.normal(0, 0.25, len(root))
    tones = len(SCALP) // SHADES
    at = SHADES * np.clip(tone * tones, 0, tones - 1).astype(int) + np.clip(grey * SHADES, 0, SHADES - 1).astype(int)
    return SCALP[0] + at


def distance(uv: np.ndarray, line: Hairline | None = None) -> np.ndarray:
    """(N,) how far (N, 2) canonical places lie inside the hair, UV units."""
    line = line or Hairline()
    aside, v = np.abs(uv[:, 0] - 0.5), uv[:, 1]
    inside = layout.sample_bilinear(np.asarray(regions.distance("hairless", 512))[..., None], uv)[:, 0]
    before_ear = np.minimum(0.017 - np.abs(aside - 0.266), np.minimum(v - 0.26, 0.405 + line.sideburns - v))
    inside = np.maximum(inside, before_ear)
    inside += line.peak * _bump(aside, 0, 0.035) + line.point * _bump(aside, 0.228, 0.03) * _bump(v, 0.285, 0.035)
    inside += line.low * (smoothstep((0.30 - v) / 0.1) + 1.15 * _bump(aside, 0.150, 0.04) * _bump(v, 0.16, 0.05))
    inside -= line.temples * _bump(aside, 0.165, 0.05) * _bump(v, 0.15, 0.06)
    if line.bald:  # a wreath is left
        inside = np.minimum(inside, 0.6 * (v - line.bald + 0.3 * np.maximum(aside - 0.2, 0)))
    for waves, high in ((23, 0.0045), (57, 0.0030), (131, 0.0016)):
        inside += high * np.sin(waves * (uv[:, 0] + 0.61 * v + line.phase)) * np.cos(0.7 * waves * v)
    inside = np.minimum(np.minimum(inside, 0.665 - v), _from_ear(uv) - 0.010)  # the nape; behind and above the ear
    return inside


def _from_ear(uv: np.ndarray) -> np.ndarray:
    """(N,) how far (N, 2) canonical places lie outside of the ears, UV units."""
    return layout.sample_bilinear(np.asarray(regions.distance("ear", 512))[..., None], uv)[:, 0]


def _bump(x: np.ndarray, middle: float, width: float) -> np.ndarray:
    return np.exp(-(((x - middle) / width) ** 2))


def _roots(
    skin: Skin, cut: _Cut, line: Hairline, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Places (S, 3), normals (S, 3), how far inside of the hairline 0..1 (S,), and 1 on top of the head (S,)."""
    root, normal, place = _scattered(skin, cut.locks, rng, line)
    share = np.clip((distance(place, line) + 0.006 + 0.006 * rng.standard_normal(cut.locks)) / 0.036, 0, 1)
    grows = rng.random(cut.locks) < np.clip(3 * share - (0.9 if cut.top > 0.1 else 0.4), 0, 1)
    height = np.clip((root[:, 1] - (skin.positions_m[:, 1].max() - 0.080)) / 0.055, 0, 1)
    return root[grows], normal[grows], share[grows], height[grows]


def _scattered(
    skin: Skin, count: int, rng: np.random.Generator, line: Hairline
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(count, 3) places and normals, evenly over the skin within 0.03 of the hair, and (count, 2) canonical ones."""
    hairy = distance(skin.corner_uv.mean(axis=1), line) > -0.03
    faces, uv = skin.faces[hairy], skin.corner_uv[hairy]
    corners = skin.positions_m[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(faces), count, p=area / area.sum())
    weight = rng.dirichlet((1, 1, 1), count)[..., None]
    normal = (vertex_normals(skin.positions_m, skin.faces)[faces[chosen]] * weight).sum(axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return (corners[chosen] * weight).sum(axis=1), normal, (uv[chosen] * weight).sum(axis=1)


def _flow(
    skin: Skin, root: np.ndarray, height: np.ndarray, style: HairStyle, rng: np.random.Generator, part_left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(S, 3) where hair wants to go: away from whorl or parting, down at the sides, forward or aside on top; in waves.
    And (S,) how much it rises there, 0 to 1: little around the whorl."""
    cut = _CUTS[style]
    top, back = skin.positions_m[:, 1].max(), root[:, 2].min()
    side = 1.0 if part_left else -1.0
    whorl = np.array([0.012 * side, top - 0.012, back + 0.055])
    away = root - whorl
    far = np.linalg.norm(away, axis=1)
    rise = (0.45 + 0.55 * height) * np.clip(far / 0.08 - 0.2, 0.1, 1)
    away /= np.maximum(far, 0.03)[:, None]
    if style is HairStyle.LOOSE:
        parted = np.tanh((root[:, 0] + rng.choice([0, 0.018, 0.028]) * side) / 0.006)
        ahead = smoothstep((root[:, 2:] - back - 0.06) / 0.05)
        away += ahead * (np.stack([parted, np.full(len(root), -0.1), np.full(len(root), -0.6)], -1) - away)
    flow = away + height[:, None] * np.array(cut.sweep) * (side, 1, 1)
    flow += (1 - height[:, None]) * np.array([0, -0.9, -0.15])
    wave = rng.normal(0, 1, (6, 3)) * 100
    for number in range(6):
        flow += np.sin(root @ wave[number] + rng.uniform(0, 6.3))[:, None] * rng.normal(0, 0.75 * cut.stray, 3)
    return flow + rng.normal(0, cut.stray, root.shape), rise


class _Skull:
    """What hair rests on."""

    def __init__(self, skin: Skin) -> None:
        self.top = skin.positions_m[:, 1].max()
        from_ear = _from_ear(skin.corner_uv.mean(axis=1))
        bare = np.unique(skin.faces[from_ear > 0.004])  # hair passes ears by
        ears = skin.positions_m[skin.faces[from_ear < 0]].mean(axis=1)
        self.ears = np.stack([ears[ears[:, 0] * side > 0].mean(axis=0) for side in (-1, 1)])
        self._positions, self._normals = skin.positions_m[bare], vertex_normals(skin.positions_m, skin.faces)[bare]
        self._tree = KDTree(self._positions)

    def outside(
        self, points: np.ndarray, least_m: np.ndarray | float, most_m: float = np.inf, near_m: float = np.inf
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, 3) `points` at least and at most so far out, if skin is so near, and the normals of the skin below
        them."""
        far, near = self._tree.query(points)
        normal = self._normals[near]
        depth = ((points - self._positions[near]) * normal).sum(axis=1)
        return points + normal * ((depth.clip(least_m, most_m) - depth) * (far < near_m))[:, None], normal


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
    angle = (cut.lift * rise * rng.uniform(0.6, 1.3, len(root)))[:, None]
    way = flow * np.cos(angle) + normal * np.sin(angle)
    path, outward, fine = [root], [normal], max(round(float(length.max()) / (cut.points - 1) / 0.008), 1)
    stride, back = (length / (cut.points - 1) / fine)[:, None], 0.35 if cut.off else 0.7
    neck = np.array([0.0, 0.0, skull.ears[0, 2]])
    for done in np.linspace(0, 1, (cut.points - 1) * fine):
        least = 0.0015 + np.full(len(root), cut.off * min(4 * done, 1))
        if cut.off:  # over the ears
            near = np.linalg.norm(path[-1][:, None] - skull.ears, axis=2).min(axis=1)
            least += 0.008 * np.exp(-((near / 0.035) ** 2))
        at, below = skull.outside(path[-1] + way * stride, least, near_m=0.025)
        way = (at - path[-1]) / np.maximum(np.linalg.norm(at - path[-1], axis=1, keepdims=True), 1e-9)
        way += cut.gravity * stride / 0.01 * (0.0, -1.0, -back * (1 - done) ** 3)
        if cut.off:
            low = np.clip((skull.ears[0, 1] - at[:, 1:2]) / 0.05, 0, 1)
            inwards = (neck - at) * (1, 0, 1)
            way += 0.22 * low * inwards / np.linalg.norm(inwards, axis=1, keepdims=True)
            before = np.clip((at[:, 2] - neck[2] - 0.03) / 0.03, 0, 1) * np.clip(
                (0.068 - np.abs(at[:, 0])) / 0.02, 0, 1
            )
            way += 0.6 * before[:, None] * np.stack([np.sign(at[:, 0]), 0 * before, 0 * before - 0.5], -1)
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        path.append(at)
        outward.append(below)
    whole, outwards = np.stack(path, 1), np.stack(outward, 1)
    for _ in range(4):
        whole[:, 1:-1] = (whole[:, :-2] + 2 * whole[:, 1:-1] + whole[:, 2:]) / 4
    last = np.full(len(root), whole.shape[1] - 1.0)
    if cut.off:
        last = np.argmax(np.c_[whole[:, :, 1] < skull.top - cut.end, last > 0], axis=1).clip(2, last)
    at = last[:, None] * np.linspace(0, 1, cut.points) ** (1.4 if cut.off else 1)  # it bends at the top
    before, rows = np.minimum(at.astype(int), whole.shape[1] - 2), np.arange(len(root))[:, None]
    share = (at - before)[..., None]
    between = [each[rows, before] * (1 - share) + each[rows, before + 1] * share for each in (whole, outwards)]
    return between[0], between[1]


def _gathered(
    skull: _Skull, root: np.ndarray, step: np.ndarray, rng: np.random.Generator, part_left: bool
) -> tuple[np.ndarray, np.ndarray]:
    """(G, K, 3) guides combed from a parting over the skull to a knot at its back, and the normals below them."""
    back, front = root[:, 2].min(), root[:, 2].max()
    knot = np.array([0.0, skull.top - 0.085, back - 0.012])
    parting = float(rng.choice([0.0, 0.022 if part_left else -0.022]))
    reach = rng.uniform(0.75, 1.0, len(root))[:, None, None] * step[None, :, None]
    line = root[:, None] + (knot - root)[:, None] * reach
    over_ear = 1.3 * np.maximum(knot[1] + 0.004 - root[:, 1], 0) * (root[:, 2] > 0.5 * (back + front))
    line[..., 1] += over_ear[:, None] * (4 * reach * (1 - reach))[..., 0]
    if rng.random() < 0.6:
        forward = np.clip((root[:, 2] - back) / (front - back) * 1.6 - 0.5, 0, 1)
        away = np.tanh((root[:, 0] - parting) / 0.012)
        aside = np.stack([0.038 * away, np.full(len(root), -0.01), np.full(len(root), -0.015)], -1)
        line = line + (aside * forward[:, None])[:, None] * (4 * reach * (1 - reach))
    flat = skull.outside(line.reshape(-1, 3), 0.0012, 0.002)[0]
    flat, normal = skull.outside(flat, 0.0012, 0.002)
    path = flat.reshape(line.shape)
    path[:, 0] = root
    return path, normal.reshape(line.shape)


def knot(skin: Skin, rng: np.random.Generator) -> Strands:
    """A bun at the back of the head: strands wound around a ball."""
    positions = skin.positions_m
    top = positions[:, 1].max()
    behind = positions[(np.abs(positions[:, 1] - (top - 0.085)) < 0.006) & (np.abs(positions[:, 0]) < 0.01)]
    centre = np.array([0.0, top - 0.085, behind[:, 2].min() - 0.016])
    count, points, radius = 160, 5, np.array([0.030, 0.027, 0.024])
    turn = rng.uniform(0, 2 * np.pi, count)
    tilt = np.clip(rng.normal(0, 0.5, count), -1.3, 1.3)
    wound = np.linspace(0, 1.9, points)[None] + turn[:, None]
    lean = tilt[:, None] + 0.25 * np.linspace(-1, 1, points)[None] * rng.normal(0, 1, (count, 1))
    unit = np.stack([np.cos(wound) * np.cos(lean), np.sin(wound) * np.cos(lean), -np.sin(lean)], -1)
    layer = rng.uniform(0, 1, count)
    curves = centre + unit * radius * (0.86 + 0.14 * layer[:, None, None])
    column = _columns(curves[:, 0], layer, np.arange(count), rng)
    return Strands(curves, rng.uniform(2.4e-3, 4.0e-3, count), unit, column)


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


def cover(line: Hairline, size: int, soft: float) -> np.ndarray:
    """(size, size) float32 0..1 how much of the scalp's skin its hair colours, rising over `soft` UV units from the
    hairline."""
    small = 512
    inside = distance(layout.texel_uv(small), line).reshape(small, small)
    return resize_bilinear(smoothstep((inside + 0.008) / soft).astype(np.float32), (size, size))
