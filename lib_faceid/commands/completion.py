"""Names at the press of Tab, where argcomplete is installed: `eval "$(register-python-argcomplete faceid)"`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

__all__ = ["answer_shell", "complete_with", "model_names", "people_or_files", "saved_names"]


def answer_shell(parser: argparse.ArgumentParser) -> None:
    """Answer a shell that asks how a line may go on, and end; return where none asks, or argcomplete is not there."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete  # pyright: ignore[reportMissingImports]
    except ImportError:
        return
    argcomplete.autocomplete(parser)


def complete_with(action: argparse.Action, completer: Any) -> argparse.Action:
    """Return the argument, which is completed by what `completer(prefix, parsed_args=...)` gives."""
    action.completer = completer  # pyright: ignore[reportAttributeAccessIssue] - argcomplete reads it there
    return action


def saved_names(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
    """Return who is saved, in the library that the line names or in the usual one."""
    from lib_faceid.people.library import People, open_library

    folder = getattr(parsed_args, "faces", None)
    library = People(folder) if folder else open_library()
    return [name for name in library.names() if name.startswith(prefix)]


def people_or_files(prefix: str, parsed_args: argparse.Namespace, **more: Any) -> list[str]:
    """Return who is saved, and the files that begin so."""
    folder, start = os.path.split(prefix)
    entries = [path for path in Path(folder or ".").glob("*") if path.name.startswith(start)]
    files = [f"{Path(folder) / path.name}{os.sep if path.is_dir() else ''}" for path in sorted(entries)]
    return [*saved_names(prefix, parsed_args, **more), *files]


def model_names(prefix: str, **_: Any) -> list[str]:
    """Return what can be downloaded, by name."""
    from lib_faceid.models.catalogue import catalogue

    return [one.id for one in catalogue() if one.id.startswith(prefix)]
