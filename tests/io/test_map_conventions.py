"""What map files mean, against numpy, a switch at a time."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from engine.color import linear_from_srgb, srgb_from_linear
from engine.errors import FileFormatError
from engine.export import export_jreflectance
from engine.image import normal_bytes_from_slope
from engine.io.map_conventions import (
    PUBLISHED,
    Diffuse,
    Encoding,
    Finish,
    MapConventions,
    Normal,
    Specular,
    albedo_from_measured,
    f0_scale,
    maps_from_files,
    parse_conventions,
)
from engine.io.project import load_project, save_project
from engine.open import Opening, open_project
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.render.test_tables import integrated

RNG = np.random.default_rng(3)
DIFFUSE, SPECULAR = (RNG.integers(0, 256, (16, 24, 3), np.uint8) for _ in range(2))
ROUGHNESS = RNG.integers(0, 256, (16, 24), np.uint8)
NORMAL = normal_bytes_from_slope(RNG.normal(0, 0.4, (16, 24, 2)).astype(np.float32))
PIXELS = {"diffuse": DIFFUSE, "specular": SPECULAR, "roughness": ROUGHNESS, "normal": NORMAL}


def read(**changes: object) -> dict[str, np.ndarray]:
    maps = maps_from_files(PIXELS, MapConventions(**changes))  # type: ignore[arg-type]
    return {part.name: getattr(maps, part.name) for part in fields(maps)}


PLAIN = read()


def changed_only(found: dict[str, np.ndarray], name: str) -> np.ndarray:
    for other in PLAIN.keys() - {name}:
        np.testing.assert_array_equal(found[other], PLAIN[other])
    assert (found[name] != PLAIN[name]).any()
    return found[name]


def test_as_published_files_are_as_they_are() -> None:
    np.testing.assert_array_equal(PLAIN["diffuse_srgb"], DIFFUSE)
    np.testing.assert_array_equal(PLAIN["specular_data"], SPECULAR)
    np.testing.assert_array_equal(PLAIN["roughness_data"], ROUGHNESS)
    np.testing.assert_array_equal(normal_bytes_from_slope(PLAIN["slope"])[..., :2], NORMAL[..., :2])


def test_encoded_specular_is_decoded() -> None:
    found = changed_only(read(encoding=Encoding.SRGB), "specular_data")
    np.testing.assert_allclose(found, linear_from_srgb(SPECULAR) * 255, atol=0.51)


@pytest.mark.parametrize("finish", [Finish.GLOSS, Finish.ALPHA])
def test_gloss_and_alpha_become_perceptual_roughness(finish: Finish) -> None:
    found = changed_only(read(roughness=finish), "roughness_data")
    unit = ROUGHNESS / 255
    expected = 1 - unit if finish is Finish.GLOSS else np.sqrt(unit)
    np.testing.assert_allclose(found, expected * 255, atol=0.51)


def test_normals_that_look_down_are_turned() -> None:
    found = changed_only(read(normal=Normal.DIRECTX), "slope")
    np.testing.assert_array_equal(found * np.array([1, -1], np.float16), PLAIN["slope"])


@pytest.mark.parametrize("roughness", [0.2, 0.45, 0.9])
def test_measured_diffuse_gets_back_what_the_surface_kept_out(roughness: float) -> None:
    """Against the specular albedo of GGX at F0 0.028, integrated over lights and views."""
    nodes, weights = np.polynomial.legendre.leggauss(10)
    kept_out = 0.0
    for cosine, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        scale, bias = integrated(cosine, roughness)
        kept_out += 2 * cosine * weight * (0.028 * scale + bias)
    assert 0.01 < kept_out < 0.08
    data = np.full(DIFFUSE.shape[:2], round(roughness * 255), np.uint8)
    found = albedo_from_measured(DIFFUSE, data)
    expected = srgb_from_linear(np.minimum(linear_from_srgb(DIFFUSE) / (1 - kept_out), 1)) * 255
    np.testing.assert_allclose(found, expected, atol=0.75)  # a level, and the table's 11 rows
    np.testing.assert_array_equal(
        changed_only(read(diffuse=Diffuse.MEASURED), "diffuse_srgb"), albedo_from_measured(DIFFUSE, ROUGHNESS)
    )


def test_the_scale_to_f0() -> None:
    assert f0_scale(SPECULAR, PUBLISHED) is None
    assert f0_scale(SPECULAR, MapConventions(specular=Specular.F0)) == 1.0
    assert f0_scale(SPECULAR, MapConventions(specular=Specular.UNREAL)) == 0.08
    image = np.zeros((8, 8, 3), np.uint8)
    image[2:5] = 90, 100, 110
    scale = f0_scale(image, MapConventions(specular=Specular.MEAN))
    assert scale is not None
    assert scale * 100 / 255 == pytest.approx(0.028)
    assert f0_scale(image * 0, MapConventions(specular=Specular.MEAN)) is None


def test_text_and_back() -> None:
    text = "specular=f0, normal=DirectX,roughness=gloss"
    found = parse_conventions(text)
    assert found == MapConventions(specular=Specular.F0, normal=Normal.DIRECTX, roughness=Finish.GLOSS)
    assert parse_conventions(str(found)) == found
    assert parse_conventions("") == PUBLISHED
    assert str(PUBLISHED) == ""
    for wrong in ("normal", "normal=up", "colour=srgb"):
        with pytest.raises(FileFormatError, match=r"normal=opengl\|directx"):
            parse_conventions(wrong)


def test_a_folder_is_read_as_told_and_a_project_remembers(tmp_path: Path) -> None:
    head = make_head(32)
    export_jreflectance(Project(head, make_expressions(head), {}, new_project(head).scene), tmp_path / "p")
    conventions = parse_conventions("specular=unreal,roughness=gloss,normal=directx")
    found = open_project(str(tmp_path / "p"), Opening(conventions))
    assert found.identity.specular_f0_scale == 0.08
    np.testing.assert_array_equal(found.identity.maps.roughness_data, 255 - head.maps.roughness_data)
    np.testing.assert_allclose(found.identity.maps.slope[..., 1], -head.maps.slope[..., 1].astype(float), atol=0.03)
    plain = open_project(str(tmp_path / "p"))
    change, other = (each.expressions["Jaw Open"].change for each in (found, plain))
    np.testing.assert_allclose(change.roughness, -other.roughness.astype(float), atol=1e-3)
    save_project(found, tmp_path / "p.expdiff")
    again = load_project(tmp_path / "p.expdiff").identity
    assert again.specular_f0_scale == 0.08
    assert "specular=unreal,roughness=gloss,normal=directx" in again.provenance.note
    for path in (str(tmp_path / "p.expdiff"), "builtin:7"):
        with pytest.raises(FileFormatError, match="folder with map files"):
            open_project(path, Opening(conventions))
