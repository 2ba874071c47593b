"""Sentences on any console: what its code page lacks is written as an escape, and never ends a run."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

__all__ = ["finish", "printable", "say", "use_any_console"]

PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell counts it


def use_any_console() -> None:
    """Let standard output and standard error take every letter: for a program of our own, before it says anything."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: str) -> None:
    """Print a sentence in somebody else's program, whose console stays as it is."""
    print(printable(text, sys.stdout))  # noqa: T201 - that is what it is for


def printable(text: str, stream: Any) -> str:
    """Return a text as a stream can take it."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def finish(code: int) -> int:
    """Return the exit code of a program that ends with this one, after all that it said was really written.

    141 where nobody reads on (`| head`), 2 where it could not be written (a full disk), which is said.
    """
    stream = sys.stdout
    if stream is None:  # pyright: ignore[reportUnnecessaryComparison] - under pythonw
        return code
    try:
        stream.flush()
    except OSError as error:
        # Or Python would try again at its end, and say "Exception ignored".
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, BrokenPipeError):
            return PIPE_CLOSED
        sys.stderr.write(f"Error: the output cannot be written ({error.strerror or error}).\n")
        return code or 2
    return code
