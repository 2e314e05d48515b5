"""The one table of maps: what each map of a face is called, how it is stored, and how expressions change it.

What an expression changes is one array (H, W, `CHANNELS`); each row of the table has its slice of it. A further map is
one row here and its array in `engine.identity.ReflectanceMaps`: blending, saving, names of files and the texture of
changes follow the table; `docs/structure.md` says what does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.image import normal_bytes_from_slope

LOG_FLOOR = 0.02
"""Added to albedo and specular before the ratio: keeps nostrils and brows finite (unlike a division by 1e-8)."""
STEEPEST = 256.0
"""Largest slope of a map, and change of one; a normal of 8 bits is less steep than 10."""


class Encoding(StrEnum):
    """How a map is stored in memory."""

    SRGB = "sRGB in 8 bits"
    LINEAR = "linear in 8 bits"
    SLOPE = "tangent-space slopes in half floats"
    """Files hold normals."""


class Blend(StrEnum):
    """How a change c by weight w is applied to a map's value n in linear light."""

    LOG_RATIO = "(n + LOG_FLOOR) exp(w c) - LOG_FLOOR"
    """Li et al. 2025, "TexTalker"."""
    DIFFERENCE = "n + w c"
    """For slopes: Barre-Brisebois and Hill 2012, "Blending in Detail"."""


@dataclass(frozen=True, slots=True)
class FaceMap:
    """One row of the table."""

    name: str
    """To people, on the command line and in files."""
    field: str
    """In `ReflectanceMaps`, with its encoding or unit."""
    change: str
    """Of its part of a `ReflectanceChange`, and in the shaders' `Change`."""
    channels: slice
    """Of a change."""
    encoding: Encoding
    blend: Blend
    unit: str
    """Of the change."""
    even: int = 0
    """What is stored in every texel for a head that came without this map."""
    largest: float = 16.0
    """Size of a change, at most; black to white is a log ratio of 3.9."""

    @property
    def file(self) -> str:
        """Name of its file in a person folder."""
        return f"{self.name}.png"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a texel: () where it has one channel."""
        count = self.channels.stop - self.channels.start
        return (count,) if count > 1 else ()

    @property
    def dtype(self) -> type[np.generic]:
        """In memory."""
        return np.float16 if self.encoding is Encoding.SLOPE else np.uint8

    def blank(self, size: tuple[int, ...]) -> np.ndarray:
        """The `even` map of (H, W) `size`."""
        return np.full((*size, *self.shape), self.even, self.dtype)

    def pixels(self, image: np.ndarray) -> np.ndarray:
        """An image as it is stored -> (H, W[, 3]) uint8 as files hold it."""
        return normal_bytes_from_slope(image) if self.encoding is Encoding.SLOPE else image

    def of(self, packed: np.ndarray) -> np.ndarray:
        """This map's part of (H, W, `CHANNELS`), a view (H, W[, C])."""
        part = packed[..., self.channels]
        return part if self.shape else part[..., 0]

    def decoded(self, image: np.ndarray) -> np.ndarray:
        """An image as it is stored -> float32 in linear light."""
        if self.encoding is Encoding.SRGB:
            return linear_from_srgb(image)
        return np.asarray(image, np.float32) / np.float32(255) if self.encoding is Encoding.LINEAR else image

    def encoded(self, values: np.ndarray) -> np.ndarray:
        """The inverse of `decoded`; clips to what the encoding holds."""
        if self.encoding is Encoding.SLOPE:
            return np.asarray(values, np.float16)
        return bytes_from_unit(srgb_from_linear(values) if self.encoding is Encoding.SRGB else values)

    def changed(self, image: np.ndarray, change: np.ndarray) -> np.ndarray:
        """An image as it is stored and a weighted change of it, float32 -> the changed one, as it is stored."""
        value = self.decoded(image)
        if self.blend is Blend.LOG_RATIO:
            return self.encoded((value + np.float32(LOG_FLOOR)) * np.exp(change) - np.float32(LOG_FLOOR))
        return self.encoded(value + change)

    def additive(self, image: np.ndarray) -> np.ndarray:
        """An image as it is stored -> float32 values whose difference is a change of full weight."""
        if image.dtype == np.uint8:
            levels = self.decoded(np.arange(256, dtype=np.uint8))
            return (np.log(levels + np.float32(LOG_FLOOR)) if self.blend is Blend.LOG_RATIO else levels)[image]
        return image.astype(np.float32)


MAPS: tuple[FaceMap, ...] = (
    FaceMap("diffuse", "diffuse_srgb", "log_diffuse", slice(0, 3), Encoding.SRGB, Blend.LOG_RATIO, "ln"),
    FaceMap("specular", "specular_data", "log_specular", slice(3, 6), Encoding.LINEAR, Blend.LOG_RATIO, "ln", 37),
    FaceMap("roughness", "roughness_data", "roughness", slice(6, 7), Encoding.LINEAR, Blend.DIFFERENCE, "1", 117),
    FaceMap("normal", "slope", "slope", slice(7, 9), Encoding.SLOPE, Blend.DIFFERENCE, "tangent", 0, STEEPEST),
)
"""In the order of the channels, on which models are trained. Even specular means F0 0.028, even roughness is what
the program paints on average."""
MAP_NAMES = tuple(each.name for each in MAPS)
CHANNELS = MAPS[-1].channels.stop
CHANGE_TILES = -(-CHANNELS // 4)
"""Pictures of four channels that hold a change on the GPU."""
MODEL_MAPS = DIFFUSE, SPECULAR, ROUGHNESS, NORMAL = MAPS[:4]
MODEL_CHANNELS = NORMAL.channels.stop
"""The published layout, which today's models read and make; such a change leaves maps after these as they are."""
LOG_RATIOS = slice(0, SPECULAR.channels.stop)
"""Of the channels that models make, those that are log ratios."""
