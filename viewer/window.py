"""The main window: viewport in the middle, docks around it, and what opens, saves and exports."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QObject, QPoint, QSettings, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QDialog, QDockWidget, QFileDialog, QLabel, QMainWindow, QScrollArea, QWidget

from engine.io.jreflectance import unfinished_note
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.map_names import images_of
from engine.io.open import mesh_with_maps
from engine.mesh import Part
from engine.project import Project
from viewer import dialogs, files
from viewer.compare import Comparison
from viewer.document import Document
from viewer.generation import Generation, Generator
from viewer.jobs import JobRunner
from viewer.menus import Menus
from viewer.notify import Notifier, describe
from viewer.overlays import ColorBar, WipeLine
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.panels.light import LightPanel
from viewer.panels.look import LookPanel
from viewer.panels.stage import StagePanel
from viewer.video import KINDS, VideoDialog, VideoExport
from viewer.viewport import Viewport

APPLICATION = "ExpDiff Studio"
RECENT = 10
PICTURE_KINDS = "PNG (*.png);;OpenEXR with every layer (*.exr)"
LAYOUT_VERSION = 1
FILL = "make_others"
"""Setting: make the other expressions too, once one was asked for."""


class PanelScroll(QScrollArea):
    """Holds a panel: as large as the panel likes, scrolling where the screen is too small."""

    grown = Signal()
    """A panel that is kept tight asks for another height."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__()
        self._panel, self._tight = panel, False
        self.setWidget(panel)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(panel.minimumWidth())

    def keep_tight(self) -> None:
        """Be no higher than the panel asks for, from now on."""
        self._tight = True
        self.setMaximumHeight(self._panel.sizeHint().height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow a panel whose rows come and go (a scroll area already watches its widget)."""
        if self._tight and watched is self._panel and event.type() == QEvent.Type.LayoutRequest:
            wanted = self._panel.sizeHint().height()
            if wanted != self.maximumHeight():
                self.setMaximumHeight(wanted)
                self.grown.emit()
        return super().eventFilter(watched, event)

    def sizeHint(self) -> QSize:
        """What the panel asks for."""
        return self._panel.sizeHint()


class MainWindow(QMainWindow):
    """Owns the document, the two job threads (model, files), the viewport and the panels."""

    def __init__(
        self,
        project: Project,
        settings: QSettings,
        generator: Generator,
        path: str | None = None,
        ask: dialogs.Ask = dialogs.ask_unsaved,
        finder: Generator | None = None,
        windows: list[MainWindow] | None = None,
    ) -> None:
        super().__init__()
        self.settings, self._ask = settings, ask
        self._generator, self._finder = generator, finder
        self.windows = [] if windows is None else windows
        """All windows of the process, this one too; those opened from another leave when they are closed."""
        self.windows.append(self)
        self.document = Document(project, path if path and path.endswith(files.PROJECT_SUFFIX) else None)
        self.jobs, self.file_jobs = JobRunner(self), JobRunner(self)
        self.generation = Generation(self.document, self.jobs, generator, finder, self)
        self.comparison = Comparison(self)
        self.viewport = Viewport(self.document, self.comparison, self)
        self.setCentralWidget(self.viewport)
        self.color_bar, self.wipe = ColorBar(self.viewport), WipeLine(self.viewport)
        self.left_color_bar = ColorBar(self.viewport, left=True)
        self.notifier = Notifier(self.viewport)
        self.light, self.stage = LightPanel(self.document), StagePanel(self.document)
        self.look = LookPanel(self.document, self.comparison)
        self._docks: list[QDockWidget] = []
        expressions = ExpressionsPanel(self.document, self.generation)
        self._dock("Expressions", expressions, Qt.DockWidgetArea.LeftDockWidgetArea)
        generate = GeneratePanel(self.document, self.generation)
        generate.fill.edited.connect(lambda on: settings.setValue(FILL, on))
        for title, panel in (
            ("Generate", generate),
            ("Light", self.light),
            ("Light Stage", self.stage),
            ("View", self.look),
        ):
            self._dock(title, PanelScroll(panel), Qt.DockWidgetArea.RightDockWidgetArea)
        for dock in self.docks()[1:-1]:  # the last one takes the height that is left
            scroll = dock.widget()
            assert isinstance(scroll, PanelScroll)
            scroll.keep_tight()
            scroll.grown.connect(self._give_room)
        light, stage = self.docks()[2:4]
        self.tabifyDockWidget(light, stage)
        light.raise_()
        self.facts = QLabel(self)
        self.facts.setContentsMargins(0, 0, 10, 0)
        self.video = VideoExport(self)
        self.statusBar().addPermanentWidget(self.video)
        self.statusBar().addPermanentWidget(self.facts)
        self.statusBar().setSizeGripEnabled(False)
        self.menus = Menus(self)
        self.setAcceptDrops(True)
        self._closed = False
        self._opening = ""
        self._connect()
        self._show_project(None, self.document.project)
        self._restore()

    # Building

    def _dock(self, title: str, panel: QWidget, area: Qt.DockWidgetArea) -> None:
        dock = QDockWidget(title, self)
        dock.setObjectName(title)
        dock.setWidget(panel)
        self.addDockWidget(area, dock)
        self._docks.append(dock)

    def _give_room(self) -> None:
        """As much height as the panels ask for."""
        docks = list(self.docks()[1:])
        self.resizeDocks(docks, [dock.sizeHint().height() for dock in docks], Qt.Orientation.Vertical)

    def docks(self) -> tuple[QDockWidget, ...]:
        """The docks in the order they were added (that of Qt's children changes when one is raised)."""
        return tuple(self._docks)

    def _connect(self) -> None:
        self.document.changed.connect(self._show_project)
        self.generation.failed.connect(self.notifier.error)
        self.generation.previewed.connect(self.viewport.set_preview)
        self.viewport.failed.connect(lambda error: self.notifier.error(describe(error)))
        self.viewport.told.connect(self.notifier.info)
        self.viewport.resized.connect(self.notifier.place)
        # the first picture before anything else
        self.viewport.painted.connect(self.generation.look_on_disk, Qt.ConnectionType.SingleShotConnection)
        self.file_jobs.stepped.connect(lambda number, step: self.statusBar().showMessage(step.label))
        self.file_jobs.failed.connect(self._file_failed)
        self.file_jobs.finished.connect(self._file_finished)
        self.video.told.connect(self.notifier.info)
        self.video.failed.connect(lambda error: self.notifier.error(describe(error)))

    def _restore(self) -> None:
        self.generation.fill(bool(self.settings.value(FILL, True, type=bool)))
        self.resize(1280, 900)
        geometry, state = self.settings.value("geometry"), self.settings.value("state")
        if geometry is not None:
            self.restoreGeometry(geometry)
        if state is not None:
            self.restoreState(state, LAYOUT_VERSION)

    def _show_project(self, old: Project | None, new: Project) -> None:
        self.setWindowTitle(f"{new.identity.name}[*] – {APPLICATION}")
        self.setWindowModified(self.document.modified)
        if old is None or old.identity is not new.identity or old.expressions is not new.expressions:
            self.facts.setText(facts(new))

    def open_another(self) -> MainWindow:
        """Show what this window shows in a window of its own, which goes its own way from there."""
        project, windows = self.document.project, self.windows
        path = None if self.document.modified else self.document.path
        other = MainWindow(project, self.settings, self._generator, path, self._ask, self._finder, windows)
        other.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        other.destroyed.connect(lambda: windows.remove(other))
        other.move(self.pos() + QPoint(40, 40))
        other.show()
        return other

    # Opening and saving

    def open_path(
        self, path: str, conventions: MapConventions = PUBLISHED, maps: Mapping[str, str] | None = None
    ) -> None:
        """Open what `open_project` takes beside the GUI thread; a failure leaves what is open."""
        if self.may_discard():
            self._opening = path
            self.file_jobs.start(files.opening(path, conventions, maps))

    def ask_maps(self, path: str) -> None:
        """Ask which file in the folder `path` is which map and how they are to be read, and open it so."""
        mesh = mesh_with_maps(Path(path))
        dialog = dialogs.MapsDialog(images_of(Path(path)) if mesh else (), self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            self.open_path(path, dialog.conventions, dialog.maps)
        dialog.deleteLater()

    def _file_finished(self, number: int, result: object) -> None:
        if isinstance(result, Project):
            path = self._opening
            self.document.open(result, os.path.abspath(path) if path.endswith(files.PROJECT_SUFFIX) else None)
            self.remember(path)
            self.notifier.hide()  # what it said was of the head before
            self.statusBar().showMessage(f"Opened {files.shown(path)}")
            if note := unfinished_note(Path(path)):
                self.notifier.error(f"{files.shown(path)}: {note}")
        else:
            self.notifier.info(f"Wrote {result}")

    def _file_failed(self, number: int, error: Exception) -> None:
        self.statusBar().clearMessage()
        self.notifier.error(describe(error))

    def remember(self, path: str) -> None:
        """Put `path` on top of the recent files."""
        path = path if path.startswith("builtin") else os.path.abspath(path)
        self.settings.setValue("recent", [path, *(each for each in self.recent() if each != path)][:RECENT])

    def recent(self) -> list[str]:
        """Recent paths, newest first."""
        value = self.settings.value("recent")  # QSettings gives a list of one back as its item
        return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []

    def save(self) -> bool:
        """Save where it was saved before, or ask where. Was it saved?"""
        return self.save_to(self.document.path) if self.document.path else self.save_as()

    def save_as(self) -> bool:
        """Ask where to save. Was it saved?"""
        name = self.document.path or self.document.project.identity.name + files.PROJECT_SUFFIX
        path, _ = QFileDialog.getSaveFileName(self, "Save project", name, f"Project (*{files.PROJECT_SUFFIX})")
        return bool(path) and self.save_to(path)

    def save_to(self, path: str) -> bool:
        """Save the project at `path`; a failure is told and loses nothing."""
        try:
            path = files.save(self.document.project, path)
        except Exception as error:
            self.notifier.error(describe(error))
            return False
        self.document.mark_saved(self.document.project, path)
        self.remember(path)
        self.statusBar().showMessage(f"Saved {files.shown(path)}")
        return True

    def may_discard(self) -> bool:
        """True when nothing unsaved would be lost, or the user lets it go."""
        if not self.document.modified:
            return True
        answer = self._ask(self, self.document.project.identity.name)
        return self.save() if answer is dialogs.Answer.SAVE else answer is dialogs.Answer.DISCARD

    # Exports

    def export_glb_to(self, path: str) -> None:
        """Write a GLB beside the GUI thread."""
        self.file_jobs.start(files.exporting_glb(self.document.project, path))

    def export_folder_to(self, folder: str) -> None:
        """Write a J-Reflectance person folder beside the GUI thread."""
        self.file_jobs.start(files.exporting_folder(self.document.project, folder))

    def save_picture(self, path: str, settings: dialogs.PictureSettings) -> None:
        """Draw what the viewport shows at the chosen size, both sides of a comparison too, and write it as a PNG, or
        with all its layers as an OpenEXR file."""
        if Path(path).suffix.casefold() == ".exr":
            job = files.saving_layers(self.viewport.layers(settings.width, settings.height), path)
        else:
            image = self.viewport.picture(settings.width, settings.height, transparent=settings.transparent)
            for bar in (self.left_color_bar, self.color_bar):
                image = bar.painted_on(image)
            job = files.saving_picture(image, path)
        self.file_jobs.start(job)

    def ask_screenshot(self) -> None:
        """Ask for size, then for the file."""
        dialog = dialogs.ScreenshotDialog(self.viewport.pixel_size(), self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            name = self.document.project.identity.name + ".png"
            path, _ = QFileDialog.getSaveFileName(self, "Save screenshot", name, PICTURE_KINDS)
            if path:
                self.save_picture(path, dialog.settings)
        dialog.deleteLater()

    def ask_video(self) -> None:
        """Ask what shall move, then for the file or folder."""
        project = self.document.project
        dialog = VideoDialog(project, self)
        if dialog.exec() == QDialog.DialogCode.Accepted:
            path, _ = QFileDialog.getSaveFileName(self, "Export video", project.identity.name + ".mp4", KINDS)
            if path:
                self.video.start(project, dialog.settings, path)
        dialog.deleteLater()

    # Events

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders may be dropped."""
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped; an environment image lights the head instead."""
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if paths and paths[0].casefold().endswith(files.IMAGE_SUFFIXES):
            self.light.use_file(paths[0])
        elif paths:
            self.open_path(paths[0])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about unsaved changes; then stop the jobs, wait for them, and release OpenGL."""
        if not self._closed and not self.may_discard():
            event.ignore()
            return
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("state", self.saveState(LAYOUT_VERSION))
        self.hide()  # a step of the sampler may take seconds to end
        self.finish()
        event.accept()

    def finish(self) -> None:
        """Stop the jobs, wait for them, and release OpenGL with its context current. May be called twice."""
        if not self._closed:
            self._closed = True
            self.stage.stop()
            self.jobs.close()
            self.file_jobs.close()
            self.video.jobs.close()
            self.viewport.release()

    def reset_weights(self) -> None:
        """Back to the neutral face."""
        if self.document.project.weights:
            self.document.edit("Reset all expressions", weights={})

    def set_scene(self, label: str, **changes: object) -> None:
        """Edit fields of the scene."""
        self.document.edit(label, scene=replace(self.document.project.scene, **changes))  # type: ignore[arg-type]


def facts(project: Project) -> str:
    """One line about the head: size of mesh and maps, what was completed, licence."""
    identity, topology = project.identity, project.identity.topology
    drawn = len(topology.faces) - len(topology.faces_of(Part.OVERLAY))
    height, width = identity.maps.size
    completed = sorted({"diffuse", "specular", "roughness", "normal"} - identity.known_maps)
    parts = [f"{topology.vertex_count:,} vertices", f"{drawn:,} triangles", f"maps {width} × {height}"]
    parts += [f"completed: {', '.join(completed)}"] if completed else []
    parts += [f"{len(project.expressions.names)} expressions"]
    return "   ·   ".join(parts)
