"""Skin shaded a pixel at a time against the same picture shaded a triangle at a time, and what it needs one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.face.builtin import builtin_identity
from engine.project import Project, new_project
from engine.render.camera import Part4
from engine.render.context import is_software
from engine.render.frame import pack_frame
from engine.render.renderer import Renderer
from engine.render.upload import TABLE_WIDTH
from engine.scene import Camera, Environment, Lamp, LampKind, Scene, ToneCurve, View, ViewChannel
from tests.heads import make_expressions, make_head

from .conftest import Evaluate, Upload

SIZE = (640, 480)
TRIANGLE_GLSL = "common/triangle.glsl"
RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def person() -> Project:
    project = new_project(builtin_identity(0))
    return replace(project, expressions=make_expressions(project.identity, ("Jaw Open", "Dimpler")))


@pytest.fixture
def both(context: moderngl.Context, renderer: Renderer) -> Iterator[Renderer]:
    if not is_software(context):
        pytest.skip("a graphics card has no tables of vertices")
    yield renderer
    renderer.by_pixel = True


def drawn(
    renderer: Renderer, project: Project, by_pixel: bool, moving: bool = False, part: Part4 = (0, 0, *SIZE)
) -> np.ndarray:
    """(H, W, 4) uint8, row 0 at the bottom."""
    renderer.by_pixel = by_pixel
    context = renderer.context
    color, depth = context.renderbuffer(part[2:], 4), context.depth_renderbuffer(part[2:])
    target = context.framebuffer([color], depth)
    renderer.draw(project, target, SIZE, transparent=True, moving=moving, part=part)
    read = np.frombuffer(target.read(components=4), np.uint8).reshape(part[3], part[2], 4)
    renderer.idle.use()
    for made in (target, color, depth):
        made.release()
    return read


def scene(kind: str) -> Scene:
    close = Camera(distance_m=0.5, yaw_rad=0.4)
    if kind == "from below, into the neck":
        return Scene(View(Camera(pitch_rad=-1.2, distance_m=0.8)))
    if kind == "softbox and spot":
        box = Lamp(kind=LampKind.RECTANGLE, yaw_rad=-0.6, irradiance=2.0)
        spot = Lamp(kind=LampKind.SPOT, yaw_rad=1.2, irradiance=2.0)
        return Scene(View(close), Environment("Even", exposure_ev=-2.0), box, fill_lights=(spot,))
    if kind == "two lobes, AgX":
        return Scene(View(close), dual_specular=True, tone_curve=ToneCurve.AGX)
    if kind == "clay":
        return Scene(View(close, ViewChannel.GEOMETRY))
    return Scene(View(close, ViewChannel.SPECULAR_LIGHT))


@pytest.mark.parametrize(
    "kind", ["from below, into the neck", "softbox and spot", "two lobes, AgX", "clay", "specular light"]
)
def test_both_ways_draw_one_picture(both: Renderer, person: Project, kind: str) -> None:
    """But for outlines, where one way steps from a triangle to the next and the other does not."""
    project = replace(person, scene=scene(kind))
    found, expected = (drawn(both, project, by_pixel).astype(int) for by_pixel in (True, False))
    np.testing.assert_array_equal(found[..., 3], expected[..., 3])
    off = np.abs(found - expected).max(axis=2)
    shown = expected[..., 3] > 0
    assert shown.mean() > 0.1
    assert (off[shown] > 2).mean() < 0.03
    assert off[shown].mean() < 0.4


def test_a_dragged_slider_is_drawn_alike(both: Renderer, person: Project) -> None:
    """With changes that the shader applies itself."""
    project = replace(person, weights={"Jaw Open": 0.7, "Dimpler": 0.4})
    found, expected = (drawn(both, project, by_pixel, moving=True).astype(int) for by_pixel in (True, False))
    assert (np.abs(found - expected).max(axis=2) > 2).mean() < 0.005
    neutral = drawn(both, replace(project, weights={}), True).astype(int)
    assert (np.abs(found - neutral).max(axis=2) > 2).mean() > 0.02


def test_a_picture_does_not_depend_on_the_one_before(both: Renderer, person: Project) -> None:
    """To the last bit: beside outlines, pixels are compared with neighbours that nothing covers now."""
    first = drawn(both, person, True)
    drawn(both, replace(person, weights={"Jaw Open": 1.0}), True)
    np.testing.assert_array_equal(drawn(both, person, True), first)


def test_parts_fit_together(both: Renderer, person: Project) -> None:
    """A picture that is drawn in pieces: rays go through the pixels of the whole."""
    whole = drawn(both, person, True).astype(int)
    for part in ((230, 120, 64, 48), (294, 168, 80, 60)):
        left, bottom, width, height = part
        same = whole[bottom : bottom + height, left : left + width]
        assert (np.abs(drawn(both, person, True, part=part) - same).max(axis=2) > 1).mean() < 0.005


def test_only_what_is_clipped_is_drawn(both: Renderer, person: Project) -> None:
    both.by_pixel = True
    context = both.context
    color, depth = context.renderbuffer(SIZE, 4), context.depth_renderbuffer(SIZE)
    target = context.framebuffer([color], depth)
    target.clear(0.2, 0.4, 0.6, 1.0)
    both.draw(person, target, SIZE, clip=(320, 0, 320, 480))
    read = np.frombuffer(target.read(components=3), np.uint8).reshape(SIZE[1], SIZE[0], 3)
    both.idle.use()
    for made in (target, color, depth):
        made.release()
    assert (read[:, :320] == (51, 102, 153)).all()
    assert not (read[:, 320:] == (51, 102, 153)).all(axis=2).any()


# The functions of shaders/common/triangle.glsl


def rays(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(N, 3) each: from the first corner to the eye, two edges, and a ray that meets the plane."""
    edge_a, edge_b = RNG.normal(size=(2, count, 3)) * 0.01
    corner = RNG.normal(size=(count, 3)) * 0.05 + (0, 0, -0.6)
    share = RNG.uniform(0, 0.5, (count, 2))
    ray = corner + share[:, :1] * edge_a + share[:, 1:] * edge_b
    return -corner, edge_a, edge_b, ray * RNG.uniform(0.5, 3.0, (count, 1))


