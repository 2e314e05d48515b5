"""Heads on ICT-FaceKit's vertices move as its own shapes say: mouths, lids, gums and lips hold together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from benchmarks.geometry_faults import (
    BLINK,
    JAW,
    SMILE,
    SUCK,
    Faults,
    eyeball_pixels,
    lips_mm,
    lost_share,
    own_shape_m,
    upper_gums_mm,
)
from engine.composer import compose_positions
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.contact import lining, sides, skin_m
from engine.face.ict_shapes import has_shapes, on_jaw, shapes
from engine.face.lids import lid_gap_m, to_shut_m
from engine.face.lips import posed_m
from engine.face.quality import measure
from engine.face.registration import registered
from engine.face.transfer import decode_offsets, encode_offsets, lower_parts
from engine.head import identity_of
from engine.identity import Identity, Provenance
from engine.io import ict
from engine.mesh import Part
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.renderer import Renderer
from engine.sides import Weight
from engine.vocabulary import find
from scripts.build_faces import packed_shapes
from tests.data import ICT, needs_data
from tests.heads import make_head


@pytest.fixture(scope="module")
def person() -> Identity:
    return builtin_identity(7, 128)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(standalone_context())
    yield made
    made.release()


def _moved(identity: Identity, name: str, by: np.ndarray | float = 1.0) -> np.ndarray:
    """(V, 3) metres: ICT-FaceKit's own shape `by` something, as it comes out of the maps."""
    return decode_offsets(identity, encode_offsets(identity, own_shape_m(identity, name) * by), find(name).arkit)


def _expression(identity: Identity, name: str, offsets_m: np.ndarray) -> Expression:
    still = np.zeros((8, 8, 9), np.float32)
    change = ReflectanceChange(still)
    return Expression(name, offsets_m, change, "", find(name).facs, Provenance("test", "", ""))


def _project(identity: Identity) -> Project:
    return Project(identity, ExpressionSet(identity.hash))


def test_which_heads_have_shapes(person: Identity) -> None:
    assert has_shapes(person.topology)
    assert not has_shapes(make_head().topology)


def test_the_file_says_what_the_shapes_are(person: Identity) -> None:
    rng = np.random.default_rng(5)
    deltas = {"b": rng.normal(0, 3, (40, 3)), "a": np.zeros((40, 3))}
    deltas["b"][7:19] = 0
    packed = packed_shapes(deltas, np.array([[0, 1, 2], [2, 1, 3]]))
    assert packed["names"].tolist() == ["a", "b"]
    assert np.unpackbits(packed["moves"], axis=1).sum() == 28
    jaw = shapes().dense_m("jawOpen", person.topology.vertex_count)
    assert 0.03 < np.linalg.norm(jaw, axis=1).max() < 0.05
    assert not shapes().dense_m("jawOpened", 10).any()


@pytest.mark.parametrize("name", [JAW, SUCK, SMILE, "Jaw Forward", "Lip Puckerer"])
def test_own_shapes_are_carried_through(person: Identity, name: str) -> None:
    assert lost_share(person, name) <= 0.01


@pytest.mark.parametrize("by", [0.6, 1.2])
def test_how_far_is_read_off_the_map(person: Identity, by: float) -> None:
    away = np.linalg.norm(_moved(person, JAW, by) - by * own_shape_m(person, JAW), axis=1)
    assert away[registered(person.topology).vertices].max() < 0.002


def test_an_open_mouth_has_no_cracks_and_teeth_in_place(person: Identity) -> None:
    moved = _moved(person, JAW)
    assert measure(person, moved, find(JAW).facs).faults() == ()
    teeth = person.topology.vertices_of(Part.TEETH)
    upper = np.setdiff1d(teeth, lower_parts(person))
    assert np.abs(moved[upper]).max() == 0
    assert moved[np.intersect1d(teeth, on_jaw(person.topology)), 1].max() < -0.01
    assert upper_gums_mm(person, moved) < 1


def test_an_uneven_map_does_not_tear_the_corners_of_an_open_mouth(person: Identity) -> None:
    """Networks mix the lips at the slit: 12 mm there must not show."""
    own = own_shape_m(person, JAW)
    offset_m = encode_offsets(person, own)
    rows = (np.arange(len(offset_m)) + 0.5) / len(offset_m)
    offset_m[(rows > 0.59) & (rows < 0.615), 52:58, 1] += 0.012
    moved = decode_offsets(person, offset_m, find(JAW).arkit)
    assert measure(person, moved, find(JAW).facs).crossing_pairs < 10
    lips = np.unique(np.concatenate([side.rim for side in sides(person.topology, layout.SLITS[0])]))
    away = np.linalg.norm(moved - own, axis=1)[registered(person.topology).vertices[lips]]
    assert away.max() < 0.004


