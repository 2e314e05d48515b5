"""Into the canonical space and back: offsets, lids, jaw, eyes, maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.channels import MODEL_CHANNELS
from engine.errors import TopologyError
from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.lids import lid_gap_m
from engine.face.registration import mean_position_m, registered
from engine.face.space import GEOMETRY_SIZE, TEXTURE_SIZE
from engine.face.transfer import (
    decode_change,
    decode_offsets,
    encode_neutral,
    head_frame,
    maps_to_canonical,
    maps_to_own,
    rigid_fit,
)
from engine.identity import Identity
from engine.mesh import Part, sphere
from tests.heads import make_head


@pytest.fixture(scope="module")
def person() -> Identity:
    return builtin_identity(7, 128)


def _shift_map(shift: tuple[float, float, float]) -> np.ndarray:
    return np.broadcast_to(np.array(shift, np.float32), (GEOMETRY_SIZE, GEOMETRY_SIZE, 3))


def test_positions_survive_the_canonical_space(person: Identity) -> None:
    place = registered(person.topology)
    rotation, origin = head_frame(person)
    position = encode_neutral(person).position_m
    back = layout.sample_bilinear(position, place.opened_uv) @ rotation + origin
    away = np.linalg.norm(back - person.positions_m[place.vertices], axis=1)
    assert away.mean() < 0.0010
    assert (
        np.quantile(away, 0.85) < 0.002
    )  # beyond are the insides of ears, nostrils and lips, folds that a map has not


def test_head_lies_on_the_mean_head(person: Identity) -> None:
    away = np.linalg.norm(encode_neutral(person).position_m - mean_position_m(), axis=2)
    assert np.median(away) < 0.02
    rotation, _ = head_frame(person)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)


def test_no_offset_moves_nothing(person: Identity) -> None:
    assert np.abs(decode_offsets(person, _shift_map((0, 0, 0)))).max() < 1e-5


def test_skin_follows_and_upper_teeth_stay(person: Identity) -> None:
    rotation, _ = head_frame(person)
    moved = decode_offsets(person, _shift_map((0, 0.004, 0)))
    place = registered(person.topology)
    away_from_eyes = np.abs(place.opened_uv[:, 1] - 0.373) > 0.08
    wanted = np.array([0, 0.004, 0]) @ rotation
    assert np.abs(moved[place.vertices[away_from_eyes]] - wanted).max() < 1e-5
    assert np.abs(moved[person.topology.vertices_of(Part.TEETH)]).max() == 0


def test_lower_teeth_follow_the_jaw_rigidly(person: Identity) -> None:
    moved = decode_offsets(person, _shift_map((0, -0.01, 0)), {"jawOpen": 1.0})
    teeth = person.topology.vertices_of(Part.TEETH)
    down = moved[teeth, 1]
    assert down.min() < -0.009
    assert (np.isclose(down, 0) | (down < -0.009)).all()


def test_mouth_bag_follows_its_rim_smoothly(person: Identity) -> None:
    moved = decode_offsets(person, _shift_map((0, 0, 0.005)))
    skin = set(person.topology.vertices_of(Part.SKIN).tolist())
    bag = np.array([v for v in person.topology.vertices_of(Part.MOUTH) if v < person.topology.head_vertex_count])
    inner = np.array([v for v in bag if v not in skin])
    size = np.linalg.norm(moved[inner], axis=1)
    assert size.max() <= 0.00501
    assert size.max() > 0.004


def test_eyes_turn_about_their_centres(person: Identity) -> None:
    moved = decode_offsets(person, _shift_map((0, 0, 0)), {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0})
    for part in (Part.EYE_LEFT, Part.EYE_RIGHT):
        ball = person.topology.vertices_of(part)
        rest = person.positions_m[ball].astype(float)
        before, after = sphere(rest), sphere(rest + moved[ball])
        assert np.linalg.norm(before[0] - after[0]) < 2e-4
        front = rest[:, 2].argmax()
        assert moved[ball[front], 0] > 0.004  # towards the subject's left


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_lids_meet_at_a_full_blink_even_from_a_half_one(person: Identity, side: str) -> None:
    place = registered(person.topology)
    rest = person.positions_m[place.vertices].astype(float)
    open_gap = lid_gap_m(person.topology, rest, side)
    assert open_gap[16:48].mean() > 0.003
    half = np.zeros((GEOMETRY_SIZE, GEOMETRY_SIZE, 3), np.float32)
    rows = (np.arange(GEOMETRY_SIZE) + 0.5) / GEOMETRY_SIZE
    half[(rows > 0.30) & (rows < 0.372), :, 1] = -0.003
    moved = decode_offsets(person, half, {f"eyeBlink{side}": 1.0})
    gap = lid_gap_m(person.topology, rest + moved[place.vertices], side)
    assert np.abs(gap).max() < 0.0012
    assert np.abs(gap).mean() < 0.0006


def test_change_on_the_same_layout_is_untouched(person: Identity) -> None:
    change = np.random.default_rng(0).normal(0, 0.1, (TEXTURE_SIZE, TEXTURE_SIZE, MODEL_CHANNELS)).astype(np.float16)
    found = decode_change(person, change.astype(np.float32))
    assert (found.log_diffuse == change[..., :3]).all()
    assert (found.slope == change[..., 7:9]).all()


def test_wrong_sizes_and_foreign_heads_are_refused(person: Identity) -> None:
    with pytest.raises(ValueError, match=r"expected shape \(512, 512, 9\)"):
        decode_change(person, np.zeros((256, 256, 9), np.float32))
    with pytest.raises(TopologyError, match="expected a head in the FFHQ-UV layout"):
        encode_neutral(make_head())


def test_a_registration_that_is_given_carries_expressions_to_a_foreign_layout(person: Identity) -> None:
    topology = person.topology
    mirrored = topology.uvs * (-1, 1) + (1, 0)
    foreign = replace(topology, uvs=mirrored.astype(np.float32)[:, ::-1])
    with pytest.raises(TopologyError, match="expected a head in the FFHQ-UV layout"):
        registered(foreign)
    place = replace(registered(topology), same_layout=False)
    head = replace(person, topology=replace(foreign, registration=place))
    bare = np.setdiff1d(np.arange(topology.vertex_count), topology.vertices_of(Part.HAIR))  # hair follows its UVs
    offset_m, arkit = _shift_map((0, -0.004, 0.001)), {"jawOpen": 1.0}
    assert (decode_offsets(head, offset_m, arkit)[bare] == decode_offsets(person, offset_m, arkit)[bare]).all()
    rows = np.broadcast_to(np.linspace(0, 1, TEXTURE_SIZE, dtype=np.float32)[:, None, None], (TEXTURE_SIZE,) * 2 + (1,))
    carried = maps_to_canonical(head.topology, maps_to_own(head.topology, rows))
    middle = slice(200, 340)
    assert np.abs(carried - rows)[middle, middle].mean() < 0.01


def test_rigid_fit_finds_a_known_motion() -> None:
    rng = np.random.default_rng(1)
    points = rng.normal(size=(50, 3))
    angle = 0.3
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    found, shift = rigid_fit(points, points @ turn.T + (1, 2, 3), np.ones((50, 1)))
    assert np.allclose(found, turn)
    assert np.allclose(shift, (1, 2, 3))
