"""Maps that a head came without, read from its texture; maps that it has, kept."""

from dataclasses import replace

import numpy as np
import pytest

from engine.diffusion.complete import COMPLETED, complete_identity
from engine.errors import WeightsError
from engine.face.builtin import builtin_identity


@pytest.fixture(scope="module")
def identity():
    return builtin_identity(3, texture_size=256)


def test_a_head_with_all_maps_is_itself(identity, tmp_path):
    assert complete_identity(identity, model=tmp_path) is identity  # not even weights are needed


def test_only_what_is_missing_is_read_from_the_texture(identity):
    given = replace(identity, known_maps=frozenset({"diffuse", "roughness"}))
    found = complete_identity(given, device="cpu")
    assert np.array_equal(found.maps.diffuse_srgb, identity.maps.diffuse_srgb)
    assert np.array_equal(found.maps.roughness_data, identity.maps.roughness_data)
    assert not np.array_equal(found.maps.specular_data, identity.maps.specular_data)
    assert found.maps.slope.shape == identity.maps.slope.shape
    assert "specular, normal read from the texture" in found.provenance.note
    assert found.known_maps == given.known_maps
    assert np.array_equal(found.positions_m, identity.positions_m)


def test_what_it_reads_of_a_stranger_is_sound(identity):
    """The built-in skin is painted by another painter than the training set."""
    from engine.face.skin import complete_maps

    bare = replace(identity, known_maps=frozenset({"diffuse"}), maps=complete_maps(identity.maps.diffuse_srgb))
    found = complete_identity(bare, device="cpu")
    for name in COMPLETED:
        field = {"specular": "specular_data", "roughness": "roughness_data", "normal": "slope"}[name]
        assert getattr(found.maps, field).dtype == getattr(bare.maps, field).dtype
        assert np.isfinite(getattr(found.maps, field).astype(np.float32)).all()
    face = (slice(60, 180), slice(70, 186))
    level = [float(maps.specular_data[face].mean()) for maps in (found.maps, identity.maps)]
    assert abs(level[0] - level[1]) < 15


def test_missing_weights_are_said(identity, tmp_path):
    with pytest.raises(WeightsError):
        complete_identity(replace(identity, known_maps=frozenset({"diffuse"})), model=tmp_path)
