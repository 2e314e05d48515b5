"""Blending on the CPU: what renderer and exports are measured against."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import image
from engine.channels import LOG_FLOOR
from engine.composer import compose, compose_maps, compose_positions
from engine.errors import VocabularyError
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face.noise import gaussian_blur
from engine.identity import ReflectanceMaps
from engine.mesh import Part
from tests.heads import make_expressions, make_head

NAMES = ("Jaw Open", "Brows Up", "Cheek Puff")
HEAD = make_head(size=32)
SET = make_expressions(HEAD, NAMES)
MAPS = ("diffuse_srgb", "specular_data", "roughness_data", "slope")
WEIGHTS = st.dictionaries(st.sampled_from(NAMES), st.floats(-1, 1.5), max_size=3)


def full_size(seed=0):
    """One expression whose change has the neutral maps' own size, strong enough to clip here and there."""
    rng = np.random.default_rng(seed)
    size = HEAD.maps.size
    change = ReflectanceChange(
        np.dstack(
            [
                rng.normal(0, 0.6, (*size, 3)),
                rng.normal(0, 0.6, (*size, 3)),
                rng.normal(0, 0.2, size),
                rng.normal(0, 0.3, (*size, 2)),
            ]
        )
    )
    made = Expression("Jaw Open", rng.normal(0, 0.01, HEAD.positions_m.shape), change)
    return ExpressionSet(HEAD.hash, (made,))


def decoded(value):
    value = value.astype(np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encoded(value):
    value = np.clip(value, 0, 1)
    return 255 * np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("weights", [{}, {"Jaw Open": 0.0}, dict.fromkeys(NAMES, 0.0), {"Jaw Open": -0.0}])
def test_zero_weights_give_the_neutral_itself(weights):
    surface = compose(HEAD, SET, weights)
    assert surface.positions_m is HEAD.positions_m
    assert surface.maps is HEAD.maps


def within_one(weights):
    """`weights` made smaller, so that they do not come to more than 1."""
    return {name: weight / max(sum(map(abs, weights.values())), 1) for name, weight in weights.items()}


@given(st.one_of(WEIGHTS.map(within_one), WEIGHTS.map(lambda weights: dict([*weights.items()][:1]))))
def test_positions_are_the_neutral_and_the_weighted_offsets(weights):
    expected = HEAD.positions_m.astype(np.float64)
    for name, weight in weights.items():
        expected = expected + weight * SET[name].offsets_m.astype(np.float64)
    positions = compose_positions(HEAD, SET, weights)
    assert positions.dtype == np.float32
    np.testing.assert_allclose(positions, expected, atol=1e-7)
    backwards = dict(reversed(weights.items()))
    np.testing.assert_allclose(compose_positions(HEAD, SET, backwards), positions, atol=1e-7)


def moving(*offsets_m):
    """A set of one expression for each (V, 3)."""
    made = zip(NAMES, SET.expressions, offsets_m, strict=False)
    return ExpressionSet(HEAD.hash, tuple(Expression(name, each, like.change) for name, like, each in made))


def test_expressions_beyond_one_hardly_go_further_than_the_strongest():
    rng = np.random.default_rng(0)
    skin = HEAD.topology.vertices_of(Part.SKIN)
    offsets_m = [rng.normal(0, 0.005, HEAD.positions_m.shape) for _ in NAMES]
    posed = compose_positions(HEAD, moving(*offsets_m), dict.fromkeys(NAMES, 1.0))
    moved = (posed - HEAD.positions_m)[skin]
    up, down = (np.max([np.maximum(way * each[skin], 0) for each in offsets_m], axis=0) for way in (1, -1))
    assert (moved <= 3**0.25 * up - down + 1e-6).all()
    assert (moved >= up - 3**0.25 * down - 1e-6).all()


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.integers(0, 2))
def test_a_slider_moves_the_sum_without_a_leap(weights, moved):
    nudged = [weight + 0.001 * (index == moved) for index, weight in enumerate(weights)]
    before, after = (compose_positions(HEAD, SET, dict(zip(NAMES, each, strict=True))) for each in (weights, nudged))
    reach = sum(np.abs(SET[name].offsets_m).max() for name in NAMES)
    assert np.abs(after - before).max() <= 0.003 * reach + 1e-7


def turned(degrees, axis, rows, centre):
    """(V, 3) offsets that turn the vertices `rows` of the head about `centre`."""
    offsets = np.zeros_like(HEAD.positions_m)
    angle, (a, b) = np.radians(degrees), [other for other in range(3) if other != axis]
    arms = HEAD.positions_m[rows] - centre
    offsets[rows, a] = np.cos(angle) * arms[:, a] - np.sin(angle) * arms[:, b] - arms[:, a]
    offsets[rows, b] = np.sin(angle) * arms[:, a] + np.cos(angle) * arms[:, b] - arms[:, b]
    return offsets


