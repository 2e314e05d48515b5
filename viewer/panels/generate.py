"""Asking the model: a prompt or names, steps, seed, one button that turns into Cancel, progress."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from engine.diffusion.prompts import understand
from engine.diffusion.request import AGES_YEARS, MOST_FOLDS, usual_age_years
from engine.errors import VocabularyError
from engine.project import Project
from viewer import style
from viewer.document import Document
from viewer.generation import OTHERS, Generation, Settings
from viewer.panels.form import beside, form
from viewer.widgets.controls import Choice, Elided, Toggle
from viewer.widgets.number import Number
from viewer.widgets.slider import FloatSlider

MISSING, ALL = "missing", "all"
MAX_SEED = 2**31 - 1


class GeneratePanel(QWidget):
    """Builds a request from its fields and hands it to `Generation`."""

    def __init__(self, document: Document, generation: Generation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.document, self.generation = document, generation
        self.prompt = QLineEdit(self)
        self.prompt.setPlaceholderText("in words, e.g. sly smile")
        self.prompt.setClearButtonEnabled(True)
        self.prompt.setToolTip("Free text makes one new expression of that name; empty uses the list below")
        self.which = Choice(parent=self)
        self.steps = Number(1, 50, decimals=0, value=generation.settings.steps, parent=self)
        self.steps.setToolTip("Sampler steps: more is slower and finer")
        self.seed = Number(0, MAX_SEED, decimals=0, value=generation.settings.seed, parent=self)
        self.seed.setToolTip("Same seed, same result")
        self.lock = Choice([("nothing", ""), ("their shapes", "shape"), ("their skin", "skin")], parent=self)
        self.lock.setToolTip("Of expressions that are there, keep this and make the rest to go with it")
        self.folds = FloatSlider((0.0, MOST_FOLDS), rest=1.0, parent=self)
        self.folds.setToolTip("How deep skin folds in what is made next, shape and maps; 0: as the model draws it")
        self.age = Number(*AGES_YEARS, decimals=0, parent=self)
        self.age.setFixedWidth(32)
        self.age.setToolTip("How old skin folds in what is made next, in years; the head's own age where it is known")
        self.fill = Toggle("Then make the others too", self)
        self.fill.setToolTip(
            "While you work, in the background, the most similar first; stops for whatever you ask for"
        )
        self.button = QPushButton(self)
        self.progress = QProgressBar(self)
        self.progress.setTextVisible(False)
        self.progress.setRange(0, 1000)
        self.status = Elided(parent=self)
        self.status.setProperty("quiet", True)
        self._lay_out()
        self.prompt.textChanged.connect(self._show)
        self.prompt.textChanged.connect(self._read)
        self.prompt.returnPressed.connect(self._start)
        self.which.edited.connect(self._show)
        numbers = self.steps.valueChanged, self.seed.valueChanged, self.age.valueChanged
        for changed in (*numbers, self.lock.edited, self.folds.edited):
            changed.connect(self._settings_changed)
        self.lock.edited.connect(self._fill)
        self.fill.edited.connect(generation.fill)
        self.button.clicked.connect(self._clicked)
        document.changed.connect(self._document_changed)
        generation.changed.connect(self._show)
        generation.told.connect(self.status.set_full)
        generation.failed.connect(lambda message: self.status.set_full(f"Failed: {message}"))
        self._take_age()
        self._fill()

    def _lay_out(self) -> None:
        layout = form(self)
        layout.addRow("Prompt", self.prompt)
        layout.addRow("Make", self.which)
        layout.addRow("Keep", self.lock)
        layout.addRow("Steps", beside((self.steps, 1), QLabel("Seed", self), (self.seed, 2), spacing=8))
        layout.addRow("Folds", beside((self.folds, 1), QLabel("Age", self), self.age, spacing=6))
        layout.addRow(self.fill)
        under = QVBoxLayout()
        under.setSpacing(1)
        for widget in (self.button, self.progress, self.status):
            under.addWidget(widget)
        layout.addRow(under)

    @property
    def names(self) -> tuple[str, ...]:
        """The vocabulary names the list stands for now."""
        chosen = self.which.value()
        if chosen == ALL:
            return self._locked() or OTHERS
        if chosen == MISSING:
            return self.generation.missing
        return (chosen,)

    def _locked(self) -> tuple[str, ...]:
        """Expressions of which something is kept; none without a lock."""
        missing = self.generation.missing
        return tuple(name for name in OTHERS if name not in missing) if self.lock.value() else ()

    def _fill(self) -> None:
        missing = self.generation.missing
        locked = self._locked()
        items = [(f"The {len(locked)} that are there" if locked else f"All {len(OTHERS)} expressions", ALL)]
        if not locked and 0 < len(missing) < len(OTHERS):
            items.insert(0, ("Those not made yet", MISSING))
        self.which.set_items(items + [(name, name) for name in locked or OTHERS])
        self._show()

    def _document_changed(self, old: Project, new: Project) -> None:
        if old.expressions is not new.expressions:
            self._fill()
        if old.identity is not new.identity:
            self._read()  # what was said was of the head before
            self._take_age()

    def _take_age(self) -> None:
        """Show the age of the head that is there; one that was set was of the head before."""
        self._usual_age_years = round(usual_age_years(self.document.project.identity))
        self.age.setValue(self._usual_age_years)
        self._settings_changed()

    def _settings_changed(self) -> None:
        age = self.age.value()
        self.generation.settings = Settings(
            int(self.steps.value()),
            int(self.seed.value()),
            self.lock.value(),
            self.folds.value(),
            None if age == self._usual_age_years else age,
        )

    def _clicked(self) -> None:
        if self.generation.busy:
            self.generation.cancel()
        else:
            self._start()

    def _start(self) -> None:
        prompt = " ".join(self.prompt.text().split())
        if prompt:
            self.generation.start((), prompt)
        elif not self.generation.busy:
            self.generation.start(self.names)

    def _show(self) -> None:
        generation, prompt = self.generation, " ".join(self.prompt.text().split())
        self.which.setEnabled(not prompt)
        if generation.busy:
            self.button.setText("Stopping…" if generation.stopping else "Cancel")
            waiting = f"  ·  {len(generation.waiting)} waiting" if generation.waiting else ""
            self.status.set_full(generation.label + waiting)
        elif prompt:
            self.button.setText("Generate from prompt")
        else:
            self.button.setText(f"Generate {self.which.currentText()}" if len(self.names) == 1 else "Generate")
        if generation.filling:
            ready = len(OTHERS) - len(self.generation.missing)
            self.status.set_full(f"{ready} of {len(OTHERS)} are there, the others follow")
        self.fill.show_value(generation.fills)
        self.button.setEnabled(not generation.stopping)
        style.mark(self.button, "primary", not generation.busy)
        self.progress.setValue(round(1000 * generation.fraction))
        self.setCursor(Qt.CursorShape.ArrowCursor)

    def _read(self) -> None:
        """Say what the prompt is taken to mean, or why it means nothing, as it is typed."""
        prompt = self.prompt.text().strip()
        if self.generation.busy:
            return
        try:
            self.status.set_full(f"Reads: {understand(prompt)}" if prompt else "")
        except VocabularyError as error:
            self.status.set_full(str(error))
