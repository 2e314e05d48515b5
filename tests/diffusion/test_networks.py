from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.diffusion.autoencoder import (
    Autoencoder,
    Reader,
    broad,
    deepened,
    reconstruction_loss,
    smooth,
)
from engine.diffusion.config import ModelConfig, config_from, read_config
from engine.diffusion.denoiser import Denoiser, velocity
from engine.diffusion.person import MOST, Person
from engine.diffusion.pivot import AnswerFit, LeanFit, Pivot, PivotFit, reach_in
from engine.diffusion.text import tokenize
from engine.diffusion.unified import ENERGIES, BlockProjection, Unified, guides, texture_energies
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


@pytest.fixture(scope="module")
def unified(batch):
    made = Unified(SMALL)
    made.fit(batch.neutral_position_m, batch.texture_srgb, batch.neutral, batch.offset_m, batch.change)
    return made


def test_offsets_survive_the_round_trip_and_zero_is_zero(batch, unified):
    found = unified.decode_offset(unified.encode_offset(batch.offset_m))
    moved = batch.offset_m.norm(dim=1).max()
    assert (found - batch.offset_m).norm(dim=1).mean() < 0.1 * moved
    assert unified.decode_offset(unified.encode_offset(torch.zeros_like(batch.offset_m))).abs().max() == 0
    assert (found[:, :, unified.offset_mask == 0] == 0).all()
    assert 0.5 < unified.offset_mask.mean() < 1


def test_scaling_is_undone_and_has_unit_deviation(batch, unified):
    scaled = unified.scale_change(batch.change)
    torch.testing.assert_close(unified.unscale_change(scaled), batch.change * unified.change_mask)
    torch.testing.assert_close(scaled.std((0, 2, 3)), torch.ones(9), atol=0.3, rtol=0)
    texture = unified.texture_input(batch.texture_srgb)
    maps = unified.scale_maps(batch.neutral, texture)
    assert 0.3 < maps[:, 3:].std() < 3
    torch.testing.assert_close(unified.unscale_maps(maps, texture), batch.neutral, atol=1e-4, rtol=1e-3)


def test_the_condition_tells_people_apart(batch, unified):
    texture = unified.texture_input(batch.texture_srgb)
    code = unified.encode_condition(batch.neutral_position_m, texture)
    channels = SMALL.position_channels + SMALL.albedo_channels + ENERGIES
    assert code.shape == (24, channels, SMALL.grid, SMALL.grid)
    assert code.isfinite().all()
    one = batch.identity == batch.identity[0]
    torch.testing.assert_close(code[one], code[:1].expand(int(one.sum()), -1, -1, -1))
    assert (code[~one] - code[:1]).abs().amax((1, 2, 3)).min() > 1e-2


def test_energies_tell_how_strong_and_how_fine_a_texture_is():
    """Channels: luminance and two colours by turns for each of four bands, then the guides."""
    x = torch.arange(64.0)
    fine, wide = (torch.sin(x * rate).expand(1, 3, 64, 64) for rate in (2.0, 0.3))
    weak, strong = texture_energies(0.1 * fine, 8), texture_energies(0.2 * fine, 8)
    assert weak.shape == (1, ENERGIES, 8, 8)
    torch.testing.assert_close((strong - weak)[:, 0], torch.full((1, 8, 8), 4.0).log(), atol=1e-2, rtol=0)
    assert (texture_energies(wide, 8)[:, 9] > texture_energies(wide, 8)[:, 0] + 2).all()
    assert (strong[:, [1, 2, 4, 5, 7, 8, 10, 11]] < -15).all()  # grey has no colour bands


def test_fitting_on_pairs_without_change_is_refused(batch):
    with pytest.raises(ValueError, match="found none"):
        Unified(SMALL).fit(
            batch.neutral_position_m,
            batch.texture_srgb,
            batch.neutral,
            torch.zeros_like(batch.offset_m),
            torch.zeros_like(batch.change),
        )


