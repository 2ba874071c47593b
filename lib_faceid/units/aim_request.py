"""What is searched for before a picture is drawn: an object among a request's units, and the page's last value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lib_faceid.arguments import as_number
from lib_faceid.errors import UnitError

__all__ = [
    "AIMED_FIELDS", "INFOTEXT_KEY", "PLAIN_TEXT", "AimRequest", "aim_of", "is_aim", "is_plain", "without_aim_text",
]  # fmt: skip

AIMED_FIELDS = ("weight", "structure", "lora")
"""The settings of a unit that can be searched for."""
INFOTEXT_KEY = "FaceID aim"
"""What the metadata say of it under: never read back, because the unit's line has the value that was found."""

PLAIN_TEXT = '{"plain": true}'
"""What the page sends in its last value for a job at weight 0, which the diagnosis compares a picture with."""


@dataclass(frozen=True)
class AimRequest:
    """Which likeness is aimed for, with which setting of which unit. Raises UnitError for what cannot be."""

    aim: float
    """The likeness."""
    by: str = "weight"
    """The setting that is searched for."""
    unit: int = 0
    """Its number in the page."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "aim", as_number(self.aim, "aim", 0, 1))
        if self.by not in AIMED_FIELDS:
            raise UnitError(f"{self.by!r} cannot be aimed with; one of {', '.join(AIMED_FIELDS)} was expected.")
        number = as_number(self.unit, "unit", 0)
        if number != int(number):
            raise UnitError(f"unit is {number:g}; the number of a unit, counted from 0, was expected.")
        object.__setattr__(self, "unit", int(number))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AimRequest:
        """Return what a request's object says. Raises UnitError."""
        if "aim" not in values:
            raise UnitError("aim is missing; the likeness to reach, from 0 to 1, was expected.")
        for name in values:
            if name not in cls.__dataclass_fields__:
                raise UnitError(f"unknown key '{name}' beside 'aim' (keys are {', '.join(cls.__dataclass_fields__)})")
        return cls(**values)

    @property
    def text(self) -> str:
        """It as the page sends it."""
        return json.dumps(asdict(self))


def aim_of(args: Sequence[Any]) -> AimRequest | None:
    """Return what a host's script arguments aim for; None for nothing. Raises UnitError."""
    sent = [values for values in args if is_aim(values)]
    if len(sent) > 1:
        raise UnitError(f"{len(sent)} objects with 'aim' were sent; one was expected.")
    if sent:
        return AimRequest.from_dict(sent[0])
    if not args or not _is_aim_text(args[-1]) or not args[-1] or any(isinstance(one, Mapping) for one in args):
        return None
    if is_plain(args):
        return None
    try:
        values = json.loads(args[-1])
    except ValueError as error:
        raise UnitError(f"What to aim for is {args[-1]!r}; an object as JSON was expected.") from error
    return AimRequest.from_dict(values)


def without_aim_text(args: Sequence[Any]) -> list[Any]:
    """Return the page's values without the last one, a text, which stands behind the job's options."""
    is_there = len(args) > 1 and isinstance(args[-2], bool) and _is_aim_text(args[-1])
    return [*args[:-1]] if is_there else [*args]


def is_plain(args: Sequence[Any]) -> bool:
    """Say whether the page's last value asks for its job at weight 0."""
    return bool(args) and args[-1] == PLAIN_TEXT


def is_aim(values: Any) -> bool:
    """Say whether an object of a request aims, and is no unit."""
    return isinstance(values, Mapping) and "aim" in values


def _is_aim_text(value: Any) -> bool:
    return isinstance(value, str) and (value in ("", PLAIN_TEXT) or value.startswith('{"aim"'))
