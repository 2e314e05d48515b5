"""The skin's relief: pores and the fine net of furrows between them, creases of the lips, lines of age at rest.

Pores and furrows come from a tile that `scripts/build_faces.py` makes: plateaus of about a millimetre between furrows
0.3 mm wide, pores 1.3 mm apart (Hashimoto 1974, "New methods for surface ultrastructure"; plausible, not measured).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.face import regions
from engine.face.layout import SLITS
from engine.face.noise import on_skin, skin_noise

TEXEL_MM = 0.55
"""Width of a texel of a 512 map on the front of the face, mean of the FFHQ-UV layout."""
TILE_SIDE, TILES = 512, 4
"""Texels of the tile, and how many of them go to `noise.PERIOD_MM`."""


def tiled(size: int, seed: int) -> np.ndarray:
    """(size, size, 2) float32 0..1: furrows and pores on the skin, two layers of tiles so that none repeats."""
    with np.load(Path(__file__).parent / "relief.npz", allow_pickle=False) as stored:
        tile = stored["relief"].astype(np.float32) / 255
    step = max(TILE_SIDE * TILES // max(size, TILES), 1)
    tile = tile.reshape(2, TILE_SIDE // step, step, TILE_SIDE // step, step).mean(axis=(2, 4))
    rng = np.random.default_rng([seed, 11])
    tile = np.roll(np.moveaxis(tile, 0, -1), tuple(rng.integers(0, TILE_SIDE, 2)), axis=(0, 1))
    share = np.clip(0.5 + 0.8 * skin_noise(rng, size, 5), 0, 1)[..., None]
    first = on_skin(tile, size, TILES)
    return first + share * (on_skin(tile, size, TILES * 0.9, turned=True) - first)


def micro_relief(size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(size, size) 0..1 depth of pores and of furrows: pores strongest on nose and cheeks, none on lips and lids,
    furrows on cheeks, lids and forehead."""
    furrows, pores = np.moveaxis(tiled(size, seed), -1, 0)
    nose, cheek = regions.mask("nose", size, 0.03), regions.mask("cheek", size, 0.05)
    chin, forehead = regions.mask("chin", size, 0.04), regions.mask("forehead", size, 0.05)
    lips = np.maximum(regions.mask("upper_lip", size, 0.008), regions.mask("lower_lip", size, 0.008))
    lids = np.maximum(regions.mask("upper_lid", size, 0.008), regions.mask("lower_lid", size, 0.010))
    open_ = np.maximum.reduce([0.30 + 0 * nose, 1.0 * nose, 0.85 * cheek, 0.6 * chin, 0.5 * forehead])
    netted = np.maximum.reduce([0.55 + 0 * nose, 0.9 * cheek, 0.8 * forehead, 1.0 * lids]) * (1 - 0.6 * nose)
    return pores * open_ * (1 - lips) * (1 - 0.8 * lids), furrows * netted * (1 - lips)


def lines_mm(age_years: float, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) mm: creases of the lips, unevenness, and lines of age at rest (forehead, eyes' corners, nose to
    mouth)."""
    y, x = (np.mgrid[0:size, 0:size].astype(np.float32) + 0.5) / size
    lips = np.maximum(regions.mask("upper_lip", size, 0.006), regions.mask("lower_lip", size, 0.006))
    fan = (x - 0.5) * (1 + 2.0 * np.abs(y - 0.58)) + 0.004 * skin_noise(rng, size, 14)
    creases = np.abs(np.sin(fan * 260 + 1.5 * skin_noise(rng, size, 24))) ** 0.6
    height = 0.06 * lips * (creases - 0.7) + 0.05 * skin_noise(rng, size, 22) * (1 - lips)
    height += 0.011 * skin_noise(rng, size, 100) + 0.006 * skin_noise(rng, size, 260)
    years = np.clip((age_years - 25) / 45, 0, 1.2)
    bend, broken = 0.012 * skin_noise(rng, size, 3), np.clip(0.55 + 0.5 * skin_noise(rng, size, 6), 0, 1.2)
    level = 2 * np.pi * (y + bend - 0.25 * (x - 0.5) ** 2 + 0.0010 * skin_noise(rng, size, 30))
    furrowed = years * broken * regions.mask("forehead", size, 0.06)
    for lines, depth_mm, narrow in ((27, 0.20, 12), (73, 0.04, 8)):
        height -= depth_mm * furrowed * np.clip(np.cos(level * lines + skin_noise(rng, size, 4)), 0, 1) ** narrow
    fold = np.exp(-(((regions.distance("nasolabial", size) + 0.007) / 0.006) ** 2))  # its outline is 0.014 wide
    height -= (0.05 + 0.35 * years) * fold
    eye = SLITS[2]  # lines run out from its outer corner
    fan = np.arctan2(y - eye.v_line[-1], np.abs(x - 0.5) - eye.u_right + 0.51) + 8 * bend
    crow = np.clip(np.cos(fan * 24), 0, 1) ** 6 * regions.mask("crow_feet", size, 0.03)
    height -= years * 0.16 * crow * broken
    below = np.cos((y + 0.4 * np.abs(x - 0.5) + bend) * 2 * np.pi * 60) * regions.mask("under_eye", size, 0.02)
    height -= (0.01 + 0.12 * years) * np.clip(below, 0, 1) ** 3 * broken
    rings = np.cos((y + 0.25 * (x - 0.5) ** 2 + bend) * 2 * np.pi * 13) * regions.mask("neck", size, 0.06)
    height -= (0.04 + 0.25 * years) * np.clip(rings, 0, 1) ** 10 * broken
    return height
