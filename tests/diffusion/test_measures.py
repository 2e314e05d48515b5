"""Every measure on cases whose answer is known beforehand."""

import json
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.diffusion.evaluation import measures, rendered, report
from engine.diffusion.evaluation.baselines import Components, Neutrals
from engine.diffusion.evaluation.measures import Masks, Truth, canonical_masks
from engine.diffusion.evaluation.probes import ExpressionProbe, identity_measures, pairwise_mm, thinned
from engine.diffusion.evaluation.report import Scores
from engine.diffusion.inference import Maps
from engine.face.layout import SLITS, close_uv
from engine.synth.strain import stretch
from tests.diffusion.source import WaveSource

SOURCE = WaveSource()
ALL = Masks(torch.ones(32, 32), torch.ones(32, 32), torch.zeros(32, 32), torch.ones(64, 64))


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_the_exact_answer_has_no_error():
    batch = SOURCE.pairs([0, 1], [3, 4])
    exact = Truth(batch, ALL).measure(Maps(batch.offset_m, batch.change))
    for key in ("mm", "mm moving", "mm p95", "mm lips", "diffuse rmse", "normal band", "coherence gap"):
        assert float(exact[key].abs().max()) < 1e-6, key
    assert float(exact["diffuse band r"].min()) == pytest.approx(1.0, abs=1e-4)
    assert exact["mm lids"].isnan().all()  # no texel of a lid in these masks


def test_a_shift_of_5_mm_and_a_tenth_of_change_are_told_as_such():
    batch = SOURCE.pairs([0, 1], [3, 4])
    shift = torch.tensor([0.003, 0.0, 0.004])[:, None, None]
    off = Truth(batch, ALL).measure(Maps(batch.offset_m + shift, batch.change + 0.1))
    for key in ("mm", "mm moving", "mm p95"):
        torch.testing.assert_close(off[key], torch.full((2,), 5.0))
    torch.testing.assert_close(off["roughness rmse"], torch.full((2,), 0.1))
    assert off["roughness band"].max() < 1e-5


def test_moving_skin_is_what_truly_moves_and_the_tail_is_the_95th_percentile():
    true, found = torch.zeros(1, 3, 10, 10), torch.zeros(1, 3, 10, 10)
    true[:, 0, :, :5] = 0.001
    found[:, 0, :, :5] = 0.001 + torch.linspace(0, 0.01, 50).view(10, 5)
    found[:, 1, :, 5:] = 0.5  # wild, where nothing moves
    masks = Masks(*(torch.ones(10, 10),) * 4)
    errors = measures.geometry_errors(true, found, masks)
    assert float(errors["mm moving"]) == pytest.approx(5.0, rel=1e-3)
    assert float(errors["mm p95"]) == pytest.approx(9.5, rel=1e-3)
    assert measures.geometry_errors(true * 0, found, masks)["mm moving"].isnan().all()


def test_the_wrinkle_band_keeps_waves_of_8_texels_and_stops_those_of_200():
    at = torch.arange(512.0)
    fine, coarse = (torch.sin(2 * math.pi * at / period).expand(1, 1, 512, 512) for period in (8, 200))
    middle = (..., slice(32, -32), slice(32, -32))
    assert measures.wrinkle_band(fine)[middle].std() > 0.6 * fine.std()
    assert measures.wrinkle_band(coarse)[middle].std() < 0.1 * coarse.std()
    torch.testing.assert_close(measures.box(coarse * 0 + 3, 7, 7, 512), coarse * 0 + 3)


def test_correlation_is_numpys_inside_the_mask():
    a, b = noise(2, 3, 8, 8), noise(2, 3, 8, 8, seed=1)
    b = b + 0.5 * a
    mask = (noise(8, 8, seed=2) > 0).float()
    found = measures.correlation(a, b, mask)
    for index in range(2):
        inside = [values[index][:, mask > 0].flatten().numpy() for values in (a, b)]
        assert float(found[index]) == pytest.approx(np.corrcoef(*inside)[0, 1], abs=1e-5)
    assert measures.correlation(a, -a, mask).tolist() == pytest.approx([-1.0, -1.0])
    assert measures.correlation(a, torch.ones_like(a), mask).isnan().all()


