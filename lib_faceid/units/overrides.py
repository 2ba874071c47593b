"""Values for one job that take precedence over what the units say: from a plot, or from another extension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lib_faceid.units.job_options import JobOptions
from lib_faceid.units.unit import Unit

__all__ = ["override", "override_option", "with_option_overrides", "with_overrides"]

_ATTRIBUTE = "faceid_overrides"  # of a host's job: (unit number or None, field) -> value
_OPTIONS = "faceid_option_overrides"  # option of the job -> value


def override(p: Any, number: int | None, name: str, value: Any) -> None:
    """Set a field of the unit of that number, or of all units that are on, for the job `p` alone."""
    # A new dict each time: hosts copy `p`, and the copies would share one.
    setattr(p, _ATTRIBUTE, {**getattr(p, _ATTRIBUTE, {}), (number, name): value})


def with_overrides(units: Sequence[Unit], p: Any, *, are_numbered: bool = True) -> list[Unit]:
    """Return the units as the job's overrides want them. Raises UnitError for a value that cannot be.

    are_numbered: whether they are the page's; units that a prompt calls have no number there.
    """
    overrides: Mapping[tuple[int | None, str], Any] = getattr(p, _ATTRIBUTE, {})
    if not overrides:
        return list(units)
    numbers = range(len(units)) if are_numbered else [None] * len(units)
    return [
        Unit.from_dict(unit.to_dict() | _for_unit(number, unit, overrides))
        for number, unit in zip(numbers, units, strict=True)
    ]


def _for_unit(number: int | None, unit: Unit, overrides: Mapping[tuple[int | None, str], Any]) -> dict[str, Any]:
    """Return a unit's overrides; those of its own number win over those for all units that are on."""
    common = {name: value for (which, name), value in overrides.items() if which is None and unit.enabled}
    return common | {name: value for (which, name), value in overrides.items() if which == number}


def override_option(p: Any, name: str, value: Any) -> None:
    """Set an option of the job `p` alone."""
    setattr(p, _OPTIONS, {**getattr(p, _OPTIONS, {}), name: value})


def with_option_overrides(options: JobOptions, p: Any) -> JobOptions:
    """Return the job's options as its overrides want them. Raises UnitError for a value that cannot be."""
    overrides: Mapping[str, Any] = getattr(p, _OPTIONS, {})
    return replace(options, **overrides) if overrides else options
