"""`expdiff evaluate` as a whole, with models that know the answer and models that give none."""

import argparse
import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from engine.diffusion import evaluate as command
from engine.diffusion.evaluation.baselines import Components, read_neutrals
from engine.diffusion.evaluation.entrants import Entrant, parse_model
from engine.diffusion.evaluation.measures import canonical_masks
from engine.diffusion.evaluation.real_heads import both_sides, heads_table, measure_heads, seam_errors, seam_uv
from engine.diffusion.evaluation.report import FLOOR, FORESEEABLE, Scores, report
from engine.diffusion.evaluation.run import Evaluation, Plan, evaluate
from engine.diffusion.inference import Maps
from engine.errors import EngineError, WeightsError
from engine.face.builtin import builtin_identity
from engine.open import open_project
from tests.data import FFHQ_UV, needs_data
from tests.diffusion.oracle import Face, Oracle
from tests.diffusion.source import WaveSource

SOURCE = WaveSource(people=26)
ROWS = (3, 8, 10, 21)


@pytest.fixture(scope="module")
def done():
    """An oracle, and one that goes too far and varies."""
    entrants = [Entrant("oracle", Oracle(SOURCE), (1, 4)), Entrant("loud", Oracle(SOURCE, 1.3, 0.001), (2,))]
    return evaluate(entrants, SOURCE, Plan(people=2, rows=ROWS, fit_people=24, pictures=(8,)))


def test_the_floor_is_what_nothing_in_the_neutral_tells(done):
    scores = done.scores
    for place, person in enumerate(SOURCE.test_identities):
        expected = []
        for row in ROWS:
            true, told = (SOURCE.pairs([person], [row], explained=explained) for explained in (False, True))
            inside = (true.offset_m.norm(dim=1) > 0.0005) & (done.masks.skin > 0)
            expected.append(float((true.offset_m - told.offset_m).norm(dim=1)[inside].mean()) * 1000)
        assert scores.of_people(FLOOR, "mm moving")[place] == pytest.approx(np.mean(expected), rel=1e-4)
    for row in (FORESEEABLE, "oracle, 1 step", "oracle, 4 steps"):
        np.testing.assert_allclose(scores.of_people(row, "mm moving"), scores.of_people(FLOOR, "mm moving"), rtol=1e-4)


def test_who_knows_the_answer_wins_and_who_exaggerates_does_not(done):
    scores = done.scores
    for key in ("mm moving", "diffuse rmse", "normal band"):
        errors = {row: scores.mean(row, key) for row in scores.values}
        assert errors["oracle, 1 step"] < errors["mean change"] < errors["copy neutral"]
        assert errors["oracle, 1 step"] < errors["loud, 2 steps"]
    assert np.abs(scores.excess("oracle, 4 steps", "mm moving")).max() < 1e-5
    assert scores.mean("oracle, 1 step", "rendered psnr") > scores.mean("copy neutral", "rendered psnr")


def test_expression_and_identity_are_recovered(done):
    scores = done.scores
    assert scores.mean("oracle, 1 step", "top-1") == 1.0
    assert scores.mean("oracle, 1 step", "asked") == pytest.approx(1.0, abs=0.4)
    ratio = scores.of_people("loud, 2 steps", "asked") / scores.of_people("oracle, 1 step", "asked")
    np.testing.assert_allclose(ratio, 1.3, atol=0.15)
    assert scores.mean("copy neutral", "top-1") < 1.0
    assert scores.mean("oracle, 1 step", "identity cosine") > scores.mean("loud, 2 steps", "identity cosine")


def test_diversity_is_zero_without_noise_and_what_cannot_be_seen_beside_it(done):
    scores = done.scores
    assert scores.mean("oracle, 4 steps", "diversity mm") == 0.0
    assert scores.mean("loud, 2 steps", "diversity mm") > 0.3
    one = scores.values[FORESEEABLE]["mm moving"][:, ROWS.index(8)]
    np.testing.assert_allclose(scores.values[FORESEEABLE]["diversity mm"][:, ROWS.index(8)], one * 2**0.5, rtol=1e-4)
    assert np.isnan(scores.values[FORESEEABLE]["diversity mm"][:, 0]).all()  # no picture, no variations


