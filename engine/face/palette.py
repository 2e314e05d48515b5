"""The colours of hair: the palette that strands look theirs up in, and what shows of hair on the skin below it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.face import groom, scalp
from engine.face.noise import band_noise
from engine.face.scalp import HairStyle
from engine.face.skin import lash_line, meeting
from engine.face.strands import BROWS, COLUMNS, LASHES, PALETTE, ROWS, SCALP, SHADES, Place
from engine.face.traits import GREY_RGB, Person
from engine.identity import ReflectanceMaps
from engine.image import resize_bilinear

_ROUGHNESS = np.where(np.isin(np.arange(COLUMNS), SCALP), 0.30, 0.50)
"""Of each column: brows and lashes lie less in order."""
_COVERED = {HairStyle.SHAVED: 0.45, HairStyle.RECEDING: 0.80, HairStyle.BUZZED: 0.90}
"""How much of the scalp is hair where it is thickest; where it is long, no skin is seen between its strands."""
_SHADED = {HairStyle.SHAVED: 0.0, HairStyle.BUZZED: 0.40, HairStyle.RECEDING: 0.3, HairStyle.CROPPED: 0.45}
"""Share of the light that hair keeps from the scalp."""
_THIN_RGB = np.array([0.020, 0.012, 0.008])
"""What comes through hairs as thin as a brow's, however dark."""
_UNDER_HAIR = 0.6
"""Most of the skin's own light that is seen between hairs."""


def with_hair(maps: ReflectanceMaps, person: Person) -> ReflectanceMaps:
    """`maps` of a person's bare skin with the palette in a corner, and the hair's colour on scalp and brows."""
    rng = np.random.default_rng([person.skin.seed, 0x5CA1])
    size = maps.size[0]
    albedo = linear_from_srgb(maps.diffuse_srgb)
    hair = np.array(person.hair_rgb) * (1 - person.grey) + GREY_RGB * person.grey
    dark = 0.55 * groom.brow_cover(person.brows, size) * (1 - 0.5 * person.grey) + 0.6 * lash_line(size)
    albedo = _shaded(albedo, hair * 1.2, np.minimum(dark, 0.75)[..., None])
    cover = scalp.cover(person.hairline, size, 0.05 if person.hair in _COVERED else 0.034)
    most = _COVERED.get(person.hair, 0.97)
    small = min(size, 1024)
    grain = resize_bilinear(band_noise(rng, small, small / 3, 0.3), (size, size))
    most *= 1 - 0.25 * person.grey  # grey hair lets the skin be seen
    uneven = np.maximum(min(1.0, (1 - most) / 0.15), 1.2 * (1 - cover))  # where skin is seen, it is so here and there
    share = meeting(most * np.clip(cover * (1 + uneven * (0.14 * grain - 0.1)), 0, 1))[..., None]
    albedo = _shaded(albedo, hair * (0.9 - 0.5 * person.grey), share)
    albedo = albedo * (1 - _SHADED.get(person.hair, 0.75) * share)
    diffuse = bytes_from_unit(srgb_from_linear(albedo.astype(np.float32)))
    specular = np.rint(maps.specular_data * (1 - 0.8 * share)).astype(np.uint8)
    tinted = replace(maps, diffuse_srgb=diffuse, specular_data=specular)
    return with_palette(tinted, palette(np.array(person.hair_rgb), person.grey, rng), PALETTE)


def _shaded(albedo: np.ndarray, hair: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(H, W, 3) linear skin under a (H, W, 1) share of hair of a colour: fair hair, too, shades what is below it."""
    return albedo * (1 - share) + np.minimum(hair, _UNDER_HAIR * albedo) * share


def with_palette(maps: ReflectanceMaps, colours_linear: np.ndarray, place: Place) -> ReflectanceMaps:
    """`maps` with (ROWS, COLUMNS, 3) linear colours at `place`."""
    height, width = maps.size
    left, top, right, bottom = (round(edge * side) for edge, side in zip(place, 2 * (width, height), strict=True))
    diffuse, roughness = maps.diffuse_srgb.copy(), maps.roughness_data.copy()
    colours = bytes_from_unit(srgb_from_linear(colours_linear))
    rows = np.clip(((np.arange(top, bottom) - top + 0.5) / (bottom - top) * ROWS).astype(int), 0, ROWS - 1)
    columns = np.clip(((np.arange(left, right) - left + 0.5) / (right - left) * COLUMNS).astype(int), 0, COLUMNS - 1)
    diffuse[top:bottom, left:right] = colours[rows][:, columns]
    roughness[top:bottom, left:right] = np.rint(_ROUGHNESS[columns] * 255)
    return replace(maps, diffuse_srgb=diffuse, roughness_data=roughness)


def palette(base: np.ndarray, grey: float, rng: np.random.Generator, brow: np.ndarray | None = None) -> np.ndarray:
    """(ROWS, COLUMNS, 3) float32 linear colours: darker at the root, each strand its own, a share of them `grey`.

    `base` (3,) is that of the scalp's hairs; brows are a little darker, or of colour `brow` (3,).
    """
    tone = np.exp(rng.normal(0, 0.28, (COLUMNS, 1)))
    tone[list(SCALP)] = np.exp(np.linspace(-0.8, 0.7, len(SCALP) // SHADES)).repeat(SHADES)[:, None]
    spread = 0.9 * grey * (1 - grey) * (np.arange(COLUMNS) % SHADES - 1.5)
    turned = np.clip(grey + spread, 0, 1)
    tone[list(BROWS)] = np.exp(np.linspace(-0.25, 0.45, len(BROWS)))[:, None]
    colour = (base + (GREY_RGB - base) * turned[:, None]) * tone
    colour[list(BROWS)] *= 0.9 if brow is None else brow / base
    colour[list(BROWS)] += _THIN_RGB
    colour[list(LASHES)] = np.minimum(base * 0.6, 0.03)
    along = np.linspace(0.75, 1.15, ROWS)[:, None, None]
    return np.clip(colour[None] * along, 0.004, 1).astype(np.float32)
