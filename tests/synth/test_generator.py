"""Synthetic pairs: closed lids on everyone, strain-driven change, splits, determinism."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.diffusion.unified import guides
from engine.synth.frames import local_frames
from engine.synth.generator import Population, ict_mix, random_strengths
from engine.synth.people import sample_people
from engine.synth.strain import stretch
from engine.vocabulary import EXPRESSIONS, NAMES, ONE_SIDED
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
def people() -> Population:
    return Population(ICT, 12, 5)


def moved(people: Population, name: str) -> torch.Tensor:
    """(12, 3, 128, 128) metres: everyone's expression `name`."""
    strengths = torch.zeros(12, 2, len(EXPRESSIONS))
    strengths[..., NAMES.index(name)] = 1.0
    return people.moves(range(12), torch.Generator(), strengths)[1]


@pytest.mark.data
class TestOnIct:
    pytestmark = needs_data

    def test_splits_share_no_one(self, people: Population) -> None:
        assert not set(people.train_identities) & set(people.test_identities)
        batch = people.batch(6, torch.Generator().manual_seed(0))
        assert set(batch.identity.tolist()) <= set(people.train_identities)

    def test_same_draw_same_pairs(self, people: Population) -> None:
        first, again = (people.batch(2, torch.Generator().manual_seed(3)) for _ in range(2))
        assert torch.equal(first.change, again.change)
        assert torch.equal(first.offset_m, again.offset_m)

    @pytest.mark.parametrize("name", ["Jaw Open", "Jaw Forward", "Jaw Left"])
    def test_a_jaw_moves_its_skin_alike_however_lips_and_chin_stand(self, people: Population, name: str) -> None:
        offset_m = moved(people, name)
        far = offset_m.norm(dim=1, keepdim=True)
        places = (far > 0.003).all(0)[0]
        way = (offset_m / far)[:, :, places]
        angle = torch.rad2deg((way * way[:1]).sum(1).clamp(-1, 1).arccos())
        assert places.sum() > 400
        assert angle.max() < 2  # of anyone, anywhere, from the first person's
        share = (far / far[:1])[:, 0, places]
        assert (share.std(1) < 0.05).all()  # one size, but for what one side goes further
        assert share.mean(1).std() > 0.1

    def test_jaws_go_as_far_forward_as_people_can(self, people: Population) -> None:
        far_mm = moved(people, "Jaw Forward").norm(dim=1).amax((1, 2)) * 1000
        assert 7 < far_mm.quantile(0.25) < far_mm.quantile(0.75) < 10

    def test_what_jaw_and_tissue_do_together_is_the_sum(self, people: Population) -> None:
        """A dropped jaw is the same in Face Stretch; brows and eyes above it turn with the skin."""
        whole, jaw = (moved(people, name) for name in ("Face Stretch", "Jaw Open"))
        share = (whole * jaw).sum((1, 2, 3)) / jaw.square().sum((1, 2, 3))
        rest = (whole - share[:, None, None, None] * jaw).norm(dim=1)
        assert 0.6 < share.min() < share.max() < 1.5
        assert rest[:, 90:].max() < 1e-3 < rest[:, :50].max()

    def test_neutral_changes_nothing(self, people: Population) -> None:
        batch = people.pairs([0], [0])
        assert batch.offset_m.abs().max() == 0
        assert batch.change.abs().max() < 1e-6

    def test_jaw_opens_downwards_and_brows_wrinkle_the_forehead(self, people: Population) -> None:
        rows = [NAMES.index("Jaw Open"), NAMES.index("Brows Up")]
        batch = people.pairs([1, 1], rows)
        assert batch.offset_m[0, 1].min() < -0.02
        forehead, chin = batch.change[1, :, 80:140, 200:312], batch.change[1, :, 340:370, 230:280]
        assert forehead[7:].std() > 5 * chin[7:].std()

    def test_everyone_differs(self, people: Population) -> None:
        row = NAMES.index("Lip Corner Puller")
        batch = people.pairs([0, 1, 2], [row] * 3)
        spread = batch.offset_m.std(dim=0).norm(dim=0).max()
        assert 0.0005 < spread < 0.01

    def test_all_rows_make_finite_pairs(self, people: Population) -> None:
        batch = people.pairs([3] * len(EXPRESSIONS), list(range(len(EXPRESSIONS))))
        for value in (batch.offset_m, batch.change, batch.texture_srgb, batch.neutral):
            assert torch.isfinite(value).all()
        assert batch.offset_m.norm(dim=1).max() < 0.08
        assert np.isclose(batch.expression.sum(), 2 * len(EXPRESSIONS))

    def test_what_nothing_tells_is_small_and_can_be_left_out(self, people: Population) -> None:
        rows = [NAMES.index("Jaw Open"), NAMES.index("Brows Up")]
        truth, told = (people.pairs([2, 2], rows, explained=explained) for explained in (False, True))
        assert torch.equal(truth.texture_srgb, told.texture_srgb)
        rest = (truth.offset_m - told.offset_m).norm(dim=1).amax((1, 2)) / truth.offset_m.norm(dim=1).amax((1, 2))
        assert (rest > 1e-4).all()
        assert (rest < 0.15).all()
        assert not torch.equal(truth.change, told.change)

    def test_one_side_moves_alone(self, people: Population) -> None:
        strengths = torch.zeros(1, 2, len(EXPRESSIONS))
        strengths[0, 0, NAMES.index("Lip Corner Puller")] = 1
        batch = people.render([4], strengths)
        middle = batch.offset_m.shape[-1] // 2
        right, left = batch.offset_m[..., : middle - 8], batch.offset_m[..., middle + 8 :]  # subject's, by image halves
        assert left.norm(dim=1).max() > 0.003
        assert right.norm(dim=1).max() < 1e-4
        assert batch.neutral_position_m[0, 0, 60, -30] > 0 > batch.neutral_position_m[0, 0, 60, 30]

    def test_folds_run_where_lines_lie_at_rest(self, people: Population) -> None:
        """The neutral's texture foretells an expression's wrinkles: their fine bands correlate."""
        oldest = int(people.people.traits.age_years.argmax())
        batch = people.pairs([oldest], [NAMES.index("Brows Up")])
        forehead = (slice(0, 1), slice(90, 145), slice(190, 322))
        rest, change = guides((batch.neutral[:, :3] + 0.02).log())[0], guides(batch.change[:, :3])[0]
        both = torch.stack([rest[forehead].flatten(), change[forehead].flatten()])
        assert torch.corrcoef(both)[0, 1] > 0.25


