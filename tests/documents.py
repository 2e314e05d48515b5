"""The commands that documents and docstrings show, as a reader would type them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = (
    "expdiff", "python", "python3", "make", "pytest", "torchrun", "accelerate", "xvfb-run", "node", "npm", "apt", "pip",
    "scripts/install",
)  # fmt: skip
_FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")


def documented() -> dict[str, str]:
    """Command, spaces made single and remarks taken off -> the file that shows it first."""
    answer: dict[str, str] = {}
    for path in _documents():
        for command in _commands(path):
            answer.setdefault(command, str(path.relative_to(ROOT)))
    return answer


def _documents() -> Iterator[Path]:
    yield from sorted(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md")
    for folder in ("docs", "benchmarks", "scripts", "engine", "viewer"):
        yield from sorted((ROOT / folder).rglob("*.md"))
        yield from sorted((ROOT / folder).rglob("*.py"))
    yield ROOT / "tests" / "render" / "test_goldens.py"


def _commands(path: Path) -> Iterator[str]:
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
        blocks, spans = [text], _SPAN.findall(text)
    else:
        blocks, spans = _FENCE.findall(text), _SPAN.findall(_FENCE.sub("", text))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    for line in [*(line for line in lines if "`" not in line), *spans]:
        command = " ".join(re.split(r"\s#|\s{4,}[A-Za-z]", line.strip())[0].split())
        if command.partition(" ")[0] in PROGRAMS and not _is_prose(command):
            yield command


def _is_prose(command: str) -> bool:
    """Of docstrings, a line of text that happens to begin with the name of a program."""
    return bool(re.match(r"(make|node|pip|apt|python) [a-z]+ [a-z]+ [a-z]+", command)) or command in PROGRAMS
