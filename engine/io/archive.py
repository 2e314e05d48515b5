"""Values on disk, a JSON text and the arrays beside it, in one zip file or in a folder: saved projects, expressions
that are kept, and what a window writes down while a person works.

An array is called after its packed bytes: equal ones are stored once, one that is there is not written again, and one
that is not what it is called is told as damaged. Members have names this program gives them; nothing is ever extracted
to disk, and nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from shutil import copyfileobj
from typing import Any, TypeVar

import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

from engine.errors import FileFormatError
from engine.io.border import border, opened, spend, unpacking
from engine.io.files import json_from_bytes, npy_from_bytes, npy_parts, replacing
from engine.io.plain import arrays_in, from_plain, to_plain

LARGEST_MEMBER = 2**31
"""Bytes one array may take: a 16k x 16k RGB map is 0.8 GB."""
_CHUNK_BYTES = 2**20
THREADS = 2
"""Unpacking is nearly all of opening a file, and lets go of the interpreter."""
ARRAY = re.compile(r"arrays/([0-9a-f]{40})\.npy\.gz")
_GZIP, _FAST = 16 + 12, 1
"""Window bits of zlib that mean gzip and 4 KB, of which maps and vertices pack smallest; a level of isal: as small as
zlib's fastest, in an eighth of its time."""

Value = TypeVar("Value")


class Archive:
    """Arrays and JSON texts behind `read` and `write`, which take and give whole members; `where` names it in
    messages."""

    def __init__(self, where: str, read: Callable[[str], bytes], write: Callable[[str, bytes], object]) -> None:
        self.where, self._read, self._write = where, read, write
        self._names: dict[int, tuple[str, np.ndarray]] = {}
        """What arrays are stored as, by id; with the array, so that its id stays its own."""

    def put(self, array: np.ndarray) -> str:
        """Store `array`, which nobody may change after this, unless it is there; the name for `get`."""
        if id(array) not in self._names:
            packer = isal_zlib.compressobj(_FAST, isal_zlib.DEFLATED, _GZIP)
            data = b"".join([*map(packer.compress, npy_parts(array)), packer.flush()])
            name = f"arrays/{_digest(data)}.npy.gz"
            if name not in self.names:
                self._write(name, data)
            self._names[id(array)] = name, array
        return self._names[id(array)][0]

    def put_value(self, name: str, value: Any, **more: Any) -> Any:
        """Store the arrays of `value` (see `to_plain`), then the rest of it with entries `more` as JSON of `name`; that
        JSON."""
        content = more | to_plain(value, self.put)
        self._write(name, json.dumps(content, indent=1, allow_nan=False).encode())
        return content

    def keep(self, names: set[str]) -> set[str]:
        """Forget all arrays but those called `names`; what the others are called."""
        gone = self.names - names
        self._names = {key: each for key, each in self._names.items() if each[0] in names}
        return gone

    @property
    def names(self) -> set[str]:
        """What arrays of this archive that were put or got are called."""
        return {name for name, _ in self._names.values()}

    def get(self, name: str) -> np.ndarray:
        """The array stored as `name`, read-only; FileFormatError where it is missing or damaged."""
        return self.get_all([name])[name]

    def get_all(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays stored as `names`, by name, unpacked on `THREADS` threads; errors as `get`."""
        members = {name: self._read(name) for name in names}
        packed = [data for name, data in members.items() if ARRAY.fullmatch(name)]
        sizes = [_claimed(data) for data in packed]
        if max(sizes, default=0) > LARGEST_MEMBER:
            raise FileFormatError(
                f"{self.where}: expected arrays of at most {LARGEST_MEMBER >> 30} GiB, found a larger"
            )
        spend(self.where, sum(sizes), sum(map(len, packed)))
        with ThreadPoolExecutor(THREADS) as pool:
            arrays = dict(zip(members, pool.map(self._unpacked, members, members.values()), strict=True))
        self._names |= {id(array): (name, array) for name, array in arrays.items()}
        return arrays

    def get_json(self, name: str) -> Any:
        """The member `name` parsed as JSON."""
        return json_from_bytes(self._read(name), f"{self.where}: {name}")

    def value(self, kind: type[Value], plain: Any, expected: str) -> Value:
        """The value of which `put_value` stored `plain`; FileFormatError where it is not as `expected`."""
        arrays = self.get_all(dict.fromkeys(arrays_in(plain)))
        with border(self.where, expected):
            return from_plain(kind, plain, arrays.__getitem__)

    def _unpacked(self, name: str, data: bytes) -> np.ndarray:
        where = f"{self.where}: {name}"
        if match := ARRAY.fullmatch(name):
            if _digest(data) != match[1]:
                raise FileFormatError(f"{where}: expected the array of that name, found another; the file is damaged")
            # the stub of isal calls the class an instance
            with border(where, "an array as saved", FileFormatError, IsalError):  # pyright: ignore
                data = isal_zlib.decompressobj(_GZIP).decompress(data, _claimed(data) or 1)
        return npy_from_bytes(data, where)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:40]


def _claimed(data: bytes) -> int:
    """Bytes that gzip `data` says to unpack to."""
    return int.from_bytes(data[-4:], "little")


@contextmanager
def writing(path: Path) -> Iterator[Archive]:
    """A new archive in a zip file that becomes `path` when the block ends well: the same bytes for the same content."""
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as file:

        def write(name: str, data: bytes) -> None:
            member = zipfile.ZipInfo(name)  # with no date
            member.external_attr = 0o644 << 16
            packing = zipfile.ZIP_STORED if ARRAY.fullmatch(name) else zipfile.ZIP_DEFLATED
            file.writestr(member, data, packing)

        yield Archive(str(path), lambda name: file.read(name), write)


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """The archive in the zip file at `path`; FileFormatError where it is missing, no zip, or claims to hold what it
    cannot."""
    with opened(path) as stream, unpacking():
        with border(path, "a file saved by ExpDiff Studio"):
            file = zipfile.ZipFile(stream)
        infos = file.infolist()
        if max((info.file_size for info in infos), default=0) > LARGEST_MEMBER:
            raise FileFormatError(f"{path}: expected arrays of at most {LARGEST_MEMBER >> 30} GiB, found a larger")
        # what the file has, not the sum of what its members claim to take of it
        spend(path, sum(info.file_size for info in infos), os.fstat(stream.fileno()).st_size)
        with file:
            yield Archive(str(path), lambda name: _member(file, name, path), _read_only)


def _member(file: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        size = file.getinfo(name).file_size
    except KeyError:
        raise FileFormatError(f"{path}: expected a member {name}, found none; the file is incomplete") from None
    with border(path, f"a whole member {name}"), file.open(name) as member:
        buffer = io.BytesIO()  # read at once, a member takes its size twice
        copyfileobj(member, buffer, _CHUNK_BYTES)
        data = buffer.getvalue()
    if len(data) != size:
        raise FileFormatError(f"{path}: expected {size} bytes of {name}, found {len(data)}; it is cut")
    return data


def _read_only(name: str, data: bytes) -> None:
    raise ValueError(f"{name}: expected a place to write to, found an archive that is read")
