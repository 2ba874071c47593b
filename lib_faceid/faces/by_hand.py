"""A face that somebody marked with a box where the detector finds none: where its eyes, nose and mouth then are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.geometry import TEMPLATE
from lib_faceid.units.region import Box

__all__ = ["edges_px", "points_in"]

# How the recogniser's template lies in a detector's box: the middle of its five points, and its scale as a fraction of
# the square root of the box's area. Medians of 35 upright faces, whose scales differ by 3 % and heights by 3 %.
MIDDLE = (0.5, 0.57)
SCALE = 0.0106


def edges_px(box: Box, size_px: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return x0, y0, x1, y1 in pixels of a photo of that width and height."""
    width, height = size_px
    return box.left * width, box.top * height, box.right * width, box.bottom * height


def points_in(box: Box, size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Return where the five points [5, 2] of an upright, frontal face in the box would be, in pixels of the photo."""
    x0, y0, x1, y1 = edges_px(box, size_px)
    sides = np.array([x1 - x0, y1 - y0])
    spread = (TEMPLATE - TEMPLATE.mean(axis=0)) * SCALE * math.sqrt(sides.prod())
    return (np.array([x0, y0]) + np.array(MIDDLE) * sides + spread).astype(np.float32)
