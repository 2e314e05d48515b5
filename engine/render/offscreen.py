"""A project as a picture in memory, without a window, or as the layers that a picture is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import product

import moderngl
import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.errors import GraphicsError
from engine.project import Project
from engine.render.accumulate import Accumulator, converges
from engine.render.camera import Part4
from engine.render.context import give_back, standalone_context
from engine.render.renderer import Renderer
from engine.render.sampling import SAMPLES
from engine.render.scatter import MOST_REACH_PX, Quality

LARGEST_SIDE, LARGEST_LAYERED_SIDE = 16384, 4096
"""Of a picture; with all its layers, which are kept whole, 112 bytes a pixel."""
TILE = 2048
LAYER_TILE = 512
"""Sides in pixels of what is drawn at a time."""

Tell = Callable[[int, int], object]
"""Hears how much of a picture is done, and of how much."""


def render_image(
    project: Project,
    width: int,
    height: int,
    *,
    transparent: bool = False,
    supersample: int = 2,
    samples: int = 0,
    quality: Quality = Quality.FULL,
    renderer: Renderer | None = None,
    tell: Tell = lambda done, total: None,
) -> np.ndarray:
    """(height, width, 3) uint8 sRGB, row 0 on top; (height, width, 4) with straight alpha when `transparent`.

    Each pixel is the mean, in linear light, of `supersample`^2 samples; or, with `samples`, of so many frames of a
    picture that converges (`engine.render.sampling`), in which the environment too casts shadows, unless there is
    nothing to converge (`engine.render.accumulate.converges`). Uses `renderer` (its context current) when given, as a
    window does for its screenshots; else a context of its own, released at the end. Drawn in tiles, so that neither
    memory nor driver sets the size; `tell` hears after each tile, or frame of one. GraphicsError where there is no
    OpenGL, or beyond `LARGEST_SIDE`.
    """
    _check(width, height, supersample)
    channels = 4 if transparent else 3
    image = np.empty((height, width, channels), np.uint8)

    if samples and converges(project.scene):
        with _given_or_own(renderer) as own, _target(own, (min(width, TILE), min(height, TILE))) as target:
            for rows, columns, part, frames in _converged(own, project, (width, height), samples, tell):
                own.show(project, target, (width, height), frames.frames, transparent=transparent, part=part)
                image[rows, columns] = _pixels(target, part, channels)
        return image
    with _given_or_own(renderer) as own:
        fine, side, factor = _tiling(own.context, (width, height), supersample, TILE)
        with _target(own, (min(side, width) * factor, min(side, height) * factor)) as target:
            tiles = list(_tiles((width, height), side, factor))
            for number, (rows, columns, part) in enumerate(tiles, 1):
                own.draw(project, target, fine, transparent=transparent, part=part, quality=quality)
                image[rows, columns] = downsample(_pixels(target, part, 4), factor)[..., :channels]
                tell(number, len(tiles))
    return image


@contextmanager
def _target(renderer: Renderer, size: tuple[int, int]) -> Iterator[moderngl.Framebuffer]:
    color, depth = renderer.context.renderbuffer(size, 4), renderer.context.depth_renderbuffer(size)
    target = renderer.context.framebuffer([color], depth)
    try:
        yield target
    finally:
        renderer.idle.use()
        give_back(target, color, depth)


def _pixels(target: moderngl.Framebuffer, part: Part4, channels: int) -> np.ndarray:
    """(height, width, channels) uint8, row 0 on top: what was drawn of the rectangle `part` of a picture."""
    read = target.read((0, 0, *part[2:]), components=channels, alignment=1)
    return np.frombuffer(read, np.uint8).reshape(part[3], part[2], channels)[::-1]


def render_light(
    project: Project, width: int, height: int, *, samples: int = SAMPLES, renderer: Renderer | None = None
) -> np.ndarray:
    """(height, width, 4) float32, row 0 on top: linear light with the scene's exposure, alpha associated.

    The mean of `samples` frames of a picture that converges, over nothing. `renderer`, tiles and errors as in
    `render_image`.
    """
    _check(width, height, 1)
    image = np.empty((height, width, 4), np.float32)

    with _given_or_own(renderer) as own:
        for rows, columns, part, frames in _converged(own, project, (width, height), samples):
            image[rows, columns] = frames.read(part[2:])[::-1]
    image /= samples
    image[..., :3] *= 2.0**project.scene.exposure_ev
    return image


def _converged(
    renderer: Renderer,
    project: Project,
    size: tuple[int, int],
    samples: int,
    tell: Tell = lambda done, total: None,
) -> Iterator[tuple[slice, slice, Part4, Accumulator]]:
    """Rows, columns and rectangle of each tile of a picture, and the sum of its frames."""
    frames = Accumulator(renderer, (min(size[0], TILE), min(size[1], TILE)))
    try:
        tiles = list(_tiles(size, TILE, 1))
        for number, (rows, columns, part) in enumerate(tiles):
            frames.clear()
            for frame in range(samples):
                frames.add(project, size, part)
                tell(number * samples + frame + 1, len(tiles) * samples)
            yield rows, columns, part, frames
    finally:
        renderer.idle.use()
        frames.release()


def render_layers(
    project: Project, width: int, height: int, *, supersample: int = 2, renderer: Renderer | None = None
) -> dict[str, np.ndarray]:
    """The picture before its tone curve and what it is made of, float32, row 0 on top, 0 where there is no head.

    Linear light with the scene's exposure: `RGBA` (H, W, 4, alpha associated), `diffuse light` (albedo included) and
    `specular light` (H, W, 3), whose sum RGB is. Of the head alone, means over what of a pixel it covers: `albedo` and
    `specular` (F0), linear, `normal` (unit, world), `position` (metres, world) (H, W, 3); `roughness` (perceptual) and
    `depth` (metres along the view axis) (H, W). `renderer`, tiles and errors as in `render_image`.
    """
    _check(width, height, supersample, LARGEST_LAYERED_SIDE)
    found = {name: np.zeros((height, width, count), np.float32) for name, count in _LAYERS.items()}

    with _given_or_own(renderer) as own:
        fine, side, samples = _tiling(own.context, (width, height), supersample, LAYER_TILE)
        for rows, columns, part in _tiles((width, height), side, samples):
            for name, pixels in _layers(own.layers(project, fine, part)).items():
                found[name][rows, columns] = _mean(pixels, samples)
    exposure = np.float32(2.0**project.scene.exposure_ev)
    cover = found["cover"]
    light = {name: found[name] * exposure for name in ("diffuse light", "specular light")}
    rgba = np.concatenate([light["diffuse light"] + light["specular light"], cover], axis=2)
    share = np.maximum(cover, 1e-6)
    surface = {name: found[name] / share for name in ("albedo", "specular", "position")}
    surface["normal"] = found["normal"] / np.maximum(np.linalg.norm(found["normal"], axis=-1, keepdims=True), 1e-6)
    alone = {name: (found[name] / share)[..., 0] for name in ("roughness", "depth")}
    return {"RGBA": rgba} | light | surface | alone


_LAYERS = {"cover": 1, "diffuse light": 3, "specular light": 3, "albedo": 3, "specular": 3, "normal": 3, "position": 3}
_LAYERS |= {"roughness": 1, "depth": 1}
"""What is averaged, and its channels."""


def _layers(targets: list[np.ndarray]) -> dict[str, np.ndarray]:
    """What head.frag writes with LAYERS, (H, W, 4) each, by the names of `_LAYERS`."""
    scattered, reflected, albedo, diffuse, specular, normal, position = targets
    return {
        "cover": reflected[..., 3:],
        "diffuse light": scattered[..., :3] * albedo[..., :3] + diffuse[..., :3],
        "specular light": reflected[..., :3],
        "albedo": albedo[..., :3],
        "specular": specular[..., :3],
        "normal": normal[..., :3],
        "position": position[..., :3],
        "roughness": albedo[..., 3:],
        "depth": position[..., 3:],
    }


def _check(width: int, height: int, supersample: int, largest: int = LARGEST_SIDE) -> None:
    if width < 1 or height < 1 or supersample < 1:
        raise ValueError(f"picture: expected a size of 1 or more, found {width} x {height} at {supersample}")
    if max(width, height) > largest:
        raise GraphicsError(
            f"picture: expected at most {largest} on a side, found {width} x {height}; choose a smaller size"
        )


def _given_or_own(renderer: Renderer | None) -> AbstractContextManager[Renderer]:
    return own_renderer() if renderer is None else nullcontext(renderer)


@contextmanager
def own_renderer() -> Iterator[Renderer]:
    """A renderer on a context of its own, current on this thread until the block ends; GraphicsError without OpenGL."""
    context = standalone_context()
    try:
        with context:  # after it none is current: Qt could make none of its own current beside it
            renderer = Renderer(context)
            try:
                yield renderer
            finally:
                renderer.release()
    finally:
        context.release()


def _tiling(
    context: moderngl.Context, size: tuple[int, int], supersample: int, side: int
) -> tuple[tuple[int, int], int, int]:
    """The picture's size in samples, the side of a tile in pixels and the samples along a pixel's side, as far as the
    driver's targets are large enough for a tile with its margins."""
    limit = min(context.info["GL_MAX_RENDERBUFFER_SIZE"], *context.info["GL_MAX_VIEWPORT_DIMS"])
    limit = min(limit, context.info["GL_MAX_TEXTURE_SIZE"])
    samples = min(supersample, limit)
    side = max(1, min(side, max(limit - 2 * MOST_REACH_PX - 2, 1) // samples))
    return (size[0] * samples, size[1] * samples), side, samples


def _tiles(size: tuple[int, int], side: int, samples: int) -> Iterator[tuple[slice, slice, Part4]]:
    """Rows and columns of each tile of a picture of `size`, row 0 on top, and its rectangle in samples."""
    wide, tall = size
    for top, left in product(range(0, tall, side), range(0, wide, side)):
        width, height = min(side, wide - left), min(side, tall - top)
        part = (samples * left, samples * (tall - top - height), samples * width, samples * height)
        yield slice(top, top + height), slice(left, left + width), part


def _mean(samples: np.ndarray, factor: int) -> np.ndarray:
    """(H f, W f, C) -> (H, W, C) means of blocks."""
    height, width = samples.shape[0] // factor, samples.shape[1] // factor
    return samples.reshape(height, factor, width, factor, -1).mean((1, 3))


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
