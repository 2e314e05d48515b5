"""Light stage: a rig of lamps around the head, and any mixture of them, as light that the renderer knows.

One lamp at a time or a few are directional lights with shadows, so that pictures add up as light does. Of many lamps
only those that outshine the others are; the rest become small discs in a picture of radiance, and light as an
environment does. Debevec et al. 2000, "Acquiring the Reflectance Field of a Human Face".
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from engine.color import luminance
from engine.io.rig import read_rig
from engine.render.environment import changed_at, equirect_directions, equirect_radiance
from engine.render.sources import MOST_LIGHTS, LightSource, triple
from engine.scene import Environment, LightStage, Scene, StageMode

LAMP_IRRADIANCE = 3.0
"""On a surface that faces a lamp of intensity 1, at 0 EV."""
LAMP_RADIUS_RAD = math.radians(3.0)
"""Half the angle that a lamp fills: 10 cm seen from 1 m."""
_SOFTNESS_M = 0.003
"""Width of the edge of its shadow: what 3 cm, a nose or a brow, cast under such an angle."""
_SHARE = 0.1
"""Among many, a lamp that gives this share of all the light casts a shadow of its own."""
_AXES = {
    StageMode.GRADIENT_X: (0, 1.0),
    StageMode.GRADIENT_Y: (1, 1.0),
    StageMode.GRADIENT_Z: (2, 1.0),
    StageMode.COMPLEMENT_X: (0, -1.0),
    StageMode.COMPLEMENT_Y: (1, -1.0),
    StageMode.COMPLEMENT_Z: (2, -1.0),
}


class StageLight(NamedTuple):
    """A lit light stage, in the rig's own directions."""

    lights: tuple[LightSource, ...]
    """Lamps with a shadow each, at most `MOST_LIGHTS`, brightest first."""
    radiance: np.ndarray | None
    """(H, W, 3) float32 linear, equirectangular: the other lamps; None where there are none."""


@lru_cache(maxsize=1)
def geodesic_rig() -> np.ndarray:
    """(156, 3) float64 unit vectors: the built-in rig, ring by ring from the top.

    A lamp on every vertex and every middle of an edge of an icosahedron that was divided once, 162, without the lowest
    vertex and the five edges that meet there, where the person stands. 156 is the number of lamps of Light Stages 3 and
    5 (Debevec et al. 2002, "A Lighting Reproduction Approach to Live-Action Compositing"; Wenger et al. 2005,
    "Performance Relighting and Reflectance Transformation"); the layout is ours, not measured from theirs.
    """
    low = math.atan(0.5)
    ring = 2 * math.pi * np.arange(5) / 5
    upper = np.stack([np.sin(ring) * math.cos(low), np.full(5, math.sin(low)), np.cos(ring) * math.cos(low)], 1)
    points = np.concatenate([[[0.0, 1.0, 0.0]], upper, -upper, [[0.0, -1.0, 0.0]]])
    for _ in range(2):  # a division, and the middles of the edges that it made
        points = np.concatenate([points, _edge_middles(points)])
    lowest = points[:, 1].argmin()
    points = np.delete(points, [lowest, *np.argsort(-(points @ points[lowest]))[1:6]], axis=0)
    rounded = np.round(points, 9)
    return points[np.lexsort((np.arctan2(rounded[:, 0], rounded[:, 2]), -rounded[:, 1]))]


