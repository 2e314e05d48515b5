"""Built-in people: same seed same person, whole meshes, eyes behind lids, teeth behind lips."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.correspondence import correspond
from engine.face.lids import sphere
from engine.identity import Identity
from engine.mesh import Part


@pytest.fixture(scope="module", params=[0, 7, 23])
def person(request: pytest.FixtureRequest) -> Identity:
    return builtin_identity(request.param, 128)


def test_same_seed_same_person_other_seed_other() -> None:
    first, again, other = (builtin_identity(seed, 64) for seed in (5, 5, 6))
    assert first.hash == again.hash
    assert first.hash != other.hash
    assert first.topology.hash == other.topology.hash
    assert np.abs(first.positions_m - other.positions_m).max() > 0.003


def test_head_has_human_size(person: Identity) -> None:
    extent = np.ptp(person.positions_m, axis=0)
    assert 0.20 < extent[0] < 0.35
    assert 0.28 < extent[1] < 0.40


def test_skin_is_one_piece_without_long_triangles(person: Identity) -> None:
    topology = person.topology
    skin = topology.faces[topology.faces_of(Part.SKIN)]
    chart = layout.charts(skin, topology.vertex_count)[np.unique(skin)]
    assert len(np.unique(chart)) == 1
    corners = person.positions_m[skin]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    assert longest.max() < 0.03
    assert np.quantile(longest, 0.99) < 0.02


def test_eyeballs_lie_behind_their_lids(person: Identity) -> None:
    place = correspond(person.topology)
    for part, slit in ((Part.EYE_LEFT, layout.SLITS[2]), (Part.EYE_RIGHT, layout.SLITS[1])):
        centre, radius = sphere(person.positions_m[person.topology.vertices_of(part)].astype(float))
        assert 0.009 < radius < 0.018
        assert (centre[0] > 0) == (part is Part.EYE_LEFT)
        uv = place.opened_uv
        near = (uv[:, 0] > slit.u_left) & (uv[:, 0] < slit.u_right) & (np.abs(uv[:, 1] - slit.v_at(uv[:, 0])) < 0.02)
        distance = np.linalg.norm(person.positions_m[place.vertices[near]] - centre, axis=1)
        assert np.median(distance) > radius - 0.001


def test_teeth_are_behind_the_lips(person: Identity) -> None:
    teeth = person.positions_m[person.topology.vertices_of(Part.TEETH)]
    lips = layout.SLITS[0]
    place = correspond(person.topology)
    near = (np.abs(place.opened_uv[:, 0] - 0.5) < 0.03) & (
        np.abs(place.opened_uv[:, 1] - lips.v_at(place.opened_uv[:, 0])) < 0.03
    )
    assert teeth[:, 2].max() < person.positions_m[place.vertices[near], 2].max()
    assert np.ptp(teeth[:, 0]) > 0.03
