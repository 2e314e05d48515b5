"""Values as JSON, and back: dataclasses by their own fields, so that a field is named once, where it is declared.

Arrays are not part of the JSON: `{"array": name}` stands for one there, and the caller keeps it by that name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from engine.checks import short
from engine.expression import Expression

ARRAY, JOINED = "array", "joined"
"""`{"joined": [...]}` stands for such arrays, none twice, as the channels of one."""
_hints = cache(get_type_hints)


def no_arrays(array: Any) -> Any:
    """For values that hold none: ValueError."""
    raise ValueError(f"expected a value without arrays, found {short(array)}")


def to_plain(value: Any, put: Callable[[np.ndarray], str] = no_arrays) -> Any:
    """`value` (dataclasses, mappings by name, tuples, sets, enums, numbers, text) as JSON; `put` names an array."""
    if isinstance(value, np.ndarray):
        return {ARRAY: put(value)}
    if is_dataclass(value):
        return {part.name: to_plain(getattr(value, part.name), put) for part in fields(value)}
    if isinstance(value, Mapping):
        return {name: to_plain(each, put) for name, each in value.items()}
    if isinstance(value, tuple):
        return [to_plain(each, put) for each in value]
    return sorted(value) if isinstance(value, frozenset) else value


def about(expression: Expression) -> dict[str, Any]:
    """What is said of an expression beside its arrays, as JSON."""
    parts = [part.name for part in fields(Expression) if part.name not in ("offsets_m", "change")]
    return {name: to_plain(getattr(expression, name)) for name in parts}


def from_plain(kind: Any, plain: Any, get: Callable[[str], np.ndarray] = no_arrays) -> Any:
    """The value of type `kind` that `to_plain` gave as `plain`; `get` gives the array of a name.

    Missing entries take their default, so that an older file opens, and those that no field has are left out;
    TypeError, ValueError or LookupError on what does not fit.
    """
    if kind is np.ndarray:
        given = from_plain(dict, plain)
        if JOINED not in given:
            return get(given[ARRAY])
        return np.dstack([get(name) for name in dict.fromkeys(part[ARRAY] for part in given[JOINED])])
    if is_dataclass(kind):
        hints, given = _hints(kind), from_plain(dict, plain)
        names = [part.name for part in fields(kind) if part.name in given]
        return kind(**{name: from_plain(hints[name], given[name], get) for name in names})  # pyright: ignore
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Mapping:
        return {name: from_plain(parts[1], each, get) for name, each in from_plain(dict, plain).items()}
    if origin is frozenset:
        return frozenset(from_plain(parts[0], each, get) for each in from_plain(list, plain))
    if origin is tuple:
        inner = parts[:1] * len(plain) if parts[-1] is ... else parts
        return tuple(from_plain(part, each, get) for part, each in zip(inner, plain, strict=True))
    if origin is UnionType:
        return _first_that_fits(parts, plain, get)
    if issubclass(kind, tuple):  # a NamedTuple
        return kind(*(from_plain(part, each, get) for part, each in zip(_hints(kind).values(), plain, strict=True)))
    if issubclass(kind, StrEnum):
        return kind(plain)
    if kind is float and type(plain) is int:
        return float(plain)
    if type(plain) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {short(plain)}")
    return plain


def arrays_in(plain: Any) -> Iterator[str]:
    """The names of the arrays that `plain` is to be read with."""
    if isinstance(plain, dict) and isinstance(name := plain.get(ARRAY), str):
        yield name
    elif isinstance(plain, dict | list):
        for each in plain.values() if isinstance(plain, dict) else plain:
            yield from arrays_in(each)


def _first_that_fits(kinds: tuple[Any, ...], plain: Any, get: Callable[[str], np.ndarray]) -> Any:
    for kind in kinds[:-1]:
        try:
            return from_plain(kind, plain, get)
        except TypeError:
            continue
    return from_plain(kinds[-1], plain, get)
