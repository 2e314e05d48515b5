"""GLSL from the `shaders` package: #include with once semantics, and compile errors that name file and line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

import moderngl

from engine.channels import CHANGE_TILES, LOG_FLOOR, MAPS
from engine.errors import GraphicsError

Origin = tuple[str, int]
"""File below `shaders/` and line in it, from 1."""

CHANNELS_FILE = "common/channels.glsl"
"""Written from the table when it is included."""
_INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"\s*$')
# Mesa "0:12(3): error", NVIDIA "0(12) : error", Apple, ANGLE and Intel "ERROR: 0:12:".
_ERROR_LINE = re.compile(r"^(?:ERROR:\s*)?0[:(](\d+)\b")


def expand(name: str) -> tuple[str, list[Origin]]:
    """The text of `name` with its includes in place, each file once, and where each of its lines comes from.

    GraphicsError for a file that does not exist, naming the line that asked for it.
    """
    lines: list[str] = []
    origins: list[Origin] = []
    _expand_into(name, "the program", lines, origins, set())
    return "\n".join(lines) + "\n", origins


def _expand_into(name: str, asked_by: str, lines: list[str], origins: list[Origin], seen: set[str]) -> None:
    if name in seen:
        return
    seen.add(name)
    path = resources.files("shaders").joinpath(name)
    if name != CHANNELS_FILE and not path.is_file():
        raise GraphicsError(f"shader '{name}' does not exist; asked for by {asked_by}")
    text = channels_glsl() if name == CHANNELS_FILE else path.read_text("utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        include = _INCLUDE.match(line)
        if include:
            _expand_into(include[1], f"{name}:{number}", lines, origins, seen)
        else:
            lines.append(line)
            origins.append((name, number))


def channels_glsl() -> str:
    """What `engine.channels` says, for shaders: `Change` has a member for each map, `unpacked` takes it from tiles."""
    members, parts = "", []
    for row in MAPS:
        texels = [f"tile[{at // 4}][{at % 4}]" for at in range(row.channels.start, row.channels.stop)]
        kind = f"vec{len(texels)}" if row.shape else "float"
        members += f"{kind} {row.change}; "
        parts.append(f"{kind}({', '.join(texels)})")
    return f"""const float LOG_FLOOR = {LOG_FLOOR};
#define CHANGE_TILES {CHANGE_TILES}
struct Change {{ {members}}};
Change unpacked(vec4 tile[CHANGE_TILES]) {{ return Change({", ".join(parts)}); }}
"""


def program(context: moderngl.Context, vertex: str, fragment: str, defines: tuple[str, ...] = ()) -> moderngl.Program:
    """Compile and link two files of `shaders/`; GraphicsError with file and line where the driver refuses.

    `defines` are macro names set for both.
    """
    return program_from_text(context, _defined(expand(vertex), defines), _defined(expand(fragment), defines))


def _defined(expanded: tuple[str, list[Origin]], defines: tuple[str, ...]) -> tuple[str, list[Origin]]:
    """`expanded` with its macros set after the first line, which has to be #version."""
    text, origins = expanded
    version, rest = text.split("\n", 1)
    lines = [f"#define {name}" for name in defines]
    return "\n".join([version, *lines, rest]), [origins[0], *[("defines", 0)] * len(lines), *origins[1:]]


def program_from_text(
    context: moderngl.Context, vertex: tuple[str, list[Origin]], fragment: tuple[str, list[Origin]]
) -> moderngl.Program:
    """Compile and link expanded texts with their line tables (see `expand`)."""
    try:
        return context.program(vertex_shader=vertex[0], fragment_shader=fragment[0])
    except moderngl.Error as error:
        text = str(error)
        origins = vertex[1] if "vertex_shader" in text.split("\n\n")[0] + text[:200] else fragment[1]
        raise GraphicsError(_located(text, origins)) from error


def set_uniforms(target: moderngl.Program, **values: float | tuple[float, ...]) -> None:
    """Set uniforms of `target` by name; KeyError for one that the program does not have or does not use."""
    for name, value in values.items():
        member = target[name]
        if not isinstance(member, moderngl.Uniform):
            raise KeyError(f"{name} is {type(member).__name__}, not a uniform")
        member.value = value


def set_array(target: moderngl.Program, name: str, values: Sequence[float | tuple[float, ...]]) -> None:
    """Set the uniform array `name` of `target`, as long as `values`; samplers take units. KeyError as above."""
    member = target[name]
    if not isinstance(member, moderngl.Uniform):
        raise KeyError(f"{name} is {type(member).__name__}, not a uniform")
    member.value = list(values) if len(values) > 1 else values[0]  # an array of one is no array to moderngl


def _located(message: str, origins: list[Origin]) -> str:
    """The driver's message with its line numbers turned into file:line, the first three of them."""
    found = []
    for line in message.splitlines():
        match = _ERROR_LINE.match(line.strip())
        if match and 0 < int(match[1]) <= len(origins):
            file, number = origins[int(match[1]) - 1]
            found.append(f"shaders/{file}:{number}: {line.strip()}")
    return "; ".join(found[:3]) or " ".join(message.split())
