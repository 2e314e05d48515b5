"""How long each event keeps the window's thread busy, painting apart, and what the process holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QApplication

_PAINTING = (QEvent.Type.UpdateRequest, QEvent.Type.Paint, QEvent.Type.Expose, QEvent.Type.Show, QEvent.Type.Resize)
_PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Stall:
    """One event that took long."""

    seconds: float
    """Of processor time on the window's thread, events inside of it apart: so it is the same beside other work."""
    what: str


class WatchedApplication(QApplication):
    """Measures every event that it delivers."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__(arguments)
        self.count = 0
        self.longest: list[Stall] = []
        """The ten longest, painting apart, longest first."""
        self.longest_paints: list[Stall] = []
        """The same of painting: repaints, and pieces of a fine frame."""
        self.over: dict[float, int] = {0.02: 0, 0.05: 0, 0.1: 0}
        """Number of events that took more seconds than this."""
        self._inner = 0.0

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        """Deliver `event`, and remember it where it took long."""
        kind = event.type()
        outer, self._inner = self._inner, 0.0
        begin = time.thread_time()
        try:
            return super().notify(receiver, event)
        finally:
            took = time.thread_time() - begin
            own = took - self._inner
            self._inner = outer + took
            self.count += 1
            if own > 0.01:
                self._account(own, receiver, kind)

    def _account(self, own: float, receiver: QObject, kind: QEvent.Type) -> None:
        name = _named(receiver)
        painting = kind in _PAINTING or name.endswith("(Viewport._piece)")
        longest = self.longest_paints if painting else self.longest
        longest.append(Stall(own, f"{kind.name} of {name}"))
        longest.sort(key=lambda each: -each.seconds)
        del longest[10:]
        for limit in () if painting else self.over:
            self.over[limit] += own > limit


def _named(receiver: QObject) -> str:
    """Its class, and where it is an attribute of its parent, as a timer, which one. The event may have been its end."""
    try:
        parent = receiver.parent()
    except RuntimeError:
        return type(receiver).__name__
    names = (name for name, value in getattr(parent, "__dict__", {}).items() if value is receiver)
    holder = f" ({type(parent).__name__}.{name})" if (name := next(names, "")) else ""
    return type(receiver).__name__ + holder


def resident_bytes() -> int:
    """What the process holds of the memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
