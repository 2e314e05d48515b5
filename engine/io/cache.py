"""Values that were worked out once, kept on disk under a digest of everything that decides them.

A file that is damaged, or another's under its name, is thrown away and its value worked out again; a disk that cannot
be written costs time, never the result.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import platformdirs

from engine.errors import EngineError, FileFormatError
from engine.io.archive import reading, writing

LOG = logging.getLogger(__name__)

VARIABLE = "EXPDIFF_CACHE"
"""Environment variable that names another folder."""
LARGEST_BYTES = 4 * 2**30
"""Files that were used longest ago go when the folder grows beyond this."""
_CONTENT = "set.json"
_OURS = re.compile(r"[0-9a-f]{40}\.(expression|head|light|visibility)")

Value = TypeVar("Value")


def cache_folder() -> Path:
    """Where files are kept: $EXPDIFF_CACHE, or the user's cache folder."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("expdiff", appauthor=False)


def cache_path(kind: str, decides: Iterable[str]) -> Path:
    """Where the value that follows from the texts `decides` is kept; `kind` is one of those of `_OURS`."""
    digest = hashlib.sha256("\n".join(decides).encode())
    return cache_folder() / f"{digest.hexdigest()[:40]}.{kind}"


def load(path: Path, kind: type[Value]) -> Value | None:
    """The value kept at `path`; None where there is none, or a damaged one, which is thrown away."""
    if not path.exists():
        return None
    try:
        with reading(path) as archive:
            content = archive.get_json(_CONTENT)
            stored = archive.value(kind, content, "a value as kept")
        if content.get("made_for") != path.stem:
            raise FileFormatError(f"{path}: expected what it is named for, found another's")
        os.utime(path)
    except FileFormatError as error:
        discard(path, str(error))
        return None
    except OSError as error:
        LOG.info("cache: %s; it is made again", error)
        return None
    return stored


def discard(path: Path, reason: str) -> None:
    """Throw away what is kept at `path`."""
    LOG.info("cache: %s; it is made again", reason)
    with contextlib.suppress(OSError):  # a folder that may only be read
        path.unlink()


def store(path: Path, value: object) -> None:
    """Keep `value` at `path`; a place that cannot be written is said in the log and otherwise ignored."""
    try:
        with writing(path) as archive:
            archive.put_value(_CONTENT, value, made_for=path.stem)
        _prune(path.parent)
    except (EngineError, OSError) as error:
        LOG.info("cache: %s; nothing is kept", error)


def _prune(folder: Path) -> None:
    """Remove the files of ours used longest ago until the rest fits."""
    files = [(path.stat(), path) for path in folder.iterdir() if _OURS.fullmatch(path.name) and path.is_file()]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= LARGEST_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= status.st_size
