"""One change of a run that the journal keeps, as what is to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lib_faceid.app.again import Again, again
from lib_faceid.app.resources import Resources
from lib_faceid.errors import UnitError
from lib_faceid.journal.run import Run
from lib_faceid.units.job_options import JobOptions

__all__ = ["with_change"]

OF_REQUEST = ("prompt", "negative", "steps", "cfg")


def with_change(run: Run, change: Mapping[str, Any], resources: Resources) -> tuple[Again, JobOptions]:
    """Return a run with one field changed and its seeds kept. change: as `Change.as_dict` gives it.

    Raises UnitError for a run that cannot be drawn here, or a change that is none of a unit or of the picture.
    """
    asked, field, value = again(run, resources), str(change.get("field")), change.get("value")
    if change.get("target") == "job" and field == "best_of":
        return replace(asked, requests=asked.requests[:1]), JobOptions(best_of=value)  # pyright: ignore[reportArgumentType]
    if change.get("target") == "job" and field in OF_REQUEST:
        requests = tuple(replace(one, **{field: value}) for one in asked.requests)
        return replace(asked, requests=requests), JobOptions()
    number = change.get("unit")
    if change.get("target") != "unit" or not isinstance(number, int) or number >= len(asked.units):
        raise UnitError(f"{change.get('words') or 'The change'} Only you can do that; nothing was drawn.")
    units = list(asked.units)
    units[number] = replace(units[number], **{field: value})
    return replace(asked, units=tuple(units)), JobOptions()
