"""A hand at mouse and keyboard: every event goes to a window at a place, as the system would send it, and Qt finds what
lies there. What is covered, scrolled away, greyed out or behind a dialog is so for the hand too.

No widget's own signal or slot is used: a control that is dead for a person is dead here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from PySide6.QtCore import QPoint, QPointF, QRect, Qt, QTimer
from PySide6.QtGui import QAction, QGuiApplication, QImage, QKeySequence, QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QColorDialog,
    QComboBox,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMainWindow,
    QMenu,
    QMenuBar,
    QScrollArea,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QWidget,
)

from viewer.widgets.column import Section

W = TypeVar("W", bound=QWidget)
REACH_MS = 50
"""No hand is quicker from one place to another; Qt drops some clicks that come at once after a menu opens."""

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NO_KEYS, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
WAIT_MS = 5000
NOTCH = 120
"""Qt's angle delta of one notch of a wheel."""

events = 0
"""Presses, moves, turns of the wheel and keys that were sent."""


class Unreachable(AssertionError):
    """A person could not do this with what is on the screen."""


# Places


def _send(widget: QWidget, event: Callable[[QWindow], object], count: int = 1) -> None:
    """Send events to the window of `widget`. (Both are held by name: PySide drops a window whose widget is dropped.)"""
    global events
    top = widget.window()
    window = top.windowHandle()
    if window is None or not widget.isVisible():
        raise Unreachable(f"{named(widget)} is not on the screen")
    events += count
    event(window)


def named(widget: QWidget) -> str:
    """A widget for people: its class, and what is written on it or said about it."""
    text = getattr(widget, "text", None)
    label = text() if callable(text) else widget.windowTitle()
    return f"{type(widget).__name__} {label or widget.toolTip() or widget.objectName()!r}"


def _point(widget: QWidget, at: QPoint | QPointF | None) -> QPoint:
    """`at` of the widget, else its middle, in its window; seen there by whoever looks."""
    point = widget.rect().center() if at is None else at.toPoint() if isinstance(at, QPointF) else at
    return widget.mapTo(widget.window(), point)


def _activate(widget: QWidget) -> None:
    """Give the window the keyboard, as a window manager does at a click: a bare X server has none."""
    window = widget.window()
    if QApplication.activePopupWidget() is None and QApplication.activeModalWidget() in (None, window):
        window.activateWindow()
        _until(lambda: QApplication.activeWindow() is window, f"{named(window)} does not become active")


def _on_top(widget: QWidget, at: QPoint | QPointF | None = None) -> bool:
    """Is `widget` what a person sees at this place of it?"""
    window, point = widget.window(), _point(widget, at)
    top = window.childAt(point) or (window if window.rect().contains(point) else None)
    return top is not None and (top is widget or widget.isAncestorOf(top))


def reach(widget: QWidget, at: QPoint | QPointF | None = None) -> None:
    """Bring `widget` into view as a person would: unfold its section, turn the wheel over what scrolls."""
    QApplication.processEvents()  # what was folded or grew just now takes its place
    section = ancestor(widget, Section)
    if section is not None and section.is_folded and widget is not section.header:
        click(section.header)
    patience = 60  # a layout takes its place when events are next delivered
    while patience:
        if widget.isVisible() and _on_top(widget, at):
            return
        if not widget.isVisible() or not any(_scroll_to(area, widget, at) for area in _scroll_areas(widget)):
            patience -= 1
            QTest.qWait(5)
    if not widget.isVisible():
        raise Unreachable(f"{named(widget)} is not on the screen")
    top = widget.window().childAt(_point(widget, at))
    raise Unreachable(f"{named(widget)} cannot be reached: {named(top) if top else 'nothing'} is at its place")


def _scroll_areas(widget: QWidget) -> Iterator[QScrollArea]:
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            yield parent
        parent = parent.parentWidget()


def _scroll_to(area: QScrollArea, widget: QWidget, at: QPoint | QPointF | None) -> bool:
    """One notch of the wheel that brings the place nearer; did anything move?"""
    view = area.viewport()
    y = view.mapFrom(widget.window(), _point(widget, at)).y()
    if 0 <= y < view.height():
        return False
    before = area.verticalScrollBar().value()
    wheel(view, 1 if y < 0 else -1)
    return area.verticalScrollBar().value() != before


