"""Docks that come back where they were, and a column of sections that fold and scroll together."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QDockWidget, QScrollArea, QSizePolicy, QToolButton, QVBoxLayout, QWidget


class Dock(QDockWidget):
    """A dock that is docked again when it is closed while it floats, so that it comes back where it was."""

    def __init__(self, title: str, content: QWidget, parent: QWidget) -> None:
        super().__init__(title, parent)
        self.setObjectName(title)
        self.setWidget(content)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Hide, docked."""
        super().closeEvent(event)
        if self.isFloating():
            self.setFloating(False)
            self.hide()


class Section(QWidget):
    """A panel below a title that folds it away."""

    folded = Signal(bool)

    def __init__(self, title: str, panel: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.panel = title, panel
        self.header = QToolButton(self)
        self.header.setObjectName("section")
        self.header.setText(title)
        self.header.setToolTip("Fold or unfold")
        self.header.setCheckable(True)
        self.header.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.header.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.header.clicked.connect(lambda open_: self.fold(not open_))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addWidget(panel)
        self.fold(False)

    @property
    def is_folded(self) -> bool:
        """Is only the title shown?"""
        return self.panel.isHidden()

    def fold(self, away: bool) -> None:
        """Show the title alone, or the panel too."""
        self.panel.setVisible(not away)
        self.header.setChecked(not away)
        self.header.setArrowType(Qt.ArrowType.RightArrow if away else Qt.ArrowType.DownArrow)
        self.folded.emit(away)


class Column(QScrollArea):
    """Sections below each other, as high as they like, scrolling where the window is lower."""

    def __init__(self, sections: list[Section], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.sections = sections
        self._body = body = QWidget(self)
        layout = QVBoxLayout(body)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for section in sections:
            layout.addWidget(section)
            section.header.clicked.connect(lambda open_, section=section: open_ and self.show_section(section))
        layout.addStretch(1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(body.minimumSizeHint().width() + self.verticalScrollBar().sizeHint().width())

    def show_section(self, section: Section) -> None:
        """Unfold `section` and scroll to it: all of it where there is room, else its beginning."""
        section.fold(False)
        QTimer.singleShot(0, self, lambda: self._scroll_to(section))  # its height is known after the layout

    def _scroll_to(self, section: Section) -> None:
        at, bar = section.y(), self.verticalScrollBar()
        end = at + section.height() - self.viewport().height()
        bar.setValue(min(max(bar.value(), end), at))

    def sizeHint(self) -> QSize:
        """As wide as the least, as high as all sections."""
        return QSize(self.minimumWidth(), self._body.sizeHint().height())
