"""The whole path at the smallest sizes: fit, train, resume, save, pack, load, measure. Real files, real loop."""

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.diffusion import train as command
from engine.diffusion.budget import Budget
from engine.diffusion.card import model_card
from engine.diffusion.checkpoint import load_model, load_tensors, read_start, save_tensors, write_release
from engine.diffusion.config import read_config
from engine.diffusion.device import use_device
from engine.diffusion.evaluation.entrants import Entrant
from engine.diffusion.evaluation.run import Plan as EvaluationPlan
from engine.diffusion.evaluation.run import evaluate
from engine.diffusion.recipe import make_stage
from engine.diffusion.train import (
    MOST_BAD_STEPS,
    Plan,
    learning_rate_share,
    stage_plans,
    train,
    train_stages,
    uses_bfloat16,
)
from engine.diffusion.weights_folder import MANIFEST, SHIPPED, STAGES, file_digest
from engine.errors import EngineError, ExportError, TrainingError, WeightsError
from engine.vocabulary import JAW_SHAPES, NAMES
from tests.diffusion.source import WaveSource

SOURCE = WaveSource(people=26)
CONFIG = replace(read_config(Path("smoke")), denoiser=replace(read_config(Path("smoke")).denoiser, pool=320, fit=320))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A training folder, and the device it was made on."""
    out = tmp_path_factory.mktemp("run")
    device = use_device("cpu", 1)
    for name, images in (("autoencoder", 600), ("denoiser", 4800), ("refine", 200)):
        train(make_stage(name, CONFIG, SOURCE, device, out), CONFIG, Plan(images=images), out)
    return out


@pytest.fixture(scope="module")
def released(finished, tmp_path_factory):
    """The same as a release."""
    folder = tmp_path_factory.mktemp("weights")
    write_release(finished, folder)
    return folder


def test_training_lowers_both_losses_and_logs_json(finished):
    for name in ("autoencoder", "denoiser", "refine"):
        lines = [json.loads(line) for line in (finished / f"{name}.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines]
        assert name == "refine" or np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
        assert lines[-1]["progress"] == 1.0
        assert lines[-1]["skipped"] == 0


def test_it_beats_copying_the_neutral_on_people_it_never_saw(finished):
    done = evaluate([Entrant("ours", load_model(finished), (1, 4))], SOURCE, EvaluationPlan(people=2, fit_people=24))
    for key in ("mm", "mm moving", "diffuse rmse", "normal rmse"):
        row = {name: done.scores.mean(name, key) for name in done.scores.values}
        assert row["floor"] < 1.05 * row["ours, 4 steps"], key  # little is left to do here but to round-trip
        assert row["ours, 4 steps"] < row["copy neutral"], key
    assert done.scores.mean("ours, 1 step", "mm") < 0.6 * done.scores.mean("copy neutral", "mm")


def test_the_model_card_tells_the_training_and_the_table(released):
    card = model_card(load_model(released), released, "| the table |", SOURCE, 2)
    for text in ("| autoencoder | 600 | 32 |", "| denoiser | 4800 | 320 |", "| the table |", "24 people", "`smoke`"):
        assert text in card


@pytest.mark.parametrize(("name", "half", "whole"), [("autoencoder", 20, 40), ("denoiser", 40, 80), ("refine", 20, 40)])
def test_two_resumed_halves_are_one_run(name, half, whole, finished, tmp_path):
    device = use_device("cpu", 1)
    ends = []
    for stops in ((whole,), (half, whole)):
        out = tmp_path / str(len(stops))
        out.mkdir()
        for before in STAGES[: STAGES.index(name)]:
            (out / f"{before}.safetensors").write_bytes((finished / f"{before}.safetensors").read_bytes())
        for number, stop in enumerate(stops):
            plan = Plan(images=whole, stop=stop)
            train(make_stage(name, CONFIG, SOURCE, device, out), CONFIG, plan, out, resume=number > 0)
        ends.append(load_file(out / f"{name}-state.safetensors"))
    assert ends[0].keys() == ends[1].keys()
    for key, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][key], atol=1e-6, rtol=1e-6)


def test_a_release_is_the_training_folder_in_8_bits(finished, released):
    one, other = load_model(finished), load_model(released)
    assert one.config == other.config
    for (name, a), (_, b) in zip(one.denoiser.named_parameters(), other.denoiser.named_parameters(), strict=True):
        largest = torch.nn.functional.pad(a.flatten(), (0, -a.numel() % 64)).reshape(-1, 64).abs().amax(dim=1)
        allowed = largest.repeat_interleave(64)[: a.numel()] * 0.501 / 127
        assert ((a - b).abs().flatten() <= allowed + 1e-12).all(), name
    assert torch.equal(one.unified.mean_position, other.unified.mean_position)
    assert other.model_id.startswith("smoke-")
    assert max(path.stat().st_size for path in released.iterdir()) < 16 * 2**20


def last(model, neutral, batch, seed, steps=3, **how):
    *_, (latent, _) = model.sample(neutral, batch.expression, ["jaw open", "smile"], model.noise(seed), steps, **how)
    return latent


@pytest.fixture(scope="module")
def reading(released):
    """A model, a pair of one person's expressions, and that person as read."""
    model = load_model(released)
    batch = SOURCE.pairs([24, 24], [5, 6])
    return model, model.read(batch.neutral_position_m[:1], batch.texture_srgb[:1]), batch


