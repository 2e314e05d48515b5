"""check_array: the border that every array of a value crosses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.errors import LARGEST_WIDENED, EngineError, FileFormatError, check_array
from engine.io.files import check_vertices


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 4)),
    dtype=st.sampled_from([np.float64, np.float32, np.int64, np.uint8]),
    turned=st.booleans(),
)
def test_the_result_holds_the_same_numbers_contiguous_and_read_only(shape, dtype, turned):
    given_array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    given_array = given_array.T if turned else given_array
    before = given_array.copy()
    result = check_array("a", given_array, given_array.shape, np.float32)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(result, before)
    with pytest.raises(ValueError, match="read-only"):
        result[...] = 1
    given_array[...] = 7  # the caller's own array stays writable, and writing it reaches no one
    np.testing.assert_array_equal(result, before)


def test_an_empty_array_of_the_callers_is_not_frozen_either():
    empty = np.zeros((0, 3), np.float32)
    assert not check_array("a", empty, ("V", 3), np.float32).flags.writeable
    assert empty.flags.writeable


def test_a_read_only_array_that_fits_is_kept_as_it_is():
    array = check_array("a", np.zeros((2, 3), np.float32), (2, 3), np.float32)
    assert check_array("a", array, ("V", 3), np.float32) is array


def test_half_floats_are_compared_with_limits_that_they_cannot_hold():
    halves = np.array([[0.0, 1.0, 65504.0]], np.float16)
    np.testing.assert_array_equal(check_array("a", halves, ("F", 3), np.int32), [[0, 1, 65504]])
    np.testing.assert_array_equal(check_vertices("a", halves), halves)
    for wrong in (np.nan, np.inf):
        with pytest.raises(ValueError, match="a: expected"):
            check_array("a", np.full((1, 3), wrong, np.float16), ("F", 3), np.int32)
        with pytest.raises(FileFormatError, match="a: expected finite positions"):
            check_vertices("a", np.full((1, 3), wrong, np.float16))


def test_lists_are_taken_too():
    np.testing.assert_array_equal(check_array("a", [[1, 2], [3, 4]], (2, None), np.int32), [[1, 2], [3, 4]])


@pytest.mark.parametrize("shape", [(4, 3, 3), (4, 4, 3), (7, 7, 3)])
def test_a_letter_means_one_length(shape):
    array = np.zeros(shape, np.uint8)
    if shape[0] == shape[1]:
        assert check_array("a", array, ("N", "N", 3), np.uint8).shape == shape
    else:
        with pytest.raises(ValueError, match=r"a: .*\('N', 'N', 3\).*\(4, 3, 3\)"):
            check_array("a", array, ("N", "N", 3), np.uint8)
    assert check_array("a", array, (None, None, 3), np.uint8).shape == shape


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.zeros(3), ("V", 3)),
        (np.zeros((2, 4)), ("V", 3)),
        (np.zeros((1, 2, 3)), ("V", 3)),
        (np.float32(0), ("V",)),
    ],
)
def test_another_shape_is_refused_with_both_shapes_and_the_name(array, shape):
    with pytest.raises(ValueError, match="bust: expected shape") as caught:
        check_array("bust", array, shape, np.float32)
    assert str(np.shape(array)) in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_a_number_and_infinity_are_counted_and_refused(bad):
    array = np.zeros((5, 3))
    array[1, 2] = array[4, 0] = bad
    with pytest.raises(ValueError, match="found 2 NaN or infinite"):
        check_array("a", array, ("V", 3), np.float32)


def test_a_number_too_large_for_the_type_is_refused():
    with np.errstate(over="ignore"), pytest.raises(ValueError, match="finite"):
        check_array("a", np.array([1e6]), (1,), np.float16)


@pytest.mark.parametrize(("stored", "used"), [(np.uint8, np.int32), (np.uint8, np.float16), (np.float16, np.float32)])
def test_what_would_grow_beyond_all_that_was_asked_for_is_refused(stored, used):
    """Bytes are budgeted as they are stored: a file of bytes must not become four times as much."""
    large = np.broadcast_to(np.zeros(1, stored), (LARGEST_WIDENED, 3))  # takes one byte
    with pytest.raises(ValueError, match=rf"a: expected .* to hold {np.dtype(used)}, found {np.dtype(stored)}"):
        check_array("a", large, ("N", 3), used)


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([None]), np.array([1j])])
def test_what_is_no_real_number_is_refused(array):
    with pytest.raises(ValueError, match="expected numbers, found dtype"):
        check_array("a", array, (1,), np.float32)


def test_every_error_of_the_program_is_an_engine_error_and_none_is_a_value_error():
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) == 8
    assert all(issubclass(error, EngineError) and not issubclass(error, ValueError) for error in found)
