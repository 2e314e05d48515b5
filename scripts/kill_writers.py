"""Kill writers at random moments and see what they leave: `python -m scripts.kill_writers --kills 200 --seed 0`.

Each kill: a folder in a state that was complete before, a process that writes into it, SIGKILL, a look at what is
there, the same command once more, another look. Small heads, an instant model and an instant source of people: it is
the writing that is killed. Prints a table; exit code 1 where anything looked complete that was not, anything complete
before was lost, a rerun gave other bytes, or a temporary file was left after it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from engine import expression_cache
from engine.cli import main
from engine.diffusion.request import GenerateRequest
from engine.errors import EngineError
from engine.export import export_glb, export_jreflectance
from engine.expression import ExpressionSet
from engine.face import quality
from engine.io import cache, jreflectance
from engine.io.archive import reading
from engine.io.project import load_project, save_project
from engine.io.temporary import is_temporary
from engine.jobs import Step
from engine.project import Project, new_project
from engine.synth import dataset, generator
from tests.heads import make_expressions, make_head

NAMES = ("Jaw Open", "Brows Up", "Lip Corner Puller", "Nose Wrinkler", "a sly grin")
FORK = get_context("fork")  # a process of its own each time, without the seconds of imports


def project(seed: int) -> Project:
    head = make_head(48)
    return Project(head, make_expressions(head, NAMES, seed), {}, new_project(head).scene)


# --- what is killed: each has what was complete before, and what is being written ------------------------------------


def before_person(folder: Path) -> None:
    old = project(1)
    kept = make_expressions(old.identity, ("Eye Wide",)).expressions + old.expressions.expressions[:1]
    export_jreflectance(Project(old.identity, ExpressionSet(old.identity.hash, kept), {}, old.scene), folder / "p")
    save_project(project(2), folder / "in.expdiff")


def write_person(folder: Path) -> int:
    return main(["export", str(folder / "in.expdiff"), "--format", "jreflectance", "--out", str(folder / "p")])


def before_glb(folder: Path) -> None:
    export_glb(project(1), folder / "a.glb")
    save_project(project(2), folder / "in.expdiff")


def write_glb(folder: Path) -> int:
    return main(["export", str(folder / "in.expdiff"), "--format", "glb", "--out", str(folder / "a.glb")])


def before_save(folder: Path) -> None:
    save_project(project(1), folder / "a.expdiff")


def write_save(folder: Path) -> int:
    for _ in range(8):
        save_project(project(2), folder / "a.expdiff")
    return 0


class People:
    """In the place of `engine.synth.generator.Population`."""

    def __init__(self, folder: Path, identities: int, seed: int) -> None:
        self.train_identities, self.test_identities = list(range(identities - 1)), [identities - 1]
        self.seed = seed


def person_of(source: People, number: int):
    head = make_head(32, seed=100 * source.seed + number)
    return head, make_expressions(head, NAMES[:4], seed=number)


def before_nothing(folder: Path) -> None:
    pass


def write_synth(folder: Path) -> int:
    generator.Population, dataset.synthetic_identity = People, person_of  # pyright: ignore
    return main(["dataset", "synth", "--data", str(folder), "--identities", "4", "--out", str(folder / "set")])


def quick_model(request: GenerateRequest):
    yield Step(0, 1, "at work")
    names = (*request.names, *filter(None, [request.prompt]))
    yield Step(1, 1, "done", result=make_expressions(request.identity, names, request.seed))


def write_generate(folder: Path) -> int:
    os.environ[cache.VARIABLE] = str(folder / "cache")
    expression_cache.generate = quick_model
    quality.report = lambda identity, expressions: []  # measures heads that a model knows
    names = ["--expressions", ",".join(NAMES[:4]), "--prompt", "a sly grin", "--split", "train", "--seed", "7"]
    return main(["generate", str(folder / "in.expdiff"), "--out", str(folder / "p"), *names])


WRITERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], int]]] = {
    "person export": (before_person, write_person),
    "GLB export": (before_glb, write_glb),
    "project save": (before_save, write_save),
    "dataset synth": (before_nothing, write_synth),
    "generate": (before_person, write_generate),
}


# --- what is looked at -----------------------------------------------------------------------------------------------


def files_of(folder: Path) -> dict[str, str]:
    """Path -> digest of every file, temporary ones left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(is_temporary(part) for part in path.relative_to(folder).parts)
    }


