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
    scaled = np.asarray(np.asarray(values, np.float32) * 255.0)
    np.rint(scaled, out=scaled)  # in place: at 4k each copy is 200 MB
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


SEQUENTIAL_SRGB = np.array(
    [[0.267, 0.005, 0.329], [0.230, 0.322, 0.546], [0.128, 0.567, 0.551], [0.369, 0.789, 0.383], [0.993, 0.906, 0.144]],
    np.float32,
)
"""Viridis at five even stops, sRGB: dark is little, yellow is much. Smith and van der Walt 2015 (CC0)."""
DIVERGING_SRGB = np.array(
    [[0.230, 0.299, 0.754], [0.553, 0.689, 0.995], [0.865, 0.865, 0.865], [0.958, 0.603, 0.482], [0.706, 0.016, 0.150]],
    np.float32,
)
"""Cool to warm at five even stops, sRGB: grey is zero, blue below, red above. Moreland 2009, "Diverging Color Maps for
Scientific Visualization"."""


def scale_colors(t: np.ndarray, stops_srgb: np.ndarray) -> np.ndarray:
    """(...) positions on a colour scale, clipped to 0..1 -> (..., 3) float32 sRGB between its (N, 3) even stops."""
    at = np.clip(np.asarray(t, np.float32), 0.0, 1.0)
    places = np.linspace(0.0, 1.0, len(stops_srgb))
    return np.stack([np.interp(at, places, stops) for stops in stops_srgb.T], axis=-1).astype(np.float32)


COOLEST_K, HOTTEST_K = 2000.0, 12000.0
"""Temperatures whose light `blackbody_linear` gives and `blackbody_temperature` tells."""


def blackbody_linear(temperature_k: np.ndarray | float) -> np.ndarray:
    """(..., 3) linear Rec. 709 of the light of black bodies of (...) kelvin, the largest part 1.

    Chromaticity: Kim, Cha, Kim, Kim and Han 2002, "Design of Advanced Color Temperature Control System for HDTV
    Applications", from 1667 to 25000 K.
    """
    k = np.clip(np.asarray(temperature_k, np.float64), 1667.0, 25000.0)
    cool = np.polyval([-0.2661239e9, -0.2343589e6, 0.8776956e3, 0.179910], 1 / k)
    x = np.where(k <= 4000, cool, np.polyval([-3.0258469e9, 2.1070379e6, 0.2226347e3, 0.240390], 1 / k))
    y = np.select(
        [k <= 2222, k <= 4000],
        [
            np.polyval([-1.1063814, -1.34811020, 2.18555832, -0.20219683], x),
            np.polyval([-0.9549476, -1.37418593, 2.09137015, -0.16748867], x),
        ],
        np.polyval([3.0817580, -5.87338670, 3.75112997, -0.37001483], x),
    )
    xyz = np.stack([x / y, np.ones_like(x), (1 - x - y) / y], -1)
    matrix = np.array(
        [(3.2404542, -1.5371385, -0.4985314), (-0.9692660, 1.8760108, 0.0415560), (0.0556434, -0.2040259, 1.0572252)]
    )
    linear = np.maximum(xyz @ matrix.T, 0.0)
    return linear / linear.max(-1, keepdims=True)


def blackbody_temperature(color_linear: np.ndarray) -> float:
    """The temperature in kelvin, to the nearest ten, whose light has as much red to its blue as (3,) `color_linear`."""
    kelvin = 1 / np.linspace(1 / COOLEST_K, 1 / HOTTEST_K, 400)
    bodies = blackbody_linear(kelvin)
    red, _, blue = np.maximum(color_linear, 1e-6)
    share = np.log(bodies[:, 2] / bodies[:, 0])  # grows with the temperature
    return float(np.round(1 / np.interp(np.log(blue / red), share, 1 / kelvin), -1))