def test_canonical_masks_leave_the_gaps_out_and_find_lips_and_lids():
    masks = canonical_masks(128, 512)
    row, column = int(0.58 * 128), 64
    assert masks.skin[row, column] == 0  # between the lips
    for part, slits in ((masks.lips, SLITS[:1]), (masks.lids, SLITS[1:])):
        y, x = (part > 0).nonzero().T.numpy()
        assert len(y) > 50
        assert bool((masks.skin[y, x] > 0).all())
        u, v = close_uv(np.stack([(x + 0.5) / 128, (y + 0.5) / 128], -1)).T
        near = [abs(v - slit.v_at(u)) < 0.06 for slit in slits]
        assert np.any(near, axis=0).all()
        above = v < slits[0].v_at(u)
        assert 0.2 < above.mean() < 0.8  # both the upper and the lower one


def test_maps_that_follow_the_strain_are_coherent():
    position = SOURCE.pairs([0], [0]).neutral_position_m
    offset = 0.004 * torch.sin(noise(1, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3))
    squeeze = -measures.to_canonical(stretch(position + offset, position), 64).sum(1)
    change = torch.zeros(1, 9, 64, 64)
    change[:, 6] = 0.3 * squeeze + 0.1
    mask = torch.ones(64, 64)
    follows = measures.coherence(position, offset, change, measures.wrinkle_band(change), mask)
    assert float(follows["strain-roughness r"]) == pytest.approx(1.0, abs=1e-4)
    against = measures.coherence(position, offset, -change, measures.wrinkle_band(change), mask)
    assert float(against["strain-roughness r"]) == pytest.approx(-1.0, abs=1e-4)
    ridges = torch.where(torch.arange(64) % 2 > 0, 1.0, -1.0) * squeeze.clamp(min=0)
    band = ridges[:, None].expand(-1, 9, -1, -1)
    assert float(measures.coherence(position, offset, change, band, mask)["strain-wrinkle r"]) > 0.8


def test_pores_are_kept_by_smooth_changes_and_lost_by_fine_ones():
    texture, position = noise(1, 3, 64, 64), SOURCE.pairs([0], [0]).neutral_position_m
    still, mask = torch.zeros_like(position), torch.ones(64, 64)
    smooth = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    assert float(measures.detail_kept(texture, smooth, position, still, mask)) > 0.99
    other = noise(1, 3, 64, 64, seed=9) - texture
    assert abs(float(measures.detail_kept(texture, other, position, still, mask))) < 0.1
    stretched = position * 0.5  # everywhere under strain: nothing is at rest
    assert measures.detail_kept(texture, smooth, position, stretched, mask).isnan().all()


def test_non_negative_least_squares_finds_the_mix():
    means = noise(5, 3, 8, 8) * 0.01
    means[4] = 0.0
    probe = ExpressionProbe(thinned(means))
    assert probe.moves.tolist() == [True] * 4 + [False]
    mix = 0.7 * means[1] + 0.2 * means[3]
    np.testing.assert_allclose(probe.coefficients(thinned(mix[None]))[0], [0, 0.7, 0, 0.2, 0], atol=2e-3)
    seen = probe.measure(thinned(torch.stack([mix, means[2]])), 1)
    np.testing.assert_allclose(seen["asked"], [0.7, 0.0], atol=2e-3)
    np.testing.assert_allclose(seen["off target"], [0.2, 1.0], atol=2e-3)
    assert seen["top-1"].tolist() == [1.0, 0.0]
    assert all(np.isnan(values).all() for values in probe.measure(thinned(means), 4).values())
    assert probe.measure(thinned(means[:1] * 0), 0)["top-1"].tolist() == [0.0]  # who does nothing shows nothing


