"""Generation for a real identity with real, if hardly trained, weights of full map sizes and tiny networks."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.diffusion.config import ModelConfig, read_config
from engine.diffusion.generate import generate
from engine.diffusion.recipe import make_stage
from engine.diffusion.request import GenerateRequest
from engine.diffusion.train import Plan, train
from engine.errors import EngineError, VocabularyError, WeightsError
from engine.expression import ExpressionSet, ReflectanceChange
from engine.face.builtin import builtin_identity
from tests.diffusion.source import WaveSource

SMOKE = read_config(Path("smoke"))
MODEL = replace(
    SMOKE.model,
    geometry_size=ModelConfig().geometry_size,
    texture_size=ModelConfig().texture_size,
    grid=64,
    patch=16,
    preview_scale=2,
)
STAGE = replace(SMOKE.denoiser, batch=2, pool=8, fit=8)
CONFIG = replace(SMOKE, name="tiny", model=MODEL, autoencoder=STAGE, denoiser=STAGE)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A training folder of full map sizes."""
    out = tmp_path_factory.mktemp("weights")
    source = WaveSource(128, 512, dense=True)
    for name in ("autoencoder", "denoiser"):
        train(make_stage(name, CONFIG, source, torch.device("cpu"), out), CONFIG, Plan(images=4), out)
    return out


@pytest.fixture(scope="module")
def identity():
    """The built-in person, with small maps."""
    return builtin_identity(3, texture_size=128)


def last(request, weights):
    *_, step = generate(replace(request, model=weights))
    assert step.result is not None
    return step.result


def replace_seed(request, seed):
    return GenerateRequest(request.identity, request.names, steps=request.steps, seed=seed, device=request.device)


def content(expression):
    change = expression.change
    return [expression.offsets_m, change.log_diffuse, change.log_specular, change.roughness, change.slope]


def test_steps_count_up_preview_comes_early_and_the_result_comes_last(identity, weights):
    names = ("Jaw Open", "Brows Up", "Eye Blink", "Cheek Puff", "Lip Pressor")
    steps = list(generate(GenerateRequest(identity, names, steps=2, device="cpu", model=weights)))
    assert [step.index for step in steps] == sorted(step.index for step in steps)
    assert steps[0].index == 0
    assert steps[-1].index == steps[-1].total == steps[0].total
    assert [step.result is not None for step in steps] == [False] * (len(steps) - 1) + [True]
    previews = [step.preview for step in steps if step.preview is not None]
    assert tuple(name for preview in previews for name in preview.names) == names
    result = steps[-1].result
    assert result.names == names
    assert result.identity_hash == identity.hash
    for expression in result.expressions:
        assert expression.offsets_m.shape == identity.positions_m.shape
        assert 1e-4 < np.abs(expression.offsets_m).max() < 0.1
        assert expression.facs
        assert "tiny-" in expression.provenance.source
        assert expression.request is not None
        assert expression.request.seed == 0


def test_the_same_request_gives_the_same_bytes_and_another_seed_does_not(identity, weights):
    request = GenerateRequest(identity, ("Jaw Open",), seed=4, steps=2, device="cpu")
    one, two = (content(last(request, weights)["Jaw Open"]) for _ in range(2))
    assert all(a.tobytes() == b.tobytes() for a, b in zip(one, two, strict=True))
    other = content(last(replace_seed(request, 5), weights)["Jaw Open"])
    assert one[0].tobytes() != other[0].tobytes()


def test_no_thread_is_left_and_what_it_raised_arrives(identity, weights, monkeypatch):
    request = GenerateRequest(identity, ("Jaw Open", "Brows Up", "Eye Blink", "Cheek Puff", "Lip Pressor"), steps=1)
    before = threading.active_count()
    steps = generate(replace(request, device="cpu", model=weights))
    while "Lip Pressor" not in next(steps).label:
        pass
    assert threading.active_count() == before + 1
    steps.close()
    assert threading.active_count() == before

    def fails(*args):
        raise EngineError("no such vertices")

    monkeypatch.setattr("engine.face.transfer.decode_offsets", fails)
    with pytest.raises(EngineError, match="no such vertices"):
        last(replace(request, device="cpu"), weights)
    assert threading.active_count() == before


def test_neutral_is_exactly_nothing(identity, weights):
    for request in (
        GenerateRequest(identity, ("Neutral", "Jaw Open"), steps=1, device="cpu"),
        GenerateRequest(identity, prompt="Neutral", steps=1, device="cpu"),
    ):
        result = last(request, weights)
        assert all((np.asarray(part) == 0).all() for part in content(result["Neutral"]))
        assert [np.abs(expression.offsets_m).max() > 0 for expression in result.expressions[1:]] in ([], [True])


