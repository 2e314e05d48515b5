"""Damaged inputs through every reader, in processes that may die of them, with a table of what became of them.

    python -m scripts.fuzz_readers --count 5000 [--seed 0] [--only "person folder"] [--keep DIR]

An input passes where it is read, or refused by the program's own error. It fails with any other exception, words on
stderr that are not the program's, more than 10 s of work or five minutes of waiting, more than 1 GB, or a file written
beside it; `--keep` keeps those.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.checks import one_line
from engine.errors import EngineError
from tests.data import FFHQ_UV, ICT
from tests.mutations import damage
from tests.readers import READERS, THIRD_PARTY, Reader

WORK_S, WAIT_S, BYTES = 10, 300.0, 10**9
AT_ONCE = 30
"""Inputs in one process."""
PROGRAM_BYTES = 125 * 2**20
"""What `expdiff info` takes before it reads anything."""
COLUMNS = ("read", "refused", "exception", "words", "slow", "large", "written", "killed")


def main() -> int:
    """Run as the module says; exit code 1 where an input failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=5000, help="inputs in all (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the reader of this name alone")
    parser.add_argument("--keep", type=Path, help="folder for inputs that failed")
    options = parser.parse_args()
    _load_modules()
    readers = READERS + (THIRD_PARTY if ICT.is_dir() and FFHQ_UV.is_dir() else ())
    readers = tuple(reader for reader in readers if options.only in ("", reader.name))
    table: dict[str, Counter[str]] = {reader.name: Counter() for reader in readers}
    with tempfile.TemporaryDirectory(prefix="expdiff-fuzz-") as name:
        place = Path(name)
        for reader in readers:
            _in_child(lambda reader=reader: _make(reader, place / reader.name.replace(" ", "-")))
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):  # what is done by then is told
            _try_all(readers, options, place, table)
    _print(table)
    return int(any(row[column] for row in table.values() for column in COLUMNS[2:]))


def _try_all(
    readers: tuple[Reader, ...], options: argparse.Namespace, place: Path, table: dict[str, Counter[str]]
) -> None:
    for first in range(0, options.count, AT_ONCE):
        left = list(range(first, min(first + AT_ONCE, options.count)))
        while left:
            told, end = _in_child(lambda left=left: _try_each(readers, place, options, left))
            if len(told) < len(left):
                told.append({"verdict": end, "line": "", "peak": 0, "ms": 0})
            for number, one in zip(left, told, strict=False):
                reader = readers[number % len(readers)]
                row = table[reader.name]
                row[one["verdict"]] += 1
                row["peak"], row["ms"] = max(row["peak"], one["peak"]), max(row["ms"], one["ms"])
                if one["verdict"] not in ("read", "refused"):
                    print(f"{reader.name}, input {number}: {one['verdict']}: {one['line']}", flush=True)
            left = left[len(told) :]
        print(f"{min(first + AT_ONCE, options.count)} inputs", file=sys.stderr, flush=True)


def _load_modules() -> None:
    """What every child would load by itself, again and again."""
    for name in ("open", "diffusion.checkpoint", "diffusion.config"):
        import_module(f"engine.{name}")
    torch.empty(1, device="meta").normal_()


def _print(table: dict[str, Counter[str]]) -> None:
    print("| reader | inputs | " + " | ".join(COLUMNS) + " | longest s | peak MB |")
    print("|---|" + "--:|" * (len(COLUMNS) + 3))
    total: Counter[str] = Counter()
    for name, row in [*table.items(), ("all", total)]:
        inputs = sum(row[column] for column in COLUMNS)
        cells = [str(row[column]) for column in COLUMNS]
        print(f"| {name} | {inputs} | " + " | ".join(cells) + f" | {row['ms'] / 1000:.1f} | {row['peak'] // 10**6} |")
        if row is not total:
            total.update({column: row[column] for column in COLUMNS})
            total["ms"], total["peak"] = max(total["ms"], row["ms"]), max(total["peak"], row["peak"])


def _make(reader: Reader, folder: Path) -> Iterator[dict[str, Any]]:
    os.environ["EXPDIFF_CACHE"] = str(folder.parent / "cache")
    folder.mkdir()
    (folder.parent / f"{folder.name}.path").write_text(str(reader.make(folder).relative_to(folder)))
    yield {}


