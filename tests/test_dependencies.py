"""What is installed is what is locked, what is imported is declared, and what is declared is used."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
OWN = {"engine", "viewer", "shaders", "tests", "benchmarks", "scripts"}
FOR_USERS = ("evaluate", "hf", "multi", "video")
"""Extras that the program itself asks for where it needs them."""
DISTRIBUTIONS = {"PIL": "pillow", "PySide6": "pyside6-essentials", "flip_evaluator": "flip-evaluator"}
"""Modules whose distribution has another name."""
ELSEWHERE = {"bpy": "Blender", "f3d": "a peer of the benchmarks", "vtk": "a peer of the benchmarks"}
"""Imported by one script that an environment of its own runs, as the script and benchmarks/README.md say."""
NOT_IMPORTED = {
    "rtree": "trimesh.proximity needs it",
    "pytest-timeout": "a plug-in of pytest",
    "pytest-qt": "a plug-in of pytest",
    "pytest-xdist": "a plug-in of pytest",
    "pytest-xvfb": "a plug-in of pytest",
    "ruff": "run by make check",
    "pyright": "run by make check",
    "import-linter": "run by make check",
}


def requirements(extra: str = "") -> Iterator[Requirement]:
    """What pyproject.toml asks for, alone or with an extra; extras of extras are followed."""
    project = PROJECT["project"]
    for text in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        requirement = Requirement(text)
        if requirement.name == project["name"]:
            for other in requirement.extras:
                yield from requirements(other)
        else:
            yield requirement


def declared(*extras: str) -> dict[str, Requirement]:
    """Canonical name -> what is asked for."""
    return {canonicalize_name(each.name): each for extra in ("", *extras) for each in requirements(extra)}


def everything() -> dict[str, Requirement]:
    return declared(*PROJECT["project"]["optional-dependencies"])


def locked() -> dict[str, Requirement]:
    """Canonical name -> the locked version, with the machines it is for."""
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    rows = [Requirement(line) for line in lines if line and not line.lstrip().startswith("#")]
    names = [canonicalize_name(row.name) for row in rows]
    assert len(set(names)) == len(names)
    return dict(zip(names, rows, strict=True))


def imported(*folders: str) -> dict[str, str]:
    """Distribution of each third-party module that Python files in `folders` import, and one place that does."""
    answer: dict[str, str] = {}
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for module in modules(ast.parse(path.read_text("utf-8"))):
            top = module.partition(".")[0]
            if top not in OWN and top not in sys.stdlib_module_names and top not in ELSEWHERE:
                name = canonicalize_name(DISTRIBUTIONS.get(top, top))
                answer.setdefault(name, str(path.relative_to(ROOT)))
    return answer


def modules(tree: ast.Module) -> Iterator[str]:
    """Names of the modules that are imported anywhere in `tree`, by statement or by a call that names one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "importorskip") and isinstance(node.args[0].value, str):
                yield node.args[0].value


def test_installed_versions_equal_the_lock():
    """Of everything that the project needs, directly or not, and that is here."""
    rows, wrong, seen = locked(), [], set()
    waiting = list(everything())
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            here = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        version = here.version.partition("+")[0]  # torch's CPU build is 2.13.0+cpu
        if name not in rows:
            wrong.append(f"{name} {version} is not locked")
        elif not rows[name].specifier.contains(version, prereleases=True):
            wrong.append(f"{name} {version} is here, {rows[name]} is locked")
        waiting += [canonicalize_name(each.name) for each in needed_by(here)]
    assert wrong == [], "install again (make .venv/tested), or lock what is new (make lock) and run every test"
    assert len(seen) > 60


def needed_by(distribution: importlib.metadata.Distribution) -> list[Requirement]:
    """What it asks for on this machine without extras of its own."""
    rows = [Requirement(text) for text in distribution.requires or []]
    return [row for row in rows if row.marker is None or row.marker.evaluate({"extra": ""})]


def test_the_lock_has_exact_versions_within_the_declared_ranges_and_names_no_host():
    rows = locked()
    assert all(re.fullmatch(r"==[0-9][^,*]*", str(row.specifier)) and row.url is None for row in rows.values())
    for name, asked in everything().items():
        assert name in rows, f"{name} is declared and not locked; run make lock"
        version = str(rows[name].specifier).removeprefix("==")
        assert asked.specifier.contains(version, prereleases=True), f"{name}: {version} is locked, {asked} declared"
    assert "://" not in (ROOT / "requirements.lock").read_text("utf-8")


def test_every_import_is_declared():
    ours = imported("engine", "viewer", "shaders")
    missing = {name: place for name, place in ours.items() if name not in declared(*FOR_USERS)}
    theirs = imported("tests", "benchmarks", "scripts")
    missing |= {name: place for name, place in theirs.items() if name not in everything()}
    assert missing == {}


def test_every_declared_package_is_used_or_says_what_for():
    used = imported(*OWN)
    assert {name for name in everything() if name not in used} == set(NOT_IMPORTED)


def test_extras_that_documents_and_messages_name_are_there():
    """`scripts/install '.[NAME]'` is how all of them say it; the name of the project is on no index."""
    told = {}
    for path in (*ROOT.glob("*.md"), *(path for folder in ("docs", *OWN) for path in (ROOT / folder).rglob("*.*"))):
        if path.suffix in (".md", ".py") and path != Path(__file__):
            text = path.read_text("utf-8")
            assert "pip install 'expdiff" not in text, path
            told |= dict.fromkeys(re.findall(r"scripts/install '\.\[([a-z,]+)\]'", text), path)
    names = {name for group in told for name in group.split(",")}
    assert {"video", "hf", "multi", "truth", "evaluate"} <= names <= set(PROJECT["project"]["optional-dependencies"])


def test_node_packages_have_exact_versions():
    text = (ROOT / "scripts" / "node-packages").read_text("utf-8")
    packages = re.findall(r"^packages=\((.*)\)$", text, re.MULTILINE)[0].split()
    assert [package.partition("@")[0] for package in packages] == ["gltf-validator", "three"]
    assert all(re.fullmatch(r"[a-z-]+@[0-9]+\.[0-9]+\.[0-9]+[-.a-z0-9]*", package) for package in packages)
    assert packages[1] in (ROOT / "benchmarks" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("script", ["install", "lock"])
def test_what_is_installed_by_scripts_is_locked_or_exact(script):
    """No range, and no package without a version, in what pip is told by name."""
    text = (ROOT / "scripts" / script).read_text("utf-8")
    commands = [
        line for line in text.replace("\\\n", " ").splitlines() if '"${pip[@]}"' in line or "pip install" in line
    ]
    assert len(commands) >= (1 if script == "lock" else 4)
    for line in commands:
        assert "--constraint requirements.lock" in text or re.search(r"==[0-9]", line), line
        assert not re.search(r"[><~]=", line), line
