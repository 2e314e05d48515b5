"""The tile layout, ExpDiff's own: maps to tiles and back, networks, both training stages, the model. Smallest sizes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.diffusion.budget import Budget
from engine.diffusion.checkpoint import load_model, write_release
from engine.diffusion.config import Config, StageConfig, TileConfig, read_config
from engine.diffusion.grid import evaluation_grid
from engine.diffusion.recipe import make_stage
from engine.diffusion.shading import absolute
from engine.diffusion.tile_denoiser import TileDenoiser
from engine.diffusion.tile_model import LatentStatistics, OwnText, TileModel, TileParts, encoded_rows
from engine.diffusion.tile_stages import TileAutoencoderStage, TileDenoiserStage, image_loss
from engine.diffusion.tiles import (
    TILES,
    ImageAutoencoder,
    TileSpace,
    change_between,
    srgb_from_linear,
)
from engine.diffusion.train import Plan, train
from engine.diffusion.unified import linear_from_srgb
from engine.errors import EngineError
from engine.vocabulary import EXPRESSIONS
from tests.diffusion.source import WaveSource

SMALL = read_config(Path("smoke")).tiles
WIDER = replace(SMALL, width=64, hidden=128, diffuse_against_input=False)
"""Wide enough to learn a few pairs by heart in seconds."""


class LitWaves(WaveSource):
    """Textures a little darker on one side than the albedo is; nothing hidden."""

    def __init__(self, people: int) -> None:
        super().__init__(people=people)
        self.hidden = torch.ones(people)

    def look(self, traits: torch.Tensor, fine: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        skin = torch.tensor([0.5, 0.3, 0.22])[:, None, None]
        diffuse = skin * (0.6 + 0.4 * traits[:, 2:, None, None]) + 0.02 * fine[:, :1]
        specular = (0.15 + 0.03 * fine[:, 1:]).expand(-1, 3, -1, -1)
        neutral = torch.cat([diffuse, specular, 0.45 + 0.05 * fine[:, :1], 0.1 * fine], 1)
        light = 0.95 + 0.05 * torch.linspace(-1, 1, self.texture)
        return diffuse.clamp(0, 1) ** (1 / 2.4) * light, neutral


SOURCE = LitWaves(people=10)
CPU = torch.device("cpu")
SETTINGS = StageConfig(batch=12, pool=64, fit=48)
WHOLE = Config(layout="tiles", tiles=WIDER, autoencoder=SETTINGS, denoiser=replace(SETTINGS, batch=14))
KNOWN = range(7)
"""Rows of the vocabulary that `Few` has."""


class Few(LitWaves):
    """Two people with Neutral and six expressions: all that there is to learn."""

    def batch(self, count, rng):
        who, row = (torch.randint(most, (count,), generator=rng) for most in (2, len(KNOWN)))
        return self.pairs(who.tolist(), row.tolist())


@pytest.fixture(scope="module")
def batch():
    return SOURCE.batch(24, torch.Generator().manual_seed(0))


def trained(stage, steps, rate):
    """`stage` after a short training, and its losses."""
    stage.prepare(Budget(stage.name), None)
    optimiser = torch.optim.AdamW([w for w in stage.module.parameters() if w.requires_grad], rate)
    losses = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        loss = stage.loss(torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def finished():
    """Both stages after a few seconds, and their losses."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    source = Few(people=10)
    first = TileAutoencoderStage(WHOLE, source, CPU)
    losses = [trained(first, 150, 2e-3)]
    second = TileDenoiserStage(WHOLE, source, CPU, first)
    losses.append(trained(second, 500, 3e-3))
    return second.parts, losses


@pytest.fixture(scope="module")
def model(finished):
    return TileModel(WHOLE, finished[0], "tiles-test", "cpu")


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    made = TileDenoiser(SMALL).eval().requires_grad_(False)
    for layer in (made.modulation, *made.patch_out):
        for weight in layer.parameters():
            weight.normal_(std=0.05)
    return made


