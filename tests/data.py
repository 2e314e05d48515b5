"""Where the shared third-party heads are, for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("EXPDIFF_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
ICT, FFHQ_UV = DATA / "ict-facekit", DATA / "ffhq-uv"
CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
"""Inputs that once went wrong, a folder each."""
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
needs_data = [
    pytest.mark.data,
    pytest.mark.skipif(not ICT.is_dir() or not FFHQ_UV.is_dir(), reason="the shared third-party heads are not here"),
]
