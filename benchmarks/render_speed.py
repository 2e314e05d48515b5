"""Frame time of one head here and in f3d, VTK and three.js: same head, light, camera path and driver, in turns.

    python -m benchmarks.render_speed [HEAD] [--size 1280x720] [--frames 20] [--rounds 2] [--truth] [--pictures FOLDER]
                                      [--peers-python PYTHON] [--three FOLDER]

HEAD is anything the program opens (default: builtin); it is drawn neutral, under the light of a new scene. f3d and VTK
run under PYTHON, three.js (FOLDER holds its npm package) in a Chromium found on the path, on Mesa's rasteriser. A peer
that is not there says so in its row. Every frame turns the camera by 2 degrees and waits until the picture is done; the
table gives medians over all rounds. "drag" is a frame in which one of four active sliders moves, over the frames
before, here alone: no peer blends maps.

With --truth a second table sets quality beside time: how far the first frame is from the path tracer's picture of the
same head and light (PSNR, bias and FLIP of `benchmarks.difference`, over the skin), drawn as in the timed frames but
without a tone curve. In the path tracer, as in every peer, no light enters the skin: what is compared here is the frame
without scattering, whose time stands in a row of its own below that of the frame as the window draws it. --pictures
keeps the pictures.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import importlib
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.difference import Difference, compare
from benchmarks.drag_steps import dragged, with_expressions
from benchmarks.peers.path_tracer import Light, mitsuba, trace
from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.export import export_glb
from engine.io.images import read_rgb, write_png
from engine.open import open_project
from engine.project import Project
from engine.render.camera import direction
from engine.render.context import standalone_context
from engine.render.environment import equirect_radiance
from engine.render.renderer import Renderer
from engine.render.sources import lights_of
from engine.scene import Environment, Scene, ToneCurve, View, scene_with

STEP_RAD = math.radians(2.0)
HERE = Path(__file__).parent / "peers"
BOUNCES = 5
TRUTH_SAMPLES = 2048
"""A pixel: its noise is a FLIP of about 0.01."""
VTK_GAMMA = 2.2
"""What VTK and f3d encode light with, in place of sRGB's curve."""


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
    new_light_s: float | None = None
    """From another environment, a file of 4096 x 2048, to its first picture in the same renderer."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One renderer, or one way of drawing with it."""

    name: str
    run: Callable[[], Times | str]
    picture: str = ""
    """Name in the job's folder of what `run` draws there for the truth: the first frame, without a tone curve."""
    lacks: str = ""
    """Of the scene's light and maps."""
    gamma: float | None = None
    """What the picture is encoded with; None for sRGB's curve."""


def write_hdr(path: Path, radiance: np.ndarray) -> None:
    """(H, W, 3) float32 linear radiance as a Radiance file."""
    import OpenImageIO as oiio

    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    output.open(str(path), oiio.ImageSpec(radiance.shape[1], radiance.shape[0], 3, oiio.FLOAT))
    output.write_image(np.ascontiguousarray(radiance))
    output.close()


def prepare(head: str, folder: Path, size: tuple[int, int], frames: int) -> Job:
    """Open `head` and write what the peers read."""
    opened = open_project(head)
    camera = replace(opened.scene.view.camera, yaw_rad=0.0, pitch_rad=0.0)
    project = replace(opened, weights={}, scene=Scene(View(camera)))
    export_glb(project, folder / "head.glb")
    radiance = as_peers_turn(equirect_radiance(project.scene.environment.name))
    write_hdr(folder / "light.hdr", radiance)
    key, maps = project.scene.key_light, project.identity.maps
    root = math.sqrt(maps.specular_data.mean() / 255 * project.identity.specular_f0_scale)
    job = {
        "width": size[0],
        "height": size[1],
        "frames": frames,
        "target": camera.target_m,
        "distance": camera.distance_m,
        "fov_deg": math.degrees(camera.vertical_fov_rad),
        "step_rad": STEP_RAD,
        "key_towards": direction(key.yaw_rad, key.pitch_rad).tolist(),
        "key_irradiance": [key.irradiance * value for value in key.color_linear],
        "ior": (1 + root) / (1 - root),  # of a peer without specular map: that of the map's mean F0
    }
    (folder / "job.json").write_text(json.dumps(job))
    return Job(project, folder, size, frames)