def ancestor(widget: QWidget, kind: type[W]) -> W | None:
    """The nearest of `kind` above `widget`, or itself."""
    parent: QWidget | None = widget
    while parent is not None and not isinstance(parent, kind):
        parent = parent.parentWidget()
    return parent


# Mouse


def click(
    widget: QWidget,
    at: QPoint | QPointF | None = None,
    button: Qt.MouseButton = LEFT,
    keys: Qt.KeyboardModifier = NO_KEYS,
) -> None:
    """Press and release over `widget`, a check box at its box."""
    if at is None and isinstance(widget, QCheckBox):
        at = _box_of(widget).center()
    reach(widget, at)
    _activate(widget)
    point = _point(widget, at)
    _send(widget, lambda window: QTest.mouseMove(window, point))
    _send(widget, lambda window: QTest.mouseClick(window, button, keys, point), 2)


def _box_of(check_box: QCheckBox) -> QRect:
    option = QStyleOptionButton()
    check_box.initStyleOption(option)
    return check_box.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, check_box)


def double_click(widget: QWidget, at: QPoint | QPointF | None = None) -> None:
    """Two clicks in a row."""
    reach(widget, at)
    _activate(widget)
    point = _point(widget, at)
    _send(widget, lambda window: QTest.mouseDClick(window, LEFT, NO_KEYS, point), 4)


def press(widget: QWidget, at: QPoint | QPointF | None = None, button: Qt.MouseButton = LEFT, keys=NO_KEYS) -> None:
    """Press and hold."""
    reach(widget, at)
    _activate(widget)
    point = _point(widget, at)
    _send(widget, lambda window: QTest.mousePress(window, button, keys, point))


def move(widget: QWidget, at: QPoint | QPointF) -> None:
    """Move the pointer to `at` of `widget`, over its edge too; what is held is dragged."""
    point = _point(widget, at)
    _send(widget, lambda window: QTest.mouseMove(window, point))


def release(widget: QWidget, at: QPoint | QPointF | None = None, button: Qt.MouseButton = LEFT, keys=NO_KEYS) -> None:
    """Let go."""
    point = _point(widget, at)
    _send(widget, lambda window: QTest.mouseRelease(window, button, keys, point))


def drag(
    widget: QWidget,
    start: QPoint | QPointF,
    *path: QPoint | QPointF,
    button: Qt.MouseButton = LEFT,
    keys: Qt.KeyboardModifier = NO_KEYS,
) -> None:
    """Press at `start`, go along `path`, let go at its end. `keys` are held as at the keyboard."""
    press(widget, start, button, keys)
    places, action = [_point(widget, at) for at in path], QTest.MouseAction.MouseMove  # `widget` may go with the hand
    for point in places:  # QTest.mouseMove knows no keys
        _send(widget, lambda window, point=point: QTest.mouseEvent(action, window, button, keys, point))
    _send(widget, lambda window: QTest.mouseRelease(window, button, keys, places[-1]))


def wheel(widget: QWidget, notches: float, at: QPoint | QPointF | None = None) -> None:
    """Turn the wheel over `widget`, away from oneself where `notches` are positive."""
    point, turn = QPointF(_point(widget, at)), QPoint(0, round(notches * NOTCH))
    # of all places only this one is taken by QTest as the screen's own pixels
    _send(widget, lambda window: QTest.wheelEvent(window, point * window.devicePixelRatio(), turn))
    QApplication.processEvents()


# Keyboard


def keys(*sequences: str | Qt.Key) -> None:
    """Press keys one after another ("Ctrl+Z", Qt.Key.Key_Down) in the window that has the keyboard."""
    for each in sequences:
        if isinstance(each, str):
            _type(lambda window, each=each: QTest.keySequence(window, QKeySequence(each)))
        else:
            _type(lambda window, each=each: QTest.keyClick(window, each))


def type_text(text: str) -> None:
    """Type `text`, of ASCII signs, where the keyboard is."""
    for letter in text:
        _type(lambda window, letter=letter: QTest.keyClick(window, ord(letter)))


