"""A unit: what a user sets for one person. The page, the HTTP API and the metadata all read its fields from here."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_faceid.errors import UnitError

__all__ = ["AUTO", "Range", "Unit", "setting_range", "units_from_args"]

AUTO = "Auto"


@dataclass(frozen=True)
class Range:
    """The values a number may take, and how the page steps through them."""

    lowest: float
    highest: float
    step: float


def _number(default: float, allowed: Range, label: str, help_text: str) -> Any:
    return field(default=default, metadata={"range": allowed, "label": label, "help": help_text})


def _setting(default: object, label: str, help_text: str) -> Any:
    return field(default=default, metadata={"label": label, "help": help_text})


@dataclass(frozen=True)
class Unit:
    """The settings of one person, checked when they are made. Raises UnitError for a value that cannot be."""

    enabled: bool = _setting(False, "Enable", "Draw this person. A unit given by API with an image is on by itself.")
    image: Any = _setting(None, "Photo", "A photo of one person, the whole head visible. API: base64 or a data URL.")
    adapter: str = _setting(AUTO, "Adapter", "Auto takes the best adapter found for the loaded checkpoint.")
    variant: str = _setting(AUTO, "Variant", "Only for files that do not tell, like a renamed Plus or Plus v2.")
    weight: float = _number(0.8, Range(0, 2, 0.05), "Identity weight", "How strongly the person is drawn.")
    structure: float = _number(
        1.0,
        Range(0, 3, 0.05),
        "Face structure",
        "Plus v2 only. Higher copies shape, hair and angle of the photo; lower gives freedom.",
    )
    lora: float = _number(
        0.6, Range(0, 1.5, 0.05), "LoRA strength", "The LoRA inside the adapter file, where it has one."
    )
    start: float = _number(0.0, Range(0, 1, 0.01), "Start", "Acts from this fraction of the steps.")
    end: float = _number(1.0, Range(0, 1, 0.01), "End", "Acts up to this fraction of the steps.")

    def __post_init__(self) -> None:
        for name in ("enabled",):
            _require(isinstance(getattr(self, name), bool), name, getattr(self, name), "true or false")
        for name in ("adapter", "variant"):
            _require(isinstance(getattr(self, name), str), name, getattr(self, name), "a name")
        for name, allowed in _RANGES.items():
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            fits = is_number and allowed.lowest <= value <= allowed.highest
            _require(fits, name, value, f"a number from {allowed.lowest:g} to {allowed.highest:g}")
        if self.enabled and self.start >= self.end:
            raise UnitError(f"start is {self.start:g} and end is {self.end:g}: start must come before end.")

    @property
    def acts(self) -> bool:
        """Whether it changes anything: not without a photo; at weight 0 it is as if it were off, its LoRA too."""
        return self.enabled and self.image is not None and self.weight != 0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Unit:
        """Return the unit of an API request: every field is optional, and a unit with an image is on by itself."""
        unknown = [name for name in values if name not in _NAMES]
        if unknown:
            near = difflib.get_close_matches(str(unknown[0]), _NAMES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"fields are {', '.join(_NAMES)}."
            raise UnitError(f"unknown field '{unknown[0]}' ({hint})")
        settings: dict[str, Any] = {"enabled": values.get("image") is not None, **values}
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name, in their order."""
        return {name: getattr(self, name) for name in _NAMES}


def units_from_args(args: Sequence[Any]) -> list[Unit]:
    """Return the units in a host's flat script arguments.

    The page sends every field of every unit, one after the other. An API request puts one dict per unit in front, and
    the rest are the page's defaults, which then do not count. Raises UnitError, naming the unit.
    """
    requested: list[Mapping[str, Any]] = [values for values in args if isinstance(values, Mapping)]
    if not requested:
        size = len(_NAMES)
        requested = [
            dict(zip(_NAMES, args[at : at + size], strict=True)) for at in range(0, len(args) - size + 1, size)
        ]
    units: list[Unit] = []
    for number, values in enumerate(requested):
        try:
            units.append(Unit.from_dict(values))
        except UnitError as error:  # noqa: PERF203 - a handful of units
            raise UnitError(f"Unit {number}: {error}") from error
    return units


def setting_range(name: str) -> Range:
    """Return the range of a number among the unit's fields."""
    return _RANGES[name]


def _require(fits: bool, name: str, value: object, expected: str) -> None:
    if not fits:
        shown = repr(value) if len(repr(value)) < 40 else type(value).__name__
        raise UnitError(f"{name} is {shown}; {expected} was expected.")


_NAMES = tuple(one.name for one in dataclasses.fields(Unit))
_RANGES: dict[str, Range] = {
    one.name: one.metadata["range"] for one in dataclasses.fields(Unit) if "range" in one.metadata
}
