"""The picture of a face's five points: byte for byte the reference's, and where it is put."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lib_faceid.faces.keypoints import KeyPoints, draw_points
from lib_faceid.units.region import PLACES, WHOLE, Box

# Five points as a detector gives them, and the SHA-256 of what the reference draws of them at 512x512 (OpenCV 4.11).
POINTS = np.array([[200, 220], [300, 222], [250, 280], [212, 330], [291, 331]], np.float32)
GOLDEN = "8df5d326d75223b2830d23af34973873ae982f7a3e03ea8f5c59e8d85d0f082e"
RED_EYE, YELLOW_CORNER = (255, 0, 0), (255, 255, 0)


def reference(
    points: NDArray[np.float32], width: int, height: int, colours: list[tuple[int, ...]]
) -> NDArray[np.uint8]:
    """The reference's steps, one by one, in its own order and types."""
    limbs = np.array([[0, 2], [1, 2], [3, 2], [4, 2]])
    kps = np.array(points)
    out = np.zeros([height, width, 3])
    for index in limbs:
        color = colours[index[0]]
        x, y = kps[index][:, 0], kps[index][:, 1]
        length = ((x[0] - x[1]) ** 2 + (y[0] - y[1]) ** 2) ** 0.5
        angle = math.degrees(math.atan2(y[0] - y[1], x[0] - x[1]))
        polygon: Any = cv2.ellipse2Poly((int(np.mean(x)), int(np.mean(y))), (int(length / 2), 4), int(angle), 0, 360, 1)
        out = cv2.fillConvexPoly(out.copy(), polygon, color)
    out = (out * 0.6).astype(np.uint8)
    for number, (x, y) in enumerate(kps):
        out = cv2.circle(out.copy(), (int(x), int(y)), 10, colours[number], -1)
    return out.astype(np.uint8)


COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)]


def test_the_golden_picture() -> None:
    drawn = draw_points(POINTS, (512, 512))
    assert (drawn.shape, drawn.dtype) == ((512, 512, 3), np.uint8)
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == GOLDEN
    assert tuple(drawn[250, 225]) == (153, 0, 0), "halfway from the eye to the nose"
    assert (drawn == RED_EYE).all(-1).sum() == 317


@pytest.mark.parametrize("seed", range(8))
def test_the_reference_draws_the_same_bytes(seed: int) -> None:
    """Any size and place, also beyond the edges; and each thing that could be wrong shows."""
    source = np.random.default_rng(seed)
    width, height = (int(side) for side in source.integers(64, 900, 2))
    points = (source.random((5, 2)) * (width * 1.4, height * 1.4) - (width * 0.2, height * 0.2)).astype(np.float32)
    drawn = draw_points(points, (width, height))
    assert np.array_equal(drawn, reference(points, width, height, COLOURS))
    assert not np.array_equal(drawn, reference(points[[1, 0, 2, 3, 4]], width, height, COLOURS)), "eyes swapped"
    bgr = [colour[::-1] for colour in COLOURS]
    assert not np.array_equal(drawn, reference(points, width, height, bgr)), "colours turned round"
    assert not np.array_equal(drawn, draw_points(points + 1.5, (width, height))), "moved"


def test_points_far_beyond_any_canvas_draw_nothing() -> None:
    assert not draw_points(np.full((5, 2), 1e12, np.float32), (64, 64)).any()


def placed(box: Box = WHOLE, canvas: tuple[int, int] = (512, 512), view: Box = WHOLE) -> NDArray[np.float32]:
    return KeyPoints(POINTS, (512, 512)).placed(box, canvas, view)


def test_a_photo_of_the_pictures_shape_keeps_its_points() -> None:
    assert np.array_equal(placed(), POINTS)
    assert np.array_equal(placed(canvas=(1024, 1024)), POINTS * 2)


def test_a_photo_of_another_shape_is_put_in_the_middle_and_not_cut() -> None:
    assert np.array_equal(placed(canvas=(1024, 512)), POINTS + np.array([256, 0]))
    assert np.array_equal(placed(canvas=(256, 512)), POINTS / 2 + (0, 128))


def test_each_person_has_the_place_of_a_region() -> None:
    assert np.array_equal(placed(PLACES["left"], (1024, 512)), POINTS)
    assert np.array_equal(placed(PLACES["right"], (1024, 512)), POINTS + np.array([512, 0]))
    assert np.array_equal(placed(Box(0.5, 0.5, 0.75, 1), (1024, 1024)), POINTS / 2 + (512, 640))


def test_a_part_of_the_picture_shows_its_part_of_the_points() -> None:
    """A tile, or an inpainted part, at its own size: pixels of the canvas are drawn, never scaled."""
    view = Box(0.25, 0.25, 0.75, 0.75)
    assert np.array_equal(placed(view=view), POINTS * 2 - 256)
    whole = draw_points(placed(canvas=(1024, 1024)), (1024, 1024))
    assert np.array_equal(draw_points(placed(view=view), (512, 512)), whole[256:768, 256:768])


def test_a_face_without_a_photo_looks_straight_out_of_its_box() -> None:
    points = KeyPoints.frontal().placed(Box(0.5, 0, 1, 1), (1000, 500))
    left, right, nose, *mouth = points
    assert abs(left[1] - right[1]) < 2
    assert left[0] < nose[0] < right[0]
    assert left[1] < nose[1] < min(corner[1] for corner in mouth)
    assert points.mean(0)[0] == pytest.approx(750, abs=2)
    assert (points > (500, 0)).all()
    assert (points < (1000, 500)).all()
