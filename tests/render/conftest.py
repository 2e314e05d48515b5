"""One context for all rendering tests; every test must leave it without a GL error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import moderngl
import numpy as np
import pytest

from engine.render.context import drawing_into, standalone_context
from engine.render.renderer import Renderer
from engine.render.shaders import Origin, expand, program_from_text, set_array, set_uniforms

Evaluate = Callable[..., np.ndarray]
Upload = Callable[..., moderngl.Texture]
Samplers = Mapping[str, moderngl.Texture | Sequence[moderngl.Texture]]


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
def upload(context: moderngl.Context) -> Iterator[Upload]:
    """upload(values (H, W) or (H, W, C), nearest=False): a texture of floats, or of bytes for uint8; no mip levels.

    `depth` makes it a depth texture that is read, or with "<=" compared. Edges are clamped, row 0 is at v = 0."""
    made: list[moderngl.Texture] = []

    def run(values: np.ndarray, nearest: bool = False, depth: str | None = None) -> moderngl.Texture:
        kind = "f1" if values.dtype == np.uint8 else "f4"
        texels = np.ascontiguousarray(values, np.uint8 if kind == "f1" else np.float32)
        height, width = texels.shape[:2]
        channels = texels.size // (height * width)
        if depth is None:
            texture = context.texture((width, height), channels, texels.tobytes(), alignment=1, dtype=kind)
        else:
            texture = context.depth_texture((width, height), texels.tobytes())
            texture.compare_func = depth
        filtering = moderngl.NEAREST if nearest else moderngl.LINEAR
        texture.filter = filtering, filtering
        texture.repeat_x = texture.repeat_y = False
        made.append(texture)
        return texture

    yield run
    for texture in made:
        texture.release()


# What a program reads from the stage before it and writes to its targets.
_STAGE_VARIABLE = re.compile(r"^(?:layout\([^)]*\)\s*)?(?:in|out)\s+(?=\w+ [vo]_\w+;)", re.MULTILINE)


def _functions_of(include: str) -> str:
    """The text of a shader without its #version and its `main`; its inputs and outputs are plain variables, so that a
    test sets what a function of a whole program reads."""
    text = _STAGE_VARIABLE.sub("", expand(include)[0])
    return "#define main program_main\n" + re.sub(r"^#version.*\n", "", text) + "#undef main\n"


@pytest.fixture
def evaluate(context: moderngl.Context) -> Evaluate:
    """evaluate(include, expression, inputs (N, 4) or (H, W, 4), ...): a GLSL expression of `vec4 x`, in a float target.

    One pixel a row of `inputs`; with (H, W, 4) derivatives are those of a picture. `include` is any file of shaders/;
    `defines` are macros, `before` is GLSL that runs first, `samplers` are textures by name, `frame` is a record of
    `engine.render.frame.FRAME`. Other keywords are uniforms: those that the include lacks are declared as floats."""

    def run(
        include: str,
        expression: str,
        inputs: np.ndarray,
        samplers: Samplers | None = None,
        defines: tuple[str, ...] = (),
        *,
        before: str = "",
        frame: np.ndarray | None = None,
        **uniforms: float | tuple[float, ...],
    ) -> np.ndarray:
        text = _functions_of(include)
        undeclared = [name for name in samplers or {} if not re.search(rf"\buniform sampler\w+ {name}\b", text)]
        assert not undeclared, f"{include} has no {undeclared}"
        lines = ["#version 410 core", *(f"#define {each}" for each in defines), *text.splitlines()]
        lines += [f"uniform float {name};" for name in uniforms if not re.search(rf"\buniform \w+ {name}\b", text)]
        lines += [
            "uniform sampler2D t_inputs;",
            "layout(location = 0) out vec4 o_result;",
            "void main() {",
            "vec4 x = texelFetch(t_inputs, ivec2(gl_FragCoord.xy), 0);",
            before,
            f"o_result = {expression};",
            "}",
        ]
        table: list[Origin] = [("test", n) for n in range(1, len(lines) + 1)]
        made = program_from_text(context, expand("fullscreen.vert"), ("\n".join(lines), table))
        values = np.ascontiguousarray(inputs, np.float32)
        size = values.shape[-2], 1 if values.ndim == 2 else values.shape[0]
        source = context.texture(size, 4, values.tobytes(), dtype="f4")
        result = context.texture(size, 4, dtype="f4")
        target, array = context.framebuffer([result]), context.vertex_array(made, [])
        buffer = None if frame is None else context.buffer(frame.tobytes())
        if buffer is not None:
            buffer.bind_to_uniform_block(0)
        with drawing_into(target):
            set_uniforms(made, **{name: value for name, value in uniforms.items() if name in made})
            _bind(made, {"t_inputs": source, **(samplers or {})})
            context.disable(moderngl.BLEND | moderngl.DEPTH_TEST | moderngl.CULL_FACE)
            array.render(moderngl.TRIANGLES, 3)
            found = np.frombuffer(target.read(components=4, dtype="f4"), np.float32).reshape(values.shape)
        for each in (array, target, result, source, made, *(() if buffer is None else (buffer,))):
            each.release()
        return found

    return run


def _bind(program: moderngl.Program, samplers: Samplers) -> None:
    """Put textures on units from 0 on; an array of samplers takes one for all of its members or one for each. What a
    program does not read the driver has left out."""
    unit = 0
    for name, given in samplers.items():
        if name not in program:
            continue
        member = program[name]
        assert isinstance(member, moderngl.Uniform)
        count = member.array_length
        textures = [given] * count if isinstance(given, moderngl.Texture) else list(given)
        assert len(textures) == count, f"{name}: expected {count} textures, found {len(textures)}"
        for texture in textures:
            texture.use(unit)
            unit += 1
        set_array(program, name, range(unit - count, unit))
