"""The photos in a unit: base64 text, pixels or paths, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_faceid.arguments import is_number, shown
from lib_faceid.errors import UnitError

__all__ = ["MAX_PHOTOS", "Photo", "as_unit_photos", "is_photo", "photos_shown"]

MAX_PHOTOS = 20
MAX_WEIGHT = 10


@dataclass(frozen=True)
class Photo:
    """A photo of the person, and how much it counts beside the others."""

    image: Any
    """Base64 or a data URL in text, pixels (a PIL image, a numpy array), or a `Path`. Text is never a path."""
    weight: float = 1.0


def as_unit_photos(value: Any) -> tuple[Photo, ...]:
    """Return photos from what a request or the page may hold: nothing, one, or a list."""
    if value is None:
        return ()
    return tuple(_photo(one) for one in (value if isinstance(value, (list, tuple)) else [value]))


def _photo(value: Any) -> Photo:
    if isinstance(value, Photo):
        return value
    if not isinstance(value, Mapping):
        return Photo(value)
    if "image" not in value or not value.keys() <= {"image", "weight"}:
        raise UnitError(f"a photo in images has {sorted(value)}; image, and perhaps weight, was expected.")
    return Photo(value["image"], value.get("weight", 1.0))


def is_photo(one: Photo) -> bool:
    """Say whether there is a picture, and a weight from 0 to 10."""
    return one.image is not None and is_number(one.weight) and 0 <= one.weight <= MAX_WEIGHT


def photos_shown(photos: Sequence[Photo]) -> str:
    """Return what is wrong with photos, of which there are too many, or one cannot be."""
    wrong = next((number for number, one in enumerate(photos) if not is_photo(one)), None)
    if len(photos) > MAX_PHOTOS or wrong is None:
        return f"a list of {len(photos)} photos"
    one = photos[wrong]
    found = "no picture" if one.image is None else f"the weight {shown(one.weight)}"
    return f"a list whose photo {wrong + 1} has {found}"