def _type(event: Callable[[QWindow], object]) -> None:
    global events
    _until(_keyboard_is_seen, "a list that has closed keeps the keyboard")
    if QGuiApplication.focusWindow() is None:  # a dialog has gone: what was below it is active again
        tops = [each for each in QApplication.topLevelWidgets() if each.isVisible() and each.isWindow()]
        for each in tops[:1] if QApplication.activeModalWidget() is None else [QApplication.activeModalWidget()]:
            _activate(each)
    window = QGuiApplication.focusWindow()  # Qt sends its keys on to a list or menu that is open
    if window is None:
        raise Unreachable("no window has the keyboard")
    events += 1
    event(window)


def _keyboard_is_seen() -> bool:
    """Can the window that has the keyboard be seen? On a slow machine one that closed has it for a while."""
    window = QGuiApplication.focusWindow()
    return window is None or window.isVisible()


# Controls


def fill(field: QLineEdit | QAbstractSpinBox, text: str, end: str = "Return") -> None:
    """Click into a field, type `text`, press Return (or `end`: Tab, or nothing). What is there is typed over only as
    far as the field itself selects it."""
    click(field)
    patience = 100  # the keyboard comes back from a list that closed just now
    while patience and not field.hasFocus():
        patience -= 1
        QTest.qWait(5)
    type_text(text)
    if end:
        keys(end)


def replace_text(field: QLineEdit, text: str, end: str = "") -> None:
    """Click into a text field, select all of it and type `text` in its place."""
    click(field)
    keys("Ctrl+A", Qt.Key.Key_Delete)
    type_text(text)
    if end:
        keys(end)


def pick(box: QComboBox, entry: str | int, mouse: bool = False) -> None:
    """Open a list with a click and choose `entry` (its text or number) with keys, or with the mouse."""
    at = box.findText(entry) if isinstance(entry, str) else entry
    if not 0 <= at < box.count():
        raise Unreachable(f"{entry!r} is not in the list: {[box.itemText(each) for each in range(box.count())]}")
    if not is_enabled(box, at):
        raise Unreachable(f"{box.itemText(at)!r} is greyed out")
    view = box.view()
    popup = view.window()  # held: see `_send`
    for _ in range(3):  # on a slow machine a list may close by itself: keys would then go to what is below it
        _open_list(box, mouse)
        if mouse:
            view.scrollTo(view.model().index(at, 0))
            click(view.viewport(), view.visualRect(view.model().index(at, 0)).center())
            break
        step = Qt.Key.Key_Down if at > view.currentIndex().row() else Qt.Key.Key_Up
        while view.isVisible() and view.currentIndex().row() != at:
            keys(step)
        if view.isVisible():
            keys(Qt.Key.Key_Return)
            break
    _until(lambda: not popup.isVisible(), f"{named(box)} does not close")


def _open_list(box: QComboBox, mouse: bool) -> None:
    view = box.view()
    for _ in range(3):  # on a slow machine the end of the click may close what its beginning opened
        click(box)
        # before the interval is over, Qt takes a release of the mouse as the end of the click
        QTest.qWait(QApplication.doubleClickInterval() + 20 if mouse else 1)
        if view.isVisible():
            break
    _until(view.isVisible, f"{named(box)} does not open")


def is_enabled(box: QComboBox, at: int) -> bool:
    """Can entry number `at` be chosen?"""
    return bool(box.model().flags(box.model().index(at, 0)) & Qt.ItemFlag.ItemIsEnabled)


def entries(box: QComboBox) -> list[str]:
    """What a list offers."""
    return [box.itemText(at) for at in range(box.count())]


