"""Makes docs/pictures/scattering.jpg: light inside the skin off, pre-integrated, spread on the screen; an ear lit from
behind without and with it.

python scripts/picture_of_scattering.py builtin:7 docs/pictures/scattering.jpg
"""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
from PIL import Image

from engine.open import open_project
from engine.render.context import standalone_context
from engine.render.offscreen import render_image
from engine.render.renderer import Renderer
from engine.render.scatter import Quality
from engine.scene import Environment, Lamp, Scene, scene_with

WIDTH, HEIGHT = 300, 380
LABEL_PX = 15


def main() -> int:
    """Write the strip of PATH to a picture."""
    path, out = sys.argv[1], Path(sys.argv[2])
    project = open_project(path)
    face = _seen(project.scene, (0.012, -0.012), 2.6, 18, Lamp(True, math.radians(-52), 0.45, irradiance=2.8), -2.6)
    ear = _seen(project.scene, (0.068, 0.005), 3.4, 32, Lamp(True, math.radians(196), 0.2, irradiance=4.5), -3.0)
    pictures = [
        ("off", replace(face, scattering=False), Quality.FULL),
        ("pre-integrated, one pass", face, Quality.MOVING),
        ("spread on the screen", face, Quality.FULL),
        ("lit from behind, off", replace(ear, scattering=False), Quality.FULL),
        ("through the ear", ear, Quality.FULL),
    ]
    renderer = Renderer(standalone_context())
    strip = []
    for label, scene, quality in pictures:
        shown = replace(project, scene=scene)
        strip.append(_labelled(render_image(shown, WIDTH, HEIGHT, quality=quality, renderer=renderer), label))
    renderer.release()
    Image.fromarray(np.concatenate(strip, axis=1)).save(out, quality=90)  # quality matters to JPEG alone
    return 0


def _seen(
    scene: Scene, beside_m: tuple[float, float], closer: float, yaw_deg: float, key: Lamp, sky_ev: float
) -> Scene:
    camera = scene.view.camera
    x, y, z = camera.target_m
    target = x + beside_m[0], y + beside_m[1], z
    camera = replace(camera, target_m=target, distance_m=camera.distance_m / closer, yaw_rad=math.radians(yaw_deg))
    return scene_with(scene, camera=camera, key_light=key, environment=Environment("Even", exposure_ev=sky_ev))


def _labelled(image: np.ndarray, label: str) -> np.ndarray:
    buffer = oiio.ImageBuf(np.ascontiguousarray(image))
    oiio.ImageBufAlgo.render_text(buffer, 10, HEIGHT - 10, label, LABEL_PX, "", (0.85, 0.85, 0.85))
    return buffer.get_pixels(oiio.UINT8)


if __name__ == "__main__":
    sys.exit(main())
