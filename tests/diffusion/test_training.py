"""The whole path at the smallest sizes: fit, train, resume, save, pack, load, measure. Real files, real loop."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.diffusion import evaluate as evaluation
from engine.diffusion.card import model_card
from engine.diffusion.checkpoint import MANIFEST, load_model, write_release
from engine.diffusion.config import read_config
from engine.diffusion.inference import make_noise, sample
from engine.diffusion.train import Plan, learning_rate_share, make_stage, train, use_device
from engine.errors import EngineError, WeightsError
from tests.diffusion.source import WaveSource

SOURCE = WaveSource(people=26)
CONFIG = replace(read_config(Path("smoke")), denoiser=replace(read_config(Path("smoke")).denoiser, pool=320, fit=320))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A training folder, and the device it was made on."""
    out = tmp_path_factory.mktemp("run")
    device = use_device("cpu", 1)
    for name, images in (("autoencoder", 600), ("denoiser", 4800)):
        train(make_stage(name, CONFIG, SOURCE, device, out), CONFIG, Plan(images=images), out)
    return out


@pytest.fixture(scope="module")
def released(finished, tmp_path_factory):
    """The same as a release."""
    folder = tmp_path_factory.mktemp("weights")
    write_release(finished, folder)
    return folder


def test_training_lowers_both_losses_and_logs_json(finished):
    for name in ("autoencoder", "denoiser"):
        lines = [json.loads(line) for line in (finished / f"{name}.jsonl").read_text().splitlines()]
        losses = [line["loss"] for line in lines]
        assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
        assert lines[-1]["progress"] == 1.0
        assert lines[-1]["skipped"] == 0


def test_it_beats_copying_the_neutral_on_people_it_never_saw(finished):
    results = evaluation.evaluate(load_model(finished), SOURCE, 2, range(1, 32))
    for key in ("mm", "mm moving", "diffuse rmse", "normal rmse"):
        row = {name: float(np.nanmean(errors[key])) for name, errors in results.items()}
        assert row["floor"] < row["ours, 4 steps"], key
        assert row["ours, 4 steps"] < row["copy neutral"], key
    assert np.nanmean(results["ours, 1 step"]["mm"]) < 0.6 * np.nanmean(results["copy neutral"]["mm"])
    text = evaluation.table(results)
    assert text.count("\n") == 1 + len(results)
    assert "nan" not in text


def test_the_model_card_tells_the_training_and_the_table(released):
    card = model_card(load_model(released), released, "| the table |", SOURCE, 2)
    for text in ("| autoencoder | 600 | 32 |", "| denoiser | 4800 | 320 |", "| the table |", "24 people", "`smoke`"):
        assert text in card


def test_measure_knows_the_exact_answers():
    batch = SOURCE.pairs([0, 1], [3, 4])
    masks = torch.ones(32, 32), torch.ones(64, 64)
    exact = evaluation.measure(batch, evaluation.Maps(batch.offset_m, batch.change), *masks)
    assert all(float(values.abs().max()) == 0 for values in exact.values())
    shift = torch.tensor([0.003, 0.0, 0.004])[:, None, None]
    off = evaluation.measure(batch, evaluation.Maps(batch.offset_m + shift, batch.change + 0.1), *masks)
    torch.testing.assert_close(off["mm"], torch.full((2,), 5.0))
    torch.testing.assert_close(off["roughness rmse"], torch.full((2,), 0.1))
    assert off["roughness band"].max() < 1e-5


@pytest.mark.parametrize(("name", "half", "whole"), [("autoencoder", 20, 40), ("denoiser", 40, 80)])
def test_two_resumed_halves_are_one_run(name, half, whole, finished, tmp_path):
    device = use_device("cpu", 1)
    ends = []
    for stops in ((whole,), (half, whole)):
        out = tmp_path / str(len(stops))
        if name == "denoiser":
            out.mkdir()
            (out / "autoencoder.safetensors").write_bytes((finished / "autoencoder.safetensors").read_bytes())
        for number, stop in enumerate(stops):
            plan = Plan(images=whole, stop=stop)
            train(make_stage(name, CONFIG, SOURCE, device, out), CONFIG, plan, out, resume=number > 0)
        ends.append(load_file(out / f"{name}-state.safetensors"))
    assert ends[0].keys() == ends[1].keys()
    for key, tensor in ends[0].items():
        torch.testing.assert_close(tensor, ends[1][key], atol=1e-6, rtol=1e-6)


