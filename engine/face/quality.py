"""Figures of a posed head that say whether it holds together: lids, lips, crossings, eyes and teeth.

All against the neutral, so that what is odd about a scan at rest is not put down to its expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from engine.derived import derived
from engine.expression import Expression
from engine.face import layout
from engine.face.contact import (
    along_with_middles,
    clearance_m,
    column_gap_m,
    depths_at_rest_m,
    depths_m,
    lining,
    sides,
    skin_m,
)
from engine.face.intersect import intersecting_pairs
from engine.face.lids import Eyeball, eye_slit, lid_gap_m
from engine.face.registration import registered
from engine.face.transfer import lower_parts
from engine.identity import Identity
from engine.mesh import Part, sphere

TOUCH_M = 0.00005
"""Triangles that reach no further through each other's plane touch; they do not cross."""
_EYES = (("Left", Part.EYE_LEFT), ("Right", Part.EYE_RIGHT))
_LIDS_CLOSED = ("AU43", "AU45")
_LIPS_CLOSED = ("AU17", "AU23", "AU24", "AU28", "AU33")
_LIPS_PARTED = ("AU10", "AU16", "AU22", "AU25", "AU26", "AU27")


@dataclass(frozen=True, slots=True)
class Quality:
    """How one expression at full strength sits on one head. Millimetres; None where there is nothing to close."""

    lid_gap_mm: tuple[float, float] | None
    """Of the left and of the right eye, if the expression shuts them: the widest opening between the rims."""
    lid_crossing_mm: float
    """How deep the lids of one eye are in each other."""
    lip_gap_mm: float | None
    """The widest opening between the lips, if the expression presses them together."""
    lip_crossing_mm: float
    crossing_pairs: int
    """Pairs of skin triangles that pass through each other by more than 0.05 mm, and not at rest."""
    crossing_share: float
    """Their share of the skin's area."""
    skin_in_eye_mm: float
    """How deep lids are in the eyeballs' surface."""
    teeth_through_mm: float
    """How far teeth stand out of the skin before them."""
    eye_drift_mm: float
    """How far an eyeball's centre moves."""
    teeth_drift_mm: float
    """How far the upper teeth move."""

    def faults(self) -> tuple[str, ...]:
        """What is out of bounds, for people; empty where all is well."""
        found = []
        for name, (text, most) in LIMITS.items():
            value = getattr(self, name) or 0.0
            value = max(value) if isinstance(value, tuple) else value
            if value > most:
                found.append(f"{text.format(value)} (at most {most:g})")
        return tuple(found)

    def __str__(self) -> str:
        lids = "" if self.lid_gap_mm is None else f"lid gap {max(self.lid_gap_mm):.2f} mm, "
        lips = "" if self.lip_gap_mm is None else f"lip gap {self.lip_gap_mm:.2f} mm, "
        return (
            f"{lids}{lips}lids {self.lid_crossing_mm:.2f} and lips {self.lip_crossing_mm:.2f} mm in each other, "
            f"{self.crossing_pairs} pairs of triangles cross ({100 * self.crossing_share:.3f}% of the skin), lids "
            f"{self.skin_in_eye_mm:.2f} mm in the eyes, teeth {self.teeth_through_mm:.2f} mm through the skin, eyes "
            f"moved {self.eye_drift_mm:.2f}, upper teeth {self.teeth_drift_mm:.2f} mm"
        )


LIMITS = {
    "lid_gap_mm": ("lids {:.2f} mm apart", 0.2),
    "lid_crossing_mm": ("lids {:.2f} mm in each other", 0.3),
    "lip_gap_mm": ("lips {:.2f} mm apart", 0.5),
    "lip_crossing_mm": ("lips {:.2f} mm in each other", 0.3),
    "crossing_pairs": ("{:.0f} pairs of triangles cross", 40),
    "skin_in_eye_mm": ("lids {:.2f} mm in the eyes", 0.5),
    "teeth_through_mm": ("teeth {:.2f} mm through the skin", 0.5),
    "eye_drift_mm": ("eyes moved {:.2f} mm", 0.1),
    "teeth_drift_mm": ("upper teeth moved {:.2f} mm", 0.1),
}
"""Field of `Quality` -> how it is said, and the largest that is not worth a word."""


