"""Foreign names of maps: what they say, what is read from such files, and what is said where they do not tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from engine.color import linear_from_srgb, srgb_from_linear
from engine.errors import FileFormatError
from engine.face.builtin import builtin_identity
from engine.identity import SKIN_F0
from engine.image import normal_bytes_from_slope
from engine.io.images import read_rgb, write_png
from engine.io.map_conventions import Finish, MapConventions, Normal, parse_conventions
from engine.io.map_names import NONE, PACKED, candidates, map_files, map_name
from engine.mesh import Part
from engine.open import Opening, open_project
from tests.heads import make_head, write_mesh

RNG = np.random.default_rng(5)
SIZE = 24
DIFFUSE, SPECULAR, PACK = (RNG.integers(0, 256, (SIZE, SIZE, 3), np.uint8) for _ in range(3))
ROUGHNESS = RNG.integers(0, 256, (SIZE, SIZE), np.uint8)
SLOPE = RNG.normal(0, 0.3, (SIZE, SIZE, 2)).astype(np.float32)
NORMAL = normal_bytes_from_slope(SLOPE)


@pytest.mark.parametrize(
    ("name", "kind", "form"),
    [
        ("face_COL.png", "diffuse", ""),
        ("T_Head_BC.tga", "diffuse", ""),
        ("T_Head_D.tga", "diffuse", ""),
        ("head_BaseColor.1001.exr", "diffuse", ""),
        ("HeadBaseColor_sRGB.png", "diffuse", ""),
        ("Head_Base_Color_4K.jpg", "diffuse", ""),
        ("Std_Skin_Head_Diffuse.png", "diffuse", ""),
        ("VFace_01_ALBEDO_16K.tif", "diffuse", ""),
        ("FaceColor_MAIN.png", "diffuse", ""),
        ("diffuse.png", "diffuse", ""),
        ("head_spec.exr", "specular", ""),
        ("Head_Specular_Color.png", "specular", ""),
        ("head-roughness.tif", "roughness", ""),
        ("skin_specularRoughness.tx.tif", "", ""),
        ("skin_specularRoughness.tif", "roughness", ""),
        ("Head_RoughnessMap.png", "roughness", ""),
        ("T_Head_R.tga", "roughness", ""),
        ("Head_Gloss.png", "roughness", Finish.GLOSS),
        ("T_Head_ORM.tga", "roughness", PACKED),
        ("head_OcclusionRoughnessMetallic.png", "roughness", PACKED),
        ("Head_arm_2k.jpg", "roughness", PACKED),
        ("head_NRM.png", "normal", ""),
        ("Head_Normal_v02.png", "normal", ""),
        ("T_Head_N.tga", "normal", ""),
        ("Head_NormalDX.png", "normal", Normal.DIRECTX),
        ("Head_Normal_OpenGL.png", "normal", Normal.OPENGL),
        ("displacement.tif", "", ""),
        ("Head_SSS_Color.png", "", ""),
        ("Head_MetallicSmoothness.png", "", ""),
        ("Std_Skin_Head_NBMap.png", "", ""),
        ("eye_R.png", "", ""),
        ("1001.png", "", ""),
        ("T_.png", "", ""),
    ],
)
def test_what_names_say(name: str, kind: str, form: str) -> None:
    found = map_name(Path(name))
    assert (found.kind, found.form) == (kind, form)


def test_other_parts_stand_back_behind_the_head() -> None:
    images = [Path(name) for name in ("Eye_Diffuse.png", "Std_Skin_Arm_Diffuse.png", "Std_Skin_Head_Diffuse.png")]
    assert candidates(images)["diffuse"] == images[2:]
    assert candidates(images[:1])["diffuse"] == images[:1]


def write(path: Path, pixels: np.ndarray) -> None:
    """`pixels` as OpenImageIO writes them in the format of the name."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], str(pixels.dtype))
    spec.attribute("compression", "lossless" if path.suffix == ".tif" else "zip")
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    assert output.open(str(path), spec)
    assert output.write_image(np.ascontiguousarray(pixels))
    output.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A mesh with maps of foreign names, in several formats."""
    write_mesh(tmp_path / "Anna.obj")
    write(tmp_path / "T_Anna_BC.tga", DIFFUSE)
    write(tmp_path / "anna_spec.exr", (SPECULAR / 255).astype(np.float32))
    write(tmp_path / "Anna_Gloss.tif", np.stack([ROUGHNESS] * 3, axis=2))
    write_png(tmp_path / "anna_NRM.png", NORMAL)
    write_png(tmp_path / "displacement.png", ROUGHNESS)
    return tmp_path


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_mesh_wears_the_maps_beside_it(folder: Path, named: str) -> None:
    identity = open_project(str(folder if named == "folder" else folder / "Anna.obj")).identity
    assert identity.name == "Anna"
    assert identity.known_maps == {"diffuse", "specular", "roughness", "normal"}
    np.testing.assert_array_equal(identity.maps.diffuse_srgb, DIFFUSE)
    np.testing.assert_array_equal(identity.maps.specular_data, SPECULAR)
    np.testing.assert_array_equal(identity.maps.roughness_data, 255 - ROUGHNESS)
    np.testing.assert_array_equal(normal_bytes_from_slope(identity.maps.slope)[..., :2], NORMAL[..., :2])
    np.testing.assert_allclose(identity.positions_m, make_head(8).positions_m[: len(identity.positions_m)], atol=1e-6)
    note = identity.provenance.note
    for said in ("1 unit = 10 mm", "diffuse T_Anna_BC.tga", "roughness Anna_Gloss.tif", "roughness=gloss"):
        assert said in note


def test_meaning_and_file_can_be_told(folder: Path) -> None:
    write_png(folder / "green_up.png", NORMAL[::-1])
    conventions = parse_conventions("specular=f0,normal=directx")
    identity = open_project(str(folder), Opening(conventions, {"normal": "green_up.png", "roughness": NONE})).identity
    assert identity.specular_f0_scale == 1.0
    assert identity.known_maps == {"diffuse", "specular", "normal"}
    expected = normal_bytes_from_slope(SLOPE[::-1] * np.array([1, -1], np.float32))
    found = normal_bytes_from_slope(identity.maps.slope)
    assert np.abs(found.astype(int) - expected)[..., :2].max() <= 1
    assert len(np.unique(identity.maps.roughness_data)) == 1


def test_packed_roughness_is_the_green_channel(folder: Path) -> None:
    (folder / "Anna_Gloss.tif").unlink()
    write_png(folder / "T_Anna_ORM.png", PACK)
    identity = open_project(str(folder)).identity
    np.testing.assert_array_equal(identity.maps.roughness_data, PACK[..., 1])
    assert "T_Anna_ORM.png (green)" in identity.provenance.note


def test_maps_of_another_size_are_brought_to_that_of_the_diffuse_one(folder: Path) -> None:
    write(folder / "Anna_Gloss.tif", np.repeat(np.repeat(ROUGHNESS, 2, axis=0), 2, axis=1))
    found = open_project(str(folder)).identity.maps
    np.testing.assert_array_equal(found.roughness_data, 255 - ROUGHNESS)  # between two texels that are alike


def test_floats_are_linear_and_colours_are_encoded(folder: Path) -> None:
    path = folder / "T_Anna_BC.exr"
    (folder / "T_Anna_BC.tga").unlink()
    light = linear_from_srgb(DIFFUSE).astype(np.float32)
    write(path, light * 1.0001 - 1e-5)
    np.testing.assert_array_equal(open_project(str(folder)).identity.maps.diffuse_srgb, DIFFUSE)
    write(path, np.full((4, 4, 3), 0.25, np.float32))
    assert (read_rgb(path) == 64).all()
    assert (read_rgb(path, srgb=True) == np.rint(255 * srgb_from_linear(np.array(0.25)))).all()
    write(path, RNG.normal(0, 1, (4, 4, 3)).astype(np.float32))
    with pytest.raises(FileFormatError, match="from 0 to 1"):
        read_rgb(path)


def test_a_head_with_a_colour_map_alone_is_completed(tmp_path: Path) -> None:
    """Evenly in a layout of its own; from the colour in the canonical one, with teeth."""
    (tmp_path / "maps").mkdir()
    write_png(tmp_path / "maps" / "albedo.png", DIFFUSE)
    write_mesh(tmp_path / "egg.obj")
    egg = open_project(str(tmp_path), Opening(parse_conventions("roughness=gloss,specular=f0"))).identity
    assert egg.known_maps == {"diffuse"}
    assert egg.specular_f0_scale * egg.maps.specular_data.mean() / 255 == pytest.approx(SKIN_F0, rel=1e-3)
    assert (egg.maps.roughness_data == 117).all()
    assert not egg.maps.slope.any()
    known = builtin_identity(7)
    (tmp_path / "egg.obj").unlink()
    write_mesh(tmp_path / "bust.obj", known)
    write_png(tmp_path / "maps" / "albedo.png", known.maps.diffuse_srgb)
    bust = open_project(str(tmp_path)).identity
    assert len(bust.topology.faces_of(Part.MOUTH)) > 100
    assert len(np.unique(bust.maps.roughness_data)) > 20


@pytest.mark.parametrize(
    ("change", "given", "message"),
    [
        ("anna_basecolor.png", {}, r"one diffuse map, found T_Anna_BC.tga, anna_basecolor.png; .*--map diffuse=FILE"),
        ("anna_roughness.png", {}, r"one roughness map, found Anna_Gloss.tif, anna_roughness.png"),
        ("other.png", {"normal": "missing.png"}, r"missing.png: expected the file of the normal map"),
        ("other.png", {"diffuse": NONE}, r"expected a diffuse map.*found.*T_Anna_BC.tga"),
        ("other.png", {"gloss": "other.png"}, r"expected diffuse, specular, roughness, normal, found 'gloss'"),
        ("other.png", {"roughness": "T_Anna_BC.tga"}, r"expected a grey map"),
    ],
)
def test_what_is_unclear_is_said(folder: Path, change: str, given: dict[str, str], message: str) -> None:
    write_png(folder / change, ROUGHNESS)
    with pytest.raises(FileFormatError, match=message):
        open_project(str(folder), Opening(maps=given))


def test_one_of_two_is_chosen(folder: Path) -> None:
    write_png(folder / "anna_basecolor.png", 255 - DIFFUSE)
    found = open_project(str(folder), Opening(maps={"diffuse": str(folder / "anna_basecolor.png")})).identity
    np.testing.assert_array_equal(found.maps.diffuse_srgb, 255 - DIFFUSE)
    assert map_files(folder, {"diffuse": "anna_basecolor.png"})["specular"].name == "anna_spec.exr"


def test_a_layout_that_names_its_maps_takes_no_others(folder: Path) -> None:
    with pytest.raises(FileFormatError, match=r"wears x.png; found none"):
        open_project("builtin:7", Opening(maps={"diffuse": "x.png"}))
    write_mesh(folder / "mesh_head.obj")
    with pytest.raises(FileFormatError, match=r"several meshes; open one of them: Anna.obj, mesh_head.obj"):
        open_project(str(folder))
    write_png(folder / "tex_uv.png", DIFFUSE)
    for path in (folder, folder / "mesh_head.obj"):
        with pytest.raises(FileFormatError, match="a layout that says which file is which map"):
            open_project(str(path), Opening(maps={"diffuse": "x.png"}))
        with pytest.raises(FileFormatError, match="FFHQ-UV texture layout"):
            open_project(str(path))


def test_a_mesh_without_texture_coordinates_is_refused(folder: Path) -> None:
    text = (folder / "Anna.obj").read_text()
    bare = [line for line in text.splitlines() if not line.startswith("vt")]
    (folder / "Anna.obj").write_text("\n".join(line.replace("/", "//") if line[0] == "f" else line for line in bare))
    with pytest.raises(FileFormatError, match="texture coordinates"):
        open_project(str(folder), Opening(MapConventions()))
