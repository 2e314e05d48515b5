"""Makes the pictures of the docs: people at rest and in four expressions, as the program renders them.

python scripts/make_pictures.py builtin:7 docs/pictures/builtin-7.jpg --samples 32
python scripts/make_pictures.py "ICT_FOLDER?seed=3" ict-3.jpg
python scripts/make_pictures.py builtin:7 docs/pictures/lights.jpg --samples 64 --expressions "" --light \
    "Three-Point,Rembrandt,Butterfly,Split,Rim,Sunset"
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image

from engine.diffusion.request import GenerateRequest
from engine.expression_cache import generate_all
from engine.open import open_project
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.offscreen import render_image
from engine.render.presets import PRESETS, with_preset
from engine.render.renderer import Renderer
from engine.scene import scene_with
from engine.vocabulary import parse_names

SHOWN = "Eye Blink, Jaw Open, Lip Corner Puller, Face Compression"
WIDTH, HEIGHT = 360, 440


def main() -> int:
    """Write the strip of PATH to a picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("out", type=Path)
    parser.add_argument("--expressions", default=SHOWN)
    parser.add_argument("--light", default="Studio", help="presets and environments, one picture each")
    parser.add_argument("--samples", type=int, default=0, help="frames of a converging picture")
    args = parser.parse_args()
    names = parse_names(args.expressions) if args.expressions else ()
    renderer = Renderer(standalone_context())
    strip: list[np.ndarray] = []
    for path, light in product(args.path.split(","), args.light.split(",")):
        project = _framed(open_project(path), light)
        if names:
            made = generate_all(GenerateRequest(project.identity, names))
            project = replace(project, expressions=made)
        for name in ("", *names):
            weighted = replace(project, weights={name: 1.0} if name else {})
            strip.append(render_image(weighted, WIDTH, HEIGHT, samples=args.samples, renderer=renderer))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(strip, axis=1)).save(args.out, quality=90)  # quality matters to JPEG alone
    renderer.release()
    return 0


def _framed(project: Project, light: str) -> Project:
    """`project` seen close, a little from the side, under `light`."""
    scene = project.scene
    camera = replace(scene.view.camera, yaw_rad=0.3)
    if light in PRESETS:
        lit = with_preset(scene, light)
    else:
        lit = replace(scene, environment=replace(scene.environment, name=light))
    return replace(project, scene=scene_with(lit, camera=camera))


if __name__ == "__main__":
    sys.exit(main())
