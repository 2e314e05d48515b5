"""What is worked out of a value once is held by the value, and goes when that goes."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

Value = TypeVar("Value")
Key = ParamSpec("Key")
Result = TypeVar("Result")


def derived(
    work: Callable[Concatenate[Value, Key], Result],
) -> Callable[Concatenate[Value, Key], Result]:
    """`work(value, *key)` done once for each value and key, as `functools.cached_property` does for a property.

    For functions of a value that lies below them. The value is an instance that is never changed and has a `__dict__`;
    keys are hashable. Two threads that ask at once may both do the work, and get the same.
    """
    name = f"{work.__module__}.{work.__qualname__}"

    @wraps(work)
    def once(value: Value, /, *args: Key.args, **named: Key.kwargs) -> Result:
        results: dict[Hashable, Result] = vars(value).setdefault(name, {})
        key = (args, *named.items())
        if key not in results:
            results[key] = work(value, *args, **named)
        return results[key]

    return once
