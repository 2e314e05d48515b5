"""Environments: directions, irradiance, filtering, and files that are not right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import moderngl
import numpy as np
import OpenImageIO as oiio
import pytest

from engine.errors import FileFormatError
from engine.io.cache import VARIABLE
from engine.render import environment
from engine.render.environment import BUILT_IN, EnvironmentCache, equirect_directions, equirect_radiance
from engine.render.sources import MOST_LIGHTS, MOST_SUNS, extract_suns, lights_of
from engine.scene import Environment, Lamp, Scene


def write_hdr(path: Path, image: np.ndarray) -> str:
    output = oiio.ImageOutput.create(str(path))
    assert output is not None
    output.open(str(path), oiio.ImageSpec(image.shape[1], image.shape[0], image.shape[2], oiio.FLOAT))
    output.write_image(np.ascontiguousarray(image, np.float32))
    output.close()
    return str(path)


@pytest.fixture
def cache(context: moderngl.Context) -> Iterator[EnvironmentCache]:
    made = EnvironmentCache(context)
    yield made
    made.release()


def tiles(atlas: moderngl.Texture) -> np.ndarray:
    """(7, 128, 128, 3) float32."""
    image = np.frombuffer(atlas.read(), np.float16).reshape(256, 512, 4)[..., :3].astype(np.float32)
    return image.reshape(2, 128, 4, 128, 3).transpose(0, 2, 1, 3, 4).reshape(8, 128, 128, 3)[:7]


def test_directions_cover_the_sphere_once() -> None:
    directions, areas = equirect_directions(64, 128)
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-4)
    np.testing.assert_allclose((directions * areas[..., None]).sum((0, 1)), 0, atol=1e-4)
    assert directions[0, 0, 1] > 0.99
    middle = directions[32, 64]
    assert middle[2] < -0.99
    assert directions[32, 64 + 32][0] > 0.99


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_lights_are_light(name: str) -> None:
    radiance = equirect_radiance(name)
    assert np.isfinite(radiance).all()
    assert radiance.min() >= 0
    directions, areas = equirect_directions(*radiance.shape[:2])
    front = (radiance.mean(2) * np.maximum(directions[..., 2], 0) * areas).sum()
    assert 0.2 < front < 4.0


def test_a_constant_sky_stays_constant(cache: EnvironmentCache, tmp_path: Path) -> None:
    path = write_hdr(tmp_path / "flat.exr", np.full((50, 100, 3), 0.75, np.float32))
    np.testing.assert_allclose(tiles(cache.light(path).atlas), 0.75, rtol=2e-3)


def test_irradiance_of_a_cosine_sky() -> None:
    """L = max(n . d, 0) gives E(n) / pi = 2 / 3; seen from behind it gives 0."""
    directions, _ = equirect_directions(128, 256)
    sky = np.repeat(np.maximum(directions[..., 1:2], 0), 3, axis=2)
    tile = environment.irradiance_tile(sky)
    assert tile[64, 64] == pytest.approx(2 / 3, abs=0.01)
    assert tile[1, 1] == pytest.approx(0, abs=0.01)


def test_filtering_widens_and_keeps_energy(cache: EnvironmentCache, tmp_path: Path) -> None:
    directions, _ = equirect_directions(128, 256)
    spot = np.where(directions[..., 1:2] > np.cos(0.3), 20.0, 0.0) * np.ones(3)
    found = tiles(cache.light(write_hdr(tmp_path / "spot.exr", spot)).atlas)
    peaks = found[:6, 64, 64, 0]
    assert (np.diff(peaks) < 0).all()
    assert peaks[0] == pytest.approx(20, rel=0.02)
    # one direction away from the spot gets more light the rougher the surface is
    assert (np.diff(found[1:6, 64, 64 + 34, 0]) > -0.05).all()


def test_half_float_range_holds(cache: EnvironmentCache, tmp_path: Path) -> None:
    sky = np.full((32, 64, 3), 0.1, np.float32)
    sky[10, 20] = 1e6
    assert np.isfinite(tiles(cache.light(write_hdr(tmp_path / "sun.exr", sky)).atlas)).all()


def test_a_changed_file_is_filtered_again(cache: EnvironmentCache, tmp_path: Path) -> None:
    path = tmp_path / "sky.exr"
    write_hdr(path, np.full((16, 32, 3), 0.5, np.float32))
    first = cache.light(str(path)).atlas
    assert cache.light(str(path)).atlas is first
    write_hdr(path, np.full((16, 32, 3), 0.25, np.float32))
    path.touch()
    assert tiles(cache.light(str(path)).atlas)[6].max() == pytest.approx(0.25, rel=1e-2)


def test_a_filtered_sky_is_kept_for_the_next_start_and_a_damaged_one_filtered_again(
    context: moderngl.Context, cache: EnvironmentCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    path = write_hdr(tmp_path / "sky.exr", np.random.default_rng(1).random((16, 32, 3), np.float32))
    first = cache.light(path).atlas.read()
    with monkeypatch.context() as patch:
        patch.setattr(EnvironmentCache, "_filtered", lambda *_: pytest.fail("filtered again"))
        assert EnvironmentCache(context).light(path).atlas.read() == first
    [stored] = (tmp_path / "cache").glob("*.light")
    stored.write_bytes(stored.read_bytes()[:1000])
    assert EnvironmentCache(context).light(path).atlas.read() == first


def test_blocks_keep_the_energy_of_a_sun(tmp_path: Path) -> None:
    sky = np.zeros((1024, 2048, 3), np.float32)
    sky[300, 700] = 4000.0
    found = equirect_radiance(write_hdr(tmp_path / "big.hdr", sky))
    assert found.shape == (512, 1024, 3)
    assert found.sum() == pytest.approx(3 * 1000.0, rel=0.01)


@pytest.mark.parametrize("bad", ["nan", "negative", "truncated", "text", "missing", "unknown", "suffix"])
def test_wrong_files_say_so(tmp_path: Path, bad: str) -> None:
    path = tmp_path / "light.exr"
    sky = np.full((32, 64, 3), 1.0, np.float32)
    if bad == "nan":
        sky[3, 4] = np.nan
    if bad == "negative":
        sky[3, 4] = -1.0
    if bad != "missing":
        write_hdr(path, sky)
    if bad == "truncated":
        path.write_bytes(path.read_bytes()[:200])
    if bad == "text":
        path.write_text("not a picture")
    name = {"unknown": "Moonlight", "suffix": str(tmp_path / "light.png")}.get(bad, str(path))
    words = {"nan": "NaN", "negative": "0 or more", "missing": "check the path", "unknown": "Studio"}.get(
        bad, "expected"
    )
    with pytest.raises(FileFormatError, match=words) as caught:
        equirect_radiance(name)
    assert "\n" not in str(caught.value)


def sunny(radius_rad: float, radiance: float, towards: tuple[float, float, float] = (0.6, 0.64, 0.48)) -> np.ndarray:
    """A sky of 0.5 with a disc in it."""
    directions, _ = equirect_directions(256, 512)
    disc = (directions @ np.array(towards, np.float32) > np.cos(radius_rad))[..., None]
    return np.where(disc, np.array([1.0, 0.8, 0.6]) * radiance, 0.5).astype(np.float32)


def test_a_sun_is_taken_out_without_losing_or_doubling_light() -> None:
    picture = sunny(0.03, 900.0)
    directions, areas = equirect_directions(256, 512)
    rest, (sun,) = extract_suns(picture, directions, areas)
    assert np.array(sun.towards) @ (0.6, 0.64, 0.48) > 0.9999
    assert sun.radius_rad == pytest.approx(0.03, rel=0.05)
    np.testing.assert_allclose(rest, 0.5, rtol=1e-5)
    total, left = ((image * areas[..., None]).sum((0, 1)) for image in (picture, rest))
    np.testing.assert_allclose(np.array(sun.irradiance_linear) + left, total, rtol=1e-3)


@pytest.mark.parametrize("picture", [sunny(0.3, 900.0), sunny(0.03, 3.0), np.zeros((16, 32, 3), np.float32)])
def test_windows_faint_spots_and_darkness_are_no_suns(picture: np.ndarray) -> None:
    rest, suns = extract_suns(picture, *equirect_directions(*picture.shape[:2]))
    assert not suns
    np.testing.assert_array_equal(rest, picture)


@pytest.mark.parametrize("name", BUILT_IN)
def test_of_the_built_in_lights_only_the_sunset_has_a_sun(name: str) -> None:
    radiance = equirect_radiance(name)
    assert len(extract_suns(radiance, *equirect_directions(*radiance.shape[:2]))[1]) == (name == "Sunset")


def test_no_more_suns_than_lights() -> None:
    directions, areas = equirect_directions(256, 512)
    picture = np.full((256, 512, 3), 0.01, np.float32)
    for number, towards in enumerate(([1, 0, 0], [0, 0, 1], [-1, 0, 0], [0, 0, -1], [0.6, 0.8, 0])):
        picture[directions @ np.array(towards, np.float32) > np.cos(0.03)] = 500.0 * (number + 1)
    suns = extract_suns(picture, directions, areas)[1]
    assert len(suns) == MOST_SUNS
    assert [sun.irradiance_linear[0] for sun in suns] == sorted(
        (sun.irradiance_linear[0] for sun in suns), reverse=True
    )
    scene = Scene(environment=Environment(rotation_rad=0.5, exposure_ev=1.0), fill_lights=(Lamp(),) * 5)
    lights = lights_of(scene, suns)
    assert len(lights) == MOST_LIGHTS
    assert lights[-MOST_SUNS].irradiance_linear[0] == pytest.approx(2 * suns[0].irradiance_linear[0])
    dark = replace(scene, key_light=Lamp(enabled=False), fill_lights=())
    assert len(lights_of(dark, suns)) == MOST_SUNS
