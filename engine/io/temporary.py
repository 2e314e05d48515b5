"""Temporary names beside what is being written: never anyone else's, put in place whole, swept once their process is
gone.

A name says that it is ours and of which host. While its process lives it holds a lock on it (flock), which the system
lets go of however the process ends: what is ours, of this host and held by nobody is left over.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks: what is left over stays until somebody removes it
    fcntl = None

_NAME = re.compile(r"\.expdiff-([0-9a-f]{8})-[0-9a-f]{16}\.tmp(\.[^.]*)?")
_LONGEST_SUFFIX = 16
_HERE, _EXCHANGE = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of Linux."""


def is_temporary(name: str) -> bool:
    """Is `name` of the pattern that this module gives its files and folders?"""
    return _NAME.fullmatch(name) is not None


def finished(folder: Path) -> list[Path]:
    """What is in `folder` without such files and folders, sorted by name: what a reader may take for content."""
    return sorted(path for path in folder.iterdir() if not is_temporary(path.name))


@contextmanager
def temporary_beside(target: Path, *, folder: bool = False) -> Iterator[Path]:
    """A new empty file, or folder, beside `target` and of its suffix; removed at the end unless it was moved away.

    What dead processes left there before is removed first. OSError where the place cannot be written.
    """
    sweep(target.parent)
    path, lock = _create(target, folder)
    try:
        yield path
    finally:
        _remove(path)
        if lock is not None:
            os.close(lock)


def put_file(temporary: Path, target: Path) -> None:
    """Make `temporary` become `target`, of whose mode it is then, once what is in it is on the disk."""
    _keep_mode(temporary, target)
    _sync(temporary)
    os.replace(temporary, target)
    _sync_folder(target.parent)


def put_folder(temporary: Path, target: Path) -> None:
    """As `put_file` with all that is in a folder; what was at `target` is called `temporary` after that."""
    _keep_mode(temporary, target)
    for place, _, names in os.walk(temporary):
        for name in names:
            if not os.path.islink(path := Path(place, name)):  # where a link leads is not ours to wait for
                _sync(path)
        _sync_folder(Path(place))
    _move_folder(temporary, target)
    _sync_folder(target.parent)


def hold(path: Path) -> int | None:
    """Hold the file or folder `path` against everyone else who asks so, until what is returned is closed or the process
    ends; None where there are no locks. BlockingIOError while another has it."""
    if fcntl is None:
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return descriptor
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None


def sweep(folder: Path) -> None:
    """Remove files and folders of ours in `folder` whose process is gone; quietly nothing where that is not allowed."""
    with suppress(OSError), os.scandir(folder) as entries:
        left_over = [Path(entry.path) for entry in entries if _may_be_left_over(entry)]
        for path in left_over:
            with suppress(OSError):
                lock = hold(path)
                if lock is not None:
                    _remove(path)
                    os.close(lock)


def _may_be_left_over(entry: os.DirEntry[str]) -> bool:
    match = _NAME.fullmatch(entry.name)
    return match is not None and match[1] == host_digits() and not entry.is_symlink()


def _create(target: Path, folder: bool) -> tuple[Path, int | None]:
    """A new path of a name nobody has, and what holds its lock, if there are locks here."""
    suffix = target.suffix if len(target.suffix) <= _LONGEST_SUFFIX else ""

    def make() -> Path:
        path = target.with_name(f".expdiff-{host_digits()}-{secrets.token_hex(8)}.tmp{suffix}")
        if folder:
            path.mkdir()
        else:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        return path

    return held(make)


def held(make: Callable[[], Path]) -> tuple[Path, int | None]:
    """The new file or folder that `make` made and names, and what holds its lock, if there are locks here.

    It is made again where another process, which takes what nobody holds for left over, was there before the lock.
    """
    while True:
        path = make()
        with suppress(FileNotFoundError, BlockingIOError):
            lock = hold(path)
            if path.exists():
                return path, lock
            if lock is not None:
                os.close(lock)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def host_digits() -> str:
    """Eight digits that stand for this machine: a folder may be shared with others, whose locks are not seen."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _keep_mode(temporary: Path, target: Path) -> None:
    """Owner, group and mode of what is there go over to what takes its place."""
    if not target.exists():
        return
    before, now = target.stat(), temporary.stat()
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with suppress(OSError):  # only root may
            os.chown(temporary, before.st_uid, before.st_gid)
    os.chmod(temporary, stat.S_IMODE(before.st_mode))


def _sync(path: Path) -> None:
    """Wait until what is in `path` is on the disk: a rename may get there before it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # some systems and places cannot
        _sync(folder)


def _move_folder(temporary: Path, folder: Path) -> None:
    try:
        os.replace(temporary, folder)
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if not _exchange(temporary, folder):  # not both at once here: a moment without `folder`
        with temporary_beside(folder, folder=True) as aside:
            os.replace(folder, aside)
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(aside, folder)
                raise


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names at once (renameat2 of Linux); False where that is not to be had."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    return rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0
