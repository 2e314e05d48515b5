"""Reading and writing as jobs: slow work on files goes beside the GUI thread, and never stops a generation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.export import export_glb, jreflectance_steps, save_layers, save_screenshot
from engine.io.map_conventions import PUBLISHED, MapConventions
from engine.io.open import open_project
from engine.io.project import save_project
from engine.project import Project

PROJECT_SUFFIX = ".expdiff"
IMAGE_SUFFIXES = (".hdr", ".exr")


@dataclass(frozen=True, slots=True)
class FileStep:
    """One report of a file job; see `viewer.jobs.Progress`."""

    index: int
    total: int
    label: str
    result: Any = None


def opening(path: str, conventions: MapConventions = PUBLISHED) -> Iterator[FileStep]:
    """Job: read `path` (a folder, a saved project, builtin[:SEED]); the result is a Project."""
    yield FileStep(0, 1, f"Opening {shown(path)}")
    yield FileStep(1, 1, f"Opened {shown(path)}", open_project(path, conventions))


def exporting_glb(project: Project, path: str) -> Iterator[FileStep]:
    """Job: write a GLB; the result is the path."""
    return _writing(export_glb, project, path)


def exporting_folder(project: Project, folder: str) -> Iterator[FileStep]:
    """Job: write a J-Reflectance person folder; the result is the path."""
    for step in jreflectance_steps(project, folder):
        yield FileStep(step.index, step.total, f"Writing {step.label}")
    yield FileStep(1, 1, f"Wrote {shown(folder)}", folder)


def saving_picture(image: np.ndarray, path: str) -> Iterator[FileStep]:
    """Job: write a PNG of (H, W, 3 or 4) uint8 sRGB; the result is the path."""
    return _writing(save_screenshot, image, path)


def saving_layers(layers: Mapping[str, np.ndarray], path: str) -> Iterator[FileStep]:
    """Job: write an OpenEXR file of `render_layers`; the result is the path."""
    return _writing(save_layers, layers, path)


def save(project: Project, path: str) -> str:
    """Write a project at once and return the path, which ends in `.expdiff`."""
    path = path if path.endswith(PROJECT_SUFFIX) else path + PROJECT_SUFFIX
    save_project(project, path)
    return path


def _writing(write: Callable[[Any, str], Any], value: Any, path: str) -> Iterator[FileStep]:
    yield FileStep(0, 1, f"Writing {shown(path)}")
    write(value, path)
    yield FileStep(1, 1, f"Wrote {shown(path)}", path)


def shown(path: str) -> str:
    """The last part of a path, for people."""
    return os.path.basename(os.path.normpath(path)) or path
