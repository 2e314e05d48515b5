"""Generation time and memory here, and of a network of Stable Diffusion 1.5's size: same machine, threads and device.

    python -m benchmarks.generate_speed [PATH] [--device auto] [--model FOLDER] [--rounds 3] [--no-peer]

PATH is any neutral head the program opens (default: builtin). Each side runs in a fresh process, one after the other,
so that loading is cold and peak memory its own. Prints one table in Markdown. Times are medians of the rounds after
a warm-up, 31 expressions are made once. The peer is a stand-in: the architecture of Stable Diffusion 1.5 in plain
torch with random weights (`benchmarks/peers/stable_diffusion.py`), one network step and one decode measured, the rest
derived.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from engine.diffusion.generate import generate
from engine.diffusion.request import GenerateRequest
from engine.errors import EngineError
from engine.identity import Identity
from engine.open import open_project
from engine.vocabulary import EXPRESSIONS, NAMES

ONE = ("Jaw Open",)
ALL = NAMES[1:]
STEPS = (4, 1)
SD_USUAL = 20
"""Steps that Stable Diffusion is commonly run at, with guidance: two network evaluations each."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; times in seconds, None where there is no such thing."""

    steps: int
    preview_s: float | None
    one_s: float
    all_s: float
    maps_s: float | None = None
    """Network and decoder alone for all, maps left on the device."""
    peak_mib: float = math.nan
    """Of a process that makes all once."""


@dataclass(frozen=True, slots=True)
class Program:
    """What this program needed."""

    model: str
    person: str
    device: str
    threads: int
    torch: str
    load_s: float
    """Importing torch, reading and checking the weights: once a process."""
    neutral_s: float
    """Bringing the neutral into the canonical space and encoding it: once a person."""
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Peer:
    """What the peer needed."""

    million: float
    """Parameters of both networks."""
    load_s: float
    """Importing torch and filling the networks with random numbers."""
    step_s: float
    decode_s: float
    peak_mib: float

    def row(self, steps: int, evaluations: int = 1) -> Row:
        """One picture a time, as its memory asks on a small machine: steps, then a decode."""
        one = steps * evaluations * self.step_s + self.decode_s
        return Row(steps, None, one, len(ALL) * one, peak_mib=self.peak_mib)


def measure_program(path: str, device: str, model: Path | None, rounds: int) -> Program:
    """Time generation of this program; everything that `generate` raises."""
    identity = open_project(path).identity
    make = partial(_timed, identity, device, model)
    load_s, neutral_s, source = _cold(identity, device, model)
    rows = []
    for steps in STEPS:
        make(ONE, steps)  # warm-up
        times = [make(ONE, steps) for _ in range(rounds)]
        previews = [preview for preview, _ in times if preview is not None]
        preview = statistics.median(previews) if previews else None
        one_s, all_s = statistics.median(done for _, done in times), make(ALL, steps)[1]
        rows.append(Row(steps, preview, one_s, all_s, _maps_s(identity, device, model, steps, rounds)))
    import torch

    from engine.diffusion.device import use_device

    where = use_device(device)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else processor()
    return Program(source, identity.name, name, torch.get_num_threads(), torch.__version__, load_s, neutral_s, rows)


def measure_memory(path: str, device: str, model: Path | None, steps: int) -> float:
    """Peak resident memory in MiB of this fresh process, which makes all expressions once; what `generate` raises."""
    _timed(open_project(path).identity, device, model, ALL, steps)
    return peak()


def _cold(identity: Identity, device: str, model: Path | None) -> tuple[float, float, str]:
    """Seconds to load the model and to read the neutral in this fresh process, and the model's name."""
    marks, source = [], ""
    for step in generate(GenerateRequest(identity, ONE, steps=1, device=device, model=model)):
        marks.append(time.perf_counter())
        if step.result is not None:
            source = step.result.expressions[0].provenance.source
    return marks[1] - marks[0], marks[2] - marks[1], source


def _timed(
    identity: Identity, device: str, model: Path | None, names: tuple[str, ...], steps: int
) -> tuple[float | None, float]:
    """Seconds to the first preview (None where none comes) and to the result."""
    start = time.perf_counter()
    preview = None
    for step in generate(GenerateRequest(identity, names, steps=steps, device=device, model=model)):
        if preview is None and step.preview is not None:
            preview = time.perf_counter() - start
    return preview, time.perf_counter() - start


