"""A/B comparison: what stands left of a line in the viewport, seen by the same camera as the project at its right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

import numpy as np
from PySide6.QtCore import QObject, Signal

from engine.project import Project
from engine.scene import ViewChannel, scene_with, with_channel


class Against(StrEnum):
    """What is compared with. Value = the label in the panel."""

    NOTHING = "Off"
    NEUTRAL = "Neutral face"
    CHANNEL = "Another channel"
    STORED = "Stored look"


class Comparison(QObject):
    """Belongs to a window, not to the project: it is neither saved nor undone."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.against = Against.NOTHING
        self.channel = ViewChannel.GEOMETRY
        self.stored: Project | None = None
        self.position = 0.5
        """Of the line, as a share of the viewport's width."""

    def compare(self, against: Against) -> None:
        """Compare with `against` from now on; `Against.STORED` without a stored look shows no line."""
        self.against = against
        self.changed.emit()

    def compare_channel(self, channel: ViewChannel) -> None:
        """Compare with `channel` of what is shown."""
        self.against, self.channel = Against.CHANNEL, channel
        self.changed.emit()

    def store(self, project: Project) -> None:
        """Compare with `project` as it is now."""
        self.against, self.stored = Against.STORED, project
        self.changed.emit()

    def forget(self) -> None:
        """Drop the stored look, which is of the head before."""
        self.stored = None
        if self.against is Against.STORED:
            self.compare(Against.NOTHING)

    def move(self, position: float) -> None:
        """Put the line at `position` 0..1."""
        self.position = max(0.0, min(1.0, position))
        self.changed.emit()

    def left_of(self, project: Project) -> Project | None:
        """What is drawn left of the line where `project` is drawn right of it; None for no line."""
        scene = project.scene
        if self.against is Against.NEUTRAL:
            return replace(project, weights={})
        if self.against is Against.CHANNEL:
            return replace(project, scene=with_channel(scene, self.channel))
        if self.against is Against.STORED and self.stored is not None:
            seen = scene_with(self.stored.scene, camera=scene.view.camera, uv_view=scene.view.uv_view)
            return replace(self.stored, scene=seen)
        return None

    def sides(self, project: Project) -> tuple[Project, ...]:
        """What is drawn, from left to right: `project` alone, or after what stands left of the line."""
        left = self.left_of(project)
        return (project,) if left is None else (left, project)

    def joined(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """(H, W[, C]) of one picture for each of `sides`: the last one, left of the line the first."""
        picture = pictures[-1].copy()
        edge = round(self.position * picture.shape[1])
        picture[:, :edge] = pictures[0][:, :edge]
        return picture
