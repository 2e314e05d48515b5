"""Dialogs: size of a screenshot, the shortcut sheet, what to do with unsaved changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, TypeVar

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMessageBox,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from engine.io.map_conventions import Diffuse, Encoding, Finish, MapConventions, Normal, Specular
from engine.io.map_names import NONE, candidates
from engine.open import Opening
from engine.render.offscreen import LARGEST_SIDE
from viewer.panels.form import beside, lay_out
from viewer.widgets.controls import Choice
from viewer.widgets.number import Number

T = TypeVar("T", bound=Enum)
SIZES = (("1024 × 1024", (1024, 1024)), ("1920 × 1080", (1920, 1080)), ("2048 × 2048", (2048, 2048)))
SIZES += (("3840 × 2160", (3840, 2160)), ("4096 × 4096", (4096, 4096)))


def show(dialog: QDialog) -> Any:
    """Show `dialog` until it is answered: its `settings` where it was accepted and has such, else whether it was."""
    accepted = dialog.exec() == QDialog.DialogCode.Accepted
    dialog.deleteLater()
    return accepted and getattr(dialog, "settings", True)


def ask_file_to_write(parent: QWidget, title: str, name: str, kinds: str) -> str:
    """Ask where to write, `name` at first; empty where nobody says. A name typed without a suffix gets that of the kind
    that is chosen *before* the dialog asks whether the file that is there may go."""
    dialog = QFileDialog(parent, title, name, kinds)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)

    def kind_chosen(kind: str) -> None:
        dialog.setDefaultSuffix(kind.partition("(*")[2].partition(")")[0])

    dialog.filterSelected.connect(kind_chosen)
    kind_chosen(dialog.selectedNameFilter())
    return dialog.selectedFiles()[0] if show(dialog) else ""


MOUSE = (
    ("Left drag", "Orbit"),
    ("Middle drag, Shift + left drag", "Pan"),
    ("Wheel, right drag", "Zoom"),
    ("Double click on the head", "Look at that point"),
    ("Double click on a slider", "Reset it"),
    ("Drop a folder or file", "Open it; .hdr or .exr lights the head"),
)


SHOWN_LABELS = 6
"""Of unfinished work in a question; more is hinted at."""


class Answer(Enum):
    """What to do with unsaved changes."""

    SAVE = "Save"
    DISCARD = "Discard"
    CANCEL = "Cancel"


Ask = Callable[[QWidget, str], Answer]


def ask_unsaved(parent: QWidget, name: str) -> Answer:
    """Ask whether to save the changes of `name` before they are lost."""
    return _ask(parent, "Unsaved changes", f"Save the changes to {name}?", Answer)


class Unfinished(Enum):
    """What to do with work that closing would end."""

    FINISH = "Finish, Then Close"
    CANCEL = "Cancel It and Close"
    STAY = "Stay"


AskUnfinished = Callable[[QWidget, Sequence[str]], Unfinished]


def ask_unfinished(parent: QWidget, labels: Sequence[str]) -> Unfinished:
    """Ask whether the work called `labels` shall be finished or cancelled before the window closes."""
    return _ask(parent, "Not finished", _listed(labels), Unfinished, "Close when this is finished?")


class LeftOver(Enum):
    """What to do with unsaved work of a window that ended without asking."""

    RECOVER = "Recover"
    DISCARD = "Discard"
    LATER = "Ask Later"


def ask_left_over(parent: QWidget, labels: Sequence[str]) -> LeftOver:
    """Ask what to do with the unsaved work called `labels`."""
    text = "ExpDiff Studio ended before this was saved:\n\n" + _listed(labels)
    return _ask(parent, "Unsaved work", text, LeftOver)


def _ask(parent: QWidget, title: str, text: str, answers: type[T], more: str = "") -> T:
    """The one of three `answers`, called as their values, that is clicked; Return gives the first, which does it,
    Escape the last."""
    box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setInformativeText(more)
    roles = QMessageBox.ButtonRole.AcceptRole, QMessageBox.ButtonRole.DestructiveRole, QMessageBox.ButtonRole.RejectRole
    buttons = [box.addButton(answer.value, role) for answer, role in zip(answers, roles, strict=True)]
    box.setDefaultButton(buttons[0])
    box.setEscapeButton(buttons[-1])
    box.exec()
    pressed = box.clickedButton()
    return next(answer for button, answer in zip(buttons, answers, strict=True) if button == pressed)


def _listed(labels: Sequence[str]) -> str:
    """The first of `labels`, a line each."""
    return "\n".join([*labels[:SHOWN_LABELS], *(["…"] if len(labels) > SHOWN_LABELS else [])])


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """What a screenshot shall be."""

    width: int
    height: int
    transparent: bool


class ScreenshotDialog(QDialog):
    """Size and background of a screenshot."""

    def __init__(self, viewport_size: tuple[int, int], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Screenshot")
        current = f"Viewport, {viewport_size[0]} × {viewport_size[1]}"
        self.preset = Choice([(current, viewport_size), *SIZES, ("Custom", None)], self)
        self.width_box, self.height_box = (Number(16, LARGEST_SIDE, decimals=0, parent=self) for _ in range(2))
        self.transparent = QCheckBox("Transparent background", self)
        size = beside((self.width_box, 1), QLabel("×", self), (self.height_box, 1), QLabel("px", self))
        save = QDialogButtonBox.StandardButton.Save
        lay_out(self, save, ("Preset", self.preset), ("Size", size), ("", self.transparent))
        self.preset.edited.connect(self._preset_chosen)
        self._preset_chosen(viewport_size)
        for box in (self.width_box, self.height_box):
            box.valueChanged.connect(self._typed)

    def _preset_chosen(self, size: tuple[int, int] | None) -> None:
        """Show the size; one's own is typed now."""
        for box, value in zip((self.width_box, self.height_box), size or (), strict=False):
            box.show_value(value)
        if size is None:
            self.width_box.setFocus()

    def _typed(self) -> None:
        self.preset.show_value(None)

    @property
    def settings(self) -> PictureSettings:
        """What is chosen now."""
        return PictureSettings(int(self.width_box.value()), int(self.height_box.value()), self.transparent.isChecked())


