"""Generated expressions kept on disk, so that the second render of a head does not wait for the model.

One file per expression (`engine.io.cache`), named by a digest of everything that decides it: the head, the request, the
weights, the code and the machine that made it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

from engine.diffusion.generate import generate
from engine.diffusion.request import GenerateRequest
from engine.expression import Expression, ExpressionSet
from engine.identity import Identity
from engine.io import cache
from engine.io.archive import THREADS
from engine.jobs import Step
from engine.reproducible import code_digest, machine_text
from engine.vocabulary import find

AT_ONCE = 4
"""Expressions made, stored or looked for together."""
_MAKERS = ("diffusion", "face", "synth")


def generate_cached(request: GenerateRequest, *, fresh: bool = False) -> Iterator[Step]:
    """As `generate`, but expressions found on disk are not made again, and those made are put there.

    They come and are stored `AT_ONCE` at a time, each step's `result` with what came since the one before (`joined`
    has all in order): whoever stops in between loses no more than what is under way. What was made is stored after the
    step that carries it, so that nobody waits for the disk; iterate to the end. `fresh` makes all of them anew. What
    keeps a part of other expressions (`lock`) is neither looked for nor stored. Errors as `generate`.
    """
    wanted, prompt = list(_singles(request)), request.prompt.strip()
    cached = () if fresh or request.lock else _loaded(request, wanted)
    on_disk = tuple(each for each in cached if each is not None)
    missing = [name for name in wanted if name not in [each.name for each in on_disk]]
    batches = [missing[at : at + AT_ONCE] for at in range(0, len(missing), AT_ONCE)]
    if on_disk:
        yield Step(int(not batches), 1, "looked on disk", result=ExpressionSet(request.identity.hash, on_disk))
    for number, batch in enumerate(batches):
        names = tuple(name for name in batch if name != prompt)
        for step in generate(replace(request, names=names, prompt=prompt if prompt in batch else "")):
            new = () if step.result is None else step.result.expressions
            count = len(wanted) - len(missing) + AT_ONCE * number + len(new)
            label = f"{count} of {len(wanted)}" if new else step.label
            index, total = step.total * number + step.index, step.total * len(batches)
            yield replace(step, index=index, total=total, label=label)
            for expression in () if request.lock else new:
                store(request, expression)


def joined(request: GenerateRequest, results: Iterable[ExpressionSet]) -> ExpressionSet:
    """The `results` of all steps for `request` as one set, in the order that it asks for them."""
    by_name = {each.name: each for result in results for each in result.expressions}
    return ExpressionSet(request.identity.hash, tuple(by_name[name] for name in _singles(request)))


def generate_all(request: GenerateRequest) -> ExpressionSet:
    """All that `generate_cached` gives, in one go."""
    return joined(request, [step.result for step in generate_cached(request) if step.result is not None])


def recall(request: GenerateRequest) -> Iterator[Step]:
    """What the disk has of `request`, a step per expression looked for; nothing is made.

    Every few steps one has a `result`: the expressions found since the last.
    """
    wanted = list(_singles(request))
    new: list[Expression] = []
    for index, loaded in enumerate(_loaded(request, wanted), start=1):
        new += [loaded] if loaded is not None else []
        ready = bool(new) and (len(new) == AT_ONCE or index == len(wanted))
        result = ExpressionSet(request.identity.hash, tuple(new)) if ready else None
        new = [] if ready else new
        yield Step(index, len(wanted), "looking on disk", result=result)


def _loaded(request: GenerateRequest, names: list[str]) -> Iterator[Expression | None]:
    """`load` of each, in order, `AT_ONCE` at a time on two threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(names), AT_ONCE):
            yield from pool.map(partial(load, request), names[start : start + AT_ONCE])


def _singles(request: GenerateRequest) -> dict[str, GenerateRequest]:
    """Name -> the request for that expression alone, of each that `request` asks for, once each."""
    names = dict.fromkeys(find(name).name for name in request.names)
    singles = {name: replace(request, names=(name,), prompt="") for name in names}
    prompt = request.prompt.strip()
    if prompt and prompt not in singles:
        singles[prompt] = replace(request, names=(), prompt=prompt)
    return singles


def load(request: GenerateRequest, name: str) -> Expression | None:
    """The expression `name` of `request` from disk; None where it is not there or damaged, which is thrown away."""
    path = _path(request, name)
    stored = cache.load(path, ExpressionSet)
    if stored is None:
        return None
    vertices = request.identity.topology.vertex_count
    if stored.names != (name,) or stored.identity_hash != request.identity.hash:
        return cache.discard(path, f"{path}: expected '{name}' of this head, found {stored.names}")
    if len(stored[name].offsets_m) != vertices:
        return cache.discard(path, f"{path}: expected {vertices} offsets, found {len(stored[name].offsets_m)}")
    return stored[name]


def store(request: GenerateRequest, expression: Expression) -> None:
    """Keep `expression` of `request`; a place that cannot be written is said in the log and otherwise ignored."""
    cache.store(_path(request, expression.name), ExpressionSet(request.identity.hash, (expression,)))


def _path(request: GenerateRequest, name: str) -> Path:
    single = _singles(request)[name]
    decides = [f"{field.name}={_text(getattr(single, field.name))}" for field in fields(single)]
    return cache.cache_path("expression", [*decides, code_digest(*_MAKERS), machine_text()])


def _text(value: object) -> str:
    """What stands for one field of a request in the name of a file; TypeError for what has no such text."""
    if isinstance(value, Identity):
        return value.hash
    if isinstance(value, tuple):
        return "(" + ",".join(_text(each) for each in value) + ")"
    if value is None or isinstance(value, bool | int | float | str | Path):
        return repr(value)
    raise TypeError(
        f"expression_cache: expected plain values in a request, found {type(value).__name__}; add its digest"
    )
