"""Lamps of a light stage from a file: where they are, or how bright each is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FileFormatError
from engine.io.border import check_file, reads
from engine.io.files import read_json, read_npy, read_text
from engine.scene import MOST_STAGE_LAMPS, RIG_SUFFIXES

_LARGEST_FILE = 2**22
"""Bytes: 1 KiB a lamp."""
_MOST = 1e6
"""Largest number in a rig: metres, or intensities."""


@reads("lamps of a light stage")
def read_rig(path: str | Path) -> np.ndarray:
    """(N, 3) float64 unit vectors from the middle of the rig to its lamps, in the file's order.

    A row is a direction or a position in metres from the middle of the head: x to the subject's left, y up, z ahead.
    .txt and .csv hold three numbers a line (# starts a remark), .npy an (N, 3) array, .json a list of triples, or the
    `lights.json` of an OLAT set. FileFormatError where it is none of these, empty, not finite, longer than
    `MOST_STAGE_LAMPS`, or has a lamp in the middle.
    """
    rows = _read_rows(Path(path), "lamps, three numbers each", "direction")
    length = np.linalg.norm(rows, axis=1)  # of numbers that a square does not overflow
    if (length < 1e-9).any():
        at = int(length.argmin())
        raise FileFormatError(f"{path}: expected directions or positions, found lamp {at} at 0, 0, 0; remove it")
    return rows / length[:, None]


@reads("intensities of lamps")
def read_mixture(path: str | Path) -> np.ndarray:
    """(N, 3) float64 linear RGB intensities of the lamps, 0 or more; files and errors as `read_rig`."""
    rows = _read_rows(Path(path), "intensities, red green blue of each lamp", "intensity_linear")
    if (rows < 0).any():
        raise FileFormatError(
            f"{path}: expected intensities of 0 or more, found {rows.min():.3g}; a lamp cannot be dark"
        )
    return rows


def _read_rows(path: Path, what: str, key: str) -> np.ndarray:
    """(N, 3) float64, finite, 1 to `MOST_STAGE_LAMPS` rows; `key` names a lamp's triple in `lights.json`."""
    suffix = path.suffix.lower()
    if suffix not in RIG_SUFFIXES:
        raise FileFormatError(f"{path}: expected one of {', '.join(RIG_SUFFIXES)}, found '{path.suffix or path.name}'")
    check_file(path, _LARGEST_FILE)
    read = {".json": _from_json, ".npy": lambda path, key: read_npy(path)}.get(suffix, _from_text)
    rows = read(path, key)
    if rows.ndim != 2 or rows.shape[1] != 3 or rows.dtype.kind not in "fiu":
        raise FileFormatError(f"{path}: expected {what}, found {rows.dtype} of shape {rows.shape}")
    if not 1 <= len(rows) <= MOST_STAGE_LAMPS:
        raise FileFormatError(f"{path}: expected 1 to {MOST_STAGE_LAMPS} lamps, found {len(rows)}")
    rows = rows.astype(np.float64)
    fits = (np.abs(rows) <= _MOST).all(axis=1)  # False for NaN too
    if not fits.all():
        bad = int(np.flatnonzero(~fits)[0])
        raise FileFormatError(f"{path}: expected finite numbers up to {_MOST:g}, found NaN or more in lamp {bad}")
    return rows


def _from_json(path: Path, key: str) -> np.ndarray:
    content = read_json(path)
    if isinstance(content, dict):
        content = content.get("lights")
    if not isinstance(content, list):
        raise FileFormatError(f"{path}: expected a list of lamps, or one under 'lights', found no list")
    return _array(path, [each.get(key) if isinstance(each, dict) else each for each in content])


def _from_text(path: Path, key: str) -> np.ndarray:
    lines = read_text(path).splitlines()
    kept = [line.split("#")[0].replace(",", " ").replace(";", " ").split() for line in lines]
    rows = []
    for number, words in enumerate(kept, 1):
        try:
            row = [float(word) for word in words]
        except ValueError:
            raise FileFormatError(f"{path}: expected three numbers in line {number}, found words") from None
        if row and len(row) != 3:
            raise FileFormatError(f"{path}: expected three numbers in line {number}, found {len(row)}")
        rows += [row] if row else []
    return _array(path, rows)


def _array(path: Path, rows: list[Any]) -> np.ndarray:
    try:
        return np.array(rows, np.float64).reshape(len(rows), 3) if rows else np.zeros((0, 3))
    except (TypeError, ValueError):
        raise FileFormatError(f"{path}: expected three numbers for each lamp, found something else") from None
