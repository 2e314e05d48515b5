"""Fits linearly transformed cosines to the GGX lobe and writes the table that lights from rectangles need.

    python -m scripts.ltc_fit [--out FILE]

Heitz, Dupuy, Hill and Neubelt 2016, "Real-Time Polygonal-Light Shading with Linearly Transformed Cosines": a clamped
cosine whose directions are multiplied by a matrix M takes nearly the shape of the lobe, and the light that a polygon
sends into it is that of the polygon, multiplied by the inverse of M, into a plain cosine. Only shapes are fitted here:
how strong the lobe is stands in the renderer's own table (shaders/dfg.frag). Reproducible; about a minute on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from engine.io.files import write_npy

TABLE = Path(__file__).parents[1] / "engine" / "render" / "ltc.npy"
SIZE = 64
LEAST_ROUGHNESS = 0.045
"""`MIN_ROUGHNESS` of shaders/lighting/ggx.glsl."""
_SIDE = 28
"""Squared: directions at which a fit is judged, from each of two lobes."""
_STEPS, _NUDGE = 25, 1e-4


def axes(size: int = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """(size,) alpha of the table's columns and (size,) cosines to the eye of its rows: perceptual roughness and
    sqrt(1 - cosine) grow in even steps from 0 to 1."""
    steps = np.arange(size) / (size - 1)
    return np.maximum(steps, LEAST_ROUGHNESS) ** 2, np.maximum(1 - steps**2, 1e-3)


def lobe(v: np.ndarray, directions: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """GGX with height-correlated Smith and no Fresnel, times the cosine: (...) at (..., 3) unit `directions`, the eye
    at (3,) `v`, over a surface that faces +Z; 0 below it."""
    h = v + directions
    h /= np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-9)
    a2, NoV, NoL = alpha**2, v[2], np.maximum(directions[..., 2], 1e-9)
    d = a2 / (np.pi * (h[..., 2] ** 2 * (a2 - 1) + 1) ** 2)
    masking = 0.5 / (NoL * np.sqrt(NoV**2 * (1 - a2) + a2) + NoV * np.sqrt(NoL**2 * (1 - a2) + a2))
    return np.where(directions[..., 2] > 0, d * masking * NoL, 0.0)


def transformed_cosine(directions: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The clamped cosine / pi whose directions were multiplied by (..., 3, 3) `matrix`, per steradian, at (..., N, 3)
    unit `directions` (Heitz et al. 2016, eq. 1)."""
    back = np.einsum("...ij,...nj->...ni", np.linalg.inv(matrix), directions)
    length = np.linalg.norm(back, axis=-1)
    return np.maximum(back[..., 2], 0) / (np.pi * length**4 * np.linalg.det(matrix)[..., None])


