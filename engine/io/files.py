"""Files written whole or not at all, and NumPy arrays read without trust."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from engine.checks import short
from engine.errors import ExportError, FileFormatError
from engine.io.border import LARGEST_FILE, border, opened
from engine.io.temporary import hold, is_temporary, put_file, put_folder, sweep, temporary_beside

LARGEST_TEXT = 2**30
"""Bytes of a text file: an OBJ of seven million vertices."""
LARGEST_JSON = 2**24
FARTHEST = 1e9
"""Largest coordinate of a vertex, in the unit of its file: a hundred heads away in the smallest unit anyone uses."""
_OPEN_FILES = {"/dev/stdout": 1, "/dev/stderr": 2}
_OPEN_FILE = re.compile(r"/(?:dev|proc/self)/fd/([0-9]+)")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, of the same suffix, that becomes `path` when the block ends well.

    A reader sees the old file or the new one, never a part, after a loss of power too. Missing folders are made; a link
    is written through; a file that is there keeps its mode. Inside a folder that `filling` gave, `path` itself: there
    the folder is what is moved. ExportError, with nothing left behind, when the place cannot be written.
    """
    path = Path(path)
    if any(is_temporary(parent.name) for parent in path.parents):
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
        return
    with _writing_to(path) as target:
        if not (target.is_file() or not target.exists()):
            raise OSError(f"{'a folder' if target.is_dir() else 'a device or pipe'} of that name")
        with temporary_beside(target) as temporary:
            yield temporary
            put_file(temporary, target)


@contextmanager
def filling(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside `folder` that becomes it when the block ends well, as whole as `replacing`.

    ExportError where `folder` is there and not empty (nothing of it is touched; with `replace` the new one takes its
    place), or the place cannot be written.
    """
    folder = Path(folder)
    if not replace:
        check_fillable(folder)
    with _writing_to(folder) as target, temporary_beside(target, folder=True) as temporary:
        yield temporary
        put_folder(temporary, target)


@contextmanager
def writing_into(folder: Path) -> Iterator[Callable[[], bool]]:
    """`folder`, made where it is missing, and what tries to hold it, until the block ends, against everyone else who
    writes into it like this: whether it does. ExportError where the place cannot be written.
    """
    folder = Path(folder)
    with _told(folder), _made(folder), ExitStack() as locks:

        def take() -> bool:
            try:
                lock = hold(folder.resolve())
            except BlockingIOError:
                return False
            if lock is not None:
                locks.callback(os.close, lock)
            return True

        yield take


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """`writing_into` for who does not wait; ExportError where another writes into `folder`."""
    with writing_into(folder) as take:
        if not take():
            raise ExportError(f"{folder}: expected nobody else who writes there, found another; let it end first")
        yield


def check_fillable(folder: Path, found: str = "files in it") -> None:
    """ExportError where `folder` is no place for `filling`, best asked before long work; `found` says what is there."""
    with _told(folder):
        if folder.is_dir():
            sweep(folder)
        elif folder.exists():
            raise ExportError(f"{folder}: expected a folder, found a file; choose another name")
        else:
            nearest = next(parent for parent in (*folder.parents, Path.cwd()) if parent.exists())
            if not nearest.is_dir():
                raise OSError(f"{nearest} is a file, not a folder")
            if not os.access(nearest, os.W_OK | os.X_OK):
                raise OSError(f"{nearest} may not be written to")
        if folder.is_dir() and any(folder.iterdir()):
            raise ExportError(f"{folder}: expected an empty or a new folder, found {found}; choose another name")


@contextmanager
def _writing_to(path: Path) -> Iterator[Path]:
    """Where `path` really is (links followed), its folder made as by `_made`."""
    with _told(path), _made(path.parent):
        target = Path(os.path.realpath(path)) if path.is_symlink() else path
        if target.is_symlink():
            raise OSError("links that go round in a circle")
        yield target


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """`folder` is there; what was made for that goes again when the block fails. OSError."""
    line = (folder, *folder.parents)
    missing = [each for each in line if not each.exists()]
    if file := next((each for each in line if each.is_file()), None):
        raise OSError(f"{file} is a file, not a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for each in missing:
            with suppress(OSError):
                each.rmdir()
        raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """OSError as ExportError that names `path`, whatever temporary name it came from."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise ExportError(f"{path}: expected a place that can be written, found: {reason}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all; ExportError when the place cannot be written.

    Devices and pipes (/dev/stdout, a named pipe that somebody reads) take the data as it is.
    """
    with _told(path):
        stream = _stream(Path(path))
        if stream is not None:
            with open(stream, "wb") as file:
                file.write(data)
            return
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _stream(path: Path) -> int | None:
    """A descriptor of the device, pipe or open file that `path` names; None where it is, or will be, a plain file."""
    if str(path) in _OPEN_FILES:
        return os.dup(_OPEN_FILES[str(path)])
    if match := _OPEN_FILE.fullmatch(str(path)):
        return os.dup(int(match[1]))
    if not path.exists() or path.is_file() or path.is_dir():
        return None
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # a pipe that nobody reads is an error, not a wait
    os.set_blocking(descriptor, True)
    return descriptor


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
    return b"".join(npy_parts(array))  # in one copy: arrays are large


def npy_parts(array: np.ndarray) -> tuple[bytes, memoryview]:
    """Header and content of `npy_bytes`, the second not copied where `array` is contiguous."""
    array, header = np.ascontiguousarray(array), io.BytesIO()
    if array.dtype.hasobject:
        raise ValueError(f"npy_bytes: expected plain numbers, found dtype {array.dtype}")
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue(), array.reshape(-1).view(np.uint8).data


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
    with np.errstate(over="ignore", invalid="ignore"):
        positions = np.asarray(array, np.float32)  # first: half floats do not hold the limit
        near = (np.abs(positions) <= FARTHEST).all(axis=1)  # False for NaN too
    if not near.all():
        bad = int(np.count_nonzero(~near))
        raise FileFormatError(
            f"{where}: expected finite positions within {FARTHEST:g}, found NaN, infinity or more in {bad} of "
            f"{len(array)} vertices"
        )
    return positions