def test_an_untrained_autoencoder_is_its_skeleton(batch):
    torch.manual_seed(0)
    reader, autoencoder = Reader(SMALL), Autoencoder(SMALL)
    soft = broad(batch.change, 4 * SMALL.texture_block)
    autoencoder.skeleton.fit(soft)
    with torch.no_grad():
        features = reader.features(batch.texture_srgb)
        assert features.shape == (24, SMALL.fine_width, 2 * SMALL.grid, 2 * SMALL.grid)
        assert (reader.neutral(features) == 0).all()
        latent = autoencoder.encode(soft, features)
        assert latent.shape == (24, SMALL.change_channels, SMALL.grid, SMALL.grid)
        assert torch.equal(latent, smooth(autoencoder.skeleton.encode(soft)))
        decoded = autoencoder.decode(latent, features, autoencoder.lines(guides(batch.texture_srgb)))
        preview = autoencoder.decode_preview(latent)
    assert (decoded - soft).square().mean() < 0.2 * soft.square().mean()
    small = torch.nn.functional.adaptive_avg_pool2d(decoded, preview.shape[-1])
    torch.testing.assert_close(preview, small, atol=1e-5, rtol=1e-4)


def test_smoothing_keeps_what_is_even_and_takes_what_alternates():
    flat = torch.full((1, 2, 8, 8), 3.0)
    torch.testing.assert_close(smooth(flat), flat)
    board = (torch.arange(8)[:, None] + torch.arange(8)[None]).remainder(2).mul(2.0).sub(1.0).expand(1, 2, 8, 8)
    assert smooth(board)[..., 1:-1, 1:-1].abs().max() < 1e-6


def test_the_neutral_reaches_the_decoded_detail():
    torch.manual_seed(0)
    autoencoder = Autoencoder(SMALL).requires_grad_(False)
    for layer in (autoencoder.pixels[0], autoencoder.guided):
        layer.weight.normal_(std=0.1)
    latent = torch.randn(1, SMALL.change_channels, SMALL.grid, SMALL.grid)
    features = torch.randn(1, SMALL.fine_width, 2 * SMALL.grid, 2 * SMALL.grid)
    lines = torch.randn(1, 2 + SMALL.templates, 64, 64)
    base = autoencoder.decode(latent, features, lines)
    for other in ((latent, 0 * features, lines), (latent, features, 0 * lines)):
        assert (autoencoder.decode(*other) - base).abs().max() > 1e-2


def test_coarse_lines_draw_the_means_of_what_lines_draw():
    torch.manual_seed(0)
    autoencoder = Autoencoder(SMALL).requires_grad_(False)
    autoencoder.pixels[0].weight.normal_(std=0.1)
    autoencoder.pixels[0].bias.normal_()
    autoencoder.guided.bias.normal_()  # the same everywhere: what varies within a texel of coarse lines is left out
    latent = torch.randn(2, SMALL.change_channels, SMALL.grid, SMALL.grid)
    look = torch.randn(2, SMALL.fine_width, 2 * SMALL.grid, 2 * SMALL.grid)
    lines = torch.randn(2, 2 + SMALL.templates, SMALL.texture_size, SMALL.texture_size)

    def coarser(maps):
        return torch.nn.functional.avg_pool2d(maps, 2)

    wanted, drawn = coarser(autoencoder.draw(latent, look, lines)), autoencoder.draw(latent, look, coarser(lines))
    torch.testing.assert_close(drawn[:, :7], wanted[:, :7], atol=1e-5, rtol=1e-4)


def test_a_face_is_known_by_its_lines():
    torch.manual_seed(0)
    made, size = Autoencoder(SMALL), SMALL.texture_size
    made.templates.normal_()
    found = torch.stack([made.templates[:2], 3 * made.templates[[2, 0]]])  # (2, 2, H, W)
    matches = made.matches(found, 1).view(2, 2, 2, -1)  # head, amount or cosine, guide, template
    assert matches.shape[-1] == SMALL.templates
    assert (matches[:, 1].argmax(-1) == torch.tensor([[0, 1], [2, 0]])).all()
    assert matches[:, 1].amax(-1).min() > 0.99
    torch.testing.assert_close(matches[:, 0].amax(-1), torch.tensor([[1.0, 1.0], [3.0, 3.0]]), atol=0.1, rtol=0)
    assert made.matches(found, 2).shape == (2, 16 * SMALL.templates)
    assert made.matches(torch.zeros(3, 2, size, size), 0).shape == (3, 0)


def test_guides_tell_lines_across_from_lines_along():
    y = torch.arange(512.0)[:, None].expand(512, 512)
    texture = 0.1 * torch.sin(y * (2 * torch.pi / 20)).expand(1, 3, 512, 512)
    across, along = guides(texture)[0, :, 64:-64, 64:-64]
    assert across.std() > 1.5
    assert along.std() < 0.2 * across.std()
    across, along = guides(texture.transpose(2, 3))[0, :, 64:-64, 64:-64]
    assert along.std() > 1.5
    assert across.std() < 0.2 * along.std()