def _try_each(
    readers: tuple[Reader, ...], place: Path, options: argparse.Namespace, numbers: list[int]
) -> Iterator[dict[str, Any]]:
    """In a child: what became of each input."""
    warnings.simplefilter("error")
    base = _memory_bytes("VmRSS")  # with torch, which `expdiff info` does not load
    for number in numbers:
        reader, rng = readers[number % len(readers)], np.random.default_rng([options.seed, number])
        target, what = _damaged(reader, place, rng)
        before = _listing(place)
        Path("/proc/self/clear_refs").write_text("5")  # the most memory begins anew
        signal.setitimer(signal.ITIMER_PROF, WORK_S)  # a clock says more of the machine than of us
        start = time.process_time()
        one = _read(reader, target, place / "elsewhere")
        signal.setitimer(signal.ITIMER_PROF, 0)
        one |= {"ms": round(1000 * (time.process_time() - start)), "line": f"{what}: {one['line']}"}
        one["peak"] = _memory_bytes("VmHWM") - base + PROGRAM_BYTES
        if one["verdict"] in ("read", "refused"):
            large, written = one["peak"] > BYTES, _listing(place) != before
            one["verdict"] = "large" if large else "written" if written else one["verdict"]
        if options.keep and one["verdict"] not in ("read", "refused"):
            shutil.copytree(place / "bad", options.keep / f"{reader.name}-{number}", symlinks=True)
        yield one


def _damaged(reader: Reader, place: Path, rng: np.random.Generator) -> tuple[Path, str]:
    """What is to be read in a fresh `place`/bad, and what was done to it."""
    good, bad = place / reader.name.replace(" ", "-"), place / "bad"
    for folder in (bad, place / "elsewhere", place / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, bad)
    (place / "elsewhere").mkdir()
    target = bad / (place / f"{good.name}.path").read_text()
    files = [path for path in sorted(place.rglob("*/*.*")) if path.is_file()]
    others = [files[int(rng.integers(len(files)))].read_bytes() for _ in range(3)]
    return target, damage(target, [*others, b"hello"], rng)


def _listing(place: Path) -> list[tuple[str, int]]:
    """Every file but those of the cache, which is there to be written."""
    paths = (path for path in place.rglob("*") if "cache" not in path.parts)
    return sorted((str(path), path.lstat().st_size) for path in paths)


def _read(reader: Reader, target: Path, elsewhere: Path) -> dict[str, Any]:
    """Read, and say what became of it: words on standard error are a failure of their own."""
    os.chdir(elsewhere)
    shown = os.dup(2)
    with tempfile.TemporaryFile() as words:
        os.dup2(words.fileno(), 2)
        try:
            reader.read(target)
            verdict, line = "read", ""
        except EngineError as error:
            verdict, line = "refused", one_line(error)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            verdict, line = "exception", f"{error!r} at {Path(where.filename).name}:{where.lineno}"
        finally:
            os.dup2(shown, 2)
            os.close(shown)
        words.seek(0)
        said = words.read(500).decode("utf-8", "replace")
    if said and verdict != "exception":
        verdict, line = "words", " ".join(said.split())
    return {"verdict": verdict, "line": line}


def _memory_bytes(line: str) -> int:
    """A line of this process's status: VmRSS is its memory now, VmHWM the most that it had."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(each for each in status.splitlines() if each.startswith(line)).split()[1])


def _in_child(work: Callable[[], Iterator[dict[str, Any]]]) -> tuple[list[dict[str, Any]], str]:
    """What `work` yields in a forked child, and how that ended where it yielded too little: slow or killed."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiver)
            for one in work():
                os.write(sender, json.dumps(one).encode() + b"\n")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(sender)
    data, waiting = b"", True
    while waiting:
        ready, _, _ = select.select([receiver], [], [], WAIT_S)
        part = os.read(receiver, 1 << 16) if ready else b""
        data, waiting = data + part, bool(part)
        if not ready:
            os.kill(child, signal.SIGKILL)
    os.close(receiver)
    _, status = os.waitpid(child, 0)
    slow = not ready or (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF)
    return [json.loads(line) for line in data.splitlines()], "slow" if slow else "killed"


if __name__ == "__main__":
    sys.exit(main())
