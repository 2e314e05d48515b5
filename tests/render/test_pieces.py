"""The fine picture of the window on a software rasteriser: drawn in pieces of bounded work, it is one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import moderngl
import numpy as np
import pytest

from engine.project import Project, new_project
from engine.render import targets
from engine.render.renderer import Renderer
from engine.render.scatter import Quality
from engine.render.targets import LEAST_PIXELS, MOST_PIXELS, PIECE_S, Frame, Pace, Piece, Target
from engine.scene import ViewChannel, scene_with
from tests.heads import make_expressions, make_head
from tests.wall import wall

SIZE = (200, 150)
Draw = Callable[..., tuple[np.ndarray, list[Piece]]]


class Steady(Pace):
    """So many pixels a piece, whatever it takes."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        self.most = pixels

    def pixels(self, kind: Target) -> int:
        return self.most


@pytest.fixture
def project() -> Project:
    head = make_head(size=64, rings=30, segments=40)
    start = new_project(head)
    near = replace(start.scene.view.camera, distance_m=0.6 * start.scene.view.camera.distance_m, yaw_rad=0.4)
    scene = scene_with(start.scene, camera=near)
    return replace(start, expressions=make_expressions(head), weights={"Jaw Open": 0.7, "Brows Up": 0.4}, scene=scene)


@pytest.fixture
def draw(renderer: Renderer, context: moderngl.Context) -> Iterator[Draw]:
    """(H, W, 3) int of a project, and the pieces it was drawn in; what was in the target is red."""
    frame = Frame(context, jittered=True)
    color, depth = context.renderbuffer(SIZE, 4, dtype="f2"), context.depth_renderbuffer(SIZE)
    target, plain = context.framebuffer([color], depth), context.simple_framebuffer(SIZE, 4, dtype="f2")

    def in_pieces(project: Project, pixels: int, **how) -> tuple[np.ndarray, list[Piece]]:
        target.clear(1.0, 0.0, 0.0, 1.0)
        pieces = list(renderer.draw_in_pieces(project, target, SIZE, frame, Steady(pixels), **how))
        context.copy_framebuffer(plain, target)
        read = np.frombuffer(plain.read(components=3, dtype="f4"), np.float32).reshape(SIZE[1], SIZE[0], 3)
        return np.rint(read * 255).astype(int), pieces

    yield in_pieces
    renderer.idle.use()
    for owned in (target, plain, color, depth, frame):
        owned.release()


def multisampled(renderer: Renderer, project: Project) -> np.ndarray:
    """The same with four samples a pixel, at once."""
    context = renderer.context
    buffers = context.renderbuffer(SIZE, 4, samples=4), context.depth_renderbuffer(SIZE, samples=4)
    target, plain = context.framebuffer([buffers[0]], buffers[1]), context.simple_framebuffer(SIZE, 4)
    renderer.draw(project, target, SIZE, quality=Quality.STILL)
    context.copy_framebuffer(plain, target)
    read = np.frombuffer(plain.read(components=3), np.uint8).reshape(SIZE[1], SIZE[0], 3).astype(int)
    renderer.idle.use()
    for owned in (target, plain, *buffers):
        owned.release()
    return read


