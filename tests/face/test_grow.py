"""Grown hair: strands where the texture shows hair, its colours, skin where brows were painted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import KDTree

from engine.color import linear_from_srgb, luminance
from engine.diffusion.generate import generate
from engine.diffusion.request import GenerateRequest
from engine.errors import FileFormatError, TopologyError
from engine.export import export_jreflectance
from engine.face import regions, skin
from engine.face.builtin import builtin_identity, grow_identity
from engine.face.eyes import paint_eye
from engine.face.grow import NOTE, painted_out, palette_place, read_painted, with_grown_hair
from engine.face.head_model import sample_shape
from engine.face.strands import BROWS, COLUMNS
from engine.identity import UNKNOWN, Identity
from engine.mesh import Part
from engine.open import Opening, open_project
from engine.project import new_project
from tests.data import FFHQ_UV, ICT, needs_data
from tests.heads import make_expressions, make_head


@pytest.fixture(scope="module")
def bare() -> Identity:
    """A head in the canonical layout whose brows and hair are painted: dark on light skin."""
    traits = replace(skin.sample_traits(1), melanin=0.3, hair=0.0, cropped_hair=True, brow_density=1.0)
    return grow_identity("painted", sample_shape(1), skin.paint(traits, 512), paint_eye(1), UNKNOWN)


@pytest.fixture(scope="module")
def grown(bare: Identity) -> Identity:
    return with_grown_hair(bare)


def test_the_head_stays_and_hair_is_added(bare: Identity, grown: Identity) -> None:
    count = bare.topology.vertex_count
    np.testing.assert_array_equal(grown.positions_m[:count], bare.positions_m)
    np.testing.assert_array_equal(grown.topology.faces[: len(bare.topology.faces)], bare.topology.faces)
    assert grown.topology.head_vertex_count == bare.topology.head_vertex_count
    assert len(grown.topology.faces_of(Part.HAIR)) > 20_000
    assert grown.provenance.note.endswith(NOTE)
    assert with_grown_hair(grown) is grown
    assert with_grown_hair(bare).hash == grown.hash


def test_painted_brows_become_skin(bare: Identity) -> None:
    painted = read_painted(bare.maps.diffuse_srgb)
    before, after = (
        luminance(linear_from_srgb(each.diffuse_srgb)) for each in (bare.maps, painted_out(bare.maps, painted))
    )
    brow = painted.brow > 0.6
    around = (regions.distance("brow", 512) > 0.03) & (regions.distance("forehead", 512) < -0.01)
    assert brow.sum() > 200
    assert before[brow].mean() < 0.6 * before[around].mean()
    assert after[brow].mean() > 1.5 * before[brow].mean()
    apart = (painted.cover == 0) & (regions.distance("upper_lid", 512) > 0.016)
    np.testing.assert_array_equal(before[apart], after[apart])


def test_brows_grow_where_they_were_painted_in_their_colour(bare: Identity, grown: Identity) -> None:
    topology, painted = grown.topology, read_painted(bare.maps.diffuse_srgb)
    left, _, right, _ = palette_place(bare.topology)
    faces = topology.faces_of(Part.HAIR)
    column = (topology.uvs[topology.uv_faces[faces], 0].mean(axis=1) - left) / (right - left) * COLUMNS
    brows = np.unique(topology.faces[faces][np.isin(column.astype(int), BROWS)])
    on = topology.vertices_of(Part.SKIN)
    uv = np.zeros((topology.vertex_count, 2))
    chosen = topology.faces_of(Part.SKIN)
    uv[topology.faces[chosen]] = topology.uvs[topology.uv_faces[chosen]]
    place = uv[on[KDTree(grown.positions_m[on]).query(grown.positions_m[brows])[1]]]
    cover = painted.cover[tuple((place[:, ::-1] * 512).astype(int).T)]
    assert len(brows) > 1000
    assert (cover > 0).mean() > 0.85
    assert luminance(painted.brow_rgb[None])[0] < 0.5 * luminance(painted.bare[painted.brow > 0.3]).mean()


def test_strands_find_colours_beside_the_charts(grown: Identity) -> None:
    topology = grown.topology
    left, top, right, bottom = palette_place(topology)
    uv = topology.uvs[topology.uv_faces[topology.faces_of(Part.HAIR)]].reshape(-1, 2)
    assert ((uv > (left, top)) & (uv < (right, bottom))).all()
    rest = topology.uvs[topology.uv_faces[topology.faces_of(Part.SKIN, Part.MOUTH)]].reshape(-1, 2)
    assert not ((rest > (left, top)) & (rest < (right, bottom))).all(axis=1).any()


def test_where_hair_cannot_grow_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(TopologyError):
        with_grown_hair(make_head(32))
    person = builtin_identity(7, 64)
    assert with_grown_hair(person) is person
    traits = skin.sample_traits(1)
    head = grow_identity("painted", sample_shape(1), skin.paint(traits, 64), paint_eye(1), UNKNOWN)
    project = replace(new_project(head), expressions=make_expressions(head))
    export_jreflectance(project, tmp_path / "person")
    with pytest.raises(FileFormatError, match="head alone"):
        open_project(str(tmp_path / "person"), Opening(grow_hair=True))


class TestRealHeads:
    pytestmark = needs_data

    @pytest.mark.parametrize("path", [FFHQ_UV / "teaser_1", FFHQ_UV / "teaser_2", f"{ICT}?seed=3"], ids=str)
    def test_they_grow_hair_that_lies_on_the_skin(self, path: object) -> None:
        head, identity = (open_project(str(path), Opening(grow_hair=grow)).identity for grow in (False, True))
        topology = identity.topology
        hair = topology.vertices_of(Part.HAIR)
        assert len(hair) > 20_000
        assert topology.head_vertex_count == head.topology.head_vertex_count
        away = KDTree(identity.positions_m[topology.vertices_of(Part.SKIN)]).query(identity.positions_m[hair])[0]
        assert np.quantile(away, 0.9) < 0.012

    def test_an_expression_moves_it_and_files_keep_it(self, tmp_path: Path) -> None:
        project = open_project(str(FFHQ_UV / "teaser_1"), Opening(grow_hair=True))
        request = GenerateRequest(project.identity, ("Brows Up",), "", steps=1)
        (made,) = [each for step in generate(request) if step.result for each in step.result.expressions]
        hair = project.identity.topology.vertices_of(Part.HAIR)
        assert np.quantile(np.abs(made.offsets_m[hair]).max(axis=1), 0.95) > 0.002
        export_jreflectance(project, tmp_path / "person")
        again = open_project(str(tmp_path / "person")).identity
        assert len(again.topology.faces_of(Part.HAIR)) == len(project.identity.topology.faces_of(Part.HAIR))
        assert NOTE in again.provenance.note
