"""compose: the CPU reference of what the renderer blends on the GPU, and what exports bake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.expression import LOG_FLOOR, ExpressionSet
from engine.identity import Identity, ReflectanceMaps
from engine.image import resize_bilinear
from engine.mesh import vertex_normals


@dataclass(frozen=True, eq=False, slots=True)
class Surface:
    """A head as it stands: positions, normals, maps."""

    positions_m: np.ndarray
    """(V, 3) float32 metres."""
    normals: np.ndarray
    """(V, 3) float32 unit."""
    maps: ReflectanceMaps


def compose(identity: Identity, expressions: ExpressionSet, weights: Mapping[str, float]) -> Surface:
    """Blend `expressions` by `weights` onto `identity`; zero weights give the neutral exactly.

    Positions and slopes are linear in the weights; albedo and specular multiply (see `ReflectanceChange`). Changes are
    sampled bilinearly at the neutral's texel centres. Clamped once, after the sum. Names without an expression raise
    VocabularyError.
    """
    active = {name: weight for name, weight in weights.items() if weight != 0.0}
    positions = compose_positions(identity, expressions, active)
    normals = vertex_normals(positions, identity.topology.faces)
    return Surface(positions, normals, compose_maps(identity.maps, expressions, active))


def compose_positions(identity: Identity, expressions: ExpressionSet, weights: Mapping[str, float]) -> np.ndarray:
    """(V, 3) float32 metres: neutral plus weighted offsets."""
    positions = identity.positions_m
    for name, weight in weights.items():
        positions = positions + np.float32(weight) * expressions[name].offsets_m
    return positions


def compose_maps(neutral: ReflectanceMaps, expressions: ExpressionSet, weights: Mapping[str, float]) -> ReflectanceMaps:
    """`neutral` with the weighted changes applied, at the neutral's own size."""
    if not weights:
        return neutral
    log_diffuse = log_specular = roughness = slope = np.float32(0.0)
    for name, weight in weights.items():
        change = expressions[name].change
        log_diffuse = log_diffuse + weight * resize_bilinear(change.log_diffuse, neutral.size)
        log_specular = log_specular + weight * resize_bilinear(change.log_specular, neutral.size)
        roughness = roughness + weight * resize_bilinear(change.roughness, neutral.size)
        slope = slope + weight * resize_bilinear(change.slope, neutral.size)
    albedo = (linear_from_srgb(neutral.diffuse_srgb) + LOG_FLOOR) * np.exp(log_diffuse) - LOG_FLOOR
    specular = (neutral.specular_data / np.float32(255) + LOG_FLOOR) * np.exp(log_specular) - LOG_FLOOR
    return ReflectanceMaps(
        bytes_from_unit(srgb_from_linear(albedo)),
        bytes_from_unit(specular),
        bytes_from_unit(neutral.roughness_data / np.float32(255) + roughness),
        (neutral.slope + slope).astype(np.float16),
    )
