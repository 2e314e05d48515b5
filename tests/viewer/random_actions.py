"""A person who does anything at any time: seeded random actions in the real window, real jobs on files beside them.

    xvfb-run -s "-screen 0 1600x1000x24" python -m tests.viewer.random_actions 10000 --seed 0 [--real builtin:7]

Prints a table, with what kept the window's thread busy and what the process held, and every fault: an exception, a
message of an unexpected error, a job that ended without being done, cancelled by the person or said to have failed, a
file that was said to be written and is not whole, one that was not and looks so, and an undo to the start that does
not give the first state. The exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import random
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QPoint, QSettings
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QComboBox, QWidget

from engine.errors import EngineError
from engine.io.drafts import new_draft
from engine.io.project import save_project
from engine.jobs import Job, Lane, State
from engine.open import open_project
from engine.project import Project, new_project
from engine.render.motion import Motion
from engine.vocabulary import NEUTRAL
from tests.heads import make_expressions, make_head
from tests.viewer import hand
from tests.viewer.stalls import WatchedApplication, resident_bytes
from tests.viewer.work import make_step_by_step
from viewer.app import make_application
from viewer.dialogs import Answer, PictureSettings, Unfinished
from viewer.generation import OTHERS, Kind, Order, Work
from viewer.notify import describe
from viewer.panels.expressions import ExpressionsPanel
from viewer.panels.generate import GeneratePanel
from viewer.video import VideoSettings
from viewer.widgets.slider import Groove
from viewer.window import MainWindow

PROMPTS = ("sly smile", "wink", "very angry", "jawOpen 0.4", "AU4 + AU7", "a big yawn")
SIZE = (900, 640)
LOOK_EVERY = 150
"""Actions between two looks at everything that was written, and between two undos to the start."""


@dataclass
class Writing:
    """A file or folder that was asked for."""

    path: Path
    names: frozenset[str]
    """Expressions that it is to hold."""
    state: State | None = None


class Person:
    """Does random things to one window after another and keeps account of what came of them."""

    def __init__(self, seed: int, folder: Path, head: Project, heads: list[Path], generator: Work) -> None:
        self.rng, self.folder, self.head, self.heads, self.generator = (
            random.Random(seed),
            folder,
            head,
            heads,
            generator,
        )
        self.settings = QSettings(str(folder / "settings.ini"), QSettings.Format.IniFormat)
        self.done: Counter[str] = Counter()
        self.ends: Counter[tuple[str, str]] = Counter()
        self.told: list[str] = []
        self.faults: list[str] = []
        self.writings: dict[int, Writing] = {}
        self.by_person: set[int] = set()
        self.orders: dict[int, Order] = {}
        """What the window's jobs on the model's lane are for since the head was opened, those that are over too."""
        self.undone = self.whole = self.absent = 0
        self.count = 0
        self.resident: dict[int, tuple[int, int]] = {}
        """Bytes that the process held after so many actions, and when they were undone."""
        self.open_window(head)

    # The window

    def open_window(self, project: Project) -> None:
        self.asks_unfinished: list[tuple[str, ...]] = []
        self.writings_over()
        self.window = window = MainWindow(
            project,
            self.settings,
            self.generator,
            ask=self._ask,
            ask_unfinished=self._ask_unfinished,
            new_draft=partial(new_draft, self.folder / "drafts"),
        )
        window.resize(*SIZE)
        window.jobs.changed.connect(self._changed)
        window.document.changed.connect(self._head_changed)
        for tell in ("error", "info"):
            self._listen(tell)
        window.generation.failed.connect(self.told.append)
        window.show()
        QTest.qWait(50)
        self.start = project

    def _listen(self, tell: str) -> None:
        say = getattr(self.window.notifier, tell)

        def listen(message: str, **options: bool) -> None:
            self.told.append(message)
            if "Unexpected" in message:
                self.faults.append(f"told: {message}")
            say(message, **options)

        setattr(self.window.notifier, tell, listen)

    def _ask(self, parent: QWidget, name: str) -> Answer:
        return self.rng.choice([Answer.DISCARD, Answer.DISCARD, Answer.CANCEL])

    def _ask_unfinished(self, parent: QWidget, labels: object) -> Unfinished:
        answer = self.rng.choice(list(Unfinished))
        self.done[f"closing asked about unfinished work: {answer.value}"] += 1
        if answer is Unfinished.CANCEL:
            self.by_person.update(job.number for job in self.window.jobs.waiting())
        return answer

    def writings_over(self) -> None:
        """The jobs of the window before are over: numbers begin anew."""
        self.look_at_files()
        self.by_person.clear()
        self.orders.clear()

    # Accounts

    def _head_changed(self, old: Project, new: Project) -> None:
        if old.identity is not new.identity:
            self.start = new
            self.orders.clear()  # nor does this keep the head before alive

    def _changed(self, job: Job) -> None:
        if isinstance(job.request, Order):
            self.orders[job.number] = job.request
        if not job.over:
            return
        self.ends[job.lane.value, job.state.value] += 1
        if job.number in self.writings:
            self.writings[job.number].state = job.state
        if job.state is State.FAILED:
            assert job.error is not None
            if not isinstance(job.error, EngineError | OSError):
                self.faults.append(f"{job.label}: {job.error!r}")
            QTest.qWait(0)
            if not any(describe(job.error) in message for message in self.told):
                self.faults.append(f"{job.label} failed and nobody was told: {job.error}")
        cut = job.state is State.CANCELLED and job.number not in self.by_person
        if cut and not (job.lane is Lane.MODEL and self._may_stand_aside(job.number)):
            self.faults.append(f"{job.lane.value}: {job.label} was cut by nobody")

    def _may_stand_aside(self, number: int) -> bool:
        """May the model leave this unmade? Nobody waits for it, it is for the head before, a newer wish took its place,
        or what it makes came in another way."""
        if number not in self.orders:
            return True
        order, project = self.orders[number], self.window.document.project
        newer = any(later > number and other.names == order.names for later, other in self.orders.items())
        there = order.kind is Kind.WANTED and all(name in project.expressions for name in order.names)
        return not order.seen or order.request.identity is not project.identity or newer or there

    def _write(self, path: Path, ask: Callable[[], None]) -> None:
        names = frozenset(self.window.document.project.expressions.names) - {NEUTRAL}
        numbers: list[int] = []
        changed = self.window.jobs.changed
        connection = changed.connect(lambda job: numbers.append(job.number) if job.state is State.WAITING else None)
        ask()
        changed.disconnect(connection)
        for number in numbers:
            self.writings[number] = Writing(path, names)

    # Actions with the mouse and the keyboard

    def _panel(self, kind: type[QWidget]) -> QWidget:
        panel = self.window.findChild(kind)
        assert panel is not None
        return panel

    def _row(self):
        panel = self._panel(ExpressionsPanel)
        assert isinstance(panel, ExpressionsPanel)
        return self.rng.choice([row for row in panel.rows.values() if row.isVisible()])

    def slide_an_expression(self) -> None:
        groove = self._row().slider.groove
        hand.click(groove, hand.share_of(groove, self.rng.random()))

    def type_a_weight(self) -> None:
        row = self._row()
        if row.state == "ready":
            hand.fill(row.slider.number, f"{self.rng.random():.2f}")

    def generate_of_a_row(self) -> None:
        row = self._row()
        if row.generate.isVisible() and row.generate.isEnabled():
            hand.click(row.generate)

    def change_a_side(self) -> None:
        hand.click(self._row().sides)

    def type_a_prompt(self) -> None:
        panel = self._panel(GeneratePanel)
        assert isinstance(panel, GeneratePanel)
        if panel.prompt.isVisible():
            hand.replace_text(panel.prompt, self.rng.choice(PROMPTS), "Return")
            if self.rng.random() < 0.7:
                hand.replace_text(panel.prompt, "")

    def press_generate_or_cancel(self) -> None:
        panel = self._panel(GeneratePanel)
        assert isinstance(panel, GeneratePanel)
        if panel.button.isVisible() and panel.button.isEnabled():
            if self.window.generation.busy:
                self.by_person.update(job.number for job in self.window.jobs.waiting(Lane.MODEL))
            hand.click(panel.button)

    def pick_from_a_list(self) -> None:
        boxes = [box for box in self.window.findChildren(QComboBox) if box.isVisible() and box.isEnabled()]
        box = self.rng.choice(boxes)
        if box.count() and box.window() is self.window:
            hand.pick(box, self.rng.randrange(min(box.count(), 6)))

    def fill_or_not(self) -> None:
        panel = self._panel(GeneratePanel)
        assert isinstance(panel, GeneratePanel)
        if panel.fill.isVisible():
            hand.click(panel.fill)

    def move_any_slider(self) -> None:
        grooves = [each for each in self.window.findChildren(Groove) if each.isVisible() and each.isEnabled()]
        groove = self.rng.choice(grooves)
        hand.click(groove, hand.share_of(groove, self.rng.random()))

    def orbit(self) -> None:
        view = self.window.viewport
        middle = QPoint(view.width() // 2, view.height() // 2)
        hand.drag(view, middle, middle + QPoint(self.rng.randrange(-60, 60), self.rng.randrange(-40, 40)))

    def zoom(self) -> None:
        hand.wheel(self.window.viewport, self.rng.choice([-1, 1]))

    def press_a_key(self) -> None:
        hand.click(self.window.viewport)
        hand.keys(self.rng.choice([*"1234567890FTLRWU", "Ctrl+Z", "Ctrl+Z", "Ctrl+Y", "Ctrl+R"]))

    # Actions on files

    def export_a_glb(self) -> None:
        path = self.folder / f"{self.count}.glb"
        self._write(path, lambda: self.window.export_glb_to(str(path)))

    def export_a_person(self) -> None:
        path = self.folder / f"person {self.count}"
        self._write(path, lambda: self.window.export_folder_to(str(path)))

    def take_a_screenshot(self) -> None:
        path = self.folder / f"{self.count}.png"
        self._write(path, lambda: self.window.save_picture(str(path), PictureSettings(96, 64, False)))

    def export_a_film(self) -> None:
        path = self.folder / f"{self.count}.mp4"
        settings = VideoSettings(Motion(turntable=True, seconds=0.2, fps=10), (32, 32))
        self._write(path, lambda: self.window.export_video_to(str(path), settings))

    def write_where_nothing_can_be(self) -> None:
        self._write(self.folder / "x.txt", lambda: self.window.export_glb_to(str(self.folder / "x.txt")))

    def open_a_head(self) -> None:
        self.window.session.open_path(str(self.rng.choice(self.heads)))

    def open_what_is_damaged(self) -> None:
        self.window.session.open_path(str(self.folder / "damaged.expdiff"))

    def cancel_a_job(self) -> None:
        bar = self.window.job_bar
        if not bar.isVisible():
            return
        jobs = bar.waiting()
        if len(jobs) == 1:
            self.by_person.update(job.number for job in jobs)  # the one that is shown
            hand.click(bar.cancel)
        elif jobs:
            self.by_person.update(job.number for job in jobs)
            hand.click(bar.cancel)
            if bar.list.isVisible():
                action = self.rng.choice(bar.list.actions())
                hand.click(bar.list, bar.list.actionGeometry(action).center())
            still = {job.number for job in bar.waiting()}
            self.by_person -= still

    def close_the_window(self) -> None:
        window, project = self.window, self.window.document.project
        window.close()
        if window.isVisible():
            for _ in range(400 if window._closes else 0):
                QTest.qWait(20)
                if not window.isVisible():
                    break
        if window.isVisible():
            window._closes = False
            return
        self.writings = {number: each for number, each in self.writings.items() if each.state is not None}
        # the others ended with the window: whole where it came in their last step, which nobody is told any more
        window.deleteLater()
        self.done["windows closed and opened again"] += 1
        self.open_window(self.head if self.rng.random() < 0.5 else project)

    ACTIONS: tuple[tuple[Callable[[Person], None], float], ...] = (
        (slide_an_expression, 10),
        (type_a_weight, 3),
        (generate_of_a_row, 2),
        (change_a_side, 2),
        (type_a_prompt, 2),
        (press_generate_or_cancel, 4),
        (pick_from_a_list, 3),
        (fill_or_not, 1),
        (move_any_slider, 8),
        (orbit, 8),
        (zoom, 6),
        (press_a_key, 18),
        (export_a_glb, 5),
        (export_a_person, 3),
        (take_a_screenshot, 6),
        (write_where_nothing_can_be, 1),
        (open_a_head, 3),
        (open_what_is_damaged, 1),
        (cancel_a_job, 3),
        (close_the_window, 0.3),
        (export_a_film, 0.03),
    )

    def act(self) -> None:
        """One random action, then what is due."""
        actions, weights = zip(*self.ACTIONS, strict=True)
        action = self.rng.choices(actions, weights)[0]
        self.count += 1
        self.done[action.__name__.replace("_", " ")] += 1
        try:
            action(self)
        except (hand.Unreachable, RuntimeError) as error:  # covered, scrolled away or gone: so it is for a person
            if isinstance(error, RuntimeError) and "already deleted" not in str(error):
                raise
            self.done["of these not to be reached"] += 1
        popup = QApplication.activePopupWidget()
        if popup is not None:
            popup.close()
        QTest.qWait(self.rng.choice([0, 0, 0, 1, 10]))
        if self.count % 1000 == 0:
            self.resident[self.count] = resident_bytes(), self.resident_at_the_start()
        if self.count % LOOK_EVERY == 0:
            self.undo_to_the_start()
            self.look_at_files()

    # Looks

    def undo_to_the_start(self) -> None:
        document = self.window.document
        QTest.qWait(1)
        last, redo_label, steps = document.project, document.redo_label, 0
        while document.undo_label is not None:
            document.undo()
            steps += 1
        if not _same(document.project, self.start):
            self.faults.append(f"after {self.count} actions undo to the start gives another state")
        for _ in range(steps):
            document.redo()
        if not _same(document.project, last):
            self.faults.append(f"after {self.count} actions redo gives another state")
        if document.redo_label != redo_label:
            self.faults.append(f"after {self.count} actions redo knows {document.redo_label}, not {redo_label}")
        self.undone += steps
        if self.rng.random() < 0.5:
            for _ in range(steps):
                document.undo()

    def resident_at_the_start(self) -> int:
        """Bytes of the process in the state that all of these share: what remains of the others is held for nothing."""
        document, steps = self.window.document, 0
        while document.undo_label is not None:
            document.undo()
            steps += 1
        QTest.qWait(500)
        held = resident_bytes()
        for _ in range(steps):
            document.redo()
        return held

    def wait_for_files(self) -> None:
        end = time.monotonic() + 300
        while self.window.jobs.waiting(Lane.FILES, Lane.VIDEO, Lane.OPENING) and time.monotonic() < end:
            QTest.qWait(20)
        QTest.qWait(50)

    def look_at_files(self) -> None:
        for number, writing in list(self.writings.items()):
            if writing.state is None:
                continue
            del self.writings[number]
            whole = _is_whole(writing)
            if writing.state is State.DONE:
                self.whole += 1
                if not whole:
                    self.faults.append(f"{writing.path.name} was said to be written and is not whole")
            else:
                self.absent += 1
                if whole:
                    self.faults.append(f"{writing.path.name} was {writing.state.value} and looks whole")

    def leave(self) -> None:
        """Wait for what is under way, look at all of it, and close."""
        self.wait_for_files()
        for number, writing in self.writings.items():
            if writing.state is None:
                self.faults.append(f"{writing.path.name} (job {number}) never ended")
        self.undo_to_the_start()
        self.look_at_files()
        self.window.finish()
        self.window.close()
        self.window.deleteLater()

    def table(self) -> str:
        rows = [("actions", str(self.count)), *((name, str(count)) for name, count in self.done.most_common())]
        rows += [("", ""), ("lane: end", "jobs")]
        rows += [(f"{lane}: {state}", str(count)) for (lane, state), count in sorted(self.ends.items())]
        rows += [
            ("", ""),
            ("events sent", str(hand.events)),
            ("files opened again and whole", str(self.whole)),
            ("files cancelled or failed, and not there as whole", str(self.absent)),
            ("steps undone to the start and redone", str(self.undone)),
            ("faults", str(len(self.faults))),
        ]
        return "\n".join(f"| {name} | {value} |" if name else "" for name, value in rows)


def _same(a: Project, b: Project) -> bool:
    """Equal but for the view and for expressions that came by themselves, which undo does not take away."""
    weights = [{name: weight for name, weight in each.weights.items() if weight} for each in (a, b)]
    scenes = [replace(each.scene, view=b.scene.view) for each in (a, b)]
    there = all(a.expressions[name] is b.expressions[name] for name in b.expressions.names if name in a.expressions)
    missing = set(b.expressions.names) - set(a.expressions.names)
    return a.identity is b.identity and weights[0] == weights[1] and scenes[0] == scenes[1] and there and not missing


def _is_whole(writing: Writing) -> bool:
    """Does it open, with everything that it is to hold?"""
    path = writing.path
    try:
        if path.suffix == ".png":
            image = QImage(str(path))
            return (image.width(), image.height()) == (96, 64)
        if path.suffix == ".glb":
            return not _missing(writing)
        if path.suffix in (".mp4", ".txt"):
            return path.exists() and path.stat().st_size > 200
        manifest = json.loads((path / "identity.json").read_text())
        return manifest.get("complete", True) and set(open_project(str(path)).expressions.names) >= writing.names
    except (OSError, EngineError):
        return False


def _missing(writing: Writing) -> set[str]:
    """Expressions that are no morph targets of a GLB, as one or per side; all where its lengths are not right."""
    data = writing.path.read_bytes()
    magic, _, length, chunk, _ = struct.unpack_from("<4sIII4s", data)
    if magic != b"glTF" or length != len(data):
        return set(writing.names)
    meshes = json.loads(data[20 : 20 + chunk])["meshes"]
    targets = [name for mesh in meshes for name in mesh["extras"]["targetNames"]]
    return {name for name in writing.names if not any(target.startswith(name) for target in targets)}


def prepare(folder: Path, count: int = 3) -> tuple[Project, list[Path]]:
    """A test head with a few expressions, and others as saved projects beside a damaged one."""
    head = make_head()
    heads = [folder / f"head {seed}.expdiff" for seed in range(1, count + 1)]
    for seed, path in enumerate(heads, start=1):
        other = make_head(seed=seed)
        names = OTHERS if seed == 1 else OTHERS[:seed]
        save_project(Project(other, make_expressions(other, names), {}, new_project(other).scene), path)
    (folder / "damaged.expdiff").write_bytes(b"PK\x03\x04 cut off")
    return Project(head, make_expressions(head), {}, new_project(head).scene), heads


def run(
    count: int, seed: int, folder: Path, real: str = "", say: Callable[[str], None] = print, seconds: float = 1e9
) -> Person:
    """`count` actions or as many as fit, with the model on the head `real` where that is given; in a QApplication."""
    project, heads = prepare(folder)
    generator: Work = make_step_by_step
    if real:
        from engine.diffusion.generate import generate

        project, heads, generator = open_project(real), [], generate
        for at in range(2):
            heads.append(folder / f"real {at}.expdiff")
            save_project(open_project(f"builtin:{at + 1}"), heads[-1])
    person = Person(seed, folder, project, heads, generator)
    begin, hook = time.monotonic(), sys.excepthook

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        person.faults.append(f"uncaught after {person.count} actions: {error!r}")
        hook(kind, error, trace)

    sys.excepthook = uncaught
    try:
        while person.count < count and time.monotonic() - begin < seconds:
            person.act()
            if person.count % 500 == 0:
                spent = time.monotonic() - begin
                say(f"{person.count} actions, {spent:.0f} s, {len(person.faults)} faults {person.faults[-1:]}")
        person.leave()
    finally:
        person.window.finish()
        sys.excepthook = hook
    return person


def _busy(application: WatchedApplication, person: Person) -> list[str]:
    """Rows of a table: how long the window's thread was kept busy, and what the process held."""
    rows = [("", ""), ("events delivered", f"{application.count}")]
    rows += [(f"of these over {limit * 1000:g} ms outside painting", f"{n}") for limit, n in application.over.items()]
    rows += [(f"longest: {each.what}", f"{each.seconds * 1000:.0f} ms") for each in application.longest[:5]]
    rows += [
        (f"longest paint: {each.what}", f"{each.seconds * 1000:.0f} ms") for each in application.longest_paints[:3]
    ]
    for count, (size, undone) in person.resident.items():
        rows += [(f"memory after {count} actions, undone", f"{size / 2**20:.0f}, {undone / 2**20:.0f} MiB")]
    return [f"| {name} | {value} |" if name else "" for name, value in rows]


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", default="", help="a head, as builtin:7, for the real model; the test head without")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop asking for more after this")
    args = parser.parse_args()
    faulthandler.enable()
    application = make_application(WatchedApplication)
    assert isinstance(application, WatchedApplication)
    with tempfile.TemporaryDirectory() as folder:
        person = run(args.count, args.seed, Path(folder), args.real, _progress, 60 * args.minutes)
    application.processEvents()
    print(person.table())
    print("\n".join(_busy(application, person)))
    for fault in person.faults:
        print("fault:", fault)
    return 1 if person.faults else 0


if __name__ == "__main__":
    sys.exit(main())
