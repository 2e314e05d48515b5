"""Coarse pictures of a head that moves: less of it is posed and shadowed, and nothing of that stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.mesh import Part
from engine.open import open_project
from engine.project import Project
from engine.render.passes import PART_SRGB
from engine.render.renderer import Renderer
from engine.render.scatter import Quality
from engine.render.upload import MOVING, MeshBuffers
from engine.scene import ViewChannel, scene_with
from tests.heads import make_expressions

SIZE = (200, 240)


@pytest.fixture(scope="module")
def person() -> Project:
    identity = open_project("builtin").identity
    project = replace(open_project("builtin"), expressions=make_expressions(identity))
    return replace(project, weights={"Jaw Open": 0.4, "Brows Up": 0.3})


def draw(renderer: Renderer, project: Project, *, coarse: bool, quality: Quality = Quality.MOVING) -> np.ndarray:
    """(240, 200, 3) int."""
    context = renderer.context
    color, depth = context.renderbuffer(SIZE, 4), context.depth_renderbuffer(SIZE)
    target = context.framebuffer([color], depth)
    renderer.draw(project, target, SIZE, quality=quality, moving=coarse, coarse=coarse)
    pixels = np.frombuffer(target.read(components=3, alignment=1), np.uint8).reshape(*SIZE[::-1], 3).astype(int)
    renderer.idle.use()
    for each in (target, color, depth):
        each.release()
    return pixels


def positions_m(mesh: MeshBuffers) -> np.ndarray:
    """(N, 3) of the GL vertices."""
    return np.frombuffer(mesh.moving.read(), MOVING)["position"]


def test_at_rest_after_motion_is_as_if_nothing_had_moved(renderer: Renderer, person: Project) -> None:
    expected = draw(renderer, person, coarse=False, quality=Quality.STILL)
    for weight in (0.0, 0.8):
        draw(renderer, replace(person, weights={"Jaw Open": weight, "Brows Up": 0.3}), coarse=True)
    draw(renderer, person, coarse=True)
    np.testing.assert_array_equal(draw(renderer, person, coarse=False, quality=Quality.STILL), expected)


def test_in_coarse_pictures_the_hair_that_is_not_shown_is_not_posed(renderer: Renderer, person: Project) -> None:
    draw(renderer, person, coarse=False)
    mesh = renderer.head.mesh
    assert mesh is not None
    shown = mesh.shown(coarse=True)
    assert len(shown) < 0.7 * len(mesh.shown(coarse=False))
    fewest = len(person.identity.topology.vertices_of(*(part for part in Part if part is not Part.HAIR)))
    assert len(np.unique(shown)) > fewest
    before = positions_m(mesh)
    draw(renderer, replace(person, weights={"Jaw Open": 0.8}), coarse=True)
    moved = (positions_m(mesh) != before).any(axis=1)
    assert moved[: len(shown)].mean() > 0.9


@pytest.mark.parametrize("seed", [0, 7, 20])
def test_fewer_strands_cover_as_much(renderer: Renderer, seed: int) -> None:
    """Combed back, stubble, and a crop: they were bald while they moved."""
    person = open_project(f"builtin:{seed}")
    parts = replace(person, scene=scene_with(person.scene, channel=ViewChannel.PARTS))
    colour = np.rint(255 * np.array(PART_SRGB[Part.HAIR]))

    def hair(coarse: bool) -> float:
        return float((np.abs(draw(renderer, parts, coarse=coarse) - colour).max(axis=2) < 3).mean())

    whole = hair(coarse=False)
    assert whole > 0.004
    assert 0.6 * whole < hair(coarse=True) < 1.2 * whole
