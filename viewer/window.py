"""The main window: viewport in the middle, docks around it, exports, and how it closes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from PySide6.QtCore import QByteArray, QDateTime, QPoint, QSettings, QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QLabel, QMainWindow

from engine.channels import MAP_NAMES
from engine.export import export_glb, save_layers, save_screenshot
from engine.io.drafts import Draft
from engine.jobs import Job, Lane, State, Step
from engine.mesh import Part
from engine.project import Project
from viewer import dialogs, files
from viewer.compare import Comparison
from viewer.document import Document
from viewer.generation import Generation, Work
from viewer.job_bar import JobBar
from viewer.jobs import Jobs
from viewer.menus import Menus
from viewer.notify import Notifier, describe
from viewer.overlays import ColorBar, WipeLine
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.panels.light import LightPanel
from viewer.panels.look import LookPanel
from viewer.panels.stage import StagePanel
from viewer.session import Session
from viewer.video import KINDS, VideoDialog, VideoSettings
from viewer.viewport import Viewport
from viewer.widgets.column import Column, Dock, Section

APPLICATION = "ExpDiff Studio"
PICTURE_KINDS = "PNG (*.png);;OpenEXR with every layer (*.exr)"
LAYOUT_VERSION = 2
DOCK_AREAS = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
FOLDED = ("Light Stage",)
"""Sections that a fresh installation folds away."""
FRAME = QSize(16, 48)
"""Room on the screen for the frame of the window."""
LARGEST = QSize(1920, 1200)
"""Of the window at first, on a large screen."""
WIDE, DOCK_WIDTHS = 1200, (350, 320)
"""Width of a window that has room for docks wider than the least, and how wide they are there."""
FILL = "make_others"
"""Setting: make the other expressions too, once one was asked for."""


class MainWindow(QMainWindow):
    """Owns the document, the job queue, the viewport and the panels."""

    def __init__(
        self,
        project: Project,
        settings: QSettings,
        generator: Work,
        path: str | None = None,
        ask: dialogs.Ask = dialogs.ask_unsaved,
        finder: Work | None = None,
        windows: list[MainWindow] | None = None,
        ask_unfinished: dialogs.AskUnfinished = dialogs.ask_unfinished,
        new_draft: Callable[[], Draft] | None = None,
    ) -> None:
        super().__init__()
        self.settings, self._ask_unfinished = settings, ask_unfinished
        self._generator, self._finder = generator, finder
        self.windows = [] if windows is None else windows
        """All windows of the process, this one too; those opened from another leave when they are closed."""
        self.windows.append(self)
        self.document = Document(project, path if path and path.endswith(files.PROJECT_SUFFIX) else None)
        self.jobs = Jobs(self)
        self.generation = Generation(self.document, self.jobs, generator, finder, self)
        self.comparison = Comparison(self)
        self.viewport = Viewport(self.document, self.comparison, self)
        self.setCentralWidget(self.viewport)
        self.color_bar, self.wipe = ColorBar(self.viewport), WipeLine(self.viewport)
        self.left_color_bar = ColorBar(self.viewport, left=True)
        self.notifier = Notifier(self.viewport)
        self.session = Session(self.document, self.jobs, settings, ask, new_draft, self.notifier, self)
        self.light, self.stage = LightPanel(self.document), StagePanel(self.document)
        self.look = LookPanel(self.document, self.comparison)
        generate = GeneratePanel(self.document, self.generation)
        generate.fill.edited.connect(lambda on: settings.setValue(FILL, on))
        panels = {"Generate": generate, "Light": self.light, "Light Stage": self.stage, "View": self.look}
        self.column = Column([Section(title, panel) for title, panel in panels.items()])
        self._docks = {
            Dock("Expressions", ExpressionsPanel(self.document, self.generation), self): DOCK_AREAS[0],
            Dock("Controls", self.column, self): DOCK_AREAS[1],
        }
        self.facts = QLabel(self)
        self.facts.setContentsMargins(0, 0, 10, 0)
        self.job_bar = JobBar(self.jobs, self)
        bar = self.statusBar()
        bar.addPermanentWidget(self.job_bar)
        bar.addPermanentWidget(self.facts)
        bar.setSizeGripEnabled(False)
        bar.setFixedHeight(self.job_bar.sizeHint().height() + 6)  # the picture stays as it is, jobs or none
        parts = self.document, self.session, self.viewport, self.column, self.docks()
        exports = (
            ("S&creenshot…", self._ask_screenshot, "Ctrl+P"),
            ("Export &Video…", self._ask_video, "Ctrl+Shift+P"),
            ("Export &GLB…", self._ask_glb, "Ctrl+E"),
            ("Export &J-Reflectance Folder…", self._ask_folder, "Ctrl+Shift+E"),
        )
        self.menus = Menus(self, *parts, exports, self.open_another, self.reset_layout)
        self.setAcceptDrops(True)
        self._closed = self._closes = False
        self._connect()
        self._show_project(None, self.document.project)
        self._restore()

    # Building

    def docks(self) -> tuple[Dock, ...]:
        """The dock of the expressions, and that of all other panels."""
        return tuple(self._docks)

    def _connect(self) -> None:
        self.document.changed.connect(self._show_project)
        self.generation.failed.connect(lambda message: self.notifier.error(message, of_head=True))
        self.generation.previewed.connect(self.viewport.set_preview)
        self.viewport.failed.connect(lambda error: self.notifier.error(describe(error), of_head=True))
        self.viewport.told.connect(self.notifier.info)
        self.viewport.resized.connect(self.notifier.place)
        # the first picture before anything else
        self.viewport.painted.connect(self.generation.look_on_disk, Qt.ConnectionType.SingleShotConnection)
        self.jobs.changed.connect(self._job_changed)

    def _restore(self) -> None:
        self.generation.fill(bool(self.settings.value(FILL, True, type=bool)))
        self.reset_layout()
        geometry, state, folded = (self.settings.value(name) for name in ("geometry", "state", "folded"))
        if isinstance(geometry, QByteArray):
            self.restoreGeometry(geometry)  # back on a screen, where that one is gone
        if isinstance(state, QByteArray):
            self.restoreState(state, LAYOUT_VERSION)
        if isinstance(folded, str):
            self._fold(folded.split(","))

    def reset_layout(self) -> None:
        """Every panel where it is in a fresh installation, in a window that fits its screen."""
        for dock, area in self._docks.items():
            dock.setFloating(False)
            self.addDockWidget(area, dock)
            dock.show()
        self._fold(FOLDED)
        if not self.windowState() & (Qt.WindowState.WindowMaximized | Qt.WindowState.WindowFullScreen):
            screen = self.screen().availableGeometry()
            self.resize((screen.size() - FRAME).boundedTo(LARGEST))
            self.move(screen.center() - self.rect().center())
        widths = DOCK_WIDTHS if self.width() >= WIDE else [dock.minimumSizeHint().width() for dock in self._docks]
        self.resizeDocks(list(self._docks), widths, Qt.Orientation.Horizontal)

    def _fold(self, titles: Iterable[str]) -> None:
        for section in self.column.sections:
            section.fold(section.title in titles)

    def _show_project(self, old: Project | None, new: Project) -> None:
        name = new.identity.name.replace("[*]", "[*][*]")  # Qt's mark for an unsaved change, and how it is escaped
        self.setWindowTitle(f"{name}[*] – {APPLICATION}")
        self.setWindowModified(self.document.modified)
        if old is None or old.identity is not new.identity or old.expressions is not new.expressions:
            self.facts.setText(facts(new))
        if old is not None and old.identity is not new.identity:
            self.comparison.forget()

    def open_another(self) -> MainWindow:
        """Show what this window shows in a window of its own, which goes its own way from there."""
        project, windows = self.document.project, self.windows
        path = None if self.document.modified else self.document.path
        same = self.session.ask, self._finder, windows, self._ask_unfinished, self.session.autosave.new_draft
        other = MainWindow(project, self.settings, self._generator, path, *same)
        other.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        other.destroyed.connect(lambda: windows.remove(other))
        other.move(self.pos() + QPoint(40, 40))
        other.show()
        return other

    def offer_left_over(self, drafts: Sequence[Draft]) -> None:
        """Ask what to do with unsaved work of windows that ended without asking; the first is recovered in this window,
        the others in windows of their own."""
        if not drafts:
            return
        answer = dialogs.ask_left_over(self, [_described(draft) for draft in drafts])
        for number, draft in enumerate(drafts):
            if answer is dialogs.LeftOver.RECOVER:
                (self.open_another() if number else self).session.recover(draft)
            elif answer is dialogs.LeftOver.DISCARD:
                draft.remove()
            else:
                draft.release()

    def _job_changed(self, job: Job) -> None:
        """Tell how a file ended, a saved one only where it failed; of all else `generation` and `session` tell."""
        if job.state is State.FAILED and not job.idle and job.lane is not Lane.DRAFT:
            self._closes = False  # the person is to read why
        if job.over and job.lane in (Lane.FILES, Lane.VIDEO):
            self._writing_over(job)
        if self._closes and not self._unfinished():
            self.close()

    def _writing_over(self, job: Job) -> None:
        if job.error is not None:
            self.notifier.error(describe(job.error))
        elif job.state is State.CANCELLED:
            self.notifier.info(f"Cancelled: {job.label}")
        elif job.state is State.DONE and job.request is None:
            self.notifier.info(f"Wrote {job.result}")

    # Exports

    def _write(self, path: str, work: Iterator[Step], lane: Lane = Lane.FILES) -> None:
        self.jobs.add(lane, f"Writing {files.shown(path)}", lambda: work)

    def export_glb_to(self, path: str) -> None:
        """Write a GLB of the project as it is now beside the GUI thread, after what is being written."""
        self._write(path, files.writing(export_glb, self.document.project, path))

    def export_folder_to(self, folder: str) -> None:
        """Write a J-Reflectance person folder of the project as it is now, as `export_glb_to`."""
        self._write(folder, files.exporting_folder(self.document.project, folder))

    def export_video_to(self, path: str, settings: VideoSettings) -> None:
        """Write a film of the project as it is now, beside the GUI thread and other files, after films before it."""
        self._write(
            path, files.exporting_video(self.document.project, settings.motion, settings.size, path), Lane.VIDEO
        )

    def save_picture(self, path: str, settings: dialogs.PictureSettings) -> None:
        """Draw what the viewport shows at the chosen size, both sides of a comparison too, and write it as a PNG, or
        with all its layers as an OpenEXR file."""
        if Path(path).suffix.casefold() == ".exr":
            self._write(path, files.writing(save_layers, self.viewport.layers(settings.width, settings.height), path))
        else:
            image = self.viewport.picture(settings.width, settings.height, transparent=settings.transparent)
            for bar in (self.left_color_bar, self.color_bar):
                image = bar.painted_on(image)
            self._write(path, files.writing(save_screenshot, image, path))

    def _ask_screenshot(self) -> None:
        """Ask for size, then for the file."""
        settings = dialogs.show(dialogs.ScreenshotDialog(self.viewport.pixel_size(), self))
        if settings and (path := self._ask_file("Save screenshot", ".png", PICTURE_KINDS)):
            self.save_picture(path, settings)

    def _ask_video(self) -> None:
        """Ask what shall move, then for the file or folder."""
        settings = dialogs.show(VideoDialog(self.document.project, self))
        if settings and (path := self._ask_file("Export video", ".mp4", KINDS)):
            self.export_video_to(path, settings)

    def _ask_glb(self) -> None:
        if path := self._ask_file("Export GLB", ".glb", "glTF binary (*.glb)"):
            self.export_glb_to(path)

    def _ask_folder(self) -> None:
        if path := QFileDialog.getExistingDirectory(self, "Folder to write the person to"):
            self.export_folder_to(path)

    def _ask_file(self, title: str, suffix: str, kinds: str) -> str:
        """Where to write what is named after the head; empty where nobody says."""
        return dialogs.ask_file_to_write(self, title, self.document.project.identity.name + suffix, kinds)

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
            self.session.open_path(paths[0])

    def closeEvent(self, event: QCloseEvent) -> None:
        """Ask about unfinished work and unsaved changes; then stop the jobs, wait for them, and release OpenGL."""
        if not self._closed and not (self._may_end_jobs() and self.session.may_discard(self.close)):
            if self._closes or self.session.then is not None:
                self.statusBar().showMessage("Closes when this is done")
            event.ignore()
            return
        self.settings.setValue("geometry", self.saveGeometry())
        self.settings.setValue("state", self.saveState(LAYOUT_VERSION))
        self.settings.setValue("folded", ",".join(each.title for each in self.column.sections if each.is_folded))
        self.hide()  # a step of the sampler may take seconds to end
        self.finish(asked=True)
        event.accept()

    def _unfinished(self) -> list[str]:
        """What would be lost if the jobs ended now: files, and expressions that were asked for, for people."""
        jobs = self.jobs.waiting(Lane.FILES, Lane.VIDEO)
        return [job.label for job in jobs] + [f"Making {name}" for name in self.generation.asked]

    def _may_end_jobs(self) -> bool:
        """True when no work would be lost, or the person lets it go; closes later where they let it finish."""
        self._closes = False
        if not (labels := self._unfinished()):
            return True
        answer = self._ask_unfinished(self, labels)
        self._closes = answer is dialogs.Unfinished.FINISH
        if self._closes and not self._unfinished():
            return True  # it ended while the question stood
        if answer is dialogs.Unfinished.CANCEL:
            self.generation.cancel()
            for job in self.jobs.waiting(Lane.FILES, Lane.VIDEO):
                self.jobs.cancel(job.number)
        return answer is dialogs.Unfinished.CANCEL

    def finish(self, *, asked: bool = False) -> None:
        """Stop the jobs, wait for them, and release OpenGL with its context current. Unsaved changes are offered at the
        next start unless the person was `asked` about them. May be called twice."""
        if not self._closed:
            self._closed = True
            self.stage.stop()
            self.session.close(asked=asked)
            self.viewport.release()


def _described(draft: Draft) -> str:
    name, written = draft.about()
    when = QDateTime.fromSecsSinceEpoch(int(written)).toString("d MMMM yyyy, HH:mm:ss")
    return f"{name} ({when})"


def facts(project: Project) -> str:
    """One line about the head: size of mesh and maps, what was completed, licence."""
    identity, topology = project.identity, project.identity.topology
    drawn = len(topology.faces) - len(topology.faces_of(Part.OVERLAY))
    height, width = identity.maps.size
    completed = sorted(set(MAP_NAMES) - identity.known_maps)
    parts = [f"{topology.vertex_count:,} vertices", f"{drawn:,} triangles", f"maps {width} × {height}"]
    parts += [f"completed: {', '.join(completed)}"] if completed else []
    parts += [f"{len(project.expressions.names)} expressions"]
    return "   ·   ".join(parts)