def inputs(count=3):
    torch.manual_seed(1)
    cells = (SMALL.channels, SMALL.grid, SMALL.grid)
    return {
        "noisy": torch.randn(count, 5, *cells),
        "times": torch.rand(count),
        "neutral": torch.randn(count, 2, *cells),
        "words": torch.randn(count, SMALL.prompt_length, SMALL.prompt_width),
    }


def answer(denoiser, noisy, times, neutral, words):
    return denoiser(noisy, times, denoiser.read(neutral), words)


def test_srgb_is_exact_there_and_back():
    linear = torch.linspace(0, 1, 1001)
    torch.testing.assert_close(linear_from_srgb(srgb_from_linear(linear)), linear, atol=1e-6, rtol=1e-5)
    assert srgb_from_linear(torch.tensor(0.18)).item() == pytest.approx(0.46136, abs=1e-4)


def test_maps_and_their_change_are_inverse(batch):
    maps = absolute(batch.neutral, batch.change)
    torch.testing.assert_close(change_between(batch.neutral, maps), batch.change, atol=1e-4, rtol=1e-3)
    still = torch.zeros_like(batch.change)
    torch.testing.assert_close(absolute(batch.neutral, still), batch.neutral, atol=1e-6, rtol=1e-6)


def test_tiles_lose_nothing(batch):
    space = TileSpace(SMALL)
    space.fit(batch.neutral_position_m, batch.offset_m, batch.change)
    position = batch.neutral_position_m + batch.offset_m
    maps = absolute(batch.neutral, batch.change)
    row = space.expression_row(position, maps)
    assert row.shape == (24, 5, 3, 64, 64)
    assert row.abs().max() < 2
    torch.testing.assert_close(space.position_m(row[:, 0]), position, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(space.maps(row), maps, atol=1e-5, rtol=1e-4)
    assert torch.equal(row[:, 3, 0], row[:, 3, 2])
    torch.testing.assert_close(row[:, 4].norm(dim=1), torch.ones(24, 64, 64))
    neutral = space.neutral_row(batch.neutral_position_m, batch.texture_srgb)
    assert torch.equal(neutral[:, 1], 2 * batch.texture_srgb - 1)
    assert 0.5 < space.offset_mask.mean() < 1


def test_maps_out_of_a_network_stay_in_their_ranges(batch):
    space = TileSpace(SMALL)
    space.fit(batch.neutral_position_m, batch.offset_m, batch.change)
    maps = space.maps(torch.randn(4, 5, 3, 64, 64) * 3)
    assert maps.isfinite().all()
    assert maps[:, :7].min() >= 0
    assert maps[:, :7].max() <= 1
    assert maps[:, 7:].abs().max() <= 10


def test_fitting_on_pairs_without_change_is_refused(batch):
    still = (batch.neutral_position_m, torch.zeros_like(batch.offset_m), torch.zeros_like(batch.change))
    with pytest.raises(ValueError, match="found none"):
        TileSpace(SMALL).fit(*still)


def test_one_untrained_autoencoder_serves_all_tiles(batch):
    torch.manual_seed(0)
    space, autoencoder = TileSpace(SMALL), ImageAutoencoder(SMALL)
    space.fit(batch.neutral_position_m, batch.offset_m, batch.change)
    row = space.expression_row(batch.neutral_position_m + batch.offset_m, absolute(batch.neutral, batch.change))
    autoencoder.skeleton.fit(row.flatten(0, 1))
    with torch.no_grad():
        latent = encoded_rows(autoencoder, row)
        assert latent.shape == (24, 5, SMALL.channels, SMALL.grid, SMALL.grid)
        assert torch.equal(latent[:, 2], autoencoder.encode(row[:, 2]))
        error = (autoencoder.decode(latent.flatten(0, 1)) - row.flatten(0, 1)).square().mean()
    assert error < 0.05 * row.square().mean()


def test_an_untrained_denoiser_answers_the_mean():
    assert (answer(TileDenoiser(SMALL), **inputs()) == 0).all()


def test_repeats_share_their_keys(denoiser):
    given = inputs()
    neutral = given.pop("neutral")
    shared = denoiser.read(neutral)
    explicit = denoiser.read(neutral[:, [0, 1, 1, 1, 1]], roles=(0, 1, 1, 1, 1), counts=(1, 1, 1, 1, 1))
    assert explicit.keys[0].shape[2] == 5 * len(denoiser.place)
    assert shared.keys[0].shape[2] == 2 * len(denoiser.place)
    ours, long = (denoiser(given["noisy"], given["times"], memory, given["words"]) for memory in (shared, explicit))
    torch.testing.assert_close(ours, long, atol=1e-5, rtol=1e-4)
    once = denoiser(given["noisy"], given["times"], denoiser.read(neutral, counts=(1, 1)), given["words"])
    assert (once - ours).abs().max() > 1e-4  # four repeats are not one


def test_a_batch_is_its_members(denoiser):
    together = answer(denoiser, **inputs())
    assert together.shape == inputs()["noisy"].shape
    for row in range(3):
        alone = answer(denoiser, **{name: value[row : row + 1] for name, value in inputs().items()})
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changed", ["noisy", "times", "neutral", "words"])
def test_every_input_reaches_every_tile(denoiser, changed):
    given = inputs()
    base = answer(denoiser, **given)
    given[changed] = given[changed] * 0.5
    assert ((answer(denoiser, **given) - base).abs().amax((0, 2, 3, 4)) > 1e-5).all()


def test_attention_is_joint_over_tiles_and_places(denoiser):
    given = inputs(1)
    for name in ("noisy", "neutral"):
        given[name].requires_grad_(True)
    asked = answer(denoiser, **given)[0, 3, :, 0, 0].sum()
    for gradient in torch.autograd.grad(asked, [given["noisy"], given["neutral"]]):
        assert (gradient.abs().amax((0, 2)) > 0).all()  # of every tile, at every place


def test_statistics_are_inverse_and_previews_are_the_image_averaged(batch):
    torch.manual_seed(0)
    statistics = LatentStatistics(SMALL)
    latent = torch.randn(40, 5, SMALL.channels, SMALL.grid, SMALL.grid) * 3 + 1
    mixing = torch.randn(5, SMALL.channels, 3 * SMALL.preview_scale**2)
    small = torch.nn.functional.pixel_shuffle(torch.einsum("bnchw,ncp->bnphw", latent, mixing) + 0.5, 4)
    statistics.fit(latent, small)
    torch.testing.assert_close(statistics.preview(latent), small, atol=1e-2, rtol=1e-2)
    normalised = statistics.normalised(latent)
    torch.testing.assert_close(normalised.square().mean((0, 3, 4)), torch.ones(5, SMALL.channels))
    torch.testing.assert_close(statistics.restored(normalised), latent)


def test_training_lowers_both_losses(finished):
    first, second = finished[1]
    assert sum(first[-10:]) < 0.9 * sum(first[:10])
    assert sum(second[-20:]) < 0.2 * sum(second[:20])


def test_the_truth_survives_the_round_trip(model):
    batch = SOURCE.pairs([0, 1] * 6, [row for row in KNOWN[1:] for _ in range(2)])
    found = model.round_trip(batch)
    moved = batch.offset_m.norm(dim=1)
    assert (found.offset_m - batch.offset_m).norm(dim=1).mean() < 0.25 * moved.mean()
    error = (found.change - batch.change).square().mean((0, 2, 3)).sqrt()
    assert (error < 0.5 * batch.change.square().mean((0, 2, 3)).sqrt()).all()


def test_it_has_learned_what_it_was_shown(model):
    for person in (0, 1):
        batch = SOURCE.pairs([person] * len(KNOWN), list(KNOWN))
        neutral = model.read(batch.neutral_position_m[:1], batch.texture_srgb[:1])
        prompts = [entry.name for entry in EXPRESSIONS[: len(KNOWN)]]
        *_, (latent, _) = model.sample(neutral, batch.expression, prompts, model.noise("a"), 4)
        found = model.decode(latent, neutral)
        for maps, truth in ((found.offset_m, batch.offset_m), (found.change, batch.change)):
            assert maps.shape == truth.shape
            assert (maps - truth).square().mean() < 0.6 * truth.square().mean()  # copying the neutral leaves 1


def test_a_head_is_read_once_for_all_steps_and_expressions(model):
    batch = SOURCE.pairs([8, 8], [5, 6])
    neutral = model.read(batch.neutral_position_m[:1], batch.texture_srgb[:1])
    prompts, noise = ["Jaw Open", "smile"], model.noise("a")
    *_, (cached, _) = model.sample(neutral, batch.expression, prompts, noise, 3)
    row = model.space.neutral_row(batch.neutral_position_m, batch.texture_srgb)
    state = noise.expand(2, -1, -1, -1, -1)
    for now, after in ((1.0, 2 / 3), (2 / 3, 1 / 3), (1 / 3, 0.0)):
        memory = model.denoiser.read(model.statistics.normalised(encoded_rows(model.autoencoder, row)))
        clean = model.denoiser(state, torch.full((2,), now), memory, model.text(model.text.tokens(prompts)))
        state = state + (after - now) * (state - clean) / now
    torch.testing.assert_close(cached, model.statistics.restored(state), atol=1e-4, rtol=1e-3)


def test_sampling_is_repeatable_and_seeds_prompts_and_guidance_differ(model):
    batch = SOURCE.pairs([8, 8], [5, 6])
    neutral = model.read(batch.neutral_position_m[:1], batch.texture_srgb[:1])

    def last(seed="a", prompts=("jaw open", "smile"), guidance=1.0):
        steps = list(model.sample(neutral, batch.expression, prompts, model.noise(seed), 3, guidance))
        assert len(steps) == 3
        return steps[-1][0]

    assert torch.equal(last(), last())
    assert not torch.equal(last(), last("b"))
    assert not torch.equal(last()[0], last(prompts=("smile", "smile"))[0])
    torch.testing.assert_close(last(guidance=1.0 + 1e-7), last(), atol=1e-4, rtol=1e-3)
    assert not torch.equal(last(), last(guidance=2.0))


def test_one_expression_alone_is_as_in_a_batch(model):
    batch = SOURCE.pairs([8, 9], [5, 6])
    both = model.read(batch.neutral_position_m, batch.texture_srgb)
    *_, (latent, _) = model.sample(both, batch.expression, ["jaw open", "smile"], model.noise("a"), 2)
    maps = model.decode(latent, both)
    for row, prompt in enumerate(("jaw open", "smile")):
        one = slice(row, row + 1)
        neutral = model.read(batch.neutral_position_m[one], batch.texture_srgb[one])
        *_, (alone, _) = model.sample(neutral, batch.expression[one], [prompt], model.noise("a"), 2)
        found = model.decode(alone, neutral)
        torch.testing.assert_close(found.offset_m, maps.offset_m[one], atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(found.change, maps.change[one], atol=1e-3, rtol=1e-3)


def test_what_a_change_is_measured_against(model):
    batch = SOURCE.pairs([0], [5])
    other = TileModel(replace(WHOLE, tiles=replace(WIDER, diffuse_against_input=True)), parts_of(model), "b", "cpu")
    own, texture = (each.read(batch.neutral_position_m, batch.texture_srgb) for each in (model, other))
    torch.testing.assert_close(texture.maps[:, :3], linear_from_srgb(batch.texture_srgb))
    assert torch.equal(own.maps[:, 3:], texture.maps[:, 3:])
    assert (own.maps[:, :3] - batch.neutral[:, :3]).abs().mean() < (texture.maps - batch.neutral)[:, :3].abs().mean()


def parts_of(model):
    return TileParts(model.space, model.autoencoder, model.statistics, model.denoiser, model.text)


def test_a_preview_is_the_result_made_small(model):
    batch = SOURCE.pairs([8], [5])
    neutral = model.read(batch.neutral_position_m, batch.texture_srgb)
    *_, (latent, _) = model.sample(neutral, batch.expression, ["jaw open"], model.noise("a"), 2)
    full, preview = model.decode(latent, neutral), model.decode_preview(latent, neutral)
    side = SMALL.grid * SMALL.preview_scale
    assert preview.change.shape == (1, 9, side, side)
    small = torch.nn.functional.adaptive_avg_pool2d(full.change, side)
    assert (preview.change - small).abs().mean() < 0.5 * small.abs().mean()
    assert (preview.offset_m - full.offset_m).norm(dim=1).mean() < 0.5 * full.offset_m.norm(dim=1).mean()


def test_weights_go_into_fresh_parts(model):
    fresh = TileParts.fresh(WIDER)
    for name, part in parts_of(model).ours().items():
        fresh.ours()[name].load_state_dict(part.state_dict())
    assert set(fresh.ours()) == {"space", "autoencoder", "statistics", "denoiser", "text"}
    batch = SOURCE.pairs([8], [5])
    ends = []
    for each in (model, TileModel(WHOLE, fresh, "b", "cpu")):
        neutral = each.read(batch.neutral_position_m, batch.texture_srgb)
        *_, (latent, _) = each.sample(neutral, batch.expression, ["smile"], each.noise("a"), 1)
        ends.append(each.decode(latent, neutral).change)
    assert torch.equal(*ends)


def test_it_trains_packs_and_loads_like_ours(tmp_path):
    config = Config(
        name="tiles-smoke",
        precision="float32",
        layout="tiles",
        tiles=SMALL,
        autoencoder=replace(SETTINGS, pool=16, fit=16, batch=4),
        denoiser=replace(SETTINGS, pool=16, fit=16, batch=4),
    )
    for name in ("autoencoder", "denoiser"):
        train(make_stage(name, config, SOURCE, CPU, tmp_path), config, Plan(images=8), tmp_path)
    with pytest.raises(EngineError, match="no such stage"):
        make_stage("refine", config, SOURCE, CPU, tmp_path)
    trained, packed = load_model(tmp_path), load_model(write_release(tmp_path, tmp_path / "release").parent)
    batch = SOURCE.pairs([8], [5])
    answers = []
    for each in (trained, packed):
        assert isinstance(each, TileModel)
        assert each.config == config
        neutral = each.read(batch.neutral_position_m, batch.texture_srgb)
        *_, (latent, _) = each.sample(neutral, batch.expression, ["smile"], each.noise("a"), 1)
        answers.append(each.decode(latent, neutral).offset_m)
    torch.testing.assert_close(*answers, atol=5e-4, rtol=0)  # metres; networks are packed in half floats
    assert evaluation_grid(packed, SOURCE).ndim == 3


def test_stages_want_the_autoencoder_they_need():
    with pytest.raises(EngineError, match="go on with the denoiser"):
        TileAutoencoderStage(Config(tiles=replace(SMALL, image_autoencoder="vae")), SOURCE, CPU)
    with pytest.raises(ValueError, match="finished autoencoder"):
        TileDenoiserStage(Config(tiles=SMALL), SOURCE, CPU)


def test_image_loss_is_zero_only_for_equals():
    image = torch.randn(2, 3, 16, 16)
    assert image_loss(image, image) == 0
    assert image_loss(image + 0.1, image) > 0


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="divide"):
        replace(SMALL, grid=7)
    with pytest.raises(ValueError, match="heads"):
        replace(SMALL, heads=3)


@pytest.mark.parametrize(("config", "least", "most"), [(TileConfig(), 4e6, 7e6)])
def test_configurations_have_the_size_they_should(config, least, most):
    with torch.device("meta"):
        modules = (ImageAutoencoder(config), TileDenoiser(config), OwnText(config))
    assert least < sum(weight.numel() for part in modules for weight in part.parameters()) < most
    assert len(TILES) == 5