def _edge_middles(points: np.ndarray) -> np.ndarray:
    """Middles of the edges of the triangulation of a convex, nearly regular set of unit vectors, on the sphere."""
    from scipy.spatial import ConvexHull  # late, here and below: no start needs it

    faces = ConvexHull(points).simplices
    edges = np.unique(np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    middles = points[edges].sum(axis=1)
    return middles / np.linalg.norm(middles, axis=1, keepdims=True)


def lamp_directions(stage: LightStage) -> np.ndarray:
    """(N, 3) float64 unit vectors to the lamps, in the rig's own directions; FileFormatError for a broken file."""
    return _rig(stage.rig, changed_at(stage.rig)) if stage.rig else geodesic_rig()


@lru_cache(maxsize=8)
def _rig(path: str, changed: int) -> np.ndarray:
    return read_rig(path)


def lamp_irradiance(scene: Scene) -> np.ndarray:
    """(N, 3) float64 linear RGB irradiance of each lamp of the scene's stage on what faces it, at the stage's 0 EV.

    One lamp and mixtures count in units of `LAMP_IRRADIANCE`. Full-on and the gradients are scaled by 4 / N, so that
    an even rig lights any surface as brightly, full-on, as one lamp does; a gradient and its complement add up to
    full-on. FileFormatError for a broken rig or environment.
    """
    return _lit(*stage_key(scene))[0]


def stage_light(scene: Scene) -> StageLight:
    """What the renderer draws for the scene's stage, the stage's own rotation and exposure left out;
    see `engine.scene.staged`.

    FileFormatError as `lamp_irradiance`.
    """
    return _lit(*stage_key(scene))[1]


def stage_radiance(scene: Scene) -> np.ndarray:
    """(H, W, 3) float32 linear, equirectangular: all lamps as discs, for a picture that converges; errors as above."""
    directions, irradiance = lamp_directions(scene.stage), lamp_irradiance(scene)
    return _discs(directions, irradiance)


def stage_key(scene: Scene) -> tuple[LightStage, Environment | None, int, int]:
    """What decides about `stage_light`, with the times at which files changed: equal where the light is the same."""
    stage = replace(scene.stage, rotation_rad=0.0, exposure_ev=0.0, enabled=True)
    if stage.mode is not StageMode.ENVIRONMENT:
        return stage, None, changed_at(stage.rig), 0
    turn = scene.environment.rotation_rad - scene.stage.rotation_rad
    environment = Environment(scene.environment.name, rotation_rad=turn)
    return stage, environment, changed_at(stage.rig), changed_at(environment.name)


@lru_cache(maxsize=16)
def _lit(stage: LightStage, environment: Environment | None, *changed: int) -> tuple[np.ndarray, StageLight]:
    directions = lamp_directions(stage)
    if environment is None:
        irradiance = intensities(stage, directions) * LAMP_IRRADIANCE
    else:
        irradiance = _shown(environment, directions)
    irradiance.flags.writeable = False
    return irradiance, _split(directions, irradiance)


def intensities(stage: LightStage, directions: np.ndarray) -> np.ndarray:
    """(N, 3) RGB intensities of the (N, 3) lamps in any mode but ENVIRONMENT.

    The gradients are (1 + w) / 2 over a coordinate w of the direction, their complements (1 - w) / 2: Ma et al. 2007,
    "Rapid Acquisition of Specular and Diffuse Normal Maps from Polarized Spherical Gradient Illumination", and
    Wilson et al. 2010, "Temporal Upsampling of Performance Geometry Using Photometric Alignment".
    """
    count = len(directions)
    result = np.zeros((count, 3))
    if stage.mode is StageMode.ONE:
        result[stage.lamp % count] = 1.0
    elif stage.mode is StageMode.MIXTURE:
        given = np.asarray(stage.mixture_linear, np.float64).reshape(-1, 3)[:count]
        result[: len(given)] = given
    elif stage.mode is StageMode.FULL:
        result[:] = 4.0 / count
    else:
        axis, sign = _AXES[stage.mode]
        result[:] = (2.0 / count) * (1.0 + sign * directions[:, axis, None])
    return result


def _shown(environment: Environment, rig: np.ndarray) -> np.ndarray:
    """(N, 3) irradiance of lamps that show the environment, turned by its rotation, at 0 EV."""
    radiance = equirect_radiance(environment.name)
    directions, solid_angles = equirect_directions(*radiance.shape[:2])
    cosine, sine = math.cos(environment.rotation_rad), math.sin(environment.rotation_rad)
    x, y, z = np.moveaxis(directions, -1, 0)
    turned = np.stack([cosine * x + sine * z, y, cosine * z - sine * x], axis=-1)
    return projected(radiance, turned, solid_angles, rig)


def projected(radiance: np.ndarray, directions: np.ndarray, solid_angles: np.ndarray, rig: np.ndarray) -> np.ndarray:
    """(N, 3) float64: each lamp takes all light that comes from nearer to it than to any other, its Voronoi cell.

    radiance (H, W, 3) linear, directions (H, W, 3) unit, solid_angles (H, W), rig (N, 3). The sum over the lamps is the
    sum of radiance times solid angle. Debevec et al. 2002, section 3.
    """
    from scipy.spatial import KDTree

    nearest = KDTree(rig).query(directions.reshape(-1, 3))[1]
    light = (radiance * solid_angles[..., None]).reshape(-1, 3)
    return np.stack([np.bincount(nearest, light[:, channel], len(rig)) for channel in range(3)], axis=1)


def _split(directions: np.ndarray, irradiance: np.ndarray) -> StageLight:
    """Lamps with shadows, and the picture of the others."""
    strength = luminance(irradiance)
    order = np.argsort(-strength, kind="stable")
    lit = order[strength[order] > 0]
    own = lit[:MOST_LIGHTS]
    if len(lit) > MOST_LIGHTS:
        own = own[strength[own] >= _SHARE * strength.sum()]
    rest = lit[len(own) :]
    lights = [
        LightSource(triple(directions[lamp]), triple(irradiance[lamp]), LAMP_RADIUS_RAD, _SOFTNESS_M) for lamp in own
    ]
    return StageLight(tuple(lights), _discs(directions[rest], irradiance[rest]) if len(rest) else None)


def _discs(directions: np.ndarray, irradiance: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32 radiance of lamps as even discs that give (N, 3) `irradiance` to what faces them."""
    tree, solid_angles, size = _texels()
    chord = 2 * math.sin(LAMP_RADIUS_RAD / 2)
    picture = np.zeros((len(solid_angles), 3))
    for covered, light in zip(tree.query_ball_point(directions, chord), irradiance, strict=True):
        picture[covered] += light / solid_angles[covered].sum()
    return picture.reshape(*size, 3).astype(np.float32)


@lru_cache(maxsize=1)
def _texels() -> tuple[Any, np.ndarray, tuple[int, int]]:
    """A KDTree of the directions of a picture's texels, their solid angles (H W,), and its size."""
    from scipy.spatial import KDTree

    size = 256, 512  # 9 texels across a disc
    directions, solid_angles = equirect_directions(*size)
    return KDTree(directions.reshape(-1, 3)), solid_angles.ravel().astype(np.float64), size
