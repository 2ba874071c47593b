"""What is set for our own program, page and command line, and for everybody who uses the same folder of models."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

from lib_faceid.errors import FileError
from lib_faceid.models.folders import Roots
from lib_faceid.whole_files import write_json

__all__ = ["OwnSettings", "change_settings", "own_settings"]


@dataclass(frozen=True)
class OwnSettings:
    """Everything is off until somebody switches it on."""

    journal: bool = False
    """Runs are written down."""
    thumbnails: bool = False
    """The journal keeps small pictures."""
    only_approved: bool = False
    """Only approved people may be drawn."""


def own_settings(roots: Roots) -> OwnSettings:
    """Return what is set, in `models/faceid/settings.json`; where there is none, the defaults.

    Raises FileError for a damaged file: it may have said that only approved people are drawn.
    """
    file = _file(roots)
    try:
        values = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return OwnSettings()
    except (OSError, ValueError) as error:
        raise FileError(f"{file.name} cannot be read ({error}). Mend it, or remove it for the defaults.") from error
    known = cast("dict[str, Any]", values) if isinstance(values, dict) else {}
    return OwnSettings(**{one.name: known.get(one.name) is True for one in fields(OwnSettings)})


def change_settings(roots: Roots, **values: bool) -> OwnSettings:
    """Set what is named, and return everything that is set. Raises FileError where it cannot be written."""
    file, now = _file(roots), replace(own_settings(roots), **values)
    try:
        write_json(file, asdict(now))
    except OSError as error:
        raise FileError(f"The settings cannot be written: {error.strerror}. Check {file.parent.name}/.") from error
    return now


def _file(roots: Roots) -> Path:
    return roots.own / "faceid" / "settings.json"
