"""Colour encodings against IEC 61966-2-1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear

ALL = np.arange(256, dtype=np.uint8)


def decoded(value):
    """The standard's own formula, in double precision."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def test_all_bytes_survive_the_round_trip():
    np.testing.assert_array_equal(bytes_from_unit(srgb_from_linear(linear_from_srgb(ALL))), ALL)


def test_bytes_and_floats_decode_as_the_standard_says():
    expected = np.array([decoded(value / 255) for value in range(256)])
    np.testing.assert_allclose(linear_from_srgb(ALL), expected, rtol=2e-6, atol=1e-9)
    np.testing.assert_allclose(linear_from_srgb(ALL / 255.0), expected, rtol=2e-6, atol=1e-9)
    assert linear_from_srgb(ALL).dtype == linear_from_srgb(ALL / 255.0).dtype == np.float32


def test_it_is_not_a_gamma_of_2_2():
    gamma = (ALL / 255.0) ** 2.2
    assert np.abs(linear_from_srgb(ALL) - gamma).max() > 0.005
    assert linear_from_srgb(ALL)[1] > 50 * gamma[1]


@given(arrays.arrays(np.float64, (7,), elements=st.floats(0, 1)))
def test_encoding_undoes_decoding_and_keeps_order(values):
    np.testing.assert_allclose(srgb_from_linear(linear_from_srgb(values)), values, atol=2e-6)
    assert (np.diff(srgb_from_linear(np.sort(values))) >= 0).all()


def test_out_of_range_light_is_clipped_when_encoded():
    np.testing.assert_allclose(srgb_from_linear(np.array([-1.0, 0.0, 1.0, 9.0])), [0, 0, 1, 1], atol=1e-6)
    np.testing.assert_array_equal(bytes_from_unit(np.array([-1.0, 0.0, 0.5, 1.0, 9.0])), [0, 0, 128, 255, 255])


def test_shape_is_kept():
    for shape in ((), (3,), (2, 0, 3), (2, 3, 4)):
        values = np.full(shape, 0.5)
        assert (
            linear_from_srgb(values).shape == srgb_from_linear(values).shape == bytes_from_unit(values).shape == shape
        )