def test_lips_lie_on_each_other_at_rest_and_in_a_closed_smile(person: Identity) -> None:
    assert lips_mm(person, np.zeros_like(person.positions_m)) < 0.2
    assert lips_mm(person, _moved(person, SMILE)) < 0.3


@pytest.mark.parametrize("by", [0.8, 1.3])
def test_more_or_less_of_a_blink_shuts_the_eye(person: Identity, by: float) -> None:
    posed = person.positions_m + by * own_shape_m(person, BLINK)
    skin = registered(person.topology).vertices
    before = np.abs(lid_gap_m(person.topology, posed[skin], "Left")).mean()
    shut = posed + to_shut_m(person.topology, posed, "Left")
    assert np.abs(lid_gap_m(person.topology, shut[skin], "Left")).mean() < 0.5 * before


@pytest.mark.parametrize("name", [BLINK, "Face Compression"])
def test_lining_of_shut_lids_stays_within(name: str) -> None:
    head = builtin_identity(13, 64)
    assert measure(head, _moved(head, name), find(name).facs).crossing_pairs < 25


def test_lips_do_not_pass_through_each_other_where_expressions_add_up(person: Identity) -> None:
    names = ("Lip Corner Depressor", SUCK, "Dimpler")
    made = tuple(_expression(person, name, _moved(person, name)) for name in names)
    full: dict[str, Weight] = dict.fromkeys(names, 1.0)
    moved = [pose(person, ExpressionSet(person.hash, made), full) for pose in (compose_positions, posed_m)]
    before, after = (measure(person, each - person.positions_m, {}) for each in moved)
    assert before.crossing_share > 0.001
    assert after.crossing_share < 0.0005
    assert after.lip_crossing_mm < 0.1 < before.lip_crossing_mm
    assert np.linalg.norm(moved[1] - moved[0], axis=1).max() < 0.002


def test_what_gives_way_comes_gradually_and_not_below_one(person: Identity) -> None:
    names = ("Lip Corner Depressor", SUCK)
    made = ExpressionSet(person.hash, tuple(_expression(person, name, _moved(person, name)) for name in names))
    for weights, most in (((0.5, 0.5), 0.0), ((0.51, 0.51), 0.0001)):
        by_name: dict[str, Weight] = dict(zip(names, weights, strict=True))
        apart = np.abs(posed_m(person, made, by_name) - compose_positions(person, made, by_name)).max()
        assert apart <= most


def test_lids_meet_at_their_margin_not_at_their_lining(person: Identity) -> None:
    for slit in layout.SLITS[1:]:
        under = lining(person.topology, slit)
        upper, lower = sides(person.topology, slit)
        assert len(under) > 40
        assert not np.isin(under, np.concatenate([upper.rows, lower.rows])).any()
        rest = skin_m(person)
        assert rest[upper.rim, 2].max() > rest[under, 2].max()  # it lies behind
    assert len(lining(person.topology, layout.SLITS[0])) == 0


@pytest.mark.parametrize("seed", [2, 4, 7])
def test_no_eyeball_is_seen_through_closed_lids(seed: int, renderer: Renderer) -> None:
    project = _project(builtin_identity(seed, 64))
    closed = _expression(project.identity, BLINK, _moved(project.identity, BLINK))
    assert eyeball_pixels(project, closed, renderer) == 0
    half = _expression(project.identity, BLINK, 0.5 * closed.offsets_m)
    assert eyeball_pixels(project, half, renderer) > 1000  # it is seen where it is to be seen


def test_goals_that_do_not_hold_are_told() -> None:
    assert Faults(0, 0.1, 0.2, 0.5, 0.001, 0.001).faults() == ()
    told = Faults(3, 0.1, 0.9, 1.5, 0.02, 0.02, 0.002).faults()
    goals = ("eyeball seen", "lips gape in a smile", "upper gums move", "Jaw Open lost", "Lip Suck lost")
    assert told == (*goals, "skin crosses in sums")


@needs_data[0]
@needs_data[1]
@pytest.mark.parametrize("seed", [0, 3])
def test_ict_heads_hold_together(seed: int, renderer: Renderer) -> None:
    head = identity_of(ict.read(ICT, seed=seed))
    moved = _moved(head, JAW)
    assert upper_gums_mm(head, moved) < 1
    assert lost_share(head, JAW) <= 0.01
    assert lost_share(head, SUCK) <= 0.01
    assert lips_mm(head, _moved(head, SMILE)) < lips_mm(head, np.zeros_like(head.positions_m)) + 0.1
    assert eyeball_pixels(_project(head), _expression(head, BLINK, _moved(head, BLINK)), renderer) == 0
