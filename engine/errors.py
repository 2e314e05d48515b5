"""The one exception tree, and the check that every array border uses.

    EngineError                 what a person can mend: shown in one line, exit code 1
    |-- FileFormatError         a file or folder is missing, damaged or not in the layout expected
    |-- TopologyError           a mesh does not fit what it is used with
    |-- VocabularyError         an expression or prompt that is not known
    |-- WeightsError            a checkpoint is missing, damaged or foreign
    |-- TrainingError           training cannot go on: no memory, or losses that are not finite
    |-- GraphicsError           no OpenGL, or the driver refused
    `-- ExportError             the target cannot hold or write what was asked

Wrong calls by programmers are ValueError or TypeError. Each message says what was expected,
what was found and what to do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

LARGEST_WIDENED = 2**28
"""Bytes of an array that comes in a narrower type than it is used in: small files hold small numbers by the gigabyte.
What is larger, this program writes in the type it uses."""


class EngineError(Exception):
    """Base of every error that a user can mend."""


class FileFormatError(EngineError):
    """A file or folder is missing, damaged, or not in the layout expected."""


class TopologyError(EngineError):
    """A mesh does not fit what it is used with."""


class VocabularyError(EngineError):
    """An expression name or a prompt that is not known."""


class WeightsError(EngineError):
    """A checkpoint is missing, damaged or foreign."""


class TrainingError(EngineError):
    """Training cannot go on: no memory, or losses that are not finite."""


class GraphicsError(EngineError):
    """No usable OpenGL, or the driver refused what was asked."""


class ExportError(EngineError):
    """The target format or place cannot hold what was asked."""


def check_array(name: str, array: Any, shape: tuple[int | str | None, ...], dtype: Any) -> np.ndarray:
    """Return `array` contiguous, of `dtype` and read-only, or raise ValueError naming both shapes.

    `shape` holds an int where the length is fixed and a letter (or None) where any length fits; the same letter must
    mean the same length. Floating arrays must be finite. A caller's own writable array is copied, never frozen.
    """
    found = np.asarray(array)
    letters: dict[str, int] = {}
    fits = found.ndim == len(shape)
    if fits:
        for want, have in zip(shape, found.shape, strict=True):
            if isinstance(want, str):
                fits &= letters.setdefault(want, have) == have
            elif want is not None:
                fits &= want == have
    if not fits:
        raise ValueError(f"{name}: expected shape {shape}, found {found.shape}")
    if found.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers, found dtype {found.dtype}")
    target = np.dtype(dtype)
    if found.itemsize < target.itemsize and found.size * target.itemsize > LARGEST_WIDENED:
        raise ValueError(f"{name}: expected an array of {found.shape} to hold {target}, found {found.dtype}")
    if target.kind in "iu" and found.size:
        limits = np.iinfo(target)
        least, most = found.min().item(), found.max().item()  # Python's numbers: half floats cannot hold the limits
        if not limits.min <= least <= most <= limits.max:
            raise ValueError(f"{name}: expected {limits.min} to {limits.max}, found values from {least} to {most}")
    with np.errstate(over="ignore", invalid="ignore"):
        result = np.ascontiguousarray(found, dtype=target)
    if target.kind == "f" and not np.isfinite(result).all():
        bad = int(np.size(result) - np.count_nonzero(np.isfinite(result)))
        raise ValueError(f"{name}: expected finite numbers that fit {target}, found {bad} NaN or infinite there")
    if result.flags.writeable:
        if result is found or np.shares_memory(result, found):
            result = result.copy()
        result.flags.writeable = False
    return result


def magnitude(array: np.ndarray) -> float:
    """The largest size in a floating `array`, NaN where it has one, 0 where it is empty.

    Without its sign, a float is ordered as the integer of its bits (IEEE 754), NaN last: several times as fast as in
    half floats, which processors do not compare.
    """
    bits = np.dtype(f"u{array.dtype.itemsize}")
    largest = (array.view(bits) & bits.type(np.iinfo(bits).max >> 1)).max(initial=0)
    return float(largest.view(array.dtype))


def check_magnitude(name: str, array: np.ndarray, most: float) -> None:
    """ValueError where a floating `array` has a value below -`most` or above it, or a NaN."""
    if not (worst := magnitude(array)) <= most:
        raise ValueError(f"{name}: expected values from {-most:g} to {most:g}, found {worst:g}")
