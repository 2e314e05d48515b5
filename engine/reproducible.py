"""What decides the bytes of computed results, beside what was asked for: code, libraries, threads and processor."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

_ROOT = Path(__file__).parent
_SUFFIXES = {".py", ".json", ".npz", ".toml", ".glsl", ".vert", ".frag"}
"""Weights themselves are left out: their list carries their digests."""
_LIBRARIES = ("torch", "numpy", "scipy")
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
_GRAPHICS_CARDS = Path("/proc/driver/nvidia/gpus")


def usable_cores() -> int:
    """Cores this process may use: the number of threads that models compute on, whose sums depend on it."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@lru_cache(maxsize=4)
def code_digest(*folders: str) -> str:
    """Digest of the modules and data in `folders` of the engine or beside it, and of its own values and vocabulary."""
    digest = hashlib.sha256()
    places = [next(place / name for place in (_ROOT, _ROOT.parent) if (place / name).is_dir()) for name in folders]
    files = [*_ROOT.glob("*"), *(path for place in places for path in place.rglob("*"))]
    for path in sorted(path for path in files if path.suffix in _SUFFIXES):
        digest.update(str(path.relative_to(_ROOT.parent)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def machine_text() -> str:
    """What of this machine decides: threads, versions of libraries, the processor's vector units, graphics cards.

    One core and two differ by 4e-9 m in an expression of the shipped weights. Nothing heavy is imported.
    """
    vectors = np.show_config(mode="dicts") or {}
    cards = sorted(path.name for path in _GRAPHICS_CARDS.iterdir()) if _GRAPHICS_CARDS.is_dir() else []
    return "\n".join(
        [
            f"cores={usable_cores()}",
            *(f"{name}={_version(name)}" for name in _LIBRARIES),
            *(f"{name}={os.environ.get(name, '')}" for name in _VARIABLES),
            f"vectors={vectors.get('SIMD Extensions', {}).get('found')}",
            f"cards={cards}",
        ]
    )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
