"""PNG round trips, conversions that are said, and files that are no images."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from engine.errors import ExportError, FileFormatError
from engine.io.images import png_bytes, read_grey, read_rgb, write_exr, write_png

RNG = np.random.default_rng(3)
RGB = RNG.integers(0, 256, (19, 33, 3), dtype=np.uint8)


def test_rgb_and_grey_round_trip_exactly(tmp_path: Path) -> None:
    write_png(tmp_path / "rgb.png", RGB)
    write_png(tmp_path / "grey.png", RGB[..., 0])
    np.testing.assert_array_equal(read_rgb(tmp_path / "rgb.png"), RGB)
    np.testing.assert_array_equal(read_grey(tmp_path / "grey.png"), RGB[..., 0])


def test_transparent_pixels_keep_their_colour(tmp_path: Path) -> None:
    rgba = RNG.integers(0, 256, (8, 8, 4), dtype=np.uint8)
    write_png(tmp_path / "rgba.png", rgba)
    np.testing.assert_array_equal(read_rgb(tmp_path / "rgba.png"), rgba[..., :3])


def test_sixteen_bits_are_rounded_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deep = RNG.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    write_png(tmp_path / "deep.png", deep)
    with caplog.at_level(logging.INFO, logger="engine"):
        found = read_rgb(tmp_path / "deep.png")
    np.testing.assert_array_equal(found, np.rint(deep / 257.0).astype(np.uint8))
    assert "16 bits" in caplog.text


def test_grey_is_repeated_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_png(tmp_path / "grey.png", RGB[..., 0])
    with caplog.at_level(logging.INFO, logger="engine"):
        found = read_rgb(tmp_path / "grey.png")
    assert (found == RGB[..., :1]).all()
    assert "grey" in caplog.text


def test_a_colour_picture_is_no_grey_map(tmp_path: Path) -> None:
    write_png(tmp_path / "rgb.png", RGB)
    with pytest.raises(FileFormatError, match="expected a grey map"):
        read_grey(tmp_path / "rgb.png")


def test_same_pixels_give_the_same_bytes_without_profiles() -> None:
    data = png_bytes(RGB)
    assert data == png_bytes(RGB)
    for chunk in (b"gAMA", b"sRGB", b"iCCP", b"tIME", b"tEXt"):
        assert chunk not in data


@pytest.mark.parametrize("keep", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_cut_png_is_told_from_a_whole_one(tmp_path: Path, keep: float, capfd: pytest.CaptureFixture[str]) -> None:
    data = png_bytes(RGB)
    path = tmp_path / "cut.png"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FileFormatError, match=r"cut\.png.*expected.*found"):
        read_rgb(path)
    assert capfd.readouterr().err == ""  # libpng must not print its own complaint


def test_one_flipped_bit_is_found(tmp_path: Path) -> None:
    data = bytearray(png_bytes(RGB))
    data[len(data) // 2] ^= 4
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(FileFormatError, match="damaged"):
        read_rgb(tmp_path / "bad.png")


@pytest.mark.parametrize("content", [b"hello, I am no image", b"\x89PNG\r\n\x1a\n"])
def test_no_image_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(FileFormatError, match="expected"):
        read_rgb(tmp_path / "x.png")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"none\.png.*No such file"):
        read_rgb(tmp_path / "none.png")
    with pytest.raises(FileFormatError, match="directory"):
        read_rgb(tmp_path)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(ExportError, match="plain"):
        write_png(tmp_path / "plain" / "a.png", RGB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain"]
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "a.png", RGB.astype(np.float32))
    assert not (tmp_path / "a.png").exists()


def test_layers_keep_their_names_and_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    layers = {
        "RGBA": rng.normal(0, 9, (5, 7, 4)).astype(np.float32),
        "diffuse light": rng.normal(0, 9, (5, 7, 3)).astype(np.float32),
        "depth": rng.normal(0, 9, (5, 7)).astype(np.float32),
    }
    path = tmp_path / "layers.exr"
    write_exr(path, layers)
    source = oiio.ImageInput.open(str(path))
    names = list(source.spec().channelnames)
    assert sorted(names) == sorted(
        ["R", "G", "B", "A", "diffuse_light.R", "diffuse_light.G", "diffuse_light.B", "depth.Z"]
    )
    pixels = source.read_image("float")
    source.close()
    for name, layer in (("G", layers["RGBA"][..., 1]), ("diffuse_light.B", layers["diffuse light"][..., 2])):
        np.testing.assert_array_equal(pixels[..., names.index(name)], layer)
    np.testing.assert_array_equal(pixels[..., names.index("depth.Z")], layers["depth"])
    with pytest.raises(ExportError):
        write_exr(path / "below a file.exr", layers)
