"""A face, and the result of looking for faces: plain values that any module may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import NoFaceError
from lib_faceid.faces.search import VIEWS

__all__ = ["Boxed", "Face", "FaceSearch", "largest", "no_face_sentence"]


class Boxed(Protocol):
    """Anything with a box."""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1."""
        ...


AnyFace = TypeVar("AnyFace", bound=Boxed)


@dataclass(frozen=True, eq=False)
class Face:
    """One face, in pixels of the upright photo.

    >>> (face,) = load_face_analyser().detect(read_photo("me.jpg"))
    >>> face.id_embedding.shape, face.points.shape, face.crop_rgb.shape
    ((512,), (5, 2), (224, 224, 3))
    """

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1; may reach beyond the photo."""
    points: NDArray[np.float32]
    """[5, 2]: eyes, nose, corners of the mouth."""
    score: float
    """The detector's certainty, 0.5 to 1; 0.3 to 1 in a box that somebody drew, 0 where it sees none there."""
    id_embedding: NDArray[np.float32]
    """[512]: the recogniser's raw output, not normalised."""
    crop_rgb: NDArray[np.uint8]
    """[224, 224, 3]: the aligned face, framed as the Plus family was trained; black beyond the photo."""
    usual_length: float = 0.0
    """How long embeddings of good photos are with this recogniser; 0 where that is not known."""

    @property
    def size_px(self) -> int:
        """The longer side of the box."""
        x0, y0, x1, y1 = self.box
        return round(max(x1 - x0, y1 - y0))


@dataclass(frozen=True, eq=False)
class FaceSearch:
    """What a search through one photo gave: faces, or the numbers that say why there are none."""

    faces: tuple[Face, ...]
    """Left to right, then top to bottom, by the centre of the box."""
    best_score: float
    photo_size_px: tuple[int, int]
    """Width, height."""

    def require(self, where: str = "the photo", name: str = "") -> tuple[Face, ...]:
        """Return the faces; raise NoFaceError when there are none. `where` may be "reference 2 of 3"."""
        if self.faces:
            return self.faces
        raise NoFaceError(no_face_sentence(where, name, self.photo_size_px, self.best_score))


def no_face_sentence(where: str, name: str, size_px: tuple[int, int], best_score: float) -> str:
    """Return what to say about a photo of that width and height in which no face was found."""
    photo = f"{name!r}, {size_px[0]}x{size_px[1]} px" if name else f"{size_px[0]}x{size_px[1]} px"
    return (
        f"No face found in {where} ({photo}; tried {len(VIEWS)} scales and 4 rotations; best score "
        f"{best_score:.2f}). Use a photo where the whole head is visible. If this is a drawing: FaceID recognises "
        "photographs, and ip-adapter-plus-face is for drawings; or mark the face by hand ('Mark face' in the page, or "
        "face: 'box 0.3 0.1 0.6 0.5', in fractions of the photo)."
    )


def largest(faces: Sequence[AnyFace]) -> AnyFace:
    """Return the face with the largest box; of equals the leftmost."""
    return max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))