def _maps_s(identity: Identity, device: str, model: Path | None, steps: int, rounds: int) -> float:
    """Seconds for the maps of all expressions on the device, the neutral read before: what a network alone is."""
    import torch

    from engine.diffusion.evaluation.entrants import pure_strengths
    from engine.diffusion.generate import model_for, read_neutral

    loaded = model_for(model, device)
    neutral, noise = read_neutral(loaded, identity), loaded.noise("speed")
    cuda = loaded.device.type == "cuda"
    rows, at_once = list(range(1, len(NAMES))), len(ALL) if cuda else 2
    strengths = pure_strengths(rows, loaded.device)
    prompts = [EXPRESSIONS[row].prompt for row in rows]

    def make() -> None:
        for at in range(0, len(rows), at_once):
            part = slice(at, at + at_once)
            *_, (latent, _) = loaded.sample(neutral, strengths[part], prompts[part], noise, steps)
            loaded.decode_coarse(latent, neutral)  # as `generate` does where folds are drawn

    with torch.inference_mode():
        return _median(make, torch.cuda.synchronize if cuda else _nothing, rounds)


def measure_peer(device: str, rounds: int) -> Peer:
    """Time one step and one decode of the stand-in at a 64 x 64 latent (a 512 x 512 picture), in single precision."""
    start = time.perf_counter()
    import torch

    from benchmarks.peers.stable_diffusion import TEXT_LENGTH, TEXT_WIDTH, Decoder, UNet, parameters_of
    from engine.diffusion.device import use_device

    where = use_device(device)
    with where:
        denoiser, decoder = UNet().eval(), Decoder().eval()
    load_s = time.perf_counter() - start
    latent = torch.randn(1, 4, 64, 64, device=where)
    text = torch.randn(1, TEXT_LENGTH, TEXT_WIDTH, device=where)
    moment = torch.full((1,), 500.0, device=where)
    finish = torch.cuda.synchronize if where.type == "cuda" else _nothing
    with torch.inference_mode():
        step_s = _median(lambda: denoiser(latent, moment, text), finish, rounds)
        decode_s = _median(lambda: decoder(latent), finish, rounds)
    million = (parameters_of(denoiser) + parameters_of(decoder)) / 1e6
    return Peer(million, load_s, step_s, decode_s, peak())


def _nothing() -> None:
    """A CPU has finished when it returns."""


def _median(work: Callable[[], object], finish: Callable[[], None], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        work()
        finish()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])  # the first is the warm-up


def peak() -> float:
    """Peak resident memory of this process in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(program: Program, peer: Peer | None) -> str:
    """Both sides in Markdown."""

    def line(name: str, row: Row, load_s: float) -> str:
        preview, maps = ("-" if value is None else f"{value:.2f}" for value in (row.preview_s, row.maps_s))
        times = f"{preview} | {row.one_s:.2f} | {row.all_s:.1f} | {maps}"
        return f"| {name} | {row.steps} | {times} | {load_s:.1f} | {row.peak_mib:.0f} |"

    lines = [
        f"{program.device}, {program.threads} threads, torch {program.torch}; head: {program.person}; {program.model}",
        "",
        f"| | steps | first preview s | one s | {len(ALL)} s | of it network s | load s | peak RSS MiB |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [line("ExpDiff Studio", row, program.load_s) for row in program.rows]
    notes = [f"Once a person: {program.neutral_s:.2f} s to read the neutral face."]
    if peer is not None:
        name = "SD-1.5-size stand-in"
        shown = [(name, peer.row(steps)) for steps in STEPS] + [(f"{name}, guided", peer.row(SD_USUAL, 2))]
        lines += [line(label, row, peer.load_s) for label, row in shown]
        notes.append(
            f"Stand-in: Stable Diffusion 1.5's U-Net and decoder with random weights ({peer.million:.0f} M parameters, "
            f"float32), no text encoder. Measured: one network step {peer.step_s:.2f} s, one decode to 512 x 512 "
            f"{peer.decode_s:.2f} s; its rows are steps x evaluations x step + decode, for one RGB picture, where ours "
            "is offsets and nine channels of 512 x 512."
        )
    return "\n".join([*lines, "", *notes])


def main() -> int:
    """Measure both sides, each in a fresh process, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.generate_speed", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("path", nargs="?", default="builtin", metavar="PATH")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--model", type=Path, default=None, metavar="FOLDER", help="default: the program's own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    fresh = partial(ProcessPoolExecutor, 1, mp_context=get_context("spawn"))
    try:
        with fresh() as process:
            program = process.submit(
                measure_program, options.path, options.device, options.model, options.rounds
            ).result()
        asked = options.path, options.device, options.model
        for number, row in enumerate(program.rows):
            with fresh() as process:
                peak_mib = process.submit(measure_memory, *asked, row.steps).result()
            program.rows[number] = replace(row, peak_mib=peak_mib)
    except EngineError as error:
        print(f"generate_speed: error: {error}", file=sys.stderr)
        return 1
    peer = None
    if not options.no_peer:
        with fresh() as process:
            peer = process.submit(measure_peer, options.device, options.rounds).result()
    print(table(program, peer))
    # what else worked meanwhile shows here: more than the threads above at the end, and the times are too long
    print(f"\nLoad average at the start {load:.1f}, at the end {os.getloadavg()[0]:.1f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
