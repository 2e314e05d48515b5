"""The rows of the light panel that edit a lamp, and which lamp that is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PySide6.QtCore import QObject
from PySide6.QtWidgets import QToolButton, QWidget

from engine.color import (
    COOLEST_K,
    HOTTEST_K,
    blackbody_linear,
    blackbody_temperature,
    linear_from_srgb,
    srgb_from_linear,
)
from engine.project import Project
from engine.scene import MOST_FILL_LIGHTS, Lamp, LampKind, Scene
from viewer.bind import bind_scene
from viewer.document import Document
from viewer.panels.form import Form, beside, set_idle
from viewer.widgets.controls import Choice, Color, ColorButton, Toggle
from viewer.widgets.slider import FloatSlider

DEGREE = math.pi / 180.0
FILL = Lamp(yaw_rad=math.radians(-45.0), pitch_rad=math.radians(10.0), color_linear=(1.0, 1.0, 1.0), irradiance=0.6)
"""A lamp that has just been added."""
STAGED = "The light stage takes the place of environment and lamps; switch it off in its section"


class LampControls(QObject):
    """Rows of the form that edit one of the lamps: the chosen one. Which one that is, is no part of the project."""

    def __init__(self, document: Document, parent: QWidget) -> None:
        super().__init__(parent)
        self.document = document
        self._index = 0
        self._form: Form | None = None
        self.choice = Choice((), parent)
        self.choice.setMinimumContentsLength(7)
        self.add, self.copy, self.remove = (
            _button(sign, what, parent)
            for sign, what in (("+", "Add a lamp"), ("2×", "Duplicate this lamp"), ("−", "Remove this lamp"))
        )
        self.enabled = Toggle("", parent)
        self.enabled.setToolTip("Switch the lamp on or off")
        self.kind = Choice(((kind.value, kind) for kind in LampKind), parent)
        self.color = ColorButton("Colour of the lamp", parent)
        self.temperature = FloatSlider((COOLEST_K, HOTTEST_K), decimals=0, suffix=" K", rest=6500.0)
        self.yaw, self.pitch = angle_slider(180.0), angle_slider(90.0)
        self.distance = FloatSlider((0.3, 3.0), (0.1, 100.0), suffix=" m", rest=1.2)
        self.intensity = FloatSlider((0.0, 6.0), (0.0, 100.0), rest=1.5)
        self.softness = FloatSlider((0.0, 20.0), (0.0, 100.0), decimals=1, suffix=" mm", rest=4.0, scale=1e-3)
        self.softness.setToolTip("Width of the edge of a shadow that falls 3 cm")
        self.width, self.height = (FloatSlider((0.05, 2.0), (0.01, 10.0), suffix=" m", rest=0.6) for _ in range(2))
        self.inner, self.outer = (
            FloatSlider((0.0, 45.0), (0.0, 90.0), decimals=1, suffix="°", scale=DEGREE) for _ in range(2)
        )
        self._shows: list[tuple[Any, Callable[[Lamp], Any]]] = []
        self._bind()
        self.choice.edited.connect(self.choose)
        self.add.clicked.connect(lambda: self._append("Add lamp", FILL))
        self.copy.clicked.connect(lambda: self._append("Duplicate lamp", self._lamp(document.project.scene)))
        self.remove.clicked.connect(self._remove)
        document.changed.connect(self._changed)

    def lay_out(self, layout: Form) -> None:
        """Add the rows to `layout`."""
        self._form = layout
        for label, row in (
            ("Lamp", beside((self.choice, 1), self.add, self.copy, self.remove, spacing=2)),
            ("Kind", beside(self.enabled, (self.kind, 1), self.color, spacing=4)),
            ("Direction", self.yaw),
            ("Height", self.pitch),
            ("Distance", self.distance),
            ("Intensity", self.intensity),
            ("Warmth", self.temperature),
            ("Softness", self.softness),
            ("Box width", self.width),
            ("Box height", self.height),
            ("Cone", self.inner),
            ("Cone edge", self.outer),
        ):
            layout.addRow(label, row)
        self._show()

    def choose(self, index: int) -> None:
        """Edit lamp number `index`, the key light being 0."""
        self._index = index
        self._show()

    def _lamp(self, scene: Scene) -> Lamp:
        return scene.lamps[min(self._index, len(scene.lamps) - 1)]

    def _bind(self) -> None:
        for control, label, name in (
            (self.enabled, "Lamp", "enabled"),
            (self.kind, "Kind of lamp", "kind"),
            (self.yaw, "Lamp direction", "yaw_rad"),
            (self.pitch, "Lamp height", "pitch_rad"),
            (self.distance, "Lamp distance", "distance_m"),
            (self.intensity, "Lamp intensity", "irradiance"),
            (self.softness, "Lamp softness", "shadow_softness_m"),
            (self.width, "Lamp width", "width_m"),
            (self.height, "Lamp height", "height_m"),
            (self.inner, "Lamp cone", "inner_cone_rad"),
            (self.outer, "Lamp cone", "outer_cone_rad"),
        ):
            self._bind_one(control, label, name, lambda value: value, lambda value: value)
        to_srgb, to_linear = _colored(srgb_from_linear), _colored(linear_from_srgb)
        self._bind_one(self.color, "Lamp colour", "color_linear", to_srgb, to_linear)
        self._bind_one(
            self.temperature, "Lamp warmth", "color_linear", blackbody_temperature, _colored(blackbody_linear)
        )

    def _bind_one(
        self, control: Any, label: str, name: str, shown: Callable[[Any], Any], taken: Callable[[Any], Any]
    ) -> None:
        """Tie `control` to the field `name` of the chosen lamp."""

        def read(lamp: Lamp) -> Any:
            return shown(getattr(lamp, name))

        def write(scene: Scene, value: Any) -> Scene:
            index = min(self._index, len(scene.lamps) - 1)
            changed = replace(scene.lamps[index], **{name: taken(value)})
            return scene.with_lamps([*scene.lamps[:index], changed, *scene.lamps[index + 1 :]])

        self._shows.append((control, read))
        bind_scene(self.document, control, label, lambda scene: read(self._lamp(scene)), write)

    def _changed(self, old: Project, new: Project) -> None:
        before, after, another = old.scene, new.scene, old.identity is not new.identity
        if another:
            self._index = 0  # one of the lamps of the head before was chosen
        if another or old is new or before.lamps != after.lamps or before.stage.enabled != after.stage.enabled:
            self._show()

    def _append(self, label: str, lamp: Lamp) -> None:
        scene = self.document.project.scene
        self._index = len(scene.lamps)
        self.document.edit(label, scene=scene.with_lamps([*scene.lamps, lamp]))

    def _remove(self) -> None:
        scene = self.document.project.scene
        index, self._index = self._index, self._index - 1
        self.document.edit("Remove lamp", scene=scene.with_lamps([*scene.lamps[:index], *scene.lamps[index + 1 :]]))

    def _show(self) -> None:
        """The chosen lamp, and only the rows that its kind has; greyed out what changes nothing."""
        lamps = self.document.project.scene.lamps
        self._index = min(self._index, len(lamps) - 1)
        lamp = lamps[self._index]
        self.choice.set_items([("Key light", 0), *((f"Lamp {at + 1}", at) for at in range(1, len(lamps)))])
        self.choice.show_value(self._index)
        staged = STAGED if self.document.project.scene.stage.enabled else ""
        full = f"{MOST_FILL_LIGHTS + 1} lamps are the most" if len(lamps) > MOST_FILL_LIGHTS else ""
        key = "" if self._index else "The key light stays; switch it off instead"
        for control, why in ((self.choice, ""), (self.add, full), (self.copy, full), (self.remove, key)):
            set_idle(control, staged or why)
        for control, read in self._shows:
            control.show_value(read(lamp))
            set_idle(control, staged or ("" if lamp.enabled or control is self.enabled else "This lamp is off"))
        if self._form is not None:
            for row, kinds in (
                (self.distance, {LampKind.POINT, LampKind.SPOT, LampKind.RECTANGLE}),
                (self.softness, {LampKind.DIRECTIONAL, LampKind.POINT, LampKind.SPOT}),
                (self.width, {LampKind.RECTANGLE}),
                (self.height, {LampKind.RECTANGLE}),
                (self.inner, {LampKind.SPOT}),
                (self.outer, {LampKind.SPOT}),
            ):
                self._form.setRowVisible(row, lamp.kind in kinds)


def _button(sign: str, what: str, parent: QWidget) -> QToolButton:
    button = QToolButton(parent)
    button.setText(sign)
    button.setToolTip(what)
    button.setFixedSize(24, 22)
    return button


def angle_slider(limit: float) -> FloatSlider:
    """Degrees for an angle in radians."""
    return FloatSlider((-limit, limit), decimals=0, suffix="°", scale=DEGREE)


def _colored(convert: Callable[[Any], np.ndarray]) -> Callable[[Any], Color]:
    """`convert`, which takes and gives arrays, of plain numbers."""
    return lambda value: tuple(convert(np.asarray(value, np.float32)).tolist())