_MEANINGS: tuple[tuple[str, str, tuple[tuple[str, StrEnum], ...]], ...] = (
    ("Diffuse", "diffuse", (("Albedo", Diffuse.ALBEDO), ("As measured, cross-polarised", Diffuse.MEASURED))),
    (
        "Specular",
        "specular",
        (
            ("Intensity, published scale", Specular.INTENSITY),
            ("Intensity, skin's mean at 0.028", Specular.MEAN),
            ("F0", Specular.F0),
            ("0.08 × map (Unreal)", Specular.UNREAL),
        ),
    ),
    ("Encoding", "encoding", (("Specular is linear", Encoding.LINEAR), ("Specular is sRGB", Encoding.SRGB))),
    (
        "Roughness",
        "roughness",
        (("Roughness", Finish.ROUGHNESS), ("Gloss", Finish.GLOSS), ("GGX alpha", Finish.ALPHA)),
    ),
    ("Normal", "normal", (("OpenGL, green is up", Normal.OPENGL), ("DirectX, green is down", Normal.DIRECTX))),
)
"""Label, field of `MapConventions`, and what to choose from."""


class MapsDialog(QDialog):
    """Which of a folder's images is which map, where no layout says it, and how the maps are to be read."""

    def __init__(self, images: Sequence[Path] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("What the maps mean")
        self.files = {kind: self._file_of(kind, named, images) for kind, named in candidates(images).items() if images}
        self.choices = {name: Choice(items, self) for _, name, items in _MEANINGS}
        rows: list[tuple[str, Choice]] = []
        for label, name, _ in _MEANINGS:
            file = self.files.get(name)
            rows += [(label, self.choices[name])] if file is None else [(label, file), ("", self.choices[name])]
        lay_out(self, QDialogButtonBox.StandardButton.Open, *rows)

    def _file_of(self, kind: str, named: Sequence[Path], images: Sequence[Path]) -> Choice:
        """The files to choose from: the one whose name says it, or which of several."""
        names = " or ".join(path.name for path in named)
        first = f"By name: {names or 'none'}{'?' if len(named) > 1 else ''}"
        none = [] if kind == "diffuse" else [("None", NONE)]
        choice = Choice([(first, ""), *none, *((path.name, str(path)) for path in images)], self)
        choice.setMinimumContentsLength(34)
        return choice

    @property
    def settings(self) -> Opening:
        """What is chosen now."""
        conventions = MapConventions(**{name: choice.value() for name, choice in self.choices.items()})
        return Opening(conventions, {kind: choice.value() for kind, choice in self.files.items() if choice.value()})


class ShortcutSheet(QDialog):
    """Every key and mouse move in two columns, taken from the menus themselves."""

    def __init__(self, groups: Iterable[tuple[str, list[tuple[str, str]]]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Shortcuts")
        body, scroll, layout = QWidget(self), QScrollArea(self), QVBoxLayout(self)
        columns = QHBoxLayout(body)
        columns.setContentsMargins(20, 16, 20, 20)
        columns.setSpacing(36)
        every = [("Mouse", list(MOUSE)), *groups]
        total, column, used = sum(len(rows) + 2 for _, rows in every), None, 0
        for title, rows in every:
            if column is None or used + len(rows) > total * 0.55:
                column, used = QVBoxLayout(), 0
                columns.addLayout(column)
                column.setAlignment(Qt.AlignmentFlag.AlignTop)
            used += len(rows) + 2
            column.addLayout(self._group(title, rows))
            column.addSpacing(10)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)
        scroll.setWidget(body)
        self.resize((body.sizeHint() + QSize(2, 2)).boundedTo(self.screen().availableSize() - QSize(16, 48)))

    def _group(self, title: str, rows: list[tuple[str, str]]) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        grid.setVerticalSpacing(4)
        head = QLabel(f"<b>{title}</b>", self)
        grid.addWidget(head, 0, 0, 1, 2)
        for at, (keys, meaning) in enumerate(rows, start=1):
            key = QLabel(keys, self)
            key.setProperty("quiet", True)
            grid.addWidget(key, at, 0)
            grid.addWidget(QLabel(meaning, self), at, 1)
        grid.setColumnStretch(1, 1)
        return grid


def key_text(sequences: Iterable[QKeySequence]) -> str:
    """Key sequences as people read them."""
    return ", ".join(sequence.toString(QKeySequence.SequenceFormat.NativeText) for sequence in sequences)
