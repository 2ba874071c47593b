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
    "motion across": (0.05, 0.09, 0.14, 0.2),  # length of the move, as a fraction of the face
    "motion down": (0.05, 0.09, 0.14, 0.2),
    "motion aslant": (0.05, 0.09, 0.14, 0.2),
    "noise": (8, 16, 28, 42, 60, 85),  # standard deviation, of 255
}
MOVES = {"motion across": (1.0, 0.0), "motion down": (0.0, 1.0), "motion aslant": (0.7071, 0.7071)}


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
    if kind in MOVES:
        return _moved(image, np.array(MOVES[kind]) * step * face_px)
    if kind in ("gamma", "noise"):
        noisy = image_rgb + np.random.default_rng(0).normal(0, step, image_rgb.shape)
        changed = noisy if kind == "noise" else 255 * (image_rgb / 255.0) ** step + 0.5
        return changed.clip(0, 255).astype(np.uint8)
    grey = (128, 128, 128)
    return np.array(image.rotate(step, expand=True, resample=Image.Resampling.BICUBIC, fillcolor=grey))


def _moved(image: Image.Image, way_px: np.ndarray) -> np.ndarray:
    """Return the mean of the photo at all places on that way."""
    places = np.linspace(-0.5, 0.5, 2 * max(2, round(float(np.abs(way_px).max()))) + 1)
    total = np.zeros((image.height, image.width, 3), np.float32)
    for x, y in places[:, None] * way_px:
        placed = image.transform(image.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BILINEAR)
        total += np.asarray(placed, np.float32)
    return (total / len(places) + 0.5).astype(np.uint8)


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return the correlation of the ranks; equal values share their mean rank."""
    return float(np.corrcoef(_ranks(np.asarray(x)), _ranks(np.asarray(y)))[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return ((ends - counts + ends - 1) / 2)[where]
