from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from engine.project import Project, new_project
from engine.scene import ToneCurve, View, ViewChannel
from tests.heads import make_expressions, make_head
from viewer.document import Document, differ, with_weight


def test_edit_undo_redo_give_back_the_very_same_values(document: Document) -> None:
    seen: list[tuple[Project, Project]] = []
    document.changed.connect(lambda old, new: seen.append((old, new)))
    first = document.project
    document.edit("Jaw Open", weights={"Jaw Open": 0.5})
    second = document.project
    assert seen == [(first, second)]
    assert second.identity is first.identity
    assert second.expressions is first.expressions
    assert document.undo_label == "Jaw Open"
    assert document.redo_label is None
    document.undo()
    assert document.project.weights == {}
    assert document.redo_label == "Jaw Open"
    document.redo()
    assert dict(document.project.weights) == {"Jaw Open": 0.5}
    assert len(seen) == 3
    assert all(old is before for (_, before), (old, _) in pairwise(seen))


def test_a_drag_is_one_step_and_sealing_ends_it(document: Document) -> None:
    for weight in (0.1, 0.2, 0.3):
        document.edit("Jaw Open", merge="drag", weights={"Jaw Open": weight})
    document.seal()
    document.edit("Jaw Open", merge="drag", weights={"Jaw Open": 0.9})
    document.undo()
    assert dict(document.project.weights) == {"Jaw Open": 0.3}
    document.undo()
    assert dict(document.project.weights) == {}
    assert document.undo_label is None


def test_an_edit_after_undo_forgets_the_undone(document: Document) -> None:
    document.edit("one", weights={"Jaw Open": 0.1})
    document.undo()
    document.edit("two", weights={"Jaw Open": 0.2})
    assert document.redo_label is None
    document.redo()
    assert dict(document.project.weights) == {"Jaw Open": 0.2}


def test_undo_never_changes_the_view_and_looking_is_no_change(document: Document) -> None:
    document.edit("Jaw Open", weights={"Jaw Open": 1.0})
    document.look(channel=ViewChannel.NORMAL, uv_view=True, wireframe=True)
    camera = replace(document.project.scene.view.camera, yaw_rad=1.0)
    document.look(camera=camera)
    document.undo()
    assert document.project.scene.view == View(camera, ViewChannel.NORMAL, 0.0, True, True)
    assert document.undo_label is None
    assert dict(document.project.weights) == {}
    assert not document.modified


def test_modified_follows_the_content_not_the_history(document: Document) -> None:
    assert not document.modified
    document.edit("tone", scene=replace(document.project.scene, tone_curve=ToneCurve.AGX))
    assert document.modified
    document.saved(document.authored, "a.expdiff")
    assert not document.modified
    assert document.path == "a.expdiff"
    document.undo()
    assert document.modified
    document.redo()
    assert not document.modified


def test_what_is_edited_while_it_is_saved_is_modified_after_it(document: Document) -> None:
    document.edit("Jaw Open", weights={"Jaw Open": 0.5})
    written = document.authored
    document.complete(make_expressions(document.project.identity, ("Lip Suck",)))  # comes by itself
    assert not differ(document.authored, written)
    document.edit("Jaw Open", weights={"Jaw Open": 0.75})
    assert differ(document.authored, written)
    document.saved(written, "a.expdiff")
    assert (document.modified, document.path) == (True, "a.expdiff")
    document.undo()
    assert not document.modified


def test_a_save_of_another_head_changes_nothing(document: Document) -> None:
    document.edit("Jaw Open", weights={"Jaw Open": 0.5})
    written = document.authored
    document.open(new_project(make_head(seed=1)), "b.expdiff")
    document.edit("Jaw Open", weights={"Jaw Open": 0.25})
    document.saved(written, "a.expdiff")
    assert (document.modified, document.path) == (True, "b.expdiff")


def test_opening_starts_afresh(document: Document) -> None:
    document.edit("Jaw Open", weights={"Jaw Open": 1.0})
    other = new_project(make_head(seed=1))
    document.open(other, "b.expdiff")
    assert document.project is other
    assert (document.undo_label, document.redo_label, document.modified) == (None, None, False)


def test_the_stack_is_capped_by_the_bytes_it_alone_keeps_alive() -> None:
    head = make_head()
    sets = [make_expressions(head, seed=seed) for seed in range(6)]
    size = sum(
        getattr(holder, name).nbytes
        for each in sets[0].expressions
        for holder, name in (
            (each, "offsets_m"),
            (each.change, "channels"),
        )
    )
    document = Document(Project(head, sets[0]), undo_bytes=2 * size + 1)
    for number, made in enumerate(sets[1:]):
        document.edit(f"set {number}", expressions=made)
        for weight in range(20):  # steps that hold no new arrays cost nothing
            document.edit("weight", weights={"Jaw Open": weight / 20})
    held = set()
    while document.undo_label:
        document.undo()
        held.add(id(document.project.expressions))
    assert held == {id(made) for made in sets[3:]}


