"""The faces of a job's pictures that are drawn again one by one (ADetailer): which is which, and whom each is like."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import FaceIDError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.face import Face
from lib_faceid.faces.recognisers import is_same_space
from lib_faceid.jobs.job import Job
from lib_faceid.likeness.judging import Expected, cosines, matched
from lib_faceid.units.infotext import infotext_key
from lib_faceid.units.inner_pass import face_number
from lib_faceid.units.region import Box

__all__ = ["Redrawn", "most_alike"]

UNSEEN = "FaceID: the faces could not be told apart, and the units take turns as they come: {}"
OTHER_RECOGNISER = (
    "FaceID: whose faces are most alike cannot be told, and the units take turns from left to right: the person of {} "
    "was seen by another recogniser ({}) than the one that is loaded ({}). Make the person again from the photos."
)


def most_alike(people: Sequence[Expected], faces: Sequence[Face]) -> list[int | str]:
    """Return for each face the unit whose person it is most like; empty without people.

    First each unit has one face, as long as there are faces, with the highest sum of likenesses: of two faces that are
    both like one person, the other is still the second person's. Faces beyond that are whose they are most like.
    """
    if not people or not faces:
        return []
    alike = cosines([one.identity for one in people], faces)
    found = [int(at) for at in alike.argmax(axis=0)]
    for unit, face in enumerate(matched(alike, np.ones(alike.shape, bool))):
        if face is not None:
            found[face] = unit
    return [people[at].number for at in found]


@dataclass
class _Image:
    """What was seen in one image before its first face was drawn again."""

    faces: list[Box] = field(default_factory=list[Box])
    owners: list[int | str] = field(default_factory=list["int | str"])
    """The unit of each face that was found, where that is to be told."""


class Redrawn:
    """Each image is looked at once, before its first face is drawn again: all faces are still as they were."""

    def __init__(self, job: Job, face_analyser: Callable[[], FaceAnalyser], say: Callable[[str], None]) -> None:
        """Take what gives the face models, which may raise FaceIDError, and what says what could not be told."""
        self._job, self._face_analyser, self._say = job, face_analyser, say
        self._images: dict[int, _Image] = {}

    def face_and_owner(
        self, image: int, part: Box, picture: NDArray[np.uint8], numbers: Collection[int | str]
    ) -> tuple[int, int | str | None]:
        """Return which face of an image a part of it shows, from 0 at the left, and the unit most like it.

        picture: uint8 RGB [H, W, 3], the whole image as it is now; numbers: of the units to choose from. None where no
        likeness can be told.
        """
        if image not in self._images:
            self._images[image] = self._seen(image, picture, numbers)
        seen = self._images[image]
        face = face_number(part, seen.faces)
        return face, seen.owners[face] if face < len(seen.owners) else None

    def _seen(self, image: int, picture: NDArray[np.uint8], numbers: Collection[int | str]) -> _Image:
        try:
            analyser = self._face_analyser()
            found = analyser.search(picture)
        except FaceIDError as error:
            self._say(UNSEEN.format(error))
            return _Image()
        boxes = [Box.from_px(face.box, *found.photo_size_px) for face in found.faces]
        people = [one for one in self._job.expected(image) if one.number in numbers]
        for one in people:
            if not is_same_space(one.identity.recogniser, analyser.recogniser):
                made = one.identity.recogniser or "an unknown one"
                self._say(OTHER_RECOGNISER.format(infotext_key(one.number), made, analyser.recogniser))
                return _Image(boxes)
        return _Image(boxes, most_alike(people, found.faces))
