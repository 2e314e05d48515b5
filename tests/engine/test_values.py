"""Expression sets, projects and identities: what goes together and what does not."""

from dataclasses import replace

import numpy as np
import pytest

from engine.errors import VocabularyError
from engine.expression import ExpressionSet, ReflectanceChange
from engine.identity import SKIN_F0, ReflectanceMaps
from engine.project import Project, framed, new_project, resolve
from tests.heads import make_expressions, make_head

HEAD = make_head(size=16)
SET = make_expressions(HEAD, ("Jaw Open", "Brows Up", "Cheek Puff"))


def test_a_set_is_asked_by_name():
    assert SET.names == ("Jaw Open", "Brows Up", "Cheek Puff")
    assert SET["Brows Up"] is SET.expressions[1]
    assert "Brows Up" in SET
    assert "brows up" not in SET
    with pytest.raises(VocabularyError, match=r"'Jaw Left'.*it has: Jaw Open, Brows Up, Cheek Puff.*Generate"):
        SET["Jaw Left"]
    with pytest.raises(VocabularyError, match="it has: none"):
        ExpressionSet(HEAD.hash)["Jaw Left"]


def test_a_name_stands_once_in_a_set():
    with pytest.raises(ValueError, match="unique names"):
        ExpressionSet(HEAD.hash, (SET.expressions[0], SET.expressions[0]))


def test_a_set_has_one_vertex_count():
    shorter = replace(SET.expressions[1], offsets_m=SET.expressions[1].offsets_m[1:])
    with pytest.raises(ValueError, match="one vertex count"):
        ExpressionSet(HEAD.hash, (SET.expressions[0], shorter))


def test_merging_replaces_in_place_and_appends():
    fresh = make_expressions(HEAD, ("Jaw Left", "Brows Up"), seed=1)
    merged = SET.merged(fresh)
    assert merged.names == ("Jaw Open", "Brows Up", "Cheek Puff", "Jaw Left")
    assert merged["Brows Up"] is fresh["Brows Up"]
    assert merged["Jaw Open"] is SET["Jaw Open"]
    assert SET.names == ("Jaw Open", "Brows Up", "Cheek Puff")
    assert merged.merged(ExpressionSet(HEAD.hash)).expressions == merged.expressions
    assert ExpressionSet(HEAD.hash).merged(SET).expressions == SET.expressions


def test_sets_of_two_people_are_not_merged():
    other = make_head(size=16, seed=1)
    with pytest.raises(ValueError, match="one identity"):
        SET.merged(make_expressions(other))


def test_a_project_takes_only_its_own_persons_expressions():
    other = make_head(size=16, seed=1)
    with pytest.raises(ValueError, match="another's"):
        Project(other, SET)
    shorter = replace(SET.expressions[0], offsets_m=SET.expressions[0].offsets_m[1:])
    count = HEAD.topology.vertex_count
    with pytest.raises(ValueError, match=f"expected {count} offsets in 'Jaw Open', found {count - 1}"):
        Project(HEAD, ExpressionSet(HEAD.hash, (shorter,)))


def test_active_weights_come_in_the_sets_order():
    weights = {"Cheek Puff": -0.5, "Not Yet": 1.0, "Brows Up": 0.0, "Jaw Open": 1.5}
    project = Project(HEAD, SET, weights)
    assert list(project.active().items()) == [("Jaw Open", 1.5), ("Cheek Puff", -0.5)]
    assert project.weights == weights


def test_a_projects_weights_are_its_own():
    weights = {"Jaw Open": 0.5}
    project = Project(HEAD, SET, weights)
    weights["Jaw Open"] = 1.0
    assert project.active() == {"Jaw Open": 0.5}
    with pytest.raises(TypeError):
        project.weights["Jaw Open"] = 1.0


def test_a_new_project_is_neutral_and_framed():
    project = new_project(HEAD)
    assert project.active() == {}
    assert project.expressions.names == ()
    camera = framed(HEAD)
    assert project.scene.view.camera == camera
    low, high = HEAD.positions_m.min(0), HEAD.positions_m.max(0)
    assert (low <= camera.target_m).all()
    assert (camera.target_m <= high).all()
    seen = 2 * camera.distance_m * np.tan(camera.vertical_fov_rad / 2)
    assert 1.0 < seen / (high - low)[1] < 2.0


def test_the_hash_of_a_person_is_not_their_name():
    twin = replace(HEAD, name="someone else", provenance=replace(HEAD.provenance, source="elsewhere"))
    assert twin.hash == HEAD.hash == make_head(size=16).hash


def test_the_hash_of_a_person_sees_every_texel_vertex_and_face():
    hashes = {HEAD.hash}
    for name in ("diffuse_srgb", "specular_data", "roughness_data", "slope"):
        texels = getattr(HEAD.maps, name).copy()
        texels.flat[-1] += 1
        hashes.add(replace(HEAD, maps=replace(HEAD.maps, **{name: texels})).hash)
    moved = HEAD.positions_m.copy()
    moved[3, 1] += 1e-6
    hashes.add(replace(HEAD, positions_m=moved).hash)
    faces = HEAD.topology.faces.copy()
    faces[0] = np.roll(faces[0], 1)
    hashes.add(replace(HEAD, topology=replace(HEAD.topology, faces=faces)).hash)
    assert len(hashes) == 7


def test_maps_of_one_face_have_one_size():
    maps = HEAD.maps
    for name in ("specular_data", "roughness_data", "slope"):
        with pytest.raises(ValueError, match=name):
            replace(maps, **{name: getattr(maps, name)[1:]})
    for channels in (np.zeros((2, 5, 8)), np.zeros((2, 5, 10)), np.zeros((2, 9))):
        with pytest.raises(ValueError, match="change: expected shape"):
            ReflectanceChange(channels)
    wide = ReflectanceMaps(np.zeros((2, 5, 3)), np.zeros((2, 5, 3)), np.zeros((2, 5)), np.zeros((2, 5, 2)))
    assert wide.size == (2, 5)
    assert ReflectanceChange(np.zeros((2, 5, 9))).size == (2, 5)


def test_the_mean_captured_specular_value_means_skin():
    assert HEAD.specular_f0_scale * 37 / 255 == pytest.approx(SKIN_F0) == pytest.approx((0.4 / 2.4) ** 2, abs=3e-4)


def test_a_person_must_have_one_position_and_one_occlusion_a_vertex():
    for name in ("positions_m", "occlusion"):
        with pytest.raises(ValueError, match=f"test head 0: {name}"):
            replace(HEAD, **{name: getattr(HEAD, name)[1:]})


def test_what_is_seen_is_the_projects_own_and_what_the_library_has_beside_it() -> None:
    project = Project(HEAD, SET, {"Lip Suck": 0.5})
    library = make_expressions(HEAD, (SET.names[0], "Lip Suck"), seed=4)
    assert resolve(project, ExpressionSet(HEAD.hash)) is project
    seen = resolve(project, library)
    assert seen.expressions.names == (*SET.names, "Lip Suck")
    assert seen.expressions[SET.names[0]] is SET[SET.names[0]]
    assert seen.expressions["Lip Suck"] is library["Lip Suck"]
    assert seen.active() == {"Lip Suck": 0.5}
    later = replace(project, weights={"Lip Suck": 0.7})
    assert resolve(later, library, like=seen).expressions is seen.expressions
    with pytest.raises(ValueError, match="two"):
        resolve(project, make_expressions(make_head(size=16, seed=3), ("Lip Suck",)))
