"""Colour encodings against IEC 61966-2-1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.color import (
    blackbody_linear,
    blackbody_temperature,
    bytes_from_unit,
    linear_from_srgb,
    srgb_from_linear,
)

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


def test_black_bodies_have_the_chromaticity_of_the_cie_illuminants():
    """Illuminant A is a black body of 2856 K: x = 0.44757, y = 0.40745. At 6504 K light is nearly white."""
    xyz = np.array(
        [(0.4124564, 0.3575761, 0.1804375), (0.2126729, 0.7151522, 0.0721750), (0.0193339, 0.1191920, 0.9503041)]
    )
    x, y, z = xyz @ blackbody_linear(2856.0)
    np.testing.assert_allclose([x / (x + y + z), y / (x + y + z)], [0.44757, 0.40745], atol=2e-3)
    np.testing.assert_allclose(blackbody_linear(6504.0), 1.0, atol=0.06)  # the daylight of D65 is greener
    assert blackbody_linear(np.array([2000.0, 9000.0])).argmax(-1).tolist() == [0, 2]


def test_the_temperature_of_a_black_body_is_told():
    for kelvin in (2000.0, 3200.0, 5600.0, 6500.0, 12000.0):
        assert abs(blackbody_temperature(blackbody_linear(kelvin)) - kelvin) <= 10
    assert blackbody_temperature(np.array([1.0, 0.0, 0.0])) == 2000.0
    assert blackbody_temperature(np.zeros(3)) > 2000.0
