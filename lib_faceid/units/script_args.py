"""Units in a host's flat script arguments, as the page and the HTTP API send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_faceid.errors import UnitError
from lib_faceid.units.job_options import without_options
from lib_faceid.units.old_names import OLD_ORDERS
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["units_from_args"]

ORDER = tuple(FIELDS)
NOTHING = (None, "", [], ())


def units_from_args(args: Sequence[Any]) -> list[Unit]:
    """Return the units in a host's flat script arguments.

    The page sends every field of every unit, one after the other. An API request puts one dict per unit in front, and
    the rest are the page's defaults, which then do not count. A client that was made for an earlier version sends the
    fields of that version. What is set for the job as a whole is left to `job_options`. Raises UnitError, naming the
    unit.
    """
    args = without_options(args)
    requested = [values for values in args if isinstance(values, Mapping)]
    if requested:
        return _units(requested)
    old = next((found for order in OLD_ORDERS if (found := _sent_in(order, args))), None)
    return _units(_by_name(ORDER, args) if old is None else old)


def _sent_in(order: Sequence[str], args: Sequence[Any]) -> list[dict[str, Any]] | None:
    """Return the units by name where args are in that order of an earlier version; None where they are not.

    The host writes a request's values over the beginning of the page's own, which are in today's order.
    """
    size = len(order)
    for count in range(len(args) // size, 0, -1):
        units = _by_name(order, args[: count * size])
        if count * size < len(args) and len(args) % len(ORDER):
            continue
        if all(_may_be(unit) for unit in units) and _are_defaults(args, count * size):
            untouched = 0 if count * size == len(args) else len(args) // len(ORDER) - count
            return [*units, *({} for _ in range(untouched))]
    return None


def _may_be(unit: Mapping[str, Any]) -> bool:
    """Say whether the values could stand in these fields, by what tells one order from another."""
    try:
        for name in ("enabled", "face", "combine", "hires", "weight_type", "batch", "adetailer"):
            FIELDS[name].check(unit[name])
    except UnitError:
        return False
    return True


def _are_defaults(args: Sequence[Any], start: int) -> bool:
    """Say whether all values from there on are what the page sends of units that nobody touched."""
    return all(
        value == default or (value in NOTHING and default in NOTHING)
        for value, default in ((args[at], FIELDS[ORDER[at % len(ORDER)]].default) for at in range(start, len(args)))
    )


def _by_name(order: Sequence[str], args: Sequence[Any]) -> list[dict[str, Any]]:
    size = len(order)
    if len(args) % size:
        raise UnitError(
            f"{len(args)} values were sent for units that have {size} fields; {size} for each unit were expected. "
            f"Send each unit as an object, as the HTTP API takes it: there the fields have names."
        )
    return [dict(zip(order, args[at : at + size], strict=True)) for at in range(0, len(args), size)]


def _units(requested: Sequence[Mapping[str, Any]]) -> list[Unit]:
    units: list[Unit] = []
    for number, values in enumerate(requested):
        try:
            units.append(Unit.from_dict(values))
        except UnitError as error:  # noqa: PERF203 - a handful of units
            raise UnitError(f"Unit {number}: {error}") from error
    return units
