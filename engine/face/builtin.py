"""Built-in people: sampled from the shipped head model, skin painted, eyes and mouth made by code. No file, no
network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from engine.face import skin
from engine.face.assemble import Piece, assemble, constant_parts
from engine.face.eyes import eyeball, paint_eye
from engine.face.seam import Seam, back_seam
from engine.face.teeth import dental_arches
from engine.identity import Identity, Provenance, ReflectanceMaps
from engine.mesh import Part

LICENCE = "Apache-2.0; head model learned from ICT-FaceKit samples (MIT, USC Institute for Creative Technologies)"
VARIETY = 0.85
"""Standard deviations are scaled by this: rarer shapes of the model's tails look less like someone."""
_BAG_RINGS = 7
_BAG_DEPTH_M, _BAG_WIDTH_M, _BAG_UP_M, _BAG_DOWN_M = 0.050, 0.026, 0.014, 0.017


def builtin_identity(seed: int = 0, texture_size: int = 1024) -> Identity:
    """The built-in person number `seed`: same number, same person. Maps are (texture_size, texture_size)."""
    traits = skin.sample_traits(seed)
    skin_m, eye_centres_m = sample_shape(seed)
    return grow_identity(
        f"Built-in {seed}",
        skin_m,
        eye_centres_m,
        skin.paint(traits, texture_size),
        seed,
        Provenance(f"builtin:{seed}", LICENCE, "shape sampled, skin painted"),
    )


def builtin_age_years(identity: Identity) -> float | None:
    """The age of a built-in person, by the number that its provenance names; None for anyone else."""
    kind, _, seed = identity.provenance.source.partition(":")
    return skin.sample_traits(int(seed)).age_years if kind == "builtin" and seed.isdecimal() else None


def grow_identity(
    name: str,
    skin_m: np.ndarray,
    eye_centres_m: np.ndarray,
    maps: ReflectanceMaps,
    eye_seed: int,
    provenance: Provenance,
) -> Identity:
    """A whole head on the built-in skin mesh: (V, 3) skin positions and (2, 3) eye centres (left, right), metres, with
    mouth bag, sockets, eyeballs and teeth grown to fit, the back closed; `maps` in the canonical layout, all known."""
    head = _head(skin_m)
    rims = _rims()[1:]  # the subject's right eye comes first, as on the image
    eyes = [
        eyeball(centre, part, _fitting_radius(skin_m[rim], centre))
        for centre, part, rim in zip(eye_centres_m, (Part.EYE_LEFT, Part.EYE_RIGHT), rims[::-1], strict=True)
    ]
    return assemble(
        name=name,
        pieces=[_closed(head), *eyes, *dental_arches(head)],
        maps=maps,
        eye_srgb=paint_eye(eye_seed),
        known_maps=frozenset({"diffuse", "specular", "roughness", "normal"}),
        provenance=provenance,
        own_vertices=len(head.positions_m),
    )


def skin_uv() -> np.ndarray:
    """(V, 2) float64 canonical UVs of the built-in skin mesh's vertices, the two sides of a slit a hair apart."""
    return _model()["vertex_uv"].astype(np.float64)


