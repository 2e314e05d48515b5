"""Which file is which map: programs and scanners say it in the last words of a file's name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.channels import DIFFUSE, MAP_NAMES, NORMAL, ROUGHNESS, SPECULAR
from engine.errors import FileFormatError
from engine.io.border import reads
from engine.io.map_conventions import Finish, MapConventions, Normal
from engine.io.temporary import finished

IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".tga", ".exr", ".bmp", ".webp")
NONE = "none"
"""In place of a file: there is no such map, whatever the names say."""
PACKED = "packed"
"""Roughness in green, beside occlusion in red and metallic in blue, as in Unreal and glTF."""

_NAMES: tuple[tuple[str, str, str], ...] = (
    (DIFFUSE.name, "", "diffuse diff dif diffusecolor diffusecolour albedo alb albedocolor albedotransparency base bc"),
    (DIFFUSE.name, "", "basecolor basecolour color colour col skincolor"),
    (SPECULAR.name, "", "specular spec spc specularity specularcolor specularlevel specularsmoothness speccolor f0"),
    (ROUGHNESS.name, "", "roughness rough rgh specularroughness"),
    (ROUGHNESS.name, Finish.GLOSS, "gloss glossy glossiness smoothness gls"),
    (ROUGHNESS.name, PACKED, "orm arm occlusionroughnessmetallic metallicroughness roughnessmetallic"),
    (NORMAL.name, "", "normal normals norm nrm nrml nor nml"),
    (NORMAL.name, Normal.OPENGL, "normalopengl normalogl normalgl nrmgl"),
    (NORMAL.name, Normal.DIRECTX, "normaldirectx normaldx nrmdx"),
    ("", "", "displacement disp height bump cavity ao occlusion metallic metalness opacity scatter sss transmission"),
    ("", "", "ssscolor scattercolor subsurfacecolor transmissioncolor emissioncolor emissivecolor coatcolor"),
    ("", "", "diffuseroughness coatroughness metallicsmoothness coatnormal detailnormal micronormal bentnormal"),
)
"""Map ('' for those that are not read), what else the words say of it, and the words, written together: those of
Substance, Arnold, Marmoset, Unreal, Reallusion, 3DScanStore and TexturingXYZ."""
_LETTERS = {"d": DIFFUSE.name, "s": SPECULAR.name, "r": ROUGHNESS.name, "n": NORMAL.name}
"""In names that begin with T_, as Unreal's do; elsewhere an R may as well be a right eye."""
_TABLE = {word: (kind, form) for kind, form, words in _NAMES for word in words.split()}
_LONGEST = 3
"""Words of the table are made of so many at most."""
_BESIDE = "map maps tex texture udim main final v lod srgb linear lin raw utility aces acescg"
"""Words that may follow them, as may numbers: of a tile, a version, a size."""
_OTHERS = "eye eyes eyeball cornea iris tearline lash lashes eyelash eyelashes hair beard teeth tongue mouth gums "
_OTHERS += "body torso arm arms leg legs hand hands nail nails cloth"
"""Parts whose maps are not the head's, where there are the head's beside them."""
_WORD = re.compile(r"sRGB|ACEScg|\d+[kK]?(?![a-z])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


@dataclass(frozen=True, slots=True)
class MapName:
    """What a file's name says."""

    kind: str
    """One of `MAP_NAMES`, '' for none of them."""
    form: str = ""
    """`Finish.GLOSS`, `PACKED` or a `Normal`, '' where the name says no more."""
    other: bool = False
    """Is it named after another part than the head?"""


def map_name(path: Path) -> MapName:
    """What the last words of the name of `path` say: face_COL.png, T_Head_BC.tga, HeadBaseColor_4k.1001.exr."""
    words = [word.casefold() for word in _WORD.findall(path.stem)]
    while words and (words[-1] in _BESIDE.split() or words[-1][0].isdecimal()):
        words.pop()
    if words and words[-1] not in _TABLE:
        words[-1] = words[-1].removesuffix("map")
    for count in range(min(_LONGEST, len(words)), 0, -1):
        meaning = _TABLE.get("".join(words[-count:]))
        if meaning is not None:
            return MapName(*meaning, other=_is_other(words[:-count]))
    if len(words) > 1 and words[0] == "t":
        return MapName(_LETTERS.get(words[-1], ""), other=_is_other(words))
    return MapName("")


def packed_in_green(path: Path) -> bool:
    """Whether the name of `path` says that its green channel is the roughness."""
    return map_name(path).form == PACKED


def _is_other(words: list[str]) -> bool:
    return not set(_OTHERS.split()).isdisjoint(words)


def images_of(folder: Path) -> tuple[Path, ...]:
    """Image files in `folder` and the folders directly in it, by name; not what is still being written."""
    inside = [folder, *(child for child in finished(folder) if child.is_dir() and os.access(child, os.R_OK))]
    return tuple(file for place in inside for file in finished(place) if file.suffix.casefold() in IMAGES)


def candidates(images: Iterable[Path]) -> dict[str, list[Path]]:
    """For each of `MAP_NAMES` the files whose names say so; of other parts only where none is the head's."""
    named = [(path, map_name(path)) for path in images]
    by_map = {}
    for kind in MAP_NAMES:
        each = [(path, name) for path, name in named if name.kind == kind]
        by_map[kind] = [path for path, name in each if not name.other] or [path for path, _ in each]
    return by_map


@reads("a folder of map files")
def map_files(folder: Path, given: Mapping[str, str]) -> dict[str, Path]:
    """The file of each map: as `given` (a path, one inside `folder`, or `NONE`), else by its name in `folder`.

    FileFormatError where two names say the same, a given file is not there, or there is no diffuse map.
    """
    if unknown := sorted(set(given) - set(MAP_NAMES)):
        raise FileFormatError(f"maps: expected {', '.join(MAP_NAMES)}, found '{unknown[0]}'")
    files: dict[str, Path] = {}
    images = images_of(folder)
    for kind, paths in candidates(images).items():
        if kind in given:
            files |= {} if given[kind] == NONE else {kind: _given(folder, kind, given[kind])}
        elif len(paths) > 1:
            raise FileFormatError(f"{folder}: expected one {kind} map, found {_listed(paths)}; {_say(kind)}")
        elif paths:
            files[kind] = paths[0]
    if DIFFUSE.name not in files:
        raise FileFormatError(
            f"{folder}: expected a diffuse map, whose name ends in such as diffuse, albedo, BaseColor or COL; "
            f"found {_listed(images)}; {_say(DIFFUSE.name)}"
        )
    return files


def _given(folder: Path, kind: str, name: str) -> Path:
    for path in (Path(name).expanduser(), folder / name):
        if path.is_file():
            return path
    raise FileFormatError(f"{name}: expected the file of the {kind} map, found none of that name here or in {folder}")


def _listed(paths: Sequence[Path]) -> str:
    """The first names, for people."""
    return ", ".join([path.name for path in paths[:8]] + ["..."] * (len(paths) > 8)) or "no image"


def _say(kind: str) -> str:
    return f"say which it is: --map {kind}=FILE, or in the window File, Open Folder with Other Maps"


def by_names(conventions: MapConventions, files: Mapping[str, Path]) -> MapConventions:
    """`conventions` with what the names of `files` say of roughness and normals, where those leave it at the default,
    and with nothing of maps that are not there."""
    forms = {kind: map_name(path).form for kind, path in files.items()}
    if forms.get(ROUGHNESS.name) == Finish.GLOSS and conventions.roughness is Finish.ROUGHNESS:
        conventions = replace(conventions, roughness=Finish.GLOSS)
    if forms.get(NORMAL.name) == Normal.DIRECTX:
        conventions = replace(conventions, normal=Normal.DIRECTX)
    default = MapConventions()
    if SPECULAR.name not in files:
        conventions = replace(conventions, specular=default.specular, encoding=default.encoding)
    absent = {kind: getattr(default, kind) for kind in (ROUGHNESS.name, NORMAL.name) if kind not in files}
    return replace(conventions, **absent)