def _nodes(v: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(A, N, 3) directions that follow the lobes of (A,) `alpha`, half of them a wider one, and their densities."""
    at = (np.arange(_SIDE) + 0.5) / _SIDE
    u, turn = (each.ravel() for each in np.meshgrid(at, at, indexing="ij"))
    phi = 2 * np.pi * (turn + u * _SIDE * 0.618)
    directions = []
    lobes = alpha, np.minimum(1.6 * alpha + 0.06, 1.0)
    for each in lobes:
        cosine = np.sqrt((1 - u) / (1 + (each[:, None] ** 2 - 1) * u))
        sine = np.sqrt(1 - cosine**2)
        h = np.stack([sine * np.cos(phi), sine * np.sin(phi), cosine], -1)
        directions.append(2 * (h @ v)[..., None] * h - v)
    found = np.concatenate(directions, axis=1)
    h = v + found
    h /= np.maximum(np.linalg.norm(h, axis=-1, keepdims=True), 1e-9)
    density = np.zeros(found.shape[:2])
    for each in lobes:
        a2 = each[:, None] ** 2
        d = a2 / (np.pi * (h[..., 2] ** 2 * (a2 - 1) + 1) ** 2)
        density += 0.5 * d * np.abs(h[..., 2]) / np.maximum(4 * np.abs(h @ v), 1e-6)
    return found, density


def _matrices(shape: np.ndarray, middle: np.ndarray, straight: bool) -> np.ndarray:
    """(A, 3) logarithms of both widths and the shear -> (A, 3, 3), around (A, 3) mean directions in the plane y = 0.
    Seen from `straight` above, the lobe is round."""
    if straight:
        shape = shape[:, :1] * np.array([1.0, 1.0, 0.0])
    matrix = np.zeros((len(shape), 3, 3))
    matrix[:, 0, 0], matrix[:, 1, 1] = np.exp(shape[:, 0]), np.exp(shape[:, 1])
    matrix[:, 0, 2], matrix[:, 2, 2] = shape[:, 2], 1.0
    frame = np.zeros_like(matrix)
    frame[:, 0, 0] = frame[:, 2, 2] = middle[:, 2]
    frame[:, 2, 0], frame[:, 0, 2], frame[:, 1, 1] = -middle[:, 0], middle[:, 0], 1.0
    return frame @ matrix


def _fit_row(v: np.ndarray, alpha: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shapes (A, 3) and matrices (A, 3, 3) for one direction of the eye, from the shapes `start`."""
    directions, density = _nodes(v, alpha)
    wanted = lobe(v, directions, alpha[:, None])
    weight = 1 / np.maximum(density, 1e-9)
    wanted = wanted / (wanted * weight).mean(1, keepdims=True)
    middle = (directions * (wanted * weight)[..., None]).mean(1) * np.array([1.0, 0.0, 1.0])
    middle /= np.linalg.norm(middle, axis=1, keepdims=True)
    scale = wanted.max(1, keepdims=True)
    straight = v[2] > 1 - 1e-9

    def apart(shape: np.ndarray) -> np.ndarray:
        return (transformed_cosine(directions, _matrices(shape, middle, straight)) - wanted) / scale

    shape = start
    residual, damping = apart(shape), np.full(len(alpha), 1e-2)
    for _ in range(_STEPS):
        # |r|^3 is |r| r^2: a least-squares step with weights |r| (Levenberg and Marquardt, reweighted)
        slopes = np.stack([(apart(shape + step) - residual) / _NUDGE for step in _NUDGE * np.eye(3)], -1)
        weights = weight * np.abs(residual)
        normal = np.einsum("anp,an,anq->apq", slopes, weights, slopes)
        towards = np.einsum("anp,an,an->ap", slopes, weights, residual)
        held = np.einsum("app->ap", normal) * damping[:, None] + 1e-12
        change = np.linalg.solve(normal + held[:, :, None] * np.eye(3), -towards[..., None])[..., 0]
        tried = shape + np.clip(change, -0.5, 0.5)
        found = apart(tried)
        better = (weight * np.abs(found) ** 3).sum(1) < (weight * np.abs(residual) ** 3).sum(1)
        shape, residual = np.where(better[:, None], tried, shape), np.where(better[:, None], found, residual)
        damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-6, 1e6)
    return shape, _matrices(shape, middle, straight)


def fitted_table(size: int = SIZE) -> np.ndarray:
    """(size, size, 4) float16, rows by angle and columns by roughness (`axes`): of the inverse matrix, its middle
    scaled to 1, the entries (0, 0), (2, 0), (0, 2) and (2, 2); the eye lies in the plane of x and z."""
    alpha, cosines = axes(size)
    table = np.empty((size, size, 4), np.float16)
    shape = np.stack([np.log(alpha), np.log(alpha), 0 * alpha], -1)
    for row, cosine in enumerate(cosines):
        v = np.array([np.sqrt(1 - cosine**2), 0.0, cosine])
        shape, matrices = _fit_row(v, alpha, shape)
        inverse = np.linalg.inv(matrices)
        inverse /= inverse[:, 1:2, 1:2]
        table[row] = inverse[:, (0, 2, 0, 2), (0, 0, 2, 2)]
    return table


def main() -> None:
    """Fit, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=TABLE, help="file to write (default: where the program reads it)")
    parser.add_argument("--size", type=int, default=SIZE, help="side of the table (default %(default)s)")
    options = parser.parse_args()
    write_npy(options.out, fitted_table(options.size))


if __name__ == "__main__":
    main()