def test_a_release_is_the_training_folder_in_half_floats(finished, released):
    one, other = load_model(finished), load_model(released)
    assert one.config == other.config
    for (name, a), (_, b) in zip(one.denoiser.named_parameters(), other.denoiser.named_parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3, msg=name)
    assert torch.equal(one.unified.mean_position, other.unified.mean_position)
    assert other.model_id.startswith("smoke-")
    assert max(path.stat().st_size for path in released.iterdir()) < 16 * 2**20


def test_sampling_is_repeatable_and_seeds_differ(released):
    model = load_model(released)
    batch = SOURCE.pairs([24, 24], [5, 6])
    condition = model.unified.encode_condition(batch.neutral_position_m[:1], batch.neutral_diffuse_srgb[:1])

    def last(seed, guidance=1.0):
        *_, (latent, _) = sample(
            model, condition, batch.expression, ["jaw open", "smile"], make_noise(model, seed), 3, guidance
        )
        return latent

    assert torch.equal(last("a"), last("a"))
    assert not torch.equal(last("a"), last("b"))
    assert not torch.equal(last("a"), last("a", 2.0))
    torch.testing.assert_close(last("a", 1.0 + 1e-7), last("a"), atol=1e-4, rtol=1e-3)


def copied(folder, target):
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_weights_that_are_missing_damaged_or_foreign_are_refused(released, tmp_path):
    with pytest.raises(WeightsError, match="expdiff train"):
        load_model(tmp_path)
    folder = copied(released, tmp_path)
    shard = next(folder.glob("weights-*.safetensors"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(WeightsError, match="SHA-256"):
        load_model(folder)
    shard.unlink()
    with pytest.raises(WeightsError, match="expected a weights file"):
        load_model(folder)
    (folder / MANIFEST).write_text("[]")
    with pytest.raises(WeightsError, match="list of files"):
        load_model(folder)


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
    save_file(tensors, path, {"format": "expdiff-1", "config": CONFIG.to_json()})
    with pytest.raises(WeightsError, match="NaN"):
        load_model(folder)
    del tensors["denoiser.group"]
    save_file(tensors, path, {"format": "expdiff-1", "config": CONFIG.to_json()})
    with pytest.raises(WeightsError, match="group"):
        load_model(folder)


def test_resuming_with_another_configuration_is_refused(finished):
    other = replace(CONFIG, seed=5)
    stage = make_stage("denoiser", other, SOURCE, torch.device("cpu"), finished)
    with pytest.raises(WeightsError, match="configuration"):
        train(stage, other, Plan(images=8), finished, resume=True)


def test_a_step_that_is_not_finite_is_left_out(finished, tmp_path):
    stage = make_stage("denoiser", CONFIG, SOURCE, torch.device("cpu"), finished)
    stage.prepare(0.0, None)
    stage.condition[:8] = float("nan")  # one pair in forty
    stage.prepare = lambda deadline, count: 320
    progress = train(stage, CONFIG, Plan(images=800), tmp_path)
    assert 0 < progress.skipped < progress.steps
    assert all(weight.isfinite().all() for weight in stage.module.parameters())


def test_the_rate_rises_holds_and_falls():
    assert learning_rate_share(0.0, 0, 10, 0.5) == pytest.approx(0.1)
    assert learning_rate_share(0.3, 100, 10, 0.5) == 1.0
    assert learning_rate_share(0.75, 100, 10, 0.5) == pytest.approx(0.5)
    assert learning_rate_share(1.0, 100, 10, 0.5) == 0.0


def test_minutes_end_a_run(tmp_path):
    stage = make_stage("autoencoder", CONFIG, SOURCE, torch.device("cpu"), tmp_path)
    progress = train(stage, CONFIG, Plan(minutes=0.02), tmp_path)
    assert progress.steps > 0
    assert progress.seconds < 10
    assert (tmp_path / "autoencoder.safetensors").exists()


def test_a_device_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(EngineError, match="expected auto, cpu or cuda"):
        use_device("cuda")