def test_draws_are_of_every_kind_and_sides_only_where_people_can() -> None:
    strengths = random_strengths(4000, torch.Generator().manual_seed(0))
    uneven = (strengths[:, 0] != strengths[:, 1]).any(1)
    assert 0.08 < uneven.float().mean() < 0.16
    sided = {NAMES[int(row)] for row in strengths[uneven].amax((0, 1)).nonzero()}
    assert sided == ONE_SIDED
    pure = ((strengths == 1).sum((1, 2)) == 2) & (strengths.sum((1, 2)) == 2)
    assert 0.5 < pure.float().mean() < 0.7
    assert ((strengths[:, 0] > 0).sum(1) > 1).float().mean() > 0.1
    assert (strengths[:, :, 0] == 1).all(1).float().mean() > 0.01
    assert strengths.max() == 1
    assert strengths.min() == 0


def test_strength_follows_from_shape_age_and_tissue_and_is_one_law_for_all_populations() -> None:
    """A cubic in what the neutral shows explains nearly all of one population's strengths from another's."""
    one, other = (sample_people(1500, 20, seed, torch.device("cpu")) for seed in (1, 2))

    def seen(people):
        plain = torch.cat(
            [people.shape[:, :12], people.traits.age_years[:, None] / 30 - 1.6, people.traits.firmness[:, None] - 0.5],
            1,
        )
        square = torch.cat([plain[:, [i]] * plain[:, i:] for i in range(14)], 1)
        return torch.cat([torch.ones(len(plain), 1), plain, square, plain**3], 1)

    answers = torch.linalg.lstsq(seen(one), one.strength[:, 0].log()).solution
    rest = (seen(other) @ answers - other.strength[:, 0].log())[:, 1:]
    assert rest.var() < 0.2 * other.strength[:, 0, 1:].log().var()
    by_shape = torch.linalg.lstsq(seen(one)[:, :13], one.strength[:, 0].log()).solution
    rest = (seen(other)[:, :13] @ by_shape - other.strength[:, 0].log())[:, 1:]
    assert rest.var() > 0.4 * other.strength[:, 0, 1:].log().var()  # the skin has to be looked at, too
    assert 0.01 < other.hidden.log().std() < 0.05
