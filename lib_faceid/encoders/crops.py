"""What an image encoder sees of an image prompt: crops of it, before the encoder's own resizing."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["ImageCrop", "image_crop"]

ImageCrop = Literal["square", "padded", "whole", "face"]

SIZE_PX = 224
FACE_MARGIN = 0.4  # of the box's larger side, on each side: the whole head and its hair


def image_crop(
    image_rgb: NDArray[np.uint8], crop: ImageCrop, face_box: tuple[float, float, float, float] | None = None
) -> NDArray[np.uint8]:
    """Return what an encoder sees of an image (uint8 RGB [H, W, 3]): uint8 RGB [h, w, 3], a square but for "square".

    square: the image as it is, of which encoders take the square in the centre; padded: all of it with black borders;
    whole: all of it squeezed into a square; face: the square around face_box (x0, y0, x1, y1 in pixels) with a margin.
    """
    if crop == "padded":
        return _padded(image_rgb)
    if crop == "whole":
        return np.asarray(Image.fromarray(image_rgb).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))
    if crop == "face" and face_box is not None:
        return _around(image_rgb, face_box)
    return image_rgb


def _padded(image_rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image_rgb.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = image_rgb
    return square


def _around(image_rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """Return the largest square around a box, with a margin where the image has one."""
    height, width = image_rgb.shape[:2]
    side = round(max(box[2] - box[0], box[3] - box[1]) * (1 + 2 * FACE_MARGIN))
    side = max(1, min(side, height, width))
    left, top = (
        min(max(round((low + high - side) / 2), 0), size - side)
        for low, high, size in ((box[0], box[2], width), (box[1], box[3], height))
    )
    return image_rgb[top : top + side, left : left + side]
