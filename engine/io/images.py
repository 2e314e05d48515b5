"""PNG and its relatives, to and from uint8 arrays. Row 0 is the top; colours stay as encoded in the file."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from isal import isal_zlib

from engine.color import bytes_from_unit, srgb_from_linear
from engine.errors import FileFormatError
from engine.identity import LARGEST_SIDE
from engine.io.border import check_file, opened, reads, spend
from engine.io.complaints import unprinted
from engine.io.files import read_bytes, replacing, write_bytes

LOG = logging.getLogger(__name__)

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG, _TIFF = b"\xff\xd8\xff", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_PARTS = {273: "start", 279: "bytes", 324: "start", 325: "bytes"}
"""Tags of strips and of tiles."""
_TIFF_KINDS = {3: "u2", 4: "u4", 16: "u8"}
_MOST_CHANNELS = 1024
_SPARE_BYTES = 48 * 2**20
"""What one picture may take that is packed tighter than pictures are: a 4k x 4k map of one colour."""
_STRIP_TEXELS = 2**20
_SIGNED = -0.1
"""Values below are no filter's overshoot: floating-point normals, say, that were not brought to 0..1."""
_EXR_LETTERS = {"normal": "XYZ", "position": "XYZ", "depth": "Z"}
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Of a PNG, by number of channels."""
_FILTER_NONE, _FILTER_UP = 0, 2
_LEVEL = 2
"""Of isal: 4 % larger than zlib's fourth, in a sixth of its time."""


def read_rgb(path: Path, *, srgb: bool = False) -> np.ndarray:
    """(H, W, 3) uint8 of an image file, in the file's own encoding (sRGB for colours, linear for data maps).

    Grey is repeated, alpha dropped, 16 bits rounded to 8; each is said in the log. Floating point, which holds linear
    values, is clipped to 0..1, and encoded with `srgb`. FileFormatError when the file is missing, cut, empty, larger
    than 16384 a side, or no image.
    """
    pixels = _read(Path(path), srgb)
    channels = pixels.shape[2]
    if channels < 3:
        LOG.info("%s: grey image, used for all three channels", path)
        return np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(pixels[..., :3])


def read_grey(path: Path) -> np.ndarray:
    """(H, W) uint8 of an image file: its first channel, which must be the others' equal within 2/255.

    More than 8 bits are brought to 8, which the log says. Errors as `read_rgb`, and for a coloured image.
    """
    pixels = _read(Path(path))
    if pixels.shape[2] >= 3:
        spread = int((pixels[..., :3].max(axis=2).astype(np.int16) - pixels[..., :3].min(axis=2)).max())
        if spread > 2:
            raise FileFormatError(
                f"{path}: expected a grey map, found colours up to {spread}/255 apart; is it another map's file?"
            )
    return np.ascontiguousarray(pixels[..., 0])


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write (H, W), (H, W, 3) or (H, W, 4) uint8 or uint16 as PNG, unassociated alpha, whole or not at all.

    Only pixels are stored: no gamma or colour profile, since the folder layout says what each file means.
    ExportError when the place cannot be written.
    """
    write_bytes(Path(path), png_bytes(pixels))


def write_exr(path: Path, layers: Mapping[str, np.ndarray]) -> None:
    """Write float32 layers (H, W) or (H, W, C <= 4), row 0 on top, linear, as one OpenEXR file, whole or not at all.

    `RGBA` become the channels R, G, B, A; any other layer NAME becomes NAME.R ... (NAME.Y with one channel;
    normal.X ..., depth.Z), blanks as underscores, as compositing programs group them. ExportError when the place cannot
    be written.
    """
    names, planes = [], []
    for layer, values in layers.items():
        values = values if values.ndim == 3 else values[..., None]
        letters = _EXR_LETTERS.get(layer, "Y" if values.shape[2] == 1 else "RGBA"[: values.shape[2]])
        prefix = "" if layer == "RGBA" else layer.replace(" ", "_") + "."
        names += [prefix + letter for letter in letters]
        planes.append(values)
    pixels = np.concatenate(planes, 2).astype(np.float32)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], oiio.FLOAT)
    spec.channelnames = tuple(names)
    spec.attribute("compression", "zip")
    spec.attribute("oiio:ColorSpace", "lin_rec709")
    with replacing(Path(path)) as temporary:
        output = oiio.ImageOutput.create("exr")
        if output is None:
            raise OSError(f"no OpenEXR writer in OpenImageIO: {oiio.geterror()}")
        if not (output.open(str(temporary), spec) and output.write_image(pixels) and output.close()):
            with temporary.open("ab", buffering=0) as file:
                file.write(bytes(2**16))  # a full disk says so itself; OpenEXR only that it failed
            raise OSError(_complaint(output).replace(str(temporary), str(path)))


def png_bytes(pixels: np.ndarray) -> bytes:
    """`pixels` as `write_png` takes them, as the content of a PNG file (PNG 1.2); every row but the first is stored as
    its difference from the one above, which packs smaller and faster than searching for each row's best filter."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in _COLOUR_TYPES or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"write_png: expected (H, W[, 3|4]) uint8 or uint16, found {pixels.dtype} {pixels.shape}")
    height, width, channels = pixels.shape
    rows = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[0, 0], filtered[0, 1:] = _FILTER_NONE, rows[0]
    filtered[1:, 0], filtered[1:, 1:] = _FILTER_UP, rows[1:] - rows[:-1]
    header = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, _COLOUR_TYPES[channels], 0, 0, 0)
    data = isal_zlib.compress(filtered.data, _LEVEL)
    return _PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


