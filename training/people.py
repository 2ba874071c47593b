"""The people of the miniature world: those whose photos allow it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.analyser import Face, FaceAnalyser, largest
from lib_faceid.pictures.photo import read_photo

__all__ = ["PEOPLE", "Person", "Portrait", "find_portraits"]

GROUP = "solvay_conference_1927.png"


@dataclass(frozen=True)
class Person:
    """Where a person's face is."""

    name: str
    photo: str
    licence: str
    at_px: tuple[int, int] | None = None
    """The middle of the face in a group photo; None is the only face."""


# Five clear faces of the group that a recogniser does not confuse (cosine below 0.2 for every pair).
PEOPLE = (
    Person("astronaut", "astronaut.png", "public domain (NASA)"),
    Person("bryan", "Bryan.png", "CC0"),
    Person("luciano", "Luciano.png", "CC0"),
    Person("solvay_1090", GROUP, "historic photograph of 1927", (1090, 1095)),
    Person("solvay_1235", GROUP, "historic photograph of 1927", (1235, 1212)),
    Person("solvay_1633", GROUP, "historic photograph of 1927", (1633, 1190)),
    Person("solvay_1993", GROUP, "historic photograph of 1927", (1993, 1103)),
    Person("solvay_2497", GROUP, "historic photograph of 1927", (2497, 1208)),
)


@dataclass(frozen=True, eq=False)
class Portrait:
    """A person with the photo and the face that was found in it."""

    person: Person
    photo_rgb: NDArray[np.uint8]
    face: Face


def find_portraits(photos: Path, analyser: FaceAnalyser, people: Sequence[Person] = PEOPLE) -> list[Portrait]:
    """Return each person's portrait. Raises PhotoError, and NoFaceError where nobody is found."""
    portraits: list[Portrait] = []
    for person in people:
        photo_rgb = read_photo(photos / person.photo)
        faces = analyser.search(photo_rgb).require(name=person.photo)
        portraits.append(Portrait(person, photo_rgb, _chosen(faces, person)))
    return portraits


def _chosen(faces: Sequence[Face], person: Person) -> Face:
    if person.at_px is None:
        return largest(faces)
    x, y = person.at_px
    return min(faces, key=lambda face: abs(face.box[0] + face.box[2] - 2 * x) + abs(face.box[1] + face.box[3] - 2 * y))