def measure(identity: Identity, offsets_m: np.ndarray, facs: Mapping[str, float]) -> Quality:
    """Figures of `identity` moved by `offsets_m` (V, 3); `facs` says what the expression means to close."""
    skin = registered(identity.topology).vertices
    posed = skin_m(identity) + offsets_m[skin]
    shut = [_strength(facs, _LIDS_CLOSED, side) >= 0.99 for side, _ in _EYES]
    gaps = [
        1000 * lid_gap_m(identity.topology, posed, side) * closed for (side, _), closed in zip(_EYES, shut, strict=True)
    ]
    pressed = _strength(facs, _LIPS_CLOSED) >= 0.5 and not _strength(facs, _LIPS_PARTED)
    mouth = layout.SLITS[0]
    lips = 1000 * column_gap_m(sides(identity.topology, mouth), posed)
    pairs, share = _crossings(identity, offsets_m)
    upper_teeth = np.setdiff1d(identity.topology.vertices_of(Part.TEETH), lower_parts(identity))
    return Quality(
        lid_gap_mm=(_top(gaps[0]), _top(gaps[1])) if any(shut) else None,
        lid_crossing_mm=max(_depth_mm(identity, eye_slit(side), posed) for side, _ in _EYES),
        lip_gap_mm=_top(lips[2:-2]) if pressed else None,
        lip_crossing_mm=_depth_mm(identity, mouth, posed),
        crossing_pairs=pairs,
        crossing_share=share,
        skin_in_eye_mm=max(_in_eye_mm(identity, offsets_m, side, part) for side, part in _EYES),
        teeth_through_mm=_teeth_through_mm(identity, offsets_m),
        eye_drift_mm=max(_eye_drift_mm(identity, offsets_m, part) for _, part in _EYES),
        teeth_drift_mm=_top(1000 * np.linalg.norm(offsets_m[upper_teeth], axis=1)),
    )


def report(identity: Identity, expressions: Iterable[Expression]) -> list[str]:
    """Lines for people: one for each expression that is out of bounds, and one about all of them."""
    lines, found = [], []
    for expression in expressions:
        quality = measure(identity, expression.offsets_m, expression.facs)
        found.append(quality)
        if faults := quality.faults():
            lines.append(f"{expression.name}: {'; '.join(faults)}")
    if found:
        count = "1 expression" if len(found) == 1 else f"{len(found)} expressions"
        lines.append(f"geometry of {count}, {len(lines)} out of bounds; largest: {_worst(found)}")
    return lines


def _worst(found: Sequence[Quality]) -> Quality:
    """The largest of each figure."""

    def top(name: str) -> Any:
        given = [value for quality in found if (value := getattr(quality, name)) is not None]
        pairs = bool(given) and isinstance(given[0], tuple)
        return tuple(map(max, zip(*given, strict=True))) if pairs else max(given, default=None)

    return Quality(**{part.name: top(part.name) for part in fields(Quality)})


def _strength(facs: Mapping[str, float], units: tuple[str, ...], side: str = "") -> float:
    """The largest strength of any of `units`, on both sides or on `side`."""
    return max(max(facs.get(unit, 0.0), facs.get(unit + side[:1], 0.0)) for unit in units)


def _top(values: np.ndarray) -> float:
    return float(np.max(values, initial=0.0))


def _depth_mm(identity: Identity, slit: layout.Slit, posed_m: np.ndarray) -> float:
    """How much deeper than at rest the sides of a slit are in each other, its corners left out."""
    pair = sides(identity.topology, slit)
    deepest = 0.0
    for side, now, rest in zip(pair, depths_m(pair, posed_m), depths_at_rest_m(identity, slit), strict=True):
        along = along_with_middles(side)
        counted = (along > 0.05) & (along < 0.95) & (now > -0.004)
        deepest = max(deepest, _top((np.minimum(rest, 0.0) - now)[counted]))
    return 1000 * deepest


