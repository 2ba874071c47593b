"""What lies in folders, some of which this program may not be allowed to read: those are passed over, and named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["children", "files_below", "is_file", "is_folder", "unreadable"]


def files_below(folder: Path) -> Iterator[Path]:
    """Give every file in a folder and the folders in it, at any depth; nothing for a folder that cannot be read."""
    for inside, _, names in os.walk(folder):  # which passes over what it cannot read
        yield from (path for name in names if is_file(path := Path(inside) / name))


def children(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name; nothing where it is none, or cannot be read."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def is_file(path: Path) -> bool:
    """Return whether a path is a file that can be reached; `Path.is_file` raises where a folder above it is locked."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder that can be reached."""
    try:
        return path.is_dir()
    except OSError:
        return False


def unreadable(folders: Iterable[Path]) -> list[str]:
    """Return a sentence for each folder that is there and cannot be read."""
    why = {folder: _why_unreadable(folder) for folder in folders}
    return [
        f"{folder} cannot be read ({reason}), so what is in it is not seen. Let this program read it."
        for folder, reason in why.items()
        if reason
    ]


def _why_unreadable(folder: Path) -> str:
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""
