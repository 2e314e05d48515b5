"""One head in the light stage: lamps one at a time, full-on, the three gradients.

python scripts/picture_of_stage.py builtin:7 docs/pictures/olat.jpg
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from engine.open import open_project
from engine.render.camera import direction
from engine.render.offscreen import own_renderer, render_image
from engine.render.stage import geodesic_rig
from engine.scene import LightStage, StageMode, scene_with

WIDTH, HEIGHT, COLUMNS = 228, 276, 6
_DIRECTIONS_DEG = ((-95, 10), (-60, 25), (-25, 5), (0, 45), (0, -40), (25, 20), (60, 0), (140, 30))
"""Yaw and pitch; the lamp nearest to each is lit."""
_PATTERNS = (StageMode.FULL, StageMode.GRADIENT_X, StageMode.GRADIENT_Y, StageMode.GRADIENT_Z)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    project = open_project(args.path)
    camera = replace(project.scene.view.camera, yaw_rad=0.3)
    towards = [direction(np.radians(yaw), np.radians(pitch)) for yaw, pitch in _DIRECTIONS_DEG]
    stages = [LightStage(True, lamp=int((geodesic_rig() @ each).argmax())) for each in towards]
    stages += [LightStage(True, mode=mode) for mode in _PATTERNS]
    with own_renderer() as renderer:
        strip = [
            render_image(
                replace(project, scene=scene_with(project.scene, camera=camera, stage=stage)),
                WIDTH,
                HEIGHT,
                renderer=renderer,
            )
            for stage in stages
        ]
    rows = [np.concatenate(strip[first : first + COLUMNS], axis=1) for first in range(0, len(strip), COLUMNS)]
    Image.fromarray(np.concatenate(rows, axis=0)).save(args.out, quality=90)  # quality matters to JPEG alone


if __name__ == "__main__":
    main()