@derived
def _crossing_at_rest(identity: Identity) -> np.ndarray:
    """(K,) one number for each pair of skin triangles that cross."""
    faces = identity.topology.faces[identity.topology.faces_of(Part.SKIN)]
    pairs = intersecting_pairs(identity.positions_m.astype(np.float64), faces)
    return pairs[:, 0] * len(faces) + pairs[:, 1]


def _crossings(identity: Identity, offsets_m: np.ndarray) -> tuple[int, float]:
    """Pairs of skin triangles that cross now and not at rest, and the share of the skin's area in them. Under the lids,
    where their lining lies in folds, nobody looks."""
    faces = identity.topology.faces[identity.topology.faces_of(Part.SKIN)]
    rest = identity.positions_m.astype(np.float64)
    moves = np.abs(offsets_m).max(axis=1) > TOUCH_M
    moved = np.flatnonzero(moves[faces].any(axis=1))
    pairs = moved[intersecting_pairs(rest + offsets_m, faces[moved], TOUCH_M)]
    pairs = pairs[~np.isin(pairs[:, 0] * len(faces) + pairs[:, 1], _crossing_at_rest(identity))]
    rows = np.concatenate([lining(identity.topology, slit) for slit in layout.SLITS])
    inner = np.asarray(np.isin(faces, registered(identity.topology).vertices[rows]).any(axis=1))
    pairs = pairs[~inner[pairs].all(axis=1)]
    corners = rest[faces]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return len(pairs), float(area[np.unique(pairs)].sum() / area.sum())


def _in_eye_mm(identity: Identity, offsets_m: np.ndarray, side: str, part: Part) -> float:
    """How much deeper than at rest lid points are in the posed eyeball, whose surface is looked up by direction."""
    ball = identity.topology.vertices_of(part)
    if len(ball) < 8:
        return 0.0
    place = registered(identity.topology)
    slit, uv = eye_slit(side), place.opened_uv
    along = slit.along(uv[:, 0])
    lids = np.flatnonzero((along > -0.1) & (along < 1.1) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < 0.04))
    lid = place.vertices[np.setdiff1d(lids, lining(identity.topology, slit))]
    rest = identity.positions_m.astype(np.float64)
    centre, _ = sphere(rest[ball])
    depth = [Eyeball(pose[ball], centre).depth_m(pose[lid]) for pose in (rest, rest + offsets_m)]
    return 1000 * _top(depth[1] - np.maximum(depth[0], 0.0))


def _teeth_through_mm(identity: Identity, offsets_m: np.ndarray) -> float:
    """How much further than at rest teeth stand out of the skin around the mouth, looked at from the front."""
    teeth = identity.topology.vertices_of(Part.TEETH)
    if not len(teeth):
        return 0.0
    lips = np.concatenate([side.faces for side in sides(identity.topology, layout.SLITS[0])])
    lips = registered(identity.topology).vertices[lips]
    rest = identity.positions_m.astype(np.float64)
    out = []
    for pose in (rest, rest + offsets_m):
        sheet = pose[lips]
        facing = np.cross(sheet[:, 1] - sheet[:, 0], sheet[:, 2] - sheet[:, 0])[:, 2] > 0  # not the lips' inner side
        found = clearance_m(pose[teeth][:, [0, 2, 1]], sheet[facing][:, :, [0, 2, 1]], 1.0)
        out.append(np.where(np.isfinite(found), found, 0.0))
    return 1000 * _top(out[1] - np.maximum(out[0], 0.0))


def _eye_drift_mm(identity: Identity, offsets_m: np.ndarray, part: Part) -> float:
    ball = identity.topology.vertices_of(part)
    if len(ball) < 8:
        return 0.0
    rest = identity.positions_m[ball].astype(np.float64)
    return 1000 * float(np.linalg.norm(sphere(rest + offsets_m[ball])[0] - sphere(rest)[0]))
