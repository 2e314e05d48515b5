"""Skin folds: each person's own lines, deepened by compression and action units, drawn at any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import fold_strength as measure
from engine.face.builtin import builtin_identity
from engine.face.registration import mean_position_m
from engine.open import open_project
from engine.render.context import standalone_context
from engine.render.renderer import Renderer
from engine.synth.fold_atlas import COUNTED, FAMILIES, LOOK_AGES, atlas
from engine.synth.fold_lines import FoldLines, draw_lines
from engine.synth.folds import (
    STEEPEST,
    Lines,
    at_rest,
    deepened,
    drive,
    fold_change,
    relief,
    shape_change,
    skin_change,
    unit_strengths,
)
from engine.synth.strain import across, metric
from engine.vocabulary import NAMES


def lines_of(*people: FoldLines, age: float = 60.0) -> Lines:
    return Lines.of(people, torch.full((len(people),), age))


def strengths(left: str = "", right: str = "") -> torch.Tensor:
    """(1, 2, 32) of one expression on each side."""
    result = torch.zeros(1, 2, len(NAMES))
    for side, name in enumerate((left, right)):
        if name:
            result[0, side, NAMES.index(name)] = 1
    return result


def head() -> torch.Tensor:
    return torch.from_numpy(mean_position_m().transpose(2, 0, 1).copy())[None]


def test_the_atlas_holds_statistics_of_every_counted_family() -> None:
    assert set(atlas()) == set(COUNTED)
    for family in atlas().values():
        assert sum(family["rows"]) == pytest.approx(1, abs=0.01)
        assert np.array(family["lattice"]["uv"]).shape == (5, 9, 2)
        assert len(family["look"]["depth_mm"]) == len(LOOK_AGES)


def test_the_same_person_folds_the_same_and_another_elsewhere() -> None:
    one, again, other = draw_lines(5, 50.0), draw_lines(5, 50.0), draw_lines(6, 50.0)
    assert all(np.array_equal(getattr(one, name), getattr(again, name)) for name in FoldLines.__slots__)
    assert len(one.uv) != len(other.uv) or not np.allclose(one.uv, other.uv)
    assert ((one.uv > 0) & (one.uv < 1)).all()
    assert set(range(len(FAMILIES))) - set(one.family.tolist()) <= {
        FAMILIES.index(name) for name in ("cheek", "marionette", "upperlip")
    }


def test_depth_at_rest_and_driven_grows_with_age_and_leaves_a_trace_in_the_young() -> None:
    young, old = ([draw_lines(seed, age) for seed in range(8)] for age in (22.0, 68.0))
    depth = [np.mean([one.full_mm[one.family == 0].mean() for one in group]) for group in (young, old)]
    rest = [np.mean([one.rest_mm[one.family == 0].mean() for one in group]) for group in (young, old)]
    assert depth[1] > 1.3 * depth[0]
    assert rest[1] > 5 * rest[0] > 0


def test_men_keep_forehead_lines_and_women_crows_feet_first() -> None:
    def rest(man: float, family: str) -> float:
        drawn = [draw_lines(seed, 42.0, man) for seed in range(30)]
        return float(np.mean([one.rest_mm[one.family == FAMILIES.index(family)].mean() for one in drawn]))

    assert rest(1.0, "forehead") > 1.1 * rest(0.0, "forehead")
    assert rest(0.0, "crow") > 1.1 * rest(1.0, "crow")


def test_compression_is_told_across_the_line() -> None:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    sheet = torch.stack([x, -y, 0 * x])[None] * 0.002
    pressed = sheet * torch.tensor([1.0, 0.8, 1.0])[None, :, None, None]
    still, moved = (metric(each)[0, :, 64, 64][None].expand(2, -1) for each in (sheet, pressed))
    change = across(still, moved, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    assert torch.allclose(change, torch.tensor([-0.2, 0.0]), atol=1e-3)


def test_no_motion_folds_nothing_and_a_pull_flattens_what_rests() -> None:
    lines = lines_of(draw_lines(1, 70.0), age=70.0)
    driven, pull = drive(lines, head(), torch.zeros_like(head()), unit_strengths(strengths()))
    depth = deepened(lines, driven, pull, torch.ones(1))
    assert torch.allclose(depth, lines.rest_mm, atol=1e-6)
    assert fold_change(lines, depth, 128).abs().max() < 1e-4
    stretched = head() * torch.tensor([1.0, 0.15, 0.0])[None, :, None, None]
    driven, pull = drive(lines, head(), stretched, unit_strengths(strengths()))
    forehead = lines.family == FAMILIES.index("forehead")
    assert (deepened(lines, driven, pull, torch.ones(1)) / lines.rest_mm)[forehead].median() < 0.5


def test_action_units_drive_one_side_alone() -> None:
    lines = lines_of(draw_lines(2, 55.0))
    driven, _ = drive(lines, head(), torch.zeros_like(head()), unit_strengths(strengths(left="Lip Corner Puller")))
    smile = lines.family == FAMILIES.index("nasolabial")
    left = lines.uv[:, 0] > 0.5
    assert driven[smile & left].min() > 0.4
    assert driven[smile & ~left].max() == 0
    assert driven[lines.family == FAMILIES.index("forehead")].max() == 0


def test_folds_are_the_same_at_every_size() -> None:
    lines = lines_of(draw_lines(3, 60.0))
    drawn = {size: relief(lines, lines.full_mm, lines.rest_mm, size)[0][0] for size in (256, 512, 2048)}
    for size, alike in ((256, 0.95), (512, 0.99)):  # what is finer than a texel is lost
        fine = drawn[2048].reshape(size, 2048 // size, size, 2048 // size).mean((1, 3))
        both = torch.stack([drawn[size].flatten(), fine.flatten()])
        assert torch.corrcoef(both)[0, 1] > alike
    assert float(drawn[512].abs().sum()) == pytest.approx(float(fine.abs().sum()), rel=0.04)


def test_a_groove_has_its_depth_and_banks_that_hold_what_it_lost() -> None:
    """A straight line of 0.5 mm on the forehead."""
    count = 200
    uv = np.stack([np.linspace(0.4, 0.6, count), np.full(count, 0.22)], -1).astype(np.float32)
    flat = {"opened_uv": uv, "along": np.tile(np.float32([1, 0]), (count, 1)), "outward": np.zeros_like(uv)}
    values = {"step_uv": 0.2 / count, "uv_per_mm": 1 / 281.6, "full_mm": 0.5, "rest_mm": 0.0, "width_mm": 4.0}
    columns = {name: np.full(count, value, np.float32) for name, value in values.items()}
    line = FoldLines(uv=uv, **flat, **columns, family=np.zeros(count, np.int64))
    assert set(FoldLines.__slots__) == {"uv", *flat, *columns, "family"}
    height = relief(lines_of(line, age=45.0), torch.full((count,), 0.5), torch.zeros(count), 1024)[0][0]
    profile = height[:, 512]
    middle = round(0.22 * 1024)
    assert profile.argmin() == pytest.approx(middle, abs=1)
    assert -0.5 < profile.min() < -0.3
    assert profile.max() > 0.03
    assert abs(profile.sum()) < 0.05 * profile.abs().sum()


def test_people_in_company_fold_as_alone() -> None:
    people = [draw_lines(7, 40.0), draw_lines(8, 40.0)]
    both = lines_of(*people, age=40.0)
    together = fold_change(both, both.full_mm, 128)
    for number, person in enumerate(people):
        alone = lines_of(person, age=40.0)
        assert torch.allclose(fold_change(alone, alone.full_mm, 128)[0], together[number], atol=1e-5)


def test_folds_darken_lose_gloss_and_stay_bounded() -> None:
    lines = lines_of(draw_lines(4, 75.0), age=75.0)
    change = fold_change(lines, 3 * lines.full_mm)
    assert torch.isfinite(change).all()
    assert change[:, 7:].square().sum(1).sqrt().max() <= STEEPEST * 1.001
    assert change[:, :3].min() < -0.2
    assert change[:, 3:6].min() < -0.2
    assert change[:, :6].max() < 0.3
    neutral = torch.full((1, 9, 512, 512), 0.5)
    rested = at_rest(neutral, lines)
    assert rested[:, :3].mean() < 0.5
    assert rested[:, :3].min() > 0.2


def test_blood_leaves_compressed_skin_and_stretch_smooths_it() -> None:
    squeezed, pulled = (head() * torch.tensor([s, s, s])[None, :, None, None] for s in (-0.2, 0.2))
    one = torch.ones(1)
    pale, smooth = (skin_change(head(), offset, one, one)[0, :, 300, 200] for offset in (squeezed, pulled))
    assert pale[1] > pale[0] >= 0
    assert pale[6] > 0 > smooth[6]
    assert smooth[3] > 0 > pale[3]
    assert (pale[7:] == 0).all()


def test_a_smile_swells_the_cheek_over_its_fold() -> None:
    lines = lines_of(draw_lines(3, 60.0))
    still = torch.zeros_like(head())
    smile = unit_strengths(strengths("Lip Corner Puller", "Lip Corner Puller"))
    depth = deepened(lines, *drive(lines, head(), still, smile), torch.ones(1))
    moved = shape_change(lines, depth, head(), still)
    away = moved.norm(dim=1)[0] * 1000
    assert 0.2 < away.max() < 2.0
    assert away[:, :40].max() < 0.02  # the ear stays
    frown = deepened(lines, *drive(lines, head(), still, unit_strengths(strengths("Brows Up"))), torch.ones(1))
    assert shape_change(lines, frown, head(), still).abs().max() < 1e-6


@pytest.fixture(scope="module")
def strong() -> dict[str, list]:
    """Four young and four old people's folds on one head that the shipped model moves."""
    motion = measure.motions(builtin_identity(7, texture_size=256))
    return {str(age): [measure.folds_of(f"test {seed}", age, *motion) for seed in range(4)] for age in (25.0, 60.0)}


