"""Writing what is seen: one call per target, from a project or a picture to files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from engine.errors import ExportError
from engine.expression import ExpressionSet
from engine.io.files import write_bytes
from engine.io.gltf import glb_bytes
from engine.io.images import write_exr, write_png
from engine.io.jreflectance_writer import Written, write
from engine.project import Project


def export_glb(project: Project, path: str | Path, *, current_textures: bool = False) -> None:
    """Write a binary glTF: neutral mesh, every expression as a morph target, the weights as they are.

    Textures are the neutral's, or with `current_textures` the mix that is seen: glTF cannot blend them. ExportError for
    a name that does not end in .glb or a place that cannot be written.
    """
    target = named(path, ".glb")
    write_bytes(target, glb_bytes(project, current_textures=current_textures))


def jreflectance_steps(project: Project, folder: str | Path) -> Iterator[Written]:
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


def only(project: Project, names: tuple[str, ...]) -> Project:
    """`project` with just the expressions `names`, in that order; VocabularyError where one is missing."""
    chosen = tuple(project.expressions[name] for name in names)
    return Project(project.identity, ExpressionSet(project.identity.hash, chosen), project.weights, project.scene)


def named(path: str | Path, suffix: str) -> Path:
    """`path` with ~ resolved; ExportError where it does not end in `suffix`, best asked before long work."""
    target = Path(path).expanduser()
    if target.suffix.lower() != suffix:
        raise ExportError(f"{target}: expected a name that ends in {suffix}, found '{target.suffix or target.name}'")
    return target
