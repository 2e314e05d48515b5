"""Writing what is seen: one call per target, from a project or a picture to files."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ExportError
from engine.expression import ExpressionSet
from engine.io.files import filling, write_bytes, write_json
from engine.io.gltf import glb_bytes
from engine.io.images import write_exr, write_png
from engine.io.jreflectance_writer import write
from engine.io.video import writing_video
from engine.jobs import Step
from engine.project import Project

if TYPE_CHECKING:
    from engine.render.motion import Motion

SURFACE_LAYERS = ("albedo", "specular", "roughness", "normal", "position", "depth")
"""Of `render_layers`: what is the same under any light."""


def export_glb(project: Project, path: str | Path, *, current_textures: bool = False) -> None:
    """Write a binary glTF: neutral mesh, every expression as a morph target, the weights as they are.

    Textures are the neutral's, or with `current_textures` the mix that is seen: glTF cannot blend them. ExportError for
    a name that does not end in .glb or a place that cannot be written.
    """
    target = named(path, ".glb")
    write_bytes(target, glb_bytes(project, current_textures=current_textures))


def jreflectance_steps(project: Project, folder: str | Path) -> Iterator[Step]:
    """Write a person folder of the published layout, a step per expression; iterate to the end."""
    return write(project.identity, project.expressions, Path(folder))


def export_jreflectance(project: Project, folder: str | Path) -> None:
    """Write a person folder of the published layout in one go; see `engine.io.jreflectance_writer.write`."""
    deque(jreflectance_steps(project, folder), maxlen=0)


def save_screenshot(image: np.ndarray, path: str | Path) -> None:
    """Write an (H, W, 3|4) uint8 sRGB picture, row 0 on top, straight alpha, as PNG; ExportError as `export_glb`."""
    write_png(named(path, ".png"), image)


def save_layers(layers: Mapping[str, np.ndarray], path: str | Path) -> None:
    """Write what `engine.render.offscreen.render_layers` gives as one OpenEXR file; ExportError as `export_glb`."""
    write_exr(named(path, ".exr"), layers)


def video_steps(
    project: Project, motion: Motion, path: str | Path, size: tuple[int, int], *, samples: int = 0
) -> Generator[Step, None, None]:
    """Write a film of `motion`, a step per frame, (width, height) `size`; iterate to the end, on one thread.

    To an .mp4 file or a folder of PNG files (`engine.io.video`), there whole or not at all. Draws on an OpenGL context
    of its own, `samples` as in `render_image`. ExportError as `writing_video`; GraphicsError and FileFormatError as the
    renderer.
    """
    from engine.render.motion import frame_count, moved
    from engine.render.offscreen import own_renderer, render_image

    count = frame_count(project, motion)
    with writing_video(Path(path).expanduser(), size, motion.fps) as write, own_renderer() as renderer:
        for frame in range(count):
            write(render_image(moved(project, motion, frame, count), *size, samples=samples, renderer=renderer))
            yield Step(frame + 1, count, f"frame {frame + 1}")


def olat_steps(
    project: Project, folder: str | Path, size: tuple[int, int], *, linear: bool = False, samples: int = 0
) -> Generator[Step, None, None]:
    """Write the OLAT set of `project`, one picture a lamp of its light stage, a step each; iterate to the end.

    `folder` must be new or empty, and is there whole or not at all: 000.png and so on (sRGB-encoded linear light,
    clipped at 1, over black, no tone curve), or with `linear` 000.exr (linear float, alpha associated); `surface.exr`
    with the layers of the surface; `lights.json` with lamps, camera and colour space. Errors as `video_steps`.
    """
    from engine.render.offscreen import own_renderer, render_image, render_layers, render_light
    from engine.render.olat import olat_description, olat_project

    about = olat_description(project, size, ".exr" if linear else ".png")
    total = len(about["lights"])
    with filling(Path(folder).expanduser()) as place, own_renderer() as renderer:
        layers = render_layers(olat_project(project, 0), *size, renderer=renderer)
        surface = {"alpha": layers["RGBA"][..., 3]} | {name: layers[name] for name in SURFACE_LAYERS}
        write_exr(place / about["surface"], surface)
        for lamp, light in enumerate(about["lights"]):
            lit, target = olat_project(project, lamp), place / light["file"]
            if not linear:
                write_png(target, render_image(lit, *size, samples=samples, renderer=renderer))
            elif samples:
                write_exr(target, {"RGBA": render_light(lit, *size, samples=samples, renderer=renderer)})
            else:
                write_exr(target, {"RGBA": render_layers(lit, *size, renderer=renderer)["RGBA"]})
            yield Step(lamp + 1, total, light["file"])
        write_json(place / "lights.json", about)


def only(project: Project, names: tuple[str, ...]) -> Project:
    """`project` with just the expressions `names`, in that order; VocabularyError where one is missing."""
    chosen = tuple(project.expressions[name] for name in names)
    return replace(project, expressions=ExpressionSet(project.identity.hash, chosen))


def named(path: str | Path, suffix: str) -> Path:
    """`path` with ~ resolved; ExportError where it does not end in `suffix`, best asked before long work."""
    target = Path(path).expanduser()
    if target.suffix.lower() != suffix:
        raise ExportError(f"{target}: expected a name that ends in {suffix}, found '{target.suffix or target.name}'")
    return target
