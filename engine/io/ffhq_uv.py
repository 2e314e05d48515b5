"""A head folder of FFHQ-UV (Bai et al. 2023): mesh_head.obj, tex_uv.png, and eyeballs where present."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.errors import FileFormatError
from engine.face import layout
from engine.face.assemble import Piece, assemble, constant_parts
from engine.face.eyes import paint_eye
from engine.face.lid_skin import repair_lids
from engine.face.skin import complete_maps
from engine.face.teeth import dental_arches
from engine.identity import Identity, Provenance
from engine.io.border import name_from, reads
from engine.io.images import read_rgb
from engine.io.map_conventions import PUBLISHED, Diffuse, MapConventions, albedo_from_measured, with_note
from engine.io.obj import ObjMesh, read_obj
from engine.io.units import metres_per_unit
from engine.mesh import Part

LICENCE = "FFHQ-UV: code MIT; the faces are real people of Flickr-Faces-HQ (CC BY-NC-SA 4.0): do not publish"


@reads("an FFHQ-UV head folder")
def read(folder: Path, conventions: MapConventions = PUBLISHED) -> Identity:
    """Read the head of `folder` into metres, with its eyeballs and added teeth, or raise FileFormatError.

    Of `conventions` only what it says of the diffuse map has a meaning here.
    """
    if conventions != replace(PUBLISHED, diffuse=conventions.diffuse):
        raise FileFormatError(f"{folder}: expected maps=diffuse=... alone, found {conventions}; it has no other map")
    mesh = read_obj(folder / "mesh_head.obj")
    scale = metres_per_unit(mesh.positions, folder / "mesh_head.obj")
    parts = layout.canonical_parts(mesh.uvs, mesh.uv_faces)
    if parts is None:
        raise FileFormatError(
            f"{folder / 'mesh_head.obj'}: expected the FFHQ-UV texture layout (slits of eyes and mouth in one chart), "
            "found another; use a head of FFHQ-UV"
        )
    texture, repaired = repair_lids(read_rgb(folder / "tex_uv.png"))
    head = Piece(mesh.positions * scale, mesh.faces, mesh.uvs, mesh.uv_faces, parts)
    pieces = [head]
    for side, part in (("L", Part.EYE_LEFT), ("R", Part.EYE_RIGHT)):
        path = folder / f"mesh_eye_ball_{side}.obj"
        if path.is_file():
            pieces.append(_eye(read_obj(path), scale, part))
    pieces += dental_arches(head)
    note = f"FFHQ-UV head, 1 unit = {scale * 1000:g} mm by head size"
    if repaired:
        note += "; upper lids without skin filled in from the skin around them"
    eye_path = folder / "tex_eye_ball.png"
    eye = read_rgb(eye_path) if eye_path.is_file() else paint_eye(seed=0)
    maps = complete_maps(texture)
    if conventions.diffuse is Diffuse.MEASURED:
        maps = replace(maps, diffuse_srgb=albedo_from_measured(texture, maps.roughness_data))
    return assemble(
        name=name_from(folder),
        pieces=pieces,
        maps=maps,
        eye_srgb=eye,
        known_maps=frozenset({"diffuse"}),
        provenance=with_note(Provenance(name_from(folder), LICENCE, note), conventions),
    )


def _eye(mesh: ObjMesh, scale: float, part: Part) -> Piece:
    return Piece(mesh.positions * scale, mesh.faces, mesh.uvs, mesh.uv_faces, constant_parts(len(mesh.faces), part))
