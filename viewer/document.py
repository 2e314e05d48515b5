"""The document: the current Project, the library beside it, its undo stack, and one signal. The only mutable state
besides the GPU."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from engine.expression import ExpressionSet
from engine.project import Project, resolve, scened
from engine.scene import View
from engine.sides import Weight, plain

UNDO_BYTES = 2 * 1024**3
"""Arrays kept alive only by the undo stack may take this much."""
UNDO_STEPS = 500


@dataclass(frozen=True, slots=True)
class Edit:
    """One undo step: what it is called and the project on its other side."""

    label: str
    project: Project


class Document(QObject):
    """Holds one frozen Project after another: `authored`, which is edited and undone, and `project`, which is seen.

    `changed(old, new)` is the whole event system: listeners compare fields with `is`. The view is looked through, not
    edited: it is no undo step and does not mark the document as modified. What the model made without being asked lies
    in `library`, one expression a name, and is seen wherever the project has none of that name: so it is in no undo
    step, undo and redo never lose it, and it is no unsaved change (asking again gives the same).
    """

    changed = Signal(object, object)
    """(old: Project, new: Project); `old is new` when only the undo stack, the path or the modified mark changed."""

    def __init__(self, project: Project, path: str | None = None, undo_bytes: int = UNDO_BYTES) -> None:
        super().__init__()
        self.project = self.authored = project
        """`authored` is what a person brought, asked for and set; `project` that with the `library`."""
        self.library = ExpressionSet(project.identity.hash)
        self.path = path
        """Where it was saved or opened as a saved project; None for a head that was never saved."""
        self._saved: Project | None = project
        self._undo: list[Edit] = []
        self._redo: list[Edit] = []
        self._merge: Hashable | None = None
        self._undo_bytes = undo_bytes

    def edit(self, label: str, merge: Hashable | None = None, **changes: Any) -> None:
        """Replace fields of the project (`weights`, `scene`, `expressions`) as one undo step called `label`.

        Edits that follow each other with an equal `merge` key are one step, until `seal` is called.
        """
        old = self.authored
        new = replace(old, **changes)
        if merge is None or merge != self._merge:
            self._undo.append(Edit(label, old))
        self._merge = merge
        self._redo.clear()
        self._trim(new)
        self._show(new)

    def reset_weights(self) -> None:
        """Back to the neutral face, as one undo step."""
        if self.project.weights:
            self.edit("Reset all expressions", weights={})

    def seal(self) -> None:
        """End a drag: the next edit is a step of its own."""
        self._merge = None

    def complete(self, expressions: ExpressionSet) -> None:
        """Put those of `expressions` into the library whose names it has not yet. ValueError for another head's set."""
        new = tuple(each for each in expressions.expressions if each.name not in self.library)
        library = self.library.merged(ExpressionSet(expressions.identity_hash, new))
        if new:
            self.library = library
            self._show(self.authored)

    def look(self, **changes: Any) -> None:
        """Replace fields of the view, as `camera` or `channel`: no undo step."""
        self._show(scened(self.authored, **changes))

    def open(self, project: Project, path: str | None = None, *, saved: bool = True) -> None:
        """Go over to another project; its undo stack starts empty. Without `saved` it is modified until it is saved."""
        self._undo.clear()
        self._redo.clear()
        self._merge = None
        self.path = path
        self._saved = project if saved else None
        self.library = ExpressionSet(project.identity.hash)
        self._show(project)

    def saved(self, authored: Project, path: str) -> None:
        """What was `authored` some time ago is what the file at `path` holds; nothing happens where it is of a head
        that was open before this one."""
        if authored.identity is self.authored.identity:
            self.path, self._saved = path, authored
            self.changed.emit(self.project, self.project)

    def undo(self) -> None:
        """Take the last step back; nothing happens when there is none."""
        self._travel(self._undo, self._redo)

    def redo(self) -> None:
        """Do the last undone step again; nothing happens when there is none."""
        self._travel(self._redo, self._undo)

    @property
    def undo_label(self) -> str | None:
        """Name of the step that `undo` takes back, None without one."""
        return self._undo[-1].label if self._undo else None

    @property
    def redo_label(self) -> str | None:
        """Name of the step that `redo` does again, None without one."""
        return self._redo[-1].label if self._redo else None

    @property
    def modified(self) -> bool:
        """Does the project differ from the saved one in more than the view?"""
        return differ(self.authored, self._saved)

    def _travel(self, source: list[Edit], target: list[Edit]) -> None:
        if not source:
            return
        edit = source.pop()
        target.append(Edit(edit.label, self.authored))
        self._merge = None
        self._show(scened(edit.project, view=self.project.scene.view))

    def _show(self, authored: Project) -> None:
        old, self.authored = self.project, authored
        self.project = resolve(authored, self.library, like=old)
        self.changed.emit(old, self.project)

    def _trim(self, current: Project) -> None:
        """Forget the oldest steps until the stack fits its caps; the newest step always stays."""
        del self._undo[:-UNDO_STEPS]
        while len(self._undo) > 1:
            held = _arrays(edit.project for edit in self._undo)
            own = _arrays([current])
            if sum(array.nbytes for key, array in held.items() if key not in own) <= self._undo_bytes:
                return
            del self._undo[0]


def with_weight(project: Project, name: str, weight: Weight) -> dict[str, Weight]:
    """The project's weights with `name` at `weight`; a weight of zero is left out."""
    weights = {**project.weights, name: plain(weight)}
    return {key: value for key, value in weights.items() if value != 0.0}


def differ(now: Project, saved: Project | None) -> bool:
    """Is there more to save of `now` than there was of `saved`? The view is not."""
    if saved is None:
        return True
    one, other = (scened(replace(each, weights=_nonzero(each)), view=View()) for each in (now, saved))
    return any(getattr(one, part.name) != getattr(other, part.name) for part in fields(Project))


def _nonzero(project: Project) -> dict[str, Weight]:
    return {name: weight for name, weight in project.weights.items() if weight != 0.0}


def _arrays(projects: Iterable[Project]) -> dict[int, np.ndarray]:
    """Every array that `projects` keep alive, once each, by id. Sets shared by many steps are walked once."""
    sets, identities = {}, {}
    for project in projects:
        sets[id(project.expressions)] = project.expressions
        identities[id(project.identity)] = project.identity
    expressions = {id(each): each for one in sets.values() for each in one.expressions}
    holders: list[Any] = [each.change for each in expressions.values()]
    holders += [*expressions.values(), *identities.values(), *(each.maps for each in identities.values())]
    values = (getattr(holder, field.name) for holder in holders for field in fields(holder))
    return {id(value): value for value in values if isinstance(value, np.ndarray)}
