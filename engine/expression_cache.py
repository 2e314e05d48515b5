"""Generated expressions kept on disk, so that the second render of a head does not wait for the model.

One file per expression, named by a digest of everything that decides it: the head, the request, the weights and the
code that made it. A file that is damaged is made again; a disk that cannot be written costs time, never the result.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import platformdirs

from engine.diffusion.generate import generate
from engine.diffusion.request import GenerateRequest, Step
from engine.errors import EngineError, FileFormatError
from engine.expression import Expression, ExpressionSet
from engine.io.archive import get_expressions, put_expressions, reading, writing
from engine.vocabulary import find

LOG = logging.getLogger(__name__)

VARIABLE = "EXPDIFF_CACHE"
"""Environment variable that names another folder."""
LARGEST_BYTES = 4 * 2**30
"""Oldest files go when the folder grows beyond this."""
_SUFFIX = ".expression"
_MAKERS = ("diffusion", "face")
_MAKER_SUFFIXES = {".py", ".json", ".npz", ".toml"}
"""Weights themselves are left out: their list carries their digests."""


def cache_folder() -> Path:
    """Where files are kept: $EXPDIFF_CACHE, or the user's cache folder."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else platformdirs.user_cache_path("expdiff", appauthor=False)


def generate_cached(request: GenerateRequest, *, fresh: bool = False) -> Iterator[Step]:
    """As `generate`, but expressions found on disk are not made again, and those made are put there.

    `fresh` makes all of them anew. Errors as `generate`.
    """
    wanted = [find(name).name for name in dict.fromkeys(request.names)]
    prompt = request.prompt.strip()
    wanted += [prompt] if prompt and prompt not in wanted else []
    found = {} if fresh else {name: made for name in wanted if (made := load(request, name)) is not None}
    missing = [name for name in wanted if name not in found]
    total = 1
    if missing:
        names = tuple(name for name in missing if name != prompt)
        for step in generate(replace(request, names=names, prompt=prompt if prompt in missing else "")):
            total = step.total
            if step.result is None:
                yield step
                continue
            for expression in step.result.expressions:
                store(request, expression)
                found[expression.name] = expression
    result = ExpressionSet(request.identity.hash, tuple(found[name] for name in wanted))
    yield Step(total, total, "done", result=result)


def load(request: GenerateRequest, name: str) -> Expression | None:
    """The expression `name` of `request` from disk; None where it is not there or the file is damaged."""
    path = _path(request, name)
    if not path.exists():
        return None
    try:
        with reading(path) as archive:
            kept = get_expressions(archive, archive.get_json("set.json"), str(path))
        if kept.names != (name,) or kept.identity_hash != request.identity.hash:
            raise FileFormatError(f"{path}: expected '{name}' of this head, found {kept.names}")
        if len(kept[name].offsets_m) != request.identity.topology.vertex_count:
            raise FileFormatError(
                f"{path}: expected offsets for this head's vertices, found {len(kept[name].offsets_m)}"
            )
        os.utime(path)
    except (FileFormatError, OSError) as error:
        LOG.info("cache: %s; it is made again", error)
        return None
    return kept[name]


def store(request: GenerateRequest, expression: Expression) -> None:
    """Keep `expression` of `request`; a place that cannot be written is said in the log and otherwise ignored."""
    path = _path(request, expression.name)
    try:
        with writing(path) as archive:
            value = put_expressions(archive, ExpressionSet(request.identity.hash, (expression,)))
            archive.put_text("set.json", json.dumps(value).encode())
        _prune(path.parent)
    except (EngineError, OSError) as error:
        LOG.info("cache: %s; nothing is kept", error)


def _path(request: GenerateRequest, name: str) -> Path:
    decides = (request.identity.hash, name, request.steps, request.seed, request.guidance, maker_digest())
    return cache_folder() / (hashlib.sha256(repr(decides).encode()).hexdigest()[:40] + _SUFFIX)


@lru_cache(maxsize=1)
def maker_digest() -> str:
    """Digest of what turns a request into an expression: the list of weights, the modules and the data they use."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    files = [path for name in _MAKERS for path in (root / name).rglob("*") if path.suffix in _MAKER_SUFFIXES]
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _prune(folder: Path) -> None:
    """Remove the files used longest ago until the rest fits."""
    files = [(path.stat(), path) for path in folder.glob("*" + _SUFFIX)]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda item: item[0].st_mtime):
        if total <= LARGEST_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= status.st_size
