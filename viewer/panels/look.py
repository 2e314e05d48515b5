"""View: which channel is shown, wireframe, scattering, backdrop."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QHBoxLayout, QLabel, QWidget

from engine.scene import ViewChannel
from viewer.bind import bind_scene
from viewer.document import Document
from viewer.panels.form import form
from viewer.widgets.controls import Choice, ColorButton, Toggle


class LookPanel(QWidget):
    """Edits `scene.channel`, `scene.wireframe`, `scene.scattering` and `scene.background_srgb`."""

    def __init__(self, document: Document, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.channel = Choice(((channel.value, channel) for channel in ViewChannel), self)
        self.wireframe = Toggle("Wireframe", self)
        self.scattering = Toggle("Light travels inside the skin", self)
        self.background = ColorButton("Backdrop", self)
        layout, row = form(self), QHBoxLayout()
        row.addWidget(self.wireframe, 1)
        row.addWidget(QLabel("Backdrop", self))
        row.addWidget(self.background)
        layout.addRow("Channel", self.channel)
        layout.addRow(row)
        layout.addRow("", self.scattering)
        bind_scene(
            document,
            self.channel,
            "Channel",
            lambda scene: scene.channel,
            lambda scene, value: replace(scene, channel=value),
        )
        bind_scene(
            document,
            self.wireframe,
            "Wireframe",
            lambda scene: scene.wireframe,
            lambda scene, value: replace(scene, wireframe=value),
        )
        bind_scene(
            document,
            self.scattering,
            "Scattering",
            lambda scene: scene.scattering,
            lambda scene, value: replace(scene, scattering=value),
        )
        bind_scene(
            document,
            self.background,
            "Backdrop",
            lambda scene: scene.background_srgb,
            lambda scene, value: replace(scene, background_srgb=value),
        )
