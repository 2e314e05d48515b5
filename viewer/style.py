"""The dark look: Fusion, one palette, one small style sheet (`style.qss`)."""

from __future__ import annotations

from pathlib import Path
from string import Template

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QWidget

_WINDOW, _BASE, _RAISED, _LINE = "#26272a", "#1e1f21", "#34363a", "#4a4c51"
_TEXT, _QUIET, ACCENT = "#d8d9dc", "#8b8d93", "#5b8fd0"

_ROLES = {
    QPalette.ColorRole.Window: _WINDOW,
    QPalette.ColorRole.WindowText: _TEXT,
    QPalette.ColorRole.Base: _BASE,
    QPalette.ColorRole.AlternateBase: _WINDOW,
    QPalette.ColorRole.Text: _TEXT,
    QPalette.ColorRole.PlaceholderText: _QUIET,
    QPalette.ColorRole.Button: _RAISED,
    QPalette.ColorRole.ButtonText: _TEXT,
    QPalette.ColorRole.BrightText: "#ffffff",
    QPalette.ColorRole.ToolTipBase: _RAISED,
    QPalette.ColorRole.ToolTipText: _TEXT,
    QPalette.ColorRole.Highlight: ACCENT,
    QPalette.ColorRole.HighlightedText: "#ffffff",
    QPalette.ColorRole.Link: ACCENT,
    QPalette.ColorRole.Light: "#3c3e43",
    QPalette.ColorRole.Midlight: _RAISED,
    QPalette.ColorRole.Mid: _LINE,
    QPalette.ColorRole.Dark: "#1a1b1d",
    QPalette.ColorRole.Shadow: "#101112",
}

SHEET = Path(__file__).parent / "style.qss"
"""The style sheet, with `$name` for colours and pictures."""


def sheet() -> str:
    """The style sheet as Qt takes it."""
    values = {"window": _WINDOW, "base": _BASE, "raised": _RAISED, "line": _LINE}
    values |= {"text": _TEXT, "quiet": _QUIET, "accent": ACCENT}
    values |= {path.stem: path.as_posix() for path in (SHEET.parent / "widgets").glob("*.svg")}
    return Template(SHEET.read_text("utf-8")).substitute(values)


def mark(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the sheet looks at, and let it look again where it is new."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)


def apply(app: QApplication) -> None:
    """Give the whole application the dark look."""
    app.setStyle("Fusion")
    palette = QPalette()
    for role, color in _ROLES.items():
        palette.setColor(role, QColor(color))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(_QUIET))
    app.setPalette(palette)
    app.setStyleSheet(sheet())
