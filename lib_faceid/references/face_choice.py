"""Which face of each photo is meant, and which photos are good enough to be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from lib_faceid.arguments import is_number, one_of, shown
from lib_faceid.errors import FaceIDError, NoFaceError, PhotoError, UnitError
from lib_faceid.faces.analyser import FaceAnalyser
from lib_faceid.faces.crops import ClipSees
from lib_faceid.faces.face import largest
from lib_faceid.faces.recognisers import TRAINED_ON
from lib_faceid.pictures.photo import photo_name
from lib_faceid.pictures.sources import PhotoSource
from lib_faceid.references.analysis import AnalysedFace, AnalysedPhoto, analyse, analyse_box
from lib_faceid.references.combining import SAME_PERSON
from lib_faceid.references.identity import Identity
from lib_faceid.references.lazy_photo import Opened
from lib_faceid.units.region import Box

__all__ = [
    "Chosen",
    "Look",
    "Skipped",
    "WhichFace",
    "choose_face",
    "look_at",
    "nothing_left",
    "worth_using",
]

WhichFace = Literal["largest"] | int | Box | Identity
"""The largest face, the one of this number (from 1; left to right, then top to bottom), the one in a box that somebody
drew, or the one most like a saved identity."""


@dataclass(frozen=True)
class Look:
    """What is taken from each photo.

    >>> identity_from_photos("me.jpg", look=Look(face=1, clip_sees="head")).num_faces
    1
    """

    face: WhichFace = "largest"
    clip_sees: ClipSees = "face"
    trained_on: str = TRAINED_ON
    """The recogniser that the adapter was trained on; messages name another one."""

    def __post_init__(self) -> None:
        is_face = self.face == "largest" if isinstance(self.face, str) else isinstance(self.face, (Box, Identity))
        if not is_face and not (is_number(self.face) and isinstance(self.face, int) and self.face > 0):
            raise UnitError(
                f"face is {shown(self.face)}; 'largest', the number of a face from 1 on, a Box or an Identity was "
                "expected."
            )
        one_of(self.clip_sees, "clip_sees", get_args(ClipSees))


def choose_face(photo: AnalysedPhoto, which: Literal["largest"] | int | Identity, where: str, name: str = "") -> int:
    """Return the index (from 0) of a face in a photo. Raises NoFaceError when it has no such face."""
    faces = photo.require(where, name)
    if isinstance(which, Identity):
        embeddings = torch.nn.functional.normalize(torch.stack([face.id_embedding for face in faces]), dim=-1)
        likeness = embeddings @ which.median().normed_embeddings[0]
        best = int(likeness.argmax())
        if float(likeness[best]) < SAME_PERSON:
            raise NoFaceError(
                f"The saved person is not in {where}: of {len(faces)} faces the most alike has a cosine of "
                f"{float(likeness[best]):.2f}, and {SAME_PERSON} was expected. Use another photo."
            )
        return best
    if which == "largest":
        return faces.index(largest(faces))
    if not 1 <= which <= len(faces):
        raise NoFaceError(
            f"There is no face {which} in {where}: it has {len(faces)}. Count them from 1, left to right, then top to "
            "bottom."
        )
    return which - 1


@dataclass(frozen=True, eq=False)
class Chosen:
    """One photo, without its pixels, and the face that was chosen in it."""

    photo: AnalysedPhoto
    index: int
    """From 0."""

    @property
    def face(self) -> AnalysedFace:
        """The face that was chosen."""
        return self.photo.faces[self.index]


@dataclass(frozen=True)
class Skipped:
    """One photo that gives no face."""

    reason: str
    error: FaceIDError | None = None


def look_at(photo: PhotoSource, where: str, analyser: FaceAnalyser, which: WhichFace) -> Chosen | Skipped:
    """Return the face that is meant in a photo, or why there is none."""
    try:
        opened = Opened(photo)
        if isinstance(which, Box):
            return Chosen(analyse_box(opened, which, analyser), 0)
        analysed = analyse(opened, analyser)
        return Chosen(analysed, choose_face(analysed, which, where, photo_name(photo)))
    except (PhotoError, NoFaceError) as error:
        return Skipped(str(error), error)


def worth_using(seen: Sequence[Chosen | Skipped]) -> dict[int, Chosen]:
    """Return the photos to use by their index: poor ones only where there are no others.

    Raises the error of the first photo where there is none at all.
    """
    found = {i: one for i, one in enumerate(seen) if isinstance(one, Chosen)}
    if not found:
        raise nothing_left([one for one in seen if isinstance(one, Skipped)])
    return {i: one for i, one in found.items() if one.face.report.verdict != "poor"} or found


def nothing_left(skipped: Sequence[Skipped]) -> FaceIDError:
    """Return the error to raise when every photo had one."""
    errors = [one.error for one in skipped if one.error]
    if len(skipped) == 1:
        return errors[0]
    reasons = " ".join(str(error) for error in errors)
    return type(errors[0])(f"None of the {len(skipped)} photos can be used. {reasons}")
