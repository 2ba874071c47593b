"""Photos made worse in known steps, and what the steps cost."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter

__all__ = ["STEPS", "degraded", "spearman"]

STEPS: dict[str, tuple[float, ...]] = {
    "resize": (256, 160, 112, 80, 56, 40, 32, 24, 18),  # px of the face
    "blur": (0.01, 0.02, 0.03, 0.045, 0.06, 0.08, 0.1, 0.13),  # standard deviation, as a fraction of the face
    "jpeg": (95, 70, 50, 30, 20, 15, 10, 7, 5),  # quality
    "gamma": (0.1, 0.2, 0.35, 0.6, 1.6, 2.5, 4, 6, 9),  # below 1 brighter, above 1 darker
    "rotate": (15, 30, 45, 90, 135, 180, 270),  # degrees
}


def degraded(image_rgb: np.ndarray, kind: str, step: float, face_px: int) -> np.ndarray:
    """Return the photo after one step; `face_px` is the size of the face in it. Never enlarges."""
    image = Image.fromarray(image_rgb)
    if kind == "resize":
        factor = min(1.0, step / face_px)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        return np.array(image.resize(size, Image.Resampling.BICUBIC))
    if kind == "blur":
        return np.array(image.filter(ImageFilter.GaussianBlur(step * face_px)))
    if kind == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(step))
        return np.array(Image.open(file))
    if kind == "gamma":
        return (255 * (image_rgb / 255.0) ** step + 0.5).astype(np.uint8)
    grey = (128, 128, 128)
    return np.array(image.rotate(step, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=grey))


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the correlation of the ranks; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(np.asarray(x)), _ranks(np.asarray(y)))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[where]
