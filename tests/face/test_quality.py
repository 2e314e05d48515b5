"""Contact, crossings and the figures of a posed head, on known cases and on real heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from engine.face import layout
from engine.face.builtin import builtin_identity
from engine.face.contact import clearance_m, column_gap_m, part_sides, sides, skin_m
from engine.face.intersect import intersecting_pairs
from engine.face.lid_skin import repair_lids
from engine.face.lips import seal_share, settle_lips
from engine.face.quality import measure, report
from engine.face.registration import registered
from engine.face.space import GEOMETRY_SIZE
from engine.face.transfer import decode_offsets, lower_parts
from engine.face.untangle import untangle
from engine.identity import Identity
from engine.io import cache
from engine.io.project import load_project
from engine.mesh import Part
from tests.data import FFHQ_UV, needs_data

MOUTH = layout.SLITS[0]
FLAT = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0]], float)


@pytest.fixture(scope="module")
def person() -> Identity:
    return builtin_identity(7, 128)


# --- crossings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "crosses"),
    [
        ([[1, 1, -1], [1, 1, 1], [2, 2, 1]], True),
        ([[1, 1, 0.5], [1, 1, 1], [2, 2, 1]], False),  # above
        ([[5, 5, -1], [5, 5, 1], [6, 6, 1]], False),  # beside, through the plane
        ([[1, 1, -0.01], [1, 1, 1], [2, 2, 1]], False),  # only touching: 0.01 deep, 0.05 tolerated
    ],
)
def test_two_triangles(other: list[list[float]], crosses: bool) -> None:
    positions = np.concatenate([FLAT, np.array(other, float)])
    found = intersecting_pairs(positions, np.array([[0, 1, 2], [3, 4, 5]]), 0.05)
    assert found.tolist() == ([[0, 1]] if crosses else [])


def test_neighbours_do_not_cross() -> None:
    positions = np.concatenate([FLAT, [[1, 1, -1], [1, 1, 1]]])
    assert len(intersecting_pairs(positions, np.array([[0, 1, 2], [0, 3, 4]]))) == 0


def test_crossings_agree_with_every_pair_tried() -> None:
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 10, (120, 1, 3)) + rng.normal(0, 1.2, (120, 3, 3))

    def hit(a: np.ndarray, b: np.ndarray) -> bool:
        for triangle, edges in ((a, b), (b, a)):
            for start, end in zip(edges, np.roll(edges, 1, axis=0), strict=True):
                system = np.stack([triangle[1] - triangle[0], triangle[2] - triangle[0], start - end], axis=1)
                u, v, t = np.linalg.solve(system, start - triangle[0])
                if u > 0 and v > 0 and u + v < 1 and 0 < t < 1:
                    return True
        return False

    wanted = [[i, j] for i in range(120) for j in range(i + 1, 120) if hit(corners[i], corners[j])]
    assert len(wanted) > 20
    found = intersecting_pairs(corners.reshape(-1, 3), np.arange(360).reshape(-1, 3))
    assert found.tolist() == wanted


# --- contact ---------------------------------------------------------------------------------------------------------


def test_clearance_is_the_distance_to_the_highest_sheet() -> None:
    low = FLAT[:, [0, 2, 1]]
    sheets = np.stack([low, low + np.array([0, 0.5, 0])])
    points = np.array([[1, 2.0, 1], [1, 0.2, 1], [9, 2.0, 9]])
    assert clearance_m(points, sheets, 1.0) == pytest.approx([1.5, -0.3, np.inf])
    assert clearance_m(points, sheets, -1.0) == pytest.approx([-2.0, -0.2, np.inf])


def _lips_moved(person: Identity, upper_m: float, lower_m: float) -> np.ndarray:
    moved = skin_m(person)
    for side, by in zip(sides(person.topology, MOUTH), (upper_m, lower_m), strict=True):
        middle = np.clip(np.minimum(side.along, 1 - side.along) / 0.1, 0, 1)
        moved[side.rows, 1] += by * middle
    return moved


def test_a_known_gap_is_found(person: Identity) -> None:
    pair = sides(person.topology, MOUTH)
    before = column_gap_m(pair, skin_m(person))
    after = column_gap_m(pair, _lips_moved(person, 0.002, -0.001))
    assert (after - before)[4:-4] == pytest.approx(0.003, abs=1e-9)


def test_sides_that_cross_are_parted_by_half(person: Identity) -> None:
    pushed = _lips_moved(person, -0.003, 0.003)
    pair = sides(person.topology, MOUTH)
    assert column_gap_m(pair, pushed).min() < -0.002
    parted = part_sides(person, MOUTH, pushed, 0.00005)
    at_rest = np.minimum(column_gap_m(pair, skin_m(person)), 0.0)  # closed lips are pressed into each other a little
    assert (column_gap_m(pair, parted) - at_rest)[2:-2].min() > -0.0001
    moved = (parted - pushed)[:, 1]
    assert moved.max() > 0.001
    assert -moved.min() == pytest.approx(moved.max(), rel=0.5)


def test_nothing_is_parted_at_rest(person: Identity) -> None:
    rest = skin_m(person)
    assert np.abs(part_sides(person, MOUTH, rest, 0.0) - rest).max() < 1e-9
    assert np.array_equal(untangle(person, rest), rest)


def test_pressed_lips_meet_and_parted_ones_do_not(person: Identity) -> None:
    apart = _lips_moved(person, 0.002, -0.002)
    pair = sides(person.topology, MOUTH)
    at_rest = column_gap_m(pair, skin_m(person))
    pressed = column_gap_m(pair, settle_lips(person, apart, {"mouthPressLeft": 1.0, "mouthPressRight": 1.0}))
    idle = column_gap_m(pair, settle_lips(person, apart, {"mouthLeft": 1.0}))
    parted = column_gap_m(pair, settle_lips(person, apart, {"jawOpen": 1.0, "mouthPressLeft": 1.0}))
    assert np.abs(pressed[2:-2]).max() < 0.0005
    assert (idle - np.maximum(at_rest, 0))[2:-2].max() < 0.0005
    assert parted[8:-8].min() > 0.003


def test_one_sided_press_seals_one_side() -> None:
    assert seal_share({"mouthPressLeft": 1.0}) == (0.0, 1.0)
    assert seal_share({"mouthPressRight": 0.6, "mouthRollLower": 1.0}) == (1.0, 1.0)
    assert seal_share({"mouthPressLeft": 1.0, "jawOpen": 0.2}) == (0.0, 0.0)


def test_folds_that_cross_are_untangled(person: Identity) -> None:
    """A cheek pushed sideways through the wing of the nose."""
    moved = skin_m(person)
    uv = registered(person.topology).opened_uv
    near = np.exp(-(((uv - (0.62, 0.475)) / (0.035, 0.03)) ** 2).sum(axis=1))
    moved[:, 0] -= 0.012 * near
    moved[:, 2] += 0.006 * near
    offsets = np.zeros((person.topology.vertex_count, 3))
    skin = registered(person.topology).vertices
    offsets[skin] = moved - skin_m(person)
    before = measure(person, offsets, {}).crossing_pairs
    offsets[skin] = untangle(person, moved) - skin_m(person)
    after = measure(person, offsets, {}).crossing_pairs
    assert before > 5
    assert after < before / 4


# --- figures ---------------------------------------------------------------------------------------------------------


def test_a_head_at_rest_has_no_faults(person: Identity) -> None:
    quality = measure(person, np.zeros((person.topology.vertex_count, 3)), {})
    assert quality.faults() == ()
    assert quality.lid_gap_mm is None
    assert quality.lip_gap_mm is None
    assert quality.crossing_pairs == 0
    assert quality.skin_in_eye_mm == quality.teeth_through_mm == quality.eye_drift_mm == 0


def test_open_eyes_that_should_be_shut_are_told(person: Identity) -> None:
    quality = measure(person, np.zeros((person.topology.vertex_count, 3)), {"AU45": 1.0})
    assert quality.lid_gap_mm is not None
    assert min(quality.lid_gap_mm) > 4
    assert any(fault.startswith("lids ") and "apart" in fault for fault in quality.faults())
    left = measure(person, np.zeros((person.topology.vertex_count, 3)), {"AU45L": 1.0})
    assert left.lid_gap_mm is not None
    assert left.lid_gap_mm[0] > 4
    assert left.lid_gap_mm[1] == 0


def test_eyes_and_teeth_that_move_are_told(person: Identity) -> None:
    topology = person.topology
    offsets = np.zeros((topology.vertex_count, 3))
    offsets[topology.vertices_of(Part.EYE_LEFT)] = (0.0004, 0, 0)
    upper = np.setdiff1d(topology.vertices_of(Part.TEETH), lower_parts(person))
    offsets[upper] = (0, 0, 0.02)
    quality = measure(person, offsets, {})
    assert quality.eye_drift_mm == pytest.approx(0.4, abs=1e-3)
    assert quality.teeth_drift_mm == pytest.approx(20.0, abs=1e-3)
    assert quality.teeth_through_mm > 3
    assert len(quality.faults()) == 3


def test_lids_in_the_eye_and_in_each_other_are_told(person: Identity) -> None:
    place = registered(person.topology)
    offsets = np.zeros((person.topology.vertex_count, 3))
    for slit in layout.SLITS[1:]:
        upper, _ = sides(person.topology, slit)
        offsets[place.vertices[upper.rows]] = (0, -0.013, -0.003)
    quality = measure(person, offsets, {})
    assert quality.lid_crossing_mm > 0.5
    assert quality.skin_in_eye_mm > 0.5
    assert quality.crossing_pairs > 20
    assert quality.crossing_share > 0


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_half_blink_map_closes_cleanly(person: Identity, side: str) -> None:
    half = np.zeros((GEOMETRY_SIZE, GEOMETRY_SIZE, 3), np.float32)
    rows = (np.arange(GEOMETRY_SIZE) + 0.5) / GEOMETRY_SIZE
    half[(rows > 0.30) & (rows < 0.372), :, 1] = -0.003
    quality = measure(person, decode_offsets(person, half, {f"eyeBlink{side}": 1.0}), {f"AU45{side[0]}": 1.0})
    assert quality.lid_gap_mm is not None
    assert max(quality.lid_gap_mm) < 0.2
    assert quality.lid_crossing_mm < 0.3
    assert quality.skin_in_eye_mm < 0.3


# --- lid skin --------------------------------------------------------------------------------------------------------


def test_dark_lids_get_the_skin_around_them() -> None:
    clean = builtin_identity(7, 512).maps.diffuse_srgb
    same, repaired = repair_lids(clean)
    assert not repaired
    assert same is clean
    patched = clean.astype(float)
    centres = (np.arange(512) + 0.5) / 512
    u, v = np.meshgrid(centres, centres)
    inside = np.zeros((512, 512), bool)
    for slit in layout.SLITS[1:]:
        away, middle = v - slit.v_at(u), 1 - (slit.along(u) * 2 - 1) ** 2
        inside |= (middle > 0) & (away < 0.001) & (away > -0.026 * np.sqrt(np.maximum(middle, 0)))
    patched[inside] = (92, 84, 84)
    filled, repaired = repair_lids(patched.astype(np.uint8))
    assert repaired
    error = np.abs(filled[inside].astype(float) - clean[inside]).mean()
    assert error < 0.3 * np.abs(patched[inside] - clean[inside]).mean()
    far = (np.abs(v - 0.36) > 0.05) | (np.abs(u - 0.5) < 0.05)
    assert np.array_equal(filled[far], clean[far])


# --- real heads ------------------------------------------------------------------------------------------------------

CHECKED = "Eye Blink, Face Compression, Lip Pressor, Lip Suck, Chin Raiser, Jaw Open, Lip Corner Puller"


@needs_data[0]
@needs_data[1]
@pytest.mark.parametrize("name", ["teaser_1", "teaser_2"])
def test_real_heads_hold_together(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command, with the shipped weights: lids shut, lips meet, nothing crosses or stands out."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    out = tmp_path / "head.expdiff"
    assert main(["generate", str(FFHQ_UV / name), "--out", str(out), "--expressions", CHECKED, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "geometry of 7 expressions, 0 out of bounds; largest: lid gap 0." in said
    project = load_project(out)
    assert "upper lids without skin filled in" in project.identity.provenance.note
    for expression in project.expressions.expressions:
        quality = measure(project.identity, expression.offsets_m, expression.facs)
        assert quality.faults() == (), expression.name
        # the skin stays this person's: what changes is a few per cent, not the complexion
        assert np.abs(np.median(expression.change.log_diffuse, axis=(0, 1))).max() < 0.05
    blink = measure(project.identity, project.expressions["Eye Blink"].offsets_m, {"AU45": 1.0})
    assert blink.lid_gap_mm is not None
    assert max(blink.lid_gap_mm) < 0.15
    assert report(project.identity, project.expressions.expressions)[-1] in said