def test_the_report_has_every_row_and_the_json_every_number(done):
    text = report(done.scores, done.neutral_scores, ["oracle, 1 step", "loud, 2 steps"])
    for row in done.scores.values:
        assert text.count(f"| {row} |") >= 3
    assert "| the texture itself |" in text
    assert "nan" not in text
    numbers = json.loads(json.dumps(done.scores.numbers(), allow_nan=False))
    assert len(numbers["rows"]["ridge regression"]["mm"]["expressions"]) == len(ROWS)


def test_neutral_maps_are_measured_against_the_true_ones(done):
    batch = SOURCE.pairs(SOURCE.test_identities, [0, 0])
    wanted = (0.5 - batch.neutral[:, 6]).square()[:, done.masks.texture > 0].mean(1).sqrt()
    np.testing.assert_allclose(done.neutral_scores.of_people("oracle", "roughness rmse"), wanted, rtol=1e-4)


def test_test_people_who_were_trained_on_are_refused():
    class Leaky(WaveSource):
        def __init__(self):
            super().__init__()
            self.test_identities = self.train_identities[:2]

    with pytest.raises(EngineError, match="no training people"):
        evaluate([Entrant("oracle", Oracle(Leaky()))], Leaky(), Plan(people=1, rows=(3,)))


def test_weights_are_named_and_may_say_their_steps():
    assert parse_model("ours=runs/a=b") == ("ours", "runs/a=b", (1, 4, 8))
    assert parse_model("ExpDiff-R=x@20") == ("ExpDiff-R", "x", (20,))
    assert parse_model("ours=user@host/x@1,2") == ("ours", "user@host/x", (1, 2))
    assert parse_model("runs/a") == ("a", "runs/a", (1, 4, 8))
    assert parse_model("runs/a@4") == ("a", "runs/a", (4,))
    for wrong in ("", "@4", "=x", "ours=", "ours=x@", "ours=x@0", "ours=x@51", "ours=x@many"):
        with pytest.raises(EngineError, match="NAME=FOLDER"):
            parse_model(wrong)


def arguments(*texts):
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["--data", "nowhere", "--device", "cpu", *texts])


def test_the_command_prints_tables_and_writes_card_and_json(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(command, "pair_source", lambda *given: asked.append(given) or SOURCE)
    monkeypatch.setattr(command, "load_model", lambda folder, device: Oracle(SOURCE))
    card, numbers = tmp_path / "card.md", tmp_path / "all.json"
    options = ["--model", f"best={tmp_path}@1", "--people", "2", "--fit-people", "8", "--pictures", "none"]
    code = command.run(arguments(*options, "--expressions", "Jaw Open", "--card", str(card), "--json", str(numbers)))
    assert code == 0
    assert asked[0][0] == Oracle(SOURCE).config
    assert asked[0][3] == 10  # people whose skin is kept: those measured and those of the baselines
    printed = capsys.readouterr().out
    assert "| best, 1 step |" in printed
    assert "baselines from 8 training people" in printed
    written = card.read_text()
    assert printed.strip() in written
    assert "0.0 million weights" in written
    stored = json.loads(numbers.read_text())
    assert stored["expressions"] == ["Jaw Open"]
    assert stored["models"] == {"best": "oracle-0"}


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["--people", "-1"], "--people: expected 1 to"),
        (["--people", "0"], "--people: expected 1 to"),
        (["--fit-people", "-1"], "--fit-people: expected 1 to"),
        (["--fit-people", "9" * 30], "--fit-people: expected 1 to"),
        (["--expressions", "Neutral"], "expected --expressions with one beside Neutral"),
        (["--expressions", ""], "expected --expressions with one beside Neutral"),
    ],
)
def test_nobody_and_nothing_are_refused_before_a_model_is_read(texts, says, monkeypatch):
    monkeypatch.setattr(command, "load_model", lambda *given: pytest.fail("work began"))
    with pytest.raises(EngineError, match=says):
        command.run(arguments(*texts))


def test_models_of_other_people_are_refused(monkeypatch):
    models = iter([Oracle(SOURCE), replace(Oracle(SOURCE), config=replace(Oracle(SOURCE).config, seed=4))])
    monkeypatch.setattr(command, "load_model", lambda folder, device: next(models))
    with pytest.raises(WeightsError, match="same people"):
        command.run(arguments("--model", "a=x", "--model", "b=y"))