@reads("an image")
def read_radiance(path: Path) -> np.ndarray:
    """(H, W, 3) float32 linear of a floating-point image as it is, grey repeated, alpha dropped; errors as `read_rgb`,
    whatever the values are."""
    with _opened(path, oiio.FLOAT) as (source, spec):
        image = np.empty((spec.height, spec.width, min(spec.nchannels, 3)), np.float32)
        for rows, pixels in _strips(path, source, spec, image.shape[2], oiio.FLOAT):
            image[rows] = pixels
    return image if image.shape[2] == 3 else np.repeat(image[..., :1], 3, axis=2)


@reads("an image")
def _read(path: Path, srgb: bool = False) -> np.ndarray:
    """(H, W, C) uint8, C 1 to 4; from linear floating point, sRGB-encoded where that is wanted."""
    with _opened(path) as (source, spec):
        depth = str(spec.format)
        if depth not in ("uint8", "uint16", "half", "float"):
            raise FileFormatError(f"{path}: expected 8 or 16 bits or floats, found {depth}; save it as an 8-bit PNG")
        image = np.empty((spec.height, spec.width, min(spec.nchannels, 4)), np.uint8)
        exact = depth if depth.startswith("uint") else "float"
        for rows, pixels in _strips(path, source, spec, image.shape[2], exact):
            image[rows] = _bytes_of(pixels, srgb, path)
    if depth == "uint16":
        LOG.info("%s: 16 bits a channel, rounded to 8", path)
    elif exact == "float":
        LOG.info("%s: linear floating point, brought to 8 bits%s", path, " sRGB" if srgb else "")
    return image


def _bytes_of(pixels: np.ndarray, srgb: bool, path: Path) -> np.ndarray:
    """`pixels` of whatever depth as uint8."""
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype == np.uint16:
        return np.rint(pixels / np.float32(257)).astype(np.uint8)
    if not np.isfinite(pixels).all() or pixels.min() < _SIGNED:
        raise FileFormatError(f"{path}: expected values from 0 to 1, found {pixels.min():g}; save it as a PNG")
    return bytes_from_unit(srgb_from_linear(np.clip(pixels, 0, 1)) if srgb else pixels)


@contextmanager
def _opened(path: Path, depth: oiio.BASETYPE | None = None) -> Iterator[tuple[oiio.ImageInput, oiio.ImageSpec]]:
    """The image at `path`, its size and the memory that it takes at `depth` (its own if None) checked, not yet read."""
    stored = check_file(path)
    if not stored:
        raise FileFormatError(f"{path}: expected an image, found an empty file")
    with opened(path) as file:
        head = file.read(len(_PNG))
        is_png = head == _PNG
        if is_png:
            stored = _check_png(read_bytes(path), str(path))
        elif head[:4] in _TIFF:
            stored = _tiff_bytes(file, stored)
        elif head[:3] == _JPEG:
            stored = _jpeg_bytes(read_bytes(path))
    with unprinted() if is_png else nullcontext():
        yield from _source(path, stored, depth)


def _source(path: Path, stored: int, depth: oiio.BASETYPE | None) -> Iterator[tuple[oiio.ImageInput, oiio.ImageSpec]]:
    """See `_opened`."""
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise FileFormatError(f"{path}: expected an image, found: {_complaint(oiio)}")
    try:
        spec = source.spec()
        width, height, channels = spec.width, spec.height, spec.nchannels
        _check_size(str(path), width, height)
        if not 1 <= channels <= _MOST_CHANNELS:
            raise FileFormatError(f"{path}: expected 1 to {_MOST_CHANNELS} channels, found {channels}")
        size = 4 if depth == oiio.FLOAT else 1
        spend(path, width * height * 3 * size, stored, size * _SPARE_BYTES)
        yield source, spec
        if complaint := _complaint(source):  # of a header that is damaged where the pixels do not need it
            raise FileFormatError(f"{path}: expected a whole image, found: {complaint}")
    finally:
        source.close()


