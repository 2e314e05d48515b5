"""Built-in people: sampled from the shipped head model, skin and eyes painted, hair grown. No file, no network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.channels import MAP_NAMES
from engine.face import groom, noise, palette, regions, scalp, skin
from engine.face.assemble import Piece, inner_occlusion, joined
from engine.face.eyes import paint_eye
from engine.face.head_model import HeadShape, head_model, sample_shape
from engine.face.lids import lids_clear
from engine.face.lips import lips_touching
from engine.face.resting import at_rest
from engine.face.strands import Strands, ribbons
from engine.face.traits import Person, sample_person
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.memory import give_back

LICENCE = "Apache-2.0; mesh and shapes of ICT-FaceKit (MIT, USC Institute for Creative Technologies)"


def builtin_identity(seed: int = 0, texture_size: int = 1024) -> Identity:
    """The built-in person number `seed`: same number, same person. Maps are (texture_size, texture_size)."""
    shape = sample_shape(seed)
    person = sample_person(seed, shape)
    shape = at_rest(shape, person.man, seed)
    maps = palette.with_hair(skin.paint(person.skin, texture_size, hair=False), person)
    regions.forget()
    noise.even_layout.cache_clear()
    provenance = Provenance(f"builtin:{seed}", LICENCE, "shape sampled, skin painted, hair grown")
    eyes = paint_eye(seed, person.iris_rgb)
    identity = grow_identity(f"Built-in {seed}", shape, maps, eyes, provenance, grown(shape, person, seed))
    give_back()
    return identity


def grown(shape: HeadShape, person: Person, seed: int) -> list[Piece]:
    """The hair of `person`, whose head is `shape`, with the palette where the layout has room for it."""
    return [ribbons(each) for each in strands_of(shape, person, seed)]


def strands_of(shape: HeadShape, person: Person, seed: int) -> list[Strands]:
    """The hair of `person`, whose head is `shape`."""
    brow, lash, head = np.random.default_rng([seed, 0x4A12]).spawn(3)
    skin, density = groom.model_skin(shape), 0.75 + 0.4 * person.skin.brow_density
    strands = [
        groom.brows(skin, person.brows, brow, density),
        groom.lashes(shape.lash_cards_m, lash, 0.8 if person.man else 1.1, (0.0035, -0.0008)),
        scalp.hair(skin, person.hair, head, person.part_left, person.hairline),
        scalp.knot(skin, head) if person.hair is scalp.HairStyle.TIED else None,
        scalp.down(skin, person.hair, head, person.hairline),
    ]
    return [each for each in strands if each is not None]


def grow_identity(
    name: str,
    shape: HeadShape,
    maps: ReflectanceMaps,
    eye_srgb: np.ndarray,
    provenance: Provenance,
    hair: list[Piece] | None = None,
) -> Identity:
    """A whole head of `shape` with `hair`, if any; `maps` in the canonical layout, all known."""
    model = head_model()
    head = Piece(shape.mesh_m, model.faces, model.uvs, model.uv_faces, model.parts)
    topology, positions_m = joined([head, *(hair or [])])
    identity = Identity(
        name,
        topology,
        positions_m,
        maps,
        eye_srgb,
        inner_occlusion(topology, positions_m),
        known_maps=frozenset(MAP_NAMES),
        provenance=provenance,
    )
    identity = replace(identity, positions_m=lips_touching(identity))
    return replace(identity, positions_m=lids_clear(identity))
