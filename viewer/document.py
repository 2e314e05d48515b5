"""The document: the current Project, the library beside it, its undo stack, and one signal. The only mutable state
besides the GPU."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
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
Weights = Mapping[str, Weight]


@dataclass(frozen=True, slots=True)
class Edit:
    """One undo step: what it is called, the project after it, and what else is of the same step."""

    label: str
    project: Project
    key: Hashable = None


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
        self._history, self._at = [Edit("", project)], 0
        """Steps from the one that is opened, which cannot be undone, and where among them the document is."""
        self._merge: Hashable | None = None
        self._undo_bytes = undo_bytes

    def edit(self, label: str, merge: Hashable | None = None, **changes: Any) -> None:
        """Replace fields of the project (`weights`, `scene`, `expressions`) as one undo step called `label`.

        Edits that follow each other with an equal `merge` key are one step, until `seal` is called.
        """
        new = replace(self.authored, **changes)
        del self._history[self._at + 1 :]
        if merge is None or merge != self._merge:
            self._history.append(Edit(label, new, merge))
            self._at += 1
        self._merge = merge
        self._show(new)
        self._trim()

    def arrive(
        self, label: str, key: Hashable, expressions: ExpressionSet, weighed: Callable[[Weights], Weights]
    ) -> None:
        """Put in `expressions` that were asked for before, as the step `key`, called `label`, and so into all that was
        done after it; `weighed` gives the weights with them for those without.

        The step is where the first of them came in: that was the last one then, below an edit that was under way. It
        may be undone by now. So nothing that is edited is cut, nothing that was undone is lost, and what later steps
        made anew stays theirs.
        """
        at = next((at for at, step in enumerate(self._history) if step.key == key), None)
        if at is None:
            at = self._at + (self._merge is None)
            self._history.insert(at, Edit(label, self._history[at - 1].project, key))
            self._at += 1
        before, sets = self._history[max(at - 1, 0)].project.expressions, dict[int, ExpressionSet]()
        for later in range(at, len(self._history)):
            project = self._history[later].project
            old = project.expressions
            if id(old) not in sets:  # steps that share a set go on to do so
                new = tuple(each for each in expressions.expressions if old.get(each.name) is before.get(each.name))
                sets[id(old)] = old.merged(ExpressionSet(expressions.identity_hash, new))
            project = replace(project, expressions=sets[id(old)], weights=weighed(project.weights))
            self._history[later] = replace(self._history[later], project=project)
        self._show(self._history[self._at].project)

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
        self._history, self._at, self._merge = [Edit("", project)], 0, None
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
        self._go(self._at - 1)

    def redo(self) -> None:
        """Do the last undone step again; nothing happens when there is none."""
        self._go(self._at + 1)

    @property
    def undo_label(self) -> str | None:
        """Name of the step that `undo` takes back, None without one."""
        return self._history[self._at].label if self._at else None

    @property
    def redo_label(self) -> str | None:
        """Name of the step that `redo` does again, None without one."""
        return self._history[self._at + 1].label if self._at + 1 < len(self._history) else None

    @property
    def modified(self) -> bool:
        """Does the project differ from the saved one in more than the view?"""
        return differ(self.authored, self._saved)

    def _go(self, at: int) -> None:
        if 0 <= at < len(self._history):
            self._at, self._merge = at, None
            self._show(scened(self._history[at].project, view=self.project.scene.view))

    def _show(self, authored: Project) -> None:
        old, self.authored = self.project, authored
        self._history[self._at] = replace(self._history[self._at], project=authored)
        self.project = resolve(authored, self.library, like=old)
        self.changed.emit(old, self.project)

    def _trim(self) -> None:
        """Forget the oldest steps until those to undo fit their caps; the newest step always stays."""
        while self._at > 1 and (self._at > UNDO_STEPS or self._held_bytes() > self._undo_bytes):
            del self._history[0]
            self._at -= 1

    def _held_bytes(self) -> int:
        """Size of the arrays that only steps to undo keep alive."""
        held, own = _arrays(step.project for step in self._history[: self._at]), _arrays([self.authored])
        return sum(array.nbytes for key, array in held.items() if key not in own)


def with_weight(project: Project, name: str, weight: Weight) -> dict[str, Weight]:
    """The project's weights with `name` at `weight`; a weight of zero is left out."""
    return _nonzero({**project.weights, name: plain(weight)})


def differ(now: Project, saved: Project | None) -> bool:
    """Is there more to save of `now` than there was of `saved`? The view is not."""
    if saved is None:
        return True
    one, other = (scened(replace(each, weights=_nonzero(each.weights)), view=View()) for each in (now, saved))
    return any(getattr(one, part.name) != getattr(other, part.name) for part in fields(Project))


def _nonzero(weights: Weights) -> dict[str, Weight]:
    return {name: weight for name, weight in weights.items() if weight != 0.0}


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
