"""Drafts: what a window writes down of unsaved work, so that a process that ends without asking loses seconds.

A draft is a folder of what a saved project is a zip of. Its window holds a lock on it, which the system lets go of
however the process ends: a draft of this host that nobody holds is left over, and offered at the next start. Arrays are
written once. Nothing waits for the disk (no fsync): after a loss of power a draft may be damaged, which reading tells.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import platformdirs

from engine.checks import printable
from engine.errors import EngineError, FileFormatError
from engine.io.archive import ARRAY, LARGEST_MEMBER, Archive
from engine.io.border import unpacking
from engine.io.files import read_bytes
from engine.io.plain import arrays_in, to_plain
from engine.io.project import CONTENT, get_project, put_project
from engine.io.temporary import held, hold, host_digits
from engine.jobs import Step
from engine.project import Project

VARIABLE = "EXPDIFF_DRAFTS"
"""Environment variable that names another folder."""
_NAME = re.compile(r"([0-9a-f]{8})-[0-9a-f]{16}")


def drafts_folder() -> Path:
    """Where drafts lie: $EXPDIFF_DRAFTS, or a folder of the user's state."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_state_path("expdiff", appauthor=False) / "drafts"


class Draft:
    """A draft that this process holds. All of it may be used by one thread at a time, but for `release`."""

    def __init__(self, folder: Path, lock: int | None) -> None:
        self.folder, self._lock = folder, lock
        self._archive = Archive(str(folder), self._read, self._write)

    @property
    def there(self) -> bool:
        """Is there anything in it?"""
        return (self.folder / CONTENT).is_file()

    def about(self) -> tuple[str, float]:
        """(name of the head, seconds since the epoch when it was written); "a project" where it does not tell."""
        written = (self.folder / CONTENT).stat().st_mtime
        with suppress(EngineError, LookupError, TypeError):
            return printable(str(self._archive.get_json(CONTENT)["identity"]["name"])), written
        return "a project", written

    def write(self, project: Project, path: str | None) -> Iterator[Step]:
        """Keep `project`, opened or saved at `path`, a step an array that is new; iterate to the end. OSError."""
        arrays = []
        to_plain(project, lambda array: arrays.append(array) or "")
        for index, array in enumerate(arrays):
            self._archive.put(array)
            yield Step(index, len(arrays), "Keeping changes")
        content = put_project(self._archive, project, path=path)
        for name in self._archive.keep(set(arrays_in(content))):
            (self.folder / name).unlink(missing_ok=True)
        yield Step(1, 1, "Kept changes", result=self)

    def read(self) -> tuple[Project, str | None]:
        """What `write` was given; FileFormatError where it is damaged."""
        with unpacking():
            path = self._archive.get_json(CONTENT).get("path")
            return get_project(self._archive), path if isinstance(path, str) else None

    def clear(self) -> None:
        """There is nothing unsaved any more. OSError."""
        (self.folder / CONTENT).unlink(missing_ok=True)

    def remove(self) -> None:
        """Throw it away, and let go of it."""
        self.clear()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def release(self) -> None:
        """Let go of it: the next start offers what is in it. May be called twice."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _read(self, name: str) -> bytes:
        if name != CONTENT and not ARRAY.fullmatch(name):
            raise FileFormatError(f"{self.folder}: expected names of a draft, found another; it is damaged")
        return read_bytes(self.folder / name, LARGEST_MEMBER)

    def _write(self, name: str, data: bytes) -> None:
        target, part = self.folder / name, self.folder / "part"
        target.parent.mkdir(exist_ok=True)
        part.write_bytes(data)
        os.replace(part, target)


def new_draft(parent: Path | None = None) -> Draft:
    """An empty draft in `parent`, or in `drafts_folder`. OSError where none can be written."""

    def make() -> Path:
        folder = (parent or drafts_folder()) / f"{host_digits()}-{secrets.token_hex(8)}"
        folder.mkdir(parents=True)
        return folder

    return Draft(*held(make))


def left_over(parent: Path | None = None) -> list[Draft]:
    """Drafts in `parent`, or in `drafts_folder`, of this host that no process holds, newest first. This one holds them
    from now on; empty ones are removed."""
    drafts: list[Draft] = []
    with suppress(OSError):
        for folder in sorted((parent or drafts_folder()).iterdir()):
            match = _NAME.fullmatch(folder.name)
            if match is None or match[1] != host_digits() or not folder.is_dir():
                continue
            with suppress(OSError):
                lock = hold(folder)
                if lock is None:  # no locks here: it may be somebody's
                    continue
                draft = Draft(folder, lock)
                if draft.there:
                    drafts.append(draft)
                else:
                    draft.remove()
    return sorted(drafts, key=lambda draft: -draft.about()[1])
