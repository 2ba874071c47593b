"""The people whom strangers are made of: those whose photos allow it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.analyser import Face, FaceAnalyser, largest
from lib_faceid.pictures.photo import read_photo

__all__ = ["KEPT_BACK", "PARENTS", "Person", "Portrait", "find_portraits"]

GROUP = "solvay_conference_1927.png"
# The middles of the faces, from left to right.
GROUP_AT_PX = (
    *((184, 1087), (276, 1195), (452, 1128), (506, 812), (592, 1212), (728, 878), (757, 1091), (884, 940)),
    *((902, 1192), (1090, 1096), (1130, 928), (1236, 1212), (1407, 949), (1446, 1076), (1634, 1190), (1632, 897)),
    *((1706, 1080), (1884, 906), (1905, 1196), (1993, 1103), (2124, 896), (2156, 1186), (2316, 1112), (2334, 888)),
    *((2498, 1208), (2496, 803), (2619, 1128), (2640, 893), (2732, 1244)),
)


@dataclass(frozen=True)
class Person:
    """Where a person's face is."""

    name: str
    photo: str
    licence: str
    at_px: tuple[int, int] | None = None
    """The middle of the face in a group photo; None is the only face."""


_GROUP = tuple(
    Person(f"group_{index:02}", GROUP, "historic photograph of 1927", at_px) for index, at_px in enumerate(GROUP_AT_PX)
)
KEPT_BACK_OF_GROUP = 7
PARENTS = (
    Person("astronaut", "astronaut.png", "public domain (NASA)"),
    Person("bryan", "Bryan.png", "CC0"),
    *_GROUP[:-KEPT_BACK_OF_GROUP],
)
KEPT_BACK = (Person("luciano", "Luciano.png", "CC0"), *_GROUP[-KEPT_BACK_OF_GROUP:])
"""Whose features training never sees."""


@dataclass(frozen=True, eq=False)
class Portrait:
    """A person with the photo and the face that was found in it."""

    person: Person
    photo_rgb: NDArray[np.uint8]
    face: Face


def find_portraits(photos: Path, analyser: FaceAnalyser, people: Sequence[Person] = PARENTS) -> list[Portrait]:
    """Return each person's portrait. Raises PhotoError, and NoFaceError where nobody is found."""
    seen = {
        name: (photo := read_photo(photos / name), analyser.search(photo).require(name=name))
        for name in {person.photo for person in people}
    }
    return [Portrait(person, seen[person.photo][0], _chosen(seen[person.photo][1], person)) for person in people]


def _chosen(faces: Sequence[Face], person: Person) -> Face:
    if person.at_px is None:
        return largest(faces)
    x, y = person.at_px
    return min(faces, key=lambda face: abs(face.box[0] + face.box[2] - 2 * x) + abs(face.box[1] + face.box[3] - 2 * y))
