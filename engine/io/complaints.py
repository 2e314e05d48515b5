"""What C libraries print on standard error past the program: libpng says there what an exception says already."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_MARKS = (b"libpng error:", b"libpng warning:")
_lock = threading.Lock()
_inside = 0
_held: tuple[int, IO[bytes]] | None = None


@contextmanager
def unprinted() -> Iterator[None]:
    """Lines that begin with `_MARKS` do not reach standard error; what else is written meanwhile comes afterwards.

    From any number of threads at once: the first in holds standard error, the last out lets it go.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _hold()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _release()


def _hold() -> None:
    global _held
    try:
        _flush()
        saved, held = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115 - closed in _release
        os.dup2(held.fileno(), 2)
        _held = saved, held
    except OSError:  # no standard error, or no place for temporary files: then it is printed
        _held = None


def _release() -> None:
    global _held
    if _held is None:
        return
    saved, held = _held
    _held = None
    _flush()
    os.dup2(saved, 2)
    os.close(saved)
    with held:
        held.seek(0)
        for line in held:
            if not line.startswith(_MARKS):
                os.write(2, line)


def _flush() -> None:
    if sys.stderr is not None:  # as in a program without a console
        sys.stderr.flush()
