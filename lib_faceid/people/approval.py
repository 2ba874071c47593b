"""Approved references: who agreed to a saved person, when, and to exactly which file.

An approval lies beside the person's file and names its SHA-256, so that whatever changes the person takes it back, also
where another program did it. It is as private as the person.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import FileError, UnitError
from lib_faceid.models.checkpoint import sha256_of
from lib_faceid.references.record import PhotoNote, read_record
from lib_faceid.units.unit import Unit
from lib_faceid.whole_files import write_json

__all__ = ["SUFFIX", "Approval", "approval_of", "approve", "remove_approval", "require_approved", "withdraw"]

SUFFIX = ".approved.json"
MAX_BYTES = 1_000_000
MAX_WHO, MAX_NOTE = 120, 2000
Paths = Callable[[str], Path]
"""Gives the file of a saved person by name; raises FileError for an unknown name."""


@dataclass(frozen=True)
class Approval:
    """That somebody agreed to a saved person."""

    by: str
    when: str
    """UTC, as 2026-11-26T17:45:00+00:00."""
    note: str = ""
    sha256: str = ""
    """Of the person's file."""
    photos: tuple[Mapping[str, Any], ...] = ()
    """The photos that the person was made from, each with its hash, weight, verdict and score."""
    is_valid: bool = True
    """Whether the person is still the one that was approved."""

    @property
    def words(self) -> str:
        """It in a sentence."""
        approved = f"by {self.by} on {self.when[:10]}{f' ({self.note})' if self.note else ''}"
        if self.is_valid:
            return f"Approved {approved}."
        return f"Not approved any more: was approved {approved}, and changed since. Look at it and approve it again."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**_written(self), "is_valid": self.is_valid}


def approve(path: Path, by: str, note: str = "") -> Approval:
    """Write down that somebody agreed to the person in this file, and return that. Raises UnitError without a name."""
    by, note = " ".join(by.split()), note.strip()
    if not by or len(by) > MAX_WHO or len(note) > MAX_NOTE:
        raise UnitError(
            f"Who approves is {by[:40]!r}; a name of 1 to {MAX_WHO} letters was expected, and a note of at most "
            f"{MAX_NOTE}."
        )
    before = sha256_of(path)
    photos = tuple(_photo_values(photo) for photo in read_record(path).photos)
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    approval = Approval(by, when, note, before, photos)
    _write(path, approval)
    return approval


def approval_of(path: Path) -> Approval | None:
    """Return what is written down about the person in this file, valid or not; None where nothing is."""
    file = _file(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            return None
        values = cast("dict[str, Any]", json.loads(file.read_text("utf-8")))
        texts = {name: str(values[name]) for name in ("by", "when", "note", "sha256")}
        photos = tuple(dict(photo) for photo in values["photos"])
        return Approval(**texts, photos=photos, is_valid=texts["sha256"] == sha256_of(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None  # a damaged approval approves nothing


def withdraw(path: Path) -> bool:
    """Take an approval back, and return whether there was one."""
    was_there = _file(path).exists()
    remove_approval(path)
    return was_there


def remove_approval(path: Path) -> None:
    """Leave nothing written down about the person in this file. Raises OSError where the disk refuses."""
    _file(path).unlink(missing_ok=True)


def require_approved(unit: Unit, paths: Paths) -> None:
    """Raise UnitError unless everybody in a unit is saved and approved.

    That goes for images, too, as a photo of somebody is one.
    """
    if not unit.person:
        raise UnitError(
            "Only approved people may be drawn here, and this one comes from photos. Save the person, have it "
            "approved, and choose it by name."
        )
    for name in unit.names:
        found = approval_of(paths(name))
        if found is None or not found.is_valid:
            why = f"nobody has approved {name!r}" if found is None else f"{name!r} changed since {found.by} approved it"
            raise UnitError(
                f"Only approved people may be drawn here, and {why}. Have it approved: "
                f"python -m lib_faceid face approve {name!r} --by WHO"
            )


def _written(approval: Approval) -> dict[str, Any]:
    values = {name: getattr(approval, name) for name in ("by", "when", "note", "sha256")}
    return values | {"photos": [dict(photo) for photo in approval.photos]}


def _photo_values(photo: PhotoNote) -> dict[str, Any]:
    values = {"sha256": photo.sha256, "weight": photo.weight}
    return values | ({"verdict": photo.report.verdict, "score": photo.report.score} if photo.report else {})


def _file(path: Path) -> Path:
    return path.with_name(f"{path.name}{SUFFIX}")


def _write(path: Path, approval: Approval) -> None:
    try:
        write_json(_file(path), _written(approval), is_private=True)
    except OSError as error:
        raise FileError(f"The approval cannot be written: {error.strerror}. Check the library's folder.") from error
