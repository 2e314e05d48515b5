"""Light stage: a rig of lamps around the head, one at a time or in any mixture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog, QPushButton, QToolButton, QWidget

from engine.errors import EngineError
from engine.io.border import border
from engine.io.rig import read_rig
from engine.project import Project
from engine.render.stage import LAMP_IRRADIANCE, lamp_directions, lamp_irradiance
from engine.scene import Scene, StageMode
from viewer.bind import bind_fields, bind_scene, with_field
from viewer.document import Document
from viewer.panels.form import beside, form, set_idle
from viewer.widgets.controls import Choice, Toggle
from viewer.widgets.rig_map import RigMap
from viewer.widgets.slider import FloatSlider

BUILT_IN = "156 lamps"
FILE_FILTER = "Lamp directions (*.json *.txt *.csv *.npy)"
PLAY_MS = 100
"""From lamp to lamp; frames that take longer slow the walk down, because ticks of a QTimer do not queue."""


class StagePanel(QWidget):
    """Edits `scene.stage`."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self.on = Toggle("Light stage", self)
        self.on.setToolTip("Lamps all around the head take the place of environment and lamps")
        self.rig = Choice([(BUILT_IN, "")], self)
        self.load = QPushButton("File…", self)
        self.load.setToolTip("Directions or positions of lamps, one a line: x to the subject's left, y up, z ahead")
        self.load.clicked.connect(self._ask_file)
        self.mode = Choice(((mode.value, mode) for mode in StageMode), self)
        self.mode.setToolTip("Environment shows the environment of the light panel with the lamps of the rig")
        self.lamp = FloatSlider((0.0, 155.0), decimals=0)
        self.play = QToolButton(self)
        self.play.setText("▶")
        self.play.setToolTip("Go from lamp to lamp")
        self.play.setCheckable(True)
        self.play.toggled.connect(self._play_toggled)
        self.rotation = FloatSlider((-180.0, 180.0), decimals=0, suffix="°", scale=math.pi / 180.0)
        self.exposure = FloatSlider((-4.0, 4.0), (-10.0, 10.0), suffix=" EV")
        self.map = RigMap(self)
        self._timer = QTimer(self, interval=PLAY_MS)
        self._timer.timeout.connect(self._step)
        self._shown: tuple[object, ...] | None = None
        self._lay_out()
        self._bind_all()
        self.map.pressed.connect(self._lamp_pressed)
        self.map.dragged.connect(self._lamp_dragged)
        self.map.released.connect(document.seal)
        document.changed.connect(self._changed_document)
        self._show(document.project)

    def _lay_out(self) -> None:
        layout = form(self)
        layout.addRow(self.on)
        layout.addRow("Rig", beside((self.rig, 1), self.load))
        layout.addRow("Lit", self.mode)
        layout.addRow("Lamp", beside((self.lamp, 1), self.play))
        layout.addRow(self.map)
        layout.addRow("Rotation", self.rotation)
        layout.addRow("Exposure", self.exposure)

    def _bind_all(self) -> None:
        document = self.document
        bind_fields(
            document,
            (self.on, "Light stage", "stage.enabled"),
            (self.rig, "Rig", "stage.rig"),
            (self.rotation, "Rotate rig", "stage.rotation_rad"),
            (self.exposure, "Light stage exposure", "stage.exposure_ev"),
        )
        bind_scene(document, self.mode, "Light stage", lambda scene: scene.stage.mode, _with_mode)
        bind_scene(document, self.lamp, "Lamp", lambda scene: scene.stage.lamp, lambda s, at: _lit_by_one(s, round(at)))

    # Showing

    def _changed_document(self, old: Project, new: Project) -> None:
        if old.identity is not new.identity:
            self.stop()
            self.rig.set_items([(BUILT_IN, "")])  # files were those of the head before
            self._shown = None
        self._show(new)

    def _show(self, project: Project) -> None:
        """Follow the rig, its file, and which lamps are lit."""
        scene, stage = project.scene, project.scene.stage
        if not stage.enabled or stage.mode is not StageMode.ONE:
            self.stop()
        known = stage, scene.environment
        if known == self._shown:
            return
        self._shown = known
        if self.rig.position(stage.rig) < 0:
            self.rig.set_items([(BUILT_IN, ""), (Path(stage.rig).name, stage.rig)])
            self.rig.show_value(stage.rig)
        try:
            directions, light = lamp_directions(stage), lamp_irradiance(scene)
        except EngineError:  # the viewport says it
            directions, light = np.zeros((0, 3)), np.zeros((0, 3))
        self.lamp.set_range(0.0, float(max(len(directions) - 1, 0)))
        self.map.show_rig(directions, light if stage.enabled else np.zeros_like(light))
        off = "" if stage.enabled else "The light stage is off"
        for control in (self.rig, self.load, self.mode, self.rotation, self.exposure):
            set_idle(control, off)
        for control in (self.lamp, self.play):
            set_idle(control, off or ("" if stage.mode is StageMode.ONE else f"For '{StageMode.ONE.value}'"))

    # The user's doing

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Lamps of a rig", "", FILE_FILTER)
        if path:
            self.use_file(path)

    def use_file(self, path: str) -> None:
        """Take the rig from the file at `path`. It is read first: FileFormatError leaves the rig as it was."""
        read_rig(path)
        with border(path, "a name that can be printed"):
            scene = with_field(self.document.project.scene, "stage.rig", path)
        self._edit("Rig", scene)

    def _lamp_pressed(self, lamp: int) -> None:
        """Light this one alone; in a mixture, switch it over."""
        scene = self.document.project.scene
        if scene.stage.enabled and scene.stage.mode is StageMode.MIXTURE:
            self._edit("Mixture", _switched(scene, lamp))
        else:
            self._edit("Lamp", _lit_by_one(scene, lamp), "map")

    def _lamp_dragged(self, lamp: int) -> None:
        scene = self.document.project.scene
        if scene.stage.mode is StageMode.ONE:
            self._edit("Lamp", _lit_by_one(scene, lamp), "map")

    def _edit(self, label: str, scene: Scene, merge: str | None = None) -> None:
        if scene != self.document.project.scene:
            self.document.edit(label, merge=("stage", merge) if merge else None, scene=scene)

    # Playing

    def _play_toggled(self, on: bool) -> None:
        self.play.setText("■" if on else "▶")
        if on:
            self._timer.start()
        else:
            self._timer.stop()
            self.document.seal()

    def _step(self) -> None:
        """The next lamp; one walk is one undo step."""
        scene = self.document.project.scene
        count = len(lamp_directions(scene.stage))
        self._edit("Play lamps", _lit_by_one(scene, (scene.stage.lamp + 1) % count), "play")

    def stop(self) -> None:
        """Stop going from lamp to lamp."""
        self.play.setChecked(False)


def _changed(scene: Scene, **changes: Any) -> Scene:
    return replace(scene, stage=replace(scene.stage, **changes))


def _lit_by_one(scene: Scene, lamp: int) -> Scene:
    return _changed(scene, enabled=True, mode=StageMode.ONE, lamp=lamp)


def _with_mode(scene: Scene, mode: StageMode) -> Scene:
    """A mixture that was never made starts from what is lit."""
    if mode is StageMode.MIXTURE and not scene.stage.mixture_linear:
        return _changed(scene, mode=mode, mixture_linear=_mixture(lamp_irradiance(scene) / LAMP_IRRADIANCE))
    return _changed(scene, mode=mode)


def _switched(scene: Scene, lamp: int) -> Scene:
    """The mixture with one lamp off, or on at 1."""
    light = lamp_irradiance(scene) / LAMP_IRRADIANCE
    light[lamp] = 0.0 if light[lamp].any() else 1.0
    return _changed(scene, mixture_linear=_mixture(light))


def _mixture(light: np.ndarray) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, light.tolist()))
