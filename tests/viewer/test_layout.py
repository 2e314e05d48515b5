"""The window fits its screen, its docks come back, and a layout that went wrong is reset; all by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QRect, QSettings
from PySide6.QtWidgets import QAbstractButton, QApplication, QDialog, QLabel, QPushButton, QToolButton, QWidget

from engine.project import Project
from tests.viewer import hand
from tests.viewer.work import make_step_by_step
from viewer.dialogs import MapsDialog, ScreenshotDialog, ShortcutSheet
from viewer.panels.generate import GeneratePanel
from viewer.video import VideoDialog
from viewer.widgets.column import Dock
from viewer.window import MainWindow

SMALLEST = 944, 492
"""Of the window on 1920 x 1080 at 200 %, where its frame takes 16 x 48."""


@pytest.fixture
def make(dark, qtbot, settings: QSettings, expressive: Project) -> Iterator[Callable[[], MainWindow]]:
    """Makes windows that open as large as they like."""
    windows: list[MainWindow] = []

    def shown() -> MainWindow:
        windows.append(MainWindow(expressive, settings, make_step_by_step))
        with qtbot.waitExposed(windows[-1]):
            windows[-1].show()
        return windows[-1]

    yield shown
    for window in windows:
        window.finish()
        window.close()
        window.deleteLater()


def _screen() -> QRect:
    return QApplication.primaryScreen().availableGeometry()


def _in_view(widget: QWidget) -> bool:
    """Is all of `widget` seen, without any scrolling?"""
    return widget.visibleRegion().boundingRect() == widget.rect()


def _button(dock: Dock, name: str) -> QAbstractButton:
    return next(
        each for each in dock.findChildren(QAbstractButton) if each.objectName() == f"qt_dockwidget_{name}button"
    )


def test_the_window_opens_as_large_as_its_screen_allows(make) -> None:
    window = make()
    assert _screen().contains(window.frameGeometry())
    assert window.height() > 0.9 * _screen().height()
    least = window.minimumSizeHint()
    assert (least.width(), least.height()) <= SMALLEST
    assert least.height() <= SMALLEST[1]


@pytest.mark.parametrize("size", [(1280, 800), (1280, 720), SMALLEST], ids=str)
def test_generate_is_in_view_and_nothing_is_cut_off(qtbot, make, size) -> None:
    window = make()
    window.resize(*size)
    qtbot.waitUntil(lambda: (window.width(), window.height()) == size)
    qtbot.wait(50)
    generate = window.findChild(GeneratePanel)
    assert generate is not None
    assert _in_view(generate.button)
    cut = [
        widget.text()
        for kind in (QLabel, QPushButton, QToolButton)
        for widget in window.findChildren(kind)
        if widget.isVisible() and widget.width() < widget.fontMetrics().horizontalAdvance(widget.text())
    ]
    assert cut == []
    assert window.viewport.width() >= 320
    assert max(dock.geometry().bottom() for dock in window.docks()) <= size[1]


def test_all_of_light_and_view_is_in_view_on_a_large_screen(qtbot, make) -> None:
    window = make()
    qtbot.wait(50)
    assert _in_view(window.light)
    assert _in_view(window.look)


def test_every_dialog_fits_the_smallest_screen(dark, qtbot, open_window, expressive) -> None:
    images = [Path(f"a rather long name of an image {at}.png") for at in range(12)]
    window = open_window(expressive)
    dialogs: list[QDialog] = [
        ScreenshotDialog((640, 360)),
        MapsDialog(images),
        VideoDialog(expressive),
        ShortcutSheet(window.menus.shortcuts()),
    ]
    for dialog in dialogs:
        qtbot.addWidget(dialog)
        least = dialog.minimumSizeHint()
        assert (least.width() <= SMALLEST[0], least.height() <= SMALLEST[1]) == (True, True), (dialog, least)


def test_a_section_folds_unfolds_and_is_remembered(qtbot, make, settings) -> None:
    window = make()
    light = window.column.sections[1]
    assert [section.is_folded for section in window.column.sections] == [False, False, True, False]
    hand.click(light.header)
    assert not window.light.isVisible()
    hand.choose(window, hand.item(window.menus.view, "Light Stage"))
    qtbot.waitUntil(lambda: _in_view(window.stage.on), timeout=5000)
    assert window.close()
    assert [section.is_folded for section in make().column.sections] == [False, True, False, False]


@pytest.mark.parametrize("at", [0, 1])
def test_a_dock_that_floated_and_was_closed_comes_back_where_it_was(qtbot, open_window, expressive, at: int) -> None:
    window = open_window(expressive)
    dock = window.docks()[at]
    home = dock.geometry()
    for way in (["close"], ["float", "close"]):
        for name in way:
            hand.click(_button(dock, name))
        assert not dock.isVisible()
        hand.choose(window, hand.item(window.menus.view, dock.windowTitle()))
        assert (dock.isVisible(), dock.isFloating()) == (True, False)
        qtbot.waitUntil(lambda: dock.geometry() == home, timeout=5000)


def test_the_close_button_is_seen(open_window, expressive) -> None:
    window = open_window(expressive)
    for dock in window.docks():
        for name in ("close", "float"):
            picture = _button(dock, name).grab().toImage()
            levels = {
                picture.pixelColor(x, y).lightness() for x in range(picture.width()) for y in range(picture.height())
            }
            assert max(levels) - min(levels) > 60


def test_reset_brings_everything_back(qtbot, make) -> None:
    window = make()
    before = window.geometry(), [dock.geometry() for dock in window.docks()]
    hand.click(_button(window.docks()[0], "float"))
    hand.click(_button(window.docks()[1], "close"))
    hand.choose(window, hand.item(window.menus.view, "Generate"))  # brings its dock too
    hand.choose(window, hand.item(window.menus.view, "Generate"))
    assert window.column.sections[0].is_folded
    hand.click(_button(window.docks()[1], "close"))
    window.resize(1000, 600)
    hand.choose(window, hand.item(window.menus.view, "Reset Layout"))
    qtbot.waitUntil(lambda: (window.geometry(), [dock.geometry() for dock in window.docks()]) == before, timeout=5000)
    assert [section.is_folded for section in window.column.sections] == [False, False, True, False]


@pytest.mark.parametrize("value", ["text", 7, QByteArray(b"\x00\x01broken"), ["a", "b"]], ids=str)
def test_settings_that_are_broken_are_as_none(qtbot, make, settings, value) -> None:
    plain = make().geometry()
    for name in ("geometry", "state", "folded", "recent", "person"):
        settings.setValue(name, value)
    window = make()
    assert window.geometry() == plain
    assert all(dock.isVisible() for dock in window.docks())
    with qtbot.waitSignal(window.document.changed, timeout=60000):
        hand.choose(window, hand.item(window.menus.file, "New Built-in Person"))


def test_a_window_that_was_off_the_screen_comes_back(qtbot, make, settings) -> None:
    window = make()
    window.move(_screen().width() + 4000, _screen().height() + 3000)
    window.resize(900, 500)
    qtbot.wait(50)
    settings.setValue("geometry", window.saveGeometry())
    again = make()
    assert _screen().contains(again.frameGeometry().topLeft())
    assert _screen().intersected(again.frameGeometry()).width() > 300
