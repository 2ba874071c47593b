"""Units in a host's flat script arguments, as the page and the HTTP API send them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib_faceid.errors import UnitError
from lib_faceid.units.old_names import OLD_ORDERS
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["units_from_args"]


def units_from_args(args: Sequence[Any]) -> list[Unit]:
    """Return the units in a host's flat script arguments.

    The page sends every field of every unit, one after the other. An API request puts one dict per unit in front, and
    the rest are the page's defaults, which then do not count. A client that was made for an earlier version sends the
    fields of that version. Raises UnitError, naming the unit.
    """
    requested: list[Mapping[str, Any]] = [values for values in args if isinstance(values, Mapping)]
    if not requested and args:
        order = _order_of(len(args))
        size = len(order)
        requested = [dict(zip(order, args[at : at + size], strict=True)) for at in range(0, len(args), size)]
    units: list[Unit] = []
    for number, values in enumerate(requested):
        try:
            units.append(Unit.from_dict(values))
        except UnitError as error:  # noqa: PERF203 - a handful of units
            raise UnitError(f"Unit {number}: {error}") from error
    return units


def _order_of(length: int) -> Sequence[str]:
    """Return the order of fields in a flat list of that length: today's, or that of an earlier version."""
    orders = [tuple(FIELDS), *reversed(OLD_ORDERS)]
    found = next((order for order in orders if length % len(order) == 0), None)
    if found is None:
        size = len(FIELDS)
        raise UnitError(
            f"{length} values were sent for units that have {size} fields; {size} for each unit were expected. "
            f"Send each unit as an object, as the HTTP API takes it: there the fields have names."
        )
    return found