KINDS = {
    "shaded": {},
    "diffuse light": {"channel": ViewChannel.DIFFUSE_LIGHT},
    "clay": {"channel": ViewChannel.GEOMETRY},
    "a map": {"channel": ViewChannel.ROUGHNESS},
    "wires": {"wireframe": True},
    "flat": {"uv_view": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_make_the_picture_that_is_drawn_at_once(draw: Draw, renderer: Renderer, project: Project, kind) -> None:
    project = replace(project, scene=scene_with(project.scene, **KINDS[kind]))
    whole, few = draw(project, 1 << 30)
    parts, many = draw(project, 1700)
    np.testing.assert_array_equal(parts, whole)  # no seam
    assert len(many) > 3 * len(few)
    at_once = multisampled(renderer, project)
    off = np.abs(whole - at_once).max(axis=2)
    if kind == "wires":  # lines of one sample are as wide along an axis, those of many across themselves
        assert abs(whole.mean() - at_once.mean()) < 2
        assert (off > 16).mean() < 0.12
    else:
        assert off.mean() < 0.8
        assert (off > 1).mean() < 0.08
        assert (off > 16).mean() < 0.003


def test_no_piece_does_more_than_its_share(draw: Draw, project: Project) -> None:
    """Work is counted in pixels, not by the clock: samples of the head, taps of the blur, texels of the maps."""
    for number, kind in enumerate(KINDS):
        shown = replace(project, scene=scene_with(project.scene, **KINDS[kind]))
        _, pieces = draw(replace(shown, weights={"Jaw Open": 0.2 + 0.1 * number}), 1700)
        assert max(piece.pixels for piece in pieces) <= 1700, kind
        # positions, pose, shadows, thickness, sum, mip levels of three
        assert sum(piece.pixels == 0 for piece in pieces) <= 8
        done = {target: sum(piece.pixels for piece in pieces if piece.kind is target) for target in Target}
        area = SIZE[0] * SIZE[1]
        assert done[Target.MAPS] == 64 * 64
        if kind in ("shaded", "diffuse light", "wires"):
            head = done[Target.ACROSS]
            assert 0.2 * area < head < area
            assert (done[Target.LIGHT], done[Target.SPREAD]) == (4 * head, head)
        assert done[Target.PICTURE] == (1 if kind in ("shaded", "diffuse light") else 4) * area


@pytest.mark.parametrize("edge", [1, 57, 199])
def test_both_sides_of_a_line(draw: Draw, project: Project, edge: int) -> None:
    whole, _ = draw(project, 1 << 30)
    left, pieces = draw(project, 1 << 30, clip=(0, 0, edge, SIZE[1]))
    np.testing.assert_array_equal(left[:, :edge], whole[:, :edge])
    assert (left[:, edge:] == (255, 0, 0)).all()
    assert all(piece.pixels < 4 * SIZE[0] * SIZE[1] for piece in pieces)
    right, _ = draw(project, 1700, clip=(edge, 0, SIZE[0] - edge, SIZE[1]))
    np.testing.assert_array_equal(right[:, edge:], whole[:, edge:])


def test_a_head_that_is_not_in_the_picture(draw: Draw, project: Project) -> None:
    camera = replace(project.scene.view.camera, target_m=(30.0, 0.0, 0.0))
    found, _ = draw(replace(project, scene=scene_with(project.scene, camera=camera)), 1700)
    assert np.abs(found - wall(project.scene, *SIZE)).max() <= 1


def test_every_target_is_written_before_it_is_read(renderer: Renderer) -> None:
    """Over all passes; what a pass does not want is not read either."""
    written = set()
    for each in renderer.passes:
        assert set(each.reads) <= written, each.name
        written.add(each.writes)


def test_the_pace_follows_the_clock_within_its_limits() -> None:
    pace, kind = Pace(), Target.LIGHT
    assert pace.pixels(kind) == LEAST_PIXELS
    for _ in range(20):
        pace.took(Piece(kind, pace.pixels(kind)), PIECE_S / 10)
    assert pace.pixels(kind) == MOST_PIXELS
    assert pace.pixels(Target.ACROSS) == LEAST_PIXELS  # each kind has its own
    pace.took(Piece(kind, MOST_PIXELS), 2 * PIECE_S)
    assert pace.pixels(kind) == MOST_PIXELS // 2
    for _ in range(20):
        pace.took(Piece(kind, pace.pixels(kind)), 1.0)
    assert pace.pixels(kind) == LEAST_PIXELS
    pace.took(Piece(kind, 10), PIECE_S / 10)  # the last strip is short: it tells nothing
    assert pace.pixels(kind) == LEAST_PIXELS


def test_strips_tile_their_region() -> None:
    assert list(targets.strips((3, 4, 10, 5), lambda: 20)) == [(3, 4, 10, 2), (3, 6, 10, 2), (3, 8, 10, 1)]
    assert list(targets.strips((3, 4, 10, 2), lambda: 3)) == [(3, 4, 10, 1), (3, 5, 10, 1)]
    assert list(targets.strips((0, 0, 0, 9), lambda: 20)) == []
