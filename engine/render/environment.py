"""Image-based light: built-in or read from .hdr/.exr, turned into one small atlas of filtered radiance.

Layout of pictures: equirectangular, row 0 straight up; the middle is what a camera that looks along -Z sees behind the
head. See shaders/common/equirect.glsl and octahedron.glsl.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import moderngl
import numpy as np

from engine.errors import FileFormatError
from engine.io import cache
from engine.io.border import reads
from engine.render.context import drawing_into, drawn_by
from engine.render.lights import BUILT_IN, built_in_light
from engine.render.sampling import EnvironmentSampler
from engine.render.shaders import program, set_uniforms
from engine.render.sources import LightSource, extract_suns
from engine.render.upload import HALF_FLOAT

__all__ = ["BUILT_IN", "EnvironmentCache", "equirect_directions", "equirect_radiance", "irradiance_tile"]

TILE, COLUMNS, ROWS, LEVELS = 128, 4, 2, 6
"""The atlas of shaders/common/octahedron.glsl."""
_MAX_SIZE = (512, 1024)
_BUILT_IN_SIZE = (256, 512)
_COARSE = (32, 64)
_SAMPLES = 128
_KEPT = 8
_BRIGHTEST = 1e10
"""Radiance that no file has honestly: six times the sun in cd/m2."""
_SUFFIXES = (".hdr", ".exr")


@lru_cache(maxsize=4)
def equirect_directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (H, W, 3) float32 of the texel centres, and their solid angles (H, W) float32, sum 4 pi."""
    polar = (np.arange(height) + 0.5) / height * np.pi
    azimuth = ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    sine = np.sin(polar)[:, None]
    up = np.broadcast_to(np.cos(polar)[:, None], (height, width))
    directions = np.stack([sine * np.sin(azimuth), up, -sine * np.cos(azimuth)], axis=-1)
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    areas = np.broadcast_to((edges[:-1] - edges[1:])[:, None] * (2 * np.pi / width), (height, width))
    return directions.astype(np.float32), areas.astype(np.float32)


def equirect_radiance(name: str) -> np.ndarray:
    """(H, W, 3) float32 linear radiance of a built-in light, or of a .hdr/.exr file (shrunk to at most 1024 wide).

    FileFormatError for a name that is neither, and for files that are broken, empty, negative, not finite or absurd.
    """
    if name in BUILT_IN:
        return built_in_light(name, *equirect_directions(*_BUILT_IN_SIZE))
    if not name.lower().endswith(_SUFFIXES):
        raise FileFormatError(
            f"light '{name}': expected one of {', '.join(BUILT_IN)} or a .hdr or .exr file; choose one of them"
        )
    return _read_equirect(Path(name))


@reads("a .hdr or .exr image")
def _read_equirect(path: Path) -> np.ndarray:
    from engine.io.images import read_radiance  # 0.1 s to load, needed for files only

    image = read_radiance(path)
    least, most = float(image.min()), float(image.max())  # NaN where there is one
    if not np.isfinite((least, most)).all():
        raise FileFormatError(f"light '{path}': expected finite radiance, found NaN or infinity; repair the picture")
    if least < 0:
        raise FileFormatError(f"light '{path}': expected radiance of 0 or more, found {least:.3g}; clip it at 0")
    if most > _BRIGHTEST:
        raise FileFormatError(
            f"light '{path}': expected radiance up to {_BRIGHTEST:.0e}, found {most:.3g}; repair the picture"
        )
    return _shrunk(image)


