"""A project as a picture in memory, without a window."""

from __future__ import annotations

from itertools import product

import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.errors import GraphicsError
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.renderer import Renderer

LARGEST_SIDE = 16384
TILE = 2048
"""Side in pixels of what is drawn at a time."""


def render_image(
    project: Project,
    width: int,
    height: int,
    *,
    transparent: bool = False,
    supersample: int = 2,
    renderer: Renderer | None = None,
) -> np.ndarray:
    """(height, width, 3) uint8 sRGB, row 0 on top; (height, width, 4) with straight alpha when `transparent`.

    Each pixel is the mean, in linear light, of `supersample`^2 samples. Uses `renderer` (its context current) when
    given, as a window does for its screenshots; else a context of its own, released at the end. Drawn in tiles, so that
    neither memory nor driver sets the size. GraphicsError where there is no OpenGL, or beyond `LARGEST_SIDE`.
    """
    if width < 1 or height < 1 or supersample < 1:
        raise ValueError(f"render_image: expected a size of 1 or more, found {width} x {height} at {supersample}")
    if max(width, height) > LARGEST_SIDE:
        raise GraphicsError(
            f"picture: expected at most {LARGEST_SIDE} on a side, found {width} x {height}; choose a smaller size"
        )
    if renderer is not None:
        return _render(renderer, project, (width, height), transparent, supersample)
    context = standalone_context()
    try:
        renderer = Renderer(context)
        try:
            return _render(renderer, project, (width, height), transparent, supersample)
        finally:
            renderer.release()
    finally:
        context.release()


def _render(
    renderer: Renderer, project: Project, size: tuple[int, int], transparent: bool, supersample: int
) -> np.ndarray:
    context = renderer.context
    limit = min(context.info["GL_MAX_RENDERBUFFER_SIZE"], *context.info["GL_MAX_VIEWPORT_DIMS"])
    supersample = min(supersample, limit)
    side = max(1, min(TILE, limit // supersample))
    fine = size[0] * supersample, size[1] * supersample
    held = min(side, size[0]) * supersample, min(side, size[1]) * supersample
    color = context.renderbuffer(held, 4)
    depth = context.depth_renderbuffer(held)
    target = context.framebuffer([color], depth)
    image = np.empty((size[1], size[0], 4 if transparent else 3), np.uint8)
    try:
        for top, left in product(range(0, size[1], side), range(0, size[0], side)):
            width, height = min(side, size[0] - left), min(side, size[1] - top)
            bottom = size[1] - top - height
            part = (supersample * left, supersample * bottom, supersample * width, supersample * height)
            renderer.draw(project, target, fine, transparent=transparent, part=part)
            read = target.read(viewport=(0, 0, *part[2:]), components=4, alignment=1)
            pixels = np.frombuffer(read, np.uint8).reshape(part[3], part[2], 4)
            found = downsample(pixels[::-1], supersample)
            image[top : top + height, left : left + width] = found[..., : image.shape[2]]
    finally:
        renderer.idle.use()
        for made in (target, color, depth):
            made.release()
    return image


def downsample(pixels: np.ndarray, factor: int) -> np.ndarray:
    """(H, W, 4) uint8 sRGB with straight alpha -> mean of `factor`^2 blocks in linear light, (H/f, W/f, 4) uint8.

    Colour is weighted by alpha, so what is transparent does not darken an edge.
    """
    if factor == 1:
        return np.ascontiguousarray(pixels)
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    color = np.zeros((height, width, 3), np.float32)
    alpha = np.zeros((height, width, 1), np.float32)
    for row in range(factor):
        for column in range(factor):
            sample = pixels[row::factor, column::factor]
            weight = sample[..., 3:] / np.float32(255)
            color += linear_from_srgb(sample[..., :3]) * weight
            alpha += weight
    result = np.empty((height, width, 4), np.uint8)
    result[..., :3] = bytes_from_unit(srgb_from_linear(color / np.maximum(alpha, 1e-6)))
    result[..., 3:] = bytes_from_unit(alpha / factor**2)
    return result
