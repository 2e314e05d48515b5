"""Hair grown on heads that come with it painted: brows and cropped hair where and as the texture shows them, lashes on
the rims of the lids, and skin where brows were."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter, grey_closing, grey_opening

from engine.color import bytes_from_unit, linear_from_srgb, luminance, srgb_from_linear
from engine.errors import TopologyError
from engine.face import groom, regions, scalp, skin
from engine.face.assemble import Piece, inner_occlusion, joined
from engine.face.builtin import strands_of
from engine.face.contact import sides
from engine.face.head_model import LASH_COLUMNS, LASH_ROWS, MESH_VERTICES, HeadShape, head_model
from engine.face.ict_shapes import has_shapes
from engine.face.layout import texel_uv
from engine.face.lid_skin import harmonic
from engine.face.lids import eye_slit
from engine.face.noise import gaussian_blur
from engine.face.palette import palette, with_hair, with_palette
from engine.face.registration import registered
from engine.face.strands import COLUMNS, PALETTE, ROWS, Place, Strands, ribbons
from engine.face.traits import sample_person
from engine.face.transfer import own_maps, resize_area
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_bilinear
from engine.mesh import Part, Topology, sphere
from engine.raster import rasterize

_SIDE = 512
"""Texels a side at which painted hair is measured."""
_AROUND = 0.030
"""How far from the outline of a brow, in UV, painted hairs of it may lie."""
_ABOVE = 0.085
"""How far above a brow, in v, lies the forehead whose fine detail the skin below the brow gets."""
_TINT, _STRAND = 0.45, 1.4
"""How much of a brow's colour is left on the skin below; colour of a hair over that of the scalp painted with many."""
_STYLE = scalp.HairStyle.BUZZED
"""Longer hair ends like a comb on the forehead of a head whose hair was painted there."""
NOTE = "hair grown"


def with_grown_hair(identity: Identity, seed: int | None = None) -> Identity:
    """`identity` with strands in place of its painted brows, lashes and hair; as it is where it has some already.

    Of a head in the FFHQ-UV layout colours and brows are read off its texture, and its painted brows become skin. A
    head on ICT-FaceKit's mesh that the program painted, by `seed`, is painted again. TopologyError for others.
    """
    topology = identity.topology
    if len(topology.faces_of(Part.HAIR)):
        return identity
    if registered(topology).same_layout:
        return _as_painted(identity)
    if seed is None or identity.known_maps or not has_shapes(topology):
        raise TopologyError(
            f"{identity.name}: expected a head in the FFHQ-UV layout or of ICT-FaceKit without maps to grow hair on, "
            "found another; open it without --hair grow"
        )
    return _as_drawn(identity, seed)


def _as_drawn(identity: Identity, seed: int) -> Identity:
    """A head of ICT-FaceKit whose hair is that of person `seed`."""
    rng, place = np.random.default_rng([seed, 0x4A12]), palette_place(identity.topology)
    own = identity.positions_m[head_model().ict_vertices].astype(np.float64)
    cards = own[MESH_VERTICES:].reshape(12, LASH_ROWS, LASH_COLUMNS, 3)
    shape = HeadShape(own[:MESH_VERTICES], cards)
    person = replace(sample_person(seed, shape), skin=skin.sample_traits(seed), hair=_STYLE)
    maps = own_maps(identity.topology, with_hair(skin.paint(person.skin, identity.maps.size[0], hair=False), person))
    colours = palette(np.array(person.hair_rgb), person.grey, rng)
    return _grown(identity, with_palette(maps, colours, place), strands_of(shape, person, seed), place)


def _as_painted(identity: Identity) -> Identity:
    """A head in the canonical layout with the hair that its texture shows."""
    painted, rng = read_painted(identity.maps.diffuse_srgb), np.random.default_rng(0x6803)
    on, place = groom.skin_of(identity.topology, identity.positions_m), palette_place(identity.topology)
    strands = [
        _brows(on, painted, rng),
        groom.lashes(lash_cards(identity), rng, 0.75),
        scalp.hair(on, _STYLE, rng),
    ]
    colours = palette(_STRAND * painted.hair_rgb, 0.0, rng, painted.brow_rgb)
    maps = with_palette(painted_out(identity.maps, painted), colours, place)
    return _grown(identity, maps, [each for each in strands if each is not None], place)


def _grown(identity: Identity, maps: ReflectanceMaps, strands: list[Strands], place: Place) -> Identity:
    old = identity.topology
    head = Piece(identity.positions_m, old.faces, old.uvs, old.uv_faces, old.face_parts)
    topology, positions_m = joined([head, *(ribbons(each, place) for each in strands)], old.registration)
    topology = replace(topology, head_vertex_count=old.head_vertex_count)
    provenance, count = identity.provenance, old.vertex_count
    return replace(
        identity,
        topology=topology,
        positions_m=positions_m,
        maps=maps,
        occlusion=np.concatenate([identity.occlusion, inner_occlusion(topology, positions_m)[count:]]),
        provenance=replace(provenance, note="; ".join(filter(None, (provenance.note, NOTE)))),
    )


