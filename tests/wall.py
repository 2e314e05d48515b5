"""What a picture shows where there is no head."""

from __future__ import annotations

import numpy as np

from engine.scene import Scene


def wall(scene: Scene, width: int, height: int) -> np.ndarray:
    """(height, width, 3) in steps of 1/255: the studio's wall, as shaders/wall.frag has it."""
    y, x = np.mgrid[:height, :width] + 0.5
    far2 = ((x - width / 2) ** 2 + (y - height / 2) ** 2) / height**2
    return 255 * np.array(scene.background_srgb) / (1 + 2 * far2[..., None])
