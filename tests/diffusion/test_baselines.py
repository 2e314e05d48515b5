"""The baselines on laws that they can and cannot learn."""

import numpy as np
import pytest
import torch

from engine.diffusion.evaluation.baselines import Baselines, Components, centred_gram, read_neutrals, ridge
from engine.diffusion.evaluation.deformation_transfer import DeformationTransfer
from engine.diffusion.evaluation.measures import canonical_masks
from engine.face.registration import mean_position_m
from tests.diffusion.source import WaveSource

SOURCE = WaveSource(people=30)
CPU = torch.device("cpu")


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_ridge_recovers_a_linear_law_exactly():
    scores = noise(20, 4) * torch.tensor([10.0, 1.0, 0.1, 0.01])
    scores -= scores.mean(0)
    law, constant = noise(4, 50, seed=1) * torch.tensor([0.1, 1.0, 10.0, 100.0])[:, None], noise(50, seed=2)
    targets = scores @ law + constant
    fresh = noise(6, 4, seed=3) * scores.std(0)
    weights = 1 / 20 + fresh @ ridge(scores, centred_gram(targets))
    torch.testing.assert_close(weights @ targets, fresh @ law + constant, atol=1e-3, rtol=1e-3)


def test_ridge_finds_nothing_in_noise():
    scores = noise(40, 10)
    scores -= scores.mean(0)
    targets = noise(40, 500, seed=1)
    weights = 1 / 40 + noise(5, 10, seed=2) @ ridge(scores, centred_gram(targets))
    torch.testing.assert_close(weights, torch.full((5, 40), 1 / 40), atol=0.02, rtol=0)


def test_the_gram_matrix_is_of_centred_rows():
    targets = noise(5, 300000) + 100
    rows = (targets - targets.mean(0)).double()
    torch.testing.assert_close(centred_gram(targets), rows @ rows.T, rtol=1e-3, atol=1.0)


def test_components_keep_what_spreads():
    rows = noise(12, 3) @ noise(3, 40, seed=1) + 5
    parts = Components.of(rows, 8)
    assert len(parts.deviation) == 3
    torch.testing.assert_close(parts.scores(rows) @ parts.basis + parts.mean, rows, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(parts.scores(rows).square().mean(0).sqrt(), parts.deviation, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def fitted():
    people = SOURCE.train_identities
    neutrals = read_neutrals(SOURCE, people, CPU)
    return Baselines(SOURCE, people, 5, neutrals, torch.ones(32, 32))


def test_the_mean_is_the_training_peoples(fitted):
    people = SOURCE.train_identities
    batch = SOURCE.pairs(people, [5] * len(people))
    torch.testing.assert_close(fitted.mean.offset_m[0], batch.offset_m.mean(0))
    torch.testing.assert_close(fitted.mean.change[0], batch.change.mean(0), atol=2e-4, rtol=0)


def test_the_gallery_is_who_the_training_people_are():
    people = SOURCE.train_identities
    neutrals = read_neutrals(SOURCE, people, CPU)
    batch = SOURCE.pairs(people, [0] * len(people))
    torch.testing.assert_close(neutrals.gallery, neutrals.identity(batch.neutral_position_m), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(neutrals.gallery.square().mean(0), torch.ones(neutrals.gallery.shape[1]))


def test_on_new_people_each_baseline_does_what_it_can(fitted):
    batch = SOURCE.pairs(SOURCE.test_identities, [5] * 2, explained=True)
    answers = fitted.answers(batch)
    errors = {name: float((maps.offset_m - batch.offset_m).norm(dim=1).mean()) for name, maps in answers.items()}
    assert not answers["copy neutral"].offset_m.any()
    assert not answers["copy neutral"].change.any()
    assert errors["mean change"] < errors["copy neutral"]
    assert errors["ridge regression"] < 0.3 * errors["mean change"]  # size follows linearly from the first trait
    change = {name: float((maps.change - batch.change).square().mean()) for name, maps in answers.items()}
    assert change["ridge regression"] < change["mean change"] < change["copy neutral"]


def test_baselines_never_look_at_the_true_maps(fitted):
    batch = SOURCE.pairs([28], [5])
    blind = SOURCE.pairs([28], [5])
    for part in (blind.neutral, blind.offset_m, blind.change):
        part.fill_(torch.nan)
    for one, other in zip(fitted.answers(batch).values(), fitted.answers(blind).values(), strict=True):
        assert torch.equal(one.offset_m, other.offset_m)
        assert torch.equal(one.change, other.change)


@pytest.fixture(scope="module")
def head():
    """The mean head, a bump that moves its cheek and nothing else, and the skin."""
    position = torch.from_numpy(mean_position_m().transpose(2, 0, 1)[None].copy())
    centres = (torch.arange(128) + 0.5) / 128
    far = ((centres[None, :] - 0.66) ** 2 + (centres[:, None] - 0.5) ** 2) / 0.05**2
    bump = torch.exp(-far) * (far < 4)
    offset = bump * torch.tensor([0.002, -0.003, 0.006])[:, None, None]
    return position, offset[None], canonical_masks(128, 512).skin


def test_deformation_transfer_gives_the_mean_head_its_own_offsets(head):
    position, offset, skin = head
    found = DeformationTransfer(position, offset, skin)(position)
    inside = skin > 0
    error = (found - offset).norm(dim=1)[0][inside]
    assert float(error.mean()) < 1e-5
    assert float(error.max()) < 1e-4  # what holding still texels costs


def test_deformation_transfer_scales_with_the_head(head):
    position, offset, skin = head
    transfer = DeformationTransfer(position, offset, skin)
    inside = skin > 0
    plain = transfer(position)
    larger = transfer(1.3 * position)
    torch.testing.assert_close(larger[:, :, inside], 1.3 * plain[:, :, inside], atol=1e-4, rtol=0)


def test_both_lips_go_their_own_way(head):
    position, _, skin = head
    centres = (torch.arange(128) + 0.5) / 128
    low = (centres > 0.58)[:, None] & ((centres[None, :] - 0.5).abs() < 0.12) & (centres < 0.75)[:, None]
    offset = -0.02 * low[None, None] * torch.tensor([0.0, 1.0, 0.0])[:, None, None]
    found = DeformationTransfer(position, offset.float(), skin)(position)
    upper, lower = int(0.54 * 128), int(0.61 * 128)
    assert float(found[0, 1, lower, 64]) < -0.015
    assert float(found[0, 1, upper, 64]) > -0.003


def test_the_mean_turns_with_the_local_frames():
    """A head that is a turned copy of the mean head gets turned offsets."""
    people = SOURCE.train_identities
    neutrals = read_neutrals(SOURCE, people, CPU)
    baselines = Baselines(SOURCE, people, 5, neutrals, torch.ones(32, 32))
    angle = np.radians(25)
    turn = torch.tensor([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]).float()
    batch = SOURCE.pairs([0], [5])
    turned = torch.einsum("ij,bjhw->bihw", turn, neutrals.mean_position_m)
    object.__setattr__(batch, "neutral_position_m", turned)
    found = baselines.answers(batch)["mean in local frames"].offset_m
    torch.testing.assert_close(found, torch.einsum("ij,bjhw->bihw", turn, baselines.mean.offset_m), atol=1e-6, rtol=0)
