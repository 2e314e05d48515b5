from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.diffusion.autoencoder import Autoencoder, reconstruction_loss
from engine.diffusion.config import ModelConfig, config_from, read_config
from engine.diffusion.denoiser import Denoiser, velocity
from engine.diffusion.text import tokenize
from engine.diffusion.unified import BlockProjection, Unified
from engine.errors import FileFormatError
from tests.diffusion.source import WaveSource

SMALL = read_config(Path("smoke")).model


@pytest.fixture(scope="module")
def batch():
    return WaveSource().batch(24, torch.Generator().manual_seed(0))


def test_a_projection_is_an_inverse_on_what_it_spans_and_the_best_elsewhere():
    torch.manual_seed(0)
    maps = torch.randn(20, 3, 16, 16).cumsum(2).cumsum(3) * 0.1
    full, half = BlockProjection(3, 4, 48), BlockProjection(3, 4, 24)
    full.fit(maps)
    half.fit(maps)
    torch.testing.assert_close(full.decode(full.encode(maps)), maps, atol=1e-3, rtol=1e-3)
    code = half.encode(maps)
    torch.testing.assert_close(half.encode(half.decode(code)), code, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(code.square().mean((0, 2, 3)), torch.ones(24), atol=1e-2, rtol=1e-2)
    kept = (half.decode(code) - maps).square().mean()
    other = BlockProjection(3, 4, 24)  # the first texels instead of the components
    assert kept < 0.2 * (other.decode(other.encode(maps)) - maps).square().mean()


def test_offsets_survive_the_round_trip_and_zero_is_zero(batch):
    unified = Unified(SMALL)
    unified.fit(batch)
    found = unified.decode_offset(unified.encode_offset(batch.offset_m))
    moved = batch.offset_m.norm(dim=1).max()
    assert (found - batch.offset_m).norm(dim=1).mean() < 0.1 * moved
    assert unified.decode_offset(unified.encode_offset(torch.zeros_like(batch.offset_m))).abs().max() == 0
    assert (found[:, :, unified.offset_mask == 0] == 0).all()
    assert 0.5 < unified.offset_mask.mean() < 1


def test_the_condition_tells_people_apart(batch):
    unified = Unified(SMALL)
    unified.fit(batch)
    code = unified.encode_condition(batch.neutral_position_m, batch.neutral_diffuse_srgb)
    assert code.shape == (24, SMALL.position_channels + SMALL.albedo_channels, SMALL.grid, SMALL.grid)
    assert code.isfinite().all()
    one = batch.identity == batch.identity[0]
    torch.testing.assert_close(code[one], code[:1].expand(int(one.sum()), -1, -1, -1))
    assert (code[~one] - code[:1]).abs().amax((1, 2, 3)).min() > 1e-2


def test_fitting_on_pairs_without_change_is_refused(batch):
    still = replace(batch, change=torch.zeros_like(batch.change), offset_m=torch.zeros_like(batch.offset_m))
    with pytest.raises(ValueError, match="found none"):
        Unified(SMALL).fit(still)


def test_an_untrained_autoencoder_is_its_skeleton(batch):
    torch.manual_seed(0)
    autoencoder = Autoencoder(SMALL)
    autoencoder.skeleton.fit(batch.change)
    with torch.no_grad():
        latent = autoencoder.encode(batch.change)
        assert latent.shape == (24, SMALL.change_channels, SMALL.grid, SMALL.grid)
        assert torch.equal(latent, autoencoder.skeleton.encode(batch.change))
        decoded = autoencoder.decode(latent)
        preview = autoencoder.decode_preview(latent)
    assert (decoded - batch.change).square().mean() < 0.1 * batch.change.square().mean()
    small = torch.nn.functional.adaptive_avg_pool2d(decoded, preview.shape[-1])
    torch.testing.assert_close(preview, small, atol=1e-5, rtol=1e-4)


def test_reconstruction_loss_is_zero_only_for_equals():
    image = torch.randn(2, 9, 16, 16)
    mask = torch.ones(16, 16)
    assert reconstruction_loss(image, image, mask) == 0
    assert reconstruction_loss(image + 0.1, image, mask) > 0
    step = torch.zeros_like(image)
    step[..., 8:] = 1.0
    assert reconstruction_loss(image + step, image, mask) > reconstruction_loss(image + 0.5, image, mask)


def inputs(count=3):
    torch.manual_seed(1)
    channels = SMALL.offset_channels + SMALL.change_channels
    ids = tokenize(["jaw open", "", "a big smile + brows up 0.5"][:count], SMALL.prompt_length, SMALL.prompt_vocabulary)
    return (
        torch.randn(count, channels, SMALL.grid, SMALL.grid),
        torch.rand(count, 2),
        torch.randn(count, SMALL.position_channels + SMALL.albedo_channels, SMALL.grid, SMALL.grid),
        torch.rand(count, 32),
        ids,
        torch.ones(count, dtype=torch.bool),
    )


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    made = Denoiser(SMALL).eval().requires_grad_(False)
    for layer in (made.modulation, *made.patch_out):
        for weight in layer.parameters():
            weight.normal_(std=0.05)
    return made


def test_an_untrained_denoiser_answers_the_pivot():
    made = Denoiser(SMALL).requires_grad_(False)
    made.pivot.normal_()
    strengths = torch.rand(3, 32)
    assert (made(*inputs()) == 0).all()
    expected = made.pivot[0] + sum(strengths[0, row] * made.pivot[row] for row in range(1, 32))
    torch.testing.assert_close(made.expected(strengths)[0], expected)
    latent = torch.randn(3, *made.pivot.shape[1:])
    torch.testing.assert_close(made.restore(made.normalise(latent, strengths), strengths), latent)


def test_a_batch_is_its_members(denoiser):
    together = denoiser(*inputs())
    for row in range(3):
        alone = denoiser(*(value[row : row + 1] for value in inputs()))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("changed", range(6), ids=["noisy", "times", "condition", "strengths", "prompt", "present"])
def test_every_input_reaches_both_groups(denoiser, changed):
    given = list(inputs())
    base = denoiser(*given)
    kind = given[changed].dtype
    given[changed] = ~given[changed] if kind == torch.bool else (given[changed] * 0 + (1 if kind == torch.int64 else 0))
    for part in (denoiser(*given) - base).abs().split(denoiser.splits, 1):
        assert part.max() > 1e-5


def test_attention_is_joint_over_maps_and_places(denoiser):
    given = list(inputs(1))
    given[0].requires_grad_(True)
    geometry, reflectance = denoiser(*given).split(denoiser.splits, 1)
    gradient = torch.autograd.grad(geometry[0, :, 0, 0].sum(), given[0], retain_graph=True)[0]
    assert (gradient[:, denoiser.splits[0] :].abs().amax(1) > 0).all()
    gradient = torch.autograd.grad(reflectance[0, :, -1, -1].sum(), given[0])[0]
    assert (gradient[:, : denoiser.splits[0]].abs().amax(1) > 0).all()


def test_velocity_leads_straight_to_the_clean_latent():
    clean, noise, time = torch.randn(2, 3), torch.randn(2, 3), torch.tensor(0.3)
    noisy = (1 - time) * clean + time * noise
    torch.testing.assert_close(velocity(noisy, clean, time), noise - clean)


@pytest.mark.parametrize("name", ["small", "large", "smoke"])
def test_every_configuration_builds_and_small_fits_the_repository(name):
    config = read_config(Path(name))
    assert config.name == name
    with torch.device("meta"):
        count = sum(weight.numel() for weight in Autoencoder(config.model).parameters())
        count += sum(weight.numel() for weight in Denoiser(config.model).parameters())
    if name == "small":
        assert count * 2 < 17e6


@pytest.mark.parametrize(
    "table", [{"nmae": "x"}, {"model": {"width": 1.5}}, {"model": {"widht": 3}}, {"model": {"grid": 33}}, {"seed": "a"}]
)
def test_wrong_configurations_are_refused(table):
    with pytest.raises(FileFormatError, match="expected"):
        config_from(table, "test.toml")


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of grid"):
        ModelConfig(geometry_size=100)
