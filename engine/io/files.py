"""Files written whole or not at all, and NumPy arrays read without trust."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from engine.checks import short
from engine.errors import ExportError, FileFormatError
from engine.io.border import LARGEST_FILE, border, opened

LARGEST_TEXT = 2**30
"""Bytes of a text file: an OBJ of seven million vertices."""
LARGEST_JSON = 2**24
FARTHEST = 1e9
"""Largest coordinate of a vertex, in the unit of its file: a hundred heads away in the smallest unit anyone uses."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, of the same suffix, that becomes `path` when the block ends well.

    Missing folders are made. A reader sees the old file or the new one, never a part. ExportError when the place cannot
    be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise ExportError(f"{path}: expected a place that can be written, found: {error.strerror or error}") from error
    finally:
        if temporary.exists():
            temporary.unlink()


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that becomes it when the block ends well.

    ExportError where `folder` is there and not empty (nothing of it is touched), or the place cannot be written.
    """
    check_fillable(folder)
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if folder.exists():
            folder.rmdir()
        os.replace(temporary, folder)
    except OSError as error:
        raise ExportError(
            f"{folder}: expected a place that can be written, found: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_fillable(folder: Path) -> None:
    """ExportError where `folder` is no place for `filling`, best asked before long work."""
    if folder.exists() and not folder.is_dir():
        raise ExportError(f"{folder}: expected a folder, found a file; choose another name")
    if folder.exists() and any(folder.iterdir()):
        raise ExportError(f"{folder}: expected an empty or a new folder, found files in it; choose another name")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all; ExportError when the place cannot be written."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def read_bytes(path: Path, largest: int = LARGEST_FILE) -> bytes:
    """The content of `path`; FileFormatError when it is missing, no regular file, may not be read, or is larger than
    `largest` bytes."""
    with opened(path, largest) as file, border(path, "a file that can be read"):
        return file.read(largest)


def read_text(path: Path, largest: int = LARGEST_TEXT) -> str:
    """The UTF-8 text of `path`, with or without byte order mark; what is no UTF-8 becomes U+FFFD. Errors as
    `read_bytes`."""
    return read_bytes(path, largest).decode("utf-8-sig", "replace")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Parse `path` as JSON of at most `LARGEST_JSON` bytes; FileFormatError says where it breaks."""
    return json_from_bytes(read_bytes(path, LARGEST_JSON), str(path))


def json_from_bytes(data: bytes, where: str) -> Any:
    """Parse UTF-8 JSON, with or without byte order mark; FileFormatError names `where` and the line that breaks.

    NaN and Infinity, which Python writes but JSON has not, are refused.
    """
    if len(data) > LARGEST_JSON:  # lists take twenty times the memory of their text
        raise FileFormatError(f"{where}: expected at most {LARGEST_JSON >> 20} MiB of JSON, found {len(data)} bytes")
    with border(where, "JSON"):
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refused)


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant}, which is no number of JSON")


def npy_bytes(array: np.ndarray) -> bytes:
    """`array` in NumPy's .npy format, never pickled."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def write_npy(path: Path, array: np.ndarray) -> None:
    """Write `array` as .npy, whole or not at all."""
    write_bytes(path, npy_bytes(array))


def read_npy(path: Path) -> np.ndarray:
    """The array in a .npy file, read-only; FileFormatError when damaged, pickled, or its header claims another size."""
    return npy_from_bytes(read_bytes(path), str(path))


def npy_from_bytes(data: bytes, where: str) -> np.ndarray:
    """Parse .npy content without pickle and without believing its header's size: (shape of the file), read-only.

    FileFormatError names `where`.
    """
    with border(where, "a NumPy .npy file"):
        stream = io.BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read_header(stream)
        if dtype.hasobject or not dtype.itemsize:
            raise FileFormatError(f"{where}: expected plain numbers, found dtype {dtype}, which is never loaded")
        count, body = math.prod(shape), len(data) - stream.tell()
        if count * dtype.itemsize != body or min(shape, default=0) < 0:
            raise FileFormatError(
                f"{where}: expected {short(count * dtype.itemsize)} bytes for shape {short(shape)}, found {body}; "
                "it is cut or damaged"
            )
        flat = np.frombuffer(data, dtype, count, stream.tell()) if count else np.zeros(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")


def check_vertices(where: str, array: np.ndarray, count: int | None = None) -> np.ndarray:
    """`array` as (count, 3) float32, finite; FileFormatError says what was found. `count` None accepts any length."""
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "fiu":
        raise FileFormatError(f"{where}: expected numbers of shape (vertices, 3), found {array.dtype} {array.shape}")
    if count is not None and len(array) != count:
        raise FileFormatError(f"{where}: expected {count} vertices, found {len(array)}; it belongs to another topology")
    if len(array) == 0:
        raise FileFormatError(f"{where}: expected vertices, found none")
    with np.errstate(invalid="ignore"):
        near = (np.abs(array) <= FARTHEST).all(axis=1)  # False for NaN too
    if not near.all():
        bad = int(np.count_nonzero(~near))
        raise FileFormatError(
            f"{where}: expected finite positions within {FARTHEST:g}, found NaN, infinity or more in {bad} of "
            f"{len(array)} vertices"
        )
    return np.asarray(array, np.float32)
