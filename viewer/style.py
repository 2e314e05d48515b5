"""The dark look: Fusion, one palette, one small style sheet."""

from __future__ import annotations

from pathlib import Path

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

_PICTURES = Path(__file__).parent / "widgets"
_TICK, _ARROW, _CLOSE, _FLOAT = ((_PICTURES / f"{name}.svg").as_posix() for name in ("tick", "arrow", "close", "float"))

SHEET = f"""
QWidget {{ font-size: 12px; }}
QMainWindow::separator {{ background: #1a1b1d; width: 3px; height: 3px; }}
QDockWidget {{ titlebar-close-icon: url("{_CLOSE}"); titlebar-normal-icon: url("{_FLOAT}"); }}
QDockWidget::title {{ background: {_WINDOW}; padding: 7px 10px 4px 10px; text-align: left; }}
QDockWidget {{ color: {_QUIET}; font-weight: 600; }}
QTabBar::tab {{ background: {_WINDOW}; color: {_QUIET}; padding: 5px 12px; border: none;
  border-top: 2px solid transparent; }}
QTabBar::tab:selected {{ color: {_TEXT}; border-top-color: {ACCENT}; }}
QTabBar::tab:hover {{ color: {_TEXT}; }}
QMenuBar {{ background: #1a1b1d; padding: 1px 4px; }}
QMenuBar::item {{ padding: 4px 9px; background: transparent; border-radius: 3px; }}
QMenuBar::item:selected {{ background: {_RAISED}; }}
QMenu {{ background: {_WINDOW}; border: 1px solid {_LINE}; padding: 4px; }}
QMenu::item {{ padding: 5px 26px 5px 22px; border-radius: 3px; }}
QMenu::item:selected {{ background: {ACCENT}; color: white; }}
QMenu::item:disabled {{ color: {_QUIET}; }}
QMenu::separator {{ height: 1px; background: {_LINE}; margin: 4px 8px; }}
QStatusBar {{ background: #1a1b1d; color: {_QUIET}; }}
QStatusBar::item {{ border: none; }}
QLineEdit {{ background: {_BASE}; border: 1px solid {_LINE}; border-radius: 3px; padding: 2px 4px; min-height: 17px; }}
QLineEdit:focus {{ border-color: {ACCENT}; }}
QLineEdit:disabled {{ color: {_QUIET}; }}
QAbstractSpinBox QLineEdit {{ border: none; padding: 0; min-height: 0; background: transparent; }}
QComboBox {{ background: {_RAISED}; border: 1px solid {_LINE}; border-radius: 3px;
  padding: 3px 6px; min-height: 16px; }}
QComboBox:hover {{ background: #3e4046; }}
QComboBox:disabled {{ color: {_QUIET}; background: {_WINDOW}; }}
QComboBox::drop-down {{ border: none; width: 18px; }}
QComboBox::down-arrow {{ image: url("{_ARROW}"); width: 9px; height: 6px; }}
QComboBox QAbstractItemView {{ background: {_BASE}; border: 1px solid {_LINE}; selection-background-color: {ACCENT}; }}
QCheckBox {{ spacing: 7px; }}
QCheckBox::indicator {{ width: 13px; height: 13px; border: 1px solid #6a6c72; border-radius: 3px;
  background: {_BASE}; }}
QCheckBox::indicator:disabled {{ border-color: {_LINE}; }}
QCheckBox::indicator:hover {{ border-color: {ACCENT}; }}
QCheckBox::indicator:checked {{ background: {ACCENT}; border-color: {ACCENT}; image: url("{_TICK}"); }}
QCheckBox::indicator:checked:disabled {{ background: {_LINE}; border-color: {_LINE}; }}
QPushButton {{ background: {_RAISED}; border: 1px solid {_LINE}; border-radius: 3px; padding: 5px 12px; }}
QPushButton:hover {{ background: #3e4046; }}
QPushButton:pressed {{ background: {_BASE}; }}
QPushButton:disabled {{ color: {_QUIET}; }}
QPushButton[primary="true"] {{ background: {ACCENT}; border-color: {ACCENT}; color: white; font-weight: 600; }}
QPushButton[primary="true"]:hover {{ background: #6c9ddb; }}
QPushButton[primary="true"]:pressed {{ background: #4c7cb8; }}
QPushButton[primary="true"]:disabled {{ background: {_RAISED}; border-color: {_LINE}; color: {_QUIET}; }}
QToolButton {{ border: none; border-radius: 3px; padding: 1px 2px; color: {_QUIET}; }}
QToolButton:hover {{ background: {_RAISED}; color: {_TEXT}; }}
QToolButton#section {{ background: #2e3033; border-radius: 0; padding: 4px 6px; color: {_TEXT}; font-weight: 600; }}
QToolButton#section:hover {{ background: {_RAISED}; }}
QToolButton#generate {{ color: #74767c; }}
QToolButton#generate:hover {{ color: {_TEXT}; }}
QDialogButtonBox {{ dialogbuttonbox-buttons-have-icons: 0; }}
QProgressBar {{ background: {_BASE}; border: none; border-radius: 2px; max-height: 4px; min-height: 4px; }}
QProgressBar::chunk {{ background: {ACCENT}; border-radius: 2px; }}
QScrollArea {{ border: none; }}
QScrollBar:vertical {{ background: transparent; width: 9px; margin: 0; }}
QScrollBar::handle:vertical {{ background: {_LINE}; border-radius: 4px; min-height: 24px; margin: 0 1px; }}
QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; }}
QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
QToolTip {{ background: {_RAISED}; color: {_TEXT}; border: 1px solid {_LINE}; padding: 4px; }}
QLabel[quiet="true"] {{ color: {_QUIET}; }}
QFrame#notifier {{ border-radius: 4px; border: 1px solid {_LINE}; background: {_RAISED}; }}
QFrame#notifier[kind="error"] {{ border-color: #a8554c; background: #4a2c2a; }}
"""


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
    app.setStyleSheet(SHEET)
