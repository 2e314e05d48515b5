"""A sentence over the viewport that says what went wrong or is done; and the hook for exceptions nobody caught."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from types import TracebackType

from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from engine.checks import one_line, printable
from engine.errors import EngineError
from viewer import style
from viewer.log import log_path

log = logging.getLogger(__name__)

INFO_MS = 6000
"""How long good news stays; errors stay until they are closed or replaced."""
MOST_ERRORS = 4
_MARGIN = 12


class Notifier(QFrame):
    """A strip at the lower edge of `over`, hidden while there is nothing to say."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self._over = over
        self.setObjectName("notifier")
        self.text = QLabel(self)
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.PlainText)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        close = QToolButton(self)
        close.setText("✕")
        close.setToolTip("Dismiss")
        close.clicked.connect(self._dismiss)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 6, 6, 6)
        layout.addWidget(self.text, 1)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignTop)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._rest)
        self._errors: list[tuple[str, bool]] = []
        self.message = ""
        self.hide()

    def error(self, message: str, of_head: bool = False) -> None:
        """Say what went wrong. It stays until closed: no later message hides that a file was not written. One that is
        `of_head` goes with the head, or when the next one comes."""
        if of_head:
            self._forget()
        self._errors = [*(error for error in self._errors if error[0] != message), (message, of_head)][-MOST_ERRORS:]
        self._timer.stop()
        self._say(message, "")

    def info(self, message: str) -> None:
        """Say what is done, below what went wrong; goes by itself."""
        self._say(message, message)
        self._timer.start(INFO_MS)

    def forget_head(self) -> None:
        """Another head is there: what was said of the one before goes."""
        self._forget()
        self._rest()

    def _forget(self) -> None:
        self._errors = [error for error in self._errors if not error[1]]

    def _dismiss(self) -> None:
        self._errors.clear()
        self.hide()

    def _rest(self) -> None:
        """Only what went wrong is left to be said."""
        if self._errors:
            self._say(self._errors[-1][0], "")
        else:
            self.hide()

    def _say(self, message: str, info: str) -> None:
        self.message = printable(message)
        lines = [*(error for error, _ in self._errors), *filter(None, [info])]
        self.text.setText("\n".join(printable(line) for line in lines))
        style.mark(self, "kind", "error" if self._errors else "info")
        self.place()
        self.show()
        self.raise_()

    def place(self) -> None:
        """Follow the size of the widget below."""
        over, width = self._over, max(self._over.width() - 2 * _MARGIN, 1)
        height = self.heightForWidth(width)
        self.setGeometry(_MARGIN, over.height() - height - _MARGIN, width, height)


def describe(error: BaseException) -> str:
    """One line for people: an engine error says it itself, anything else is named as a fault of the program."""
    text = one_line(error)
    if isinstance(error, EngineError):
        return text
    if isinstance(error, OSError):
        return one_line(f"{error.strerror or text}: {error.filename}") if error.filename else text
    return f"Unexpected {type(error).__name__}: {text or 'no message'} (details are in {log_path()})"


def install_hook(tell: Callable[[str], None]) -> Callable[[], None]:
    """Send exceptions that reach the event loop to the log and to `tell`. Returns what takes the hook out again."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            before(kind, error, trace)
            return
        log.error("uncaught in the event loop", exc_info=(kind, error, trace))
        tell(describe(error))

    sys.excepthook = hook

    def restore() -> None:
        if sys.excepthook is hook:
            sys.excepthook = before

    return restore
