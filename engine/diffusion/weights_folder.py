"""Folders of weights as files: which files count, and what tells one content from another. Imports no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.errors import WeightsError

SHIPPED = Path(__file__).parent / "weights"
"""The weights that come with the program."""
MANIFEST = "weights.json"
STAGES = ("autoencoder", "denoiser", "refine")
"""What a training folder may hold, later ones over earlier ones; the last is not needed."""


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file; WeightsError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"{path}: expected a weights file, found: {error}; restore the file") from error


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
