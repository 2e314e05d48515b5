"""Folders of weights as files: which files count, and what tells one content from another. Imports no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import FileFormatError, WeightsError
from engine.io.border import border, opened

SHIPPED = Path(__file__).parent / "weights"
"""The weights that come with the program."""
MANIFEST = "weights.json"
STAGES = ("autoencoder", "denoiser", "refine")
"""What a training folder may hold, later ones over earlier ones; the last is not needed."""


@contextmanager
def weights_border(path: Path, expected: str) -> Iterator[None]:
    """As `border`, for files of a model: what other readers say of them is a WeightsError too."""
    try:
        with border(path, expected, WeightsError):
            yield
    except FileFormatError as error:
        raise WeightsError(f"{error}; restore the file") from error


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file; WeightsError where it cannot be read."""
    with weights_border(path, "a weights file"), opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def weights_digest(folder: Path) -> str:
    """Hex SHA-256 of what decides the model in `folder`: a release's list of digests, or a training folder's files.

    WeightsError where `folder` is neither. Nothing is loaded and nothing checked beyond that.
    """
    paths = [folder / MANIFEST]
    if not paths[0].is_file():
        paths = [path for stage in STAGES if (path := folder / f"{stage}.safetensors").is_file()]
    if not paths:
        raise WeightsError(
            f"{folder}: expected a folder of weights ({MANIFEST} of a release, or {STAGES[0]}.safetensors and more of "
            "a training), found none of them; name the --out of `expdiff train`"
        )
    return hashlib.sha256("".join(f"{path.name} {file_digest(path)}\n" for path in paths).encode()).hexdigest()
