"""How one photo is shown to the detector: whole, in tiles, or what is around one face.

What is seen comes back in pixels of the photo, whatever was shown.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.crops import MAX_WARP_PX, resized, warped
from lib_faceid.faces.geometry import Floats, View, inverse
from lib_faceid.faces.search import Sighting
from lib_faceid.faces.tiles import STEP_PX, Tile

__all__ = ["Detect", "Looks"]

Detect = Callable[[NDArray[np.uint8], tuple[int, int]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""A detector: BGR picture and the size it is shown in -> faces [n, 5] (x0, y0, x1, y1, score), points [n, 5, 2]."""

# Around a face: the side of what is shown, in sides of its box, and how large the box then is.
AROUND, AROUND_FACE_PX = 3.4, 112
LARGEST_SCALE = 1.5  # enlarging shows nothing new, and blurs


class Looks:
    """One photo (uint8 RGB [H, W, 3]) and a detector."""

    def __init__(self, image_rgb: NDArray[np.uint8], detect: Detect) -> None:
        self._image_rgb = image_rgb
        self._detect = detect
        # Seen whole, a photo that is too long to be warped loses nothing by being smaller.
        self._smaller = -(-max(image_rgb.shape[:2]) // MAX_WARP_PX)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width, height of the photo."""
        return self._image_rgb.shape[1], self._image_rgb.shape[0]

    def view(self, view: View, quarter_turns: int) -> Sighting:
        """Return what is seen of the whole photo, turned anticlockwise."""
        if min(self.size_px) * view.size_px < max(self.size_px):
            return Sighting.nothing()  # less than a pixel would be left of the shorter side
        if not view.border and not quarter_turns:
            return self._upright(self._image_rgb, view.size_px, is_mean=False)
        image_rgb, factor = self._image_rgb, self._smaller
        if factor > 1:
            width_px, height_px = (max(1, side // factor) for side in self.size_px)
            image_rgb = resized(image_rgb, (width_px, height_px), is_mean=True)
        matrix = view.matrix(image_rgb.shape[1], image_rgb.shape[0], quarter_turns)
        canvas = warped(image_rgb, matrix, view.size_px, is_edge_repeated=True)
        return self._seen(canvas).mapped(factor * inverse(matrix))

    def tile(self, tile: Tile, quarter_turns: int) -> Sighting:
        """Return what is seen in a tile, turned anticlockwise. Who is cut by an inner edge is left to its neighbour."""
        return self._piece((tile.left, tile.top, tile.right, tile.bottom), tile.size_px, quarter_turns, is_inner=True)

    def around(self, box: Floats, quarter_turns: int) -> Sighting:
        """Return what is seen around a box in pixels of the photo, turned anticlockwise."""
        centre, side = (box[:2] + box[2:]) / 2, AROUND * float(max(box[2] - box[0], box[3] - box[1]))
        left, top = (int(max(0, edge)) for edge in centre - side / 2)
        right, bottom = (int(min(edge, limit)) for edge, limit in zip(centre + side / 2, self.size_px, strict=True))
        scale = min(AROUND * AROUND_FACE_PX / max(side, 1), LARGEST_SCALE)
        longer = max(right - left, bottom - top)
        if min(right - left, bottom - top) < 1:
            return Sighting.nothing()
        size_px = max(STEP_PX, int(np.ceil(longer * scale / STEP_PX)) * STEP_PX)
        return self._piece((left, top, right, bottom), size_px, quarter_turns, is_inner=False)

    def _piece(self, edges: tuple[int, int, int, int], size_px: int, quarter_turns: int, *, is_inner: bool) -> Sighting:
        left, top, right, bottom = edges
        piece = self._image_rgb[top:bottom, left:right]
        turned = np.rot90(piece, quarter_turns)
        seen = self._upright(turned, size_px, is_mean=True)
        seen = seen.turned_back(quarter_turns, (right - left, bottom - top)).shifted(left, top)
        return seen.inside(edges, self.size_px) if is_inner else seen

    def _upright(self, image_rgb: NDArray[np.uint8], size_px: int, *, is_mean: bool) -> Sighting:
        """Return what is seen in a picture that is fitted into a square, at its upper left, as insightface does it."""
        height_px, width_px = image_rgb.shape[:2]
        if height_px > width_px:
            size = (max(1, int(size_px / (height_px / width_px))), size_px)
        else:
            size = (size_px, max(1, int(size_px * (height_px / width_px))))
        canvas = np.zeros((size_px, size_px, 3), np.uint8)
        is_smaller = is_mean and size[0] < image_rgb.shape[1]
        canvas[: size[1], : size[0]] = resized(image_rgb, size, is_mean=is_smaller)
        seen = self._seen(canvas)
        scale = size[1] / height_px  # divided by, in float32: another rounding would be another crop
        return Sighting(seen.boxes / scale, seen.points / scale, seen.scores)

    def _seen(self, canvas_rgb: NDArray[np.uint8]) -> Sighting:
        size_px = canvas_rgb.shape[0]
        found, points = self._detect(np.ascontiguousarray(canvas_rgb[:, :, ::-1]), (size_px, size_px))
        return Sighting(found[:, :4], points, found[:, 4])
