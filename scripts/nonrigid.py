"""Non-rigid registration of the canonical template to a foreign head, and what its surfaces tell about each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from trimesh.proximity import closest_point
from trimesh.registration import nricp_amberg, procrustes
from trimesh.triangles import points_to_barycentric

# the 68 Multi-PIE landmarks (Gross et al. 2010 numbering, 0 to 67), read off the layout: slit ends and lid margins
# exactly, brows, lips and nose by eye on the average of three textures, the jaw line from a first registration; then
# mirrored and averaged
_PIXELS_1024 = (
    (229.4, 352.6), (232.8, 422.0), (244.9, 490.7), (263.0, 559.8), (292.6, 634.6), (346.4, 696.1), (403.1, 710.3),
    (464.4, 708.0), (512.0, 716.7), (559.6, 708.0), (620.9, 710.3), (677.6, 696.1), (731.4, 634.6), (761.0, 559.8),
    (779.1, 490.7), (791.2, 422.0), (794.6, 352.6), (322.0, 314.0), (358.0, 301.0), (395.0, 293.0), (436.0, 291.0),
    (472.0, 300.0), (552.0, 300.0), (588.0, 291.0), (629.0, 293.0), (666.0, 301.0), (702.0, 314.0), (512.0, 366.7),
    (512.0, 406.4), (512.0, 437.5), (512.0, 468.7), (454.6, 517.6), (484.2, 519.3), (512.0, 523.0), (539.8, 519.3),
    (569.4, 517.6), (349.0, 383.5), (372.0, 382.0), (408.0, 380.7), (439.0, 382.0), (408.0, 382.7), (370.0, 384.2),
    (585.0, 382.0), (616.0, 380.7), (652.0, 382.0), (675.0, 383.5), (654.0, 384.2), (616.0, 382.7), (424.0, 593.6),
    (456.0, 567.0), (486.0, 557.5), (512.0, 559.0), (538.0, 557.5), (568.0, 567.0), (600.0, 593.6), (572.0, 616.0),
    (544.0, 626.0), (512.0, 629.5), (480.0, 626.0), (452.0, 616.0), (428.8, 593.9), (468.6, 577.0), (512.0, 577.7),
    (555.4, 577.0), (595.2, 593.9), (555.4, 591.8), (512.0, 605.3), (468.6, 591.8),
)  # fmt: skip
_LANDMARK_STEPS = ((0.02, 10, 0.5, 8), (0.02, 5, 0.5, 8), (0.01, 3, 0.3, 8), (0.005, 2, 0.1, 8), (0.002, 1, 0.0, 8))
_PULL_STEPS = (((0.02, 4, 0.2, 4), (0.008, 4, 0.0, 4)), ((0.008, 4, 0.1, 4), (0.003, 4, 0.0, 4)))
"""Smoothness, landmark weight, normal weight and iterations of each step (Amberg et al. 2007)."""


def canonical_landmarks_uv() -> np.ndarray:
    """(68, 2) float64 canonical UVs of the Multi-PIE landmarks, origin top-left."""
    return np.array(_PIXELS_1024) / 1024


@dataclass(frozen=True, eq=False, slots=True)
class SurfacePoints:
    """Points on a triangle mesh."""

    faces: np.ndarray
    """(N,) int64 triangle of each point."""
    weights: np.ndarray
    """(N, 3) float64 barycentric weights."""
    distance: np.ndarray
    """(N,) float64 how far the query was, in the mesh's unit."""


def register(
    template: trimesh.Trimesh,
    target: trimesh.Trimesh,
    template_landmarks: np.ndarray,
    target_landmarks: np.ndarray,
    pull: np.ndarray,
) -> np.ndarray:
    """(V, 3) positions of `template`'s vertices on `target`, in the target's unit and frame.

    Similarity by landmarks, then optimal-step non-rigid ICP (Amberg et al. 2007, trimesh's), then two rounds in which
    the `pull` points of the target, (N, 3), that lie off the result draw its surface to them: nearest-point search
    alone never reaches hollows such as nostrils.
    """
    unique, first = np.unique(template_landmarks, return_index=True)
    matrix, _, _ = procrustes(template.vertices[unique], target_landmarks[first], reflection=False)
    moved = template.copy()
    moved.apply_transform(matrix)
    moved.vertices = nricp_amberg(
        moved,
        target,
        source_landmarks=unique,
        target_positions=target_landmarks[first],
        distance_threshold=0.1,
        steps=_LANDMARK_STEPS,
    )
    for steps in _PULL_STEPS:
        points = nearest(moved, pull)
        limit = np.quantile(points.distance, 0.8)
        order = np.random.default_rng(0).permutation(len(pull))
        far = order[points.distance[order] > limit][:1500]
        near = order[points.distance[order] <= limit][:1500]
        chosen = np.concatenate([far, near])
        moved.vertices = nricp_amberg(
            moved,
            target,
            source_landmarks=(points.faces[chosen], points.weights[chosen]),
            target_positions=pull[chosen],
            distance_threshold=0.1,
            steps=steps,
        )
    return np.asarray(moved.vertices)


def nearest(mesh: trimesh.Trimesh, points: np.ndarray, allowed: np.ndarray | None = None) -> SurfacePoints:
    """Closest points of `mesh` to (N, 3) `points`, on the faces that the (F,) mask `allowed` leaves."""
    searched = mesh if allowed is None else mesh.submesh([np.flatnonzero(allowed)], append=True, repair=False)
    assert isinstance(searched, trimesh.Trimesh)
    on_surface, distance, face = closest_point(searched, points)
    weights = np.nan_to_num(points_to_barycentric(searched.triangles[face], on_surface), nan=1 / 3).clip(0, 1)
    weights /= weights.sum(axis=1, keepdims=True)
    number = face if allowed is None else np.flatnonzero(allowed)[face]
    return SurfacePoints(number, weights, distance)
