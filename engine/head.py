"""From what files say to a person: `SourceHead` and `Registration` -> `Identity`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.channels import DIFFUSE, ROUGHNESS
from engine.errors import FileFormatError
from engine.face import layout, skin
from engine.face.assemble import Piece, constant_parts, inner_occlusion, joined
from engine.face.eyes import frontal_uv, paint_eye
from engine.face.lid_skin import repair_lids
from engine.face.teeth import dental_arches
from engine.face.transfer import own_maps
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_bilinear
from engine.io.border import border
from engine.io.ffhq_uv import MESH
from engine.io.images import read_grey, read_rgb
from engine.io.map_conventions import f0_scale, maps_from_files, with_note
from engine.io.map_names import packed_in_green
from engine.io.source import SourceHead
from engine.mesh import PARTS, Part, Registration, Topology

_PAINTED_SIDE = 1024
_NOTE = "; upper lids without skin filled in from the skin around them"


def identity_of(source: SourceHead, registration: Registration | None = None) -> Identity:
    """The person of `source`, in metres, on a mesh that lies in the canonical space as `registration` says, if given.

    All of the mesh wears one set of maps, each brought to the size of the diffuse one. What has no file is completed
    from the diffuse map in the FFHQ-UV texture layout, in another evenly; a head without any is painted, which takes a
    registration of its topology (TopologyError). Heads in that layout get teeth. FileFormatError where files do not
    hold what they should.
    """
    with border(source.path, source.kind):
        pieces, is_canonical = _pieces(source)
        topology, positions_m = joined(pieces, registration)
        maps, note = _read_maps(source, is_canonical) if source.map_files else (_painted(source.seed, topology), "")
        identity = Identity(
            source.name,
            topology,
            positions_m,
            maps,
            read_rgb(source.eye_file) if source.eye_file else paint_eye(source.seed),
            inner_occlusion(topology, positions_m),
            frozenset(source.map_files),
            with_note(replace(source.provenance, note=source.provenance.note + note), source.conventions),
        )
        stated = f0_scale(maps.specular_data, source.conventions)
        return identity if stated is None else replace(identity, specular_f0_scale=stated)


def topology_of(source: SourceHead) -> Topology:
    """Connectivity of the person that `identity_of` makes of `source`."""
    return joined(_pieces(source)[0])[0]


def _pieces(source: SourceHead) -> tuple[list[Piece], bool]:
    """The head file's own mesh, its eyeballs and teeth in metres, and whether its UVs follow the canonical layout."""
    mesh, scale = source.mesh, source.metres_per_unit
    canonical = None if source.parts is not None else layout.canonical_parts(mesh.uvs, mesh.uv_faces)
    if source.is_ffhq_uv and canonical is None:
        raise FileFormatError(
            f"{source.path / MESH}: expected the FFHQ-UV texture layout (slits of eyes and mouth in one chart), "
            "found another; use a head of FFHQ-UV"
        )
    parts = next(each for each in (source.parts, canonical, mesh.parts) if each is not None)
    head = Piece(mesh.positions * scale, mesh.faces, mesh.uvs, mesh.uv_faces, parts)
    if not source.map_files:
        head = _with_frontal_eyes(head)
    eyes = [
        Piece(ball.positions * scale, ball.faces, ball.uvs, ball.uv_faces, constant_parts(len(ball.faces), part))
        for part, ball in source.eyeballs.items()
    ]
    return [head, *eyes, *(dental_arches(head) if canonical is not None else [])], canonical is not None


def _with_frontal_eyes(head: Piece) -> Piece:
    """`head` whose eyeballs wear a picture of an eye from the front, as `paint_eye` makes it."""
    uvs, uv_faces = head.uvs, head.uv_faces.astype(np.int64)
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        chosen = head.parts == PARTS.index(part)
        vertices = np.unique(head.faces[chosen])
        ball = head.positions_m[vertices]
        direction = ball - (ball.min(axis=0) + ball.max(axis=0)) / 2
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        lookup = np.full(len(head.positions_m), -1, np.int64)
        lookup[vertices] = len(uvs) + np.arange(len(vertices))
        uvs = np.concatenate([uvs, frontal_uv(direction)])
        uv_faces[chosen] = lookup[head.faces[chosen]]
    return replace(head, uvs=uvs, uv_faces=uv_faces)


def _painted(seed: int, topology: Topology) -> ReflectanceMaps:
    """The skin of person `seed` on the UVs of a registered topology."""
    return own_maps(topology, skin.paint(skin.sample_traits(seed), _PAINTED_SIDE))


def _read_maps(source: SourceHead, is_canonical: bool) -> tuple[ReflectanceMaps, str]:
    """The maps of `source`, and what is to be noted of them."""
    diffuse, lids_repaired = read_rgb(source.map_files[DIFFUSE.name], srgb=True), False
    if source.is_ffhq_uv:
        diffuse, lids_repaired = repair_lids(diffuse)
    others = {name: file for name, file in source.map_files.items() if name != DIFFUSE.name}
    pixels = {name: _sized(_read(name, file), diffuse.shape[:2]) for name, file in others.items()}
    completed = skin.complete_maps(diffuse) if is_canonical else None
    return maps_from_files(pixels | {DIFFUSE.name: diffuse}, source.conventions, completed), _NOTE * lids_repaired


def _read(name: str, file: Path) -> np.ndarray:
    if name != ROUGHNESS.name:
        return read_rgb(file)
    return np.ascontiguousarray(read_rgb(file)[..., 1]) if packed_in_green(file) else read_grey(file)


def _sized(image: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """uint8 `image` sampled at the texels of (H, W) `size`."""
    height, width = size
    return image if image.shape[:2] == size else np.rint(resize_bilinear(image, (height, width))).astype(np.uint8)
