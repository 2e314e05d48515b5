"""What is worked out once and held by the value."""

from __future__ import annotations

import gc
import weakref

from engine.derived import derived


class Value:
    pass


ASKED: list[int] = []


@derived
def tenfold(value: Value, number: int) -> list[int]:
    ASKED.append(number)
    return [10 * number]


def test_done_once_for_each_value_and_key() -> None:
    ASKED.clear()
    one, other = Value(), Value()
    assert tenfold(one, 1) is tenfold(one, 1)
    assert tenfold(one, 2) == [20]
    assert tenfold(other, 1) is not tenfold(one, 1)
    assert ASKED == [1, 2, 1]


def test_goes_with_the_value() -> None:
    class Big:
        pass

    @derived
    def made_of(value: Value) -> Big:
        return Big()

    value = Value()
    result = weakref.ref(made_of(value))
    assert result() is not None
    del value
    gc.collect()
    assert result() is None
