"""The pictures that a job's own ControlNets follow, each drawn in the size of the canvas; `effects.effect.HintPicture`.

A picture of another shape than the canvas fills it and is cut off at its sides, as the ControlNet extension does by
default; one of the same shape is scaled as diffusers does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.faces.hints import draw_head, edges_in
from lib_faceid.faces.keypoints import KeyPoints, draw_points
from lib_faceid.units.region import Box

__all__ = ["FacesHint", "PictureHint"]

DRAWN: dict[str, Callable[[NDArray[np.float32], tuple[int, int]], NDArray[np.uint8]]] = {
    "keypoints": draw_points,
    "head": draw_head,
}


@dataclass(frozen=True, eq=False)
class PictureHint:
    """A picture as it is, or the edges in it."""

    pixels: NDArray[np.uint8]
    """RGB [H, W, 3]"""
    has_edges_only: bool = False

    def drawn(self, canvas_px: tuple[int, int], view: Box) -> NDArray[np.uint8]:
        """Return it, uint8 RGB [H, W, 3], of a canvas that shows a part of the whole picture."""
        width = round(canvas_px[0] / (view.right - view.left))
        height = round(canvas_px[1] / (view.bottom - view.top))
        whole = _filling(self.pixels, (width, height))
        if self.has_edges_only:
            whole = edges_in(whole)
        left, top = round(view.left * width), round(view.top * height)
        return whole[top : top + canvas_px[1], left : left + canvas_px[0]]

    def is_cut(self, size_px: tuple[int, int]) -> bool:
        """Say whether a canvas of that width and height shows less than all of it, by more than a pixel."""
        return _is_cut((self.pixels.shape[1], self.pixels.shape[0]), size_px)


@dataclass(frozen=True, eq=False)
class FacesHint:
    """Faces on black, each put where its photo is, or where it was in a picture that fills the canvas."""

    hint: str
    """How they are drawn: a key of DRAWN."""
    faces: Sequence[tuple[KeyPoints, Box | None]]
    """Each with the box of the whole picture that its photo is put into; None: it fills the canvas as a picture."""

    def drawn(self, canvas_px: tuple[int, int], view: Box) -> NDArray[np.uint8]:
        """Return it, uint8 RGB [H, W, 3], of a canvas that shows a part of the whole picture."""
        placed = [
            points.placed(box, canvas_px, view) if box else _filling_points(points, canvas_px, view)
            for points, box in self.faces
        ]
        return np.maximum.reduce([DRAWN[self.hint](one, canvas_px) for one in placed])

    def is_cut(self, size_px: tuple[int, int]) -> bool:
        """Say whether a canvas of that width and height shows less than all of a picture that fills it."""
        return any(box is None and _is_cut(points.size_px, size_px) for points, box in self.faces)


def _is_cut(picture_px: tuple[int, int], size_px: tuple[int, int]) -> bool:
    width, height = picture_px
    scale = max(size_px[0] / width, size_px[1] / height)
    return max(width * scale - size_px[0], height * scale - size_px[1]) > 1


def _filling_points(points: KeyPoints, canvas_px: tuple[int, int], view: Box) -> NDArray[np.float32]:
    """Return where key points are on a canvas that their photo fills, [5, 2] in its pixels."""
    whole = np.array(canvas_px) / (view.right - view.left, view.bottom - view.top)
    photo = np.array(points.size_px)
    scale = (whole / photo).max()
    start = (whole - photo * scale) / 2 - np.array(view[:2]) * whole
    return (points.points * scale + start).astype(np.float32)


def _filling(pixels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a picture that fills that width and height; of what does not fit, its middle."""
    height, width = pixels.shape[:2]
    scale = min(width / size_px[0], height / size_px[1])
    seen_width, seen_height = size_px[0] * scale, size_px[1] * scale
    left, top = (width - seen_width) / 2, (height - seen_height) / 2
    part = left, top, min(left + seen_width, width), min(top + seen_height, height)
    resized = Image.fromarray(pixels).resize(size_px, Image.Resampling.LANCZOS, part)
    return np.array(resized, dtype=np.uint8)
