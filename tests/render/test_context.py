"""Contexts come and go; several renderers live one after another."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np

from engine.project import new_project
from engine.render.offscreen import render_image
from engine.render.renderer import Renderer
from tests.heads import make_expressions, make_head


def test_a_picture_without_a_context_of_ones_own() -> None:
    """Made twice, because a context left behind would show in the second."""
    project = new_project(make_head(16, rings=8, segments=12))
    first, second = (render_image(project, 40, 30) for _ in range(2))
    assert first.shape == (30, 40, 3)
    np.testing.assert_array_equal(first, second)


def test_release_gives_every_object_back(context: moderngl.Context) -> None:
    """After release no GL object is alive that was not there before."""
    before = live_objects(context)
    renderer = Renderer(context)
    head = make_head(16, rings=8, segments=12)
    moving = replace(new_project(head), expressions=make_expressions(head), weights={"Jaw Open": 1.0})
    render_image(new_project(head), 16, 16, renderer=renderer)
    render_image(moving, 16, 16, renderer=renderer)
    context.extra.use()
    renderer.release()
    assert live_objects(context) == before


def live_objects(context: moderngl.Context) -> int:
    """moderngl objects of `context` that have not been released."""
    kinds = (moderngl.Buffer, moderngl.Texture, moderngl.Framebuffer, moderngl.Program, moderngl.VertexArray)
    kinds += (moderngl.Renderbuffer,)
    alive = [each for each in gc.get_objects() if type(each) in kinds and each.ctx is context]
    return sum(type(each.mglo).__name__ != "InvalidObject" for each in alive)


def test_no_opengl_is_one_line(tmp_path: Path) -> None:
    """EGL is told of a driver list that is not there; Mesa, which an X server may still offer, to be an old one."""
    code = (
        "from engine.render.context import standalone_context\n"
        "from engine.errors import GraphicsError\n"
        "try: standalone_context()\n"
        "except GraphicsError as error: print(error)"
    )
    drivers = {"__EGL_VENDOR_LIBRARY_FILENAMES": str(tmp_path / "none.json"), "MESA_GL_VERSION_OVERRIDE": "3.0"}
    hidden = os.environ | drivers
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=hidden, check=True)
    lines = result.stdout.strip().splitlines()
    assert len(lines) == 1
    assert "apt install libegl1" in lines[0]


def test_importing_the_renderer_loads_neither_qt_nor_torch() -> None:
    heavy = ("PySide6", "torch", "OpenImageIO")
    code = f"import sys, engine.render.offscreen; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
