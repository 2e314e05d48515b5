"""The menu bar: every action with its key; the shortcut sheet is read off it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QFileDialog, QMenu

from engine.checks import printable
from engine.project import Project
from engine.scene import DIFFERENCES, ViewChannel, with_channel
from viewer import files, orbit
from viewer.dialogs import ShortcutSheet, ask_file_to_write, key_text
from viewer.widgets.column import Section

if TYPE_CHECKING:
    from viewer.window import MainWindow

_VIEW_KEYS = {"Front": ("F", "Home"), "Three-quarter": ("T",), "Left": ("L",), "Right": ("R",)}
_CHANNEL_KEYS = "1234567890-"
"""Of the first channels; the others have none."""


class Menus:
    """Fills the window's menu bar and keeps its checks, labels and recent files true."""

    def __init__(self, window: MainWindow) -> None:
        self._window, self._document = window, window.document
        bar = window.menuBar()
        self.file, self.edit = bar.addMenu("&File"), bar.addMenu("&Edit")
        self.view, self.help = bar.addMenu("&View"), bar.addMenu("&Help")
        self._fill_file()
        self._fill_edit()
        self._fill_view()
        self._add(self.help, "Shortcuts", self.show_sheet, "F1", "?")
        self._add(self.help, "Show &Log", window.show_log)
        self._document.changed.connect(self._show)
        self._show(None, self._document.project)

    def _add(self, menu: QMenu, label: str, act: Callable[[], object], *keys: str | QKeySequence) -> QAction:
        action = menu.addAction(label)
        action.setShortcuts([QKeySequence(key) for key in keys])
        action.triggered.connect(lambda checked=False: act())
        return action

    def _fill_file(self) -> None:
        window, menu = self._window, self.file
        self._add(menu, "Open &File…", self._ask_file, "Ctrl+O")
        self._add(menu, "Open F&older…", self._ask_folder, "Ctrl+Shift+O")
        self._add(menu, "Open Folder with Other &Maps…", self._ask_folder_of_maps)
        self.recent = menu.addMenu("Open &Recent")
        self.recent.aboutToShow.connect(self._fill_recent)
        self._add(menu, "&New Built-in Person", self._new_person, "Ctrl+N")
        self._add(menu, "New &Window", window.open_another, "Ctrl+Shift+N")
        menu.addSeparator()
        self._add(menu, "&Save Project", window.session.save, "Ctrl+S")
        self._add(menu, "Save Project &As…", window.session.save_as, "Ctrl+Shift+S")
        menu.addSeparator()
        self._add(menu, "S&creenshot…", window.ask_screenshot, "Ctrl+P")
        self._add(menu, "Export &Video…", window.ask_video, "Ctrl+Shift+P")
        self._add(menu, "Export &GLB…", self._ask_glb, "Ctrl+E")
        self._add(menu, "Export &J-Reflectance Folder…", self._ask_export_folder, "Ctrl+Shift+E")
        menu.addSeparator()
        self._add(menu, "&Quit", window.close, "Ctrl+Q")

    def _fill_edit(self) -> None:
        self.undo = self._add(self.edit, "Undo", self._document.undo, "Ctrl+Z")
        self.redo = self._add(self.edit, "Redo", self._document.redo, "Ctrl+Shift+Z", "Ctrl+Y")
        self.edit.addSeparator()
        self._add(self.edit, "Reset All Expressions", self._window.reset_weights, "Ctrl+R")

    def _fill_view(self) -> None:
        window, menu = self._window, self.view
        for name in orbit.VIEWS_RAD:
            label = f"{name} view"
            self._add(menu, label, lambda name=name: self._look(name), *_VIEW_KEYS[name])
        menu.addSeparator()
        channels = menu.addMenu("&Channel")
        group = QActionGroup(window)
        self.channels: dict[ViewChannel, QAction] = {}
        keys = dict(zip(ViewChannel, _CHANNEL_KEYS, strict=False))
        plain = [channel for channel in ViewChannel if channel not in DIFFERENCES]
        for channel in (*plain, *DIFFERENCES):
            if channel is DIFFERENCES[0]:
                channels.addSeparator()
            key = keys.get(channel)
            action = self._add(channels, channel.value, lambda c=channel: self._show_channel(c), *(key or ()))
            action.setCheckable(True)
            group.addAction(action)
            self.channels[channel] = action
        self.flat = self._add(menu, "&UV View", self._toggle_flat, "U")
        self.flat.setCheckable(True)
        self.wireframe = self._add(menu, "&Wireframe", self._toggle_wireframe, "W")
        self.wireframe.setCheckable(True)
        self.converging = self._add(menu, "&Converge When Still", self._toggle_converging, "C")
        self.converging.setCheckable(True)
        menu.aboutToShow.connect(lambda: self.converging.setChecked(window.viewport.converges))
        menu.addSeparator()
        panels = menu.addMenu("&Panels")
        for dock in window.docks():
            panels.addAction(dock.toggleViewAction())
        panels.addSeparator()
        for section in window.column.sections:
            action = self._add(panels, section.title, lambda section=section: self._toggle_section(section))
            action.setCheckable(True)
            action.setChecked(not section.is_folded)
            section.folded.connect(lambda away, action=action: action.setChecked(not away))
        self._add(menu, "Reset &Layout", window.reset_layout)
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
        for path in self._window.session.recent():
            action = self.recent.addAction(printable(path).replace("&", "&&"))
            action.triggered.connect(lambda checked=False, path=path: self._window.session.open_path(path))
        if self.recent.isEmpty():
            self.recent.addAction("Nothing yet").setEnabled(False)

    def _look(self, name: str) -> None:
        self._document.look(camera=orbit.view(self._document.project, name))

    def _show_channel(self, channel: ViewChannel) -> None:
        self._document.look(view=with_channel(self._document.project.scene, channel).view)

    def _toggle_flat(self) -> None:
        self._document.look(uv_view=not self._document.project.scene.view.uv_view)

    def _toggle_converging(self) -> None:
        self._window.viewport.set_converges(not self._window.viewport.converges)

    def _toggle_wireframe(self) -> None:
        self._document.look(wireframe=not self._document.project.scene.view.wireframe)

    def _toggle_full_screen(self) -> None:
        window = self._window
        window.showNormal() if window.isFullScreen() else window.showFullScreen()

    def _toggle_section(self, section: Section) -> None:
        """Fold it, or bring it into view."""
        column, dock = self._window.column, self._window.docks()[1]
        if dock.isVisible() and not section.is_folded:
            section.fold(True)
        else:
            dock.show()
            column.show_section(section)

    def _new_person(self) -> None:
        """The built-in head after the one that was opened last."""
        last = str(self._window.settings.value("person", 0))
        seed = int(last) + 1 if last.isdecimal() else 1
        self._window.settings.setValue("person", seed)
        self._window.session.open_path(f"builtin:{seed}")

    def _ask_file(self) -> None:
        kinds = f"Heads and projects (*{files.PROJECT_SUFFIX} *.obj *.json);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self._window, "Open", "", kinds)
        if path:
            self._window.session.open_path(path)

    def _ask_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self._window, "Open a head's folder")
        if path:
            self._window.session.open_path(path)

    def _ask_folder_of_maps(self) -> None:
        path = QFileDialog.getExistingDirectory(self._window, "Open a head's folder whose maps mean something else")
        if path:
            self._window.session.ask_maps(path)

    def _ask_glb(self) -> None:
        name = self._document.project.identity.name + ".glb"
        if path := ask_file_to_write(self._window, "Export GLB", name, "glTF binary (*.glb)"):
            self._window.export_glb_to(path)

    def _ask_export_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self._window, "Folder to write the person to")
        if path:
            self._window.export_folder_to(path)

    def show_sheet(self) -> None:
        """The shortcut sheet."""
        sheet = ShortcutSheet(self.shortcuts(), self._window)
        sheet.exec()
        sheet.deleteLater()

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
