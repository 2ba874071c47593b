"""Pixels as everything behind `read_photo` knows them: an upright uint8 array [H, W, 3] in RGB order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.arguments import shown
from lib_faceid.errors import PhotoError

__all__ = ["require_rgb"]


def require_rgb(image_rgb: Any) -> NDArray[np.uint8]:
    """Return the array itself. Raises PhotoError unless it is uint8 [H, W, 3] with a pixel at least."""
    found = shown(image_rgb)
    if isinstance(image_rgb, np.ndarray):
        if image_rgb.dtype == np.uint8 and image_rgb.ndim == 3 and image_rgb.shape[2] == 3 and image_rgb.size:
            return image_rgb
        found = f"an array of shape {list(image_rgb.shape)} and type {image_rgb.dtype}"
    raise PhotoError(
        f"image_rgb is {found}; uint8 [height, width, 3] in RGB order was expected, as read_photo(path) gives it."
    )
