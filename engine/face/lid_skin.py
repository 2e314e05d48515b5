"""Skin for the upper lids of textures that have none there.

FFHQ-UV's textures come from photographs with open eyes: where the eyeball was, above each slit, they keep a dull dark
patch, the same on every head. Nobody sees it until the lid closes.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from engine.color import bytes_from_unit, linear_from_srgb, luminance, srgb_from_linear
from engine.face import layout
from engine.face.noise import gaussian_blur
from engine.face.transfer import resize_area
from engine.image import resize_bilinear

_SIZE = 512
_HEIGHT, _LASHES, _BELOW = 0.028, 0.012, 0.0035
"""In v: height of the patch over the middle of the slit, of the lashes drawn above it, and its reach below the slit.
What is interpolated is wider on both sides, so that neither lashes nor the slit's dark edge colour the lid."""
_DULL = 0.8
"""A lid whose linear luminance is below this share of the skin around it is taken for a patch."""


def repair_lids(diffuse_srgb: np.ndarray) -> tuple[np.ndarray, bool]:
    """(H, W, 3) uint8 texture in the canonical layout -> the same with skin on its upper lids, and if it lacked it.

    The patch takes the smooth colour that interpolates the skin around it (harmonic: a soap film) and keeps its own
    detail. A texture whose lids are about as bright as the skin around them comes back as it is.
    """
    linear = linear_from_srgb(diffuse_srgb)
    small = resize_area(linear, _SIZE)
    smooth, local = (
        np.stack([gaussian_blur(small[..., channel], sigma) for channel in range(3)], axis=-1) for sigma in (2.5, 1.2)
    )
    share, target = np.zeros((_SIZE, _SIZE, 1), np.float32), smooth.copy()
    for slit in layout.SLITS[1:]:
        away, reach = _from_slit(slit)
        filled = (away > -reach * (_HEIGHT + _LASHES)) & (away < reach * 3 * _BELOW) & (reach > 0)
        if not _is_dull(slit, smooth):
            continue
        target[filled] = harmonic(smooth, filled)[filled]
        above = np.clip((away + reach * (_HEIGHT + _LASHES / 2)) / _LASHES, 0, 1)
        below = np.clip((reach * _BELOW - away) / 0.002, 0, 1)
        share = np.maximum(share, (above * below * filled)[..., None])
    if not share.any():
        return diffuse_srgb, False
    share = resize_bilinear(gaussian_blur(share[..., 0], 0.7), linear.shape[:2])[..., None]
    gain = resize_bilinear(target / np.maximum(local, 1e-3), linear.shape[:2])
    aim = resize_bilinear(target, linear.shape[:2])
    # detail within bounds: neither the black slots along the slit nor halos around the patch
    repaired = np.clip(linear * gain, 0.85 * aim, np.maximum(linear, 1.1 * aim))
    return bytes_from_unit(srgb_from_linear(linear + share * (repaired - linear))), True


def _from_slit(slit: layout.Slit) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) v below the slit's line, and (S, S) 0..1 half an ellipse over it, a tenth longer than the slit."""
    centres = (np.arange(_SIZE) + 0.5) / _SIZE
    u, v = np.meshgrid(centres, centres)
    along = (slit.along(u) * 2 - 1) / 1.12
    return (v - slit.v_at(u)).astype(np.float32), np.sqrt(np.maximum(1 - along**2, 0)).astype(np.float32)


def _is_dull(slit: layout.Slit, smooth: np.ndarray) -> bool:
    """Whether the lower half of the upper lid is much darker than the lower lid and the skin under the brow."""
    away, _ = _from_slit(slit)
    u = (np.arange(_SIZE) + 0.5) / _SIZE
    middle = (np.abs(slit.along(u) - 0.5) < 0.25)[None]
    tone = luminance(smooth)
    lid = np.median(tone[middle & (away > -0.014) & (away < -0.004)])
    around = [np.median(tone[middle & (away > low) & (away < high)]) for low, high in ((0.006, 0.014), (-0.05, -0.042))]
    return bool(lid < _DULL * min(around))


def harmonic(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(S, S, 3) `image` with its `unknown` texels solving Laplace's equation between the known ones."""
    number = np.full(unknown.shape, -1)
    rows, columns = np.nonzero(unknown)
    number[rows, columns] = np.arange(len(rows))
    right = np.zeros((len(rows), image.shape[2]))
    entries = [(np.arange(len(rows)), np.arange(len(rows)), np.full(len(rows), 4.0))]
    for down, across in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        y, x = rows + down, columns + across
        inner = number[y, x] >= 0
        entries.append((np.flatnonzero(inner), number[y, x][inner], np.full(inner.sum(), -1.0)))
        right[~inner] += image[y, x][~inner]
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = coo_matrix((value, (row, column)), shape=(len(rows), len(rows))).tocsc()
    result = image.copy()
    result[rows, columns] = spsolve(matrix, right)
    return result