@dataclass(frozen=True, eq=False)
class Painter(Oracle):
    """Moves everything a little to the left, and paints the right half of the texture."""

    shift_m: float = 0.0
    paint: float = 0.0

    def read(self, position_m, texture_srgb):
        return Face(torch.zeros(len(position_m)), torch.zeros(len(position_m), 9, 1, 1))

    def sample(self, neutral, strengths, prompts, noise, steps):
        assert strengths.shape == (len(neutral.who), 2, 32)
        latent = strengths.sum((1, 2)) / 2
        yield latent, latent

    def decode(self, latent, neutral):
        offset_m, change = torch.zeros(len(latent), 3, 128, 128), torch.zeros(len(latent), 9, 512, 512)
        offset_m[:, 0] = self.shift_m * latent[:, None, None]
        change[:, :3, :, 256:] = self.paint
        return Maps(offset_m, change)


@pytest.fixture(scope="module")
def fitted():
    """What `evaluate` fits, at the real sizes of geometry, on waves."""
    waves, rows, masks = WaveSource(128, 64, people=6), (8, 10), canonical_masks(128, 512)
    neutrals = read_neutrals(waves, waves.train_identities, torch.device("cpu"))
    means = torch.cat([waves.pairs(range(4), [row] * 4).offset_m.mean(0, keepdim=True) for row in rows])
    return Evaluation(Scores([], []), Scores([], []), Plan(rows=rows), neutrals, means, masks)


def test_real_heads_are_measured_by_what_must_stay(fitted):
    head = builtin_identity(0)
    entrants = [
        Entrant("still", Painter(SOURCE), (1,)),
        Entrant("moved", Painter(SOURCE, shift_m=0.002, paint=0.5), (1, 2)),
    ]
    measured = measure_heads(entrants, [head], fitted)
    scores = measured[head.name]
    assert list(scores.values) == ["still, 1 step", "moved, 2 steps"]
    assert scores.mean("still, 1 step", "still mm") == 0.0
    assert scores.mean("moved, 2 steps", "still mm") == pytest.approx(2.0, rel=1e-4)
    assert scores.mean("still, 1 step", "detail kept") == pytest.approx(1.0, abs=1e-4)
    # welded at the back: a shift moves both sides of the seam alike, paint on half of the layout one side alone
    assert scores.mean("moved, 2 steps", "seam mm") == pytest.approx(0.0, abs=1e-6)
    assert scores.mean("moved, 2 steps", "seam change") == pytest.approx(0.5 * 3 / 7, rel=1e-3)  # three of seven
    assert f"*{head.name}*" in heads_table(measured)


def test_a_seam_is_where_a_vertex_has_two_places():
    """A strip of 4 quads, welded into a ring: its first and last two vertices are the same."""
    uv = np.array([(column / 4, row / 4) for column in range(5) for row in range(2)], np.float32)
    corners = np.array([(2 * column, 2 * column + 1, 2 * column + 2) for column in range(4)])
    uv_faces = np.concatenate([corners, corners + 1])
    left, right = both_sides(uv_faces % 8, uv_faces, uv)
    assert left.tolist() == [[0.0, 0.0], [0.0, 0.25]]
    assert right.tolist() == [[1.0, 0.0], [1.0, 0.25]]
    offset_m, change = torch.zeros(1, 3, 128, 128), torch.zeros(1, 9, 512, 512)
    offset_m[:, 1, :, :64] = 0.003
    change[:, :3, :, 256:] = 0.7
    errors = seam_errors(Maps(offset_m, change), (left, right))
    assert float(errors["seam mm"][0]) == pytest.approx(3.0, rel=1e-5)
    assert float(errors["seam change"][0]) == pytest.approx(0.3, rel=1e-5)


class TestRealHead:
    pytestmark = needs_data

    def test_the_seam_of_a_scanned_head_is_at_the_back(self):
        left, right = seam_uv(open_project(str(FFHQ_UV / "teaser_1")).identity)
        assert len(left) > 30
        np.testing.assert_allclose(left[:, 0] + right[:, 0], 1.0, atol=0.02)
        np.testing.assert_allclose(left[:, 1], right[:, 1], atol=0.02)


def test_components_of_one_direction_are_one():
    line = torch.linspace(0, 1, 5)[:, None] * torch.ones(1, 3)
    assert len(Components.of(line, 10).deviation) == 1
