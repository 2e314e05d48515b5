"""The log: what the program and Qt have to say, in a small file that a user can find."""

from __future__ import annotations

import logging
import os
from logging.handlers import RotatingFileHandler
from pathlib import Path

import platformdirs
from PySide6.QtCore import QMessageLogContext, QtMsgType, qInstallMessageHandler
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

VARIABLE = "EXPDIFF_LOG"
"""Environment variable that names another file."""
LARGEST_BYTES = 200_000
"""When it grows beyond this, a new file is begun and the one before is kept beside it."""
_SHOWN_BYTES = 50_000
_LOGGERS = ("engine", "viewer", "qt")
_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def log_path() -> Path:
    """Where the log lies: $EXPDIFF_LOG, or studio.log in the user's folder of logs."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_log_path("expdiff", appauthor=False) / "studio.log"


def start_log() -> logging.Handler:
    """Write what the engine, the window and Qt say to `log_path` from now on; a place that cannot be written costs the
    log, nothing else. Returns what `stop_log` takes."""
    path = log_path()
    handler: logging.Handler
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=LARGEST_BYTES, backupCount=1, encoding="utf-8")
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("qt").propagate = False
    qInstallMessageHandler(_from_qt)
    return handler


def stop_log(handler: logging.Handler) -> None:
    """Write no more to the log."""
    qInstallMessageHandler(None)
    for name in _LOGGERS:
        logging.getLogger(name).removeHandler(handler)
    handler.close()


def _from_qt(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
    logging.getLogger("qt").log(_LEVELS.get(kind, logging.WARNING), "%s", message)


class LogDialog(QDialog):
    """The end of the log and where it lies."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Log")
        self.resize(760, 460)
        path = log_path()
        where = QLabel(str(path), self)
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        try:
            self.text.setPlainText(path.read_bytes()[-_SHOWN_BYTES:].decode("utf-8", "replace"))
        except OSError as error:
            self.text.setPlainText(f"Nothing can be read there: {error.strerror}")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        for widget in (where, self.text, buttons):
            layout.addWidget(widget)
        self.text.verticalScrollBar().setValue(self.text.verticalScrollBar().maximum())
