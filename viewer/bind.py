"""Ties a control to one value of the project: shows it when it changes, edits the document when the user does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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


def bind(
    document: Document,
    control: Control,
    label: str,
    read: Callable[[Project], V],
    write: Callable[[Project, V], dict[str, Any]],
) -> None:
    """`read` takes the value out of a project, `write` gives the fields that change; a drag is one undo step."""

    def show(old: Project, new: Project) -> None:
        value = read(new)
        if old is new or read(old) != value:
            control.show_value(value)

    def edit(value: V) -> None:
        if read(document.project) != value:
            document.edit(label, merge=("bind", id(control)), **write(document.project, value))

    control.show_value(read(document.project))
    control.edited.connect(edit)
    control.settled.connect(document.seal)
    document.changed.connect(show)


def bind_view(
    document: Document, control: Control, name: str, write: Callable[[Scene, Any], Scene] | None = None
) -> None:
    """`bind` for field `name` of the view, which is looked through, not edited; `write` where others change with it."""

    def read(project: Project) -> Any:
        return getattr(project.scene.view, name)

    def show(old: Project, new: Project) -> None:
        if old is new or read(old) != read(new):
            control.show_value(read(new))

    def look(value: Any) -> None:
        scene = document.project.scene
        document.look(view=(write(scene, value) if write else scene_with(scene, **{name: value})).view)

    control.show_value(read(document.project))
    control.edited.connect(look)
    document.changed.connect(show)


def bind_scene(
    document: Document,
    control: Control,
    label: str,
    read: Callable[[Scene], V],
    write: Callable[[Scene, V], Scene],
) -> None:
    """`bind` for a value of the scene."""
    bind(
        document,
        control,
        label,
        lambda project: read(project.scene),
        lambda project, value: {"scene": write(project.scene, value)},
    )


def environment_changed(scene: Scene, **changes: Any) -> Scene:
    """`scene` with fields of its environment replaced."""
    return replace(scene, environment=replace(scene.environment, **changes))
