"""How the forms of the docks look: labels left in one column, controls right, greyed out where they change nothing."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFormLayout, QFrame, QHBoxLayout, QLabel, QWidget

LABEL_WIDTH = 80


class Form(QFormLayout):
    """A form whose labels have one width in every dock, so that docks above each other line up."""

    def addRow(self, *row: object) -> None:
        """As QFormLayout's."""
        if len(row) == 2 and isinstance(row[0], str):
            label = QLabel(row[0])
            # A form puts labels at the top of their row: one as high as its control stands in the middle.
            label.setFixedSize(LABEL_WIDTH, row[1].sizeHint().height())  # type: ignore[attr-defined]
            super().addRow(label, row[1])  # type: ignore[call-overload]
        else:
            super().addRow(*row)  # type: ignore[call-overload]

    def add_line(self) -> None:
        """A thin line between two groups."""
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        line.setFixedHeight(1)
        line.setStyleSheet("background: #3a3b3f; border: none;")
        super().addRow(line)


def form(panel: QWidget) -> Form:
    """Give `panel` the common form layout."""
    layout = Form(panel)
    layout.setContentsMargins(10, 4, 10, 8)
    layout.setHorizontalSpacing(6)
    layout.setVerticalSpacing(6)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    panel.setMinimumWidth(300)
    return layout


def beside(*widgets: QWidget | tuple[QWidget, int], spacing: int | None = None) -> QHBoxLayout:
    """`widgets` in a row, each with its share of the width where it has one."""
    row = QHBoxLayout()
    if spacing is not None:
        row.setSpacing(spacing)
    for each in widgets:
        row.addWidget(*each) if isinstance(each, tuple) else row.addWidget(each)
    return row


def lay_out(dialog: QDialog, accept: QDialogButtonBox.StandardButton, *rows: tuple[object, ...]) -> QDialogButtonBox:
    """Give `dialog` the form of `rows`, and below them a button that accepts it and one that does not."""
    buttons = QDialogButtonBox(accept | QDialogButtonBox.StandardButton.Cancel, dialog)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    layout = form(dialog)
    layout.setContentsMargins(14, 14, 14, 12)
    for row in (*rows, (buttons,)):
        layout.addRow(*row)
    return buttons


def set_idle(control: QWidget, why: str = "") -> None:
    """Grey `control` out where `why` says why it changes nothing now, which is its tool tip then; '' brings it back."""
    own = control.property("tip")
    if own is None:
        own = control.toolTip()
        control.setProperty("tip", own)
    control.setEnabled(not why)
    control.setToolTip(why or own)
