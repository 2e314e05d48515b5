"""PNG round trips, conversions that are said, and files that are no images."""

from __future__ import annotations

import logging
import os
import struct
import zlib
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


def _small(path: Path) -> bytearray:
    """A picture of 16 x 16 texels at `path`."""
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), oiio.ImageSpec(16, 16, 3, oiio.UINT8))
    assert output.write_image(np.zeros((16, 16, 3), np.uint8))
    assert output.close()
    return bytearray(path.read_bytes())


def _claimed(name: str, data: bytearray, side: int) -> bytes:
    """`data` of a small picture with `side` x `side` in its header."""
    if name == "a.png":
        data[16:24] = struct.pack(">II", side, side)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif name == "a.jpg":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", side, side)
    else:
        (at,) = struct.unpack_from("<I", data, 4)
        for entry in range(at + 2, len(data) - 12, 12):
            if struct.unpack_from("<H", data, entry)[0] in (256, 257):
                struct.pack_into("<HII", data, entry + 2, 4, 1, side)
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "inside"), [("a.png", False), ("a.png", True), ("a.jpg", False), ("a.jpg", True), ("a.tif", False)]
)
def test_what_is_no_part_of_a_picture_buys_no_budget(tmp_path: Path, name: str, inside: bool) -> None:
    """16384 x 16384 texels in a few bytes, and 14 MB of nothing before or behind them."""
    path, padding = tmp_path / name, 14 * 2**20
    data = _claimed(name, _small(path), 16384)
    if inside and name == "a.png":
        text = b"tEXta\0" + bytes(padding)
        data = data[:33] + struct.pack(">I", padding + 2) + text + struct.pack(">I", zlib.crc32(text)) + data[33:]
    elif inside and name == "a.jpg":
        data = data[:2] + (b"\xff\xe5\xff\xff" + bytes(65533)) * (padding >> 16) + data[2:]
    path.write_bytes(data)
    if not inside:
        os.truncate(path, padding)
    with pytest.raises(FileFormatError, match=r"found 768 MiB claimed by [0-9]+ bytes"):
        read_rgb(path)


def test_strips_that_share_their_bytes_are_counted_once(tmp_path: Path) -> None:
    data = _claimed("a.tif", _small(tmp_path / "a.tif"), 16384)
    strips = struct.pack("<1024I", *[8] * 1024), struct.pack("<1024I", *[14 * 2**20] * 1024)
    (at,) = struct.unpack_from("<I", data, 4)
    changed, end = bytearray(data), len(data)
    for entry in range(at + 2, len(data) - 12, 12):
        tag = struct.unpack_from("<H", data, entry)[0]
        if tag in (273, 279):
            struct.pack_into("<HII", changed, entry + 2, 4, 1024, end + 4096 * (tag == 279))
        elif tag == 278:
            struct.pack_into("<HII", changed, entry + 2, 4, 1, 16)
    (tmp_path / "b.tif").write_bytes(bytes(changed) + b"".join(strips))
    with pytest.raises(FileFormatError, match=r"found 768 MiB claimed by 8\.[0-9]+ KiB"):
        read_rgb(tmp_path / "b.tif")
