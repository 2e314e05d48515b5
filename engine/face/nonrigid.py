"""Non-rigid registration of the canonical template to a foreign head, and what its surfaces tell about each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import trimesh
from trimesh.proximity import closest_point
from trimesh.registration import nricp_amberg, procrustes
from trimesh.triangles import points_to_barycentric

_LANDMARK_STEPS = ((0.02, 10, 0.5, 8), (0.02, 5, 0.5, 8), (0.01, 3, 0.3, 8), (0.005, 2, 0.1, 8), (0.002, 1, 0.0, 8))
_PULL_STEPS = (((0.02, 4, 0.2, 4), (0.008, 4, 0.0, 4)), ((0.008, 4, 0.1, 4), (0.003, 4, 0.0, 4)))
"""Smoothness, landmark weight, normal weight and iterations of each step (Amberg et al. 2007)."""


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
