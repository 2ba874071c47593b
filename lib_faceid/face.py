"""A face, and the result of looking for faces: plain values that any module may hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import NoFaceError
from lib_faceid.face_search import VIEWS

__all__ = ["Face", "FaceSearch", "largest"]


@dataclass(frozen=True, eq=False)
class Face:
    """One face, in pixels of the upright photo."""

    box: tuple[float, float, float, float]
    """x0, y0, x1, y1; may reach beyond the photo."""
    points: NDArray[np.float32]
    """[5, 2]: eyes, nose, corners of the mouth."""
    score: float
    """The detector's certainty, 0.5 to 1."""
    id_embedding: NDArray[np.float32]
    """[512]: the recogniser's raw output, not normalised."""
    crop_rgb: NDArray[np.uint8]
    """[224, 224, 3]: the aligned face, framed as the Plus family was trained; black beyond the photo."""

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
        width_px, height_px = self.photo_size_px
        photo = f"{name!r}, {width_px}x{height_px} px" if name else f"{width_px}x{height_px} px"
        raise NoFaceError(
            f"No face found in {where} ({photo}; tried {len(VIEWS)} scales and 4 rotations; best score "
            f"{self.best_score:.2f}). Use a photo where the whole head is visible."
        )


def largest(faces: Sequence[Face]) -> Face:
    """Return the face with the largest box; of equals the leftmost."""
    return max(faces, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1]))
