"""What every reader passes: a regular file of a size, a budget of unpacked bytes, and errors of one kind.

A reader is a function of a path that is decorated with `reads`; whatever a library or a check raises inside becomes a
FileFormatError of one line that names the file. The original stays as its cause, and in the log at debug.
"""

from __future__ import annotations

import logging
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from io import BufferedReader
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from engine.checks import printable
from engine.errors import EngineError, FileFormatError
from engine.identity import LONGEST_NAME

LOG = logging.getLogger(__name__)

LARGEST_FILE = 4 * 2**30
"""Bytes of any file that is read: an uncompressed 16k x 16k map of four 16-bit channels is 2 GiB."""
LARGEST_UNPACKED = 16 * 2**30
"""Bytes that what is kept of one head may unpack to."""
PLAIN_RATIO = 64
"""Unpacked bytes to a stored one that nobody asks about: painted maps and meshes stay below 20."""
SPARE_BYTES = 640 * 2**20
"""What may be packed tighter than that, for there are flat maps: 32 expressions that leave 1024 x 1024 maps as they
are hold 576 MiB of zeros."""
_LONGEST_REASON = 300

FOREIGN: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # RecursionError and NotImplementedError too, and what pybind11 makes of C++ exceptions
    SyntaxError,
    TypeError,
    ValueError,  # UnicodeError, JSON, TOML and this program's own checks too
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What damaged content makes libraries raise."""

Where = TypeVar("Where")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@contextmanager
def border(where: object, expected: str, kind: type[EngineError] = FileFormatError, *more: type[Exception]) -> Iterator:
    """What is raised inside over damaged content, `more` included, as a `kind` that names `where` and `expected`."""
    try:
        yield
    except EngineError:
        raise
    except (*FOREIGN, *more) as error:
        LOG.debug("%s: not %s", printable(str(where)), expected, exc_info=True)
        raise kind(f"{where}: expected {expected}, found: {reason(error)}") from error


def reads(
    expected: str, kind: type[EngineError] = FileFormatError, *more: type[Exception]
) -> Callable[[Callable[Concatenate[Where, Parameters], Result]], Callable[Concatenate[Where, Parameters], Result]]:
    """`border` around a whole reader, whose first argument is the path."""

    def decorated(
        reader: Callable[Concatenate[Where, Parameters], Result],
    ) -> Callable[Concatenate[Where, Parameters], Result]:
        @wraps(reader)
        def read(path: Where, /, *args: Parameters.args, **named: Parameters.kwargs) -> Result:
            with border(path, expected, kind, *more):
                return reader(path, *args, **named)

        return read

    return decorated


def reason(error: BaseException) -> str:
    """What an exception says, in one short line."""
    if isinstance(error, MemoryError):
        return "more than fits into memory"
    if isinstance(error, RecursionError):
        return "lists or groups nested too deeply"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):
        return f"no {error.args[0]!r}" if error.args else "an entry missing"
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 3] + "..."


def name_from(path: Path) -> str:
    """The name of a file or folder as one of a head, whatever is in it."""
    return printable(path.resolve().name)[:LONGEST_NAME] or "head"


@contextmanager
def opened(path: Path, largest: int = LARGEST_FILE) -> Iterator[BufferedReader]:
    """The regular file at `path`, open for reading: FileFormatError for pipes and devices, which would wait for ever
    or never end, for what is larger than `largest` bytes, and where it is missing or may not be read."""
    try:
        # a pipe that nobody writes to would wait here
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError) as error:
        raise FileFormatError(
            f"{path}: expected a file that can be read, found: {reason(error)}; check the path"
        ) from error
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
            raise FileFormatError(f"{path}: expected a file that can be read, found: {what}")
        if status.st_size > largest:
            raise FileFormatError(f"{path}: expected at most {_size(largest)}, found {_size(status.st_size)}")
        yield file


def check_file(path: Path, largest: int = LARGEST_FILE) -> int:
    """Bytes of the file at `path`, which a library is to open by its name; errors as `opened`."""
    with opened(path, largest) as file:
        return os.fstat(file.fileno()).st_size


_unpacked: ContextVar[tuple[int, int] | None] = ContextVar("unpacked", default=None)
"""Bytes that the reader at work has unpacked and keeps, and of them those packed tighter than PLAIN_RATIO."""


@contextmanager
def unpacking() -> Iterator[None]:
    """One budget for all that is unpacked inside; at the end it is let go of, and counts no longer outside."""
    token = _unpacked.set(_unpacked.get() or (0, 0))
    try:
        yield
    finally:
        _unpacked.reset(token)


def spend(where: object, unpacked: int, stored: int, spare_bytes: int = SPARE_BYTES) -> None:
    """Ask, before `stored` bytes are unpacked to `unpacked`, whether they may: FileFormatError where a small file
    claims to hold gigabytes. `spare_bytes` of it alone may be packed tighter than PLAIN_RATIO."""
    spent = _unpacked.get()
    total, kept = spent or (0, 0)
    own = max(unpacked - PLAIN_RATIO * stored, 0)
    if total + unpacked > LARGEST_UNPACKED or kept + own > SPARE_BYTES or own > spare_bytes:
        raise FileFormatError(
            f"{where}: expected at most {_size(LARGEST_UNPACKED)} of content, {_size(spare_bytes)} of it nearly empty, "
            f"found {_size(unpacked)} claimed by {_size(stored)}; save it smaller"
        )
    if spent is not None:
        _unpacked.set((total + unpacked, kept + own))


def _size(count: int) -> str:
    """A number of bytes, for people."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << power:
            return f"{count / (1 << power):.3g} {unit}"
    return f"{count} bytes"
