"""One sampling pass: which images it draws, which part of the picture, and where each unit acts in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from lib_faceid.effects.effect import HintPicture
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.keypoints import KeyPoints
from lib_faceid.jobs.face_pictures import FacePicture, put_into
from lib_faceid.jobs.placing import head_region, place_people
from lib_faceid.pictures.photo import read_photo
from lib_faceid.pictures.requested import RequestPolicy, photo_from_request
from lib_faceid.references.analysis import AnalysedPhoto, analyse
from lib_faceid.references.identity import Identity
from lib_faceid.references.reference import Reference
from lib_faceid.unet.regions import Region
from lib_faceid.units.region import AUTO_REGION, MASK, WHOLE, Box, box_of, column
from lib_faceid.units.unit import Unit

__all__ = ["Pass", "Places", "is_auto", "of_images", "region_of"]

Part = TypeVar("Part")


@dataclass(frozen=True)
class Pass:
    """One sampling pass of a job, as the host knows it."""

    hires: bool = False
    """Whether it is the second pass of hires fix."""
    images: range = range(1)
    """Numbers of the images that are drawn together, counted from 0 through the whole job."""
    view: Box = WHOLE
    """The part of the whole picture that is drawn: an inpainted part of it, say."""


class _Seen(NamedTuple):
    """A face in a picture."""

    region: Box
    points: KeyPoints


class Places:
    """Where the units with the region "auto" act: side by side in columns, until their faces were seen."""

    def __init__(self, numbers: Sequence[int | str]) -> None:
        self._numbers = list(numbers)
        self._seen: dict[int, list[_Seen | None]] = {}

    def see(
        self,
        first: int,
        pictures: Sequence[NDArray[np.uint8]],
        people: Sequence[Sequence[Reference]],
        analyser: FaceAnalyser,
    ) -> list[str]:
        """Bind the units to the faces in these pictures (uint8 RGB [H, W, 3]), and return what was missed.

        first: the number of the first picture, counted through the job; people: for each picture the identity of each
        unit, in the order of the units.
        """
        notes: list[str] = []
        for image, (picture, expected) in enumerate(zip(pictures, people, strict=True), first):
            photo = analyse(picture, analyser)
            self._seen[image] = _bound(photo, expected, analyser.recogniser)
            missing = self._seen[image].count(None)
            if missing:
                notes.append(
                    f"Auto region: image {image + 1} has {len(photo.faces)} faces for {len(expected)} units; "
                    f"{'all' if missing == len(expected) else missing} of them act in their column of the picture."
                )
        return notes

    def of(self, number: int | str, images: range) -> tuple[Box, ...]:
        """Return a unit's box in each of these images; the whole picture for the only unit, where nothing was seen."""
        beside = self._beside(number)
        return tuple(seen.region if (seen := self._face(number, image)) else beside for image in images)

    def pictures(self, number: int | str, images: range, given: Sequence[HintPicture]) -> list[HintPicture]:
        """Return what a unit's ControlNet follows in each of these images: the face that was seen, where it is.

        given: of the unit's photo, one for all images or one for each; where nothing was seen, it is put into the
        unit's column.
        """
        beside = self._beside(number)
        return [
            FacePicture(seen.points)
            if (seen := self._face(number, image))
            else put_into(given[min(at, len(given) - 1)], beside)
            for at, image in enumerate(images)
        ]

    def _beside(self, number: int | str) -> Box:
        return column(self._numbers.index(number), len(self._numbers))

    def _face(self, number: int | str, image: int) -> _Seen | None:
        return self._seen[image][self._numbers.index(number)] if image in self._seen else None


def of_images(parts: Sequence[Part], images: range) -> Sequence[Part]:
    """Return the part of each image, in turn; a single one serves all."""
    return [parts[at % len(parts)] for at in images] if len(parts) > 1 else parts


def region_of(unit: Unit, policy: RequestPolicy) -> Region | None:
    """Return where a unit acts; None for everywhere, and for auto, which is decided in each pass.

    Raises PhotoError for a mask that is no picture, or that the policy does not allow.
    """
    box = box_of(unit.region)
    if box is not None:
        return Region(box, feather_px=unit.feather)
    if unit.region != MASK:
        return None
    picture = read_photo(photo_from_request(unit.mask, policy))
    grey = torch.from_numpy(picture.astype(np.float32)).mean(dim=2) / 255
    return Region(mask=grey, feather_px=unit.feather)


def is_auto(unit: Unit) -> bool:
    """Say whether a unit's place is found by itself."""
    return unit.region == AUTO_REGION


def _bound(photo: AnalysedPhoto, people: Sequence[Reference], recogniser: str) -> list[_Seen | None]:
    """Return each person's face in a picture; None where none is left for them."""
    if not photo.faces:
        return [None] * len(people)
    faces = torch.nn.functional.normalize(torch.stack([face.id_embedding for face in photo.faces]), dim=1)
    likeness = torch.stack(
        [
            # Vectors of two recognisers say nothing of each other.
            faces @ person.averaged().normed_embeddings[0]
            if isinstance(person, Identity) and person.recogniser in ("", recogniser)
            else torch.zeros(len(faces))
            for person in people
        ]
    )
    return [
        None
        if at is None
        else _Seen(head_region(photo.faces[at].box, photo.size_px), KeyPoints(photo.faces[at].points, photo.size_px))
        for at in place_people(photo.faces, likeness)
    ]
