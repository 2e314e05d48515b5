"""Start-up: settings that must come before QApplication, the window, the exception hook, and a clean end."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication, QSettings, Qt
from PySide6.QtWidgets import QApplication

from engine.expression_cache import generate_cached, recall
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.open import open_project
from engine.project import Project
from viewer import style
from viewer.display import check_display, check_opengl
from viewer.log import start_log, stop_log
from viewer.notify import install_hook
from viewer.viewport import set_default_format
from viewer.window import APPLICATION, MainWindow

DEFAULT = "builtin"


def run(path: str | None = None, conventions: MapConventions = PUBLISHED, maps: Mapping[str, str] | None = None) -> int:
    """Open the window on `path` (the built-in head without one) and stay until it is closed; the exit code.

    All three are what `engine.io.open.open_project` takes; its EngineErrors pass through, and GraphicsError where there
    is no display or no OpenGL on it, before any window is seen.
    """
    log = start_log()
    try:
        check_display()
        project = open_project(path or DEFAULT, conventions, maps)
        application = make_application()
        check_opengl()
        return _show(application, make_window(project, QSettings("ExpDiff", "Studio"), path))
    finally:
        stop_log(log)


def _show(application: QApplication, window: MainWindow) -> int:
    restore = install_hook(lambda message: _in_front(window).notifier.error(message))
    try:
        window.show()
        return application.exec()
    finally:
        restore()
        for each in window.windows:
            each.finish()


def _in_front(window: MainWindow) -> MainWindow:
    """Of all windows the active one, else one that is still open, else `window`."""
    active = [each for each in window.windows if each.isActiveWindow()]
    return (*active, *(each for each in window.windows if each.isVisible()), window)[0]


def make_application() -> QApplication:
    """The QApplication, with what has to be set before it: shared contexts and the GL 4.1 core format."""
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_ShareOpenGLContexts)
    set_default_format()
    application = QApplication(sys.argv[:1])
    application.setApplicationName(APPLICATION)
    style.apply(application)
    return application


def make_window(project: Project, settings: QSettings, path: str | None = None) -> MainWindow:
    """The main window with the real model behind its Generate button, and the disk before the model."""
    window = MainWindow(project, settings, generate_cached, path, finder=recall)
    if path is not None:
        window.remember(path)
    return window
