"""Which units act where a part of the picture is drawn again, face by face (ADetailer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_faceid.region import EVERYWHERE
from lib_faceid.unit import FIELDS, Range, Unit

__all__ = ["of_image", "units_for_part"]


def of_image(unit: Unit, image: int) -> Unit:
    """Return a unit as it acts in one image, counted from 0 through the job: with one each, by one of its people."""
    if unit.batch != "one each":
        return unit
    names = unit.person.split("|")
    photos = unit.images[image % len(unit.images) :][:1] if unit.images else ()
    return replace(unit, person=names[image % len(names)].strip(), images=photos, batch="together")


def units_for_part(units: Sequence[Unit], overlaps: Sequence[float | None], face: int) -> list[Unit]:
    """Return the units as they act on one part: those that do not are off, the others act on all of it.

    overlaps: how much of each unit's region lies in the part, None for a unit without a region; face: the part's
    number, from 0.
    """
    in_turn = [number for number, unit in enumerate(units) if unit.acts and unit.adetailer == "one each"]
    regional = [
        overlap for unit, overlap in zip(units, overlaps, strict=True) if unit.acts and unit.adetailer == "region"
    ]
    most = max((overlap for overlap in regional if overlap is not None), default=0.0)

    def acts(number: int, unit: Unit) -> bool:
        if unit.adetailer == "region":
            overlap = overlaps[number]
            return overlap is None or 0 < overlap == most
        return unit.adetailer == "same" or (bool(in_turn) and number == in_turn[face % len(in_turn)])

    return [
        _on_all_of_it(unit) if unit.acts and acts(number, unit) else replace(unit, enabled=False)
        for number, unit in enumerate(units)
    ]


def _on_all_of_it(unit: Unit) -> Unit:
    bounds = FIELDS["weight"].kind
    most = bounds.highest if isinstance(bounds, Range) else unit.weight
    weight = min(unit.weight * unit.adetailer_weight, most)
    return replace(unit, region=EVERYWHERE, mask=None, weight=weight, hires="both")
