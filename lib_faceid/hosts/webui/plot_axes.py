"""The unit's fields as axes of the WebUI's X/Y/Z plot: for all active units, and for each unit by its number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lib_faceid.units.overrides import override
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, Range

__all__ = ["add_axes", "axis_options"]

PLOTTED = [name for name in FIELDS if name not in ("images", "mask", "unlike")]


def add_axes(plot: Any, unit_count: int, choices: Mapping[str, Callable[[], list[str]]]) -> None:
    """Add our axes to the plot's module, once: reloading the page runs this again, with the plot loaded anew or not."""
    known = {option.label for option in plot.axis_options}
    plot.axis_options += [
        option for option in axis_options(plot.AxisOption, unit_count, choices) if option.label not in known
    ]


def axis_options(
    make: Callable[..., Any], unit_count: int, choices: Mapping[str, Callable[[], list[str]]]
) -> list[Any]:
    """Return the options of all axes.

    make: the plot's own `AxisOption`; choices: what may be chosen for a field, asked when the plot wants to know.
    """
    return [_option(make, number, name, choices) for number in (None, *range(unit_count)) for name in PLOTTED]


def _option(
    make: Callable[..., Any], number: int | None, name: str, choices: Mapping[str, Callable[[], list[str]]]
) -> Any:
    field = FIELDS[name]
    label = f"[FaceID] {field.label}" if number is None else f"[FaceID {number}] {field.label}"
    # `float` itself: by that the plot knows where a range such as 0-1 (+0.25) may stand.
    parse = float if isinstance(field.kind, Range) else partial(typed, field)
    return make(label, parse, _setter(number, name), choices=choices.get(name, _choices(field.kind)))


def _setter(number: int | None, name: str) -> Callable[[Any, Any, Any], None]:
    def apply(p: Any, value: Any, _values: Any) -> None:
        override(p, number, name, value)

    return apply


def _choices(kind: Any) -> Callable[[], list[str]] | None:
    if isinstance(kind, tuple):
        return lambda: list(kind)
    return (lambda: ["True", "False"]) if kind is bool else None
