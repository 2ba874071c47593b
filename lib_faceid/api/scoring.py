"""What `POST /score` answers: finished pictures and who was asked for in; whose face is whose, and how alike, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_faceid.api.bodies import MAX_UNITS, only, reference_in
from lib_faceid.api.services import ApiServices
from lib_faceid.errors import UnitError
from lib_faceid.likeness.judging import Expected, judge
from lib_faceid.likeness.meaning import answer_of
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.requested import photo_from_request
from lib_faceid.references.unit_identity import join_unit
from lib_faceid.units.region import AUTO_REGION, EVERYWHERE, MASK, Box, box_of

__all__ = ["MOST_PICTURES", "scored"]

MOST_PICTURES = 64


def scored(body: Mapping[str, Any], services: ApiServices) -> dict[str, Any]:
    """Return the score of each picture of a request, in their order. Raises FaceIDError."""
    only(body, ("images", "people"))
    pictures, people = (_list(body, name, most) for name, most in (("images", MOST_PICTURES), ("people", MAX_UNITS)))
    expected = [_expected(number, one, services) for number, one in enumerate(people)]
    policy, analyser = services.policy(), services.face_analyser()
    sources = [photo_from_request(picture, policy) for picture in pictures]
    return {"pictures": [answer_of(judge(read_photo(source), expected, analyser)) for source in sources]}


def _list(body: Mapping[str, Any], name: str, most: int) -> list[Any]:
    values = body.get(name)
    if not isinstance(values, list) or not 1 <= len(values) <= most:
        raise UnitError(f"{name} must be a list of 1 to {most}.")
    return values


def _expected(number: int, value: Any, services: ApiServices) -> Expected:
    """Return who was asked for by one entry of `people`: a reference, and perhaps the region that it acted in."""
    name, region = f"people[{number}]", EVERYWHERE
    if isinstance(value, Mapping):
        region = value.get("region", EVERYWHERE)
        value = {key: one for key, one in value.items() if key != "region"}
    unit = reference_in({name: value}, name)
    if unit.person:
        return Expected(number, services.people().identity(unit.person), _box(name, region))
    joined = join_unit(unit, services.face_analyser(), policy=services.policy())
    return Expected(number, joined.identity, _box(name, region))


def _box(name: str, region: Any) -> Box | None:
    if not isinstance(region, str) or region.strip().lower() in (AUTO_REGION, MASK):
        raise UnitError(f"{name}: region is {str(region)[:40]!r}; a place such as 'left', or 'box 0.1 0.2 0.6 0.9'.")
    try:
        return box_of(region)
    except UnitError as error:
        raise UnitError(f"{name}: {error}") from error
