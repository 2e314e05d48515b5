from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.project import new_project
from engine.render.camera import clip_from_world, eye_position
from engine.scene import Camera, scene_with
from tests.heads import make_head
from viewer import orbit

moves = st.floats(-2000, 2000)
cameras = st.builds(
    Camera,
    target_m=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    distance_m=st.floats(0.2, 3.0),
    yaw_rad=st.floats(-3.1, 3.1),
    pitch_rad=st.floats(-1.5, 1.5),
)


@given(cameras, moves, moves)
def test_orbiting_keeps_target_and_distance_and_stays_off_the_poles(camera: Camera, dx: float, dy: float) -> None:
    turned = orbit.orbit(camera, dx, dy)
    assert turned.target_m == camera.target_m
    assert turned.distance_m == camera.distance_m
    assert abs(turned.pitch_rad) <= orbit.PITCH_LIMIT_RAD
    assert abs(turned.yaw_rad) <= math.pi


def test_dragging_right_turns_the_head_to_the_right_of_the_picture() -> None:
    camera = Camera()
    nose = np.array([0.0, 0.0, 0.1, 1.0])
    turned = clip_from_world(orbit.orbit(camera, 50, 0), (400, 300), np.zeros(3), 0.3) @ nose
    assert turned[0] / turned[3] > 0.01


@given(cameras, st.floats(-200, 200), st.floats(-200, 200))
def test_panning_moves_the_point_at_the_target_with_the_pointer(camera: Camera, dx: float, dy: float) -> None:
    size = (640, 480)
    matrix = clip_from_world(orbit.pan(camera, dx, dy, size[1]), size, np.zeros(3), 0.5)
    seen = matrix @ np.array([*camera.target_m, 1.0])
    x, y = seen[:2] / seen[3]
    assert (x * size[0] / 2, -y * size[1] / 2) == pytest.approx((dx, dy), abs=1e-3)


@given(cameras, st.floats(-50, 50))
def test_zoom_stays_in_range_and_comes_back(camera: Camera, notches: float) -> None:
    near = orbit.zoom(camera, notches)
    assert orbit.NEAREST_M <= near.distance_m <= orbit.FARTHEST_M
    if orbit.NEAREST_M < near.distance_m < orbit.FARTHEST_M:
        assert orbit.zoom(near, -notches).distance_m == pytest.approx(camera.distance_m)


@given(cameras, st.floats(0, 639), st.floats(0, 479))
def test_a_ray_goes_through_its_pixel(camera: Camera, x: float, y: float) -> None:
    origin, along = orbit.ray(camera, x, y, 640, 480)
    assert np.allclose(origin, eye_position(camera))
    seen = clip_from_world(camera, (640, 480), np.zeros(3), 0.5) @ np.array([*(origin + along), 1.0])
    assert seen[0] / seen[3] == pytest.approx((x + 0.5) / 320 - 1, abs=1e-6)
    assert seen[1] / seen[3] == pytest.approx(1 - (y + 0.5) / 240, abs=1e-6)


def test_the_point_under_the_pointer_is_on_the_near_side_of_the_head() -> None:
    head = make_head(rings=48, segments=64)
    camera = new_project(head).scene.view.camera
    origin, along = orbit.ray(camera, 200, 150, 400, 300)
    point = orbit.hit(head.positions_m, head.topology.faces, origin, along)
    assert point is not None
    assert point[2] > 0.09
    assert ((point / (0.08, 0.12, 0.10)) ** 2).sum() == pytest.approx(1.0, abs=0.02)
    corner = orbit.ray(camera, 0, 0, 400, 300)
    assert orbit.hit(head.positions_m, head.topology.faces, *corner) is None


def test_named_views_keep_the_lens_and_hold_the_head() -> None:
    project = new_project(make_head())
    wide = replace(project.scene.view.camera, vertical_fov_rad=math.radians(40))
    project = replace(project, scene=scene_with(project.scene, camera=wide))
    for name, yaw in orbit.VIEWS_RAD.items():
        camera = orbit.view(project, name)
        assert (camera.yaw_rad, camera.vertical_fov_rad) == (yaw, wide.vertical_fov_rad)
        assert camera.distance_m < new_project(project.identity).scene.view.camera.distance_m