def test_shares_on_a_triangle(evaluate: Evaluate) -> None:
    """Against a linear system, and their steps against differences."""
    step_x, step_y = np.array([1e-3, 2e-4, 0.0]), np.array([-1e-4, 8e-4, 1e-4])
    for index in range(12):
        t, a, b, d = (values[0] for values in rays(1))
        call = ", ".join(f"vec3({v[0]:.9f}, {v[1]:.9f}, {v[2]:.9f})" for v in (a, b, d, step_x, step_y))

        def solved(ray: np.ndarray, t: np.ndarray = t, a: np.ndarray = a, b: np.ndarray = b) -> np.ndarray:
            return np.linalg.solve(np.stack([a, b, -ray], axis=1), t)[:2]

        call = f"x.xyz, {call}"
        row = np.array([[*t, 0.0]], np.float32)
        at = evaluate(TRIANGLE_GLSL, f"vec4(shares_on({call}).at, shares_on({call}).dx)", row)[0]
        dy = evaluate(TRIANGLE_GLSL, f"vec4(shares_on({call}).dy, shares_on({call}).facing, 0)", row)[0]
        facing = -np.dot(d, np.cross(a, b))
        if abs(facing) < 0.2 * np.linalg.norm(d) * np.linalg.norm(np.cross(a, b)):
            continue  # seen edge on, differences say little
        np.testing.assert_allclose(at[:2], solved(d), atol=2e-3, err_msg=str(index))
        small = 1e-4
        for found, step in ((at[2:], step_x), (dy[:2], step_y)):
            expected = (solved(d + small * step) - solved(d - small * step)) / (2 * small)
            np.testing.assert_allclose(found, expected, rtol=0.02, atol=1e-3)
        assert np.sign(dy[2]) == np.sign(facing)


