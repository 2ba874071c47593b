"""The bodies of requests, checked field by field. Every refusal is a sentence that names the field."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from lib_faceid.errors import UnitError
from lib_faceid.units.old_names import OLD_FIELDS
from lib_faceid.units.unit import FIELDS, Unit

__all__ = ["PERSON_FIELDS", "REFERENCE_FIELDS", "flag", "only", "person_in", "reference_in", "text", "units_in"]

REFERENCE_FIELDS = ("image", "images", "person", "face")
"""What of a unit says who is meant."""
PERSON_FIELDS = ("image", "images", "purpose", "face", "combine", "clip_crop", "image_crop")
"""What of a unit makes a person of photos, or an image prompt of images."""
MAX_UNITS = 10


def only(body: Mapping[str, Any], allowed: Sequence[str], what: str = "") -> None:
    """Raise UnitError where the body has a field that is not allowed, with the nearest one that is."""
    for name in body:
        if name not in allowed:
            near = difflib.get_close_matches(name[:60], allowed, n=1)
            fields = f"fields are {', '.join(allowed)}" if allowed else "there are no fields"
            hint = f"did you mean '{near[0]}'?" if near else fields
            raise UnitError(f"{what}unknown field '{_shown(name)}' ({hint})")


def flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """Return a field that is true or false."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise UnitError(f"{name} is of the type {type(value).__name__}; true or false was expected.")
    return value


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a field that must be there and is a text."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        found = "missing" if value is None else "empty" if value == "" else f"of the type {type(value).__name__}"
        raise UnitError(f"{name} is {found}; a text was expected.")
    return value


def units_in(body: Mapping[str, Any]) -> list[Unit]:
    """Return the units of a request to check them. Raises UnitError, naming the unit."""
    only(body, ("units",))
    values = body.get("units")
    if not isinstance(values, list) or len(values) > MAX_UNITS:
        raise UnitError(f"units must be a list of up to {MAX_UNITS} units.")
    units: list[Unit] = []
    for number, one in enumerate(values):
        try:
            units.append(_unit(one, (*FIELDS, *OLD_FIELDS, "image")))
        except UnitError as error:  # noqa: PERF203 - a handful of units
            raise UnitError(f"Unit {number}: {error}") from error
    return units


def person_in(body: Mapping[str, Any]) -> Unit:
    """Return the photos of somebody, or the images, to save, as a unit. Raises UnitError where there is none."""
    only(body, ("name", "overwrite", *PERSON_FIELDS))
    unit = _unit(body, PERSON_FIELDS)
    if not unit.images:
        what = "photos of one person" if unit.purpose == "person" else "images"
        raise UnitError(f"images is missing; one to 20 {what} were expected.")
    return unit


def reference_in(body: Mapping[str, Any], name: str) -> Unit:
    """Return who is meant by one field of a body: photos or a saved person, as a unit; a text is a photo."""
    value = body.get(name)
    try:
        unit = _unit({"image": value} if isinstance(value, str) else value, REFERENCE_FIELDS)
    except UnitError as error:
        raise UnitError(f"{name}: {error}") from error
    if bool(unit.images) == bool(unit.person):
        found = "both" if unit.person else "neither"
        raise UnitError(f"{name} has {found} of image and person; one of them was expected.")
    return unit


def _unit(values: Any, allowed: Sequence[str]) -> Unit:
    if not isinstance(values, Mapping):
        found = "missing" if values is None else f"of the type {type(values).__name__}"
        raise UnitError(f"it is {found}; an object with fields of a unit was expected.")
    only(values, allowed)
    unit = Unit.from_dict(values)
    for photo in unit.images:
        if not isinstance(photo.image, str):
            raise UnitError(f"a photo is of the type {type(photo.image).__name__}; base64 in a text was expected.")
    return unit


def _shown(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:39]}…"
