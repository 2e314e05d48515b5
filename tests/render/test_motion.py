"""What moves in a film, frame by frame."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from engine.project import Project, new_project
from engine.render.motion import Motion, frame_count, moved
from engine.scene import Environment, Lamp, LightStage, StageMode
from tests.heads import make_expressions, make_head


@pytest.fixture(scope="module")
def project() -> Project:
    head = make_head()
    return Project(head, make_expressions(head), {"Jaw Open": 0.3}, new_project(head).scene)


def test_length_follows_seconds_or_lamps(project: Project) -> None:
    assert frame_count(project, Motion(turntable=True, seconds=2.0, fps=25)) == 50
    assert frame_count(project, Motion(turntable=True, fps=10)) == 60
    assert frame_count(project, Motion(olat=True)) == 156
    assert frame_count(project, Motion(olat=True, seconds=1.0, fps=30)) == 30
    assert frame_count(project, Motion(seconds=1e-3, fps=1)) == 1


def test_camera_and_light_go_round_once_in_even_steps(project: Project) -> None:
    scene = replace(
        project.scene,
        environment=Environment(rotation_rad=0.5),
        fill_lights=(Lamp(yaw_rad=-1.0),),
        stage=LightStage(rotation_rad=0.1),
    )
    project = replace(project, scene=scene)
    first, second = (moved(project, Motion(turntable=True, light_turn=True), frame, 8) for frame in (0, 1))
    assert first.scene == scene
    step = math.tau / 8
    assert second.scene.view.camera.yaw_rad == pytest.approx(scene.view.camera.yaw_rad + step)
    assert second.scene.environment.rotation_rad == pytest.approx(0.5 + step)
    assert second.scene.key_light.yaw_rad == pytest.approx(scene.key_light.yaw_rad + step)
    assert second.scene.fill_lights[0].yaw_rad == pytest.approx(step - 1.0)
    assert second.scene.stage.rotation_rad == pytest.approx(0.1 + step)
    assert second.weights == project.weights


def test_each_lamp_has_its_turn(project: Project) -> None:
    stages = [moved(project, Motion(olat=True), frame, 156).scene.stage for frame in range(156)]
    assert [stage.lamp for stage in stages] == list(range(156))
    assert all(stage.enabled and stage.mode is StageMode.ONE for stage in stages)
    fewer = [moved(project, Motion(olat=True), frame, 10).scene.stage.lamp for frame in range(10)]
    assert fewer == [math.floor(frame * 15.6) for frame in range(10)]


def test_expressions_come_and_go_one_after_the_other(project: Project) -> None:
    motion = Motion(expressions=("Brows Up", "Jaw Open"))
    weights = [moved(project, motion, frame, 20).weights for frame in range(20)]
    brows, jaw = (np.array([each[name] for each in weights]) for name in ("Brows Up", "Jaw Open"))
    assert brows[5] == jaw[15] == 1.0
    assert not brows[10:].any()
    assert not jaw[:11].any()
    assert (np.diff(brows[:6]) > 0).all()
    assert (np.diff(brows[5:11]) < 0).all()
