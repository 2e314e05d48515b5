"""Baked visibility of the sky against scenes with known answers."""

from __future__ import annotations

from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.identity import Identity
from engine.mesh import vertex_normals
from engine.render.camera import bounds
from engine.render.environment import equirect_directions
from engine.render.occlusion import Visibility, bake_visibility, sphere_directions
from engine.render.passes import HeadPass
from engine.render.upload import MeshBuffers, split_mesh, vertex_curvature
from tests.heads import make_head


def baked(context: moderngl.Context, identity: Identity, points: tuple[np.ndarray, np.ndarray]) -> Visibility:
    head = HeadPass(context)
    mesh = MeshBuffers(context, identity, split_mesh(identity.topology))
    head.take(mesh)
    context.depth_func = "<="
    ball = bounds(identity.positions_m)
    seen = bake_visibility(context, head, identity, points, (ball.centre, ball.radius))
    head.release()
    mesh.release()
    return seen


def test_an_egg_sees_its_whole_sky(context: moderngl.Context) -> None:
    head = make_head(8, rings=32, segments=48)
    skin = slice(0, head.topology.head_vertex_count)
    normals = vertex_normals(head.positions_m, head.topology.faces)[skin]
    seen = baked(context, head, (head.positions_m[skin], normals))
    assert np.median(seen.ambient) > 0.99
    np.testing.assert_allclose(np.median(seen.sky[:, 3]), 0.5, atol=0.02)
    towards = (seen.sky[:, :3] * normals).sum(axis=1)
    assert np.median(towards) == pytest.approx(0.75, abs=0.05)


def test_under_a_roof_it_is_dark_and_light_comes_from_the_side(context: moderngl.Context) -> None:
    """A point on the ground beside a wall of spheres: here, just above the egg's crown, looking down at it."""
    head = make_head(8, rings=32, segments=48)
    points = np.array([[0.0, 0.124, 0.0], [0.0, 0.4, 0.0]]), np.array([[0.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    seen = baked(context, head, points)
    assert seen.ambient[0] < 0.25
    assert seen.ambient[1] > 0.99


def test_light_that_is_hidden_does_not_reach() -> None:
    """Half of the directions hidden, those with x > 0: red light comes from there, green from the other side."""
    directions = sphere_directions(400)
    hidden = np.broadcast_to(directions[:, 0] > 0, (2, 400)).astype(np.float32)
    seen = Visibility(hidden, np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]))
    world, _ = equirect_directions(32, 64)
    radiance = np.zeros((32, 64, 3), np.float32)
    radiance[..., 0] = world[..., 0] > 0.3
    radiance[..., 1] = world[..., 0] < -0.3
    radiance[..., 2] = 1.0
    np.testing.assert_allclose(seen.reach(radiance, 0.0), [[0, 1, 0.5]] * 2, atol=0.03)
    np.testing.assert_allclose(seen.reach(radiance, np.pi), [[1, 0, 0.5]] * 2, atol=0.03)


def test_reach_against_the_integral() -> None:
    """A cap of the sky hidden under a sky that grows brighter to one side, turned: the ratio of two integrals."""
    turn = 0.8
    world, areas = equirect_directions(64, 128)
    radiance = (1.5 + world[..., :1] + 0.3 * world[..., 1:2]) * np.array([1.0, 0.5, 2.0], np.float32)
    normal, axis = np.array([0.6, 0.0, 0.8]), np.array([1.0, 0.0, 0.0])
    seen = Visibility((sphere_directions(600) @ axis > 0.5)[None].astype(np.float32), normal[None])
    c, s = np.cos(turn), np.sin(turn)
    turned = world @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    weight = np.maximum(turned @ normal, 0) * areas
    visible = weight * (turned @ axis <= 0.5)
    expected = (visible[..., None] * radiance).sum((0, 1)) / (weight[..., None] * radiance).sum((0, 1))
    np.testing.assert_allclose(seen.reach(radiance, turn)[0], expected, atol=0.015)


def test_directions_are_even() -> None:
    directions = sphere_directions(64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=0.01)
    second = directions.T @ directions / 64
    np.testing.assert_allclose(second, np.eye(3) / 3, atol=0.01)


def test_curvature_of_a_ball() -> None:
    head = make_head(8, rings=32, segments=48)
    ball = replace(head, positions_m=head.positions_m)
    eye = head.topology.vertices_of("eye_left")  # a ball of 12 mm
    normals = vertex_normals(ball.positions_m, head.topology.faces)
    curvature = vertex_curvature(ball.positions_m, normals, head.topology.faces)[eye]
    assert np.median(curvature) == pytest.approx(1 / 0.012, rel=0.1)
