"""Colour encodings. Linear values are scene-referred with Rec. 709 primaries; sRGB is never a gamma of 2.2."""

from __future__ import annotations

import numpy as np

_DECODE = np.arange(256, dtype=np.float32) / 255.0
_DECODE = np.where(_DECODE <= 0.04045, _DECODE / 12.92, ((_DECODE + 0.055) / 1.055) ** 2.4).astype(np.float32)
_DECODE.flags.writeable = False


def linear_from_srgb(values: np.ndarray) -> np.ndarray:
    """Decode sRGB (IEC 61966-2-1) to linear float32: uint8 0..255, or floats 0..1, of any shape."""
    if values.dtype == np.uint8:
        return _DECODE[values]
    encoded = np.asarray(values, np.float32)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.0) + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


def srgb_from_linear(values: np.ndarray) -> np.ndarray:
    """Encode linear floats as sRGB floats (IEC 61966-2-1), clipped to 0..1, same shape, float32."""
    linear = np.clip(np.asarray(values, np.float32), 0.0, 1.0)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def luminance(linear: np.ndarray) -> np.ndarray:
    """(..., 3) linear Rec. 709 -> (...) relative luminance (IEC 61966-2-1)."""
    return linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)


def bytes_from_unit(values: np.ndarray) -> np.ndarray:
    """Round floats 0..1 to uint8 0..255, clipped, same shape."""
    return np.clip(np.rint(np.asarray(values, np.float32) * 255.0), 0, 255).astype(np.uint8)