def sample_shape(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(V, 3) skin positions and (2, 3) eye centres (left, right) in metres, of the model's person `seed`."""
    model = _model()
    weights = np.random.default_rng([seed, 0x4EAD]).standard_normal(len(model["step_mm"])) * VARIETY
    scaled = (weights * model["step_mm"]).astype(np.float32)
    shape = model["mean_mm"] + np.tensordot(scaled, model["components"].astype(np.float32), axes=1)
    metres = shape.astype(np.float64) / 1000
    return metres[:-2], metres[-2:]


@lru_cache(maxsize=1)
def _model() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "head_model.npz", allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _rims() -> list[np.ndarray]:
    """Vertices around each slit, in the order of `layout.SLITS`."""
    model = _model()
    return np.split(model["rims"].astype(np.int64), np.cumsum(model["rim_lengths"])[:-1])


def _fitting_radius(lid_rim_m: np.ndarray, centre_m: np.ndarray) -> float:
    """Radius in metres of the eyeball that lies just behind the lids' rims."""
    return float(np.quantile(np.linalg.norm(lid_rim_m - centre_m, axis=1), 0.25)) - 0.0006


def _head(skin_m: np.ndarray) -> Piece:
    """Skin with mouth bag and eye sockets grown from the rims of its slits."""
    model = _model()
    faces = model["faces"].astype(np.int64)
    uvs = [model["vertex_uv"].astype(np.float64)]
    positions, all_faces, uv_faces = [skin_m], [faces], [faces]
    parts = [constant_parts(len(faces), Part.SKIN)]
    vertex_count, uv_count = len(skin_m), len(uvs[0])
    # texture places of the inner walls: mouth bag in the left corner chart, sockets in the small ones beside it
    spots = ((0.055, 0.06, 0.024), (0.134, 0.022, 0.016), (0.866, 0.022, 0.016))
    for rim, part, (u, v, largest) in zip(_rims(), (Part.MOUTH, Part.SOCKET, Part.SOCKET), spots, strict=True):
        rings = _bag_rings(skin_m[rim]) if part is Part.MOUTH else _socket_rings(skin_m[rim])
        ids = np.concatenate(
            [rim[None], vertex_count + np.arange(rings[0].size // 3 * len(rings)).reshape(len(rings), -1)]
        )
        wall = np.arange(ids.size).reshape(ids.shape)
        quads = np.stack([wall[:-1], wall[1:], np.roll(wall, -1, 1)[1:], np.roll(wall, -1, 1)[:-1]], -1).reshape(-1, 4)
        last = wall[-1]
        cap = np.stack([np.full(len(last) - 2, last[0]), last[1:-1], last[2:]], -1)  # closes the throat
        wall_faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]], cap])
        joined = np.concatenate([skin_m[rim], *rings])
        wall_faces = _facing_inside(joined, wall_faces)
        angle = np.linspace(0, 2 * np.pi, ids.shape[1], endpoint=False)
        radius = np.linspace(largest, 0.004, len(ids))[:, None]
        ring_uv = np.stack([u + radius * np.cos(angle), v + radius * np.sin(angle)], -1).reshape(-1, 2)
        positions.append(np.concatenate(rings))
        all_faces.append(ids.ravel()[wall_faces])
        uv_faces.append(uv_count + wall_faces)
        uvs.append(ring_uv)
        parts.append(constant_parts(len(wall_faces), part))
        vertex_count += sum(len(ring) for ring in rings)
        uv_count += len(ring_uv)
    return Piece(
        np.concatenate(positions),
        np.concatenate(all_faces),
        np.concatenate(uvs),
        np.concatenate(uv_faces),
        np.concatenate(parts),
    )


@lru_cache(maxsize=1)
def _seam() -> Seam:
    model = _model()
    return back_seam(skin_uv(), model["faces"].astype(np.int64), model["mean_mm"][:-2].astype(np.float64) / 1000)


def _closed(head: Piece) -> Piece:
    """`head` with the two sides of its skin joined from the crown to the neck; the joining vertices come last.

    They are not the head's own: they have no one place in the canonical layout, and follow what moves around them.
    """
    seam, skin = _seam(), len(skin_uv())

    def placed(faces: np.ndarray, count: int) -> np.ndarray:
        return np.where(faces >= skin, faces - skin + count, faces)

    return Piece(
        np.concatenate([head.positions_m, seam.positions_m(head.positions_m[:skin])]),
        np.concatenate([head.faces, placed(seam.faces, len(head.positions_m))]),
        np.concatenate([head.uvs, seam.uvs]),
        np.concatenate([head.uv_faces, placed(seam.uv_faces, len(head.uvs))]),
        np.concatenate([head.parts, constant_parts(len(seam.faces), Part.SKIN)]),
    )


def _bag_rings(rim_m: np.ndarray) -> list[np.ndarray]:
    """Rings from the lips back: each goes over from the lips' outline to an oval pocket that narrows at the throat."""
    centre = rim_m.mean(axis=0)
    angle = np.arctan2(rim_m[:, 1] - centre[1], (rim_m[:, 0] - centre[0]) * 0.35)
    upper = np.arange(len(rim_m)) < len(rim_m) / 2
    angle = np.where(upper, np.abs(angle), -np.abs(angle))
    height = np.where(np.sin(angle) > 0, _BAG_UP_M, _BAG_DOWN_M)
    rings = []
    for step in np.linspace(0, 1, _BAG_RINGS + 1)[1:]:
        blend = np.clip(step * 2.2, 0, 1)
        size = 1.0 if step < 0.7 else 1.0 - (step - 0.7) / 0.3 * 0.85
        oval = centre + np.stack(
            [np.cos(angle) * _BAG_WIDTH_M * size, np.sin(angle) * height * size, np.zeros_like(angle)], -1
        )
        flat = rim_m * (1 - blend) + oval * blend
        flat[:, 2] = rim_m[:, 2] * (1 - blend) + (centre[2] - 0.006) * blend - _BAG_DEPTH_M * step**1.2
        rings.append(flat)
    return rings


def _socket_rings(rim_m: np.ndarray) -> list[np.ndarray]:
    """Two rings behind the lids, widening around the eyeball."""
    centre = rim_m.mean(axis=0)
    rings = []
    for back, grow in ((0.0015, 1.02), (0.006, 1.15), (0.014, 1.3)):
        ring = centre + (rim_m - centre) * (grow, grow, 1.0)
        ring[:, 2] -= back
        rings.append(ring)
    return rings


def _facing_inside(positions: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """`faces` wound so that most normals look to the walls' own middle axis."""
    corner = positions[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    inward = positions.mean(axis=0) - corner.mean(axis=1)
    return faces if (normal * inward).sum() > 0 else faces[:, ::-1]
