"""The shipped atlas of fold families: statistics of lines in the canonical layout, and how each family is drawn.

`fold_atlas.json` says how many rows a family has, how far apart, how long, how broken, and holds a lattice that takes
millimetres along (s) and across (t) the family's lines to UVs: counted from lines drawn by hand on photographs. What it
calls look (depth, width, what stays at rest, the compression that is full, action units) is chosen by eye between what
Lemperle et al. 2001 and Hatzis 2004 name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import RectBivariateSpline

FAMILIES: tuple[str, ...] = (
    "forehead", "glabella", "procerus", "bunny", "crow", "undereye", "nasolabial", "cheek", "marionette", "mental",
    "upperlip", "rhytid", "neck", "chin",
)  # fmt: skip
"""Fold families in their order; chin: the pits of a raised chin, not counted."""
COUNTED = FAMILIES[:-1]
LOOK_AGES = (20.0, 45.0, 72.0)
"""Years for which looks are given."""
FIVE, LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9), (0.05, 0.25, 0.5, 0.75, 0.95)
"""Quantiles that spacings and lengths, and levels, are given as."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """How a family's lines are drawn, chosen by eye."""

    wander_mm: float = 0.12
    """Of each line by itself."""
    flow_mm: float = 0.3
    """Of all lines of a side together, so that neighbours run alike."""
    modes: float = 1.0
    """Share of the counted bending that is drawn."""
    fine: float = 0.0
    """Mean number of companions beside the rows at 45 years."""
    ends: tuple[float, float] = (0.45, 0.45)
    """Share of half a line over which it deepens from its start, and fades to its end."""
    wide_gap_mm: float = 1.3
    """Rows are at least so far apart."""
    stray: float = 1.0
    """How far the rows' middle lies from everyone's, as a share of what is counted in photographs at rest."""


DRAWN: dict[str, Drawn] = {
    "forehead": Drawn(wander_mm=0.16, flow_mm=0.55, fine=7, ends=(0.7, 0.7), wide_gap_mm=3.6, stray=0.4),
    "glabella": Drawn(modes=0.3, fine=1.0, ends=(0.8, 0.7), wide_gap_mm=4.5),
    "procerus": Drawn(fine=2, ends=(0.7, 0.7), wide_gap_mm=2.2),
    "bunny": Drawn(fine=2, ends=(0.6, 0.8)),
    "crow": Drawn(wander_mm=0.08, flow_mm=0.35, modes=0.8, fine=4, ends=(0.4, 1.4), wide_gap_mm=2.4, stray=0.3),
    "undereye": Drawn(flow_mm=0.4, fine=6, ends=(0.7, 0.9), wide_gap_mm=1.6),
    "nasolabial": Drawn(flow_mm=0.2, modes=0.45, ends=(0.8, 1.2)),
    "cheek": Drawn(modes=0.4, ends=(0.8, 0.9), wide_gap_mm=6.0),
    "marionette": Drawn(modes=0.5, ends=(0.7, 0.7)),
    "mental": Drawn(ends=(0.7, 0.7)),
    "upperlip": Drawn(),
    "rhytid": Drawn(flow_mm=0.2, ends=(0.8, 0.6)),
    "neck": Drawn(),
    "chin": Drawn(wander_mm=0.0, flow_mm=0.0),
}
MAIN_ONLY = ("nasolabial", "marionette", "mental", "cheek")
"""Families of one main row: others are shallow, and how many there are says little of the person."""


@lru_cache(maxsize=1)
def atlas() -> dict[str, dict[str, Any]]:
    """The counted families by name."""
    return json.loads((Path(__file__).parent / "fold_atlas.json").read_text())["families"]


def places(name: str, t_mm: np.ndarray, s_mm: np.ndarray) -> np.ndarray:
    """(N, 2) canonical UVs at levels and places along (N,) of a counted family, of the subject's left if paired."""
    lattice = atlas()[name]["lattice"]
    t = np.clip(t_mm, lattice["t_mm"][0] - 4, lattice["t_mm"][-1] + 4)
    return np.stack([spline.ev(t, s_mm) for spline in _splines(name)], -1)


@lru_cache(maxsize=32)
def _splines(name: str) -> tuple[RectBivariateSpline, RectBivariateSpline]:
    """u and v over (t, s) in mm."""
    lattice = atlas()[name]["lattice"]
    grid = np.array(lattice["uv"])
    first, second = (RectBivariateSpline(lattice["t_mm"], lattice["s_mm"], grid[..., k], kx=3, ky=3) for k in (0, 1))
    return first, second
