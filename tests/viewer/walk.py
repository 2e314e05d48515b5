"""A walk over everything that a hand can reach in the window: every action of every menu, every entry of every list,
every check box, number, slider, button and picture that takes the mouse, in every panel and every dialog.

Nothing is listed here: controls are found in the window, and what one of them brings to light is walked next. Whatever
changes nothing a person could notice, raises, or says "Unexpected" is a fault.

python -m tests.viewer.walk WIDTH HEIGHT prints a report as JSON; see test_walk.py.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QPoint, QSettings, Qt, QTimer
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QColorDialog,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDockWidget,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QScrollBar,
    QTabBar,
    QToolButton,
    QWidget,
)

from engine.export import export_jreflectance
from engine.io.project import save_project
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer import hand
from tests.viewer.work import make_step_by_step
from viewer.app import make_application
from viewer.window import FILL, MainWindow

CHANGES_NOTHING = {
    "Full Screen": "a bare X server has no window manager that would do it",
    "Screenshot: Choice '': Custom": "says that the size below it is typed",
}
"""Controls that may change nothing, and why."""
NEVER_SEEN = {
    "Make this expression for this person": "of the two expressions that are there at first",
    "qt_menubar_ext_button": "Qt's own, for menus that do not fit into the bar",
}
"""Controls that may stay hidden, and why."""

PATIENCE_S, IDLE_S = 0.8, 60.0
REST_MS = 3000
"""Before a fine frame, which takes a software driver half a second: most steps need none."""
NUMBERS = ("0.5", "1,5", "20", "3000", "40", "7")
"""What is typed into number fields: those of these that are in range."""


class Walk:
    """Walks one window and gathers what is wrong."""

    def __init__(self, window: MainWindow, folder: Path) -> None:
        self.window, self.folder = window, folder
        self.walked: dict[int, QWidget] = {}
        self.actions: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.excused: set[str] = set()
        self.dialogs = 0
        self._errors: list[str] = []
        self._closers: dict[str, list[str]] = {}
        self._first = window.document.project.identity
        self._handled: set[int] = set()
        sys.excepthook = lambda kind, error, trace: self._errors.append(f"{kind.__name__}: {error}")
        logging.getLogger().addHandler(_Errors(self._errors))
        self._watch()

    def run(self) -> None:
        """Walk the window with its panels, then its menus with their dialogs, and close it."""
        self._widgets(self.window)
        self._menus()
        for widget in self._controls(self.window):
            if id(widget) not in self.walked and not self._alone(widget):
                excuse = next((each for each in NEVER_SEEN if each in _name(widget)), None)
                if excuse is None:
                    self.faults.append(f"{_name(widget)}: could never be used")
                else:
                    self.excused.add(excuse)
        self._do("Quit", None, lambda: hand.choose(self.window, hand.item(self.window.menuBar(), "Quit")))

    # Widgets

    def _controls(self, root: QWidget) -> Iterator[QWidget]:
        """Everything in `root` that takes a hand's input."""
        for widget in root.findChildren(QWidget):
            if widget.window() is root.window() or isinstance(widget.window(), QDockWidget):
                if isinstance(widget.parentWidget(), QAbstractSpinBox) or isinstance(widget, QScrollBar):
                    continue  # part of the field; what scrolls is moved by `hand.reach`
                kinds = QComboBox, QAbstractSpinBox, QLineEdit, QAbstractSlider, QAbstractButton, QTabBar
                if isinstance(widget, kinds) or _takes_the_mouse(widget):
                    yield widget

    def _usable(self, root: QWidget) -> list[QWidget]:
        def usable(widget: QWidget) -> bool:
            section = hand.ancestor(widget, hand.Section)
            shown = widget.isVisible() if section is None else widget.isVisibleTo(section)
            if section is not None and section.is_folded:
                shown = widget is section.header or widget.isVisibleTo(section.panel)
            return shown and widget.isEnabled() and not self._alone(widget) and not _closes(widget)

        return [widget for widget in self._controls(root) if usable(widget)]

    def _alone(self, widget: QWidget) -> bool:
        return isinstance(widget, QComboBox) and widget.count() < 2

    def _widgets(self, root: QWidget) -> None:
        """Walk what can be used in `root` until nothing is left."""
        while rest := [widget for widget in self._usable(root) if id(widget) not in self.walked]:
            rest.sort(
                key=lambda widget: not isinstance(widget, QToolButton)
            )  # what makes an expression goes by sliding
            self._back()
            self._walk(rest[0], root)
            self._back()

    def _walk(self, widget: QWidget, root: QWidget) -> None:
        self.walked[id(widget)] = widget
        self.counts[_kind(widget)] += 1
        for label, act in self._steps(widget):
            if not (widget.isVisible() or hand.ancestor(widget, hand.Section)) or not widget.isEnabled():
                return
            before = self._usable(root)
            self._do(label, widget, act)
            self._walk_new(before, root)

    def _walk_new(self, before: list[QWidget], root: QWidget) -> None:
        """Walk what was not `before`, in the state that brought it to light."""
        for each in self._usable(root):
            if each not in before and id(each) not in self.walked and each.isVisible() and each.isEnabled():
                self._walk(each, root)

    def _steps(self, widget: QWidget) -> list[tuple[str, Callable[[], None]]]:
        """What to do with a control: (what it is called, how)."""
        name = _name(widget)
        if isinstance(widget, QComboBox):
            now = widget.currentIndex()
            there = [at for at in range(widget.count()) if hand.is_enabled(widget, at)]
            entries = [at for at in there if at != now] + [at for at in there if at == now]
            self.counts["entries of lists"] += len(entries)
            mouse = entries[-1]
            return [
                (f"{name}: {widget.itemText(at)}", lambda at=at: hand.pick(widget, at, mouse=at == mouse))
                for at in entries
            ]
        if isinstance(widget, QAbstractSpinBox):
            return [(f"{name}: typed {text}", lambda text=text: self._type(widget, text)) for text in _texts(widget)]
        if isinstance(widget, QLineEdit):
            return [(f"{name}: typed", lambda: hand.replace_text(widget, "smile"))]
        if isinstance(widget, QAbstractSlider):
            return [(name, lambda: hand.slide(widget, 0.2, 0.5, 0.8))]  # type: ignore[arg-type]
        if isinstance(widget, QTabBar):
            order = [at for at in range(widget.count()) if at != widget.currentIndex()] + [widget.currentIndex()]
            return [(f"{name} {at}", lambda at=at: hand.click(widget, widget.tabRect(at).center())) for at in order]
        if isinstance(widget, QAbstractButton):
            twice = widget.isCheckable() or isinstance(widget.parentWidget(), QDockWidget)
            if "closebutton" in widget.objectName():
                return [(name, lambda: hand.click(widget)), (f"{name}: back", lambda: self._panel_back(widget))]
            return [(name, lambda: hand.click(widget))] * (1 + twice)
        steps = [(f"{name}: dragged", lambda: _drag(widget))]
        if "wheelEvent" in vars(type(widget)):
            steps.append((f"{name}: wheel", lambda: hand.wheel(widget, 2)))
        if "mouseDoubleClickEvent" in vars(type(widget)):
            steps.append((f"{name}: double click", lambda: hand.double_click(widget)))
        return steps

    def _panel_back(self, button: QWidget) -> None:
        title = hand.ancestor(button, QDockWidget).windowTitle()  # type: ignore[union-attr]
        hand.choose(self.window, hand.item(self.window.menuBar(), title))

    def _type(self, field: Any, text: str) -> None:
        hand.fill(field, text, "Tab" if isinstance(field.window(), QDialog) else "Return")
        QTest.qWait(1)
        wanted = float(text.replace(",", "."))
        if abs(field.value() - wanted) > 1e-6:
            self.faults.append(f"{_name(field)}: {text!r} was typed, {field.value():g} is there")

    # Menus

    def _menus(self) -> None:
        for by_key in (False, True):
            done: set[str] = set()
            while rest := [action for action in self._all_actions() if action.text() not in done]:
                done.add(rest[0].text())
                self._action(rest[0], by_key)

    def _all_actions(self) -> list[QAction]:
        """Every action of every menu but Quit; lists that are filled when they open are opened first."""

        def below(menu: Any) -> Iterator[QAction]:
            for action in menu.actions():
                inner = action.menu()
                if isinstance(inner, QMenu):
                    yield from below(inner)
                elif not action.isSeparator() and "Quit" not in action.text():
                    yield action

        return list(below(self.window.menuBar()))

    def _action(self, action: QAction, by_key: bool) -> None:
        name = action.text().replace("&", "").rstrip("…")
        name = " ".join(name.split()[:1]) if name.startswith(("Undo", "Redo")) else name
        keys = action.shortcuts()
        if by_key and not keys:
            return
        for turn in range(len(keys) if by_key else 1):
            while True:
                self._back()
                self._prepare(name)
                if action.isChecked() and _exclusive(action):
                    other = next(each for each in action.actionGroup().actions() if each is not action)
                    hand.choose(self.window, other)
                if not action.isEnabled():
                    if name != "Nothing yet":
                        self.faults.append(f"{name}: is greyed out")
                    return
                before = self._usable(self.window)
                if by_key:
                    self._do(
                        f"{name}, {keys[turn].toString()}", None, lambda turn=turn: hand.keys(keys[turn].toString())
                    )
                else:
                    self._do(name, None, lambda: hand.choose(self.window, action))
                self._walk_new(before, self.window)
                if not any(self._closers.values()):
                    break  # every button that closes its dialog was pressed
        if name not in self.actions:
            self.actions.add(name)
            self.counts["actions of menus"] += 1
        self.counts["shortcuts"] += len(keys) if by_key else 0

    def _prepare(self, name: str) -> None:
        """Something to save, to undo or to look at from elsewhere."""
        view = self.window.viewport
        hand.drag(view, QPoint(40, 40), QPoint(70, 52))
        row = next(each for each in self.window.findChildren(QAbstractSlider) if each.isVisible() and each.isEnabled()
                   and not isinstance(each, QScrollBar))  # fmt: skip
        low = row.value() < (row.minimum() + row.maximum()) / 2
        hand.slide(row, 0.5, 0.8 if low else 0.2)  # type: ignore[arg-type]
        hand.click(view, QPoint(40, 40))
        if name == "Redo":
            hand.keys("Ctrl+Z")
        self._settle()

    # Doing and looking

    def _do(self, label: str, widget: QWidget | None, act: Callable[[], None]) -> None:
        """Do one thing and see whether it did something."""
        before = self._look(widget)
        try:
            act()
        except hand.Unreachable as error:
            self.faults.append(f"{label}: {error}")
            self._leave()
            return
        self._settle()
        end = time.monotonic() + PATIENCE_S
        while (same := self._look(widget) == before) and time.monotonic() < end:
            QTest.qWait(30)
        if same:
            excuse = next((each for each in CHANGES_NOTHING if label.startswith(each)), None)
            if excuse is None:
                self.faults.append(f"{label}: changes nothing")
            else:
                self.excused.add(excuse)
        said = [each.text() for each in self.window.findChildren(QLabel) if "Unexpected" in each.text()]
        self.faults += [f"{label}: {error}" for error in dict.fromkeys([*self._errors, *said])]
        self._errors.clear()

    def _look(self, besides: QWidget | None) -> Hashable:
        """What a person could notice, but for what the control shows of itself."""
        window = self.window
        project, comparison, generation = window.document.project, window.comparison, window.generation
        left = comparison.left_of(project)  # what is drawn, not what a list has set
        tops = [top for top in QApplication.topLevelWidgets() if top.isVisible() and not isinstance(top, QMenu)]
        own = None if besides is None else _whole(besides)
        texts = tuple(
            (id(child), _shown(child, child is own))
            for top in tops
            for child in top.findChildren(QWidget)
            if child.isVisible() and (own is None or child is own or not own.isAncestorOf(child))
        )
        return (
            (id(project.identity), project.expressions.names, tuple(project.weights.items()), repr(project.scene)),
            None if left is None else (tuple(left.weights.items()), repr(left.scene), comparison.position),
            (window.viewport.converges, generation.settings, generation.fills, generation.making),
            tuple((type(top).__name__, top.windowTitle(), top.isFullScreen(), top.isWindowModified()) for top in tops),
            tuple((dock.isFloating(), dock.isVisible()) for dock in window.docks()),
            tuple((key, str(window.settings.value(key))) for key in window.settings.allKeys()),
            tuple(sorted((str(path), path.stat().st_mtime_ns) for path in self.folder.rglob("*"))),
            tuple(str(getattr(top, name)) for top in tops for name in ("settings", "maps", "conventions")
                  if isinstance(top, QDialog) and hasattr(top, name)),
            (self.dialogs, texts),
        )  # fmt: skip

    def _settle(self) -> None:
        """Wait for what is under way."""
        end = time.monotonic() + IDLE_S
        QApplication.processEvents()
        while any(getattr(each, "busy", False) is True for each in vars(self.window).values()):
            if time.monotonic() > end:
                self.faults.append("something is under way for ever")
                return
            QTest.qWait(10)

    def _leave(self) -> None:
        """Close what stands open."""
        for _ in range(4):
            if QApplication.activePopupWidget() is not None:
                hand.keys(Qt.Key.Key_Escape)

    def _back(self) -> None:
        """Back to where the walk began, by hand: other windows closed, the first head open, all undone."""
        window = self.window
        if QApplication.activeModalWidget() is not None:
            return  # a dialog is being walked
        for other in [each for each in window.windows if each is not window and each.isVisible()]:
            hand.choose(other, hand.item(other.menuBar(), "Quit"))
        self._settle()
        if window.document.project.identity is not self._first:
            hand.keys("Ctrl+O")
            self._settle()
            self._first = window.document.project.identity
        if not all(dock.isVisible() for dock in window.docks()):
            hand.choose(window, hand.item(window.menuBar(), "Reset Layout"))
        while window.document.undo_label is not None:
            if QApplication.focusWidget() is not window.viewport:
                hand.click(window.viewport, QPoint(40, 40))
            label = window.document.undo_label
            hand.keys("Ctrl+Z")
            if window.document.undo_label == label and window.document.redo_label != label:
                self.faults.append(f"Ctrl+Z does not undo {label}")
                return

    # Dialogs

    def _watch(self) -> None:
        """Answer each dialog that blocks; again and again, within dialogs of dialogs too."""
        QTimer.singleShot(10, self._watch)
        dialog = QApplication.activeModalWidget()
        if dialog is None or not dialog.isVisible() or id(dialog) in self._handled:
            return
        self._handled.add(id(dialog))
        self.dialogs += 1
        try:
            self._answer(dialog)
        except (hand.Unreachable, RuntimeError) as error:
            self.faults.append(f"{dialog.windowTitle()}: {error}")
        finally:
            self._handled.discard(id(dialog))
            if dialog.isVisible():
                hand.keys(Qt.Key.Key_Escape)

    def _answer(self, dialog: QWidget) -> None:
        if isinstance(dialog, QFileDialog):
            hand.naming(self._file_for(dialog))(dialog)
        elif isinstance(dialog, QColorDialog):
            field = next(each for each in dialog.findChildren(QLineEdit) if each.isVisible() and "#" in each.text())
            hand.replace_text(field, "#3060c0", "Return")
        elif isinstance(dialog, QMessageBox):
            hand.click(dialog.button(QMessageBox.StandardButton.Discard))
        else:
            self._own_dialog(dialog)

    def _own_dialog(self, dialog: QWidget) -> None:
        """Walk it once; then press one of the buttons that close it, another one each time."""
        name, closers = type(dialog).__name__, [each for each in dialog.findChildren(QAbstractButton) if _closes(each)]
        if not dialog.screen().availableGeometry().contains(dialog.frameGeometry()):
            self.faults.append(f"{name}: is larger than the screen")
        if name not in self._closers:
            self.counts["dialogs"] += 1
            self._closers[name] = [each.text() for each in closers]
            self._widgets(dialog)
            for widget in self._controls(dialog):
                if id(widget) not in self.walked and not _closes(widget) and not self._alone(widget):
                    self.faults.append(f"{name}, {_name(widget)}: could never be used")
        left = self._closers[name]
        text = left.pop() if left else closers[0].text() if closers else ""
        button = next((each for each in closers if each.text() == text), None)
        if button is None:
            hand.keys(Qt.Key.Key_Escape)
        else:
            self.counts["buttons"] += 1
            hand.click(button)

    def _file_for(self, dialog: QFileDialog) -> Path:
        """What a person would name: a new file of the kind, or one that is there."""
        filters = " ".join(dialog.nameFilters())
        if dialog.acceptMode() is QFileDialog.AcceptMode.AcceptSave:
            suffix = filters[filters.index("*.") + 1 :].split(")")[0].split()[0]
            return self.folder / f"written{self.dialogs}{suffix}"
        if dialog.fileMode() is QFileDialog.FileMode.Directory:
            if "write" not in dialog.windowTitle():
                return self.folder / "person"
            (self.folder / f"written{self.dialogs}").mkdir()
            return self.folder / f"written{self.dialogs}"
        names = {".hdr": "sky.hdr", ".csv": "rig.csv"}
        return self.folder / next((name for suffix, name in names.items() if suffix in filters), "base.expdiff")


