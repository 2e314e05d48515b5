"""Built-in people: sampled from the shipped head model, skin and eyes painted, hair grown. No file, no network."""

from __future__ import annotations

from engine.face import skin
from engine.face.assemble import Piece, assemble
from engine.face.eyes import paint_eye
from engine.face.head_model import HeadShape, head_model, sample_shape
from engine.identity import Identity, Provenance, ReflectanceMaps

LICENCE = "Apache-2.0; mesh and shapes of ICT-FaceKit (MIT, USC Institute for Creative Technologies)"


def builtin_identity(seed: int = 0, texture_size: int = 1024) -> Identity:
    """The built-in person number `seed`: same number, same person. Maps are (texture_size, texture_size)."""
    traits = skin.sample_traits(seed)
    return grow_identity(
        f"Built-in {seed}",
        sample_shape(seed),
        skin.paint(traits, texture_size),
        seed,
        Provenance(f"builtin:{seed}", LICENCE, "shape sampled, skin painted"),
    )


def grow_identity(
    name: str, shape: HeadShape, maps: ReflectanceMaps, eye_seed: int, provenance: Provenance
) -> Identity:
    """A whole head of `shape`; `maps` in the canonical layout, all known."""
    model = head_model()
    return assemble(
        name=name,
        pieces=[Piece(shape.mesh_m, model.faces, model.uvs, model.uv_faces, model.parts)],
        maps=maps,
        eye_srgb=paint_eye(eye_seed),
        known_maps=frozenset({"diffuse", "specular", "roughness", "normal"}),
        provenance=provenance,
    )
