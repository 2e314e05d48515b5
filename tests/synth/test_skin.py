"""Painted skin: maps in range, one person the same in any company, age and tissue seen at rest, photographs of it."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.color import srgb_from_linear
from engine.face import regions
from engine.face.registration import mean_position_m
from engine.face.skin import SPECULAR_MEAN
from engine.synth.photograph import photograph
from engine.synth.skin import Traits, paint, sample_traits

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def bare() -> Traits:
    """Three people of middling traits without make-up, stubble and freckles."""
    people = sample_traits(3, 11)
    still = {
        name: torch.zeros(3) for name in ("lipstick", "eyeshadow", "foundation", "stubble", "freckles", "mole_rate")
    }
    middling = {"melanin": 0.6, "haemoglobin": 0.6, "age_years": 40.0, "firmness": 0.6, "oiliness": 0.4}
    return replace(people, **still, **{name: torch.full((3,), value) for name, value in middling.items()})


@pytest.fixture(scope="module")
def head_m() -> Tensor:
    """(1, 3, 128, 128) the mean head."""
    position = mean_position_m().reshape(128, 128, 3).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(position, np.float32))[None]


def cheek_energy(traits: Traits, low: float, high: float) -> float:
    """Mean variance of log luminance between `low` and `high` cycles per side, over cheeks, neck and chin."""
    albedo = paint(traits, list(range(len(traits))))[:, :3]
    tone = (albedo * torch.tensor([0.2126, 0.7152, 0.0722])[:, None, None]).sum(1).add(0.01).log()
    radius = torch.hypot(torch.fft.fftfreq(512, 1 / 512)[:, None], torch.fft.rfftfreq(512, 1 / 512)[None])
    band = torch.fft.irfft2(torch.fft.rfft2(tone) * ((radius >= low) & (radius < high)), (512, 512))
    inside = torch.from_numpy(
        np.minimum.reduce([regions.distance(name, 512) for name in ("cheek", "neck", "chin")]) < 0
    )
    return float(band[:, inside].var(dim=1).mean())


def test_traits_are_drawn_from_the_seed_alone_and_cover_the_range() -> None:
    first, again, other = sample_traits(400, 5), sample_traits(400, 5), sample_traits(400, 6)
    for field in fields(Traits):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name))
        assert torch.isfinite(getattr(first, field.name).float()).all()
    assert not torch.equal(first.melanin, other.melanin)
    assert first.seed.dtype == torch.int64
    assert float(first.melanin.min()) < 0.2
    assert float(first.melanin.max()) > 1.9
    years = first.age_years - first.age_years.mean()
    slope = (years * first.firmness).sum() / (years**2).sum()
    free = first.firmness - first.firmness.mean() - slope * years
    assert float(slope) < -0.005
    assert 0.17 < float(free.std()) < 0.3


def test_maps_are_whole_and_in_range() -> None:
    maps = paint(sample_traits(6, 3), list(range(6)), size=256)
    assert maps.shape == (6, 9, 256, 256)
    assert maps.dtype == torch.float32
    assert torch.isfinite(maps).all()
    assert float(maps[:, :7].min()) >= 0
    assert float(maps[:, :7].max()) <= 1
    face = torch.from_numpy(regions.distance("cheek", 256) < 0)
    specular = maps[:, 3:6][:, :, face].mean((0, 2))
    assert torch.allclose(specular, torch.from_numpy(SPECULAR_MEAN), rtol=0.25)
    assert 0.35 < float(maps[:, 6][:, face].mean()) < 0.6
    assert abs(float(maps[:, 7:].mean())) < 0.002
    assert float(maps[:, 7:].std()) > 0.002


def test_a_person_is_the_same_in_any_company() -> None:
    traits = sample_traits(4, 9)
    together, alone = paint(traits, [3, 0, 2], size=256), paint(traits, [2], size=256)
    assert torch.allclose(together[2:], alone, atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=0.05)


def test_age_shows_as_unevenness(bare: Traits) -> None:
    energy = [
        cheek_energy(replace(bare, age_years=torch.full((3,), age)), 8, 64) for age in (18.0, 33.0, 48.0, 63.0, 78.0)
    ]
    assert all(later > earlier for earlier, later in pairwise(energy))
    assert energy[-1] > 1.5 * energy[0]


def test_slack_tissue_shows_as_fine_relief(bare: Traits) -> None:
    people = [replace(bare, firmness=torch.full((3,), firm)) for firm in (1.0, 0.75, 0.5, 0.25, 0.0)]
    energy = [cheek_energy(person, 64, 256) for person in people]
    assert all(slack > firm for firm, slack in pairwise(energy))
    assert energy[-1] > 2 * energy[0]
    relief = [float(paint(person, [0, 1, 2])[:, 7:].std()) for person in (people[0], people[-1])]
    assert relief[1] > 1.2 * relief[0]


def test_oil_makes_skin_smoother_and_shinier(bare: Traits) -> None:
    nose = torch.from_numpy(regions.distance("nose", 256) < -0.01)
    dry, oily = (
        paint(replace(bare, oiliness=torch.full((3,), oil)), [0, 1, 2], size=256)[..., nose].mean((0, 2))
        for oil in (0.0, 1.0)
    )
    assert oily[6] < dry[6] - 0.05
    assert oily[4] > 1.2 * dry[4]


def test_melanin_darkens_and_blood_reddens(bare: Traits) -> None:
    cheek = torch.from_numpy(regions.distance("cheek", 256) < 0)

    def tone(**traits: float) -> Tensor:
        people = replace(bare, **{name: torch.full((3,), value) for name, value in traits.items()})
        return paint(people, [0, 1, 2], size=256)[:, :3][..., cheek].mean((0, 2))

    tones = [tone(melanin=level) for level in (0.08, 0.5, 1.0, 1.6, 2.3)]
    assert all((darker < lighter).all() for lighter, darker in pairwise(tones))
    pale, ruddy = tone(haemoglobin=0.3), tone(haemoglobin=0.9)
    assert ruddy[0] / ruddy[1] > 1.2 * pale[0] / pale[1]


def test_grey_hair_lightens_brows(bare: Traits) -> None:
    brow = torch.from_numpy(regions.distance("brow", 256) < 0)
    people = replace(bare, melanin=torch.full((3,), 1.2), brow_density=torch.ones(3))
    tones = [
        paint(replace(people, grey=torch.full((3,), share)), [0, 1, 2], size=256)[:, :3][..., brow].mean()
        for share in (0.0, 0.5, 1.0)
    ]
    assert tones[0] < tones[1] < tones[2]


def test_a_photograph_keeps_the_person(head_m: Tensor) -> None:
    traits = sample_traits(6, 21)
    maps = paint(traits, list(range(6)))
    texture = photograph(maps, head_m.expand(6, -1, -1, -1), list(range(6)))
    assert texture.shape == (6, 3, 512, 512)
    assert torch.isfinite(texture).all()
    assert 0 <= float(texture.min()) <= float(texture.max()) <= 1
    alone = photograph(maps[4:5], head_m, [4])
    assert torch.allclose(alone, texture[4:5], atol=1e-5)
    face = torch.from_numpy(
        np.minimum.reduce([regions.distance(name, 512) for name in ("cheek", "forehead", "brow", "chin")]) < 0
    )
    albedo = torch.from_numpy(srgb_from_linear(maps[:, :3].numpy()))
    for own, seen in zip(fine(albedo), fine(texture), strict=True):
        assert np.corrcoef(own[:, face].flatten(), seen[:, face].flatten())[0, 1] > 0.6


def test_a_quarter_is_in_flat_light_and_some_is_not(head_m: Tensor) -> None:
    count = 24
    maps = paint(replace(sample_traits(1, 4), melanin=torch.tensor([0.4])), [0], size=128).expand(count, -1, -1, -1)
    texture = photograph(maps, head_m.expand(count, -1, -1, -1), list(range(count)))
    albedo = torch.from_numpy(srgb_from_linear(maps[:1, :3].numpy()))
    cheeks = torch.from_numpy(regions.distance("cheek", 128) < 0)
    away = (texture - albedo)[..., cheeks].abs().mean((1, 2)).sort().values
    assert float(away[count // 5]) < 0.03
    assert float(away[-3]) > 0.04


def fine(images: Tensor) -> np.ndarray:
    """(B, 3, S, S) less what is slower than about eight texels."""
    return (images - torch.nn.functional.avg_pool2d(images, 9, 1, 4, count_include_pad=False)).numpy()
