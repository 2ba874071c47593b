"""People who act on the same area of a picture: they become a mixture, which is rarely what was meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_faceid.jobs.passes import is_auto
from lib_faceid.jobs.preparing import Prepared
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.region import EVERYWHERE, MASK

__all__ = ["with_stacked"]


def with_stacked(everybody: Sequence[Prepared]) -> tuple[Prepared, ...]:
    """Return a job's units, each with a note where an earlier one acts on the same area with somebody else."""
    return tuple(_noted(one, everybody[:at]) for at, one in enumerate(everybody))


def _noted(one: Prepared, earlier: Sequence[Prepared]) -> Prepared:
    shared = [other for other in earlier if _is_same_area(one, other) and not _are_same(one, other)]
    if not shared:
        return one
    who = ", ".join(infotext_key(other.number) for other in shared)
    area = "everywhere" if one.unit.region == EVERYWHERE else f"in '{one.unit.region}'"
    note = f"It acts {area}, as {who} does: the people are mixed. Give each a region, as left and right, or auto."
    return replace(one, notes=(*one.notes, note))


def _is_same_area(one: Prepared, other: Prepared) -> bool:
    """Say whether both draw a person in the same place, in the same pass and at the same time."""
    units = one.unit, other.unit
    if not all(prepared.adapter.variant.reads_face and prepared.unit.purpose == "person" for prepared in (one, other)):
        return False
    is_named = one.unit.region == other.unit.region != MASK and not is_auto(one.unit)
    is_pass = any(all(unit.acts_in(hires=hires) for unit in units) for hires in (False, True))
    return is_named and is_pass and one.unit.start < other.unit.end and other.unit.start < one.unit.end


def _are_same(one: Prepared, other: Prepared) -> bool:
    """Say whether both show the same person: with two adapters, say."""
    fingerprints = [{reference.fingerprint for reference in prepared.references} for prepared in (one, other)]
    return fingerprints[0] == fingerprints[1]
