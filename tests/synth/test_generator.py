"""Synthetic pairs: closed lids on everyone, strain-driven change, splits, determinism."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.synth.generator import Generator, ict_mix, local_frames
from engine.synth.wrinkles import stretch
from engine.vocabulary import EXPRESSIONS, NAMES
from tests.data import ICT, needs_data


def test_arkit_sides_become_ict_sides() -> None:
    assert ict_mix({"eyeBlinkLeft": 1.0, "browInnerUp": 0.5, "jawLeft": 0.2}) == {
        "eyeBlink_L": 1.0,
        "browInnerUp_L": 0.5,
        "browInnerUp_R": 0.5,
        "jawLeft": 0.2,
    }


def test_stretch_of_a_scaled_sheet() -> None:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    sheet = torch.stack([x, y, 0 * x])[None] * 0.001
    wide = sheet * torch.tensor([1.2, 0.9, 1.0])[None, :, None, None]
    found = stretch(wide, sheet)[0, :, 10:-10, 10:-10]
    assert torch.allclose(found[0], torch.full_like(found[0], 0.2), atol=1e-4)
    assert torch.allclose(found[1], torch.full_like(found[1], -0.1), atol=1e-4)


def test_local_frames_turn_with_the_surface() -> None:
    y, x = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    sheet = torch.stack([x, -y, 0.01 * (x - 64) ** 2])[None] * 0.001
    angle = torch.tensor(0.4)
    turn = torch.tensor([[angle.cos(), 0, angle.sin()], [0, 1, 0], [-angle.sin(), 0, angle.cos()]])
    turned = torch.einsum("ij,bjhw->bihw", turn, sheet)
    assert torch.allclose(turn @ local_frames(sheet), local_frames(turned), atol=1e-4)
    frames = local_frames(sheet)[0, 64, 64]
    assert torch.allclose(frames.T @ frames, torch.eye(3), atol=1e-5)
    assert torch.allclose(frames[:, 2], torch.tensor([0.0, 0.0, 1.0]), atol=0.05)


@pytest.fixture(scope="module")
def people() -> Generator:
    return Generator(ICT, 12, 5)


@pytest.mark.data
class TestOnIct:
    pytestmark = needs_data

    def test_splits_share_no_one(self, people: Generator) -> None:
        assert not set(people.train_identities) & set(people.test_identities)
        batch = people.batch(6, torch.Generator().manual_seed(0))
        assert set(batch.identity.tolist()) <= set(people.train_identities)

    def test_same_draw_same_pairs(self, people: Generator) -> None:
        first, again = (people.batch(2, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(first.change, again.change)
        assert torch.equal(first.offset_m, again.offset_m)

    def test_neutral_changes_nothing(self, people: Generator) -> None:
        batch = people.pairs([0], [0])
        assert batch.offset_m.abs().max() == 0
        assert batch.change.abs().max() < 1e-6

    def test_jaw_opens_downwards_and_brows_wrinkle_the_forehead(self, people: Generator) -> None:
        rows = [NAMES.index("Jaw Open"), NAMES.index("Brows Up")]
        batch = people.pairs([1, 1], rows)
        assert batch.offset_m[0, 1].min() < -0.02
        forehead, chin = batch.change[1, :, 80:140, 200:312], batch.change[1, :, 340:370, 230:280]
        assert forehead[7:].std() > 5 * chin[7:].std()

    def test_everyone_differs(self, people: Generator) -> None:
        row = NAMES.index("Lip Corner Puller")
        batch = people.pairs([0, 1, 2], [row] * 3)
        spread = batch.offset_m.std(dim=0).norm(dim=0).max()
        assert 0.0005 < spread < 0.01

    def test_all_rows_make_finite_pairs(self, people: Generator) -> None:
        batch = people.pairs([3] * len(EXPRESSIONS), list(range(len(EXPRESSIONS))))
        for value in (batch.offset_m, batch.change, batch.neutral_diffuse_srgb):
            assert torch.isfinite(value).all()
        assert batch.offset_m.norm(dim=1).max() < 0.08
        assert np.isclose(batch.expression.sum(), len(EXPRESSIONS))