def test_deepened_lines_darken_and_tilt_by_their_own_coefficients():
    y = torch.arange(64.0)[:, None].expand(64, 64)
    lines = torch.stack([torch.sin(y * 0.5), torch.zeros(64, 64), torch.ones(64, 64)])[None]
    coefficients = torch.zeros(1, 15, 16, 16)
    coefficients[:, 0] = 2.0  # diffuse by the first line
    coefficients[:, 12] = 1.0  # slope y by its gradient
    found = deepened(coefficients, lines)[:, :, 2:-2]
    torch.testing.assert_close(found[:, 0], 2 * lines[:, 0, 2:-2])
    assert found[:, 3:8].abs().max() == 0
    torch.testing.assert_close(found[0, 8, :, 0], 4 * 0.4794 * torch.cos(y[2:-2, 0] * 0.5), atol=1e-2, rtol=0)


def test_templates_are_where_training_faces_fold():
    torch.manual_seed(0)
    autoencoder = Autoencoder(SMALL)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    folds = torch.stack([torch.sin(2 * y), torch.sin(2.5 * x)])
    change = torch.einsum("nk,khw->nhw", torch.randn(20, 2), folds)[:, None].expand(-1, 3, -1, -1)
    autoencoder.fit_templates(change)
    found, inner = autoencoder.templates, (slice(4, -4), slice(4, -4))
    axes = torch.stack([fold[inner].flatten() for fold in folds]).T
    for template in found[:2]:
        answer = torch.linalg.lstsq(axes, template[inner].flatten()[:, None]).solution
        assert (axes @ answer - template[inner].flatten()[:, None]).norm() < 0.25 * template[inner].norm()
    assert 0.5 < found[0].abs().max() < 3
    autoencoder.fit_templates(change[:1])  # fewer pairs than templates leave the rest empty
    assert autoencoder.templates[1:].abs().max() == 0


def test_reconstruction_loss_is_zero_only_for_equals():
    image = torch.randn(2, 9, 16, 16)
    mask = torch.ones(16, 16)
    assert reconstruction_loss(image, image, mask) == 0
    assert reconstruction_loss(image + 0.1, image, mask) > 0
    step = torch.zeros_like(image)
    step[..., 8:] = 1.0
    assert reconstruction_loss(image + step, image, mask) > reconstruction_loss(image + 0.5, image, mask)


CHANNELS = SMALL.offset_channels + SMALL.change_channels
CONDITION = SMALL.position_channels + SMALL.albedo_channels + ENERGIES + SMALL.fine_width


def inputs(count=3):
    torch.manual_seed(1)
    ids = tokenize(["jaw open", "", "a big smile + brows up 0.5"][:count], SMALL.prompt_length, SMALL.prompt_vocabulary)
    return (
        torch.randn(count, CHANNELS, SMALL.grid, SMALL.grid),
        torch.rand(count, 2),
        torch.randn(count, CONDITION, SMALL.grid, SMALL.grid),
        torch.randn(count, 32 + SMALL.change_channels + SMALL.person_leanings),
        torch.randn(count, CHANNELS, SMALL.grid, SMALL.grid),
        torch.randn(count, 4 * SMALL.geometry_block**2, SMALL.grid, SMALL.grid),
        torch.rand(count, 2, 32),
        ids,
        torch.ones(count, dtype=torch.bool),
    )


def awake(config=SMALL):
    """A denoiser whose silent layers have been given something to say."""
    torch.manual_seed(0)
    made = Denoiser(config).eval().requires_grad_(False)
    for layer in (
        made.modulation,
        *made.patch_out,
        *made.gain_out,
        *made.whole_gain,
        made.skin.out,
        *(part.out for part in made.across),
    ):
        for weight in layer.parameters():
            weight.normal_(std=0.05)
    return made


@pytest.fixture
def denoiser():
    return awake()


def test_an_untrained_denoiser_answers_the_average_person():
    assert (Denoiser(SMALL)(*inputs()) == 0).all()
    pivot = Pivot(SMALL)
    pivot.deviation.uniform_(0.5, 2.0)
    latent, expected = torch.randn(2, 3, CHANNELS, SMALL.grid, SMALL.grid)
    torch.testing.assert_close(pivot.restore(pivot.normalise(latent, expected), expected), latent)