def test_tables_are_rows_one_after_the_other(evaluate: Evaluate, upload: Upload) -> None:
    """Numbers go on in the next row where one ends."""
    values = np.arange(3 * TABLE_WIDTH * 4, dtype=np.float32).reshape(3, TABLE_WIDTH, 4)
    numbers = np.array([0, 1, 1023, 1024, 1025, 2047, 2048, 3071])
    inputs = np.repeat(numbers[:, None], 4, axis=1)
    found = evaluate(TRIANGLE_GLSL, "table(t_still, int(x.x))", inputs, {"t_still": upload(values, nearest=True)})
    np.testing.assert_array_equal(found, values.reshape(-1, 4)[numbers])


POINT_SIZE = 24, 16
"""Width and height in pixels."""
VERTICES = (511, 512, 1030)
"""Their texels are in three rows; the first ends a row and the second begins one."""
TRIANGLE = 1026
"""Its number, from 1: the second texel of the second row."""


def shares_at(clip: np.ndarray, x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(..., 3) shares of vertices (3, 4) in clip space, at window coordinates (`x`, `y`) in a picture of `size`.

    Olano and Greer 1997, "Triangle Scan Conversion using 2D Homogeneous Coordinates": without rays, without an eye."""
    ndc = 2 * x / size[0] - 1, 2 * y / size[1] - 1
    rows = [clip[:, axis] - ndc[axis][..., None] * clip[:, 3] for axis in (0, 1)]
    matrix = np.stack([*rows, np.ones_like(rows[0])], axis=-2)
    return np.linalg.solve(matrix, np.broadcast_to([[0.0], [0.0], [1.0]], (*x.shape, 3, 1)))[..., 0]


@pytest.mark.parametrize("part", [None, (300, 220, *POINT_SIZE)], ids=["whole", "part"])
@pytest.mark.parametrize("front", [True, False])
def test_a_point_of_a_triangle(evaluate: Evaluate, upload: Upload, part: Part4 | None, front: bool) -> None:
    """What a rasteriser interpolates in each pixel, perspective included, and what changes from a pixel to the next."""
    size = POINT_SIZE if part is None else SIZE
    width, height = POINT_SIZE
    camera = Camera(yaw_rad=0.4, pitch_rad=-0.2, distance_m=0.6)
    head = make_head(8, rings=3, segments=4)
    frame = pack_frame(Scene(View(camera)), head, size, (np.zeros(3), 0.15), [], False, part)
    to_clip = frame["clip_from_world"].T.astype(float)
    corners = np.array([[-0.04, -0.05, 0.06], [0.06, -0.03, -0.05], [0.01, 0.07, 0.01]])
    if not front:
        corners = corners[::-1]
    normals, uvs = RNG.normal(size=(3, 3)), RNG.uniform(size=(3, 2))
    still, sky, reach = RNG.uniform(size=(3, 2)), RNG.normal(size=(3, 4)), RNG.uniform(size=(3, 3))
    tables = {
        name: np.full((3, TABLE_WIDTH, 4), 1e6, np.float32) for name in ("t_corners", "t_moving", "t_still", "t_reach")
    }
    flat = {name: table.reshape(-1, 4) for name, table in tables.items()}
    flat["t_corners"][TRIANGLE - 1, :3] = VERTICES
    for number, vertex in enumerate(VERTICES):
        flat["t_moving"][2 * vertex] = *corners[number], normals[number, 0]
        flat["t_moving"][2 * vertex + 1, :2] = normals[number, 1:]
        flat["t_still"][2 * vertex] = *uvs[number], *still[number]
        flat["t_still"][2 * vertex + 1] = sky[number]
        flat["t_reach"][vertex, :3] = reach[number]
    samplers = {name: upload(table, nearest=True) for name, table in tables.items()}

    def found(call: str) -> np.ndarray:
        before = f"Point p = point_here({TRIANGLE});"
        return evaluate(TRIANGLE_GLSL, call, np.zeros((height, width, 4)), samplers, before=before, frame=frame)

    clip = np.concatenate([corners, np.ones((3, 1))], axis=1) @ to_clip.T
    j, i = np.mgrid[:height, :width] + 0.5

    def steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        small = 1e-3
        ends = [
            shares_at(clip, i + sign * dx * small, j + sign * dy * small, POINT_SIZE) @ values
            for dx, dy in ((1, 0), (0, 1))
            for sign in (1, -1)
        ]
        return (ends[0] - ends[1]) / (2 * small), (ends[2] - ends[3]) / (2 * small)

    shares = shares_at(clip, i, j, POINT_SIZE)
    seen = np.abs(shares).max(axis=-1) < 3  # far beside it nothing is asked
    assert seen.mean() > 0.3
    for call, values in {
        "vec4(p.position, 0)": corners,
        "vec4(p.normal, 0)": normals,
        "vec4(p.uv, p.still)": np.concatenate([uvs, still], axis=1),
        "p.sky": sky,
        "vec4(p.reach, 0)": reach,
    }.items():
        expected = (shares @ values)[seen]
        np.testing.assert_allclose(found(call)[seen][:, : values.shape[1]], expected, atol=2e-5, err_msg=call)
    of_position, of_uv = steps(corners), steps(uvs)
    for call, expected in {
        "vec4(p.step_x, 0)": of_position[0],
        "vec4(p.step_y, 0)": of_position[1],
        "vec4(p.uv_x, 0, 0)": of_uv[0],
        "vec4(p.uv_y, 0, 0)": of_uv[1],
    }.items():
        largest = np.abs(expected[seen]).max()
        values = found(call)[seen][:, : expected.shape[-1]]
        np.testing.assert_allclose(values, expected[seen], atol=1e-3 * largest, err_msg=call)
    window = clip[:, :2] / clip[:, 3:]
    (ax, ay), (bx, by) = window[1:] - window[0]
    assert (ax * by - ay * bx > 0) == front  # OpenGL: counterclockwise is the front
    np.testing.assert_array_equal(found("vec4(p.front)")[..., 0], float(front))
    edges = found("vec4(p.edge_a, p.uv_a.x)"), found("vec4(p.edge_b, p.uv_b.y)")
    np.testing.assert_allclose(edges[0][0, 0], [*(corners[1] - corners[0]), uvs[1, 0] - uvs[0, 0]], atol=1e-6)
    np.testing.assert_allclose(edges[1][0, 0], [*(corners[2] - corners[0]), uvs[2, 1] - uvs[0, 1]], atol=1e-6)


def test_level_of_detail(evaluate: Evaluate) -> None:
    """0 where a pixel is a texel, one more for each doubling, by the larger of the two directions."""
    steps = RNG.uniform(-0.01, 0.01, (200, 4)).astype(np.float32)
    found = evaluate(TRIANGLE_GLSL, "vec4(level_of_detail(x.xy, x.zw, vec2(512.0, 256.0)))", steps)[:, 0]
    texels = steps.reshape(-1, 2, 2) * (512, 256)
    np.testing.assert_allclose(found, np.log2(np.linalg.norm(texels, axis=2).max(axis=1)), atol=2e-3)


def test_same_surface(evaluate: Evaluate) -> None:
    """A jump of more than four steps in the plane is another surface."""
    inputs = np.array([[1.0, 0, 0, 0], [3.9, 0, 0, 0], [-4.1, 0, 0, 0], [0, 9.0, 0, 0]])
    found = evaluate(TRIANGLE_GLSL, "vec4(same_surface(x.xyz, vec3(0.0, 0.6, 0.8)))", inputs)[:, 0]
    np.testing.assert_array_equal(found, [1, 1, 0, 0])


def test_numbers_beyond_a_row_of_the_table(both: Renderer, person: Project) -> None:
    """The built-in head has many rows of vertices and triangles; its last triangles are drawn as its first are."""
    assert len(person.identity.topology.faces) > 2**15
    camera = Camera(yaw_rad=math.pi)
    project = replace(person, scene=Scene(View(camera)))
    found, expected = (drawn(both, project, by_pixel).astype(int) for by_pixel in (True, False))
    assert (np.abs(found - expected).max(axis=2) > 2).mean() < 0.005
