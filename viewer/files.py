"""Reading and writing as work for the job queue: `engine.jobs.Step` by step, beside the GUI thread."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from engine.checks import printable
from engine.errors import EngineError, ExportError
from engine.export import jreflectance_steps, only, video_steps
from engine.io.cache import cache_folder
from engine.io.drafts import Draft
from engine.io.project import SUFFIX as PROJECT_SUFFIX
from engine.io.project import load_project, save_project
from engine.io.temporary import temporary_beside
from engine.io.video import check_video
from engine.jobs import Step
from engine.open import AS_IT_IS, Opening, open_project
from engine.project import Project
from engine.render.motion import Motion

IMAGE_SUFFIXES = (".hdr", ".exr")


def opening(path: str, how: Opening = AS_IT_IS) -> Iterator[Step]:
    """Work: read `path` (a folder, a file, builtin[:SEED]) as `open_project` does; the result is a Project."""
    yield Step(0, 1, f"Opening {shown(path)}")
    yield Step(1, 1, f"Opened {shown(path)}", result=open_project(path, how))


def recovering(draft: Draft) -> Iterator[Step]:
    """Work: read a draft; the result is its project and where that was saved before."""
    yield Step(0, 1, "Recovering unsaved changes")
    yield Step(1, 1, "Recovered unsaved changes", result=draft.read())


def saving(project: Project, path: str) -> Iterator[Step]:
    """Work: write a saved project; the result is the path."""
    return writing(save_project, project, path)


def exporting_folder(project: Project, folder: str) -> Iterator[Step]:
    """Work: write a J-Reflectance person folder; the result is the path."""
    for step in jreflectance_steps(project, folder):
        yield Step(step.index, step.total, f"Writing {step.label}")
    yield Step(1, 1, f"Wrote {shown(folder)}", result=folder)


def exporting_video(project: Project, motion: Motion, size: tuple[int, int], path: str) -> Iterator[Step]:
    """Work: write a film of (width, height) `size` to an .mp4 or a folder of PNG files; the result is the path.

    In a process of its own: compiling, drawing and reading back hold the interpreter's lock for a second or more, which
    no thread beside the window may do.
    """
    yield Step(0, 1, "getting ready")
    check_video(Path(path), size, motion.fps)
    shown_names = dict.fromkeys((*project.active(), *motion.expressions))
    spawn = get_context("spawn")
    steps, other_end = spawn.Pipe()
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    with temporary_beside(cache / "film", folder=True) as folder, steps:
        saved = str(folder / ("film" + PROJECT_SUFFIX))
        save_project(only(project, tuple(shown_names)), saved)
        process = spawn.Process(target=_write_video, args=(saved, motion, size, path, other_end), daemon=True)
        with other_end:
            process.start()
        try:
            while (step := _next_step(steps)) is not None:
                yield step
            yield Step(1, 1, f"Wrote {shown(path)}", result=path)
        except (EOFError, ConnectionError):
            raise ExportError(f"{path}: expected a whole film, found that its process ended; try again") from None
        finally:
            steps.close()  # which the process takes as the wish to stop, and clears up
            process.join()


def _next_step(steps: Connection) -> Step | None:
    """Of the film's process, which takes a step only when asked: a film ends in a step, or was stopped before that."""
    steps.send(True)
    answer = steps.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _write_video(saved: str, motion: Motion, size: tuple[int, int], path: str, asked: Connection) -> None:
    """In the other process: answers each time with a step per frame, then None, or the exception that ended it."""
    if hasattr(os, "nice"):
        os.nice(10)  # a software driver uses every core
    try:
        with closing(video_steps(load_project(saved), motion, path, size)) as steps:
            while asked.recv():
                step = next(steps, None)
                asked.send(step and Step(step.index, step.total, f"{step.label} of {step.total}"))
    except (EOFError, ConnectionError):
        pass  # nobody asks any more
    except Exception as error:
        with suppress(ConnectionError):
            asked.send(error if isinstance(error, EngineError) else RuntimeError(f"{type(error).__name__}: {error}"))


def writing(write: Callable[[Any, str], Any], value: Any, path: str) -> Iterator[Step]:
    """Work: `write` what `value` is to `path`, which is the result."""
    yield Step(0, 1, f"Writing {shown(path)}")
    write(value, path)
    yield Step(1, 1, f"Wrote {shown(path)}", result=path)


def shown(path: str) -> str:
    """The last part of a path, for people."""
    return printable(os.path.basename(os.path.normpath(path)) or path)
