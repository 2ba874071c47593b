"""Who is asked for in a picture of a job, as what judges finished pictures takes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from lib_faceid.errors import UnitError
from lib_faceid.faces.recognisers import require_same_space
from lib_faceid.jobs.passes import Places, is_auto
from lib_faceid.jobs.preparing import Prepared
from lib_faceid.likeness.judging import Wanted
from lib_faceid.likeness.score import PictureScore
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import Box

__all__ = ["least_alike", "require_judged", "wanted_in"]


def wanted_in(units: Iterable[Prepared], image: int, places: Places | None = None) -> list[Wanted]:
    """Return the people whom the units want in the image of that number; images have no likeness, and are left out.

    units: several of one number are one unit on several checkpoints; places: where the units that follow faces acted;
    without, such a unit may have its face anywhere.
    """
    found: list[Wanted] = []
    for one in {one.number: one for one in units}.values():
        reference = one.references[image % len(one.references)]
        if isinstance(reference, Identity):
            found.append(Wanted(one.number, reference, _region(one, image, places)))
    return found


def _region(one: Prepared, image: int, places: Places | None) -> Box | Region | None:
    if is_auto(one.unit):
        return places.of(one.number, range(image, image + 1))[0] if places else None
    return one.regions[0] if one.regions else None


def require_judged(wanted: Iterable[Wanted], recogniser: str, counts: Collection[int | str] | None = None) -> None:
    """Raise UnitError where there is nobody to be alike to, MismatchError where somebody is of another recogniser.

    counts: the units that are judged; None for all.
    """
    people = [one for one in wanted if counts is None or one.number in counts]
    if not people:
        raise UnitError(
            "Likeness needs a person, and no unit that is on has one (images have no likeness). Add a photo, "
            "or set best_of to 1."
        )
    for one in people:
        require_same_space(one.identity.recogniser, recogniser, f"Unit {one.number}'s person and the faces to be drawn")


def least_alike(score: PictureScore, counts: Collection[int | str] | None = None) -> float | None:
    """Return the lowest likeness of these units; None where one of them has no face."""
    found = [one.likeness for one in score.units if counts is None or one.number in counts]
    known = [one for one in found if one is not None]
    return min(known) if known and len(known) == len(found) else None
