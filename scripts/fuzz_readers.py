"""Damaged inputs through every reader, each in a process of its own, with a table of what became of them.

    python -m scripts.fuzz_readers --count 5000 [--seed 0] [--only "person folder"] [--keep DIR]

An input passes where it is read, or refused by the program's own error. It fails with any other exception, words on
stderr that are not the program's, more than 10 s of work or five minutes of waiting, more than 1 GB, or a file written
beside it; `--keep` keeps those.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
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
        for number in range(options.count):
            reader = readers[number % len(readers)]
            verdict, line, peak, seconds = _try(reader, place, [options.seed, number])
            row = table[reader.name]
            row[verdict] += 1
            row["peak"] = max(row["peak"], peak)
            row["ms"] = max(row["ms"], round(1000 * seconds))
            if number % 250 == 249:
                print(f"{number + 1} inputs", file=sys.stderr, flush=True)
            if verdict not in ("read", "refused"):
                print(f"{reader.name}, input {number}: {verdict}: {line}", flush=True)
                if options.keep:
                    shutil.copytree(place / "bad", options.keep / f"{reader.name}-{number}", symlinks=True)
    _print(table)
    return int(any(row[column] for row in table.values() for column in COLUMNS[2:]))


def _load_modules() -> None:
    """What every child would load by itself, again and again."""
    for name in ("io.scan", "io.ffhq_uv", "io.ict", "io.project", "diffusion.checkpoint", "diffusion.config"):
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


def _make(reader: Reader, folder: Path) -> dict[str, Any]:
    os.environ["EXPDIFF_CACHE"] = str(folder.parent / "cache")
    folder.mkdir()
    (folder.parent / f"{folder.name}.path").write_text(str(reader.make(folder).relative_to(folder)))
    return {}


def _try(reader: Reader, place: Path, seed: list[int]) -> tuple[str, str, int, float]:
    """(one of `COLUMNS`, what was said, most memory in bytes, seconds) of one damaged input, made at `place`/bad."""
    good, bad, elsewhere = place / reader.name.replace(" ", "-"), place / "bad", place / "elsewhere"
    for folder in (bad, elsewhere, place / "cache"):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(good, bad)
    elsewhere.mkdir()
    target = bad / (place / f"{good.name}.path").read_text()
    rng = np.random.default_rng(seed)
    files = [path for folder in place.glob("*") for path in folder.glob("*.*") if path.is_file()]
    others = [files[int(rng.integers(len(files)))].read_bytes() for _ in range(3)]
    what = damage(target, [*others, b"hello"], rng)
    before = _listing(place)
    told, seconds, ended = _in_child(lambda: _read(reader, target, elsewhere))
    if told is None:
        return "slow" if seconds > WORK_S - 1 or not ended else "killed", what, 0, seconds
    verdict, line, peak = told["verdict"], f"{what}: {told['line']}", told["peak"]
    if verdict in ("read", "refused"):
        if told["words"]:
            verdict, line = "words", f"{what}: {told['words']}"
        elif peak > BYTES:
            verdict = "large"
        elif _listing(place) != before:
            verdict = "written"
    return verdict, line, peak, seconds


def _listing(place: Path) -> list[tuple[str, int]]:
    """Every file but those of the cache, which is there to be written."""
    paths = (path for path in place.rglob("*") if "cache" not in path.parts)
    return sorted((str(path), path.lstat().st_size) for path in paths)


def _read(reader: Reader, target: Path, elsewhere: Path) -> dict[str, Any]:
    """In the child: read, and say what became of it."""
    before = _memory_bytes("VmRSS")  # with torch, which `expdiff info` does not load
    os.chdir(elsewhere)
    os.environ["EXPDIFF_CACHE"] = str(elsewhere.parent / "cache")
    with tempfile.TemporaryFile() as words:
        os.dup2(words.fileno(), 2)
        warnings.simplefilter("error")
        try:
            reader.read(target)
            verdict, line = "read", ""
        except EngineError as error:
            verdict, line = "refused", one_line(error)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            verdict, line = "exception", f"{error!r} at {Path(where.filename).name}:{where.lineno}"
        peak = _memory_bytes("VmHWM") - before + PROGRAM_BYTES
        words.seek(0)
        said = words.read(500).decode("utf-8", "replace")
    return {"verdict": verdict, "line": line, "peak": peak, "words": " ".join(said.split())}


def _memory_bytes(line: str) -> int:
    """A line of this process's status: VmRSS is its memory now, VmHWM the most that it had."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(each for each in status.splitlines() if each.startswith(line)).split()[1])


def _in_child(work: Any) -> tuple[dict[str, Any] | None, float, bool]:
    """What `work` returns in a forked child, None where there is nothing; its seconds of work; did it end by itself?"""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(receiver)
            resource.setrlimit(resource.RLIMIT_CPU, (WORK_S, WORK_S))  # a clock says more of the machine than of us
            os.write(sender, json.dumps(work()).encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(sender)
    ready, _, _ = select.select([receiver], [], [], WAIT_S)
    data = b""
    while ready and (part := os.read(receiver, 1 << 16)):
        data += part
    if not ready:
        os.kill(child, signal.SIGKILL)
    os.close(receiver)
    _, _, usage = os.wait4(child, 0)
    return json.loads(data) if data else None, usage.ru_utime + usage.ru_stime, bool(ready)


if __name__ == "__main__":
    sys.exit(main())
