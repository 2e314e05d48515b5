"""A short run of `random_actions`; the long one is a command (benchmarks/README.md)."""

from __future__ import annotations

from pathlib import Path

from tests.viewer import random_actions


def test_random_actions_break_nothing_lose_nothing_and_are_undone(dark, tmp_path: Path) -> None:
    person = random_actions.run(200, 7, tmp_path, seconds=60.0)
    assert person.faults == []
    assert person.whole > 0
    assert person.undone > 0
