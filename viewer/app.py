"""Start-up: settings that must come before QApplication, the window, the exception hook, and a clean end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QSettings, Qt, QTimer
from PySide6.QtWidgets import QApplication

from engine.diffusion.request import GenerateRequest
from engine.diffusion.weights_folder import weights_digest
from engine.expression_cache import generate_cached, recall
from engine.io.cache import cache_folder
from engine.io.drafts import left_over, new_draft
from engine.io.temporary import sweep
from engine.jobs import Step
from engine.open import AS_IT_IS, Opening, open_project
from engine.project import Project
from viewer import style
from viewer.display import check_display, check_opengl
from viewer.generation import Work
from viewer.log import start_log, stop_log
from viewer.notify import install_hook
from viewer.viewport import set_default_format
from viewer.window import APPLICATION, MainWindow

DEFAULT = "builtin"


def run(path: str | None = None, how: Opening = AS_IT_IS, model: Path | None = None) -> int:
    """Open the window on `path` (the built-in head without one) and stay until it is closed; the exit code.

    `path` and `how` are what `engine.open.open_project` takes; `model` is a folder of weights (the program's own
    without it). EngineErrors of both pass through, and GraphicsError where there is no display or no OpenGL on it,
    before any window is seen.
    """
    log = start_log()
    try:
        check_display()
        project = open_project(path or DEFAULT, how)
        if model is not None:
            weights_digest(model)
        sweep(cache_folder())  # what a window that was killed left there
        application = make_application()
        check_opengl()
        return _show(application, make_window(project, QSettings("ExpDiff", "Studio"), path, model))
    finally:
        stop_log(log)


def _show(application: QApplication, window: MainWindow) -> int:
    restore = install_hook(lambda message: _in_front(window).notifier.error(message))
    try:
        window.show()
        QTimer.singleShot(0, lambda: window.offer_left_over(left_over()))
        return application.exec()
    finally:
        restore()
        for each in window.windows:
            each.finish()


def _in_front(window: MainWindow) -> MainWindow:
    """Of all windows the active one, else one that is still open, else `window`."""
    active = [each for each in window.windows if each.isActiveWindow()]
    return (*active, *(each for each in window.windows if each.isVisible()), window)[0]


def make_application(kind: type[QApplication] = QApplication) -> QApplication:
    """The QApplication, with what has to be set before it: shared contexts and the GL 4.1 core format."""
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    set_default_format()
    application = kind(sys.argv[:1])
    application.setApplicationName(APPLICATION)
    style.apply(application)
    return application


def make_window(
    project: Project, settings: QSettings, path: str | None = None, model: Path | None = None
) -> MainWindow:
    """The main window with the real model, or that in the folder `model`, behind Generate, and the disk before it."""
    window = MainWindow(
        project, settings, _of(model, generate_cached), path, finder=_of(model, recall), new_draft=new_draft
    )
    if path is not None:
        window.session.remember(path)
    return window


def _of(model: Path | None, work: Work) -> Work:
    """`work` on the window's requests, with the weights that lie in `model` when it begins."""

    def asked(request: GenerateRequest) -> Iterator[Step]:
        yield from work(replace(request, model=model, model_digest=""))

    return work if model is None else asked
