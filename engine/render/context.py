"""An OpenGL context without a window, and what is asked of any context."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import moderngl

from engine.errors import GraphicsError
from engine.reproducible import code_digest

GL_VERSION = 410
"""OpenGL 4.1 core: what macOS still has, and all the renderer needs."""


def standalone_context() -> moderngl.Context:
    """A new OpenGL 4.1 core context without a window, made current: EGL first, then what the platform offers.

    The caller releases it. GraphicsError, in one line, says what was tried and what to install.
    """
    found = []
    for backend in ("egl", None) if sys.platform.startswith("linux") else (None,):
        settings: dict[str, Any] = {"backend": backend} if backend else {}
        try:
            context = moderngl.create_context(require=GL_VERSION, standalone=True, **settings)
        except Exception as error:  # glcontext raises bare Exception, ImportError or ValueError by platform
            found.append(f"{backend or 'default'}: {' '.join(str(error).split()) or type(error).__name__}")
            continue
        context.extra = context.simple_framebuffer((1, 1))  # without a window nothing else is there to be bound
        context.extra.use()
        return context
    raise GraphicsError(
        f"expected OpenGL {GL_VERSION // 100}.{GL_VERSION // 10 % 10}, found none ({'; '.join(found)}); "
        "on Debian or Ubuntu: sudo apt install libegl1 libgl1 libgl1-mesa-dri"
    )


class Owned(Protocol):
    def release(self) -> object: ...


def give_back(*owned: Owned | None) -> None:
    """Release whatever of it was made."""
    for made in owned:
        if made is not None:
            made.release()


def is_software(context: moderngl.Context) -> bool:
    """Whether the driver draws on the CPU (Mesa's llvmpipe and softpipe, SwiftShader, Windows' own)."""
    return names_software(context.info["GL_RENDERER"])


def drawn_by(context: moderngl.Context) -> tuple[str, ...]:
    """What decides the bits of what `context` draws, beside what it is given: its driver and this program's code."""
    return context.info["GL_RENDERER"], context.info["GL_VERSION"], code_digest("render", "shaders", "face")


def names_software(renderer: str) -> bool:
    """The same of OpenGL's name `renderer` of a driver."""
    return any(word in renderer.lower() for word in ("llvmpipe", "softpipe", "swrast", "swiftshader", "gdi generic"))


@contextmanager
def drawing_into(target: moderngl.Framebuffer) -> Iterator[None]:
    """Bind `target`, and what was bound before at the end: moderngl goes back to the bound framebuffer whenever it
    makes another, which must therefore not be one that has been released."""
    before = target.ctx.fbo
    target.use()
    try:
        yield
    finally:
        if before is not None:
            before.use()
