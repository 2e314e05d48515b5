"""`expdiff demo` and `expdiff view`."""

from __future__ import annotations

import argparse

from engine.cli.shared import opening


def demo(options: argparse.Namespace) -> int:
    from viewer.app import run

    return run(f"builtin:{options.seed}", model=options.model)


def view(options: argparse.Namespace) -> int:
    from viewer.app import run

    return run(options.path, opening(options), options.model)
