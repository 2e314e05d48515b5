"""`expdiff demo` and `expdiff view`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from engine.io.map_conventions import parse_conventions


def demo(options: argparse.Namespace) -> int:
    return _window(f"builtin:{options.seed}", model=options.model)


def view(options: argparse.Namespace) -> int:
    return _window(options.path, options.maps, dict(options.map), options.model, options.hair == "grow")


def _window(
    path: str | None,
    conventions: str = "",
    maps: Mapping[str, str] | None = None,
    model: Path | None = None,
    grow_hair: bool = False,
) -> int:
    from viewer.app import run

    return run(path, parse_conventions(conventions), maps, model, grow_hair)
