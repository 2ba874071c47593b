"""What a picture of a manifest follows: ControlNets and T2I-Adapters, each a text as `generate --control` takes it.

Several in one picture are joined by ` + `; in JSONL and YAML a list in the list is one picture, as for people.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lib_faceid.arguments import shown
from lib_faceid.batch.casts import Cast, picture_problem
from lib_faceid.batch.columns import OR
from lib_faceid.batch.known import Known, require_named
from lib_faceid.batch.mistakes import CellError
from lib_faceid.errors import FaceIDError
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.control_text import control_from_text

__all__ = ["COLUMN", "Controls", "controls_in", "read_controls", "require_faces", "with_picture"]

COLUMN = "control"
TOGETHER = re.compile(r"\s\+\s")
SETTINGS = ("hint", "strength", "start", "end")
NO_FACES = (
    "{hint} draws the faces in the photos of a picture's people, and nobody here has a photo. Name one: {hint}=PHOTO."
)

Controls = tuple[Mapping[str, Any], ...]
"""The control units of one picture by their settings, as plain values; files of this machine by whole paths."""


def read_controls(raw: Any, known: Known, folder: Path) -> tuple[Controls, ...]:
    """Return what a cell stands for, for one picture or several. An empty alternative follows nothing.

    folder: what relative paths begin at. Raises CellError.
    """
    if known.no_controls:
        raise CellError(COLUMN, known.no_controls)
    parts: list[Any] = (
        raw.split(OR) if isinstance(raw, str) else cast("list[Any]", raw) if isinstance(raw, list) else [raw]
    )
    if not parts:
        raise CellError(COLUMN, "the list is empty; one value or several were expected.")
    return tuple(tuple(_one(text, known, folder) for text in _texts(part)) for part in parts)


def require_faces(controls: Controls, cast_: Cast) -> None:
    """Raise CellError where faces of the picture's people are to be drawn, and none of them has a photo."""
    missing = next((one["hint"] for one in controls if one["picture"] is None), "")
    if missing and not any(one.get("images") or one.get("pose") for one in cast_.units):
        raise CellError(COLUMN, NO_FACES.format(hint=missing))


def controls_in(controls: Sequence[Mapping[str, Any]]) -> list[ControlUnit]:
    """Return the control units of their plain settings. Raises UnitError."""
    return [
        ControlUnit(
            Path(one["net"]) if Path(one["net"]).is_absolute() else one["net"],
            Path(one["picture"]) if one["picture"] else None,
            **{name: one[name] for name in SETTINGS},
        )
        for one in controls
    ]


def with_picture(control: Mapping[str, Any], change: Callable[[str], Any]) -> dict[str, Any]:
    """Return a control unit's settings in which `change` stands for its picture's path."""
    return {**control, "picture": change(control["picture"])} if control["picture"] else dict(control)


def _texts(part: Any) -> Sequence[Any]:
    """Return the control units of one picture."""
    if part is None:
        return ()
    if isinstance(part, list):
        return [text for one in cast("list[Any]", part) for text in _texts(one)]
    return [text.strip() for text in TOGETHER.split(part) if text.strip()] if isinstance(part, str) else [part]


def _one(text: Any, known: Known, folder: Path) -> Mapping[str, Any]:
    if not isinstance(text, str) or "\0" in text:
        raise CellError(COLUMN, f"{shown(text)} was found; a text as --control takes it was expected.")
    try:
        unit = control_from_text(text, folder)
        if isinstance(unit.net, str) and known.nets is not None:
            require_named(unit.net, known.nets, "ControlNet", "Name its file, or put it into models/ControlNet.")
    except FaceIDError as error:
        raise CellError(COLUMN, str(error)) from error
    if unit.picture is not None and (problem := picture_problem(unit.picture)):
        raise CellError(COLUMN, f"{unit.picture.name[:80]} {problem}")
    picture = None if unit.picture is None else str(unit.picture)
    return {"net": str(unit.net), "picture": picture, **{name: getattr(unit, name) for name in SETTINGS}}
