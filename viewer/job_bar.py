"""What is being read and written, in the status bar: how far, what waits behind it, and a way to cancel each."""

from __future__ import annotations

from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QProgressBar, QToolButton, QWidget

from engine.jobs import Job, Lane, State
from viewer.jobs import Jobs, time_left

WORK_ON_FILES = (Lane.FILES, Lane.VIDEO, Lane.OPENING)


class JobBar(QWidget):
    """Shows the first job of `WORK_ON_FILES`; hidden while there is none. Cancel ends it, or of several asks which."""

    def __init__(self, jobs: Jobs, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs, self._shown = jobs, 0
        self.label, self.bar, self.cancel = QLabel(self), QProgressBar(self), QToolButton(self)
        self.bar.setFixedWidth(120)
        self.bar.setTextVisible(False)
        self.cancel.setText("Cancel")
        self.cancel.clicked.connect(self._cancel)
        self.list = QMenu(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(8, 0, 8, 0)
        for widget in (self.label, self.bar, self.cancel):
            layout.addWidget(widget)
        jobs.changed.connect(self._job_changed)
        self.hide()

    def waiting(self) -> tuple[Job, ...]:
        """The jobs it stands for: those under way first."""
        jobs = self._jobs.waiting(*WORK_ON_FILES)
        return tuple(sorted(jobs, key=lambda job: job.state is State.WAITING))

    def _job_changed(self, job: Job) -> None:
        if job.lane in WORK_ON_FILES:  # a bar paints at once: not for every step of the model
            self._show()

    def _show(self) -> None:
        jobs = self.waiting()
        self.setVisible(bool(jobs))
        if not jobs:
            return
        self._shown = jobs[0].number
        step, others = jobs[0].step, len(jobs) - 1
        text = f"{jobs[0].label}: {step.label}{time_left(jobs[0])}" if step is not None else jobs[0].label
        self.label.setText(text + f"  ·  {others} more" * bool(others))
        self.bar.setRange(0, step.total if step is not None and step.index else 0)
        self.bar.setValue(step.index if step is not None else 0)
        self.cancel.setText("Cancel…" if others else "Cancel")
        self.cancel.setToolTip("Choose what to stop" if others else "Stop this")

    def _cancel(self) -> None:
        jobs = self.waiting()
        if len(jobs) < 2:
            self._jobs.cancel(self._shown)  # what the person saw, though it may be over by now
            return
        self.list.clear()
        for job in jobs:
            action = self.list.addAction(f"{job.label} ({job.state.value})".replace("&", "&&"))
            action.triggered.connect(lambda checked=False, number=job.number: self._jobs.cancel(number))
        self.list.popup(self.cancel.mapToGlobal(QPoint(0, -self.list.sizeHint().height())))
