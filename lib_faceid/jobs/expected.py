"""Who is asked for in a picture of a job, as what judges finished pictures takes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.recognisers import require_same_space
from lib_faceid.jobs.choosing import Models
from lib_faceid.jobs.passes import Places, is_auto
from lib_faceid.jobs.preparing import Prepared
from lib_faceid.likeness.judging import Expected, judge
from lib_faceid.references.identity import Identity
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import Box

__all__ = ["Judge", "analyser_of_people", "expected_in", "judge_for"]

Judge = Callable[[NDArray[np.uint8]], "float | None"]
"""Gives the likeness of a picture (RGB [H, W, 3]); None where somebody who was asked for has no face in it."""


def expected_in(units: Iterable[Prepared], image: int, places: Places | None = None) -> list[Expected]:
    """Return the people that the units ask for in the image of that number; images have no likeness, and are left out.

    units: several of one number are one unit on several checkpoints; places: where the units that follow faces acted;
    without, such a unit may have its face anywhere.
    """
    found: list[Expected] = []
    for one in {one.number: one for one in units}.values():
        reference = one.references[image % len(one.references)]
        if isinstance(reference, Identity):
            found.append(Expected(one.number, reference, _region(one, image, places)))
    return found


def analyser_of_people(units: Iterable[Prepared], models: Models) -> FaceAnalyser:
    """Return the face models to look at a job's pictures with: those of its people, where all need the same ones.

    Raises MissingModelError where they are not here.
    """
    adapters = [one.adapter for one in units if one.adapter.variant.reads_face]
    recognisers = {one.recogniser for one in adapters if one.variant.requires_recogniser}
    is_one = len(recognisers) == 1 and all(one.variant.requires_recogniser for one in adapters)
    return models.analyser_with(*recognisers) if is_one else models.face_analyser()


def _region(one: Prepared, image: int, places: Places | None) -> Box | Region | None:
    if is_auto(one.unit):
        return places.of(one.number, range(image, image + 1))[0] if places else None
    return one.regions[0] if one.regions else None


def judge_for(
    expected: Iterable[Expected], analyser: FaceAnalyser, counts: Collection[int | str] | None = None
) -> Judge:
    """Return what says how alike a picture is to these people; the least alike of them counts.

    counts: the units whose likeness counts; None for all. The others are seen all the same, because each face is one
    unit's only. Raises UnitError where nobody is left to be alike to, MismatchError where somebody who counts is of
    another recogniser.
    """
    people = list(expected)
    counted = [one for one in people if counts is None or one.number in counts]
    _require_comparable(counted, analyser.recogniser)
    numbers = {one.number for one in counted}

    def likeness(picture: NDArray[np.uint8]) -> float | None:
        seen = judge(picture, people, analyser)
        return replace(seen, units=tuple(one for one in seen.units if one.number in numbers)).likeness

    return likeness


def _require_comparable(people: Sequence[Expected], recogniser: str) -> None:
    if not people:
        raise UnitError(
            "Likeness needs a person, and no unit that is on has one (images have no likeness). Add a photo, "
            "or set best_of to 1."
        )
    for one in people:
        require_same_space(one.identity.recogniser, recogniser, f"Unit {one.number}'s person and the faces to be drawn")
