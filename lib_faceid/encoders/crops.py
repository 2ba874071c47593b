"""What an encoder is shown of a reference image: four ways to make a square of it, each without any state.

All take uint8 RGB [H, W, 3] and give uint8 RGB [size_px, size_px, 3], resized once, bicubically, as CLIP's own
preprocessing does. What they give goes through that preprocessing unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lib_faceid.arguments import one_of
from lib_faceid.errors import NoFaceError
from lib_faceid.pictures.pixels import require_rgb

__all__ = ["CROPS", "CROP_PX", "Crop", "around_face", "crop", "padded", "square", "whole"]

Pixels: TypeAlias = NDArray[np.uint8]
Edges: TypeAlias = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels; may reach beyond the picture

Crop = Literal["square", "padded", "whole", "face"]
"""The centre square, the picture between black bars, the picture squeezed into a square, or the largest face."""
CROPS: tuple[str, ...] = get_args(Crop)
CROP_PX = 224
FACE_SCALE = 1.6  # of the box that a detector gives, which ends at the forehead: with hair and neck
LONGEST = 8  # times the shorter side: what a centre square is cut out of


def crop(image_rgb: Pixels, how: Crop, faces: Sequence[Edges] = (), size_px: int = CROP_PX) -> Pixels:
    """Return what an encoder is shown. faces: the boxes of the faces in the picture, which `face` alone looks at.

    Raises NoFaceError for `face` without any, UnitError for another word, PhotoError for pixels of another kind.
    """
    one_of(how, "crop", CROPS)
    if how == "face":
        return around_face(image_rgb, faces, size_px)
    return {"square": square, "padded": padded, "whole": whole}[how](image_rgb, size_px)


def square(image_rgb: Pixels, size_px: int = CROP_PX) -> Pixels:
    """Return the centre square: the shorter side resized, then the middle cut out, as CLIPImageProcessor does."""
    image_rgb = _without_far_ends(require_rgb(image_rgb))
    height_px, width_px = image_rgb.shape[:2]
    shorter = min(height_px, width_px)
    width_px, height_px = size_px * width_px // shorter, size_px * height_px // shorter
    left, top = (width_px - size_px) // 2, (height_px - size_px) // 2
    return _resized(image_rgb, width_px, height_px)[top : top + size_px, left : left + size_px].copy()


def padded(image_rgb: Pixels, size_px: int = CROP_PX) -> Pixels:
    """Return the whole picture in the middle of a black square, its proportions kept."""
    height_px, width_px = require_rgb(image_rgb).shape[:2]
    scale = size_px / max(height_px, width_px)
    width_px, height_px = max(1, round(width_px * scale)), max(1, round(height_px * scale))
    left, top = (size_px - width_px) // 2, (size_px - height_px) // 2
    made = np.zeros((size_px, size_px, 3), np.uint8)
    made[top : top + height_px, left : left + width_px] = _resized(image_rgb, width_px, height_px)
    return made


def whole(image_rgb: Pixels, size_px: int = CROP_PX) -> Pixels:
    """Return the whole picture squeezed into a square, its proportions lost."""
    return _resized(require_rgb(image_rgb), size_px, size_px)


def around_face(image_rgb: Pixels, faces: Sequence[Edges], size_px: int = CROP_PX) -> Pixels:
    """Return a square around the largest face, with hair and neck; moved, then made smaller, to stay in the picture.

    Raises NoFaceError without any face.
    """
    height_px, width_px = require_rgb(image_rgb).shape[:2]
    if not faces:
        raise NoFaceError("The crop is 'face', and no face was found in this image. Use 'square', 'padded' or 'whole'.")
    x0, y0, x1, y1 = max(faces, key=_area)
    side = max(1, min(round(FACE_SCALE * max(x1 - x0, y1 - y0)), width_px, height_px))
    left = min(max(0, round((x0 + x1 - side) / 2)), width_px - side)
    top = min(max(0, round((y0 + y1 - side) / 2)), height_px - side)
    return _resized(image_rgb[top : top + side, left : left + side], size_px, size_px)


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])


def _without_far_ends(image_rgb: Pixels) -> Pixels:
    """Return the middle of a very long picture: resized as a whole, a line of 1 by 60,000 px would fill gigabytes."""
    height_px, width_px = image_rgb.shape[:2]
    longest = LONGEST * min(height_px, width_px)
    left, top = max(0, width_px - longest) // 2, max(0, height_px - longest) // 2
    return image_rgb[top : top + longest, left : left + longest]


def _resized(image_rgb: Pixels, width_px: int, height_px: int) -> Pixels:
    image = Image.fromarray(np.ascontiguousarray(image_rgb))
    return np.array(image.resize((width_px, height_px), Image.Resampling.BICUBIC))