def _strips(
    path: Path, source: oiio.ImageInput, spec: oiio.ImageSpec, channels: int, depth: Any
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their (rows, W, channels) pixels at `depth`, top to bottom: conversions need no second whole image."""
    step = max(_STRIP_TEXELS // spec.width, 1) if not spec.tile_width else spec.height
    for first in range(0, spec.height, step):
        end = min(first + step, spec.height)
        if step == spec.height:
            pixels = source.read_image(0, 0, 0, channels, depth)
        else:
            pixels = source.read_scanlines(0, 0, spec.y + first, spec.y + end, spec.z, 0, channels, depth)
        if pixels is None:
            raise FileFormatError(f"{path}: expected a whole image, found: {_complaint(source)}")
        yield slice(first, end), pixels.reshape(end - first, spec.width, channels)


def _check_png(data: bytes, where: str) -> int:
    """Bytes that a PNG's pixels are packed in; FileFormatError where it is not whole or of an absurd size (PNG 1.2,
    section 3.2); libpng takes no notice of some of it."""
    at, stored = len(_PNG), 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        name, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise FileFormatError(f"{where}: expected a whole PNG, found a damaged {name!r} chunk")
        if name == b"IHDR" and length >= 8:
            width, height = struct.unpack_from(">II", data, at + 8)
            _check_size(where, width, height)
        if name == b"IEND":
            return stored
        stored += length if name == b"IDAT" else 0
        at = end
    raise FileFormatError(f"{where}: expected a whole PNG, found one cut after {len(data)} bytes; copy it again")


def _tiff_bytes(file: BufferedReader, size: int) -> int:
    """Bytes that the pixels of a TIFF of `size` bytes are packed in: its strips or tiles, what they share counted once.
    0 where it does not say; struct.error or ValueError where it is cut."""
    tags = _tiff_numbers(file, size)
    if not {"start", "bytes"} <= tags.keys():
        return 0
    start = tags["start"].clip(0, size)
    end = np.minimum(start + tags["bytes"].clip(0, size), size)
    order = np.argsort(start)
    start, end = start[order], end[order]
    before = np.concatenate([[0], np.maximum.accumulate(end)[:-1]])
    return int((end - np.maximum(start, before)).clip(0).sum())


def _tiff_numbers(file: BufferedReader, size: int) -> dict[str, np.ndarray]:
    """The numbers of the tags in `_TIFF_PARTS` of the first directory of a TIFF (TIFF 6.0, section 2) or BigTIFF."""
    file.seek(0)
    magic = file.read(8)
    order, large = (">" if magic[:2] == b"MM" else "<"), magic[:4] in _TIFF[2:]
    formats = ("Q", "Q", "HHQ8s") if large else ("I", "H", "HHI4s")
    place, count, entry = (struct.Struct(order + each) for each in formats)
    file.seek(*place.unpack(file.read(8) if large else magic[4:]))
    (entries,) = count.unpack(file.read(count.size))
    tags: dict[str, np.ndarray] = {}
    for tag, kind, length, inside in entry.iter_unpack(file.read(min(entries * entry.size, size))):
        if tag in _TIFF_PARTS and kind in _TIFF_KINDS:
            numbers = np.dtype(order + _TIFF_KINDS[kind])
            if length * numbers.itemsize > len(inside):
                file.seek(*place.unpack(inside))
                inside = file.read(min(length * numbers.itemsize, size))
            tags[_TIFF_PARTS[tag]] = np.frombuffer(inside, numbers, length).astype(np.int64)
    return tags


def _jpeg_bytes(data: bytes) -> int:
    """Bytes that a JPEG's pixels are packed in: from the first scan to the end of the image (ITU-T T.81, annex B)."""
    at = 2
    while data[at : at + 1] == b"\xff" and data[at : at + 2] != b"\xff\xda":
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    end = data.find(b"\xff\xd9", at)
    return (len(data) if end < 0 else end) - at


def _check_size(where: str, width: int, height: int) -> None:
    if not 1 <= min(width, height) <= max(width, height) <= LARGEST_SIDE:
        raise FileFormatError(f"{where}: expected 1 to {LARGEST_SIDE} texels a side, found {width} x {height}")


def _complaint(library: Any) -> str:
    """The first line of what OpenImageIO, or an image of it, has to say; it quotes bytes of the file as they are."""
    try:
        message = library.geterror()
    except UnicodeDecodeError as error:
        message = error.object.decode("utf-8", "replace")
    return next((line.strip() for line in message.splitlines() if line.strip()), "")
