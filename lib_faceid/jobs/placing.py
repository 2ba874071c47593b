"""Which face in a picture is whose, and the region that belongs to a face."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lib_faceid.faces.face import Boxed
from lib_faceid.references.combining import SAME_PERSON
from lib_faceid.units.region import Box

__all__ = ["head_region", "place_people"]

# A face's box ends at the forehead, the chin and the cheeks. Hair, ears and neck are the person too: measured from the
# box, so many of its widths and heights go to each side.
BESIDE, ABOVE, BELOW = 0.6, 0.6, 0.5


def place_people(faces: Sequence[Boxed], likeness: Tensor) -> list[int | None]:
    """Return for each person the number of the face that is to be theirs; None where there are not enough faces.

    likeness [people, faces]: cosines. Who is recognised gets the face that is most alike; the others take what is
    left, as many of the largest faces as there are people, from left to right in the people's order.
    """
    placed: list[int | None] = [None] * len(likeness)
    if not faces:
        return placed
    free = set(range(len(faces)))
    for person, face in _best_first(likeness):
        if placed[person] is None and face in free:
            placed[person] = face
            free.discard(face)
    waiting = [person for person, face in enumerate(placed) if face is None]
    largest = sorted(free, key=lambda face: -_area(faces[face]))[: len(waiting)]
    for person, face in zip(waiting, sorted(largest, key=lambda face: _centre(faces[face])), strict=False):
        placed[person] = face
    return placed


def head_region(box: Sequence[float], picture_px: tuple[int, int]) -> Box:
    """Return the region around a face: head, hair and neck, in fractions of a picture of that width and height.

    box: x0, y0, x1, y1 in pixels.
    """
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    return Box(
        max((x0 - BESIDE * width) / picture_px[0], 0.0),
        max((y0 - ABOVE * height) / picture_px[1], 0.0),
        min((x1 + BESIDE * width) / picture_px[0], 1.0),
        min((y1 + BELOW * height) / picture_px[1], 1.0),
    )


def _best_first(likeness: Tensor) -> list[tuple[int, int]]:
    """Return pairs of person and face that are the same person by their vectors, the surest first."""
    people, faces = likeness.shape
    pairs = [(person, face) for person in range(people) for face in range(faces)]
    alike = [pair for pair in pairs if likeness[pair] >= SAME_PERSON]
    return sorted(alike, key=lambda pair: -float(likeness[pair]))


def _area(face: Boxed) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)


def _centre(face: Boxed) -> float:
    return face.box[0] + face.box[2]