@pytest.mark.parametrize("weights", [(1, 1), (0.5, 0), (1, 0.3)])
def test_eyeballs_that_turn_keep_their_size(weights):
    rows, centre = HEAD.topology.vertices_of(Part.EYE_LEFT), np.array([0.032, 0.02, 0.088])
    gazes = moving(turned(30, 0, rows, centre), turned(30, 1, rows, centre))
    posed = compose_positions(HEAD, gazes, dict(zip(NAMES, weights, strict=False)))
    reach = [np.linalg.norm(each[rows] - centre, axis=1) for each in (HEAD.positions_m, posed)]
    np.testing.assert_allclose(reach[1], reach[0], atol=1e-6)
    assert np.abs(posed[rows] - HEAD.positions_m[rows]).max() > 0.002


def test_eyeballs_that_are_moved_away_go_there():
    rows = HEAD.topology.vertices_of(Part.EYE_LEFT)
    away = np.zeros_like(HEAD.positions_m)
    away[rows] = (0.0, 0.004, 0.0)
    posed = compose_positions(HEAD, moving(away), {"Jaw Open": 0.5})
    np.testing.assert_allclose(
        (posed - HEAD.positions_m)[rows], np.broadcast_to([0, 0.002, 0], (len(rows), 3)), atol=1e-7
    )


@given(WEIGHTS)
def test_slopes_are_linear_in_the_weights(weights):
    neutral = HEAD.maps.slope.astype(np.float64)
    expected = neutral.copy()
    for name, weight in weights.items():
        alone = compose_maps(HEAD.maps, SET, {name: 1.0}).slope
        expected += weight * (alone - neutral)
    # half floats round each picture by up to 2^-11 of its value
    np.testing.assert_allclose(compose_maps(HEAD.maps, SET, weights).slope, expected, atol=3e-3)


def test_one_expression_at_full_weight_is_the_ratio_formula():
    made, neutral = full_size(), HEAD.maps
    change = made["Jaw Open"].change
    maps = compose_maps(neutral, made, {"Jaw Open": 1.0})
    albedo = (decoded(neutral.diffuse_srgb) + LOG_FLOOR) * np.exp(change.log_diffuse.astype(np.float64)) - LOG_FLOOR
    intensity = neutral.specular_data / 255 + LOG_FLOOR
    specular = intensity * np.exp(change.log_specular.astype(np.float64)) - LOG_FLOOR
    roughness = neutral.roughness_data / 255 + change.roughness.astype(np.float64)
    for found, expected in (
        (maps.diffuse_srgb, encoded(albedo)),
        (maps.specular_data, 255 * np.clip(specular, 0, 1)),
        (maps.roughness_data, 255 * np.clip(roughness, 0, 1)),
    ):
        assert np.abs(found - expected).max() < 0.501  # the nearest byte
    slope = neutral.slope.astype(np.float64) + change.slope
    np.testing.assert_allclose(maps.slope, slope, rtol=1e-3, atol=1e-4)


def test_the_log_ratio_of_two_maps_takes_one_to_the_other():
    neutral, target = HEAD.maps, make_head(size=32, seed=9).maps
    change = ReflectanceChange(
        np.dstack(
            [
                np.log((decoded(target.diffuse_srgb) + LOG_FLOOR) / (decoded(neutral.diffuse_srgb) + LOG_FLOOR)),
                np.log((target.specular_data / 255 + LOG_FLOOR) / (neutral.specular_data / 255 + LOG_FLOOR)),
                target.roughness_data / 255 - neutral.roughness_data / 255,
                target.slope.astype(np.float32) - neutral.slope,
            ]
        )
    )
    made = ExpressionSet(HEAD.hash, (replace(full_size()["Jaw Open"], change=change),))
    maps = compose_maps(neutral, made, {"Jaw Open": 1.0})
    for name in MAPS[:3]:
        assert np.abs(getattr(maps, name).astype(int) - getattr(target, name)).max() <= 1
    np.testing.assert_allclose(maps.slope, target.slope, atol=1e-3)


def test_ratios_multiply_and_clip_once_after_the_sum():
    up = full_size()["Jaw Open"]
    change = up.change
    opposite = ReflectanceChange(
        np.dstack([-change.log_diffuse, -change.log_specular, -change.roughness, -change.slope])
    )
    both = ExpressionSet(HEAD.hash, (up, Expression("Brows Up", -up.offsets_m, opposite)))
    surface = compose(HEAD, both, {"Jaw Open": 3.0, "Brows Up": 3.0})
    for name in MAPS:
        np.testing.assert_array_equal(getattr(surface.maps, name), getattr(HEAD.maps, name))
    np.testing.assert_allclose(surface.positions_m, HEAD.positions_m, atol=1e-7)


def test_half_size_changes_are_carried_at_the_neutrals_size():
    surface = compose(HEAD, SET, {"Jaw Open": 1.0})
    assert SET["Jaw Open"].change.size == (16, 16)
    assert surface.maps.size == (32, 32)
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", ["Jaw Left", "Jaw Opne"])
def test_a_name_without_an_expression_is_refused(name):
    with pytest.raises(VocabularyError, match=f"'{name}' is not in this set; it has: Jaw Open, Brows Up"):
        compose(HEAD, SET, {name: 0.5})


