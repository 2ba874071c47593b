"""One field of a unit: what everybody has to know of it, and which values it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lib_faceid.arguments import is_number, shown
from lib_faceid.errors import UnitError
from lib_faceid.units.photos import MAX_PHOTOS, is_photo, photos_shown

__all__ = ["Field", "Picture", "Range", "setting"]


@dataclass(frozen=True)
class Range:
    """The values a number may take, and how the page steps through them."""

    lowest: float
    highest: float
    step: float

    def __str__(self) -> str:
        return f"a number from {self.lowest:g} to {self.highest:g}"


class Picture:
    """The kind of a field that holds one picture or None: base64 or a data URL in text, or pixels."""


@dataclass(frozen=True)
class Field:
    """What everybody has to know about one field of a unit: the page, the API, the metadata, the plots."""

    name: str
    default: Any
    label: str
    help: str
    kind: Range | tuple[str, ...] | type
    """A number's range, the choices of a text, or `bool`, `str`, `list` (of photos), `Picture`."""
    read: Callable[[Any], object] | None = None
    """What raises UnitError, saying what is right, for a text that cannot be read."""

    def check(self, value: Any) -> None:
        """Raise UnitError unless the value may stand in this field."""
        fits, expected = _CHECKS[self.kind if isinstance(self.kind, type) else type(self.kind)]
        if not fits(value, self.kind):
            found = photos_shown(value) if self.kind is list else shown(value)
            raise UnitError(f"{self.name} is {found}; {expected(self.kind)} was expected.")
        if self.read:
            self.read(value)


def setting(default: Any, kind: Any, label: str, help_text: str, read: Callable[[Any], object] | None = None) -> Any:
    """Return what a dataclass declares a field by."""
    return field(default=default, metadata={"kind": kind, "label": label, "help": help_text, "read": read})


def _is_number(value: Any, allowed: Any) -> bool:
    return is_number(value) and allowed.lowest <= value <= allowed.highest


_CHECKS: Mapping[type, tuple[Callable[[Any, Any], bool], Callable[[Any], str]]] = {
    bool: (lambda value, _: isinstance(value, bool), lambda _: "true or false"),
    str: (lambda value, _: isinstance(value, str), lambda _: "a text"),
    list: (
        lambda value, _: len(value) <= MAX_PHOTOS and all(map(is_photo, value)),
        lambda _: f"up to {MAX_PHOTOS} photos, each with a weight from 0 to 10,",
    ),
    tuple: (
        lambda value, choices: isinstance(value, str) and value in choices,
        lambda choices: f"one of {', '.join(choices)}",
    ),
    Range: (_is_number, str),
    Picture: (lambda value, _: not isinstance(value, (bool, int, float)), lambda _: "a picture or nothing"),
}