def palette_place(topology: Topology) -> Place:
    """Where the palette fits on the maps of `topology`: in the layout's corner, or the largest place without texels."""
    drawn = topology.faces_of(Part.SKIN, Part.MOUTH, Part.SOCKET, Part.TEETH)
    used = rasterize(topology.uvs[topology.uv_faces[drawn]], _SIDE)[0] >= 0
    used = gaussian_blur(used.astype(np.float32), 1.0) > 0.05  # texels around charts are mixed in from afar
    sums = np.pad(used.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    left, top, right, bottom = (round(edge * _SIDE) for edge in PALETTE)
    if not used[top:bottom, left:right].any():
        return PALETTE
    for share in (1.0, 0.8, 0.6, 0.45):
        width, height = round(share * COLUMNS / 2), round(share * ROWS)
        taken = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
        rows, columns = np.nonzero(taken == 0)
        if len(rows):
            row, column = int(rows[-1]), int(columns[-1])
            return column / _SIDE, row / _SIDE, (column + width) / _SIDE, (row + height) / _SIDE
    raise TopologyError("expected room for the colours of hair beside the charts of the texture, found none")


@dataclass(frozen=True, eq=False, slots=True)
class PaintedHair:
    """What a texture in the canonical layout shows of hair; (512, 512) maps, linear colours."""

    brow: np.ndarray
    """(512, 512) float32 0..1 density of brows."""
    cover: np.ndarray
    """(512, 512) float32 0..1 how much of the texture there becomes skin."""
    bare: np.ndarray
    """(512, 512, 3) the smooth colour of that skin."""
    brow_rgb: np.ndarray
    """(3,) of the brows' hairs."""
    hair_rgb: np.ndarray
    """(3,) of the scalp's."""


def read_painted(diffuse_srgb: np.ndarray) -> PaintedHair:
    """What (H, W, 3) uint8 shows: brows are what is darker than the skin around them would go on to be (harmonic)."""
    small = resize_area(linear_from_srgb(diffuse_srgb), _SIDE)
    smooth = np.stack([gaussian_blur(small[..., channel], 2.0) for channel in range(3)], axis=-1)
    away = np.maximum(regions.distance("brow", _SIDE), _AROUND - 0.004 - regions.distance("upper_lid", _SIDE))
    bare = harmonic(smooth, away < _AROUND)
    darker = np.log(luminance(bare) + 0.01) - np.log(gaussian_blur(luminance(small), 0.7) + 0.01)
    edge = np.clip((_AROUND - away) / 0.008, 0, 1)
    brow = np.clip((darker - 0.18) / 0.6, 0, 1) * edge
    cover = np.clip(gaussian_blur((brow > 0.04).astype(np.float32), 2.0) * 1.8, 0, 1) * edge
    inside = scalp.distance(texel_uv(_SIDE)).reshape(_SIDE, _SIDE) > 0.03
    hair = np.median(small[inside & ~skin.inner_charts(_SIDE)], axis=0)
    dense = small[brow > max(0.6 * float(brow.max()), 0.1)]
    brow_rgb = np.median(dense, axis=0) if len(dense) > 20 else 0.8 * hair
    tint = _TINT * gaussian_blur(brow, 1.2)[..., None]
    return PaintedHair(brow, cover, bare + tint * (brow_rgb - bare), brow_rgb, hair)


def painted_out(maps: ReflectanceMaps, painted: PaintedHair) -> ReflectanceMaps:
    """`maps` in the canonical layout with skin where brows were painted, its fine detail taken from the forehead."""
    size = maps.size
    share = resize_bilinear(painted.cover, size)[..., None]
    shift = round(_ABOVE * size[0])

    def covered(image: np.ndarray) -> np.ndarray:
        image = image.astype(np.float32).reshape(*size, -1)
        return image + share * (np.roll(image, shift, axis=0) - image)

    linear = _without_lashes(linear_from_srgb(maps.diffuse_srgb))
    local = np.stack([gaussian_blur(linear[..., channel], 4 * size[0] / 1024) for channel in range(3)], axis=-1)
    detail = np.roll(linear / np.maximum(local, 1e-3), shift, axis=0).clip(0.8, 1.25)
    filled = linear + share * (resize_bilinear(painted.bare, size) * detail - linear)
    return ReflectanceMaps(
        bytes_from_unit(srgb_from_linear(filled)),
        np.rint(covered(maps.specular_data)).astype(np.uint8),
        np.rint(covered(maps.roughness_data)[..., 0]).astype(np.uint8),
        covered(maps.slope).astype(np.float16),
    )


def _without_lashes(linear: np.ndarray) -> np.ndarray:
    """(H, W, 3) without thin strokes, dark or bright, across the upper lids: closed and opened along u, so that the
    crease stays."""
    height, width = linear.shape[:2]
    lids = resize_bilinear(np.clip(1 - regions.distance("upper_lid", _SIDE) / 0.014, 0, 1), (height, width))
    rows, columns = (np.flatnonzero(lids.any(axis=axis)) for axis in (1, 0))
    near = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    line = (1, 2 * round(width / _SIDE * 1.5) + 1, 1)
    closed = grey_opening(grey_closing(linear[near], size=line), size=line)
    closed = gaussian_filter(closed, (0.5 * width / _SIDE, 0.5 * width / _SIDE, 0))
    stroke = np.abs(np.log(np.maximum(luminance(closed), 1e-3) / np.maximum(luminance(linear[near]), 1e-3)))
    share = (lids[near] * np.clip((stroke - 0.03) / 0.06, 0, 1))[..., None]
    result = linear.copy()
    result[near] += share * (closed - linear[near])
    return result


def _brows(on: groom.Skin, painted: PaintedHair, rng: np.random.Generator) -> Strands:
    """Hairs as dense as the texture's brows are dark, side by side."""
    chart, style = groom.Chart(on, groom.BROWS_WINDOW), replace(groom.BROW_STYLES[0], length_mm=7.0)
    both = [
        groom.brow_strands(chart, _roots(brow, rng), style, rng, mirrored, before=0.4)
        for mirrored, brow in ((False, painted.brow), (True, painted.brow[:, ::-1]))
    ]
    return groom.joined_brows(both, rng)


def _roots(brow: np.ndarray, rng: np.random.Generator) -> groom.Roots:
    """Of the brow on the right half of a (512, 512) density."""
    density = np.where(np.arange(_SIDE) > _SIDE / 2, brow, 0).astype(np.float64)
    total = float(density.sum())
    count = int(np.clip(1.3 * total, 0, 1800))
    if not count:
        return tuple(np.zeros((4, 0)))  # pyright: ignore[reportReturnType]
    chosen = rng.choice(density.size, count, p=density.ravel() / total)
    v, u = (np.stack(np.unravel_index(chosen, density.shape)) + rng.random((2, count))) / _SIDE
    inner, outer = np.quantile(u, (0.01, 0.99))
    along = np.clip((u - inner) / max(outer - inner, 1e-3), 0, 1)
    line = np.polynomial.Polynomial.fit(along, v, 3)
    height = line(along) - v
    return u, v, along, np.clip(height / max(2 * float(height.std()), 1e-4), -1, 1)


def lash_cards(identity: Identity) -> np.ndarray:
    """(12, R, C, 3) guides of lashes, as `HeadShape` has them, that rise from the rims of the lids and curl out."""
    cards = []
    for side, part in (("Left", Part.EYE_LEFT), ("Right", Part.EYE_RIGHT)):
        place, ball = registered(identity.topology), identity.topology.vertices_of(part)
        pair = sides(identity.topology, eye_slit(side))
        for each, upper in zip(pair, (True, False), strict=True):
            rim = identity.positions_m[place.vertices[each.rim]].astype(np.float64)
            centre = (
                sphere(identity.positions_m[ball].astype(np.float64))[0] if len(ball) else rim.mean(0) - (0, 0, 0.012)
            )
            cards += [_card(rim, centre, upper, side == "Left", layer) for layer in (-1, 0, 1)]
    return np.stack(cards)


def _card(rim: np.ndarray, centre: np.ndarray, upper: bool, is_left: bool, layer: int) -> np.ndarray:
    """(R, C, 3) one of three layers of guides on a lid's rim (N, 3)."""
    rim = rim[np.argsort(rim[:, 0])]
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(rim, axis=0), axis=1))])
    along = np.linspace(0.06, 0.97, LASH_COLUMNS)
    root = np.stack([np.interp(along * length[-1], length, rim[:, axis]) for axis in range(3)], -1)
    out = root - centre
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    outwards = along if is_left else 1 - along  # 0 at the nose
    out[:, 0] += (outwards - 0.4) * (0.5 if is_left else -0.5)
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    tall = np.interp(outwards, [0, 0.3, 0.7, 1], [0.55, 0.85, 1.0, 0.8]) * (0.0088 if upper else 0.0052)
    low, high = (-12, 62) if upper else (-8, -48)
    step = np.linspace(0, 1, LASH_ROWS)
    angle = np.radians(low + (high - low) * step**0.8 + 7 * layer)
    way = out[None] * np.cos(angle)[:, None, None] + np.array([0.0, 1.0, 0.0]) * np.sin(angle)[:, None, None]
    path = np.concatenate([np.zeros_like(way[:1]), np.cumsum(way[:-1], axis=0)]) / (LASH_ROWS - 1)
    return root + 0.0003 * out + path * tall[None, :, None]
