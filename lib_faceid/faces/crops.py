"""The pixels of a face that the networks see: straightened crops of a photo."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.geometry import Floats, alignment, inverse, moved

__all__ = ["CLIP_CROP_PX", "MAX_WARP_PX", "ClipSees", "aligned", "blob", "clip_crop", "resized", "warped"]

ClipSees = Literal["face", "head", "whole"]
"""What CLIP is shown: the aligned face as in training, 1.6 times as much (hair too), or the whole photo squeezed
into a square, which is what sd-webui-controlnet does."""

CLIP_CROP_PX = 224
MAX_WARP_PX = 32_000
"""The longest side that OpenCV warps is a little longer."""
HEAD_SCALE = 1.6


def clip_crop(image_rgb: NDArray[np.uint8], points: Floats, sees: ClipSees = "face") -> NDArray[np.uint8]:
    """Return what CLIP is shown of a photo (uint8 RGB [H, W, 3]) with five points of a face: [224, 224, 3]."""
    if sees == "whole":
        import cv2

        return np.asarray(cv2.resize(image_rgb, (CLIP_CROP_PX, CLIP_CROP_PX)), dtype=np.uint8)
    matrix = alignment(points, CLIP_CROP_PX)
    if sees == "head":
        centre = (CLIP_CROP_PX - 1) / 2
        matrix = matrix / HEAD_SCALE
        matrix[:, 2] += centre - centre / HEAD_SCALE
    return warped(image_rgb, matrix, CLIP_CROP_PX)


def aligned(image: NDArray[np.uint8], points: Floats, size_px: int) -> NDArray[np.uint8]:
    """Return the straightened face [size_px, size_px, 3] in the photo's colour order, as insightface's `norm_crop`."""
    return warped(image, alignment(points, size_px), size_px)


def warped(
    image: NDArray[np.uint8], matrix: Floats, size_px: int, *, is_edge_repeated: bool = False
) -> NDArray[np.uint8]:
    """Return a square [size_px, size_px, 3] of a picture after a map, with its edge or black around it."""
    import cv2

    if max(image.shape[:2]) > MAX_WARP_PX:
        image, matrix = _needed(image, matrix, size_px)
    border = cv2.BORDER_REPLICATE if is_edge_repeated else cv2.BORDER_CONSTANT
    return np.asarray(cv2.warpAffine(image, matrix, (size_px, size_px), borderMode=border), dtype=np.uint8)


def resized(image: NDArray[np.uint8], size_px: tuple[int, int], *, is_mean: bool = False) -> NDArray[np.uint8]:
    """Return a picture in another width and height: the mean of what becomes one pixel, or as insightface does it."""
    import cv2

    how = cv2.INTER_AREA if is_mean else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, size_px, interpolation=how), dtype=np.uint8)


def blob(image_bgr: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float32]:
    """Return pixels as face networks take them: float32 RGB [1, 3, H, W], shifted and scaled."""
    import cv2

    size = (image_bgr.shape[1], image_bgr.shape[0])
    made = cv2.dnn.blobFromImages([image_bgr], 1.0 / std, size, (mean, mean, mean), swapRB=True)
    return np.asarray(made, dtype=np.float32)


def _needed(image: NDArray[np.uint8], matrix: Floats, size_px: int) -> tuple[NDArray[np.uint8], Floats]:
    """Return the part of a picture that a square after a map shows, and the map from there."""
    corners = moved(np.array([[0, 0], [0, size_px], [size_px, 0], [size_px, size_px]]), inverse(matrix))
    sides = np.array([image.shape[1], image.shape[0]])
    start = np.clip(np.floor(corners.min(axis=0)) - 2, 0, sides - 1).astype(int)
    end = np.clip(np.ceil(corners.max(axis=0)) + 2, start + 1, np.minimum(sides, start + MAX_WARP_PX)).astype(int)
    part = matrix.copy()
    part[:, 2] += matrix[:, :2] @ start
    return image[start[1] : end[1], start[0] : end[0]], part
