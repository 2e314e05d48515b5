"""The `expdiff` command, a module for each group of commands. Exit codes: 0 done, 1 cannot be done (one line says why),
2 wrong usage.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from io import TextIOWrapper

from engine.checks import one_line, printable
from engine.cli import heads, pictures, window
from engine.cli.parser import build_parser
from engine.errors import EngineError

BROKEN_PIPE = 141
"""Exit code where the reader of a pipe went away: what a shell reports of a program that SIGPIPE ended."""

_LAZY = {
    "dataset": "engine.synth.dataset",
    "train": "engine.diffusion.train",
    "evaluate": "engine.diffusion.evaluate",
}
"""Commands whose arguments their own module declares: it imports torch, so it is loaded only when it is meant."""


def main(argv: list[str] | None = None) -> int:
    """Run `expdiff` with `argv` (the process's own when None) and return its exit code; argparse exits by itself."""
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may lack letters that names have
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            return _main(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # a reader that is gone is noticed here, not when Python ends
    except BrokenPipeError:  # `expdiff info P | head`: nobody wants the rest
        _stop_printing()
        return BROKEN_PIPE
    except OSError as error:  # what no reader or writer of ours turned into its own error: a full disk under a `> file`
        print(f"expdiff: error: {one_line(error)}", file=sys.stderr)
        _stop_printing()
        return 1


def _main(arguments: list[str]) -> int:
    with _notes_on_stderr():
        try:
            if arguments and arguments[0] in _LAZY:
                return _run_lazy(arguments[0], arguments[1:])
            options = build_parser().parse_args(arguments)
            return COMMANDS[options.command](options)
        except EngineError as error:
            print(f"expdiff: error: {one_line(error)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("expdiff: stopped", file=sys.stderr)
            return 130


def _stop_printing() -> None:
    """Send what is still to be printed nowhere, so that Python's own flush at the end has no reader to miss."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a stream without a file
            os.dup2(nowhere, stream.fileno())


class _OneLine(logging.Formatter):
    """A note may quote the name of any file."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """What the engine has to say beside its results (units recognised, maps converted), a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("expdiff: note: %(message)s"))
    logger = logging.getLogger("engine")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _run_lazy(name: str, arguments: list[str]) -> int:
    module = import_module(_LAZY[name])
    parser = argparse.ArgumentParser(prog=f"expdiff {name}", description=(module.__doc__ or "").splitlines()[0])
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments)) or 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": window.demo,
    "view": window.view,
    "info": heads.info,
    "generate": heads.generate,
    "export": heads.export,
    "render": pictures.render,
    "olat": pictures.olat,
    "video": pictures.video,
}