def test_a_prompt_makes_one_more_expression_named_after_it(identity, weights):
    prompt = "a slight smile + jaw open 0.5"
    result = last(GenerateRequest(identity, ("Brows Up",), prompt, steps=1, device="cpu"), weights)
    assert result.names == ("Brows Up", prompt)
    assert result[prompt].facs == pytest.approx({"AU12": 0.35, "AU6": 0.175, "AU26": 0.5, "AU25": 0.25})


def test_folds_are_drawn_on_the_answer_sharper_with_strength_and_age_and_can_be_left_out(identity, weights):
    plain = GenerateRequest(identity, ("Brows Up",), steps=1, device="cpu", age_years=60.0)

    def slope(request):
        return last(request, weights)["Brows Up"].change.slope.astype(np.float32)[80:145, 160:350]

    none, half, whole, again = (slope(replace(plain, folds=folds)) for folds in (0.0, 0.5, 1.0, 1.0))
    young = slope(replace(plain, age_years=25.0))
    assert np.array_equal(whole, again)
    assert not np.array_equal(none, half)
    assert whole.std() > 1.5 * half.std() > 0
    assert whole.std() > 1.1 * young.std() > 0
    assert not np.array_equal(whole, slope(replace(plain, seed=1)))


@pytest.mark.parametrize("wrong", [{"folds": -0.1}, {"folds": 2.5}, {"age_years": 5.0}, {"age_years": float("nan")}])
def test_folds_and_ages_out_of_bounds_are_refused(identity, wrong):
    with pytest.raises(EngineError, match="expected"):
        GenerateRequest(identity, ("Jaw Open",), **wrong)


@pytest.mark.parametrize(("lock", "stays"), [("shape", slice(0, 1)), ("skin", slice(1, 5))])
def test_what_is_locked_stays_and_the_rest_is_made_to_go_with_it(identity, weights, lock, stays):
    asked = GenerateRequest(identity, ("Jaw Open",), steps=2, device="cpu")
    whole = last(asked, weights)["Jaw Open"]
    shapes, skins = [], []
    for strength in (0.5, 1.5):
        change = whole.change
        louder = ReflectanceChange(strength * change.channels)
        made = replace(whole, offsets_m=whole.offsets_m * np.float32(strength), change=louder)
        kept = ExpressionSet(identity.hash, (made,))
        found = last(replace(asked, lock=lock, made=kept), weights)["Jaw Open"]
        assert all(a.tobytes() == b.tobytes() for a, b in zip(content(found)[stays], content(made)[stays], strict=True))
        assert found.request.lock == lock
        shapes.append(found.offsets_m)
        skins.append(found.change.log_diffuse)
    assert np.abs(shapes[0] - shapes[1]).max() > 0
    assert np.abs(skins[0] - skins[1]).max() > 0


def test_a_lock_needs_expressions_of_this_head(identity):
    other = ExpressionSet("another head")
    for wrong in ({"lock": "teeth", "made": other}, {"lock": "shape"}, {"lock": "shape", "made": other}):
        with pytest.raises(EngineError):
            GenerateRequest(identity, ("Jaw Open",), **wrong)
    with pytest.raises(EngineError, match="Jaw Open"):
        GenerateRequest(identity, ("Jaw Open",), lock="skin", made=ExpressionSet(identity.hash))


def test_what_is_not_known_is_said_before_the_model_is_loaded(identity, tmp_path):
    for request in (GenerateRequest(identity, ("Jaw Opem",)), GenerateRequest(identity, prompt="jaw flibber")):
        with pytest.raises(VocabularyError):
            next(generate(request))
    with pytest.raises(WeightsError, match="expdiff train"):
        list(generate(GenerateRequest(identity, ("Jaw Open",), device="cpu", model=tmp_path)))
    for wrong in ({"steps": 0}, {"steps": 51}, {"guidance": float("nan")}, {"guidance": -1.0}):
        with pytest.raises(EngineError):
            GenerateRequest(identity, ("Jaw Open",), **wrong)
    with pytest.raises(VocabularyError, match="neither"):
        GenerateRequest(identity)


def test_weights_for_other_map_sizes_are_refused(identity, tmp_path):
    source = WaveSource()
    config = replace(SMOKE, denoiser=replace(SMOKE.denoiser, pool=8, fit=8))
    for name in ("autoencoder", "denoiser"):
        train(make_stage(name, config, source, torch.device("cpu"), tmp_path), config, Plan(images=4), tmp_path)
    with pytest.raises(WeightsError, match="128 and 512"):
        list(generate(GenerateRequest(identity, ("Jaw Open",), device="cpu", model=tmp_path)))


def test_importing_it_loads_no_torch():
    code = "import sys; import engine.diffusion.generate, engine.diffusion.request; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