@pytest.mark.parametrize("goal", measure.GOALS, ids=lambda goal: f"{goal.expression}, {goal.place}")
def test_folds_of_people_near_sixty_can_be_seen(strong: dict[str, list], goal: measure.Goal) -> None:
    for slopes in strong["60.0"]:
        assert goal.least_deg <= measure.strength(slopes, goal) < measure.MOST_DEG


def test_people_fold_differently_old_more_than_young_and_on_both_sides(strong: dict[str, list]) -> None:
    young, old = strong.values()
    assert measure.most_alike(old) < measure.MOST_ALIKE
    rms = [[np.sqrt(np.square(measure.forehead(each)).mean()) for each in group] for group in (young, old)]
    assert np.mean(np.divide(rms[1], rms[0])) >= measure.LEAST_OLDER
    assert 1 / measure.MOST_LOPSIDED < np.median([measure.lopsided(each) for each in old]) < measure.MOST_LOPSIDED
    assert max(measure.degrees(slope).max() for each in (*young, *old) for slope in each.values()) <= measure.MOST_DEG


def test_close_pictures_of_someone_near_sixty_need_the_maps() -> None:
    project = open_project("builtin:13")
    made = [measure.written(project.identity, 60.0, seed) for seed in measure.SEEDS]
    renderer = Renderer(standalone_context())
    for close_up in measure.CLOSE_UPS:
        lost = [measure.pictures(project, each, close_up, renderer)[2] for each in made]
        assert np.median(lost) >= close_up.least[1]
    renderer.release()
