"""The facts of one finished picture: its metadata, and what is seen in it where somebody can look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.diagnosis.facts import Facts, UnitFacts
from lib_faceid.diagnosis.reading import facts_of_parameters, of_record, with_looks, with_scores
from lib_faceid.errors import FileError
from lib_faceid.likeness.judging import Expected, Looks, judge
from lib_faceid.references.identity import Identity
from lib_faceid.references.record import Record
from lib_faceid.units.parameters import parameters_from
from lib_faceid.units.region import box_of

__all__ = ["Known", "facts_of_picture", "parameters_in"]


class Known(NamedTuple):
    """Who was asked for by one unit."""

    identity: Identity
    record: Record


def parameters_in(image: Image.Image, name: str) -> str:
    """Return the settings in a picture's file. Raises FileError without any."""
    found = image.info.get("parameters")
    if not isinstance(found, str):
        raise FileError(f"{name} carries no settings. Open a PNG that was saved by this page or by the WebUI.")
    return found


def facts_of_picture(
    parameters: str,
    picture_rgb: NDArray[np.uint8],
    people: Mapping[int | str, Known] | None = None,
    looks: Looks | None = None,
    plain_rgb: NDArray[np.uint8] | None = None,
) -> Facts:
    """Return the facts of a picture (uint8 RGB [H, W, 3]) with those settings.

    people: by the number of their unit, where it is known who they are; looks: what finds and recognises faces, None
    where nobody can look; plain_rgb: what the same settings and seed give at weight 0. Raises FaceIDError.
    """
    people = people or {}
    facts = facts_of_parameters(parameters_from(parameters))
    units = {unit.number: unit for unit in facts.units}
    for number, known in people.items():
        of_known = {"recogniser": known.identity.recogniser, **of_record(known.record)}
        units[number] = replace(units.get(number, UnitFacts(number=number)), **of_known)
    facts = replace(facts, units=tuple(units.values()))
    expected = [Expected(number, known.identity, box_of(units[number].region)) for number, known in people.items()]
    plain = [] if plain_rgb is None else [plain_rgb]
    if not expected:  # whose the faces are is not known: only how the picture looks
        return with_looks(facts, [picture_rgb], plain=plain)
    scores = [judge(picture_rgb, expected, looks)] if looks is not None else []
    return with_looks(with_scores(facts, scores), [picture_rgb], scores, plain)
