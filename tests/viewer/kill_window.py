"""A window that is killed at random moments while a person works in it, and what of that work is there afterwards.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m tests.viewer.kill_window 100 --seed 0

The person types one weight after another, and saves now and then. What is lost is the time from the first weight that
is neither in the file nor in the draft to the kill. Prints a table; the exit code is 1 where more than 5 s are lost, a
draft or a file does not open, or a draft is there though all was saved.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PySide6.QtCore import QSettings, QTimer

from engine.errors import EngineError
from engine.io.drafts import VARIABLE, left_over, new_draft
from engine.io.project import load_project
from engine.project import Project, new_project
from tests.heads import make_expressions, make_head
from tests.viewer import hand
from tests.viewer.work import make_step_by_step
from viewer import app
from viewer.generation import OTHERS
from viewer.panels.expressions import ExpressionsPanel
from viewer.window import FILL, MainWindow

MOST_S = 5.0
NAME, STEP = "Jaw Open", 0.01
"""The weight that is typed, and by how much each is more than the one before."""
EVERY_MS = 60


def work(folder: Path, seed: int) -> int:
    """In the process that is killed: a window, and a hand that types, and tells when."""
    application, rng = app.make_application(), random.Random(seed)
    head = make_head(256)
    project = Project(head, make_expressions(head, OTHERS), {}, new_project(head).scene)
    settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
    settings.setValue(FILL, False)
    window = MainWindow(project, settings, make_step_by_step, new_draft=new_draft)
    window.document.path = str(folder / "saved.expdiff")
    row, typed = window.findChild(ExpressionsPanel).rows[NAME], [0]
    timer = QTimer(interval=EVERY_MS, singleShot=True)

    def type_next() -> None:
        typed[0] += 1
        hand.fill(row.slider.number, f"{typed[0] * STEP:.2f}")
        print(json.dumps([typed[0], time.time()]), flush=True)
        if rng.random() < 0.04:
            hand.keys("Ctrl+S")
        timer.start(EVERY_MS if rng.random() < 0.9 else 700)

    timer.timeout.connect(type_next)
    window.viewport.painted.connect(lambda: timer.isActive() or typed[0] or timer.start())
    return app._show(application, window)


@dataclass
class Kill:
    """What one kill came to."""

    typed: int = 0
    kept: int = 0
    lost_s: float = 0.0
    in_draft: bool = False
    faults: list[str] = field(default_factory=list)


def kill(folder: Path, seed: int, after_s: float) -> Kill:
    """Start the window with drafts in `folder`, kill it `after_s` after its first weight, and look what is there."""
    own = os.environ | {VARIABLE: str(folder / "drafts")}
    command = [sys.executable, "-m", "tests.viewer.kill_window", "0", "--seed", str(seed), "--in", str(folder)]
    with subprocess.Popen(command, env=own, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(after_s)
        killed = time.time()
        process.kill()
        lines += process.stdout.readlines()
    rows = [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]
    result = Kill(typed=rows[-1][0] if rows else 0)
    if not rows:
        result.faults.append("the window did not come to its first weight")
    saved, drafts = folder / "saved.expdiff", left_over(folder / "drafts")
    try:
        kept = [load_project(saved)] if saved.exists() else []
        kept += [draft.read()[0] for draft in drafts]
        result.kept = max((round(float(np.mean(each.weights.get(NAME, 0.0))) / STEP) for each in kept), default=0)
    except EngineError as error:
        result.faults.append(str(error))
    result.in_draft = bool(drafts)
    later = [at for number, at in rows if number > result.kept and at < killed]
    result.lost_s = killed - later[0] if later else 0.0
    if result.lost_s > MOST_S:
        result.faults.append(f"{result.lost_s:.1f} s are lost")
    if len(drafts) > 1:
        result.faults.append(f"{len(drafts)} drafts of one window")
    for draft in drafts:
        draft.remove()
    return result


def run(count: int, seed: int) -> list[Kill]:
    """`count` kills, each of a window of its own, 0 to 9 s after its first weight."""
    rng, kills = random.Random(seed), []
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            kills.append(kill(Path(folder), seed * 1000 + number, rng.uniform(0, 9)))
        if (number + 1) % 10 == 0:
            print(f"{number + 1} kills", file=sys.stderr, flush=True)
    return kills


def table(kills: list[Kill]) -> str:
    """What all came to."""
    lost = sorted(each.lost_s for each in kills)
    rows = [
        ("kills", len(kills)),
        ("weights typed", sum(each.typed for each in kills)),
        ("left a draft", sum(each.in_draft for each in kills)),
        ("seconds lost: median", f"{lost[len(lost) // 2]:.2f}"),
        ("seconds lost: most", f"{lost[-1]:.2f}"),
        ("faults", sum(len(each.faults) for each in kills)),
    ]
    return "\n".join(["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)])


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is not None:
        return work(options.folder, options.seed)
    kills = run(options.count, options.seed)
    print(table(kills))
    faults = [fault for each in kills for fault in each.faults]
    print("\n".join(f"fault: {fault}" for fault in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
