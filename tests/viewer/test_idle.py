"""Controls of the light: greyed out exactly where they change nothing, and why is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtWidgets import QWidget

from engine.project import Project
from engine.render.presets import with_preset
from engine.scene import Environment, Lamp, LightStage, Scene, StageMode, ToneCurve, scene_with
from viewer.bind import with_field
from viewer.window import MainWindow

Case = tuple[str, QWidget, Callable[[Scene], Scene]]


def _lit(**changes: Any) -> Scene:
    """A sunset and a key light, with `changes`."""
    return scene_with(Scene(environment=Environment("Sunset")), **changes)


def _stage(mode: StageMode) -> LightStage:
    return LightStage(enabled=True, mode=mode, lamp=30)


SCENES = {
    "as usual": _lit(),
    "environment is visible": _lit(environment=Environment("Sunset", visible=True)),
    "lamp off": _lit(key_light=Lamp(enabled=False)),
    "one lamp of the stage": _lit(stage=_stage(StageMode.ONE)),
    "stage under a gradient": _lit(stage=_stage(StageMode.GRADIENT_X), environment=Environment("Sunset", visible=True)),
    "stage shows the environment": _lit(stage=_stage(StageMode.ENVIRONMENT)),
}


def _cases(window: MainWindow) -> list[Case]:
    """Each control and what the user might do with it."""
    light, lamps = window.light, window.light.lamps

    def environment(control: QWidget, **changes: Any) -> Case:
        ((name, value),) = changes.items()
        return name, control, lambda scene: with_field(scene, f"environment.{name}", value)

    def key(control: QWidget, **changes: Any) -> Case:
        return next(iter(changes)), control, lambda scene: replace(scene, key_light=replace(scene.key_light, **changes))

    def toggled_lamp(scene: Scene) -> Scene:
        return replace(scene, key_light=replace(scene.key_light, enabled=not scene.key_light.enabled))

    def toggled_view(scene: Scene) -> Scene:
        return with_field(scene, "environment.visible", not scene.environment.visible)

    stage = window.stage
    return [
        ("preset", light.preset, lambda scene: with_preset(scene, "Split")),
        environment(light.environment, name="Overcast"),
        environment(light.load, name="Overcast"),
        environment(light.rotation, rotation_rad=2.0),
        environment(light.environment_exposure, exposure_ev=2.0),
        environment(light.suns, suns=False),
        ("visible", light.visible_background, toggled_view),
        ("lamp", lamps.enabled, toggled_lamp),
        key(lamps.yaw, yaw_rad=-1.0),
        key(lamps.pitch, pitch_rad=-0.3),
        key(lamps.intensity, irradiance=5.0),
        key(lamps.color, color_linear=(1.0, 0.0, 0.0)),
        key(lamps.temperature, color_linear=(1.0, 0.4, 0.1)),
        ("lamps", lamps.add, lambda scene: scene.with_lamps([*scene.lamps, Lamp(yaw_rad=-1.0, irradiance=3.0)])),
        ("exposure", light.exposure, lambda scene: replace(scene, exposure_ev=1.0)),
        ("tone", light.tone, lambda scene: replace(scene, tone_curve=ToneCurve.LINEAR)),
        ("rig turned", stage.rotation, lambda scene: replace(scene, stage=replace(scene.stage, rotation_rad=1.0))),
        ("rig exposure", stage.exposure, lambda scene: replace(scene, stage=replace(scene.stage, exposure_ev=1.0))),
        ("stage lamp", stage.lamp, lambda scene: replace(scene, stage=replace(scene.stage, lamp=90))),
        ("backdrop", window.look.background, lambda scene: replace(scene, background_srgb=(0.9, 0.1, 0.1))),
    ]


@pytest.mark.parametrize("name", SCENES)
def test_what_is_grey_changes_nothing_and_what_is_not_does(qtbot, open_window, expressive: Project, name: str) -> None:
    camera = replace(expressive.scene.view.camera, yaw_rad=math.radians(20))
    before = scene_with(SCENES[name], camera=camera)
    window = open_window(replace(expressive, scene=before))

    def seen(scene: Scene) -> np.ndarray:
        window.document.edit("x", scene=scene)
        return window.viewport.picture(48, 48).astype(int)

    plain = seen(before)
    cases = [(label, control, control.isEnabled(), change) for label, control, change in _cases(window)]
    wrong = {}
    for label, _, usable, change in cases:
        changes = bool(np.abs(seen(change(before)) - plain).max() > 2)
        if changes != usable:
            wrong[label] = f"changes the picture: {changes}, usable: {usable}"
    assert not wrong
    seen(before)
    for label, control, usable, _ in cases:
        assert usable or len(control.toolTip()) > 10, label


def test_the_reason_goes_as_the_tool_tip_returns(qtbot, open_window, expressive: Project) -> None:
    window = open_window(expressive)
    suns, lamps = window.light.suns, window.light.lamps
    own = suns.toolTip()
    assert "lamps with shadows" in own
    scene = window.document.project.scene
    window.document.edit("on", scene=replace(scene, stage=_stage(StageMode.ONE)))
    assert "light stage" in suns.toolTip()
    assert not suns.isEnabled()
    assert "light stage" in lamps.yaw.toolTip()
    assert "light stage" in lamps.add.toolTip()
    assert not lamps.enabled.isEnabled()
    window.document.undo()
    assert suns.isEnabled()
    assert suns.toolTip() == own
    assert (lamps.add.toolTip(), lamps.add.isEnabled()) == ("Add a lamp", True)
    assert not lamps.remove.isEnabled()
    assert "key light" in lamps.remove.toolTip()
    window.document.edit("off", scene=replace(scene, key_light=Lamp(enabled=False)))
    assert lamps.enabled.isEnabled()
    assert lamps.yaw.toolTip() == "This lamp is off"
