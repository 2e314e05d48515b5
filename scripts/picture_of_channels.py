"""Every channel of one head in an expression, with its name and colour scale, as a contact sheet for the documentation.

python scripts/picture_of_channels.py builtin:7 channels.png
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.color import bytes_from_unit, scale_colors
from engine.diffusion.request import GenerateRequest
from engine.expression_cache import generate_all
from engine.open import open_project
from engine.project import Project
from engine.render.color_scale import ColorScale, color_scale
from engine.render.context import standalone_context
from engine.render.offscreen import render_image
from engine.render.renderer import Renderer
from engine.scene import DIFFERENCES, ViewChannel, scene_with, with_channel

WEIGHTS = {"Lip Corner Puller": 0.9, "Brows Up": 0.8, "Jaw Open": 0.35}
COLUMNS, WIDTH, HEIGHT, TITLE, BAR = 6, 208, 232, 22, 22
BACK, INK = (24, 24, 26), (222, 222, 226)


def main() -> None:
    """Write the sheet of PATH to PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    project = open_project(args.path)
    made = generate_all(GenerateRequest(project.identity, tuple(WEIGHTS)))
    camera = project.scene.view.camera
    camera = replace(camera, distance_m=camera.distance_m * 0.85, yaw_rad=0.35, target_m=(0.0, *camera.target_m[1:]))
    scene = scene_with(project.scene, camera=camera)
    project = replace(project, expressions=made, weights=WEIGHTS, scene=scene)
    channels = [*(channel for channel in ViewChannel if channel not in DIFFERENCES), *DIFFERENCES]
    renderer = Renderer(standalone_context())
    tiles = [_tile(project, channel, renderer) for channel in channels]
    renderer.release()
    rows = [np.concatenate(tiles[first : first + COLUMNS], 1) for first in range(0, len(tiles), COLUMNS)]
    Image.fromarray(np.concatenate(rows)).save(args.out, optimize=True)


def _tile(project: Project, channel: ViewChannel, renderer: Renderer) -> np.ndarray:
    """(TITLE + HEIGHT + BAR, WIDTH, 3) uint8: name, picture, and the ends of the colour scale."""
    project = replace(project, scene=with_channel(project.scene, channel))
    tile = Image.new("RGB", (WIDTH, TITLE + HEIGHT + BAR), BACK)
    tile.paste(Image.fromarray(render_image(project, WIDTH - 2, HEIGHT, renderer=renderer)), (1, TITLE))
    draw, font = ImageDraw.Draw(tile), ImageFont.load_default(13)
    draw.text((6, 3), channel.value, INK, font)
    scale = color_scale(project)
    if scale is not None:
        _draw_scale(tile, draw, font, scale)
    return np.asarray(tile)


def _draw_scale(tile: Image.Image, draw: ImageDraw.ImageDraw, font, scale: ColorScale) -> None:
    top, left, right = TITLE + HEIGHT + 6, 62, WIDTH - 62
    colors = bytes_from_unit(scale_colors(np.linspace(0, 1, right - left), scale.stops_srgb))
    tile.paste(Image.fromarray(np.repeat(colors[None], 10, 0)), (left, top))
    draw.text((left - 5, top - 4), f"{scale.low:.3g}", INK, font, anchor="ra")
    draw.text((right + 5, top - 4), f"{scale.high:.3g}", INK, font)


if __name__ == "__main__":
    main()
