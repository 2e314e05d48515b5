"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the window's tests in a process of their own.

    A thread holds either an EGL context (rendering tests) or Qt's GLX one: with the first there, Qt cannot make its
    own current and every window stays black.
    """
    in_window = [item for item in items if "viewer" in item.path.parts]
    if in_window and len(in_window) != len(items):
        raise pytest.UsageError("run tests/viewer and the other tests in two processes, as `make test` does")
