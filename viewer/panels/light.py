"""Light: environment, lamps, exposure and tone curve."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QPushButton, QWidget

from engine.io.border import border
from engine.project import Project
from engine.render.environment import BUILT_IN, equirect_radiance
from engine.render.presets import PRESETS, preset_of, with_preset
from engine.scene import StageMode, ToneCurve
from viewer.bind import bind_fields, bind_scene, with_field
from viewer.document import Document
from viewer.panels.form import beside, form, set_idle
from viewer.panels.lamp import STAGED, LampControls, angle_slider
from viewer.widgets.controls import Choice, Toggle
from viewer.widgets.slider import FloatSlider

IMAGE_FILTER = "Environment images (*.hdr *.exr)"


class LightPanel(QWidget):
    """Edits `scene.environment`, the lamps, `scene.exposure_ev` and `scene.tone_curve`."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.document = document
        self.preset = Choice([("–", ""), *((name, name) for name in PRESETS)], self)
        self.preset.grey_out(0)  # it says that no preset is in use; there is nothing in it to choose
        self.preset.setToolTip("Where a portrait photographer puts the lamps")
        self.environment = Choice(((name, name) for name in BUILT_IN), self)
        self.load = QPushButton("File…", self)
        self.load.setToolTip("Light with an equirectangular .hdr or .exr image (or drop one on the window)")
        self.load.clicked.connect(self._ask_file)
        self.rotation = angle_slider(180.0)
        self.environment_exposure = FloatSlider((-4.0, 4.0), (-10.0, 10.0), suffix=" EV")
        self.visible_background = Toggle("Visible", self)
        self.visible_background.setToolTip("Show the environment behind the head")
        self.suns = Toggle("Sun casts shadows", self)
        self.suns.setToolTip("Small bright sources in the image light as lamps with shadows, at the same strength")
        self.lamps = LampControls(document, self)
        self.exposure = FloatSlider((-4.0, 4.0), (-10.0, 10.0), suffix=" EV")
        self.tone = Choice(((curve.value, curve) for curve in ToneCurve), self)
        self._lay_out()
        self._show_environment(document.project)
        document.changed.connect(self._changed)
        self._bind()

    def _lay_out(self) -> None:
        layout = form(self)
        layout.addRow("Preset", self.preset)
        layout.addRow("Environment", beside((self.environment, 1), self.load))
        layout.addRow("Rotation", self.rotation)
        layout.addRow("Exposure", self.environment_exposure)
        layout.addRow(beside((self.visible_background, 1), (self.suns, 1)))
        layout.add_line()
        self.lamps.lay_out(layout)
        layout.add_line()
        layout.addRow("Picture", self.exposure)
        layout.addRow("Tone curve", self.tone)

    def _bind(self) -> None:
        bind_fields(
            self.document,
            (self.environment, "Environment", "environment.name"),
            (self.rotation, "Rotate environment", "environment.rotation_rad"),
            (self.environment_exposure, "Environment exposure", "environment.exposure_ev"),
            (self.visible_background, "Show environment", "environment.visible"),
            (self.suns, "Sun casts shadows", "environment.suns"),
            (self.exposure, "Exposure", "exposure_ev"),
            (self.tone, "Tone curve", "tone_curve"),
        )
        bind_scene(self.document, self.preset, "Light preset", preset_of, with_preset)

    def _changed(self, old: Project, new: Project) -> None:
        if old.identity is not new.identity:
            self.environment.set_items((name, name) for name in BUILT_IN)  # files were those of the head before
        self._show_environment(new)

    def _show_environment(self, project: Project) -> None:
        """A file in use is an item of the list as long as it is in use. On a light stage the environment is off, except
        for what the lamps show of it."""
        name, stage = project.scene.environment.name, project.scene.stage
        if self.environment.position(name) < 0:
            built_in = [(each, each) for each in BUILT_IN]
            self.environment.set_items([*built_in, (Path(name).name, name)])
            self.environment.show_value(name)
        off = STAGED if stage.enabled else ""
        for control in (self.visible_background, self.suns):
            set_idle(control, off)
        for control in (self.environment, self.load, self.rotation, self.environment_exposure):
            set_idle(control, "" if stage.mode is StageMode.ENVIRONMENT else off)

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Environment image", "", IMAGE_FILTER)
        if path:
            self.use_file(path)

    def use_file(self, path: str) -> None:
        """Light with the image at `path`. It is read first: FileFormatError leaves the light as it was."""
        equirect_radiance(path)
        with border(path, "a name that can be printed"):
            scene = with_field(self.document.project.scene, "environment.name", path)
        self.document.edit("Environment", scene=scene)
