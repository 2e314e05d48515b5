"""Frame time of one head here and in f3d, VTK and three.js: same head, light, camera path and driver, in turns.

    python benchmarks/render_speed.py [HEAD] [--size 1280x720] [--frames 20] [--rounds 2]
                                      [--peers-python PYTHON] [--three FOLDER]

HEAD is anything the program opens (default: builtin). f3d and VTK run under PYTHON, three.js (FOLDER holds its npm
package) in a Chromium found on the path, on Mesa's rasteriser. A peer that is not there says so in its row. Every frame
turns the camera by 2 degrees and waits until the picture is done; the table gives medians over all rounds. "drag" is a
frame in which one of four active sliders moves, over the frames before, here alone: no peer blends maps.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.drag_steps import dragged, with_expressions
from engine.export import export_glb
from engine.io.open import open_project
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.environment import equirect_radiance
from engine.render.renderer import Renderer

STEP_RAD = math.radians(2.0)
HERE = Path(__file__).parent / "peers"


@dataclass(frozen=True, slots=True)
class Job:
    """What every renderer gets."""

    project: Project
    folder: Path
    """Holds head.glb, light.hdr and job.json."""
    size: tuple[int, int]
    frames: int


@dataclass(frozen=True, slots=True)
class Times:
    """What one renderer needed in one round."""

    first_s: float
    """From a new process or renderer to the first picture; the head is in memory here, in a file elsewhere."""
    frames_ms: list[float]
    driver: str
    drag_ms: list[float] = field(default_factory=list)
    """With four expressions on: the camera still, one slider moving."""


def prepare(head: str, folder: Path, size: tuple[int, int], frames: int) -> Job:
    """Open `head` and write what the peers read."""
    import OpenImageIO as oiio

    project = open_project(head)
    export_glb(project, folder / "head.glb")
    radiance = equirect_radiance(project.scene.environment.name)
    output = oiio.ImageOutput.create(str(folder / "light.hdr"))
    assert output is not None
    output.open(str(folder / "light.hdr"), oiio.ImageSpec(radiance.shape[1], radiance.shape[0], 3, oiio.FLOAT))
    output.write_image(np.ascontiguousarray(radiance))
    output.close()
    camera = project.scene.camera
    key = project.scene.key_light
    job = {
        "width": size[0],
        "height": size[1],
        "frames": frames,
        "target": camera.target_m,
        "distance": camera.distance_m,
        "fov_deg": math.degrees(camera.vertical_fov_rad),
        "step_rad": STEP_RAD,
        "key_yaw": key.yaw_rad,
        "key_pitch": key.pitch_rad,
        "key_irradiance": key.irradiance,
    }
    (folder / "job.json").write_text(json.dumps(job))
    return Job(project, folder, size, frames)


def run_here(job: Job) -> Times:
    """This program's renderer."""
    start = time.perf_counter()
    context = standalone_context()
    renderer = Renderer(context)
    color, depth = context.renderbuffer(job.size, 4), context.depth_renderbuffer(job.size)
    target = context.framebuffer([color], depth)
    frames = []
    first = 0.0
    for number in range(job.frames + 2):
        camera = replace(job.project.scene.camera, yaw_rad=number * STEP_RAD)
        scene = replace(job.project.scene, camera=camera)
        begin = time.perf_counter()
        renderer.draw(replace(job.project, scene=scene), target, job.size)
        context.finish()
        frames.append((time.perf_counter() - begin) * 1000)
        if number == 0:
            first = time.perf_counter() - start
    drag = []
    project = with_expressions(job.project)
    renderer.draw(project, target, job.size)
    for number in range(job.frames + 2):
        begin = time.perf_counter()
        renderer.draw(dragged(project, number), target, job.size, moving=True)
        context.finish()
        drag.append((time.perf_counter() - begin) * 1000)
    driver = context.info["GL_RENDERER"]
    renderer.idle.use()
    for made in (target, color, depth, renderer):
        made.release()
    context.release()
    return Times(first, frames[2:], driver, drag[2:])


def run_python_peer(script: str, python: str, job: Job) -> Times | str:
    """f3d or VTK under another interpreter; a sentence where that cannot be done."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    command = [python, str(HERE / script), str(job.folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    return _times_from(result.stdout, result.stderr)


def _times_from(output: str, problem: str) -> Times | str:
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if lines:
        return Times(**json.loads(lines[-1].removeprefix("RESULT ")))
    if "ModuleNotFoundError" in problem:
        return "not installed"
    return "failed: " + (problem.strip().splitlines() or ["no output"])[-1][:100]


def run_three(folder: str, job: Job) -> Times | str:
    """three.js in headless Chromium through ANGLE on the system's OpenGL; a sentence where that cannot be done."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    library = Path(folder) / "node_modules" / "three"
    if browser is None or not library.is_dir():
        return "not installed"
    shutil.copy(HERE / "three.html", job.folder / "three.html")
    if not (job.folder / "three").exists():
        (job.folder / "three").symlink_to(library.resolve())
    done = threading.Event()
    received: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(200)
            self.end_headers()
            done.set()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(job.folder))
    ) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [browser, "--headless=new", "--no-sandbox", "--use-gl=angle", "--use-angle=gl-egl"]
            command += ["--ignore-gpu-blocklist", "--disable-frame-rate-limit", "--disable-gpu-vsync"]
            command += [f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/three.html"]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            arrived = done.wait(timeout=180)
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=20)
        server.shutdown()
    return _times_from(received[0], received[0]) if arrived else "failed: no answer within 180 s"


def main() -> None:
    """Run all renderers in turns and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("head", nargs="?", default="builtin")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--three", default=".")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(options.head, Path(folder), (width, height), options.frames)
        runners: dict[str, Callable[[], Times | str]] = {
            "ExpDiff Studio": lambda: run_here(job),
            "three.js": lambda: run_three(options.three, job),
            "f3d": lambda: run_python_peer("f3d_peer.py", options.peers_python, job),
            "VTK": lambda: run_python_peer("vtk_peer.py", options.peers_python, job),
        }
        results: dict[str, list[Times | str]] = {name: [] for name in runners}
        for _ in range(options.rounds):
            for name, run in runners.items():
                results[name].append(run())
    print_table(results, job)


def print_table(results: dict[str, list[Times | str]], job: Job) -> None:
    """One row per renderer."""
    faces = len(job.project.identity.topology.faces)
    print(f"{job.project.identity.name}: {faces} triangles, {job.size[0]} x {job.size[1]}, {os.cpu_count()} processors")
    print(f"{'':16}{'median ms':>10}{'p95 ms':>10}{'first s':>10}{'drag':>8}  driver")
    for name, rounds in results.items():
        good = [times for times in rounds if isinstance(times, Times)]
        if not good:
            print(f"{name:16}{rounds[-1]}")
            continue
        frames = sorted(frame for times in good for frame in times.frames_ms)
        late = frames[min(int(len(frames) * 0.95), len(frames) - 1)]
        first = statistics.median(times.first_s for times in good)
        drags = [drag for times in good for drag in times.drag_ms]
        ratio = f"{statistics.median(drags) / statistics.median(frames):.2f} x" if drags else "-"
        print(f"{name:16}{statistics.median(frames):10.1f}{late:10.1f}{first:10.2f}{ratio:>8}  {good[-1].driver}")


if __name__ == "__main__":
    main()
