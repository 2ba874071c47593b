"""The pictures that a ControlNet of faces follows: key points, put somewhere in the picture that is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lib_faceid.effects.effect import HintPicture
from lib_faceid.faces.keypoints import KeyPoints, draw_points
from lib_faceid.units.region import WHOLE, Box

__all__ = ["FacePicture", "put_into"]


@dataclass(frozen=True, eq=False)
class FacePicture:
    """The picture of a face's key points, which is drawn in the size of the canvas; `effects.effect.HintPicture`."""

    points: KeyPoints
    box: Box = WHOLE
    """Where in the whole picture the photo is put."""

    def drawn(self, canvas_px: tuple[int, int], view: Box) -> NDArray[np.uint8]:
        """Return it, uint8 RGB [H, W, 3], of a canvas that shows a part of the whole picture."""
        return draw_points(self.points.placed(self.box, canvas_px, view), canvas_px)


def put_into(picture: HintPicture, box: Box) -> HintPicture:
    """Return a face's picture with its photo in another place; any other picture as it is."""
    return replace(picture, box=box) if isinstance(picture, FacePicture) else picture
