"""Where a face stands: its alignment to the recogniser's template, and the maps from a photo to its views.

Numbers only: matrices are float64 [2, 3] and map (x, y) pixels, points are [n, 2] in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import PhotoError

__all__ = ["Floats", "Pose", "View", "alignment", "inverse", "moved", "pose_degrees", "roll_degrees"]

Floats = NDArray[np.floating[Any]]

TEMPLATE_SIZE_PX = 112
# Eye, eye, nose, corner and corner of the mouth, each pair from left to right, in a crop of 112x112: the
# template ArcFace recognisers are trained with (github.com/deepinsight/insightface, face_align.py, MIT).
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)

# How far the tip of the nose stands in front of eyes and mouth, in eye distances: an assumption about all people, which
# makes angles good to some ten degrees.
NOSE = 0.5
# Where the nose's tip is between the eyes (0) and the mouth (1), and how far these are apart in eye distances: the
# medians of SCRFD's points in 35 frontal faces.
NOSE_DOWN = 0.56
EYES_TO_MOUTH = 1.1


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

    Least squares over rotation, scale and shift (Umeyama 1991, doi:10.1109/34.88573), in float32 and in the order of
    scikit-image, with which insightface aligns: another rounding would be another crop. Raises PhotoError for five
    points in one place.
    """
    source = np.asarray(points, np.float32)
    target = TEMPLATE.astype(np.float32) * np.float32(size_px / TEMPLATE_SIZE_PX)
    centre, target_centre = source.mean(axis=0), target.mean(axis=0)
    spread = (source - centre).var(axis=0).sum()
    if not spread > 0:  # also where it is not a number
        raise PhotoError("The face in this photo has no size. Use a photo where the whole head is visible.")
    covariance = (target - target_centre).T @ (source - centre) / len(source)
    left, strengths, right = np.linalg.svd(covariance)
    signs = np.array([1.0, -1.0 if np.linalg.det(covariance) < 0 else 1.0])
    turn = np.asarray(left @ np.diag(signs) @ right, np.float64)
    scale = 1.0 / spread * (strengths @ signs)
    return np.column_stack([scale * turn, target_centre - scale * (turn @ centre)])


def roll_degrees(points: Floats) -> float:
    """Return how far the head is turned in the picture's plane, either way: 0 upright, 180 upside down."""
    matrix = alignment(points, TEMPLATE_SIZE_PX)
    return float(np.degrees(abs(np.arctan2(matrix[1, 0], matrix[0, 0]))))


class Pose(NamedTuple):
    """Where a head is turned to, in degrees; 0 everywhere is a passport photo."""

    yaw: float
    """Positive is turned to the picture's right."""
    pitch: float
    """Positive is looking down."""
    roll: float
    """Positive is tilted clockwise."""


def pose_degrees(points: Floats) -> Pose:
    """Return the pose that five points tell, in weak perspective.

    The nose's tip stands NOSE eye distances in front of the plane of eyes and mouth. Turning the head by yaw moves
    it NOSE * sin(yaw) aside and shrinks the eyes' distance by cos(yaw), so their quotient is NOSE * tan(yaw); the
    same with pitch, along the line from the eyes to the mouth.
    """
    matrix = alignment(points, TEMPLATE_SIZE_PX)
    roll = float(np.degrees(np.arctan2(-matrix[1, 0], matrix[0, 0])))
    upright = points @ matrix[:, :2].T
    eyes, nose, mouth = upright[:2].mean(axis=0), upright[2], upright[3:].mean(axis=0)
    eye_distance = max(float(upright[1, 0] - upright[0, 0]), 1e-6)
    face_height = max(float(mouth[1] - eyes[1]), 1e-6)
    aside = float(nose[0] - (eyes[0] * (1 - NOSE_DOWN) + mouth[0] * NOSE_DOWN)) / eye_distance
    down = float(nose[1] - eyes[1]) / face_height - NOSE_DOWN
    pitch = np.arctan(down / (NOSE / EYES_TO_MOUTH))
    return Pose(float(np.degrees(np.arctan(aside / NOSE))), float(np.degrees(pitch)), roll)


def inverse(matrix: Floats) -> Floats:
    """Return the map back."""
    turn = np.linalg.inv(matrix[:, :2])
    return np.column_stack([turn, -turn @ matrix[:, 2]])


def moved(points: Floats, matrix: Floats) -> Floats:
    """Return points [..., 2] after a map."""
    return points @ matrix[:, :2].T + matrix[:, 2]
