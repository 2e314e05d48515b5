"""What one step of a dragged slider costs, part by part and in each way of blending, for several sizes of the maps.

    python -m benchmarks.drag_steps [HEAD] [--maps 512,1024,2048,4096] [--size 1280x720] [--rounds 9]

HEAD is anything the program opens (default: builtin); its maps are resampled. Four expressions made of noise are on, as
large as the model's (512), and one of them moves. Everything here runs on the GUI thread of the window. Times are
milliseconds until the driver is done, least and median of the rounds; the load average says whether to believe them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace

import moderngl
import numpy as np

from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face.lips import posed_m
from engine.face.space import TEXTURE_SIZE
from engine.identity import ReflectanceMaps
from engine.image import resize_bilinear
from engine.open import open_project
from engine.project import Project
from engine.render.compose import Layers, Mix
from engine.render.context import standalone_context
from engine.render.renderer import Renderer
from engine.render.upload import ChangeTexture
from engine.scene import scene_with

ACTIVE = 4
Step = Callable[[int], object]


def with_expressions(project: Project, side: int | None = None) -> Project:
    """`project` with `ACTIVE` expressions of noise at 0.5, and maps of `side` texels."""
    rng = np.random.default_rng(0)
    identity = project.identity if side is None else replace(project.identity, maps=_resized(project, side))
    made = []
    for number in range(ACTIVE):
        parts = (rng.normal(0, 0.05, (TEXTURE_SIZE, TEXTURE_SIZE, *rest)) for rest in ((3,), (3,), (), (2,)))
        wave = np.sin(identity.positions_m * (20 + 7 * number)) * 0.002
        made.append(Expression(f"noise {number}", wave, ReflectanceChange(np.dstack(list(parts)))))
    expressions = ExpressionSet(identity.hash, tuple(made))
    return replace(project, identity=identity, expressions=expressions, weights={each.name: 0.5 for each in made})


def _resized(project: Project, side: int) -> ReflectanceMaps:
    maps = project.identity.maps
    parts = [
        (getattr(maps, part.name), resize_bilinear(getattr(maps, part.name), (side, side))) for part in fields(maps)
    ]
    return ReflectanceMaps(*(np.rint(big).astype(np.uint8) if old.dtype == np.uint8 else big for old, big in parts))


def dragged(project: Project, number: int) -> Project:
    """`project` a little later in the drag of its first slider."""
    return replace(project, weights={**project.weights, project.expressions.names[0]: 0.1 + 0.01 * (number + 1)})


def turned(project: Project, number: int) -> Project:
    """`project` seen from a little further round."""
    camera = project.scene.view.camera
    camera = replace(camera, yaw_rad=camera.yaw_rad + 0.03 * (number + 1))
    return replace(project, scene=scene_with(project.scene, camera=camera))


def steps(renderer: Renderer, target: moderngl.Framebuffer, project: Project) -> dict[str, Step]:
    """Name -> what is measured."""
    size, identity, composer = (target.width, target.height), project.identity, renderer.head.composer
    topology, weights = identity.topology, project.active()
    positions = posed_m(identity, project.expressions, weights)
    normals = topology.vertex_normals(positions)
    change = project.expressions.expressions[0].change
    mesh, composed = renderer.head.mesh, composer._composed
    assert mesh is not None
    assert composed is not None

    def summed(number: int) -> Layers:
        moved = dragged(project, number)
        active = tuple((moved.expressions[name].change, weight) for name, weight in moved.weights.items())
        return composer._layers(active, moving=False)

    def uploaded(number: int) -> None:
        ChangeTexture(renderer.context, change, change.size).release()

    return {
        "positions": lambda n: posed_m(identity, project.expressions, weights),
        "normals": lambda n: topology.vertex_normals(positions),
        "vertices to the driver": lambda n: mesh.pose(positions, normals),
        "a change to the driver, first use": uploaded,
        "sum of four": summed,
        "apply in full": lambda n: composer._apply(summed(0)),
        "mip levels": lambda n: composed.build_mipmaps(),
        "frame, camera turns, full maps": lambda n: renderer.draw(turned(project, n), target, size),
        "frame, slider moves, full": lambda n: renderer.draw(dragged(project, n), target, size),
        "frame, slider moves, direct": lambda n: renderer.draw(dragged(project, n), target, size, moving=True),
    }


def measured(renderer: Renderer, step: Step, rounds: int) -> tuple[float, float]:
    """(least, median) milliseconds of `rounds` after two for warming up."""
    times = []
    for number in range(rounds + 2):
        start = time.perf_counter()
        step(number)
        renderer.context.finish()
        times.append((time.perf_counter() - start) * 1000)
    return min(times[2:]), statistics.median(times[2:])


def main() -> int:
    """Measure each size of the maps and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("head", nargs="?", default="builtin")
    parser.add_argument("--maps", default="512,1024,2048,4096")
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    context = standalone_context()
    target = context.framebuffer(
        [context.renderbuffer((width, height), 4)], context.depth_renderbuffer((width, height))
    )
    rows: dict[str, list[tuple[float, float]]] = {}
    memory: list[dict[str, int]] = []
    start = open_project(options.head)
    for side in map(int, options.maps.split(",")):
        project = with_expressions(start, side)
        renderer = Renderer(context)
        composer = renderer.head.composer
        composer._full(composer._take(Mix(project.identity.maps, project.expressions, project.active())))
        renderer.draw(project, target, (width, height))
        for name, step in steps(renderer, target, project).items():
            rows.setdefault(name, []).append(measured(renderer, step, options.rounds))
        memory.append(renderer.head.composer.gpu_bytes)
        renderer.release()
    count = len(start.identity.positions_m)
    print(f"{start.identity.name}: {count} vertices, {width} x {height}, {context.info['GL_RENDERER']}\n")
    print("| least / median ms | " + " | ".join(f"maps {side}" for side in options.maps.split(",")) + " |")
    print("|---|" + "--:|" * len(memory))
    for name, times in rows.items():
        print(f"| {name} | " + " | ".join(f"{least:.1f} / {middle:.1f}" for least, middle in times) + " |")
    for part in memory[0]:
        print(f"| MiB of {part} | " + " | ".join(f"{held[part] / 2**20:.0f}" for held in memory) + " |")
    print(f"\nLoad average at the end {os.getloadavg()[0]:.1f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
