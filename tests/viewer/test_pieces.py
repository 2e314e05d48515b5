"""The fine frame of the window comes in pieces: the coarse one stays until it is whole, and any change gives it up."""

from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtCore import QPoint

from engine.render.targets import MOST_PIXELS, Piece, Target
from tests.viewer import hand
from viewer.canvas import Canvas
from viewer.window import MainWindow


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> list[Piece | None]:
    """What is drawn, as it is drawn."""
    drawn: list[Piece | None] = []
    draw_piece = Canvas.draw_piece

    def keeping(canvas: Canvas) -> Piece | None:
        drawn.append(draw_piece(canvas))
        return drawn[-1]

    monkeypatch.setattr(Canvas, "draw_piece", keeping)
    return drawn


def _shown(window: MainWindow) -> np.ndarray:
    """(H, W, 3) int of the viewport, at rest or not."""
    return hand.seen(window.viewport.surface)


def _turn(window: MainWindow, pixels: int) -> None:
    middle = window.viewport.rect().center()
    hand.drag(window.viewport, middle, middle + QPoint(pixels, 0))


def test_no_paint_is_asked_for_a_whole_fine_frame(qtbot, open_window, expressive, pieces) -> None:
    window = open_window(expressive)
    view = window.viewport
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    pieces.clear()
    _turn(window, 60)
    qtbot.waitUntil(lambda: len(pieces) > 3, timeout=60_000)
    coarse = _shown(window)
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    fine = _shown(window)
    assert np.abs(fine - coarse).mean() > 0.1
    np.testing.assert_array_equal(_shown(window), fine)
    assert pieces.index(None) == len(pieces) - 1
    drawn = [piece for piece in pieces if piece is not None]
    width, height = view.pixel_size()
    assert max(piece.pixels for piece in drawn) <= MOST_PIXELS < 4 * width * height
    assert sum(piece.pixels for piece in drawn if piece.kind is Target.PICTURE) == 2 * width * height


def test_a_change_gives_up_what_is_under_way(qtbot, open_window, expressive, pieces) -> None:
    window = open_window(expressive)
    view = window.viewport
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    before = _shown(window)
    pieces.clear()
    _turn(window, 60)
    qtbot.waitUntil(lambda: len(pieces) > 3, timeout=60_000)
    assert None not in pieces
    _turn(window, -60)
    qtbot.wait(1)
    assert None not in pieces
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    assert pieces.count(None) == 1
    np.testing.assert_array_equal(_shown(window), before)


def test_a_picture_of_another_size_in_between_changes_nothing(qtbot, open_window, expressive, pieces) -> None:
    window = open_window(expressive)
    view = window.viewport
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    pieces.clear()
    _turn(window, 60)
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    expected = _shown(window)
    _turn(window, 1)
    _turn(window, -1)
    count = len(pieces)
    qtbot.waitUntil(lambda: len(pieces) > count + 3, timeout=60_000)
    view.picture(90, 70)
    qtbot.waitUntil(lambda: not view.moving, timeout=60_000)
    np.testing.assert_array_equal(_shown(window), expected)
