"""The picture at rest converges, and begins again when something moves."""

from __future__ import annotations

import numpy as np
import pytest

from engine.render.offscreen import render_image
from engine.scene import ViewChannel
from tests.viewer import hand
from viewer import canvas, viewport

from .test_window import _seen

FRAMES = 12


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (canvas, viewport):
        monkeypatch.setattr(module, "SAMPLES", FRAMES)
    monkeypatch.setattr(canvas, "FAINT", (2, 6))


def _converged(qtbot, window) -> np.ndarray:
    qtbot.waitUntil(lambda: window.viewport._frames == FRAMES, timeout=60_000)
    return _seen(qtbot, window)


def test_a_picture_at_rest_converges_when_asked(qtbot, open_window, expressive, few) -> None:
    window = open_window(expressive)
    at_once = _seen(qtbot, window)
    assert window.viewport._frames == 0  # a software driver does not by itself
    hand.choose(window, window.menus.converging)
    found = _converged(qtbot, window)
    height, width = found.shape[:2]
    with window.viewport._drawing() as renderer:
        wanted = render_image(window.document.project, width, height, samples=FRAMES, renderer=renderer)
    near = np.abs(found[..., :3].astype(int) - wanted).max(axis=2)
    far = np.abs(at_once[..., :3].astype(int) - wanted).max(axis=2)
    assert (near > 3).mean() < 0.01
    assert (far > 3).mean() > 0.05
    window.document.edit("x", weights={"Jaw Open": 1.0})
    assert window.viewport._frames == 0
    moved = _converged(qtbot, window)
    assert (np.abs(moved.astype(int) - found).max(axis=2) > 3).mean() > 0.01
    hand.keys("C")
    assert not window.viewport.converges
    window.document.edit("x", weights={})
    back = _seen(qtbot, window)
    assert (np.abs(back.astype(int) - at_once).max(axis=2) > 3).mean() < 0.01


@pytest.mark.parametrize("changes", [{"channel": ViewChannel.ROUGHNESS}, {"wireframe": True}], ids=str)
def test_what_light_does_not_make_stays_as_it_is(qtbot, open_window, expressive, few, changes) -> None:
    window = open_window(expressive)
    window.document.look(**changes)
    at_once = _seen(qtbot, window)
    hand.choose(window, window.menus.converging)
    np.testing.assert_array_equal(_seen(qtbot, window), at_once)
    assert window.viewport._frames == 0
    window.document.look(channel=ViewChannel.SHADED, wireframe=False)
    _converged(qtbot, window)
