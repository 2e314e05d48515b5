"""Resampling, and normal maps to slopes and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.image import normal_bytes_from_slope, resize_axis, resize_bilinear, slope_from_normal_bytes, strips

SIDE = st.integers(1, 24)


@given(SIDE, SIDE, st.integers(0, 3))
def test_the_same_size_is_the_same_picture(height, width, channels):
    shape = (height, width, channels) if channels else (height, width)
    image = np.random.default_rng(0).random(shape, np.float32)
    np.testing.assert_array_equal(resize_bilinear(image, (height, width)), image)


@given(SIDE, SIDE, SIDE, SIDE)
def test_a_linear_ramp_stays_one_between_the_outer_texel_centres(height, width, new_height, new_width):
    def ramp(rows, columns):
        v, u = (np.arange(count) / count + 0.5 / count for count in (rows, columns))
        # texel centres beyond the source's outer ones are clamped to its edge
        v, u = (np.clip(at, 0.5 / side, 1 - 0.5 / side) for at, side in ((v, height), (u, width)))
        return np.stack([v[:, None] + 0 * u, 3 * u + 0 * v[:, None]], -1)

    resized = resize_bilinear(ramp(height, width), (new_height, new_width))
    np.testing.assert_allclose(resized, ramp(new_height, new_width), atol=1e-5)


@given(SIDE, SIDE, SIDE, SIDE)
def test_nothing_is_brighter_or_darker_than_before(height, width, new_height, new_width):
    image = np.random.default_rng(height).random((height, width))
    resized = resize_bilinear(image, (new_height, new_width))
    assert resized.shape == (new_height, new_width)
    assert image.min() - 1e-6 <= resized.min() <= resized.max() <= image.max() + 1e-6


def test_it_answers_in_single_precision():
    assert resize_bilinear(np.zeros((2, 2), np.float16), (3, 3)).dtype == np.float32


def test_twice_the_size_weighs_neighbours_three_to_one():
    np.testing.assert_allclose(resize_bilinear(np.array([[0.0, 4.0]]), (1, 4)), [[0, 1, 3, 4]])


@given(SIDE, SIDE, st.data())
def test_a_part_of_a_resized_picture_is_what_the_whole_has_there(height, wide, data):
    first = data.draw(st.integers(0, wide - 1))
    end = data.draw(st.integers(first + 1, wide))
    image = np.random.default_rng(height).random((height, 3, 2)).astype(np.float16)
    part = resize_axis(image, 0, wide, first, end)
    np.testing.assert_array_equal(part, resize_bilinear(image, (wide, 3))[first:end])


@given(st.integers(1, 5000), st.integers(1, 300_000))
def test_strips_cover_every_row_once_in_order(height, width):
    rows = list(strips((height, width)))
    assert [first for first, _ in rows] == [0, *(end for _, end in rows[:-1])]
    assert rows[-1][1] == height


def test_every_normal_map_value_survives_slopes():
    x, y = np.meshgrid(np.arange(1, 256), np.arange(1, 256))
    squared = ((x - 128.0) / 127) ** 2 + ((y - 128.0) / 127) ** 2
    z = np.rint(np.sqrt(np.maximum(1 - squared, 0)) * 127 + 128)
    normal = np.stack([x, y, z], -1).astype(np.uint8)
    steep = squared > 0.98  # nz below 0.14: the floor of 0.1 is near
    again = normal_bytes_from_slope(slope_from_normal_bytes(normal))
    np.testing.assert_array_equal(again[~steep, :2], normal[~steep, :2])
    assert np.abs(again[~steep, 2].astype(int) - normal[~steep, 2]).max() <= 1  # z is rebuilt from x and y


def test_slopes_survive_normal_maps_to_a_rounding():
    slope = np.random.default_rng(0).uniform(-1, 1, (64, 64, 2))
    again = slope_from_normal_bytes(normal_bytes_from_slope(slope)).astype(np.float64)
    assert np.abs(again - slope).max() < 0.025  # half a step of 1/127, steepened by at most (1 + s^2)^1.5


def test_flat_is_128_128_255_and_directx_turns_y():
    flat = normal_bytes_from_slope(np.zeros((2, 2, 2)))
    np.testing.assert_array_equal(flat, np.broadcast_to([128, 128, 255], (2, 2, 3)))
    assert not slope_from_normal_bytes(flat).any()
    leaning = normal_bytes_from_slope(np.full((2, 2, 2), 0.5))
    ours, theirs = (slope_from_normal_bytes(leaning, flip_y=flip) for flip in (False, True))
    np.testing.assert_array_equal(ours * (1, -1), theirs)
    assert ours[..., 1].min() > 0


@pytest.mark.parametrize("value", [0, 255])
def test_the_steepest_maps_give_finite_slopes(value):
    slope = slope_from_normal_bytes(np.full((1, 1, 3), value, np.uint8))
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() < 11