def test_a_gain_scales_what_the_average_person_does():
    made = Denoiser(SMALL).requires_grad_(False)
    for layer in made.whole_gain:
        layer.bias.fill_(0.25)
    given = inputs()
    torch.testing.assert_close(made(*given), 0.25 * given[4])


def test_the_pivot_finds_each_row_in_its_own_frames_beside_the_jaw(batch, unified):
    source, pivot = WaveSource(dense=True), Pivot(SMALL)
    pivot.jaw_m.normal_(std=0.01)
    pairs = source.batch(120, torch.Generator().manual_seed(1))
    turn = pivot.turn(unified, pairs.neutral_position_m)
    torch.testing.assert_close(turn @ turn.transpose(-1, -2), torch.eye(3).expand_as(turn), atol=1e-4, rtol=0)
    truth = torch.randn(32, 3, SMALL.geometry_size, SMALL.geometry_size) * 0.01
    latents = torch.randn(32, SMALL.change_channels, SMALL.grid, SMALL.grid)
    sums = PivotFit(pivot, unified)
    turned = torch.einsum("be,echw->bchw", pairs.expression[:, 0, 1:], truth[1:])
    turned = torch.einsum("bhwij,bjhw->bihw", turn, turned)
    size = pivot.jaw_size(unified, pairs.neutral_position_m)
    assert size.flatten().std() > 0.03
    jaws = size * torch.einsum("be,echw->bchw", pairs.expression[:, 0] @ pivot.jaw_share, pivot.jaw_m)
    change = torch.einsum("be,echw->bchw", pairs.expression[:, 0, 1:], latents[1:])
    sums.add(pairs.expression, turned + jaws, pairs.neutral_position_m, turn, change)
    sums.solve()
    first = slice(0, 4)
    given = (pairs.expression[first], pairs.neutral_position_m[first], turn[first])
    whole = unified.encode_offset((turned + jaws)[first])
    expected = pivot.expected(unified, *given)[:, : SMALL.offset_channels]
    assert (expected - whole).square().mean() < 1e-3 * whole.square().mean()
    torch.testing.assert_close(pivot.offset_m[1:], truth[1:], atol=1e-3, rtol=0)
    torch.testing.assert_close(pivot.change[1:], latents[1:], atol=0.1, rtol=0)
    assert pivot.offset_m[0].abs().max() == 0


def test_the_pivot_moves_the_side_that_is_asked_for(unified):
    pivot = Pivot(SMALL)
    pivot.offset_m.fill_(0.01)
    pivot.change.fill_(1.0)
    strengths = torch.zeros(1, 2, 32)
    strengths[0, 0, 5] = 1.0  # the subject's left is on the image's right
    turn = torch.eye(3).expand(1, SMALL.geometry_size, SMALL.geometry_size, 3, 3)
    code = pivot.expected(unified, strengths, unified.mean_position[None], turn)
    change = code[0, SMALL.offset_channels :]
    torch.testing.assert_close(change[..., -2:], torch.ones_like(change[..., -2:]))
    assert change[..., :2].abs().max() < 1e-6
    strengths[0, 1, 5] = 1.0
    torch.testing.assert_close(
        pivot.expected(unified, strengths, unified.mean_position[None], turn)[0, SMALL.offset_channels :],
        torch.ones_like(change),
    )


def test_a_person_is_told_by_principal_components(batch):
    person = Person(SMALL)
    energies = torch.randn(24, ENERGIES, SMALL.grid, SMALL.grid)
    person.fit_components(batch.neutral_position_m, energies, torch.randn(24, person.usual_match.numel()))
    coarse = torch.nn.functional.adaptive_avg_pool2d(batch.neutral_position_m, SMALL.grid).flatten(1) * 100
    found = person.shape(coarse)
    assert found.shape == (24, SMALL.shape_components)
    told = person.shape.mean + found * person.shape.deviation @ person.shape.basis
    torch.testing.assert_close(told, coarse, atol=1e-2, rtol=1e-2)
    one = batch.identity == batch.identity[0]
    assert (found[one][:, :3] - found[0, :3]).abs().max() < 1e-3
    assert (found[~one][:, :3] - found[0, :3]).abs().amax(1).min() > 1e-2


