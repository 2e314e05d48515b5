"""Films from the window: what shall move, how long, and how large."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtWidgets import QCheckBox, QDialog, QDialogButtonBox, QWidget

from engine.project import Project
from engine.render.motion import DEFAULT_SECONDS, Motion
from engine.render.stage import lamp_directions
from viewer.panels.form import beside, lay_out
from viewer.widgets.controls import Choice
from viewer.widgets.number import Number

KINDS = "MP4, H.264 (*.mp4);;Folder of PNG files (*)"
SIZES = ((720, 720), (1080, 1080), (1280, 720), (1920, 1080), (3840, 2160))


@dataclass(frozen=True, slots=True)
class VideoSettings:
    """What a film shall be."""

    motion: Motion
    size: tuple[int, int]


class VideoDialog(QDialog):
    """What moves, how long, and how large."""

    def __init__(self, project: Project, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Export video")
        self._project = project
        self.turntable = QCheckBox("The camera goes round the head", self)
        self.turntable.setChecked(True)
        self.light_turn = QCheckBox("The light goes round the head", self)
        self.olat = QCheckBox("One lamp of the light stage at a time", self)
        there = tuple(name for name in project.expressions.names if name != "Neutral")
        active = tuple(project.active())
        choices = [("stay as they are", ()), ("those on the face, in turn", active), ("all there are, in turn", there)]
        self.expressions = Choice(
            [(label, names) for label, names in choices if names or not label.startswith("t")], self
        )
        self.expressions.setEnabled(bool(there))
        self.size_choice = Choice([(f"{width} × {height}", (width, height)) for width, height in SIZES], self)
        self.seconds = Number(0.1, 600.0, decimals=1, suffix=" s", value=DEFAULT_SECONDS, parent=self)
        self.fps = Number(1, 120, decimals=0, suffix=" frames / s", value=30, parent=self)
        moves = zip(("Moves", "", ""), (self.turntable, self.light_turn, self.olat), strict=True)
        length = beside((self.seconds, 1), (self.fps, 1))
        rows = (("Expressions", self.expressions), ("Length", length), ("Size", self.size_choice))
        save = QDialogButtonBox.StandardButton.Save
        self._save = lay_out(self, save, *moves, *rows).button(save)
        for box in (self.turntable, self.light_turn, self.olat):
            box.toggled.connect(self._changed)
        self.olat.toggled.connect(self._one_frame_a_lamp)
        self.expressions.edited.connect(self._changed)

    def _changed(self) -> None:
        motion = self.settings.motion
        self._save.setEnabled(motion.turntable or motion.light_turn or motion.olat or bool(motion.expressions))

    def _one_frame_a_lamp(self, on: bool) -> None:
        lamps = len(lamp_directions(self._project.scene.stage))
        self.seconds.setValue(lamps / self.fps.value() if on else DEFAULT_SECONDS)

    @property
    def settings(self) -> VideoSettings:
        """What is chosen now."""
        motion = Motion(
            self.turntable.isChecked(),
            self.light_turn.isChecked(),
            self.olat.isChecked(),
            self.expressions.value(),
            self.seconds.value(),
            int(self.fps.value()),
        )
        return VideoSettings(motion, self.size_choice.value())
