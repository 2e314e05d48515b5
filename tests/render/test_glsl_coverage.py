"""Every GLSL function is tested alone: none of shaders/ may be missing in the tests of this folder."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import shaders

SHADERS, TESTS = Path(shaders.__path__[0]), Path(__file__).parent
NOT_ALONE = {
    "main": "a whole program: pictures, tables and composed maps are tests of it",
}
"""Functions that no test calls, and why."""
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_FUNCTION = re.compile(r"^[ \t]*\w+[ \t]+(?!if\b|for\b|while\b|switch\b)(\w+)\s*\([^;{}]*\)\s*\{", re.MULTILINE)


def functions(text: str) -> set[str]:
    """Names of the functions that GLSL `text` defines."""
    return set(_FUNCTION.findall(_COMMENT.sub("", text)))


def called_in(source: str) -> set[str]:
    """Words that strings of a test module call as functions, or that are a string of their own; docstrings are none."""
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            found.update(re.findall(r"\b(\w+)\(", node.value), re.findall(r"^\w+$", node.value))
    return found


def shader_files() -> Iterator[Path]:
    return (path for path in sorted(SHADERS.rglob("*")) if path.suffix in (".glsl", ".frag", ".vert"))


def test_no_function_is_without_a_test() -> None:
    called = set().union(*[called_in(path.read_text("utf-8")) for path in TESTS.glob("test_*.py")])
    missing = [
        f"{path.relative_to(SHADERS)}: {name}"
        for path in shader_files()
        for name in sorted(functions(path.read_text("utf-8")) - called - NOT_ALONE.keys())
    ]
    assert not missing, f"call them in a test by `evaluate`, or say in NOT_ALONE why not: {'; '.join(missing)}"


def test_exceptions_are_functions() -> None:
    defined = set().union(*[functions(path.read_text("utf-8")) for path in shader_files()])
    assert NOT_ALONE.keys() <= defined
    assert len(defined) > 80


def test_a_function_is_found_however_it_is_laid_out_and_missed_where_only_prose_names_it() -> None:
    text = """
    // float in_prose(float x) { }
    float declared(float x);
    vec3 one(vec3 a,
             vec3 b)
    { if (a.x > 0.0) { return other(a); } else if (b.x > 0.0) { return b; } for (;;) { } }
    #if defined(KIND)
    Light two(int index, inout vec3 sum) { return Light(sum, sum); }
    #endif
    layout(std140) uniform Frame { vec4 u_eye; };
    """
    assert functions(text) == {"one", "two"}
    module = '"""one(x)"""\ndef test_it() -> None:\n    """two(x)."""\n    evaluate(f"vec4(three(x.{axis}))", "four")\n'
    assert called_in(module) == {"vec4", "three", "four"}
