"""The pictures that a unit's plain settings name by their files: read, sent, hashed or moved, each in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lib_faceid.units.unit import FIELDS, PICTURES, Picture

__all__ = ["MANY", "ONE", "pictures_of", "with_pictures"]

ONE = tuple(name for name in PICTURES if FIELDS[name].kind is Picture)
"""The fields that hold one picture: its path."""
MANY = tuple(name for name in PICTURES if name not in ONE)
"""The fields that hold several: pairs of a path and a weight."""


def with_pictures(
    settings: Mapping[str, Any],
    change: Callable[[str], Any],
    photo: Callable[[Any, float], Any] = lambda image, weight: [image, weight],
) -> dict[str, Any]:
    """Return settings in which `change` stands for each picture's path; photo: makes one that has a weight of both."""
    found = dict(settings)
    for name in MANY:
        if name in found:
            found[name] = [photo(change(path), weight) for path, weight in found[name]]
    for name in ONE:
        if found.get(name):
            found[name] = change(found[name])
    return found


def pictures_of(settings: Mapping[str, Any]) -> Iterator[str]:
    """Give the path of each picture."""
    for name in MANY:
        yield from (path for path, _ in settings.get(name) or ())
    yield from (settings[name] for name in ONE if settings.get(name))
