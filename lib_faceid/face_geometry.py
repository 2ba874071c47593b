"""Where a face stands: its alignment to the recogniser's template, and the maps from a photo to its views.

Numbers only: matrices are float64 [2, 3] and map (x, y) pixels, points are [n, 2] in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "View", "alignment", "inverse", "moved", "roll_degrees"]

Floats = NDArray[np.floating[Any]]

TEMPLATE_SIZE_PX = 112
# Eye, eye, nose, corner and corner of the mouth, each pair from left to right, in a crop of 112x112: the
# template ArcFace recognisers are trained with (github.com/deepinsight/insightface, face_align.py, MIT).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


@dataclass(frozen=True)
class View:
    """One way to show a photo to the detector: how large, and with how much border around it."""

    size_px: int
    """Side of the square that the photo is fitted into."""
    border: float = 0.0
    """Border on each side as a fraction of the photo's longer side, filled with the photo's edge pixels."""

    def matrix(self, width_px: int, height_px: int, quarter_turns: int) -> Floats:
        """Return the map from a photo to this view, the photo centred and turned anticlockwise."""
        scale = self.size_px / (max(width_px, height_px) * (1 + 2 * self.border))
        cos, sin = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter_turns % 4]
        turn = scale * np.array([[cos, sin], [-sin, cos]])  # y points down: anticlockwise to the eye
        centre = np.array([width_px - 1, height_px - 1]) / 2
        shift = (self.size_px - 1) / 2 - turn @ centre
        return np.column_stack([turn, shift])


def alignment(points: Floats, size_px: int) -> Floats:
    """Return the map that brings five points nearest to the template in a crop of `size_px`.

    Least squares over rotation, scale and shift (Umeyama 1991). In the plane that has a closed form: with
    points as complex numbers the map is z -> a*z + b, and a is a regression coefficient.
    """
    source = points[:, 0].astype(np.complex128) + 1j * points[:, 1]
    target = (TEMPLATE[:, 0] + 1j * TEMPLATE[:, 1]) * (size_px / TEMPLATE_SIZE_PX)
    centred = source - source.mean()
    a = np.vdot(centred, target - target.mean()) / np.vdot(centred, centred).real
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def roll_degrees(points: Floats) -> float:
    """Return how far the head is turned in the picture's plane, either way: 0 upright, 180 upside down."""
    matrix = alignment(points, TEMPLATE_SIZE_PX)
    return float(np.degrees(abs(np.arctan2(matrix[1, 0], matrix[0, 0]))))


def inverse(matrix: Floats) -> Floats:
    """Return the map back."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def moved(points: Floats, matrix: Floats) -> Floats:
    """Return points [..., 2] after a map."""
    return points @ matrix[:, :2].T + matrix[:, 2]
