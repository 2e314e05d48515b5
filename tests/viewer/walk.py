"""A walk over everything that a hand can reach in the window: every action of every menu, every entry of every list,
every check box, number, slider, button and picture that takes the mouse, in every panel and every dialog.

Nothing is listed here: controls are found in the window, and what one of them brings to light is walked next. Whatever
changes nothing a person could notice, raises, or says "Unexpected" is a fault.

python -m tests.viewer.walk [--few] WIDTH HEIGHT [PART] prints a report as JSON; see test_walk.py.

--few leaves out what is the same at every scale and in every country: the shortcuts, the entries of a list between its
second and its last, the rows of expressions between the first and the last, and what only these bring to light. PART
walks only what is so called: "View: " is that panel, "Export" the actions that begin so. WALK_TRACE=1 tells what is
being done.
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
from engine.jobs import Lane
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer import controls, hand
from tests.viewer.work import make_step_by_step
from viewer.app import make_application
from viewer.window import FILL, MainWindow

CHANGES_NOTHING = {
    "Full Screen": "a bare X server has no window manager that would do it",
    "Screenshot: Choice '': Custom": "says that the size below it is typed",
}
"""Controls that may change nothing, and why."""
REFUSES = {"Open Folder with Grown Hair": "TopologyError: expected a head in the FFHQ-UV layout"}
"""What cannot be done to an egg, and how that is said."""
NEVER_SEEN = {
    "Make this expression for this person": "of the two expressions that are there at first",
    "qt_menubar_ext_button": "Qt's own, for menus that do not fit into the bar",
}
"""Controls that may stay hidden, and why."""

PATIENCE_S, IDLE_S = 3.0, 120.0
START, TRACE = time.monotonic(), "WALK_TRACE" in os.environ
REST_MS = 3000
"""Before a fine frame, which takes a software driver half a second: most steps need none."""


class Walk:
    """Walks one window and gathers what is wrong."""

    def __init__(self, window: MainWindow, folder: Path, part: str = "", few: bool = False) -> None:
        self.window, self.folder, self.part, self.few = window, folder, part, few
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
        if not self.few:
            self._see_that_all_was_walked()
        self._do("Quit", None, lambda: hand.choose(self.window, hand.item(self.window.menuBar(), "Quit")))

    def _see_that_all_was_walked(self) -> None:
        for widget in self._controls(self.window):
            if id(widget) not in self.walked and not self._alone(widget) and self._belongs(controls.name_of(widget)):
                excuse = next((each for each in NEVER_SEEN if each in controls.name_of(widget)), None)
                if excuse is None:
                    self.fault(f"{controls.name_of(widget)}: could never be used")
                else:
                    self.excused.add(excuse)

    def fault(self, what: str) -> None:
        """Something is wrong."""
        self.faults.append(what)
        _trace(f"FAULT {what}")

    # Widgets

    def _controls(self, root: QWidget) -> Iterator[QWidget]:
        """Everything in `root` that takes a hand's input."""
        for widget in root.findChildren(QWidget):
            if widget.window() is root.window() or isinstance(widget.window(), QDockWidget):
                if isinstance(widget.parentWidget(), QAbstractSpinBox) or isinstance(widget, QScrollBar):
                    continue  # part of the field; what scrolls is moved by `hand.reach`
                if self.few and controls.is_between_its_like(widget):
                    continue
                kinds = QComboBox, QAbstractSpinBox, QLineEdit, QAbstractSlider, QAbstractButton, QTabBar
                if isinstance(widget, kinds) or controls.takes_the_mouse(widget):
                    yield widget

    def _usable(self, root: QWidget) -> list[QWidget]:
        def usable(widget: QWidget) -> bool:
            section = hand.ancestor(widget, hand.Section)
            shown = widget.isVisible() if section is None else widget.isVisibleTo(section)
            if section is not None and section.is_folded:
                shown = widget is section.header or widget.isVisibleTo(section.panel)
            return shown and widget.isEnabled() and not self._alone(widget) and not controls.closes(widget)

        return [widget for widget in self._controls(root) if usable(widget)]

    def _belongs(self, name: str) -> bool:
        return name.replace("&", "").startswith(self.part)

    def _alone(self, widget: QWidget) -> bool:
        return isinstance(widget, QComboBox) and widget.count() < 2

    def _widgets(self, root: QWidget) -> None:
        """Walk what can be used in `root` until nothing is left."""
        while rest := [
            widget
            for widget in self._usable(root)
            if id(widget) not in self.walked and (root is not self.window or self._belongs(controls.name_of(widget)))
        ]:
            rest.sort(
                key=lambda widget: not isinstance(widget, QToolButton)
            )  # what makes an expression goes by sliding
            self._back()
            self._walk(rest[0], root)
            self._back()

    def _walk(self, widget: QWidget, root: QWidget) -> None:
        self.walked[id(widget)] = widget
        self.counts[controls.kind_of(widget)] += 1
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
        name = controls.name_of(widget)
        if isinstance(widget, QComboBox):
            now = widget.currentIndex()
            there = [at for at in range(widget.count()) if hand.is_enabled(widget, at)]
            if self.few:
                there = [at for at in there if at in (*there[:2], there[-1], now)]
            entries = [at for at in there if at != now] + [at for at in there if at == now]
            self.counts["entries of lists"] += len(entries)
            box, mouse = widget, entries[-1]
            return [
                (f"{name}: {box.itemText(at)}", lambda at=at: hand.pick(box, at, mouse=at == mouse)) for at in entries
            ]
        if isinstance(widget, QAbstractSpinBox):
            return [
                (f"{name}: typed {text}", lambda text=text: self._type(widget, text))
                for text in controls.texts_for(widget)
            ]
        if isinstance(widget, QLineEdit):
            return [(f"{name}: typed", lambda: hand.replace_text(widget, "smile"))]
        if isinstance(widget, QAbstractSlider):
            return [(name, lambda: controls.slide(widget))]
        if isinstance(widget, QTabBar):
            bar = widget
            order = [at for at in range(bar.count()) if at != bar.currentIndex()] + [bar.currentIndex()]
            return [(f"{name} {at}", lambda at=at: hand.click(bar, bar.tabRect(at).center())) for at in order]
        if isinstance(widget, QAbstractButton):
            twice = widget.isCheckable() or isinstance(widget.parentWidget(), QDockWidget)
            if "closebutton" in widget.objectName():
                return [(name, lambda: hand.click(widget)), (f"{name}: back", lambda: self._panel_back(widget))]
            return [(name, lambda: hand.click(widget))] * (1 + twice)
        steps = [(f"{name}: dragged", lambda: controls.drag(widget))]
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
            self.fault(f"{controls.name_of(field)}: {text!r} was typed, {field.value():g} is there")

    # Menus

    def _menus(self) -> None:
        for by_key in (False,) if self.few else (False, True):
            done: set[str] = set()
            while rest := [
                action for action in self._all_actions() if action.text() not in done and self._belongs(action.text())
            ]:
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
                if action.isChecked() and controls.exclusive(action):
                    other = next(each for each in action.actionGroup().actions() if each is not action)
                    hand.choose(self.window, other)
                if not action.isEnabled():
                    if name != "Nothing yet":
                        self.fault(f"{name}: is greyed out")
                    return
                before = self._usable(self.window)
                if by_key:
                    self._do(
                        f"{name}, {keys[turn].toString()}", None, lambda turn=turn: hand.keys(keys[turn].toString())
                    )
                else:
                    self._do(name, None, lambda: hand.choose(self.window, action))
                if self.window.document.project.identity is self._first:  # another head has the same controls
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
        controls.slide(row)
        hand.click(view, QPoint(40, 40))
        if name == "Redo":
            hand.keys("Ctrl+Z")
        self._settle()

    # Doing and looking

    def _do(self, label: str, widget: QWidget | None, act: Callable[[], None]) -> None:
        """Do one thing and see whether it did something."""
        before = self._look(widget)
        _trace(label)
        try:
            act()
        except hand.Unreachable as error:
            self.fault(f"{label}: {error}")
            self._leave()
            return
        self._passing()
        self._settle()
        end = time.monotonic() + PATIENCE_S
        while (same := self._look(widget) == before) and time.monotonic() < end:
            QTest.qWait(30)
        if same:
            excuse = next((each for each in CHANGES_NOTHING if label.startswith(each)), None)
            if excuse is None:
                self.fault(f"{label}: changes nothing")
            else:
                self.excused.add(excuse)
        said = [each.text() for each in self.window.findChildren(QLabel) if "Unexpected" in each.text()]
        for error in dict.fromkeys([*self._errors, *said]):
            if not error.startswith(REFUSES.get(label, "no error")):
                self.fault(f"{label}: {error}")
        self._errors.clear()

    def _look(self, besides: QWidget | None) -> Hashable:
        """What a person could notice, but for what the control shows of itself."""
        window = self.window
        project, comparison, generation = window.document.project, window.comparison, window.generation
        left = comparison.left_of(project)  # what is drawn, not what a list has set
        tops = [top for top in QApplication.topLevelWidgets() if top.isVisible() and not isinstance(top, QMenu)]
        own = None if besides is None else controls.whole(besides)
        texts = tuple(
            (id(child), controls.shown(child, child is own))
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
            tuple(str(top.settings) for top in tops if isinstance(top, QDialog) and hasattr(top, "settings")),
            (self.dialogs, texts),
        )  # fmt: skip

    def _passing(self) -> None:
        """Press a button that is there only while files are read or written, if there is time."""
        button = self.window.job_bar.cancel
        QApplication.processEvents()
        if id(button) in self.walked or not self.window.jobs.waiting(Lane.VIDEO) or not button.isVisible():
            return
        self.walked[id(button)] = button
        self.counts["buttons"] += 1
        self._do(controls.name_of(button), button, lambda: hand.click(button))

    def _settle(self) -> None:
        """Wait for what is under way."""
        end = time.monotonic() + IDLE_S
        QApplication.processEvents()
        while any(getattr(each, "busy", False) is True for each in vars(self.window).values()):
            if time.monotonic() > end:
                self.fault("something is under way for ever")
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
                self.fault(f"Ctrl+Z does not undo {label}")
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
            self.fault(f"{dialog.windowTitle()}: {error}")
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
            hand.click(hand.button_of(dialog, "Discard"))
        else:
            self._own_dialog(dialog)

    def _own_dialog(self, dialog: QWidget) -> None:
        """Walk it once; then press one of the buttons that close it, another one each time; in the end Escape."""
        name, closers = (
            type(dialog).__name__,
            [each for each in dialog.findChildren(QAbstractButton) if controls.closes(each)],
        )
        if not dialog.screen().availableGeometry().contains(dialog.frameGeometry()):
            self.fault(f"{name}: is larger than the screen")
        if name not in self._closers:
            self.counts["dialogs"] += 1
            self._closers[name] = [each.text() for each in closers]
            self._widgets(dialog)
            for widget in self._controls(dialog):
                if id(widget) not in self.walked and not controls.closes(widget) and not self._alone(widget):
                    self.fault(f"{name}, {controls.name_of(widget)}: could never be used")
        left = self._closers[name]
        text = left.pop(0) if left else ""
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


def _trace(what: str) -> None:
    if TRACE:
        print(f"{time.monotonic() - START:6.1f} s: {what}", file=sys.stderr, flush=True)


def make_project() -> Project:
    """The egg with two expressions, one of them on."""
    head = make_head()
    project = new_project(head)
    scene = replace(project.scene, scattering=False)  # pictures are tested elsewhere, here they shall be quick
    return replace(project, expressions=make_expressions(head), weights={"Jaw Open": 0.6}, scene=scene)


def main() -> int:
    """Walk a window of WIDTH x HEIGHT device-independent pixels and print what was found."""
    few, arguments = "--few" in sys.argv, [each for each in sys.argv[1:] if each != "--few"]
    width, height, part = int(arguments[0]), int(arguments[1]), "".join(arguments[2:])
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
        walk = Walk(window, folder, part, few)
        try:
            walk.run()
        except BaseException:
            walk.fault(traceback.format_exc())
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