def as_peers_turn(radiance: np.ndarray) -> np.ndarray:
    """(H, W, 3) of `engine.render.environment` as three.js, VTK and f3d take it: +X, not -Z, in the middle."""
    return np.roll(radiance, -(radiance.shape[1] // 4), axis=1)


def run_here(job: Job, picture: str = "", *, scattering: bool = True) -> Times:
    """This program's renderer; with `picture` it is drawn, with none a slider is dragged."""
    start = time.perf_counter()
    context = standalone_context()
    renderer = Renderer(context)
    color, depth = context.renderbuffer(job.size, 4), context.depth_renderbuffer(job.size)
    target = context.framebuffer([color], depth)
    still = replace(job.project.scene, scattering=scattering)
    frames = []
    first = 0.0
    for number in range(job.frames + 2):
        scene = scene_with(still, camera=replace(still.view.camera, yaw_rad=number * STEP_RAD))
        begin = time.perf_counter()
        renderer.draw(replace(job.project, scene=scene), target, job.size)
        context.finish()
        frames.append((time.perf_counter() - begin) * 1000)
        if number == 0:
            first = time.perf_counter() - start
    drag, new_light_s = [], None
    if picture:
        scene = replace(still, tone_curve=ToneCurve.LINEAR)
        renderer.draw(replace(job.project, scene=scene), target, job.size, transparent=True)
        read = np.frombuffer(target.read(components=3, alignment=1), np.uint8)
        write_png(job.folder / picture, read.reshape(job.size[1], job.size[0], 3)[::-1])
    else:
        project = with_expressions(job.project)
        renderer.draw(project, target, job.size)
        for number in range(job.frames + 2):
            begin = time.perf_counter()
            renderer.draw(dragged(project, number), target, job.size, moving=True)
            context.finish()
            drag.append((time.perf_counter() - begin) * 1000)
        write_hdr(job.folder / "new.hdr", np.repeat(np.repeat(equirect_radiance("Overcast"), 8, axis=0), 8, axis=1))
        begin = time.perf_counter()
        scene = replace(still, environment=Environment(str(job.folder / "new.hdr")))
        renderer.draw(replace(job.project, scene=scene), target, job.size)
        context.finish()
        new_light_s = time.perf_counter() - begin
    driver = context.info["GL_RENDERER"]
    renderer.idle.use()
    for made in (target, color, depth, renderer):
        made.release()
    context.release()
    return Times(first, frames[2:], driver, drag[2:], new_light_s)


def run_python_peer(script: str, python: str, job: Job, *arguments: str) -> Times | str:
    """f3d or VTK under another interpreter; a sentence where that cannot be done."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    command = [python, str(HERE / script), str(job.folder), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    return _times_from(result.stdout, result.stderr)


def _times_from(output: str, problem: str) -> Times | str:
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if lines:
        return Times(**json.loads(lines[-1].removeprefix("RESULT ")))
    if "ModuleNotFoundError" in problem:
        return "not installed"
    return "failed: " + (problem.strip().splitlines() or ["no output"])[-1][:100]


def run_three(folder: str, job: Job, picture: str) -> Times | str:
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
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/picture":
                (job.folder / picture).write_bytes(body)
            else:
                received.append(body.decode())
                done.set()
            self.send_response(200)
            self.end_headers()

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


def entrants_of(job: Job, python: str, three: str) -> tuple[Entrant, ...]:
    """Who takes part, in the order of the table."""
    sky, plain = "shadows of the environment", "specular map"

    def python_peer(name: str, script: str, picture: str, lacks: str, *arguments: str) -> Entrant:
        run = functools.partial(run_python_peer, script, python, job, picture, *arguments)
        return Entrant(name, run, picture, lacks, VTK_GAMMA)

    return (
        Entrant("ExpDiff Studio", lambda: run_here(job)),
        Entrant(" no scattering", lambda: run_here(job, "here.png", scattering=False), "here.png", f"sharp {sky}"),
        Entrant("three.js", lambda: run_three(three, job, "three.png"), "three.png", sky),
        python_peer("f3d", "f3d_peer.py", "f3d.png", f"all shadows, {plain}"),
        python_peer("VTK", "vtk_peer.py", "vtk.png", f"all shadows, {plain}"),
        python_peer(" key shadow", "vtk_peer.py", "vtk_shadow.png", f"{sky}, {plain}", "shadow"),
    )


def main() -> None:
    """Run all renderers in turns and print one table, with --truth two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("head", nargs="?", default="builtin")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--three", default=".")
    parser.add_argument("--truth", action="store_true", help="compare the pictures with a path tracer's")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER", help="keep every renderer's picture and the truth")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        job = prepare(options.head, Path(folder), (width, height), options.frames)
        entrants = entrants_of(job, options.peers_python, options.three)
        results: dict[str, list[Times | str]] = {entrant.name: [] for entrant in entrants}
        for _ in range(options.rounds):
            for entrant in entrants:
                results[entrant.name].append(entrant.run())
        print_table(results, job)
        if options.truth:
            print("\n" + "\n".join(quality_table(entrants, results, *judged(job, entrants))))
        if options.pictures is not None:
            options.pictures.mkdir(parents=True, exist_ok=True)
            for picture in job.folder.glob("*.png"):
                shutil.copy(picture, options.pictures)


def judged(job: Job, entrants: Sequence[Entrant]) -> tuple[dict[str, Difference], str]:
    """How far each picture is from the path tracer's, which is written beside them, and what that is, or what is
    missing for it."""
    try:
        name = f"Mitsuba {mitsuba().__version__}"
        importlib.import_module("flip_evaluator")
    except ImportError as error:
        return {}, f"not measured: {error}; scripts/install '.[truth]'"
    scene = job.project.scene
    light = Light(lights_of(scene, ()), equirect_radiance(scene.environment.name))
    truth = trace(job.project, job.size, light, TRUTH_SAMPLES, bounces=BOUNCES)
    shown = np.clip(truth.light, 0, 1)  # as the pictures are
    write_png(job.folder / "truth.png", bytes_from_unit(srgb_from_linear(shown)))
    found = {}
    for entrant in entrants:
        picture = job.folder / entrant.picture
        if picture.is_file():
            found[entrant.name] = compare(linear_light(read_rgb(picture), entrant.gamma), shown, truth.inside)
    return found, f"{name}, {BOUNCES} bounces, {TRUTH_SAMPLES} samples a pixel, {truth.inside.sum()} pixels of skin"


def linear_light(encoded: np.ndarray, gamma: float | None) -> np.ndarray:
    """(H, W, 3) uint8 -> float32 linear light; `gamma` as `Entrant.gamma`."""
    unit = encoded.astype(np.float32) / 255
    return linear_from_srgb(unit) if gamma is None else unit**gamma


def quality_table(
    entrants: Sequence[Entrant], results: Mapping[str, list[Times | str]], found: Mapping[str, Difference], truth: str
) -> list[str]:
    """Quality beside median time, a line per renderer; "-" where there is no time or nothing to compare."""
    lines = [f"Against a path tracer ({truth})", f"{'':16}{'median ms':>10}{'FLIP':>8}{'PSNR dB':>9}{'bias':>9}  lacks"]
    for entrant in entrants:
        frames = [frame for times in results[entrant.name] if isinstance(times, Times) for frame in times.frames_ms]
        line = f"{entrant.name:16}" + (f"{statistics.median(frames):10.1f}" if frames else f"{'-':>10}")
        if entrant.name in found:
            far = found[entrant.name]
            line += f"{far.flip:8.3f}{far.psnr_db:9.1f}{100 * far.bias:+8.1f}%  {entrant.lacks}"
        else:
            line += f"{'-':>8}{'-':>9}{'-':>9}"
        lines.append(line)
    return lines


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
        new_light = [times.new_light_s for times in good if times.new_light_s is not None]
        if new_light:
            print(f"{'':16}first picture from a new environment of 4096 x 2048: {statistics.median(new_light):.2f} s")


if __name__ == "__main__":
    main()