class _Errors(logging.Handler):
    """Errors that are only logged are errors too."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._list = errors

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._list.append(f"{type(error).__name__}: {error}" if error else record.getMessage())


def _takes_the_mouse(widget: QWidget) -> bool:
    """Is it one of this program's own widgets that is not made of Qt's controls?"""
    own = vars(type(widget))
    return type(widget).__module__.startswith("viewer.") and "mousePressEvent" in own


def _closes(widget: QWidget) -> bool:
    return isinstance(widget.parentWidget(), QDialogButtonBox)


def _exclusive(action: QAction) -> bool:
    group = action.actionGroup()
    return group is not None and group.isExclusive()


def _kind(widget: QWidget) -> str:
    for kind, name in (
        (QComboBox, "lists"),
        (QAbstractSpinBox, "number fields"),
        (QLineEdit, "text fields"),
        (QAbstractSlider, "sliders"),
        (QTabBar, "tab bars"),
        (QAbstractButton, "check boxes" if isinstance(widget, QAbstractButton) and widget.isCheckable() else "buttons"),
    ):
        if isinstance(widget, kind):
            return name
    return "pictures that take the mouse"


def _name(widget: QWidget) -> str:
    """Where it is and what it is called."""
    parent, place = widget.parentWidget(), ""
    while parent is not None and not place:
        title = getattr(parent, "title", "") or getattr(parent, "name", "") or parent.windowTitle()
        place = title if isinstance(title, str) else ""
        parent = parent.parentWidget()
    return f"{place}: {hand.named(widget)}"


def _whole(widget: QWidget) -> QWidget:
    """The control that a groove or number is part of."""
    whole, parent = widget, widget.parentWidget()
    while parent is not None and isinstance(widget, QAbstractSlider | QAbstractSpinBox):
        if hasattr(parent, "edited") or hasattr(parent, "moved"):
            whole = parent
        parent = parent.parentWidget()
    return whole


def _shown(widget: QWidget, own: bool) -> Hashable:
    """What a widget shows; of the control in hand only what is written on a button."""
    button = isinstance(widget, QAbstractButton)
    if own:
        return widget.text() if button else None
    if isinstance(widget, QComboBox):
        return widget.currentText(), widget.count(), widget.isEnabled(), widget.hasFocus()
    if isinstance(widget, QAbstractSlider):
        return widget.value(), widget.isEnabled()
    if isinstance(widget, QLabel | QLineEdit) or button:
        return widget.text(), widget.isEnabled(), button and widget.isChecked()
    return widget.isEnabled()


def _texts(field: Any) -> list[str]:
    """Numbers to type: in range, and another one than is there."""
    whole = not hasattr(field, "decimals") or field.decimals() == 0
    now, texts = field.value(), []
    for text in NUMBERS:
        value = float(text.replace(",", "."))
        if field.minimum() <= value <= field.maximum() and value != now and not (whole and value % 1):
            texts.append(text)
            now = value
    return texts[:2]


def _drag(widget: QWidget) -> None:
    middle = widget.rect().center()
    hand.drag(widget, middle, middle + QPoint(20, 12), middle + QPoint(40, 25))


def make_project() -> Project:
    """The egg with two expressions, one of them on."""
    head = make_head()
    project = new_project(head)
    scene = replace(project.scene, scattering=False)  # pictures are tested elsewhere, here they shall be quick
    return replace(project, expressions=make_expressions(head), weights={"Jaw Open": 0.6}, scene=scene)


def main() -> int:
    """Walk a window of WIDTH x HEIGHT device-independent pixels and print what was found."""
    width, height = int(sys.argv[1]), int(sys.argv[2])
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    application = make_application()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, project = Path(name), make_project()
        os.chdir(folder)
        save_project(project, folder / "base.expdiff")
        export_jreflectance(project, folder / "person")
        (folder / "rig.csv").write_text("1,0,0\n0,1,0\n0,0,1\n")
        import numpy as np

        from tests.render.test_environment import write_hdr  # needs numpy alone

        write_hdr(folder / "sky.hdr", np.full((16, 32, 3), 0.5, np.float32))
        settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
        settings.setValue(FILL, False)
        window = MainWindow(project, settings, make_step_by_step)
        window.viewport._rest.setInterval(REST_MS)
        window.resize(width, height)
        window.move(0, 0)
        window.show()
        QTest.qWaitForWindowExposed(window)
        walk = Walk(window, folder)
        try:
            walk.run()
        except BaseException:
            walk.faults.append(traceback.format_exc())
        finally:
            for each in list(window.windows):
                each.finish()
        report = {
            "controls": dict(walk.counts),
            "events": hand.events,
            "faults": walk.faults,
            "excused": sorted(walk.excused),
            "seconds": round(time.monotonic() - start, 1),
            "screen": [window.screen().size().width(), window.screen().size().height()],
            "scale": window.devicePixelRatioF(),
            "locale": window.locale().name(),
        }
    print(json.dumps(report))
    application.processEvents()
    return 0


if __name__ == "__main__":
    sys.exit(main())
