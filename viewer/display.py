"""Is there a display, and OpenGL on it? Asked before a window is made: Qt ends the process without the one, and shows a
black window without the other."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import socket
import sys
from contextlib import suppress

from PySide6.QtGui import QOpenGLContext

from engine.errors import GraphicsError
from viewer.viewport import GL_VERSION

_WITHOUT = "expdiff render, video and generate work without"


def check_display() -> None:
    """GraphicsError where Qt would find no display; nothing is asked where it was told to use none (offscreen)."""
    chosen = {each.partition(":")[0] for each in os.environ.get("QT_QPA_PLATFORM", "").split(";")} - {""}
    windowing = {"xcb", "wayland", "wayland-egl"}
    if not sys.platform.startswith("linux") or chosen - windowing:
        return
    x, wayland = os.environ.get("DISPLAY", ""), os.environ.get("WAYLAND_DISPLAY", "")
    if not (x or wayland):
        raise GraphicsError(
            f"the window: expected a display, found neither DISPLAY nor WAYLAND_DISPLAY set; {_WITHOUT}"
        )
    reaches_x = "xcb" in (chosen or windowing) and bool(x) and _reaches_x()
    reaches_wayland = bool((chosen or windowing) - {"xcb"}) and bool(wayland) and _reaches_wayland(wayland)
    if not (reaches_x or reaches_wayland):
        raise GraphicsError(f"the window: expected a display, found none that answers at '{x or wayland}'; {_WITHOUT}")


def _reaches_x() -> bool:
    """Does the X server of $DISPLAY let us in? By the library that Qt uses; True where that is not to be had."""
    name = ctypes.util.find_library("xcb")
    if name is None:
        return True
    library = ctypes.CDLL(name)
    library.xcb_connect.restype = ctypes.c_void_p
    library.xcb_connection_has_error.argtypes = library.xcb_disconnect.argtypes = [ctypes.c_void_p]
    connection = library.xcb_connect(None, None)
    refused = library.xcb_connection_has_error(connection)
    library.xcb_disconnect(connection)
    return not refused


def _reaches_wayland(name: str) -> bool:
    path = name if name.startswith("/") else os.path.join(os.environ.get("XDG_RUNTIME_DIR", ""), name)
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        return True
    return False


def check_opengl() -> None:
    """GraphicsError where the context that all windows of the QApplication share is missing or too old."""
    context = QOpenGLContext.globalShareContext()
    wanted = ".".join(map(str, GL_VERSION))
    if context is None or not context.isValid():
        raise GraphicsError(f"the window: expected OpenGL {wanted} on this display, found none; {_WITHOUT}")
    version = context.format().version()
    if version < GL_VERSION:
        raise GraphicsError(
            f"the window: expected OpenGL {wanted} or newer, found {version[0]}.{version[1]}; "
            f"update the graphics driver, or set LIBGL_ALWAYS_SOFTWARE=1; {_WITHOUT}"
        )
