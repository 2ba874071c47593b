"""A second value for every field of a unit, so that tests can follow the fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lib_faceid.units.unit import Field, Photo, Range

# A second value for each field that does not say by itself what else it takes.
OTHERS: Mapping[str, Any] = {
    "images": (Photo("aGk="),),
    "negative_images": (Photo("aGk="),),
    "face": "2",
    "region": "left",
    "layer_weights": "3:2.5, 6:-1",
    "mask": "aGk=",
    "pose": "aGk=",
}


def other(field: Field) -> Any:
    """A value that the field takes, and that is not its default."""
    if field.name in OTHERS:
        return OTHERS[field.name]
    if isinstance(field.kind, Range):
        bound = field.kind.lowest if field.default > field.kind.lowest else field.kind.highest
        return round(field.default + (bound - field.default) / 4, 3)  # a quarter: start must stay before end
    if isinstance(field.kind, tuple):
        return next(choice for choice in field.kind if choice != field.default)
    return not field.default if field.kind is bool else f"other {field.name}"
