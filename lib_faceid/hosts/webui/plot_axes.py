"""Axes of the WebUI's X/Y/Z plot: the unit's fields, for all active units and for each by its number, and best of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lib_faceid.units.job_options import OPTIONS
from lib_faceid.units.overrides import override, override_option
from lib_faceid.units.typed import typed
from lib_faceid.units.unit import FIELDS, PICTURES, Range

__all__ = ["add_axes", "axis_options"]

PLOTTED = [name for name in FIELDS if name not in PICTURES]
OF_JOB = {"best_of": int, "likeness_target": float}


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
    of_units = [_option(make, number, name, choices) for number in (None, *range(unit_count)) for name in PLOTTED]
    return [*of_units, *(_of_job(make, name) for name in OF_JOB)]


def _of_job(make: Callable[..., Any], name: str) -> Any:
    def apply(p: Any, value: Any, _values: Any) -> None:
        override_option(p, name, value)

    return make(f"[FaceID] {OPTIONS[name].label}", OF_JOB[name], apply, choices=None)


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
