"""Which units act where a part of the picture is drawn again, face by face (ADetailer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lib_faceid.units.region import EVERYWHERE, Box
from lib_faceid.units.unit import FIELDS, LIKENESS, ONE_EACH, Range, Unit

__all__ = ["acts_by", "face_number", "of_image", "units_for_part"]

SAME_FACE = 0.5  # two boxes of one face share at least this much of the smaller one; of two cheek to cheek, less


def of_image(unit: Unit, image: int) -> Unit:
    """Return a unit as it acts in one image, counted from 0 through the job: with one each, by one of its people."""
    if unit.batch != "one each":
        return unit
    person = unit.names[image % len(unit.names)] if unit.names else ""
    photos = unit.images[image % len(unit.images) :][:1] if unit.images else ()
    return replace(unit, person=person, images=photos, batch="together")


def face_number(part: Box, faces: list[Box]) -> int:
    """Return which of a picture's faces a part of it shows, counted from 0: the one that it shares most with.

    A part that shows none of them is the next face, and is noted as such: several detectors may each find it.
    """
    shared = [part.overlap(face) for face in faces]
    at = max(range(len(faces)), key=shared.__getitem__, default=0)
    if not faces or shared[at] < SAME_FACE * min(part.area, faces[at].area):
        faces.append(part)
        return len(faces) - 1
    return at


def acts_by(unit: Unit, setting: str) -> bool:
    """Say whether a unit acts, shows a person, and is set to this in ADetailer."""
    return unit.acts and unit.purpose == "person" and unit.adetailer == setting


def units_for_part(
    units: Sequence[Unit], overlaps: Sequence[float | None], face: int, owner: int | None = None
) -> list[Unit]:
    """Return the units as they act on one part: those that do not are off, the others act on all of it.

    An image acts on none, unless its unit says "same".

    overlaps: how much of each unit's region lies in the part, None for a unit without a region; face: the part's
    number, as `face_number` counts; owner: the place of the unit that it is most like, None where that is not known.
    """
    people = [unit.acts and unit.purpose == "person" for unit in units]
    turns = {
        setting: [number for number, unit in enumerate(units) if acts_by(unit, setting)]
        for setting in (ONE_EACH, LIKENESS)
    }
    regional = [overlaps[number] for number, unit in enumerate(units) if people[number] and unit.adetailer == "region"]
    most = max((overlap for overlap in regional if overlap is not None), default=0.0)

    def acts(number: int, unit: Unit) -> bool:
        if not people[number]:
            return unit.adetailer == "same"  # what a whole image shows is no face
        if unit.adetailer == "region":
            overlap = overlaps[number]
            return overlap is None or 0 < overlap == most
        if unit.adetailer == LIKENESS and owner is not None:
            return number == owner
        in_turn = turns.get(unit.adetailer)
        return number == in_turn[face % len(in_turn)] if in_turn else unit.adetailer == "same"

    return [
        _on_all_of_it(unit) if unit.acts and acts(number, unit) else replace(unit, enabled=False)
        for number, unit in enumerate(units)
    ]


def _on_all_of_it(unit: Unit) -> Unit:
    bounds = FIELDS["weight"].kind
    most = bounds.highest if isinstance(bounds, Range) else unit.weight
    weight = min(unit.weight * unit.adetailer_weight, most)
    # A ControlNet's face lies where the photo has it, which is not where this face is: the tokens draw it alone.
    return replace(unit, region=EVERYWHERE, mask=None, weight=weight, hires="both", net_weight=0.0, pose=None)
