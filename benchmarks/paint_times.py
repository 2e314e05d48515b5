"""How long the window is blocked by painting: the longest paint after the first, for what a hand does in a row.

python -m benchmarks.paint_times [HEAD] [--size 1280x800]

It needs a display; xvfb-run -s "-screen 0 1600x1000x24" before it gives one. HEAD is anything the program opens
(default: builtin); it wears four expressions of noise. Open, drag a slider, let go, turn the camera: after each the
picture comes to rest. A paint is what the event loop of the window does at a time: a repaint (the renderer, what Qt
lays over it, and the copy to the screen), or a piece of a fine frame. "wall" is what the hand feels, "CPU" what all
threads of the process worked meanwhile: of two processors that are free it is up to twice as much. Shaders are compiled
once in a process, so the first fine frame and the first drag stand apart.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from PySide6.QtCore import QEvent, QObject, QPoint, QSettings
from PySide6.QtTest import QSignalSpy, QTest
from PySide6.QtWidgets import QApplication, QWidget

from benchmarks.drag_steps import with_expressions
from engine.open import open_project
from tests.viewer import hand
from viewer import app
from viewer.panels.expressions import ExpressionsPanel
from viewer.window import FILL, MainWindow

QUIET_S = 3.0
"""Without a paint for so long, the picture is at rest."""


class Watched(QApplication):
    """Keeps (wall, CPU) seconds of each repaint of a window, and of what timers of `view` do."""

    paints: list[tuple[float, float]]
    inside = False
    view: QWidget | None = None

    def notify(self, receiver: QObject, event: QEvent) -> bool:
        drawing = event.type() == QEvent.Type.Timer and self.view is not None and receiver.parent() is self.view
        if self.inside or not (drawing or event.type() == QEvent.Type.UpdateRequest):
            return super().notify(receiver, event)
        self.inside, wall, processor = True, time.perf_counter(), time.process_time()
        try:
            return super().notify(receiver, event)
        finally:
            self.inside = False
            self.paints.append((time.perf_counter() - wall, time.process_time() - processor))


def rest(application: Watched) -> None:
    """Until nothing has been painted for a while."""
    count, since = len(application.paints), time.monotonic()
    while time.monotonic() - since < QUIET_S:
        QTest.qWait(20)
        if len(application.paints) != count:
            count, since = len(application.paints), time.monotonic()


def deeds(application: Watched, window: MainWindow) -> dict[str, Callable[[], None]]:
    """Name -> what the hand does, and then waits for."""
    panel, view = window.findChild(ExpressionsPanel), window.viewport
    assert panel is not None
    groove = panel.rows["noise 0"].slider.groove

    def drag() -> None:
        hand.press(groove, hand.share_of(groove, 0.3))
        for step in range(30):
            hand.move(groove, hand.share_of(groove, 0.3 + 0.01 * step))
            QTest.qWait(10)

    def release() -> None:
        hand.release(groove, hand.share_of(groove, 0.6))
        rest(application)

    def orbit() -> None:
        middle = view.rect().center()
        hand.press(view, middle)
        for step in range(30):
            hand.move(view, middle + QPoint(3 * step, step))
            QTest.qWait(10)
        hand.release(view, middle + QPoint(90, 30))

    return {
        "open": lambda: rest(application),
        "drag": drag,
        "release": release,
        "orbit": orbit,
        "rest after orbit": lambda: rest(application),
        "drag again": drag,
        "release again": release,
    }


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", nargs="?", default="builtin")
    parser.add_argument("--size", default="1280x800")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    application = app.make_application(Watched)
    assert isinstance(application, Watched)
    application.paints = []
    with TemporaryDirectory() as folder:
        settings = QSettings(str(Path(folder) / "settings.ini"), QSettings.Format.IniFormat)
        settings.setValue(FILL, False)
        window = app.make_window(with_expressions(open_project(options.head)), settings)
        window.resize(width, height)
        window.show()
        application.view = view = window.viewport
        first_picture = QSignalSpy(view.painted)
        while not first_picture.count():
            QTest.qWait(1)
        print(f"window {width} x {height}, picture {view.width()} x {view.height()}, {os.cpu_count()} processors\n")
        print("| | paints | longest, wall ms | longest, CPU ms | CPU ms in all |\n|---|--:|--:|--:|--:|")
        for name, deed in deeds(application, window).items():
            application.paints.clear()
            deed()
            walls, processors = zip(*application.paints, strict=True)
            figures = len(walls), max(walls) * 1000, max(processors) * 1000, sum(processors) * 1000
            print("| {} | {} | {:.0f} | {:.0f} | {:.0f} |".format(name, *figures), flush=True)
        print(f"\nLoad average {os.getloadavg()[0]:.1f}.")
        window.finish()
        window.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