def _shrunk(image: np.ndarray) -> np.ndarray:
    """`image` averaged in whole blocks until it fits `_MAX_SIZE`: peaks keep their energy."""
    height, width = image.shape[:2]
    down = max(-(-height // _MAX_SIZE[0]), 1)
    across = max(-(-width // _MAX_SIZE[1]), 1)
    if down == across == 1:
        return image
    rows, columns = height // down, width // across
    whole = image[: rows * down, : columns * across]
    summed = whole.reshape(rows, down, -1).sum(axis=1)  # rows first: several times as fast as both at once
    return summed.reshape(rows, columns, across, 3).sum(axis=2) / np.float32(down * across)


def irradiance_tile(radiance: np.ndarray, side: int = TILE) -> np.ndarray:
    """(side, side, 3) float32 irradiance / pi over the octahedral tile (border included) of (H, W, 3) radiance.

    The exact sum over a coarse picture, at 32 x 32 normals, then resampled: irradiance is smooth.
    """
    coarse = _blocks(radiance, *_COARSE)
    directions, areas = equirect_directions(*coarse.shape[:2])
    small = 34
    normals = octahedral_directions(small)
    cosines = np.maximum(normals.reshape(-1, 3) @ directions.reshape(-1, 3).T, 0.0) * areas.ravel()
    tile = (cosines @ coarse.reshape(-1, 3)) / np.pi
    # The sum of cosines differs a little from pi on a coarse grid: a constant sky must stay constant.
    tile /= (cosines.sum(axis=1, keepdims=True)) / np.pi
    return _resampled(tile.reshape(small, small, 3), side)


def _blocks(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """(H, W, 3) averaged into at most (height, width), weighted by solid angle."""
    if image.shape[0] % height or image.shape[1] % width:
        image = image[_spread(image.shape[0], height * 4)][:, _spread(image.shape[1], width * 4)]
    _, areas = equirect_directions(*image.shape[:2])
    down, across = image.shape[0] // height, image.shape[1] // width
    weighted = (image * areas[..., None]).reshape(height, down, width, across, 3).sum(axis=(1, 3), dtype=np.float64)
    return (weighted / areas.reshape(height, down, width, across).sum(axis=(1, 3), dtype=np.float64)[..., None]).astype(
        np.float32
    )


def _spread(have: int, want: int) -> np.ndarray:
    """(want,) int64 nearest indices of `have` texels for `want` texel centres."""
    return ((np.arange(want) + 0.5) / want * have).astype(np.int64)


def octahedral_directions(side: int) -> np.ndarray:
    """(side, side, 3) float32 directions of an octahedral tile with one texel of border; octahedron.glsl in numpy."""
    at = ((np.arange(side) + 0.5 - 1.0) / (side - 2)) * 2 - 1
    x, z = np.meshgrid(at, at)
    over = np.abs(x) > 1
    x, z = np.where(over, np.sign(x) * 2 - x, x), np.where(over, -z, z)
    over = np.abs(z) > 1
    x, z = np.where(over, -x, x), np.where(over, np.sign(z) * 2 - z, z)
    y = 1 - np.abs(x) - np.abs(z)
    fold_x = (1 - np.abs(z)) * np.where(x >= 0, 1, -1)
    fold_z = (1 - np.abs(x)) * np.where(z >= 0, 1, -1)
    vectors = np.stack([np.where(y >= 0, x, fold_x), y, np.where(y >= 0, z, fold_z)], axis=-1)
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def _resampled(tile: np.ndarray, side: int) -> np.ndarray:
    """A bordered tile sampled bilinearly at the texels of a finer bordered tile; float32."""
    small = tile.shape[0]
    at = np.clip((np.arange(side) + 0.5 - 1) / (side - 2) * (small - 2) + 1 - 0.5, 0, small - 1)
    low = np.minimum(at.astype(np.int64), small - 2)
    share = (at - low).astype(np.float32)
    rows = tile[low] * (1 - share)[:, None, None] + tile[low + 1] * share[:, None, None]
    return rows[:, low] * (1 - share)[:, None] + rows[:, low + 1] * share[:, None]


def changed_at(name: str) -> int:
    """When the file of a light was changed, ns; 0 for a built-in one, and where the reader will say what is wrong."""
    try:
        return 0 if name in BUILT_IN else os.stat(name).st_mtime_ns
    except OSError:
        return 0


class EnvironmentLight(NamedTuple):
    """An environment as the shaders see it."""

    atlas: moderngl.Texture
    suns: tuple[LightSource, ...]
    """In the environment's own directions, not part of the atlas."""
    coarse: np.ndarray
    """(32, 64, 3) float32 linear radiance of the atlas, as an equirectangular picture."""


@dataclass(frozen=True, eq=False, slots=True)
class _Atlas:
    """An atlas as it is kept."""

    rgba: np.ndarray
    """(ROWS * TILE, COLUMNS * TILE, 4) float16."""


class EnvironmentCache:
    """Atlases of filtered radiance on one context, by name and, for files, time of change."""

    def __init__(self, context: moderngl.Context) -> None:
        self._context = context
        self._program = program(context, "fullscreen.vert", "prefilter.frag")
        self._array = context.vertex_array(self._program, [])
        self._lights: dict[Hashable, EnvironmentLight] = {}
        self._sampler: tuple[Hashable, EnvironmentSampler] | None = None

    def light(self, name: str, suns: bool = True) -> EnvironmentLight:
        """A built-in light or file, filtered on first use, with its suns taken out where `suns`; FileFormatError as
        `equirect_radiance`."""

        def make() -> EnvironmentLight:
            radiance, found = equirect_radiance(name), ()
            if suns:
                radiance, found = extract_suns(radiance, *equirect_directions(*radiance.shape[:2]))
            return EnvironmentLight(self._filtered_before(radiance), found, _blocks(radiance, *_COARSE))

        return self._kept((name, changed_at(name), suns), make)

    def picture(self, radiance: np.ndarray | None, key: Hashable) -> EnvironmentLight:
        """(H, W, 3) float32 `radiance`, or darkness for None; `key` is equal for equal pictures."""
        if radiance is None:
            radiance, key = np.zeros((*_COARSE, 3), np.float32), None
        return self._kept(key, lambda: EnvironmentLight(self._filtered(radiance), (), _blocks(radiance, *_COARSE)))

    def _kept(self, key: Hashable, make: Callable[[], EnvironmentLight]) -> EnvironmentLight:
        self._lights[key] = self._lights.pop(key) if key in self._lights else make()  # last used comes last
        while len(self._lights) > _KEPT:
            self._lights.pop(next(iter(self._lights))).atlas.release()
        return self._lights[key]

    def sampler(self, name: str) -> EnvironmentSampler:
        """Of a built-in light or file, suns and all; the last one is kept. FileFormatError as `equirect_radiance`."""
        return self.picture_sampler(lambda: equirect_radiance(name), (name, changed_at(name)))

    def picture_sampler(self, make: Callable[[], np.ndarray], key: Hashable) -> EnvironmentSampler:
        """Of the (H, W, 3) radiance that `make` gives, kept while `key` is the same."""
        if self._sampler is None or self._sampler[0] != key:
            radiance = make()
            self._sampler = key, EnvironmentSampler(radiance, *equirect_directions(*radiance.shape[:2]))
        return self._sampler[1]

    def _filtered_before(self, radiance: np.ndarray) -> moderngl.Texture:
        """As `_filtered`, kept on disk: a start waits for it."""
        kept_at = cache.cache_path("light", [hashlib.sha256(radiance.tobytes()).hexdigest(), *drawn_by(self._context)])
        stored = cache.load(kept_at, _Atlas)
        if stored is not None and stored.rgba.shape == (ROWS * TILE, COLUMNS * TILE, 4):
            return self._atlas(stored.rgba.tobytes())
        atlas = self._filtered(radiance)
        rgba = np.frombuffer(atlas.read(), np.float16).reshape(ROWS * TILE, COLUMNS * TILE, 4)
        cache.store(kept_at, _Atlas(rgba))
        return atlas

    def _atlas(self, rgba: bytes | None = None) -> moderngl.Texture:
        atlas = self._context.texture((COLUMNS * TILE, ROWS * TILE), 4, rgba, dtype="f2")
        atlas.filter = moderngl.LINEAR, moderngl.LINEAR
        atlas.repeat_x = atlas.repeat_y = False
        return atlas

    def _filtered(self, radiance: np.ndarray) -> moderngl.Texture:
        context = self._context
        height, width = radiance.shape[:2]
        rgba = np.ones((height, width, 4), np.float16)
        rgba[..., :3] = np.minimum(radiance, HALF_FLOAT)  # a sun may be brighter
        source = context.texture((width, height), 4, rgba.tobytes(), dtype="f2")
        source.repeat_y = False
        source.build_mipmaps()
        source.filter = moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR
        atlas = self._atlas()
        target = context.framebuffer([atlas])
        with drawing_into(target):
            source.use(0)
            for level in range(LEVELS):
                self._draw_level(target, level)
        tile = np.ones((TILE, TILE, 4), np.float16)
        tile[..., :3] = np.minimum(irradiance_tile(radiance), HALF_FLOAT)
        atlas.write(tile.tobytes(), (LEVELS % COLUMNS * TILE, LEVELS // COLUMNS * TILE, TILE, TILE))
        target.release()
        source.release()
        return atlas

    def _draw_level(self, target: moderngl.Framebuffer, level: int) -> None:
        self._context.disable(moderngl.BLEND | moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        corner = (level % COLUMNS * TILE, level // COLUMNS * TILE)
        target.viewport = (*corner, TILE, TILE)
        roughness = level / (LEVELS - 1)
        set_uniforms(self._program, t_source=0, u_tile_corner=corner, u_roughness=roughness, u_samples=_SAMPLES)
        self._array.render(moderngl.TRIANGLES, 3)

    def release(self) -> None:
        """Give everything back to the driver; the context must be current."""
        for light in self._lights.values():
            light.atlas.release()
        self._lights.clear()
        self._array.release()
        self._program.release()
