"""Pictures that published ControlNets follow, as far as they can be drawn without a model of their own.

Edges are OpenCV's Canny, with the two thresholds that https://github.com/lllyasviel/ControlNet uses. The head is drawn
as OpenPose's: nose and eyes of a body of which no more is seen, in the colours and sizes of
https://github.com/huggingface/controlnet_aux (Apache-2.0), `open_pose/util.py: draw_bodypose`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_head", "edges_in"]

LOW, HIGH = 100, 200
EYES = {0: ((170, 0, 255), (85, 0, 255)), 1: ((255, 0, 255), (255, 0, 255))}  # of our points: RGB of dot and stick
NOSE, NOSE_COLOUR = 2, (255, 0, 0)
STICK_PX = DOT_PX = 4
DIMMED = 0.6
MOST_PX = 100_000


def edges_in(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the edges in a picture [H, W, 3], white on black in the same size."""
    import cv2

    found = cv2.Canny(np.ascontiguousarray(image_rgb), LOW, HIGH)
    return np.repeat(np.asarray(found, dtype=np.uint8)[:, :, None], 3, axis=2)


def draw_head(points: NDArray[np.float32], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture of a face's eyes and nose on black: uint8 RGB [H, W, 3].

    points: [5, 2] in pixels, as a detector gives them; size_px: width, height.
    """
    import cv2

    canvas = np.zeros((size_px[1], size_px[0], 3))
    points = np.clip(points, -MOST_PX, MOST_PX)
    x, y = points[NOSE]
    for eye, (_, colour) in EYES.items():
        ends = points[[NOSE, eye]]
        middle = ends.mean(axis=0)
        turn = int(math.degrees(math.atan2(y - points[eye][1], x - points[eye][0])))
        half = int(float(np.linalg.norm(ends[0] - ends[1])) / 2), STICK_PX
        outline = np.array(cv2.ellipse2Poly((int(middle[0]), int(middle[1])), half, turn, 0, 360, 1))
        cv2.fillConvexPoly(canvas, outline, colour)
    drawn = (canvas * DIMMED).astype(np.uint8)
    dots = [(points[NOSE], NOSE_COLOUR), *((points[eye], dot) for eye, (dot, _) in EYES.items())]
    for (dot_x, dot_y), colour in dots:
        cv2.circle(drawn, (int(dot_x), int(dot_y)), DOT_PX, colour, -1)
    return drawn