def faults_after_kill(folder: Path, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What is wrong in `folder`: every file must be as before or as after, every expression wholly so, and what says
    that it is complete must be."""
    faults, now = [], files_of(folder)
    for name in {*before, *now}:
        manifest = Path(name).name in ("identity.json", "dataset.json")
        if not manifest and now.get(name) not in (before.get(name), after.get(name)):
            faults.append(f"{name} is neither old nor new")
        if name in before and name not in now:
            faults.append(f"{name} is gone")
    for expression in {str(Path(name).parent) for name in now if Path(name).name == "shape.npy"}:
        states = [{n: d for n, d in state.items() if n.startswith(expression + "/")} for state in (now, before, after)]
        if states[0] not in states[1:]:
            faults.append(f"{expression} is a mixture")
    for person in {Path(name).parent for name in now if Path(name).name == "identity.json"}:
        mine = [{n: d for n, d in state.items() if Path(n).is_relative_to(person)} for state in (now, before, after)]
        if jreflectance.is_complete(folder / person) and mine[0] not in mine[1:]:
            faults.append(f"{person} says that it is complete")
    if (folder / "set" / "dataset.json").exists() and json.loads((folder / "set" / "dataset.json").read_bytes())[
        "complete"
    ]:
        faults += [] if now == after else ["the data set says that it is complete"]
    opened = [(load_project, path) for path in folder.glob("[!.]*.expdiff")]
    opened += [(jreflectance.read, path.parent) for path in folder.glob("**/exp1")]
    opened += [(_read_cached, path) for path in (folder / "cache").glob("[!.]*.expression")]
    for read, path in opened:
        try:
            read(path)
        except EngineError as error:
            faults.append(str(error))
    return faults


def _read_cached(path: Path) -> None:
    with reading(path) as archive:
        archive.value(ExpressionSet, archive.get_json("set.json"), "expressions as kept")


@dataclass
class Row:
    """What the kills of one writer came to."""

    kills: int = 0
    ended_before: int = 0
    left_temporary: int = 0
    unfinished: int = 0
    faults: list[str] = field(default_factory=list)


def in_process(work: Callable[[Path], object], folder: Path, kill_after_s: float | None = None) -> tuple[object, bool]:
    """(answer of `work`, was it killed): run it in a process, which is killed that long after it began."""
    receiver, sender = FORK.Pipe(duplex=False)

    def run() -> None:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sender.send("begun")
        try:
            sender.send(work(folder))
        except Exception as error:
            sender.send([f"{type(error).__name__}: {error}"])

    process = FORK.Process(target=run)
    process.start()
    sender.close()
    receiver.recv()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        process.kill()
    try:
        answer = receiver.recv()
    except EOFError:
        answer = None
    process.join()
    return answer, process.exitcode == -9


def temporary_names(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if is_temporary(path.name)]


def reference(name: str, folder: Path) -> tuple[dict[str, str], dict[str, str], float]:
    """(files before, files after, seconds) of a run that nobody kills."""
    prepare, write = WRITERS[name]
    in_process(prepare, folder)
    before, started = files_of(folder), time.monotonic()
    answer, _ = in_process(write, folder)
    assert answer == 0, f"{name}: exit code {answer}"
    return before, files_of(folder), time.monotonic() - started


def kill_once(name: str, folder: Path, row: Row, told: tuple[dict, dict, float], share: float) -> None:
    before, after, seconds = told
    prepare, write = WRITERS[name]
    in_process(prepare, folder)
    _, killed = in_process(write, folder, seconds * share)
    row.kills += 1
    row.ended_before += not killed
    row.left_temporary += bool(temporary_names(folder))
    row.unfinished += files_of(folder) != after
    faults, _ = in_process(lambda place: faults_after_kill(place, before, after), folder)
    row.faults += faults if isinstance(faults, list) else []
    answer, _ = in_process(write, folder)
    if answer != 0:
        row.faults.append(f"run again: exit code {answer}")
    if (now := files_of(folder)) != after:
        row.faults.append(
            f"run again: other bytes in {sorted(n for n in {*now, *after} if now.get(n) != after.get(n))}"
        )
    row.faults += [f"{left} is left" for left in temporary_names(folder)]


def run(kills: int, seed: int) -> int:
    """Kill that often, the writers in turn; print the table and return the exit code."""
    chance, rows = random.Random(seed), {name: Row() for name in WRITERS}
    with tempfile.TemporaryDirectory(prefix="kill-writers-") as place:
        told = {}
        for name in WRITERS:
            (folder := Path(place, name.replace(" ", "-"))).mkdir()
            told[name] = reference(name, folder)
        for number in range(kills):
            name = list(WRITERS)[number % len(WRITERS)]
            with tempfile.TemporaryDirectory(dir=place) as folder:
                kill_once(name, Path(folder), rows[name], told[name], chance.uniform(0, 1.05))
    print(
        "| writer | s | kills | ended before | left a temporary name | not finished | faults after, and after a rerun |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    for name, row in rows.items():
        counts = (row.kills, row.ended_before, row.left_temporary, row.unfinished, len(row.faults))
        print(f"| {name} | {told[name][2]:.2f} | " + " | ".join(map(str, counts)) + " |")
    faults = [f"{name}: {fault}" for name, row in rows.items() for fault in row.faults]
    print("\n".join(faults[:20]), file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(run(options.kills, options.seed))
