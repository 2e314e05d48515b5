"""The light stage: rigs, mixtures, and that its pictures add up as light does."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from engine.color import luminance
from engine.errors import FileFormatError
from engine.identity import Identity
from engine.project import Project, new_project
from engine.render.environment import equirect_directions, equirect_radiance
from engine.render.offscreen import render_image, render_layers, render_light
from engine.render.renderer import Renderer
from engine.render.sources import MOST_LIGHTS, lights_of
from engine.render.stage import (
    LAMP_IRRADIANCE,
    geodesic_rig,
    intensities,
    lamp_directions,
    lamp_irradiance,
    projected,
    stage_light,
)
from engine.scene import Environment, LightStage, Scene, StageMode, staged
from tests.heads import make_head

from .test_environment import write_hdr

PATTERNS = [StageMode.FULL, *(mode for mode in StageMode if mode.value.startswith(("Gradient", "Complement")))]


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(size=64, rings=40, segments=64)


@pytest.fixture
def small_rig(tmp_path: Path) -> str:
    """Twelve lamps: more than have a shadow at a time."""
    golden = (1 + 5**0.5) / 2
    corners = [(0, a, b * golden) for a in (-1, 1) for b in (-1, 1)]
    np.save(tmp_path / "rig.npy", [np.roll(corner, turn) for corner in corners for turn in range(3)])
    return str(tmp_path / "rig.npy")


def lit(project: Project, stage: LightStage, **changes: object) -> Project:
    return replace(project, scene=replace(project.scene, stage=replace(stage, enabled=True), **changes))


# --- the rig ---------------------------------------------------------------------------------------------------------


def test_the_built_in_rig_has_156_lamps_evenly_around_but_below() -> None:
    rig = geodesic_rig()
    assert rig.shape == (156, 3)
    np.testing.assert_allclose(np.linalg.norm(rig, axis=1), 1, atol=1e-12)
    nearest = 2 * np.arcsin(KDTree(rig).query(rig, k=2)[0][:, 1] / 2)
    assert math.radians(15) < nearest.min()
    assert nearest.max() < math.radians(19)
    mirrored = KDTree(rig).query(rig * (-1, 1, 1))[0]
    assert mirrored.max() < 1e-9  # left as right
    assert (np.diff(rig[:, 1]) < 1e-9).all()  # ring by ring from the top
    low = np.degrees(np.arccos(-rig[:, 1].min()))
    assert 20 < low < 30  # room for a person


def test_full_on_is_as_bright_as_one_lamp_from_every_side() -> None:
    normals = geodesic_rig()[geodesic_rig()[:, 1] > -0.2]
    light = lamp_irradiance(Scene(stage=LightStage(mode=StageMode.FULL)))
    found = np.maximum(normals @ geodesic_rig().T, 0) @ light
    np.testing.assert_allclose(found, LAMP_IRRADIANCE, rtol=0.05)
    one = lamp_irradiance(Scene(stage=LightStage(lamp=3)))
    np.testing.assert_allclose(one[3], LAMP_IRRADIANCE)
    assert np.count_nonzero(one) == 3


def test_gradients_follow_their_axis_and_add_up_with_their_complements() -> None:
    rig = geodesic_rig()
    light = {mode: intensities(LightStage(mode=mode), rig) for mode in PATTERNS}
    for axis, name in enumerate("XYZ"):
        gradient, complement = light[StageMode[f"GRADIENT_{name}"]], light[StageMode[f"COMPLEMENT_{name}"]]
        np.testing.assert_allclose(gradient + complement, light[StageMode.FULL], rtol=1e-12)
        np.testing.assert_allclose(gradient[:, 0] * 156 / 4, (1 + rig[:, axis]) / 2, atol=1e-12)
        # Ma et al. 2007: the normal of a diffuse surface from the ratios of the three gradients
        normals = rig[rig[:, 1] > 0.3]
        cosines = np.maximum(normals @ rig.T, 0)
        ratio = (cosines @ gradient) / (cosines @ light[StageMode.FULL])
        np.testing.assert_allclose((2 * ratio[:, 0] - 1) * 1.5, normals[:, axis], atol=0.05)


def test_a_mixture_counts_in_lamps_and_ends_where_the_list_does() -> None:
    stage = LightStage(mode=StageMode.MIXTURE, mixture_linear=((1.0, 0.5, 0.0), (0.0, 2.0, 0.0)))
    light = lamp_irradiance(Scene(stage=stage))
    np.testing.assert_allclose(light[:2] / LAMP_IRRADIANCE, stage.mixture_linear)
    assert not light[2:].any()
    assert stage_light(Scene(stage=replace(stage, mixture_linear=()))).lights == ()


# --- an environment on the rig ---------------------------------------------------------------------------------------


def test_a_projected_environment_keeps_its_energy_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    directions, solid_angles = equirect_directions(32, 64)
    radiance = rng.random((32, 64, 3)).astype(np.float32)
    rig = geodesic_rig()
    found = projected(radiance, directions, solid_angles, rig)
    np.testing.assert_allclose(found.sum(0), (radiance * solid_angles[..., None]).sum((0, 1)), rtol=1e-5)
    cell = (directions.reshape(-1, 3) @ rig.T).argmax(1) == 77
    np.testing.assert_allclose(found[77], (radiance * solid_angles[..., None]).reshape(-1, 3)[cell].sum(0), rtol=1e-5)


def test_the_sun_of_an_environment_lights_the_lamp_nearest_to_it_and_turns_with_it(tmp_path: Path) -> None:
    picture = np.full((64, 128, 3), 0.1, np.float32)
    directions, _ = equirect_directions(64, 128)
    picture[20, 90] = 5000.0
    path = write_hdr(tmp_path / "sun.exr", picture)
    scene = Scene(stage=LightStage(True, mode=StageMode.ENVIRONMENT), environment=Environment(path))
    rig = geodesic_rig()
    assert luminance(lamp_irradiance(scene)).argmax() == (rig @ directions[20, 90]).argmax()
    (sun,) = stage_light(scene).lights
    np.testing.assert_allclose(sun.towards, rig[(rig @ directions[20, 90]).argmax()], atol=1e-9)
    fifth = math.tau / 5
    turned = replace(scene, environment=Environment(path, rotation_rad=fifth))
    x, y, z = directions[20, 90]
    towards = (math.cos(fifth) * x + math.sin(fifth) * z, y, math.cos(fifth) * z - math.sin(fifth) * x)
    assert luminance(lamp_irradiance(turned)).argmax() == (rig @ towards).argmax()
    with_rig = replace(
        turned, stage=replace(scene.stage, rotation_rad=fifth)
    )  # both turned: nothing moves between them
    np.testing.assert_allclose(lamp_irradiance(with_rig), lamp_irradiance(scene), rtol=1e-5)


# --- what is drawn ---------------------------------------------------------------------------------------------------


def test_one_lamp_is_one_directional_light_and_nothing_else() -> None:
    scene = Scene(stage=LightStage(True, lamp=40, rotation_rad=0.4, exposure_ev=1.0))
    light = stage_light(scene)
    assert light.radiance is None
    (lamp,) = lights_of(staged(scene), light.lights)
    x, y, z = geodesic_rig()[40]
    turned = (math.cos(0.4) * x + math.sin(0.4) * z, y, math.cos(0.4) * z - math.sin(0.4) * x)
    np.testing.assert_allclose(lamp.towards, turned, atol=1e-9)
    np.testing.assert_allclose(lamp.irradiance_linear, 2 * LAMP_IRRADIANCE, rtol=1e-9)


@pytest.mark.parametrize("mode", PATTERNS)
def test_many_lamps_become_a_picture_of_the_same_light(mode: StageMode) -> None:
    scene = Scene(stage=LightStage(True, mode=mode))
    light = stage_light(scene)
    assert light.lights == ()
    assert light.radiance is not None
    directions, solid_angles = equirect_directions(*light.radiance.shape[:2])
    normals = geodesic_rig()[::7]
    cosines = np.maximum(normals @ directions.reshape(-1, 3).T, 0)
    found = cosines @ (light.radiance * solid_angles[..., None]).reshape(-1, 3).astype(float)
    wanted = np.maximum(normals @ geodesic_rig().T, 0) @ lamp_irradiance(scene)
    np.testing.assert_allclose(found, wanted, rtol=0.02)  # a disc reaches over a surface's horizon, a direction not
    total = (light.radiance * solid_angles[..., None]).sum((0, 1), dtype=float)
    np.testing.assert_allclose(total, lamp_irradiance(scene).sum(0), rtol=1e-5)


def test_few_lamps_add_up_exactly(renderer: Renderer, head: Identity) -> None:
    """As many as have a shadow each: the same shader, so the sum is exact in linear light."""
    project = new_project(head)
    colors = (1.0, 0.4, 0.2), (0.1, 0.7, 1.2), (0.5, 0.5, 0.5), (0.0, 2.0, 0.0)
    ahead = np.argsort(-geodesic_rig()[:, 2])
    lamps = dict(zip(ahead[[3, 20, 35, 50]].tolist(), colors, strict=True))
    mixture = tuple(lamps.get(lamp, (0.0, 0.0, 0.0)) for lamp in range(156))
    whole = lit(project, LightStage(mode=StageMode.MIXTURE, mixture_linear=mixture))
    assert len(stage_light(whole.scene).lights) == len(lamps) <= MOST_LIGHTS
    found = render_layers(whole, 64, 64, renderer=renderer)["RGBA"][..., :3]
    total = np.zeros_like(found)
    for lamp, color in lamps.items():
        one = render_layers(lit(project, LightStage(lamp=lamp)), 64, 64, renderer=renderer)["RGBA"][..., :3]
        assert one.max() > 0.01
        total += one * np.array(color, np.float32)
    np.testing.assert_allclose(found, total, atol=2e-6)


def test_many_lamps_add_up_nearly(renderer: Renderer, head: Identity, small_rig: str) -> None:
    """Without a shadow each, as an environment: ambient visibility stands for their shadows."""
    project = new_project(head)
    whole = lit(project, LightStage(rig=small_rig, mode=StageMode.GRADIENT_Z))
    assert stage_light(whole.scene).radiance is not None
    found = render_layers(whole, 48, 48, renderer=renderer)["diffuse light"]
    weights = intensities(whole.scene.stage, lamp_directions(whole.scene.stage))
    total = np.zeros_like(found)
    for lamp, weight in enumerate(weights):
        one = lit(project, LightStage(rig=small_rig, lamp=lamp))
        total += render_layers(one, 48, 48, renderer=renderer)["diffuse light"] * np.float32(weight)
    assert found.mean() == pytest.approx(total.mean(), rel=0.1)
    assert np.sqrt(((found - total) ** 2).mean()) < 0.1 * total.max()


def test_a_picture_that_converges_is_the_sum_of_the_lamps(renderer: Renderer, head: Identity, small_rig: str) -> None:
    """Sampled lamp by lamp, each with a shadow: the sum of the one-lamp pictures but for soft edges and noise."""
    project = new_project(head)
    whole = lit(project, LightStage(rig=small_rig, mode=StageMode.GRADIENT_Z, rotation_rad=0.3, exposure_ev=0.5))
    weights = intensities(whole.scene.stage, lamp_directions(whole.scene.stage))
    found = render_light(whole, 32, 32, samples=64, renderer=renderer)[..., :3]
    total = np.zeros_like(found)
    for lamp, weight in enumerate(weights):
        one = lit(project, replace(whole.scene.stage, mode=StageMode.ONE, lamp=lamp))
        total += render_light(one, 32, 32, samples=8, renderer=renderer)[..., :3] * np.float32(weight)
    assert total.max() > 0.3
    assert found.mean() == pytest.approx(total.mean(), rel=0.02)
    assert np.sqrt(((found - total) ** 2).mean()) < 0.05 * total.max()


def test_the_stage_takes_the_place_of_all_other_light(renderer: Renderer, head: Identity) -> None:
    project = lit(new_project(head), LightStage(lamp=50))
    other = replace(project.scene, environment=Environment("Sunset", exposure_ev=2.0, visible=True))
    other = replace(other, key_light=replace(other.key_light, irradiance=9.0), fill_lights=(other.key_light,))
    pictures = [
        render_image(replace(project, scene=scene), 48, 48, renderer=renderer) for scene in (project.scene, other)
    ]
    np.testing.assert_array_equal(*pictures)
    off = replace(project.scene, stage=replace(project.scene.stage, enabled=False))
    plain = render_image(replace(project, scene=off), 48, 48, renderer=renderer)
    np.testing.assert_array_equal(plain, render_image(new_project(head), 48, 48, renderer=renderer))
    assert (plain != pictures[0]).any()


def test_a_lamp_on_the_left_lights_the_left_and_its_number_goes_round(renderer: Renderer, head: Identity) -> None:
    left = int(geodesic_rig()[:, 0].argmax())
    project = new_project(head)
    image = render_image(lit(project, LightStage(lamp=left)), 64, 64, renderer=renderer).astype(int)
    assert image[24:40, 44].mean() > 4 * image[24:40, 20].mean()  # the subject's left is on the right
    again = render_image(lit(project, LightStage(lamp=left + 156)), 64, 64, renderer=renderer)
    np.testing.assert_array_equal(image, again)


def test_a_changed_rig_is_read_again_and_a_broken_one_is_said(
    renderer: Renderer, head: Identity, tmp_path: Path
) -> None:
    import os

    path = tmp_path / "rig.txt"
    path.write_text("1 0 0\n")
    project = lit(new_project(head), LightStage(rig=str(path)))
    before = render_image(project, 32, 32, renderer=renderer)
    path.write_text("-1 0 0\n")
    os.utime(path, ns=(1, 1))
    assert (render_image(project, 32, 32, renderer=renderer) != before).any()
    path.unlink()
    with pytest.raises(FileFormatError, match=r"rig\.txt"):
        render_image(project, 32, 32, renderer=renderer)


def test_radiance_of_the_project_environment_is_that_of_the_light() -> None:
    scene = Scene(
        stage=LightStage(True, mode=StageMode.ENVIRONMENT), environment=Environment("Window", exposure_ev=1.0)
    )
    radiance = equirect_radiance("Window")
    _, solid_angles = equirect_directions(*radiance.shape[:2])
    total = (radiance * solid_angles[..., None]).sum((0, 1), dtype=float)
    np.testing.assert_allclose(lamp_irradiance(scene).sum(0), total, rtol=1e-4)
    assert staged(scene).environment.exposure_ev == 1.0
