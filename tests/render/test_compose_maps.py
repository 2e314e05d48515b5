"""Maps blended on the GPU against engine.composer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.composer import compose_maps
from engine.expression import ExpressionSet, ReflectanceChange
from engine.identity import Identity, ReflectanceMaps
from engine.render.compose import MapComposer
from engine.render.upload import MapTextures
from tests.heads import make_expressions, make_head

NAMES = ("Jaw Open", "Brows Up", "Lip Suck", "Dimpler", "Mouth Left", "Mouth Right", "Lip Pressor", "Face Stretch")


@pytest.fixture
def composer(context: moderngl.Context) -> Iterator[MapComposer]:
    made = MapComposer(context)
    yield made
    made.release()


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64, rings=6, segments=8)


@pytest.fixture(scope="module")
def expressions(head: Identity) -> ExpressionSet:
    return make_expressions(head, NAMES)


def read(textures: MapTextures) -> ReflectanceMaps:
    height, width = textures.size
    diffuse, specular, slope = textures.textures
    first = np.frombuffer(diffuse.read(), np.uint8).reshape(height, width, 4)
    second = np.frombuffer(specular.read(), np.uint8).reshape(height, width, 4)
    third = np.frombuffer(slope.read(), np.float16).reshape(height, width, 2)
    return ReflectanceMaps(first[..., :3], second[..., :3], second[..., 3], third)


def assert_agree(found: ReflectanceMaps, expected: ReflectanceMaps) -> None:
    for name in ("diffuse_srgb", "specular_data", "roughness_data"):
        difference = np.abs(getattr(found, name).astype(int) - getattr(expected, name).astype(int))
        assert difference.max() <= 1, f"{name}: {difference.max()}/255"
        assert (difference > 0).mean() < 0.02, f"{name}: {(difference > 0).mean():.1%} of bytes rounded otherwise"
    np.testing.assert_allclose(found.slope.astype(np.float32), expected.slope.astype(np.float32), atol=1e-3)


def test_no_weights_give_the_neutral_bytes(composer: MapComposer, head: Identity, expressions: ExpressionSet) -> None:
    found = read(composer.compose(head.maps, expressions, {"Jaw Open": 0.0}))
    for name in ("diffuse_srgb", "specular_data", "roughness_data", "slope"):
        np.testing.assert_array_equal(getattr(found, name), getattr(head.maps, name))


@pytest.mark.parametrize(
    "weights", [{"Jaw Open": 1.0}, {"Jaw Open": 0.35, "Brows Up": -0.5}, dict.fromkeys(NAMES, 0.7)]
)
def test_agrees_with_the_cpu(
    composer: MapComposer, head: Identity, expressions: ExpressionSet, weights: dict[str, float]
) -> None:
    found = read(composer.compose(head.maps, expressions, weights))
    assert_agree(found, compose_maps(head.maps, expressions, weights))


def test_agrees_where_changes_differ_in_size(composer: MapComposer, head: Identity, expressions: ExpressionSet) -> None:
    small = expressions["Brows Up"].change
    small = ReflectanceChange(
        small.log_diffuse[::2, ::2], small.log_specular[::2, ::2], small.roughness[::2, ::2], small.slope[::2, ::2]
    )
    mixed = expressions.merged(ExpressionSet(head.hash, (replace(expressions["Brows Up"], change=small),)))
    weights = {"Jaw Open": 0.8, "Brows Up": 0.6}
    assert_agree(read(composer.compose(head.maps, mixed, weights)), compose_maps(head.maps, mixed, weights))


def test_another_object_of_the_same_name_is_seen(
    composer: MapComposer, head: Identity, expressions: ExpressionSet
) -> None:
    weights = {"Jaw Open": 1.0}
    composer.compose(head.maps, expressions, weights)
    other = make_expressions(head, NAMES, seed=9)
    assert_agree(read(composer.compose(head.maps, other, weights)), compose_maps(head.maps, other, weights))


def test_changes_out_of_use_are_let_go(composer: MapComposer, head: Identity) -> None:
    """Only what is active and a few spares stay alive."""
    expressions = make_expressions(head, NAMES)
    first = expressions["Jaw Open"].change
    holders = sys.getrefcount(first)
    composer.compose(head.maps, expressions, {"Jaw Open": 1.0})
    assert sys.getrefcount(first) > holders
    for name in NAMES[1:]:
        composer.compose(head.maps, expressions, {name: 1.0})
    assert sys.getrefcount(first) == holders
    assert len(composer._changes) <= 5
