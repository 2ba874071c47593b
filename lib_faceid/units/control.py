"""A control unit: a ControlNet that the picture follows, beside the people in it. Our own host takes some for a job.

A WebUI has an extension for them, which stays in charge of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from lib_faceid.arguments import as_number, one_of
from lib_faceid.errors import UnitError
from lib_faceid.units.infotext import infotext_key

__all__ = ["FACES", "HINTS", "LIMITS", "MAX_STRENGTH", "ControlUnit", "acting", "control_from_infotext", "control_key"]

HINTS = ("picture", "edges", "keypoints", "head")
"""What a net is shown: a picture as it is, the edges in it, or the faces in it: InstantID's five points, or eyes and
nose as OpenPose draws them."""
FACES = ("keypoints", "head")
"""Those that are drawn of faces; without a picture, of the faces of the job's people."""
MAX_STRENGTH = 2
LIMITS = {"strength": MAX_STRENGTH, "start": 1, "end": 1}
"""The largest value of each number; the smallest is 0."""
NUMBER = re.compile(r"[0-9]{1,3}(\.[0-9]{1,20})?")
SAFE = " /()[]{}+*=&'!?@#$^~<>;|"


@dataclass(frozen=True)
class ControlUnit:
    """One ControlNet with what it is shown. Raises UnitError for a value that cannot be.

    >>> ControlUnit("control_v11p_sd15_openpose", "pose.png", strength=0.8, end=0.6).acts
    True
    """

    net: str | Path
    """The path of its file; or as text its name among those that are in the usual places."""
    picture: Any = None
    """A `Path`, a Pillow image, bytes or pixels; None for the faces of the job's people."""
    hint: str = "picture"
    """Which of HINTS is made of the picture."""
    strength: float = 1.0
    start: float = 0.0
    """Acts from this fraction of the steps ..."""
    end: float = 1.0
    """... up to this one."""

    def __post_init__(self) -> None:
        if not str(self.net).strip():
            raise UnitError("No ControlNet is named. Name its file.")
        one_of(self.hint, "hint", HINTS)
        for name, highest in LIMITS.items():
            object.__setattr__(self, name, as_number(getattr(self, name), name, 0, highest))
        if self.start >= self.end:
            raise UnitError(f"start is {self.start:g} and end {self.end:g}; start has to lie before end.")
        if self.picture is None and self.hint not in FACES:
            raise UnitError("There is no picture to follow. Give one.")

    @property
    def acts(self) -> bool:
        """Whether it does anything."""
        return self.strength > 0

    def infotext(self, net: str, sha256: str, file: str = "") -> str:
        """Return one line for a picture's metadata.

        net: the file's name; sha256: of the picture, "" for none; file: the beginning of the file's SHA-256.
        """
        values = {"net": net, "file": file, "hint": self.hint, "picture": sha256[:8], "strength": self.strength}
        values |= {name: getattr(self, name) for name in ("start", "end")}
        return ", ".join(f"{name}: {_text(value)}" for name, value in values.items() if value != "")


def acting(units: Sequence[ControlUnit]) -> list[tuple[int, ControlUnit]]:
    """Return those that act, each with its number."""
    return [(number, unit) for number, unit in enumerate(units) if unit.acts]


def control_key(number: int | str = "") -> str:
    """Return the metadata key of a control unit; without a number, how all of them begin."""
    return infotext_key(f"control {number}")


def control_from_infotext(params: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the settings that metadata tell of a control unit; empty where they tell of none. No picture is in them.

    Values that cannot be read are left out: the line may be a newer version's.
    """
    line = params.get(control_key(number))
    parts = str(line or "").split(", ")
    values: dict[str, Any] = {}
    for name, text in (part.split(": ", 1) for part in parts if ": " in part):
        if name in LIMITS and NUMBER.fullmatch(text) and float(text) <= LIMITS[name]:
            values[name] = float(text)
        elif name == "net" or (name == "hint" and text in HINTS):
            values[name] = unquote(text)
    return values if "net" in values else {}


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else quote(str(value), safe=SAFE)