def test_sampling_is_repeatable_and_seeds_differ(reading):
    assert torch.equal(last(*reading, "a"), last(*reading, "a"))
    assert not torch.equal(last(*reading, "a"), last(*reading, "b"))
    assert not torch.equal(last(*reading, "a"), last(*reading, "a", guidance=2.0))
    torch.testing.assert_close(last(*reading, "a", guidance=1.0 + 1e-7), last(*reading, "a"), atol=1e-4, rtol=1e-3)


def test_a_locked_group_stays_and_the_other_is_made_to_go_with_it(reading):
    model, neutral, batch = reading
    truth = model.encode(batch.offset_m, batch.change, neutral)
    kept = truth.clone()
    kept[:, model.denoiser.splits[0] :] = torch.nan  # geometry locked
    found = last(*reading, "a", kept=kept)
    assert torch.equal(found[:, : model.denoiser.splits[0]], truth[:, : model.denoiser.splits[0]])
    assert found.isfinite().all()
    other = kept + 0.5
    assert (last(*reading, "a", kept=other) - found)[:, model.denoiser.splits[0] :].abs().max() > 1e-4


def test_reading_a_neutral_gives_its_maps(reading):
    model, neutral, batch = reading
    assert neutral.maps.shape == (1, 9, 64, 64)
    truth, plain = (
        batch.neutral[:1],
        model.unified.unscale_maps(torch.zeros(1, 9, 64, 64), model.unified.texture_input(batch.texture_srgb[:1])),
    )
    assert (neutral.maps - truth).abs().mean() < (plain - truth).abs().mean()