def test_identity_is_the_cosine_of_shape_coefficients():
    people = noise(9, 3, 6, 6)
    position = Components.of(people.flatten(1), 4)
    neutrals = Neutrals(position, position, people[:1], torch.empty(0))
    smile = noise(1, 3, 6, 6, seed=5)
    gallery, own = neutrals.identity(people), torch.arange(9)
    kept = identity_measures(neutrals, people, smile.expand(9, -1, -1, -1), smile, gallery, own)
    torch.testing.assert_close(kept["identity cosine"], torch.ones(9), atol=1e-4, rtol=0)
    assert bool(kept["identity found"].all())
    swapped = people.roll(1, 0) - people + smile  # everyone turns into their neighbour
    lost = identity_measures(neutrals, people, swapped, smile, gallery, own)
    assert not lost["identity found"].any()
    assert float(lost["identity cosine"].max()) < 0.95


def test_some_answers_share_a_change_and_are_measured_alike():
    batch = SOURCE.pairs([0, 1], [3, 4])
    truth, other = Truth(batch, ALL), batch.change * 0.5
    first = truth.measure(Maps(batch.offset_m, other))
    shared = truth.measure(Maps(batch.offset_m * 0.5, other))
    again = Truth(batch, ALL).measure(Maps(batch.offset_m * 0.5, other.clone()))
    truth.measure(Maps(batch.offset_m, batch.change))
    after = truth.measure(Maps(batch.offset_m * 0.5, other))
    for key, values in again.items():
        torch.testing.assert_close(shared[key], values, equal_nan=True)
        torch.testing.assert_close(after[key], values, equal_nan=True)
    assert not torch.equal(first["mm"], shared["mm"])


def test_diversity_is_the_mean_distance_of_pairs():
    true = torch.full((1, 3, 4, 4), 0.01)
    shifts = [torch.tensor([x, 0.0, 0.0])[:, None, None] for x in (0.0, 0.003, 0.006)]
    spread = pairwise_mm([true + shift for shift in shifts], true, torch.ones(4, 4))
    assert spread.tolist() == pytest.approx([(3 + 3 + 6) / 3])


def test_pictures_of_the_truth_are_the_truth_and_darker_ones_are_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    batch = SOURCE.pairs([0, 1], [3, 4])
    truth = rendered.RenderedTruth(batch, ALL.texture)
    same = truth.measure(batch.neutral, Maps(batch.offset_m, batch.change))
    assert same["rendered psnr"].tolist() == pytest.approx([100.0, 100.0])
    assert same["flip"].isnan().all()
    darker = batch.change - torch.tensor([0.3] * 3 + [0.0] * 6)[:, None, None]
    found = truth.measure(batch.neutral, Maps(batch.offset_m, darker))["rendered psnr"]
    pairs = [
        rendered.pictures(batch.neutral_position_m + batch.offset_m, rendered.absolute(batch.neutral, change))
        for change in (batch.change, darker)
    ]
    wanted = []
    for light in range(4):
        lit = pairs[0][light, 0].amax(0) > 0
        mse = (pairs[1][light, 0] - pairs[0][light, 0]).square().mean(0)[lit].mean()
        wanted.append(-10 * math.log10(float(mse)))
    assert float(found[0]) == pytest.approx(np.mean(wanted), abs=1e-3)
    assert 10 < float(found[0]) < 40


