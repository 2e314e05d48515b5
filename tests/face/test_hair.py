"""Hair: ribbons that grow on the skin, follow it, and find their colours in the corner of the map."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import KDTree

from engine.face import groom, scalp
from engine.face.builtin import builtin_identity, grown
from engine.face.head_model import sample_shape
from engine.face.strands import COLUMNS, PALETTE, HairRig, Strands, casting, ribbons
from engine.face.traits import manliness, sample_person
from engine.identity import Identity
from engine.mesh import PARTS, Part


@pytest.fixture(scope="module", params=[7, 5])
def person(request: pytest.FixtureRequest) -> Identity:
    return builtin_identity(request.param, 128)


def test_a_ribbon_tapers_along_its_strand() -> None:
    line = np.stack([np.zeros(4), np.linspace(0, 0.009, 4), np.zeros(4)], -1)
    piece = ribbons(Strands(line[None], np.array([1e-4]), np.array([[0.0, 0.0, 1.0]]), np.array([3])))
    assert piece.positions_m.shape == (7, 3)
    assert piece.faces.shape == (5, 3)
    widths = [piece.positions_m[piece.positions_m[:, 1] == y, 0] for y in line[:3, 1]]
    assert np.ptp(widths[0]) == pytest.approx(1e-4)
    assert np.ptp(widths[0]) > np.ptp(widths[1]) > np.ptp(widths[2]) > 0
    corners = piece.positions_m[piece.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()  # faces as the skin below does
    v = piece.uvs[piece.uv_faces, 1]
    assert (np.argsort(v.min(axis=1)) == np.argsort(corners[..., 1].min(axis=1))).all()


def test_ribbons_cast_shadows_and_fine_hairs_do_not() -> None:
    line = np.stack([np.zeros(3), np.linspace(0, 0.009, 3), np.zeros(3)], -1)

    def span(*widths_m: float) -> tuple[int, int]:
        count = len(widths_m)
        strands = Strands(
            np.repeat(line[None], count, 0),
            np.array(widths_m),
            np.full((count, 1, 3), (0.0, 0.0, 1.0)),
            np.arange(count),
        )
        piece = ribbons(strands)
        return casting(piece.faces, piece.positions_m)

    assert span(2e-4, 1e-3, 1e-4, 2e-3, 1e-4) == (3, 12)  # three triangles each
    assert span(2e-4, 1e-4) == (0, 0)


def test_loose_hair_ends_at_one_height_and_leaves_the_face_free(person: Identity) -> None:
    skin = groom.skin_of(person.topology, person.positions_m)
    strands = scalp.hair(skin, scalp.HairStyle.LOOSE, np.random.default_rng(0))
    assert strands is not None
    tips = strands.points_m[:, -1]
    assert np.ptp(np.quantile(tips[:, 1], [0.1, 0.9])) < 0.025
    top = skin.positions_m[:, 1].max()
    low = strands.points_m[strands.points_m[..., 1] < top - 0.1]
    before = (low[:, 2] > 0.06) & (np.abs(low[:, 0]) < 0.045)
    assert before.mean() < 0.01


def test_hair_grows_on_skin(person: Identity) -> None:
    topology = person.topology
    hair = topology.faces_of(Part.HAIR)
    assert 2000 < len(hair) < 120_000
    v = topology.uvs[topology.uv_faces[hair], 1]
    roots = np.unique(topology.faces[hair][v <= v.min() + 1e-6])
    skin = person.positions_m[topology.vertices_of(Part.SKIN)]
    cards = np.quantile(KDTree(skin).query(person.positions_m[roots])[0], [0.5, 0.8])
    assert cards[0] < 0.003
    assert cards[1] < 0.008  # the rest may be a bun behind the head


def test_hair_finds_its_colours_in_a_corner_that_skin_does_not_use(person: Identity) -> None:
    topology = person.topology
    uv = topology.uvs[topology.uv_faces[topology.faces_of(Part.HAIR)]].reshape(-1, 2)
    left, top, right, bottom = PALETTE
    assert (uv > (left, top)).all()
    assert (uv < (right, bottom)).all()
    skin = topology.uvs[topology.uv_faces[topology.faces_of(Part.SKIN)]].reshape(-1, 2)
    assert not ((skin > (left, top)) & (skin < (right, bottom))).all(axis=1).any()
    assert len(np.unique(uv[:, 0])) > COLUMNS // 2


def test_strands_turn_with_the_skin(person: Identity) -> None:
    topology = person.topology
    skin = topology.vertices_of(Part.SKIN)
    rig = HairRig(topology, person.positions_m, skin)
    angle = 0.2
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    rest = person.positions_m.astype(np.float64)
    posed = rest @ turn.T + (0.0, 0.01, 0.0)
    np.testing.assert_allclose(rig(posed), (posed - rest)[rig.vertices], atol=2e-6)
    assert np.abs(rig(rest)).max() < 1e-6


def test_styles_differ_and_each_makes_hair() -> None:
    skin = groom.model_skin(sample_shape(7))
    assert len(groom.BROW_STYLES) == 12
    lengths = {}
    for style in scalp.HairStyle:
        strands = scalp.hair(skin, style, np.random.default_rng(0))
        if style is scalp.HairStyle.SHAVED:
            assert strands is None
            continue
        assert strands is not None
        lengths[style] = float(np.median(np.linalg.norm(np.diff(strands.points_m, axis=1), axis=2).sum(axis=1)))
    assert len(lengths) == 7
    assert lengths[scalp.HairStyle.BUZZED] < 0.006 < lengths[scalp.HairStyle.SWEPT] < lengths[scalp.HairStyle.LOOSE]


def test_people_are_men_and_women_of_all_ages() -> None:
    people = [sample_person(seed, sample_shape(seed)) for seed in range(40)]
    men = sum(person.man for person in people)
    assert 12 < men < 28
    ages = [person.skin.age_years for person in people]
    assert min(ages) < 24
    assert max(ages) > 72
    assert len({person.hair for person in people}) >= 5
    assert all(person.skin.stubble == 0 for person in people if not person.man)
    scores = [manliness(sample_shape(seed)) for seed in range(60)]
    assert abs(np.mean(scores)) < 0.5


def test_same_seed_same_hair() -> None:
    shape = sample_shape(3)
    person = sample_person(3, shape)
    first, again = grown(shape, person, 3), grown(shape, person, 3)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.positions_m, other.positions_m)
        assert (one.parts == PARTS.index(Part.HAIR)).all()