def test_refined_weights_count_only_with_the_denoiser_they_came_from(finished, tmp_path):
    folder = copied(finished, tmp_path)
    refined = load_model(folder)
    (folder / "refine.safetensors").unlink()
    plain = load_model(folder)
    assert refined.model_id != plain.model_id
    copied(finished, folder)
    (folder / "denoiser.safetensors").write_bytes((finished / "autoencoder.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="pivot"):
        load_model(folder)


def copied(folder, target):
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_weights_that_are_missing_damaged_or_foreign_are_refused(released, tmp_path):
    with pytest.raises(WeightsError, match="expdiff train"):
        load_model(tmp_path)
    folder = copied(released, tmp_path)
    shard = folder / "weights-1.safetensors"
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_model(folder)
    shard.unlink()
    with pytest.raises(WeightsError, match="expected a file that can be read"):
        load_model(folder)
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(WeightsError, match="list of files"):
        load_model(folder)


def test_steps_that_do_not_fit_their_numbers_are_refused(released, tmp_path):
    folder = copied(released, tmp_path)
    manifest = json.loads((folder / MANIFEST).read_text())
    path = folder / next(iter(manifest["sha256"]))
    tensors, metadata = load_tensors(path)
    name = next(name for name in tensors if name.endswith(":steps"))
    for bad in ({name: tensors[name][:-1]}, {"nothing:steps": tensors[name].clone()}):
        save_tensors(path, tensors | bad, metadata)
        manifest["sha256"][path.name] = file_digest(path)
        (folder / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(WeightsError, match="8-bit numbers"):
            load_model(folder)


def test_a_release_of_a_release_is_the_same(released, tmp_path):
    write_release(released, tmp_path)
    again, before = (load_model(folder).denoiser.state_dict() for folder in (tmp_path, released))
    assert all(torch.equal(again[name], before[name]) for name in before)
    records = [json.loads((folder / MANIFEST).read_text())["training"] for folder in (tmp_path, released)]
    assert records[0] == records[1]


def test_weights_of_before_have_no_jaw_and_do_what_they_did(finished, tmp_path):
    folder = copied(finished, tmp_path)
    (folder / "refine.safetensors").unlink()
    tensors, metadata = load_tensors(folder / "denoiser.safetensors")
    assert tensors.pop("pivot.jaw_m").abs().max() > 0
    save_tensors(folder / "denoiser.safetensors", tensors, metadata)
    pivot, batch = load_model(folder).pivot, SOURCE.pairs([24], [NAMES.index("Jaw Open")])
    assert pivot.jaw_m.abs().max() == 0
    model = load_model(folder)
    turn = pivot.turn(model.unified, batch.neutral_position_m)
    turned = torch.einsum("bhwij,jhw->bihw", turn, pivot.offset_m[NAMES.index("Jaw Open")])
    expected = pivot.expected(model.unified, batch.expression, batch.neutral_position_m, turn)
    splits = model.denoiser.splits
    torch.testing.assert_close(expected[:, : splits[0]], model.unified.encode_offset(turned))


def test_the_jaw_is_fitted_apart_from_what_turns_with_the_skin(finished):
    """In this source nothing turns: what the jaw's rows do is the jaw's alone."""
    pivot = load_model(finished).pivot
    row = NAMES.index("Jaw Left")
    mean = SOURCE.pairs(SOURCE.train_identities, [row] * 24).offset_m.mean(0)
    torch.testing.assert_close(pivot.jaw_m[JAW_SHAPES.index("jawLeft")], mean, atol=1e-6, rtol=0)
    assert pivot.offset_m[row].norm() < 0.3 * mean.norm()
    assert pivot.offset_m[NAMES.index("Lip Puckerer")].norm() > 0.5 * mean.norm()


def test_a_stage_goes_on_from_a_release(finished, released, tmp_path):
    start = read_start(released, CONFIG)
    train_stages({"denoiser": Plan(images=400)}, CONFIG, SOURCE, use_device("cpu", 1), tmp_path, start=start)
    before, after = load_model(released), load_model(tmp_path)
    for part in ("unified", "reader", "autoencoder"):  # the refined decoder with them
        for name, tensor in getattr(before, part).state_dict().items():
            assert torch.equal(tensor, getattr(after, part).state_dict()[name]), name
    one, other = (torch.cat([w.flatten() for w in m.denoiser.parameters()]) for m in (before, after))
    assert 0 < (one - other).norm() < 0.1 * one.norm()
    assert not torch.equal(before.pivot.deviation, after.pivot.deviation)
    first = [json.loads((folder / "denoiser.jsonl").read_text().splitlines()[0]) for folder in (finished, tmp_path)]
    assert first[1]["loss"] < 0.8 * first[0]["loss"]
    write_release(tmp_path, tmp_path / "release")
    told = json.loads((tmp_path / "release" / MANIFEST).read_text())["training"]
    assert list(told) == [*(f"{before.model_id} {name}" for name in STAGES), "denoiser"]
    assert told["denoiser"]["images"] == 400
    assert told[f"{before.model_id} denoiser"]["images"] == 4800


def test_weights_of_other_sizes_cannot_be_begun_with(released):
    assert read_start(SHIPPED, read_config(Path("finetune"))).tensors
    other = replace(CONFIG, model=replace(CONFIG.model, skin_width=24))
    with pytest.raises(WeightsError, match=r"skin_width 24, found skin_width 16$"):
        read_start(released, other)


def test_foreign_training_folders_are_refused(finished, tmp_path):
    folder = copied(finished, tmp_path)
    path = folder / "denoiser.safetensors"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="safetensors"):
        load_model(folder)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="format"):
        load_model(folder)
    tensors = load_file(finished / "denoiser.safetensors")
    tensors["denoiser.group"] = tensors["denoiser.group"] * float("nan")
    save_file(tensors, path, {"format": "expdiff-4", "config": CONFIG.to_json()})
    with pytest.raises(WeightsError, match="NaN"):
        load_model(folder)
    del tensors["denoiser.group"]
    save_file(tensors, path, {"format": "expdiff-4", "config": CONFIG.to_json()})
    with pytest.raises(WeightsError, match="group"):
        load_model(folder)


def test_resuming_with_another_configuration_is_refused(finished):
    other = replace(CONFIG, seed=5)
    stage = make_stage("denoiser", other, SOURCE, torch.device("cpu"), finished)
    with pytest.raises(WeightsError, match="configuration"):
        train(stage, other, Plan(images=8), finished, resume=True)


def test_a_step_that_is_not_finite_is_left_out(finished, tmp_path):
    stage = make_stage("denoiser", CONFIG, SOURCE, torch.device("cpu"), finished)
    stage.prepare(Budget("denoiser", pool_seconds=0.0), None)
    stage.latents.clean[:8] = float("nan")  # one pair in forty
    stage.prepare = lambda budget, count: 320
    progress = train(stage, CONFIG, Plan(images=800), tmp_path)
    assert 0 < progress.skipped < progress.steps
    assert all(weight.isfinite().all() for weight in stage.module.parameters())


def test_losses_that_stay_infinite_end_the_run_and_leave_the_checkpoint_whole(finished, tmp_path):
    out = copied(finished, tmp_path)
    stage = make_stage("denoiser", CONFIG, SOURCE, torch.device("cpu"), out)
    stage.prepare(Budget("denoiser", pool_seconds=0.0), None)
    stage.latents.clean[:] = float("nan")
    stage.prepare = lambda budget, count: 320
    with pytest.raises(TrainingError, match=f"found {MOST_BAD_STEPS} in a row"):
        train(stage, CONFIG, Plan(images=8000), out)
    assert load_model(out).denoiser.group.isfinite().all()
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_running_out_of_memory_says_what_to_lower(finished, tmp_path):
    stage = make_stage("denoiser", CONFIG, SOURCE, torch.device("cpu"), finished)

    def greedy(rng):
        return torch.empty(2**60).sum()

    stage.loss = greedy
    with pytest.raises(TrainingError, match=r"lower `pool` or `batch` of \[denoiser\]"):
        train(stage, CONFIG, Plan(images=8), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_precision_is_as_said():
    assert not uses_bfloat16("float32", torch.device("cpu"))
    assert uses_bfloat16("bfloat16", torch.device("cpu"))
    assert uses_bfloat16("auto", torch.device("cuda"))


def test_the_rate_rises_holds_and_falls():
    assert learning_rate_share(0.0, 0, 10, 0.5) == pytest.approx(0.1)
    assert learning_rate_share(0.3, 100, 10, 0.5) == 1.0
    assert learning_rate_share(0.75, 100, 10, 0.5) == pytest.approx(0.5)
    assert learning_rate_share(1.0, 100, 10, 0.5) == 0.0


def test_time_that_is_over_before_the_first_step_is_an_error_and_nothing_is_saved(tmp_path):
    class Slow(WaveSource):
        def batch(self, count, rng):
            time.sleep(0.3)
            return super().batch(count, rng)

    device = torch.device("cpu")
    for source, minutes, wanted in ((Slow(), 0.005, "32 pairs to fit on"), (SOURCE, 1e-7, "pairs to fit on")):
        config = replace(CONFIG, autoencoder=replace(CONFIG.autoencoder, fit=32))
        stage = make_stage("autoencoder", config, source, device, tmp_path)
        with pytest.raises(TrainingError, match=rf"{wanted}.*nothing was trained.*--minutes"):
            train(stage, config, Plan(minutes=minutes), tmp_path)
    stage = make_stage("autoencoder", CONFIG, SOURCE, device, tmp_path)
    stage.prepare = lambda budget, count: time.sleep(1.3) or 32
    with pytest.raises(TrainingError, match=r"at least one step.*pool of 32 pairs.*nothing is saved"):
        train(stage, CONFIG, Plan(minutes=0.02), tmp_path)
    assert not list(tmp_path.iterdir())


def test_fits_stop_where_the_time_is_over(finished):
    stage = make_stage("denoiser", CONFIG, SOURCE, torch.device("cpu"), finished)
    with pytest.raises(TrainingError, match=r"expected time left for training.*nothing was trained"):
        stage.prepare(Ending("denoiser"), None)


class Ending(Budget):
    """Time that is over when the pool is full."""

    def check(self, doing):
        self.seconds = 0.0
        super().check(doing)


def test_what_takes_long_is_told(finished, caplog):
    budget = Budget("denoiser", told=-1e9)
    with caplog.at_level("INFO"):
        budget.tell("8 of 600 pairs")
        budget.tell("16 of 600 pairs")  # within ten seconds of the last
    assert [record.getMessage() for record in caplog.records] == ["denoiser: 8 of 600 pairs, 0.0 minutes"]


def test_stages_that_begin_late_end_in_time(tmp_path, capsys):
    assert Plan(minutes=3.0, images=8).later(60.0) == Plan(minutes=2.0, images=8)
    assert Plan(minutes=3.0).later(1e9).minutes == 0
    assert Plan().later(60.0) == Plan()
    began = time.monotonic() - 45.0
    train_stages({STAGES[0]: Plan(minutes=1.0)}, CONFIG, SOURCE, use_device("cpu", 1), tmp_path, started=began)
    assert time.monotonic() - began < 90  # a minute, and what the last step and saving take
    last = json.loads((tmp_path / f"{STAGES[0]}.jsonl").read_text().splitlines()[-1])
    told = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("{")]
    assert [line.split(" in ")[0] for line in told] == [
        f"autoencoder: {last['step']} steps on {last['images']} samples from a pool of {last['pool']} pairs"
    ]
    assert told[0].endswith(f"minutes, loss {last['loss']:.4g}")  # the minutes are rounded twice in one of them


def test_checkpoints_have_the_usual_mode(finished, released):
    before = os.umask(0o027)
    try:
        save_tensors(finished / "mode.safetensors", {"a": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert (finished / "mode.safetensors").stat().st_mode & 0o777 == 0o640
    (finished / "mode.safetensors").unlink()
    usual = 0o666 & ~before
    assert {path.stat().st_mode & 0o777 for folder in (finished, released) for path in folder.iterdir()} == {usual}


def test_a_release_takes_the_place_of_its_own_files_alone(finished, tmp_path):
    write_release(finished, tmp_path)
    mine = tmp_path / "weights-best.safetensors"
    mine.write_bytes(b"mine")
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / "weights-9.safetensors").write_bytes(b"of a larger release")
    manifest["sha256"] |= {"weights-9.safetensors": "", "../outside.safetensors": ""}
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    write_release(finished, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "weights-2.safetensors", "weights-best.safetensors", MANIFEST,
    ]  # fmt: skip
    assert mine.read_bytes() == b"mine"
    assert load_model(tmp_path)


def test_a_release_that_is_cut_leaves_the_one_before(finished, tmp_path, monkeypatch):
    write_release(finished, tmp_path)
    before = load_model(tmp_path)
    monkeypatch.setattr("engine.diffusion.checkpoint.write_bytes", lambda *_: (_ for _ in ()).throw(OSError("cut")))
    with pytest.raises(OSError, match="cut"):
        write_release(finished, tmp_path)
    assert load_model(tmp_path).model_id == before.model_id


@pytest.mark.parametrize("name", ["weights-1.safetensors", "notes.txt"])
def test_a_release_is_not_put_among_other_files(name, finished, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ExportError, match="empty or a new folder"):
        write_release(finished, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_minutes_end_a_run(tmp_path):
    stage = make_stage("autoencoder", CONFIG, SOURCE, torch.device("cpu"), tmp_path)
    progress = train(stage, CONFIG, Plan(minutes=0.02), tmp_path)
    assert progress.steps > 0
    assert progress.seconds < 10
    assert (tmp_path / "autoencoder.safetensors").exists()


def test_all_stages_share_the_budget_and_resume_from_the_last_begun(tmp_path):
    minutes = [plan.minutes for plan in stage_plans(Plan(minutes=10.0), CONFIG).values()]
    plans = stage_plans(Plan(images=100), CONFIG)
    assert minutes == pytest.approx([3.3] * 3)
    assert {name: plan.images for name, plan in plans.items()} == dict.fromkeys(STAGES, 33)
    device = use_device("cpu", 1)
    train_stages(plans, CONFIG, SOURCE, device, tmp_path)
    before = {name: load_file(tmp_path / f"{name}.safetensors") for name in STAGES}
    for kind in ("", "-state"):
        (tmp_path / f"refine{kind}.safetensors").unlink()
    told = [(tmp_path / f"{name}.jsonl").read_text() for name in STAGES]
    train_stages(plans, CONFIG, SOURCE, device, tmp_path, resume=True)
    again = [(tmp_path / f"{name}.jsonl").read_text() for name in STAGES]
    assert again[:2] == told[:2]  # nothing is done twice
    assert len(again[2].splitlines()) == 2 * len(told[2].splitlines())
    for name, tensors in before.items():
        torch.testing.assert_close(load_file(tmp_path / f"{name}.safetensors"), tensors, rtol=0, atol=0)


def test_without_shares_there_is_nothing_to_train():
    with pytest.raises(EngineError, match="minutes_share"):
        stage_plans(
            Plan(minutes=1.0), replace(CONFIG, **{name: replace(CONFIG.refine, minutes_share=0.0) for name in STAGES})
        )


def test_a_device_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(EngineError, match="expected auto, cpu or cuda"):
        use_device("cuda")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["--minutes", "nan"], "--minutes: expected"),
        (["--minutes", "inf"], "--minutes: expected"),
        (["--minutes", "0"], "--minutes: expected"),
        (["--images", "-1"], "--images: expected"),
        (["--images", "9" * 400], "--images: expected"),
        (["--minutes", "1", "--seed", "-1"], "seed: expected 0 to"),
        (["--minutes", "1", "--seed", "9" * 30], "seed: expected 0 to"),
        (["--minutes", "1", "--config", "/dev/zero"], "/dev/zero: expected a file that can be read, found: a pipe"),
        (["--minutes", "1", "--config", "no/such"], "^no/such: expected a TOML configuration, found none"),
        (["--minutes", "1", "--config", "smok"], "^smok: expected .* with the program: .*smoke"),
    ],
)
def test_numbers_that_are_no_training_are_refused_before_it_begins(texts, says, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "pair_source", lambda *given: pytest.fail("work began"))
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    out = tmp_path / "out"
    with pytest.raises(EngineError, match=says):
        command.run(parser.parse_args(["all", "--data", "x", "--config", "smoke", "--out", str(out), *texts]))
    assert not out.exists()
