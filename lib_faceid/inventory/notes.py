"""What the setup check says beside a file that was found."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.errors import FileError
from lib_faceid.models.catalogue import Entry
from lib_faceid.models.checkpoint import read_metadata

__all__ = ["miniature_note", "size_note"]

OWN_NOTES = ("A miniature", "Random numbers")
"""How the notes begin in the metadata of the files that come with this project, or that it writes."""


def size_note(size_bytes: int, published: Entry | None) -> str:
    """Return in a sentence that a file is not the published one; empty where it may be, or where none is known."""
    expected = published.size_bytes if published else None
    return "" if expected in (None, size_bytes) else f"Not the published file, which has {expected:,} bytes."


def miniature_note(path: Path) -> str:
    """Return what a miniature's file says of itself; empty for every other file."""
    try:
        note = read_metadata(path).get("note", "")
    except FileError:
        return ""
    return note if note.startswith(OWN_NOTES) else ""
