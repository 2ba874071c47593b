"""The unit's fields as axes of the WebUI's X/Y/Z plot: for all active units, and for each unit by its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lib_faceid.unit import FIELDS, Range, Unit

__all__ = ["OVERRIDES", "axis_options", "with_overrides"]

OVERRIDES = "faceid_overrides"
"""The attribute of a processing object in which a cell's values wait: (unit number or None, field) -> value."""

PLOTTED = [name for name in FIELDS if name != "images"]


def axis_options(
    make: Callable[..., Any], unit_count: int, choices: Mapping[str, Callable[[], list[str]]]
) -> list[Any]:
    """Return the options of all axes.

    make: the plot's own `AxisOption`; choices: what may be chosen for a field, asked when the plot wants to know.
    """
    return [_option(make, number, name, choices) for number in (None, *range(unit_count)) for name in PLOTTED]


def with_overrides(units: Sequence[Unit], p: Any) -> list[Unit]:
    """Return the units as the cell that is being drawn wants them. Raises UnitError for a value that cannot be."""
    overrides: Mapping[tuple[int | None, str], Any] = getattr(p, OVERRIDES, {})
    return [
        Unit.from_dict(unit.to_dict() | _for_unit(number, unit, overrides)) if overrides else unit
        for number, unit in enumerate(units)
    ]


def _for_unit(number: int, unit: Unit, overrides: Mapping[tuple[int | None, str], Any]) -> dict[str, Any]:
    """Return a unit's overrides; those of its own number win over those for all units that are on."""
    common = {name: value for (which, name), value in overrides.items() if which is None and unit.enabled}
    return common | {name: value for (which, name), value in overrides.items() if which == number}


def _option(
    make: Callable[..., Any], number: int | None, name: str, choices: Mapping[str, Callable[[], list[str]]]
) -> Any:
    field = FIELDS[name]
    label = f"[FaceID] {field.label}" if number is None else f"[FaceID {number}] {field.label}"
    return make(label, _parser(name), _setter(number, name), choices=choices.get(name, _choices(field.kind)))


def _parser(name: str) -> Callable[[str], Any]:
    """Return what makes a field's value of the text that a user typed for one cell."""
    kind = FIELDS[name].kind
    if isinstance(kind, Range):
        return float
    return _truth if kind is bool else str


def _truth(text: str) -> bool:
    return text.strip().lower() in ("true", "yes", "on", "1")


def _setter(number: int | None, name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _values: Any) -> None:
        # A new dict each time: the plot copies `p` for each cell, and the copies would share one.
        setattr(p, OVERRIDES, {**getattr(p, OVERRIDES, {}), (number, name): value})

    return apply


def _choices(kind: Any) -> Callable[[], list[str]] | None:
    if isinstance(kind, tuple):
        return lambda: list(kind)
    return (lambda: ["True", "False"]) if kind is bool else None
