"""One QApplication made as the program makes it, settings in a temporary file, and no thread or window left behind."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QSettings, Qt
from PySide6.QtWidgets import QApplication

from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer.work import make_step_by_step
from viewer import style, surface
from viewer.dialogs import Answer, Unfinished
from viewer.document import Document
from viewer.generation import Generation
from viewer.jobs import Jobs
from viewer.viewport import set_default_format
from viewer.window import FILL, MainWindow

os.environ.setdefault("QT_QPA_PLATFORM", "xcb")


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    set_default_format()
    return ["tests"]


@pytest.fixture(scope="session")
def dark(qapp: QApplication) -> QApplication:
    style.apply(qapp)
    return qapp


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication) -> Iterator[None]:
    """A test that leaves a thread or a top-level widget behind fails."""
    threads, widgets = set(threading.enumerate()), set(qapp.topLevelWidgets())
    yield
    gc.collect()
    qapp.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    qapp.processEvents()
    assert [thread.name for thread in threading.enumerate() if thread not in threads] == []
    left = [widget for widget in qapp.topLevelWidgets() if widget not in widgets and widget.isVisible()]
    assert left == []


@pytest.fixture
def project() -> Project:
    return new_project(make_head())


@pytest.fixture
def expressive() -> Project:
    """A project that already has Jaw Open and Brows Up."""
    head = make_head()
    return Project(head, make_expressions(head), {}, new_project(head).scene)


@pytest.fixture
def document(expressive: Project) -> Document:
    return Document(expressive)


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    queue = Jobs()
    yield queue
    queue.close()


@pytest.fixture
def generation(document: Document, jobs: Jobs) -> Generation:
    return Generation(document, jobs, make_step_by_step)


@pytest.fixture
def settings(tmp_path) -> QSettings:
    made = QSettings(str(tmp_path / "settings.ini"), QSettings.Format.IniFormat)
    made.setValue(FILL, False)  # a test that makes one expression is over when that is there
    return made


@pytest.fixture
def on_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows are made as on a graphics card, whatever draws here."""
    monkeypatch.setattr(surface, "_on_software", lambda: False)


@pytest.fixture
def open_window(dark, qtbot, settings) -> Iterator[Callable[..., MainWindow]]:
    """Makes windows that are shown, painted, and closed at the end."""
    made: list[MainWindow] = []

    def make(project: Project, answer: Answer = Answer.DISCARD, generator=make_step_by_step) -> MainWindow:
        cancel = Unfinished.CANCEL
        window = MainWindow(
            project, settings, generator, ask=lambda parent, name: answer, ask_unfinished=lambda parent, labels: cancel
        )
        made.append(window)
        window.resize(1280, 800)
        with qtbot.waitSignal(window.viewport.painted, timeout=20000):
            window.show()
        return window

    yield make
    for window in made:
        window.finish()
        window.close()
        window.deleteLater()
