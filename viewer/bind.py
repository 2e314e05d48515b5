"""Ties a control to one value of the project: shows it when it changes, edits the document when the user does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from engine.project import Project
from engine.scene import Scene, scene_with
from viewer.document import Document

V = TypeVar("V")


class Control(Protocol):
    """What `widgets/` have in common."""

    edited: Any
    """Signal(value): the user changed it."""
    settled: Any
    """Signal(): the user is done with this change."""

    def show_value(self, value: Any) -> None:
        """Show without emitting."""
        ...


def bind_scene(
    document: Document,
    control: Control,
    label: str,
    read: Callable[[Scene], V],
    write: Callable[[Scene, V], Scene],
) -> None:
    """`read` takes the value out of a scene, `write` gives the scene with another; a drag is one undo step."""

    def edit(value: V) -> None:
        scene = document.project.scene
        if read(scene) != value:
            document.edit(label, merge=("bind", id(control)), scene=write(scene, value))

    _tie(document, control, read, edit)
    control.settled.connect(document.seal)


def bind_fields(document: Document, *rows: tuple[Control, str, str]) -> None:
    """`bind_scene` for each (control, label, field of the scene), such as "exposure_ev" or "environment.name"."""
    for control, label, field in rows:
        bind_scene(
            document,
            control,
            label,
            attrgetter(field),
            lambda scene, value, field=field: with_field(scene, field, value),
        )


def bind_view(
    document: Document, control: Control, name: str, write: Callable[[Scene, Any], Scene] | None = None
) -> None:
    """Field `name` of the view, which is looked through, not edited; `write` where others change with it."""

    def look(value: Any) -> None:
        scene = document.project.scene
        document.look(view=(write(scene, value) if write else scene_with(scene, **{name: value})).view)

    _tie(document, control, attrgetter(f"view.{name}"), look)


def _tie(document: Document, control: Control, read: Callable[[Scene], V], take: Callable[[V], None]) -> None:
    def show(old: Project, new: Project) -> None:
        value = read(new.scene)
        if old is new or read(old.scene) != value:
            control.show_value(value)

    control.show_value(read(document.project.scene))
    control.edited.connect(take)
    document.changed.connect(show)


def with_field(scene: Scene, field: str, value: Any) -> Scene:
    """`scene` with one of its fields replaced, or, as "environment.name", one of a part of it."""
    part, _, name = field.rpartition(".")
    new = replace(getattr(scene, part) if part else scene, **{name: value})
    return replace(scene, **{part: new}) if part else new
