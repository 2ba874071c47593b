"""The five points of a face as the picture that InstantID's ControlNet was trained to see, and their place in a canvas.

The drawing is that of https://github.com/instantX-research/InstantID (Apache-2.0, commit 2145b67),
`pipeline_stable_diffusion_xl_instantid.py: draw_kps`, byte for byte. Its sizes are pixels, however large the face is,
so that it has to be drawn at the size of the picture and is never scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.by_hand import points_in
from lib_faceid.units.region import WHOLE, Box

__all__ = ["KeyPoints", "draw_points"]

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))  # RGB: eyes, nose, mouth's corners
NOSE = 2
STICK_PX, DOT_PX = 4, 10
MOST_PX = 100_000  # beyond any canvas; OpenCV counts in 32 bits, 16 of them fractions
DIMMED = 0.6  # sticks, beside the dots
FRONTAL = Box(0.3, 0.25, 0.7, 0.75)  # of a square: how much of a region a face takes that no photo says more of


@dataclass(frozen=True, eq=False)
class KeyPoints:
    """Where the five points of a face are in a photo, and how large that is."""

    points: NDArray[np.float32]
    """[5, 2] in pixels: the left eye in the picture, the right one, nose, the mouth's left and right corner."""
    size_px: tuple[int, int]
    """Width, height."""

    @classmethod
    def frontal(cls) -> KeyPoints:
        """Return those of a face that looks straight out of a square photo."""
        size_px = (1000, 1000)
        return cls(points_in(FRONTAL, size_px), size_px)

    def placed(self, box: Box, canvas_px: tuple[int, int], view: Box = WHOLE) -> NDArray[np.float32]:
        """Return where the points are on a canvas, [5, 2] in its pixels; they may lie beyond it.

        The whole photo is put into the box as large as it fits, in the box's middle, so that no face is cut off. A
        photo that fills the box keeps its points as they are, scaled. canvas_px: width, height; view: the part of the
        whole picture that the canvas shows; box: in fractions of the whole picture.
        """
        whole = np.array(canvas_px) / (view.right - view.left, view.bottom - view.top)
        corner, opposite = np.array(box[:2]) * whole, np.array(box[2:]) * whole
        photo = np.array(self.size_px)
        scale = ((opposite - corner) / photo).min()
        start = (corner + opposite - photo * scale) / 2 - np.array(view[:2]) * whole
        return (self.points * scale + start).astype(np.float32)


def draw_points(points: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture of five points [5, 2], in pixels, on black: uint8 RGB [H, W, 3]. size_px: width, height."""
    import cv2

    canvas = np.zeros((size_px[1], size_px[0], 3))
    points = np.clip(points, -MOST_PX, MOST_PX)
    for end in (0, 1, 3, 4):
        x, y = points[[end, NOSE]].T
        length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
        turn = int(math.degrees(math.atan2(y[0] - y[1], x[0] - x[1])))
        middle, half = (int(np.mean(x)), int(np.mean(y))), (int(length / 2), STICK_PX)
        outline = np.array(cv2.ellipse2Poly(middle, half, turn, 0, 360, 1))
        cv2.fillConvexPoly(canvas, outline, COLOURS[end])
    drawn = (canvas * DIMMED).astype(np.uint8)
    for colour, (x, y) in zip(COLOURS, points, strict=True):
        cv2.circle(drawn, (int(x), int(y)), DOT_PX, colour, -1)
    return drawn
