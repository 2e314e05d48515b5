"""View: which channel is shown and on which colour scale, UV view, wireframe, scattering, backdrop, comparison."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QPushButton, QWidget

from engine.project import Project
from engine.render.color_scale import color_scale
from engine.scene import ViewChannel, staged, with_channel
from viewer.bind import bind_fields, bind_view
from viewer.compare import Against, Comparison
from viewer.document import Document
from viewer.panels.form import beside, form, set_idle
from viewer.widgets.controls import Choice, ColorButton, Toggle
from viewer.widgets.number import Number

_NAMES = [(channel.value, channel) for channel in ViewChannel]


class ScaleEnd(Number):
    """Value at the end of a colour scale; 0 says that it fits what is shown."""

    edited = Signal(object)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0.0, 1e6, decimals=3, parent=parent)
        self.setSpecialValueText("Fits")
        self.valueChanged.connect(self.edited.emit)
        self.valueChanged.connect(self.settled)

    def textFromValue(self, value: float) -> str:
        """No more figures than there are."""
        return f"{value:.6g}"


class LookPanel(QWidget):
    """Edits the view's `channel`, `scale_end`, `uv_view` and `wireframe`, the scene's `scattering`, `dual_specular` and
    `background_srgb`, and what the window compares with."""

    def __init__(self, document: Document, comparison: Comparison, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._document, self._comparison = document, comparison
        self.channel = Choice(_NAMES, self)
        self.scale = ScaleEnd(self)
        self.scale.setToolTip("Value at the end of the colour scale; 0 lets it fit what is shown")
        self.flat = Toggle("UV view", self)
        self.flat.setToolTip("The skin laid out as its maps are: drag to move, wheel to zoom, double click to see all")
        self.wireframe = Toggle("Wireframe", self)
        self.scattering = Toggle("Light travels inside the skin", self)
        self.dual = Toggle("Skin reflects in two lobes", self)
        self.background = ColorButton("Backdrop", self)
        self.against = Choice(((each.value, each) for each in Against), self)
        self.against.setToolTip("Split the view: drag the line")
        self.other = Choice(_NAMES, self)
        self.store = QPushButton("Store", self)
        self.store.setToolTip("Keep how it looks now, to compare with")
        self._lay_out()
        self._bind()
        document.changed.connect(lambda old, new: self._show(new))
        self._show(document.project)
        self.against.edited.connect(self._compare)
        self.other.edited.connect(comparison.compare_channel)
        self.store.clicked.connect(lambda: comparison.store(document.project))
        comparison.changed.connect(self._show_comparison)
        self._show_comparison()

    def _lay_out(self) -> None:
        layout = form(self)
        layout.addRow("Channel", self.channel)
        layout.addRow("Scale to", self.scale)
        layout.addRow(beside((self.flat, 1), (self.wireframe, 1), QLabel("Backdrop", self), self.background))
        layout.addRow("", self.scattering)
        layout.addRow("", self.dual)
        layout.addRow("Compare", beside((self.against, 1), self.store))
        layout.addRow("", self.other)
        self._rows = layout

    def _bind(self) -> None:
        bind_view(self._document, self.channel, "channel", with_channel)
        for control, name in ((self.scale, "scale_end"), (self.flat, "uv_view"), (self.wireframe, "wireframe")):
            bind_view(self._document, control, name)
        bind_fields(
            self._document,
            (self.scattering, "Scattering", "scattering"),
            (self.dual, "Two specular lobes", "dual_specular"),
            (self.background, "Backdrop", "background_srgb"),
        )

    def _show(self, project: Project) -> None:
        """Follow the channel's colour scale, and whether the backdrop is seen."""
        scale, scene = color_scale(project), project.scene
        self._rows.setRowVisible(self.scale, scale is not None)
        self.scale.setSuffix(f" {scale.unit}" if scale and scale.unit else "")
        hidden = staged(scene).environment.visible and not scene.view.uv_view
        set_idle(self.background, "The environment is visible in its place" if hidden else "")

    def _compare(self, against: Against) -> None:
        if against is Against.STORED and self._comparison.stored is None:
            self._comparison.store(self._document.project)
        else:
            self._comparison.compare(against)

    def _show_comparison(self) -> None:
        comparison = self._comparison
        self.against.show_value(comparison.against)
        self.other.show_value(comparison.channel)
        self._rows.setRowVisible(self.other, comparison.against is Against.CHANNEL)