def test_a_persons_factors_are_learnt_from_many_heads_and_say_less_of_strange_ones():
    rng = torch.Generator().manual_seed(0)
    modes = torch.randn(4, 3, SMALL.geometry_size, SMALL.geometry_size, generator=rng) * 0.003
    who = torch.randn(600, 4, generator=rng)
    positions = torch.einsum("pk,kchw->pchw", who, modes)
    energies = torch.randn(600, ENERGIES, SMALL.grid, SMALL.grid, generator=rng)
    factors = torch.zeros(600, 32 + SMALL.change_channels)
    factors[:, 5] = 0.2 * torch.tanh(who[:, 0]) + 0.05
    factors[:, 7] = 0.15 * who[:, 1] + 0.05 * (who[:, 1].square() - 1)
    factors[:, 40] = 0.2 * who[:, 2]
    person = Person(replace(SMALL, shape_components=4, texture_components=4, person_matches=1))
    lines = torch.randn(600, person.usual_match.numel(), generator=rng)
    factors[:, 11] = 0.2 * lines[:, 3]
    person.fit_components(positions[:500], energies[:500], lines[:500])
    person.fit(positions[:500], energies[:500], lines[:500], factors[:500])
    found = person(positions[500:], energies[500:], lines[500:])
    found, leanings = found.split([factors.shape[1], SMALL.person_leanings], 1)
    truth = factors[500:]
    told = 1 - (found - truth)[:, (5, 7, 11, 40)].var(0) / truth[:, (5, 7, 11, 40)].var(0)
    assert told.min() > 0.85  # squares of what leads are known
    assert found[:, 9].abs().max() < 1e-4
    assert found.abs().max() < MOST
    assert 0.15 < leanings[:, 0].std() < 0.25  # of the size of the factors
    strange = person(positions[:1] + 40 * modes[2], energies[:1], lines[:1])
    assert strange[:, : factors.shape[1]].abs().max() < found.abs().max()


def test_one_move_tells_how_far_someone_goes_with_many_expressions():
    rng = torch.Generator().manual_seed(0)
    pivot = Pivot(SMALL)
    pivot.offset_m.copy_(torch.randn(pivot.offset_m.shape, generator=rng) * 0.01)
    turn = torch.linalg.qr(torch.randn(3, SMALL.geometry_size, SMALL.geometry_size, 3, 3, generator=rng))[0]
    pivot.jaw_m.copy_(torch.randn(pivot.jaw_m.shape, generator=rng) * 0.01)
    size = torch.tensor([0.8, 1.0, 1.2]).view(3, 1, 1, 1)
    rows, reach = torch.tensor([3, 10, 31]), torch.tensor([[0.7, 1.3, 1.0], [1.0, 0.5, 1.6], [9.0, 1.0, 1.0]])
    offset = torch.einsum("bk,kchw->bchw", reach, pivot.offset_m[rows])
    offset = torch.einsum("bhwij,bjhw->bihw", turn, offset)
    offset = offset + size * torch.einsum("bk,kchw->bchw", reach @ pivot.jaw_share[rows], pivot.jaw_m)
    found = reach_in(pivot, offset, size, turn, rows, SMALL.geometry_size)
    torch.testing.assert_close(found[:2], reach[:2], atol=0.02, rtol=0)
    assert found[2, 0] == 2.5  # nobody goes nine times as far


def test_answers_of_the_skin_are_told_apart_by_person_and_channel():
    fit = AnswerFit(3, 2, torch.device("cpu"))
    expected = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    factors = torch.tensor([[0.5, 1.5], [1.0, 2.0], [1.0, 1.0]])
    who = torch.tensor([0, 0, 1, 1])
    fit.add(who, expected * factors[who][..., None, None], expected)
    torch.testing.assert_close(fit.solve(), factors, atol=0.1, rtol=0)  # nothing was seen of the third