def test_flip_gets_display_encoded_pictures_of_skin_only(monkeypatch):
    seen = []

    def fake(true, found, kind, applyMagma):
        seen.append((true, found))
        assert (kind, applyMagma) == ("LDR", False)
        return np.abs(true - found).max(2, keepdims=True), 0.0, {}

    monkeypatch.setitem(sys.modules, "flip_evaluator", SimpleNamespace(evaluate=fake))
    batch = SOURCE.pairs([0], [3])
    half = torch.ones(64, 64)
    half[:, :32] = 0
    dark = batch.change - 0.5
    measured = rendered.RenderedTruth(batch, half).measure(batch.neutral, Maps(batch.offset_m, dark))
    assert len(seen) == 4
    for true, found in seen:
        assert true.shape == (64, 64, 3)
        assert true.dtype == np.float32
        assert true.flags.c_contiguous
        assert 0.3 < true.max() <= 1.0
        assert not true[:, :32].any()
        assert not found[:, :32].any()
    wanted = np.mean([np.abs(true - found).max(2)[true.max(2) > 0].mean() for true, found in seen])
    assert float(measured["flip"]) == pytest.approx(wanted, rel=1e-5)


def scores_of(**rows):
    """Scores of 4 people and 2 expressions, 'mm moving' of each row given."""
    scores = Scores(range(4), ["Jaw Open", "Brows Up"])
    for row, values in rows.items():
        for place in range(2):
            measured = {"mm moving": np.array(values, float)} | {
                f"{name} band": np.array(values, float) for name in measures.MAPS
            }
            scores.put(row.replace("_", " "), slice(0, 4), place, measured)
    return scores


def test_scores_average_over_a_persons_expressions_first_and_leave_out_what_is_missing():
    scores = Scores([7, 8], ["a", "b"])
    scores.put("row", slice(0, 1), 0, {"mm": np.array([1.0])})
    scores.put("row", slice(0, 1), 1, {"mm": np.array([3.0])})
    scores.put("row", slice(1, 2), 0, {"mm": np.array([10.0])})
    assert scores.of_people("row", "mm").tolist() == [2.0, 10.0]
    assert scores.mean("row", "mm") == 6.0
    assert np.isnan(scores.mean("row", "nothing"))
    assert np.isnan(scores.mean("nobody", "mm"))
    numbers = json.loads(json.dumps(scores.numbers(), allow_nan=False))
    assert numbers["rows"]["row"]["mm"] == {"mean": 6.0, "people": [2.0, 10.0], "expressions": [5.5, 3.0]}


def test_intervals_hold_the_mean_and_shrink_to_it():
    values = np.random.default_rng(1).normal(5.0, 1.0, 40)
    low, high = report.interval(values)
    error = values.std() / 40**0.5
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.25 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.25 * error)
    assert report.interval(np.full(5, 2.0)) == (2.0, 2.0)
    assert report.interval(values, 2 * values) == (0.5, 0.5)
    assert np.isnan(report.interval(np.full(3, np.nan))[0])


def test_shares_are_of_what_is_above_the_floor_and_of_the_best_baseline():
    scores = scores_of(
        copy_neutral=[8] * 4,
        mean_change=[3, 3.1, 3.2, 3.3],
        ridge_regression=[2, 2, 2, 2],
        ours=[1.25, 1.25, 1.25, 1.25],
        floor=[1] * 4,
    )
    assert report.best_simple(scores) == "ridge regression"
    table = report.against_baselines(scores, ["ours"])
    assert "*ridge regression*" in table
    row = table.splitlines()[-1]
    assert "0.250 [0.250, 0.250]" in row  # above the floor
    assert "0.25 [0.25, 0.25]" in row  # a quarter of ridge's 1 above the floor
    assert row.count("0.16 [0.16, 0.16]") == 4  # 1.25 of 8 in every wrinkle band


def test_a_root_mean_square_of_a_tenth_is_20_db():
    scores = Scores([0], ["a"])
    scores.put("row", slice(0, 1), 0, {f"{name} rmse": np.array([0.1]) for name in measures.MAPS})
    assert report.change_table(scores).splitlines()[-1].startswith("| row | 20.0 | 20.0 | 20.0 | 20.0 | – |")
    assert report.neutral_table(scores).splitlines()[-1] == "| row | 20.0 | 20.0 | 20.0 | 20.0 |"
