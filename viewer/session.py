"""What is open in a window: reading it, saving it, its recovery, and the questions before any of it is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, QSettings
from PySide6.QtWidgets import QFileDialog, QMainWindow

from engine.io.drafts import Draft
from engine.io.jreflectance import unfinished_note
from engine.io.map_names import images_of
from engine.jobs import Job, Lane, State
from engine.open import AS_IT_IS, Opening, mesh_with_maps
from engine.project import Project
from viewer import dialogs, files
from viewer.autosave import Autosave
from viewer.document import Document, differ
from viewer.jobs import Jobs
from viewer.notify import Notifier, describe

RECENT = 10


@dataclass(frozen=True, eq=False, slots=True)
class _Reading:
    """What a job reads, a path or a draft, and what the document was when it was asked for."""

    path: str
    draft: Draft | None
    before: Project


@dataclass(frozen=True, eq=False, slots=True)
class _Saving:
    """What a job writes, as it was authored."""

    authored: Project


class Session(QObject):
    """Brings heads into the document and saves it, as jobs; keeps its unsaved changes in a draft."""

    def __init__(
        self,
        document: Document,
        jobs: Jobs,
        settings: QSettings,
        ask: dialogs.Ask,
        new_draft: Callable[[], Draft] | None,
        notifier: Notifier,
        window: QMainWindow,
    ) -> None:
        super().__init__(window)
        self.ask = ask
        self.autosave = Autosave(document, jobs, new_draft, self)
        self._document, self._jobs, self._settings = document, jobs, settings
        self._notifier, self._window = notifier, window
        self._opening: _Reading | None = None
        """The latest that was asked for."""
        self.then: Callable[[], object] | None = None
        """What the person wants to do once the changes are saved."""
        self.autosave.failed.connect(notifier.error)
        jobs.changed.connect(self._job_changed)

    # Opening

    def open_path(self, path: str, how: Opening = AS_IT_IS) -> None:
        """Open what `open_project` takes beside the GUI thread; a failure leaves what is open."""
        if self.may_discard(lambda: self.open_path(path, how)):
            self._opening = opening = _Reading(path, None, self._document.authored)
            label, begin = f"Opening {files.shown(path)}", lambda: files.opening(path, how)
            self._jobs.add(Lane.OPENING, label, begin, key=Lane.OPENING, request=opening)

    def recover(self, draft: Draft) -> None:
        """Open the unsaved work in `draft` beside the GUI thread, and keep it there from now on."""
        self._opening = opening = _Reading("", draft, self._document.authored)
        label = "Recovering unsaved work"
        self._jobs.add(Lane.OPENING, label, lambda: files.recovering(draft), key=Lane.OPENING, request=opening)

    def ask_file(self) -> None:
        """Ask for a file and open it."""
        kinds = f"Heads and projects (*{files.PROJECT_SUFFIX} *.obj *.json);;All files (*)"
        path, _ = QFileDialog.getOpenFileName(self._window, "Open", "", kinds)
        if path:
            self.open_path(path)

    def ask_folder(self, how: Opening = AS_IT_IS) -> None:
        """Ask for a head's folder and open it."""
        if path := QFileDialog.getExistingDirectory(self._window, "Open a head's folder"):
            self.open_path(path, how)

    def ask_folder_of_maps(self) -> None:
        """Ask for a head's folder whose maps mean something else, and then as `ask_maps`."""
        title = "Open a head's folder whose maps mean something else"
        if path := QFileDialog.getExistingDirectory(self._window, title):
            self.ask_maps(path)

    def ask_maps(self, path: str) -> None:
        """Ask which file in the folder `path` is which map and how they are to be read, and open it so."""
        mesh = mesh_with_maps(Path(path))
        if how := dialogs.show(dialogs.MapsDialog(images_of(Path(path)) if mesh else (), self._window)):
            self.open_path(path, how)

    def open_next_person(self) -> None:
        """Open the built-in head after the one that was opened last."""
        last = str(self._settings.value("person", 0))
        seed = int(last) + 1 if last.isdecimal() else 1
        self._settings.setValue("person", seed)
        self.open_path(f"builtin:{seed}")

    def _opening_over(self, job: Job, opening: _Reading) -> None:
        draft = opening.draft
        if job.error is not None:
            self._notifier.error(describe(job.error), of_head=True)
        elif job.state is State.DONE and not job.stopping and opening is self._opening:
            if draft is None:
                self._opened(job.result, opening)
            else:
                self._recovered(job.result, draft)
            return
        elif job.state is not State.REPLACED:
            self._notifier.info(f"Cancelled: {job.label}")
        if draft is not None:
            draft.release()  # offered again at the next start

    def _recovered(self, saved: tuple[Project, str | None], draft: Draft) -> None:
        project, path = saved
        self._document.open(project, path, saved=False)
        self.autosave.adopt(draft)
        self._notifier.forget_head()
        self._window.statusBar().showMessage(f"Recovered {project.identity.name}, which is not saved")

    def _opened(self, project: Project, opening: _Reading) -> None:
        """Show a head that was read, unless it would replace edits made meanwhile that the person wants to keep."""
        path, name = opening.path, files.shown(opening.path)
        changed = differ(self._document.authored, opening.before)
        if changed and not self.may_discard(lambda: self._opened(project, opening)):
            if self.then is None:
                self._notifier.info(f"{name} was not opened: {self._document.project.identity.name} stays")
            return
        self._document.open(project, os.path.abspath(path) if path.endswith(files.PROJECT_SUFFIX) else None)
        self.remember(path)
        self._notifier.forget_head()
        self._window.statusBar().showMessage(f"Opened {name}")
        if note := unfinished_note(Path(path)):
            self._notifier.error(f"{name}: {note}", of_head=True)

    def remember(self, path: str) -> None:
        """Put `path` on top of the recent files."""
        path = path if path.startswith("builtin") else os.path.abspath(path)
        self._settings.setValue("recent", [path, *(each for each in self.recent() if each != path)][:RECENT])

    def recent(self) -> list[str]:
        """Recent paths, newest first."""
        value = self._settings.value("recent")  # QSettings gives a list of one back as its item
        return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []

    # Saving

    def save(self) -> bool:
        """Save where it was saved before, or ask where. Was it begun?"""
        return self.save_to(self._document.path) if self._document.path else self.save_as()

    def save_as(self) -> bool:
        """Ask where to save. Was it begun?"""
        name = self._document.path or self._document.project.identity.name + files.PROJECT_SUFFIX
        path = dialogs.ask_file_to_write(self._window, "Save project", name, f"Project (*{files.PROJECT_SUFFIX})")
        return bool(path) and self.save_to(path)

    def save_to(self, path: str) -> bool:
        """Save the project as it is now beside the GUI thread; it stays modified until that is done. Always True."""
        path = path if path.endswith(files.PROJECT_SUFFIX) else path + files.PROJECT_SUFFIX
        work, label = files.saving(self._document.project, path), f"Saving {files.shown(path)}"
        self._jobs.add(Lane.FILES, label, lambda: work, key=("save", path), request=_Saving(self._document.authored))
        return True

    def _saving_over(self, job: Job, saving: _Saving) -> None:
        then, self.then = self.then, None
        if job.state is State.REPLACED:
            self.then = then
        elif job.state is State.DONE:
            self._document.saved(saving.authored, job.result)
            self.remember(job.result)
            self._window.statusBar().showMessage(f"Saved {files.shown(job.result)}")
            if then is not None:
                then()

    def may_discard(self, then: Callable[[], object]) -> bool:
        """True when nothing unsaved would be lost, or the person lets it go. Where they have it saved first, `then` is
        called once that is done."""
        self.then = None
        if not self._document.modified:
            return True
        requests = [job.request for job in self._jobs.waiting(Lane.FILES) if isinstance(job.request, _Saving)]
        saving = any(not differ(self._document.authored, request.authored) for request in requests)
        name = self._document.project.identity.name
        answer = dialogs.Answer.SAVE if saving else self.ask(self._window, name)
        if answer is dialogs.Answer.SAVE and (saving or self.save()):
            self.then = then
        return answer is dialogs.Answer.DISCARD

    def _job_changed(self, job: Job) -> None:
        if job.over and isinstance(job.request, _Reading):
            self._opening_over(job, job.request)
        elif job.over and isinstance(job.request, _Saving):
            self._saving_over(job, job.request)

    def close(self, *, asked: bool) -> None:
        """Stop all jobs and wait for them. Unsaved changes are offered at the next start unless the person was `asked`
        about them."""
        drafts = [job.request.draft for job in self._jobs.jobs(Lane.OPENING)]
        self._jobs.close()
        self.autosave.close(keep=self._document.modified and not asked)
        for draft in filter(None, drafts):
            draft.release()