@pytest.mark.parametrize(("scale", "pulled"), [(0.1, True), (-0.1, False)])
def test_strain_is_what_the_geometry_does_to_the_skin(batch, unified, monkeypatch, scale, pulled):
    pivot, position = Pivot(SMALL), batch.neutral_position_m[:2]
    monkeypatch.setattr(Unified, "decode_offset", lambda self, code: scale * position)
    latent = torch.zeros(2, CHANNELS, SMALL.grid, SMALL.grid)
    strain = pivot.strain(unified, position, latent)
    block = SMALL.geometry_block
    assert strain.shape == (2, 4 * block**2, SMALL.grid, SMALL.grid)
    pull, squeeze = torch.nn.functional.pixel_shuffle(strain, block).chunk(2, 1)
    acts, rests = (pull, squeeze) if pulled else (squeeze, pull)
    assert acts.flatten(2).median(2).values.sub(1).abs().max() < 1e-3  # a tenth is one unit, along u and v
    assert rests.abs().max() == 0


def test_the_pivot_leans_with_the_person(unified):
    rng = torch.Generator().manual_seed(0)
    pivot, count = Pivot(SMALL), 900
    people = torch.zeros(count, 32 + SMALL.change_channels + SMALL.person_leanings)
    people[:, -SMALL.person_leanings :] = 0.2 * torch.randn(count, SMALL.person_leanings, generator=rng)
    rows = torch.randint(1, 32, (count,), generator=rng)
    strengths = torch.nn.functional.one_hot(rows, 32).float()[:, None].expand(-1, 2, -1)
    patterns = torch.randn(32, SMALL.change_channels, SMALL.grid, SMALL.grid, generator=rng)
    fit = LeanFit(pivot)
    fit.add(strengths, people, people[:, -1, None, None, None] * patterns[rows])
    fit.solve()
    assert pivot.lean[: SMALL.person_leanings].abs().max() == 0
    turn = torch.eye(3).expand(1, SMALL.geometry_size, SMALL.geometry_size, 3, 3)
    one = torch.zeros(1, people.shape[1])
    one[0, -1] = 0.3
    wanted = torch.zeros(1, 2, 32)
    wanted[0, :, 7] = 1.0
    change = pivot.expected(unified, wanted, unified.mean_position[None], turn, one)[:, SMALL.offset_channels :]
    told = (change[0] - 0.3 * patterns[7]).square().mean() / (0.3 * patterns[7]).square().mean()
    assert told < 0.15


def test_expressions_made_together_may_attend_to_each_other():
    made = awake(replace(SMALL, depth=3, expression_attention=True))
    given = [torch.cat([value, value]) for value in inputs(2)]
    alone = made(*given)
    together = made(*given, together=2)
    assert (together - alone).abs().max() > 1e-4
    swapped = made(*(value.view(2, 2, *value.shape[1:]).flip(1).flatten(0, 1) for value in given), together=2)
    torch.testing.assert_close(
        swapped.view(2, 2, *swapped.shape[1:]).flip(1).flatten(0, 1), together, atol=1e-5, rtol=1e-4
    )


def test_a_batch_is_its_members(denoiser):
    together = denoiser(*inputs())
    for row in range(3):
        alone = denoiser(*(value[row : row + 1] for value in inputs()))
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=1e-4)


NAMES = ["noisy", "times", "condition", "person", "typical", "strain", "strengths", "prompt", "present"]


@pytest.mark.parametrize("changed", range(9), ids=NAMES)
def test_every_input_reaches_both_groups(denoiser, changed):
    given = list(inputs())
    base = denoiser(*given)
    kind = given[changed].dtype
    given[changed] = ~given[changed] if kind == torch.bool else (given[changed] * 0 + (1 if kind == torch.int64 else 0))
    geometry, reflectance = (denoiser(*given) - base).abs().split(denoiser.splits, 1)
    assert reflectance.max() > 1e-5
    assert bool(geometry.max() > 1e-5) is (NAMES[changed] != "strain")  # strain is the geometry's


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


@pytest.mark.parametrize("name", ["small", "gpu", "smoke"])
def test_every_configuration_builds_and_fits_the_repository(name):
    config = read_config(Path(name))
    assert config.name == name
    with torch.device("meta"):
        parts = (Reader(config.model), Autoencoder(config.model), Denoiser(config.model))
    count = sum(weight.numel() for part in parts for weight in part.parameters())
    assert count * 2 < 22e6


@pytest.mark.parametrize(
    "table", [{"nmae": "x"}, {"model": {"width": 1.5}}, {"model": {"widht": 3}}, {"model": {"grid": 33}}, {"seed": "a"}]
)
def test_wrong_configurations_are_refused(table):
    with pytest.raises(FileFormatError, match="expected"):
        config_from(table, "test.toml")


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of grid"):
        ModelConfig(geometry_size=100)
