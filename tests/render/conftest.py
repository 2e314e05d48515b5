"""One context for all rendering tests; every test must leave it without a GL error."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import moderngl
import numpy as np
import pytest

from engine.render.context import drawing_into, standalone_context
from engine.render.renderer import Renderer
from engine.render.shaders import Origin, expand, program_from_text, set_uniforms

Evaluate = Callable[..., np.ndarray]


@pytest.fixture(scope="session")
def shared_context() -> Iterator[moderngl.Context]:
    context = standalone_context()
    yield context
    context.release()


@pytest.fixture
def context(shared_context: moderngl.Context) -> Iterator[moderngl.Context]:
    with shared_context:  # a test of another package may have made its own current
        assert shared_context.error == "GL_NO_ERROR"
        yield shared_context
        assert shared_context.error == "GL_NO_ERROR"


@pytest.fixture(scope="session")
def shared_renderer(shared_context: moderngl.Context) -> Iterator[Renderer]:
    with shared_context:
        renderer = Renderer(shared_context)
    yield renderer
    with shared_context:
        renderer.release()


@pytest.fixture
def renderer(context: moderngl.Context, shared_renderer: Renderer) -> Renderer:
    return shared_renderer


@pytest.fixture
def evaluate(context: moderngl.Context) -> Evaluate:
    """evaluate(include, expression, inputs (N, 4), **uniforms): a GLSL expression of `vec4 x`, in a float target.

    `samplers` names texture units of the include's own samplers, `defines` macros."""

    def run(
        include: str,
        expression: str,
        inputs: np.ndarray,
        samplers: dict[str, int] | None = None,
        defines: tuple[str, ...] = (),
        **uniforms: float,
    ) -> np.ndarray:
        lines = ["#version 410 core", *(f"#define {name}" for name in defines)]
        text, _ = expand(include)
        lines += text.splitlines()
        lines += [f"uniform float {name};" for name in uniforms]
        lines += [
            "uniform sampler2D t_inputs;",
            "out vec4 o_result;",
            "void main() {",
            "vec4 x = texelFetch(t_inputs, ivec2(gl_FragCoord.xy), 0);",
            f"o_result = {expression};",
            "}",
        ]
        table: list[Origin] = [("test", n) for n in range(1, len(lines) + 1)]
        made = program_from_text(context, expand("fullscreen.vert"), ("\n".join(lines), table))
        values = np.ascontiguousarray(inputs, np.float32)
        source = context.texture((len(values), 1), 4, values.tobytes(), dtype="f4")
        result = context.texture((len(values), 1), 4, dtype="f4")
        target, array = context.framebuffer([result]), context.vertex_array(made, [])
        with drawing_into(target):
            source.use(0)
            set_uniforms(made, t_inputs=0, **uniforms, **(samplers or {}))
            context.disable(moderngl.BLEND | moderngl.DEPTH_TEST | moderngl.CULL_FACE)
            array.render(moderngl.TRIANGLES, 3)
            found = np.frombuffer(target.read(components=4, dtype="f4"), np.float32).reshape(-1, 4)
        for each in (array, target, result, source, made):
            each.release()
        return found

    return run