def share_of(groove: QSlider, share: float) -> QPoint:
    """Where a share 0..1 of a groove's length lies."""
    edge = 5  # the handle's radius: its middle stops there
    return QPoint(round(edge + share * (groove.width() - 2 * edge)), groove.height() // 2)


def slide(groove: QSlider, start: float, *shares: float) -> None:
    """Drag along a groove, from and through shares 0..1 of its length."""
    drag(groove, share_of(groove, start), *(share_of(groove, share) for share in shares))


# Menus


def choose(window: QMainWindow, action: QAction) -> None:
    """Click through the menu bar to `action`, opening the menus above it."""
    bar = window.menuBar()
    path = _path_to(bar, action)
    if path is None:
        raise Unreachable(f"{action.text()!r} is in no menu")
    click(bar, bar.actionGeometry(path[0]).center())
    for above, each in pairwise(path):
        menu = above.menu()
        assert isinstance(menu, QMenu)
        _until(menu.isVisible, f"{above.text()!r} does not open")
        if not each.isEnabled():
            keys(*[Qt.Key.Key_Escape] * len(path))
            raise Unreachable(f"{each.text()!r} is greyed out")
        QTest.qWait(REACH_MS)
        click(menu, menu.actionGeometry(each).center())


def _path_to(menu: QMenuBar | QMenu, action: QAction) -> list[QAction] | None:
    for each in menu.actions():
        if each is action or each == action:
            return [each]
        inner = each.menu()
        if isinstance(inner, QMenu) and (rest := _path_to(inner, action)) is not None:
            return [each, *rest]
    return None


def item(menu: QMenu | QMenuBar, text: str) -> QAction:
    """The action of a menu, or of a menu below it, whose text is `text` without its key marks and dots."""
    for each in menu.actions():
        inner = each.menu()
        if isinstance(inner, QMenu):
            try:
                return item(inner, text)
            except Unreachable:
                continue
        if each.text().replace("&", "").rstrip("…") == text:
            return each
    raise Unreachable(f"no menu has {text!r}")


# Dialogs


@contextmanager
def answering(*answers: Callable[[Any], None]) -> Iterator[None]:
    """While dialogs block: each that comes up goes to the next of `answers`, which must close it. All must come."""
    waiting, seen, errors = list(answers), set[int](), list[BaseException]()
    timer = QTimer(interval=10)

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is None or id(dialog) in seen or not dialog.isVisible() or not waiting:
            return
        seen.add(id(dialog))
        try:
            waiting.pop(0)(dialog)
        except BaseException as error:
            errors.append(error)
            waiting.clear()
        finally:
            if errors and dialog.isVisible():
                keys(Qt.Key.Key_Escape)

    timer.timeout.connect(look)
    timer.start()
    try:
        yield
        if not errors:
            _until(lambda: not waiting or bool(errors), "no dialog came up")
    finally:
        timer.stop()
    if errors:
        raise errors[0]


def button_of(dialog: QWidget, text: str) -> QAbstractButton:
    """The button of a dialog by what is written on it."""
    for button in dialog.findChildren(QAbstractButton):
        if button.isVisible() and button.text().replace("&", "") == text:
            return button
    raise Unreachable(f"{named(dialog)} has no button {text!r}")


def pressing(text: str) -> Callable[[QDialog], None]:
    """Answer of a dialog: click the button `text`."""
    return lambda dialog: click(button_of(dialog, text))


def naming(path: object) -> Callable[[QFileDialog], None]:
    """Answer of Qt's own file dialog: type `path` as the name and press Return."""

    def answer(dialog: QFileDialog) -> None:
        field = next(each for each in dialog.findChildren(QLineEdit) if each.objectName() == "fileNameEdit")
        replace_text(field, str(path))
        keys(Qt.Key.Key_Return)

    return answer


def coloring(name: str) -> Callable[[QColorDialog], None]:
    """Answer of Qt's colour dialog: type "#rrggbb" and press Return."""

    def answer(dialog: QColorDialog) -> None:
        field = next(each for each in dialog.findChildren(QLineEdit) if each.text().startswith("#"))
        replace_text(field, name, "Return")

    return answer


def _until(true: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + WAIT_MS / 1000
    while not true():
        if time.monotonic() > end:
            raise Unreachable(otherwise)
        QTest.qWait(5)


def seen(widget: QWidget) -> np.ndarray:
    """(H, W, 3) int16 sRGB of `widget` without what lies over it, in device pixels, whatever depth its screen has."""
    ratio = widget.devicePixelRatioF()
    image = QImage(widget.size() * ratio, QImage.Format.Format_RGB888)
    image.setDevicePixelRatio(ratio)
    widget.render(image)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : image.width() * 3].reshape(image.height(), image.width(), 3).astype(np.int16)
