"""The menu bar: every action with its key; the shortcut sheet is read off it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from engine.checks import printable
from engine.open import Opening
from engine.project import Project
from engine.scene import DIFFERENCES, ViewChannel, with_channel
from viewer import orbit
from viewer.dialogs import ShortcutSheet, key_text, show
from viewer.document import Document
from viewer.log import LogDialog
from viewer.session import Session
from viewer.viewport import Viewport
from viewer.widgets.column import Column, Dock, Section

Row = tuple[str, Callable[[], object], str]
"""Label, what it does, and its key or ''."""
_VIEW_KEYS = {"Front": ("F", "Home"), "Three-quarter": ("T",), "Left": ("L",), "Right": ("R",)}
_CHANNEL_KEYS = "1234567890-"
"""Of the first channels; the others have none."""


class Menus:
    """Fills the window's menu bar and keeps its checks, labels and recent files true."""

    def __init__(
        self,
        window: QMainWindow,
        document: Document,
        session: Session,
        viewport: Viewport,
        column: Column,
        docks: Sequence[Dock],
        exports: Sequence[Row],
        open_another: Callable[[], object],
        reset_layout: Callable[[], object],
    ) -> None:
        """`exports` are the window's rows of the file menu; the last two what else only it can do."""
        self._window, self._document, self._session = window, document, session
        self._viewport, self._column, self._docks = viewport, column, docks
        bar = window.menuBar()
        self.file, self.edit = bar.addMenu("&File"), bar.addMenu("&Edit")
        self.view, self.help = bar.addMenu("&View"), bar.addMenu("&Help")
        self._fill_file(exports, open_another)
        self._fill_edit()
        self._fill_view(reset_layout)
        self._add(self.help, "Shortcuts", lambda: show(ShortcutSheet(self.shortcuts(), window)), "F1", "?")
        self._add(self.help, "Show &Log", lambda: show(LogDialog(window)))
        document.changed.connect(self._show)
        self._show(None, document.project)

    def _add(self, menu: QMenu, label: str, act: Callable[[], object], *keys: str | QKeySequence) -> QAction:
        action = menu.addAction(label)
        action.setShortcuts([QKeySequence(key) for key in keys if key])
        action.triggered.connect(lambda checked=False: act())
        return action

    def _check(self, menu: QMenu, label: str, act: Callable[[], object], *keys: str) -> QAction:
        action = self._add(menu, label, act, *keys)
        action.setCheckable(True)
        return action

    def _fill_file(self, exports: Sequence[Row], open_another: Callable[[], object]) -> None:
        menu, session = self.file, self._session
        self._add(menu, "Open &File…", session.ask_file, "Ctrl+O")
        self._add(menu, "Open F&older…", session.ask_folder, "Ctrl+Shift+O")
        self._add(menu, "Open Folder with Other &Maps…", session.ask_folder_of_maps)
        self._add(menu, "Open Folder with &Grown Hair…", lambda: session.ask_folder(Opening(grow_hair=True)))
        self.recent = menu.addMenu("Open &Recent")
        self.recent.aboutToShow.connect(self._fill_recent)
        self._add(menu, "&New Built-in Person", session.open_next_person, "Ctrl+N")
        self._add(menu, "New &Window", open_another, "Ctrl+Shift+N")
        menu.addSeparator()
        self._add(menu, "&Save Project", session.save, "Ctrl+S")
        self._add(menu, "Save Project &As…", session.save_as, "Ctrl+Shift+S")
        menu.addSeparator()
        for row in exports:
            self._add(menu, *row)
        menu.addSeparator()
        self._add(menu, "&Quit", self._window.close, "Ctrl+Q")

    def _fill_edit(self) -> None:
        self.undo = self._add(self.edit, "Undo", self._document.undo, "Ctrl+Z")
        self.redo = self._add(self.edit, "Redo", self._document.redo, "Ctrl+Shift+Z", "Ctrl+Y")
        self.edit.addSeparator()
        self._add(self.edit, "Reset All Expressions", self._document.reset_weights, "Ctrl+R")

    def _fill_view(self, reset_layout: Callable[[], object]) -> None:
        menu, viewport = self.view, self._viewport
        for name in orbit.VIEWS_RAD:
            label = f"{name} view"
            self._add(menu, label, lambda name=name: self._look(name), *_VIEW_KEYS[name])
        menu.addSeparator()
        channels = menu.addMenu("&Channel")
        group = QActionGroup(self._window)
        self.channels: dict[ViewChannel, QAction] = {}
        keys = dict(zip(ViewChannel, _CHANNEL_KEYS, strict=False))
        plain = [channel for channel in ViewChannel if channel not in DIFFERENCES]
        for channel in (*plain, *DIFFERENCES):
            if channel is DIFFERENCES[0]:
                channels.addSeparator()
            key = keys.get(channel)
            action = self._check(channels, channel.value, lambda c=channel: self._show_channel(c), *(key or ()))
            group.addAction(action)
            self.channels[channel] = action
        self.flat = self._check(menu, "&UV View", lambda: self._toggle("uv_view"), "U")
        self.wireframe = self._check(menu, "&Wireframe", lambda: self._toggle("wireframe"), "W")
        self.converging = self._check(
            menu, "&Converge When Still", lambda: viewport.set_converges(not viewport.converges), "C"
        )
        menu.aboutToShow.connect(lambda: self.converging.setChecked(viewport.converges))
        menu.addSeparator()
        panels = menu.addMenu("&Panels")
        for dock in self._docks:
            panels.addAction(dock.toggleViewAction())
        panels.addSeparator()
        for section in self._column.sections:
            action = self._check(panels, section.title, lambda section=section: self._toggle_section(section))
            action.setChecked(not section.is_folded)
            section.folded.connect(lambda away, action=action: action.setChecked(not away))
        self._add(menu, "Reset &Layout", reset_layout)
        self._add(menu, "Full Screen", self._toggle_full_screen, "F11")

    def _show(self, old: Project | None, new: Project) -> None:
        for action, verb, label in (
            (self.undo, "Undo", self._document.undo_label),
            (self.redo, "Redo", self._document.redo_label),
        ):
            action.setEnabled(label is not None)
            action.setText(f"{verb} {label}" if label else verb)
        self.channels[new.scene.view.channel].setChecked(True)
        self.wireframe.setChecked(new.scene.view.wireframe)
        self.flat.setChecked(new.scene.view.uv_view)

    def _fill_recent(self) -> None:
        self.recent.clear()
        for path in self._session.recent():
            action = self.recent.addAction(printable(path).replace("&", "&&"))
            action.triggered.connect(lambda checked=False, path=path: self._session.open_path(path))
        if self.recent.isEmpty():
            self.recent.addAction("Nothing yet").setEnabled(False)

    def _look(self, name: str) -> None:
        self._document.look(camera=orbit.view(self._document.project, name))

    def _show_channel(self, channel: ViewChannel) -> None:
        self._document.look(view=with_channel(self._document.project.scene, channel).view)

    def _toggle(self, name: str) -> None:
        """Switch a field of the view over."""
        self._document.look(**{name: not getattr(self._document.project.scene.view, name)})

    def _toggle_full_screen(self) -> None:
        window = self._window
        window.showNormal() if window.isFullScreen() else window.showFullScreen()

    def _toggle_section(self, section: Section) -> None:
        """Fold it, or bring it into view."""
        column, dock = self._column, self._docks[1]
        if dock.isVisible() and not section.is_folded:
            section.fold(True)
        else:
            dock.show()
            column.show_section(section)

    def shortcuts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """(menu, [(keys, meaning)]) of every action that has a key."""

        def rows(menu: QMenu) -> list[tuple[str, str]]:
            keyed: list[tuple[str, str]] = []
            for action in menu.actions():
                inner = action.menu()
                if isinstance(inner, QMenu):
                    keyed += rows(inner)
                elif action.shortcuts():
                    meaning = action.text().replace("&", "").rstrip("…")
                    keyed.append((key_text(action.shortcuts()), meaning))
            return keyed

        return [(menu.title().replace("&", ""), rows(menu)) for menu in (self.file, self.edit, self.view, self.help)]