def test_a_failing_edit_changes_nothing(document: Document) -> None:
    before = document.project
    with pytest.raises(ValueError, match="another's"):
        document.edit("foreign", expressions=make_expressions(make_head(seed=3)))
    assert document.project is before
    assert document.undo_label is None


def test_a_weight_of_zero_is_left_out(document: Document) -> None:
    document.edit("a", weights=with_weight(document.project, "Jaw Open", 0.4))
    document.edit("b", weights=with_weight(document.project, "Brows Up", 0.2))
    assert with_weight(document.project, "Jaw Open", 0.0) == {"Brows Up": 0.2}


def test_what_is_completed_was_always_there(document: Document) -> None:
    before = document.project
    document.edit("Jaw Open", weights={"Jaw Open": 0.4})
    document.edit("Brows Up", weights={"Brows Up": 0.2})
    document.undo()
    document.saved(document.authored, "a.expdiff")
    labels, seen = (document.undo_label, document.redo_label), []
    document.changed.connect(lambda old, new: seen.append((old, new)))
    names = ("Jaw Open", "Lip Suck")
    made = make_expressions(before.identity, names, seed=5)
    document.complete(made)
    now = document.project
    assert [new for _, new in seen] == [now]
    assert now.expressions.names == (*before.expressions.names, "Lip Suck")
    assert now.expressions["Jaw Open"] is before.expressions["Jaw Open"]
    assert (now.weights, now.scene, now.identity) == (seen[0][0].weights, seen[0][0].scene, before.identity)
    assert (document.undo_label, document.redo_label) == labels
    assert not document.modified
    for step in (document.undo, document.redo, document.redo):
        step()
        assert document.project.expressions is now.expressions
    assert dict(document.project.weights) == {"Brows Up": 0.2}
    document.complete(made)  # nothing new in it
    assert document.project.expressions is now.expressions


def test_completing_keeps_each_steps_own_version_and_a_drag_in_one_piece(document: Document) -> None:
    head, first = document.project.identity, document.project.expressions
    other = make_expressions(head, ("Jaw Open",), seed=7)
    document.edit("Generate Jaw Open", expressions=first.merged(other))
    document.edit("Jaw Open", merge="drag", weights={"Jaw Open": 0.1})
    document.complete(make_expressions(head, ("Lip Suck",)))
    document.edit("Jaw Open", merge="drag", weights={"Jaw Open": 0.2})
    document.undo()
    assert dict(document.project.weights) == {}
    assert document.project.expressions["Jaw Open"] is other["Jaw Open"]
    document.undo()
    assert document.project.expressions["Jaw Open"] is first["Jaw Open"]
    assert "Lip Suck" in document.project.expressions
    with pytest.raises(ValueError, match="identity"):
        document.complete(make_expressions(make_head(seed=3), ("Dimpler",)))


def test_what_arrives_is_in_every_step_after_its_own_but_where_it_was_made_anew(document: Document) -> None:
    head, before = document.project.identity, document.project.expressions
    older, newer = (make_expressions(head, ("Jaw Open", "Lip Suck"), seed=seed) for seed in (5, 6))
    document.edit("a", weights={"Jaw Open": 0.1})
    document.edit("b", expressions=before.merged(newer))
    document.undo()
    document.edit("drag", merge="drag", weights={"Jaw Open": 0.2})
    document.arrive("Generate", "job", older, lambda weights: {**weights, "Lip Suck": 1.0})
    document.edit("drag", merge="drag", weights={**document.project.weights, "Jaw Open": 0.3})
    assert dict(document.project.weights) == {"Jaw Open": 0.3, "Lip Suck": 1.0}
    assert document.project.expressions["Jaw Open"] is older["Jaw Open"]
    document.undo()
    assert (document.undo_label, dict(document.project.weights)) == ("Generate", {"Jaw Open": 0.1, "Lip Suck": 1.0})
    document.undo()
    assert (document.undo_label, document.project.expressions) == ("a", before)
    document.arrive("Generate", "job", make_expressions(head, ("Dimpler",)), dict)  # that step is undone
    assert document.project.expressions is before
    document.redo()
    assert document.project.expressions.names == (*before.names, "Lip Suck", "Dimpler")
    document.redo()
    document.arrive("Generate", "other", newer, dict)
    document.undo()
    assert document.project.expressions["Lip Suck"] is older["Lip Suck"]
    document.edit("b", expressions=before.merged(newer))
    document.undo()
    document.arrive("Generate", "third", older, dict)
    document.redo()
    assert document.project.expressions["Lip Suck"] is newer["Lip Suck"]
