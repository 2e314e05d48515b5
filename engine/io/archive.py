"""Expression sets and other arrays inside a zip file: the common part of saved projects and of the cache.

Members have names this program gives them; nothing is ever extracted to disk, and nothing is unpickled.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from shutil import copyfileobj
from typing import Any

import numpy as np

from engine.errors import FileFormatError
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.identity import Provenance
from engine.io.border import border, opened, spend, unpacking
from engine.io.files import json_from_bytes, npy_bytes, npy_from_bytes, replacing

LARGEST_MEMBER = 2**31
"""Bytes one array may take: a 16k x 16k RGB map is 0.8 GB."""
_CHUNK_BYTES = 2**20
THREADS = 2
"""Unpacking is nearly all of opening a file, and lets go of the interpreter."""


class Archive:
    """An open zip file; `where` names it in messages."""

    def __init__(self, file: zipfile.ZipFile, where: str) -> None:
        self._file = file
        self._where = where

    def put(self, name: str, array: np.ndarray) -> None:
        """Store `array` as `name`.npy."""
        self.put_text(f"{name}.npy", npy_bytes(array))

    def get(self, name: str) -> np.ndarray:
        """The array stored as `name`.npy, read-only; FileFormatError where it is missing or damaged."""
        return npy_from_bytes(self._member(f"{name}.npy"), f"{self._where}: {name}.npy")

    def get_all(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """The arrays stored as `names`, by name, unpacked on `THREADS` threads; errors as `get`."""
        with ThreadPoolExecutor(THREADS) as pool:
            return dict(zip(names, pool.map(self.get, names), strict=True))

    def put_text(self, name: str, data: bytes) -> None:
        """Store `data` under `name`, with no date: the same content gives the same bytes."""
        member = zipfile.ZipInfo(name)
        member.external_attr = 0o644 << 16
        self._file.writestr(member, data, zipfile.ZIP_DEFLATED, compresslevel=1)

    def get_json(self, name: str) -> Any:
        """The member `name` parsed as JSON."""
        return json_from_bytes(self._member(name), f"{self._where}: {name}")

    def _member(self, name: str) -> bytes:
        try:
            size = self._file.getinfo(name).file_size
        except KeyError:
            raise FileFormatError(
                f"{self._where}: expected a member {name}, found none; the file is incomplete"
            ) from None
        with border(self._where, f"a whole member {name}"), self._file.open(name) as member:
            buffer = io.BytesIO()  # read at once, a member takes its size twice
            copyfileobj(member, buffer, _CHUNK_BYTES)
            data = buffer.getvalue()
        if len(data) != size:
            raise FileFormatError(f"{self._where}: expected {size} bytes of {name}, found {len(data)}; it is cut")
        return data


@contextmanager
def writing(path: Path) -> Iterator[Archive]:
    """A new archive that becomes `path` when the block ends well."""
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
    ):
        yield Archive(file, str(path))


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """The archive at `path`; FileFormatError where it is missing, no zip, or claims to hold what it cannot."""
    with opened(path) as stream, unpacking():
        with border(path, "a file saved by ExpDiff Studio"):
            file = zipfile.ZipFile(stream)
        infos = file.infolist()
        if max((info.file_size for info in infos), default=0) > LARGEST_MEMBER:
            raise FileFormatError(f"{path}: expected arrays of at most {LARGEST_MEMBER >> 30} GiB, found a larger")
        # what the file has, not the sum of what its members claim to take of it
        spend(path, sum(info.file_size for info in infos), os.fstat(stream.fileno()).st_size)
        with file:
            yield Archive(file, str(path))


def put_expressions(archive: Archive, expressions: ExpressionSet) -> dict[str, Any]:
    """Store the arrays of `expressions`; the rest is returned as a JSON value for `get_expressions`."""
    rows = []
    for index, expression in enumerate(expressions.expressions):
        prefix = f"expressions/{index}"
        archive.put(f"{prefix}/offsets_m", expression.offsets_m)
        for part in fields(ReflectanceChange):
            archive.put(f"{prefix}/{part.name}", getattr(expression.change, part.name))
        rows.append(
            {
                "name": expression.name,
                "prompt": expression.prompt,
                "facs": dict(expression.facs),
                "provenance": asdict(expression.provenance),
            }
        )
    return {"identity_hash": expressions.identity_hash, "rows": rows}


def get_expressions(archive: Archive, value: Any, where: str) -> ExpressionSet:
    """The set that `put_expressions` stored; FileFormatError where it does not fit together."""
    with border(where, "expressions as saved"):
        made = []
        parts = [part.name for part in fields(ReflectanceChange)]
        numbers = range(len(value["rows"]))
        arrays = archive.get_all([f"expressions/{index}/{part}" for index in numbers for part in (*parts, "offsets_m")])
        for index, row in enumerate(value["rows"]):
            prefix = f"expressions/{index}"
            change = ReflectanceChange(*(arrays[f"{prefix}/{part}"] for part in parts))
            offsets = arrays[f"{prefix}/offsets_m"]
            provenance = Provenance(**row["provenance"])
            made.append(Expression(row["name"], offsets, change, row["prompt"], row["facs"], provenance))
        return ExpressionSet(str(value["identity_hash"]), tuple(made))
