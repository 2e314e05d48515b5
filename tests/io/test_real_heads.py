"""Readers and the canonical space on the shared real and ICT heads."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import FileFormatError
from engine.face import layout
from engine.face.registration import registered
from engine.face.transfer import encode_neutral, head_frame
from engine.head import identity_of
from engine.identity import Identity
from engine.io import ffhq_uv, ict
from engine.io.obj import read_obj
from engine.mesh import Part
from tests.data import FFHQ_UV, ICT, needs_data

pytestmark = needs_data


@pytest.fixture(scope="module")
def real() -> Identity:
    return identity_of(ffhq_uv.read(FFHQ_UV / "teaser_1"))


@pytest.fixture(scope="module")
def synthetic() -> Identity:
    return identity_of(ict.read(ICT, seed=3))


def test_ffhq_head_keeps_its_vertices_in_metres(real: Identity) -> None:
    mesh = read_obj(FFHQ_UV / "teaser_1" / "mesh_head.obj")
    assert real.topology.head_vertex_count == len(mesh.positions) == 20481
    assert np.allclose(real.positions_m[:20481], mesh.positions * 0.1, atol=1e-7)
    assert "1 unit = 100 mm" in real.provenance.note
    assert real.known_maps == {"diffuse"}
    for part in (Part.SKIN, Part.MOUTH, Part.SOCKET, Part.EYE_LEFT, Part.EYE_RIGHT, Part.TEETH):
        assert len(real.topology.faces_of(part)) > 500, part


def test_ict_head_keeps_its_vertices_in_metres(synthetic: Identity) -> None:
    assert synthetic.topology.head_vertex_count == synthetic.topology.vertex_count == 26719
    assert 0.3 < np.ptp(synthetic.positions_m[:, 1]) < 0.4
    uvs = synthetic.topology.uvs
    assert uvs.min() >= 0
    assert uvs.max() <= 1
    generic = ict.read(ICT).mesh.positions * ict.METRES_PER_UNIT
    assert np.abs(generic - synthetic.positions_m).max() > 0.002


def test_ict_coefficients_are_a_linear_model() -> None:
    zero = ict.read(ICT, coefficients=np.zeros(4)).mesh.positions
    one = ict.read(ICT, coefficients=np.array([0.0, 1.0, 0.0, 0.0])).mesh.positions
    mode = ict.identity_modes(ICT, 2)[1]
    assert np.abs((one - zero) - mode).max() < 1e-6


@pytest.mark.parametrize("name", ["real", "synthetic"])
def test_positions_survive_the_canonical_space(name: str, request: pytest.FixtureRequest) -> None:
    """The residual of bringing a head into position maps and back.

    Half a millimetre in the middle; ICT's folded insides (nostrils, lips) share texels and raise its mean.
    """
    head: Identity = request.getfixturevalue(name)
    place = registered(head.topology)
    rotation, origin = head_frame(head)
    back = layout.sample_bilinear(encode_neutral(head).position_m, place.opened_uv) @ rotation + origin
    uv = place.opened_uv
    face = (np.abs(uv[:, 0] - 0.5) < 0.2) & (uv[:, 1] > 0.2) & (uv[:, 1] < 0.7)
    away = np.linalg.norm(back - head.positions_m[place.vertices], axis=1)[face]
    assert np.median(away) < 0.0005
    assert away.mean() < (0.0006 if name == "real" else 0.0015)


def test_both_heads_have_their_features_in_the_same_places(real: Identity, synthetic: Identity) -> None:
    nose_tips = []
    for head in (real, synthetic):
        position = encode_neutral(head).position_m
        row, column = np.unravel_index(position[50:68, 54:74, 2].argmax(), (18, 20))
        nose_tips.append((row + 50, column + 54))
    assert np.abs(np.subtract(*nose_tips)).max() <= 4


def test_ict_folder_without_the_mesh(tmp_path) -> None:
    with pytest.raises(FileFormatError, match=r"generic_neutral_mesh\.obj"):
        ict.read(tmp_path)
    (tmp_path / "generic_neutral_mesh.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(FileFormatError, match="expected 26719 vertices, found 3"):
        ict.read(tmp_path)
