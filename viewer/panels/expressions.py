"""The list of expression sliders: search, reset, and what is not made yet offers to be made."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from engine.project import Project
from engine.sides import Sides, Weight, both, plain
from engine.vocabulary import EXPRESSIONS, NEUTRAL
from viewer import style
from viewer.document import Document, with_weight
from viewer.generation import Generation
from viewer.widgets.controls import Elided
from viewer.widgets.slider import FloatSlider

USUAL, SLIDER_RANGE, TYPED_RANGE = 1.0, (0.0, 1.5), (-1.0, 2.0)
_LABEL_WIDTHS, _ROW_HEIGHT = (96, 130), 24
_SIDES = {"LR": "both sides", "L": "the subject's left", "R": "the subject's right"}
"""What a row's slider moves, in the order its button goes through."""
_ENTRIES = {entry.name: entry for entry in EXPRESSIONS}


def describe(name: str, prompt: str = "", facs: Mapping[str, float] | None = None) -> str:
    """Tool tip of an expression: what it does and its FACS action units."""
    entry = _ENTRIES.get(name)
    prompt, facs = (entry.prompt, entry.facs) if entry else (prompt, facs or {})
    units = ", ".join(unit if strength == 1.0 else f"{unit} × {strength:g}" for unit, strength in facs.items())
    return "\n".join(filter(None, (name, prompt, f"FACS {units}" if units else "No FACS unit of its own")))


