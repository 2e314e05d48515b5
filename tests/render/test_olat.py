"""An OLAT set as who relights from it reads it."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from engine.color import linear_from_srgb
from engine.errors import ExportError
from engine.export import olat_steps
from engine.io.images import read_rgb
from engine.io.rig import read_rig
from engine.project import Project, new_project
from engine.render.offscreen import render_layers, render_light
from engine.scene import LightStage, Scene, StageMode, ToneCurve, View
from tests.heads import make_head

RIG = np.array([(0.2, 0.1, 1.0), (1.0, 0.5, 0.6), (-1.0, 0.3, 0.8)])


@pytest.fixture
def project(tmp_path: Path) -> Project:
    np.save(tmp_path / "rig.npy", RIG)
    made = new_project(make_head())
    stage = LightStage(rig=str(tmp_path / "rig.npy"), rotation_rad=0.3, exposure_ev=-0.5)
    camera = replace(made.scene.view.camera, yaw_rad=0.4, pitch_rad=-0.2)
    return replace(made, scene=Scene(View(camera, wireframe=True), stage=stage, tone_curve=ToneCurve.AGX))


def read_exr(path: Path) -> dict[str, np.ndarray]:
    source = oiio.ImageInput.open(str(path))
    spec = source.spec()
    pixels = np.asarray(source.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)).reshape(spec.height, spec.width, -1)
    source.close()
    return {name: pixels[..., index] for index, name in enumerate(spec.channelnames)}


@pytest.mark.parametrize("linear", [False, True])
def test_weighted_pictures_are_the_picture_in_that_light(project: Project, tmp_path: Path, linear: bool) -> None:
    folder = tmp_path / "set"
    steps = list(olat_steps(project, folder, (64, 48), linear=linear))
    assert [step.index for step in steps] == [1, 2, 3]
    suffix = ".exr" if linear else ".png"
    pictures = [f"00{number}{suffix}" for number in range(3)]
    assert sorted(file.name for file in folder.iterdir()) == sorted([*pictures, "lights.json", "surface.exr"])
    about = json.loads((folder / "lights.json").read_text())
    assert [light["file"] for light in about["lights"]] == pictures
    assert ("linear light" if linear else "sRGB") in about["color_space"][:12]
    mixture = (0.7, 0.1, 0.2), (0.0, 0.3, 0.9), (0.4, 0.4, 0.1)
    stage = replace(project.scene.stage, enabled=True, mode=StageMode.MIXTURE, mixture_linear=mixture)
    whole = replace(project, scene=replace(project.scene, stage=stage))
    wanted = render_layers(whole, 64, 48)["RGBA"][..., :3]
    total = np.zeros_like(wanted)
    for name, weights in zip(pictures, mixture, strict=True):
        if linear:
            layers = read_exr(folder / name)
            picture = np.stack([layers[letter] for letter in "RGB"], -1)
        else:
            picture = linear_from_srgb(read_rgb(folder / name))
        total += picture * np.float32(weights)
    assert wanted.max() > 0.1
    np.testing.assert_allclose(total, wanted, atol=1e-5 if linear else 0.012)


def test_converged_pictures_add_up_to_the_converged_picture(project: Project, tmp_path: Path) -> None:
    deque(olat_steps(project, tmp_path / "set", (32, 24), linear=True, samples=32), maxlen=0)
    mixture = (0.7, 0.1, 0.2), (0.0, 0.3, 0.9), (0.4, 0.4, 0.1)
    stage = replace(project.scene.stage, enabled=True, mode=StageMode.MIXTURE, mixture_linear=mixture)
    wanted = render_light(replace(project, scene=replace(project.scene, stage=stage)), 32, 24, samples=256)[..., :3]
    layers = [read_exr(tmp_path / "set" / f"00{lamp}.exr") for lamp in range(3)]
    pictures = [np.stack([layer[letter] for letter in "RGB"], -1) for layer in layers]
    total = sum(picture * np.float32(weights) for picture, weights in zip(pictures, mixture, strict=True))
    assert wanted.max() > 0.1
    assert np.mean(total) == pytest.approx(wanted.mean(), rel=0.02)
    assert np.sqrt(((total - wanted) ** 2).mean()) < 0.03 * wanted.max()


def test_lamps_and_camera_are_those_of_the_pictures(project: Project, tmp_path: Path) -> None:
    deque(olat_steps(project, tmp_path / "set", (64, 48)), maxlen=0)
    about = json.loads((tmp_path / "set" / "lights.json").read_text())
    for light in about["lights"]:
        np.testing.assert_allclose(light["irradiance_linear"], 3.0 * 2**-0.5)
    # the set's own list is a rig again, turned as the stage was
    cosine, sine = np.cos(0.3), np.sin(0.3)
    turned = RIG @ np.array([(cosine, 0, sine), (0, 1, 0), (-sine, 0, cosine)]).T
    np.testing.assert_allclose(
        read_rig(tmp_path / "set" / "lights.json"), turned / np.linalg.norm(turned, axis=1)[:, None], atol=1e-8
    )
    # the camera sends every point of the surface to the pixel it is seen in
    surface = read_exr(tmp_path / "set" / "surface.exr")
    inside = surface["alpha.Y"] == 1
    world = np.stack([surface[f"position.{letter}"][inside] for letter in "XYZ"] + [np.ones(inside.sum())])
    camera = np.array(about["camera"]["camera_from_world"]) @ world
    u, v, w = np.array(about["camera"]["pixels_from_camera"]) @ camera[:3]
    rows, columns = np.nonzero(inside)
    np.testing.assert_allclose(u / w, columns + 0.5, atol=0.35)
    np.testing.assert_allclose(v / w, rows + 0.5, atol=0.35)
    assert np.abs(u / w - columns - 0.5).mean() < 0.05
    np.testing.assert_allclose(-camera[2], surface["depth.Z"][inside], atol=1e-5)


def test_a_folder_with_files_is_left_alone_and_a_stopped_set_leaves_nothing(project: Project, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "000.png").write_text("mine")
    with pytest.raises(ExportError, match="empty or a new folder"):
        next(olat_steps(project, tmp_path / "kept", (16, 16)))
    assert (tmp_path / "kept" / "000.png").read_text() == "mine"
    steps = olat_steps(project, tmp_path / "stopped", (16, 16))
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["kept", "rig.npy"]
