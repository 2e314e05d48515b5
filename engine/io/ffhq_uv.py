"""A head folder of FFHQ-UV (Bai et al. 2023): mesh_head.obj, tex_uv.png, and eyeballs where present."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.errors import FileFormatError
from engine.identity import Provenance
from engine.io.border import name_from, reads
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.obj import read_obj
from engine.io.source import SourceHead, metres_per_unit
from engine.mesh import Part

MESH, TEXTURE, EYE_TEXTURE = "mesh_head.obj", "tex_uv.png", "tex_eye_ball.png"
EYEBALLS = {Part.EYE_LEFT: "mesh_eye_ball_L.obj", Part.EYE_RIGHT: "mesh_eye_ball_R.obj"}
LICENCE = "FFHQ-UV: code MIT; the faces are real people of Flickr-Faces-HQ (CC BY-NC-SA 4.0): do not publish"


def can_read(path: str) -> int:
    """How surely `path` is an FFHQ-UV head folder, 0 for not at all."""
    folder = Path(path).expanduser()
    return 5 if all((folder / name).is_file() for name in (MESH, TEXTURE)) else 0


@reads("an FFHQ-UV head folder")
def read(folder: Path, conventions: MapConventions = PUBLISHED) -> SourceHead:
    """Read the head of `folder` and its eyeballs, or raise FileFormatError.

    Of `conventions` only what it says of the diffuse map has a meaning here.
    """
    if conventions != replace(PUBLISHED, diffuse=conventions.diffuse):
        raise FileFormatError(f"{folder}: expected maps=diffuse=... alone, found {conventions}; it has no other map")
    mesh = read_obj(folder / MESH)
    scale = metres_per_unit(mesh.positions, folder / MESH)
    eyeballs = {part: folder / name for part, name in EYEBALLS.items() if (folder / name).is_file()}
    eye = folder / EYE_TEXTURE
    note = f"FFHQ-UV head, 1 unit = {scale * 1000:g} mm by head size"
    return SourceHead(
        path=folder,
        kind="an FFHQ-UV head folder",
        name=name_from(folder),
        mesh=mesh,
        metres_per_unit=scale,
        provenance=Provenance(name_from(folder), LICENCE, note),
        map_files={"diffuse": folder / TEXTURE},
        conventions=conventions,
        eyeballs={part: read_obj(path) for part, path in eyeballs.items()},
        eye_file=eye if eye.is_file() else None,
        is_ffhq_uv=True,
    )