def grainy(size, seed=0):
    """Maps whose every texel differs from its neighbours: pores as fine as the map can hold."""
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 12, (*size, 1))
    return ReflectanceMaps(
        np.clip(np.array([198, 150, 128]) + grain, 0, 255).astype(np.uint8),
        np.clip(np.array([28, 37, 46]) + grain / 3, 0, 255).astype(np.uint8),
        np.clip(110 + grain[..., 0], 0, 255).astype(np.uint8),
        rng.normal(0, 0.1, (*size, 2)).astype(np.float16),
    )


def smooth_change(size, seed=0):
    """A strong, slow change in the middle of the face, exactly nothing around it."""
    rng = np.random.default_rng(seed)
    y, x = ((np.arange(side) + 0.5) / side * 2 - 1 for side in size)
    bump = np.clip(1 - (y[:, None] ** 2 + x[None] ** 2) / 0.5, 0, None) ** 2
    return ReflectanceChange(
        np.dstack([bump.reshape(size + (1,) * (n > 0)) * rng.normal(0, 0.5, n or None) for n in (3, 3, 0, 2)])
    )


@pytest.mark.parametrize("texels", [1, 300, 1777])
@pytest.mark.parametrize(("size", "changes"), [((37, 53), ((9, 16),)), ((64, 31), ((64, 31), (16, 8), (5, 8)))])
def test_where_strips_begin_changes_no_bit(monkeypatch, texels, size, changes):
    head = grainy(size)
    made = [Expression(name, np.zeros((3, 3)), smooth_change(each)) for name, each in zip(NAMES, changes, strict=False)]
    together, weights = ExpressionSet("", tuple(made)), {each.name: 0.7 for each in made}
    monkeypatch.setattr(image, "ROWS_TEXELS", 10**9)
    whole = compose_maps(head, together, weights)
    normal = image.normal_bytes_from_slope(whole.slope)
    monkeypatch.setattr(image, "ROWS_TEXELS", texels)
    strips = compose_maps(head, together, weights)
    for name in MAPS:
        np.testing.assert_array_equal(getattr(strips, name), getattr(whole, name))
    np.testing.assert_array_equal(image.normal_bytes_from_slope(whole.slope), normal)


def test_sizes_of_changes_may_differ_from_each_other_and_from_the_maps():
    head, changes = (
        grainy((45, 60)),
        [smooth_change(size, seed) for seed, size in enumerate(((15, 20), (12, 20), (9, 8)))],
    )
    together = ExpressionSet("", tuple(Expression(n, np.zeros((3, 3)), c) for n, c in zip(NAMES, changes, strict=True)))
    maps = compose_maps(head, together, dict.fromkeys(NAMES, 0.5))
    total = [
        0.5 * sum(image.resize_bilinear(getattr(change, name), (45, 60)).astype(np.float64) for change in changes)
        for name in ("log_diffuse", "slope")
    ]
    expected = encoded((decoded(head.diffuse_srgb) + LOG_FLOOR) * np.exp(total[0]) - LOG_FLOOR)
    assert np.abs(maps.diffuse_srgb - expected).max() < 0.501
    np.testing.assert_allclose(maps.slope, head.slope + total[1], rtol=1e-3, atol=1e-4)


def test_memory_beside_the_result_is_a_fraction_of_one_float_copy():
    side = 1024
    head, made = grainy((side, side)), Expression("Jaw Open", np.zeros((3, 3)), smooth_change((64, 64)))
    tracemalloc.start()
    try:
        maps = compose_maps(head, ExpressionSet("", (made,)), {"Jaw Open": 0.8})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    result = sum(getattr(maps, name).nbytes for name in MAPS)
    assert peak - result < 0.5 * 9 * 4 * side * side


def band(values):
    """Detail of one to about four texels across."""
    return values - gaussian_blur(values, 2.0)


def test_pores_stay_under_an_expression():
    size, mesh = (256, 256), np.zeros((3, 3))
    head, change = grainy(size), smooth_change((64, 64))
    maps = compose_maps(head, ExpressionSet("", (Expression("Jaw Open", mesh, change),)), {"Jaw Open": 1.0})
    untouched = image.resize_bilinear(np.abs(change.log_diffuse).max(axis=2), size) == 0
    assert 0.2 < untouched.mean() < 0.8
    for name in MAPS:
        np.testing.assert_array_equal(getattr(maps, name)[untouched], getattr(head, name)[untouched])
        assert (getattr(maps, name)[~untouched] != getattr(head, name)[~untouched]).any()
    detail = [band(np.log(decoded(each.diffuse_srgb[..., 1]) + LOG_FLOOR)) for each in (head, maps)]
    assert np.corrcoef(detail[0].ravel(), detail[1].ravel())[0, 1] > 0.99  # bytes round, most where skin gets darker
    for axis in range(2):
        before, after = (band(each.slope[..., axis].astype(np.float32)) for each in (head, maps))
        np.testing.assert_allclose(after, before, atol=2e-3)