class ExpressionRow(QWidget):
    """One slider. `state` is 'ready', 'missing', 'waiting' or 'making'; `side` is one of `_SIDES`."""

    moved = Signal(str, object)
    """(name, Weight)"""
    settled = Signal()
    wanted = Signal(str)
    """Its 'generate' was clicked."""

    def __init__(self, name: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name, self.state, self.side = name, "", "LR"
        self._weight: Weight = 0.0
        self.setFixedHeight(_ROW_HEIGHT)
        self.setToolTip(tip)
        self.label = Elided(name, self)
        self.label.setMinimumWidth(_LABEL_WIDTHS[0])
        self.label.setMaximumWidth(_LABEL_WIDTHS[1])
        self.slider = FloatSlider(SLIDER_RANGE, TYPED_RANGE, usual=USUAL, parent=self)
        self.slider.edited.connect(self._edited)
        self.sides = QToolButton(self)
        self.sides.setFixedWidth(26)
        self.sides.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.sides.clicked.connect(self._next_side)
        self.slider.settled.connect(self.settled)
        self.generate = QToolButton(self)
        self.generate.setObjectName("generate")
        self.generate.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.generate.clicked.connect(lambda: self.wanted.emit(self.name))
        self.reset = QToolButton(self)
        self.reset.setText("↺")
        self.reset.setToolTip("Back to 0")
        self.reset.setFixedWidth(20)
        self.reset.clicked.connect(self._reset)
        self._end = QStackedWidget(self)
        self._end.setFixedWidth(60)
        self._end.addWidget(self.slider.number)
        self._end.addWidget(self.generate)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(10, 1, 2, 1)
        layout.setSpacing(4)
        layout.addWidget(self.label, 3)
        layout.addWidget(self.sides)
        layout.addWidget(self.slider, 2)
        layout.addWidget(self._end)
        layout.addWidget(self.reset)

    def show_state(self, state: str) -> None:
        """Dim the row unless its expression is there, and say what can be done or is being done."""
        if state == self.state:
            return
        self.state = state
        ready = state == "ready"
        style.mark(self.label, "quiet", not ready)
        self.slider.groove.dim = not ready
        self.slider.groove.update()
        self._end.setCurrentIndex(0 if ready else 1)
        self.generate.setEnabled(state == "missing")
        self.generate.setText({"missing": "generate", "waiting": "waiting", "making": "making"}.get(state, ""))
        self.generate.setToolTip("Make this expression for this person (moving the slider does it too)")

    def show_weight(self, weight: Weight) -> None:
        """Show `weight`, of the stronger side where they differ and none was chosen; no reset where it is 0."""
        self._weight = weight
        left, right = both(weight)
        if self.side == "LR" and left != right:
            self.side = "L" if abs(left) >= abs(right) else "R"
        self.slider.show_value(right if self.side == "R" else left)
        self.sides.setText(self.side)
        apart = f"; left {left:.2f}, right {right:.2f}" if left != right else ""
        self.sides.setToolTip(f"The slider moves {_SIDES[self.side]}{apart}")
        self.reset.setEnabled(weight != 0.0)
        self.reset.setText("↺" if weight != 0.0 else "")

    def _edited(self, value: float) -> None:
        left, right = both(self._weight)
        pair = Sides(left if self.side == "R" else value, right if self.side == "L" else value)
        self.moved.emit(self.name, plain(pair))

    def _next_side(self) -> None:
        """Both, left, right, both: there the weaker side takes the weight of the stronger."""
        order = list(_SIDES)
        self.side = order[(order.index(self.side) + 1) % len(order)]
        if self.side == "LR" and isinstance(self._weight, Sides):
            self.moved.emit(self.name, max(self._weight, key=abs))
            self.settled.emit()
        else:
            self.show_weight(self._weight)

    def _reset(self) -> None:
        self.side = "LR"
        self.moved.emit(self.name, 0.0)
        self.settled.emit()


class ExpressionsPanel(QWidget):
    """All expressions of the vocabulary, and those made from a prompt below them."""

    def __init__(self, document: Document, generation: Generation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.document, self.generation = document, generation
        self.rows: dict[str, ExpressionRow] = {}
        self.search = QLineEdit(self)
        self.search.setPlaceholderText("Search, e.g. smile or AU12")
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.reset_all = QPushButton("Reset all", self)
        self.reset_all.clicked.connect(document.reset_weights)
        self.nothing = QLabel("No expression matches", self)
        self.nothing.setProperty("quiet", True)
        self.nothing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        body = QWidget(self)
        self._list = QVBoxLayout(body)
        self._list.setContentsMargins(0, 0, 0, 6)
        self._list.setSpacing(0)
        self._list.addWidget(self.nothing)
        self._list.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidget(body)
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        head = QHBoxLayout()
        head.setContentsMargins(10, 4, 10, 4)
        head.addWidget(self.search, 1)
        head.addWidget(self.reset_all)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(scroll, 1)
        self.setMinimumWidth(300)
        document.changed.connect(self._changed)
        generation.changed.connect(self._show_states)
        self._show(document.project)

    def _changed(self, old: Project, new: Project) -> None:
        if old.identity is not new.identity:
            for row in self.rows.values():
                row.side = "LR"  # chosen for the head before
        if old.expressions is not new.expressions:
            self._show(new)
        elif old.weights is not new.weights:
            self._show_weights(new)

    def _show(self, project: Project) -> None:
        names = [entry.name for entry in EXPRESSIONS if entry.name != NEUTRAL]
        names += [name for name in project.expressions.names if name not in names and name != NEUTRAL]
        for name in [name for name in self.rows if name not in names]:
            self.rows.pop(name).deleteLater()
        for at, name in enumerate(names):
            if name not in self.rows:
                self._list.insertWidget(at, self._add(name))
            if name not in _ENTRIES and name in project.expressions:
                prompted = project.expressions[name]  # made again, or of another head, it may mean something else
                self.rows[name].setToolTip(describe(name, prompted.prompt, prompted.facs))
        self._show_states()
        self._show_weights(project)
        self._filter(self.search.text())

    def _add(self, name: str) -> ExpressionRow:
        row = ExpressionRow(name, describe(name), self)
        row.moved.connect(self._moved)
        row.settled.connect(self.document.seal)
        row.wanted.connect(self._wanted)
        self.rows[name] = row
        return row

    def _show_weights(self, project: Project) -> None:
        for name, row in self.rows.items():
            row.show_weight(project.weights.get(name, 0.0))
        self.reset_all.setEnabled(any(weight != 0.0 for weight in project.weights.values()))

    def _show_states(self) -> None:
        names, generation = self.document.project.expressions.names, self.generation
        for name, row in self.rows.items():
            if name in generation.making:
                row.show_state("making")
            elif name in names:
                row.show_state("ready")
            else:
                row.show_state("waiting" if name in generation.waiting else "missing")

    def _moved(self, name: str, weight: Weight) -> None:
        project = self.document.project
        if project.weights.get(name, 0.0) != weight:
            label = name if weight else f"Reset {name}"
            self.document.edit(label, merge=("weight", name), weights=with_weight(project, name, weight))
        if weight:
            self.generation.want(name)

    def _wanted(self, name: str) -> None:
        """'generate' was clicked: one expression asked for by name is wanted on the face."""
        old = self.document.project.weights
        if (weights := self.generation.put_on(name)(old)) is not old:
            self.document.edit(name, weights=weights)
        self.generation.want(name)

    def _filter(self, text: str) -> None:
        words, shown = text.casefold().split(), 0
        for row in self.rows.values():
            haystack = row.toolTip().casefold()
            fits = all(word in haystack for word in words)
            row.setVisible(fits)
            shown += fits
        self.nothing.setVisible(shown == 0)
