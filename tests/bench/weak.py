"""References that are made weak in ways that no filter of a whole photo can: the head turned, a part of it covered.

The strangers' photos are flat, so a turned head is their face laid around a cylinder and looked at from aside.
"""

from __future__ import annotations

import numpy as np

from bench.degrade import degraded

__all__ = ["WEAK", "covered", "turned", "weakened"]

REACH = 0.72  # half the width of the head, in widths of the detector's box
WALL_PX = 6  # of the photo's corners, from which the wall behind the head is taken
CLOTH = np.array((52, 60, 84), np.uint8)
WEAK = (
    ("resize", 18), ("turn", 50), ("cover", "half"), ("blur", 0.06), ("turn", -58), ("cover", "mouth"), ("resize", 15),
    ("gamma", 7.0), ("cover", "half"), ("turn", 62), ("blur", 0.07), ("cover", "eyes"), ("turn", -66),
)  # fmt: skip
"""A kind and how much of it: those of `degraded`, and "turn" by degrees, "cover" of a part."""


def weakened(image_rgb: np.ndarray, kind: str, how: float | str, box: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the photo made weak; box [4] and points [5, 2] are those of the face in it."""
    if kind == "turn":
        return turned(image_rgb, box, float(how))
    if kind == "cover":
        return covered(image_rgb, points, str(how))
    return degraded(image_rgb, kind, float(how), round(float(max(box[2] - box[0], box[3] - box[1]))))


def turned(image_rgb: np.ndarray, box: np.ndarray, degrees: float) -> np.ndarray:
    """Return the photo with the head turned to the picture's right (negative: left)."""
    middle, radius = (box[0] + box[2]) / 2, REACH * (box[2] - box[0])
    across = (np.arange(image_rgb.shape[1]) - middle) / radius
    seen = np.arcsin(across.clip(-1, 1)) - np.radians(degrees)
    is_face = (np.abs(across) < 1) & (np.abs(seen) < np.pi / 2)
    source = np.clip(middle + radius * np.sin(seen), 0, image_rgb.shape[1] - 1.001)
    first, share = source.astype(int), (source % 1)[None, :, None]
    face = image_rgb[:, first] * (1 - share) + image_rgb[:, first + 1] * share
    corners = np.concatenate([image_rgb[:WALL_PX, :WALL_PX], image_rgb[:WALL_PX, -WALL_PX:]]).reshape(-1, 3)
    wall = np.broadcast_to(corners.mean(0).astype(np.uint8), image_rgb.shape)
    return np.where(is_face[None, :, None], face, wall).round().astype(np.uint8)


def covered(image_rgb: np.ndarray, points: np.ndarray, part: str) -> np.ndarray:
    """Return the photo with a cloth over the eyes, the mouth with the nose's tip, or one half of the face."""
    left, right, nose, *mouth = points
    apart = float(np.linalg.norm(right - left))
    y, x = np.mgrid[: image_rgb.shape[0], : image_rgb.shape[1]]
    eyes, lips = (left[1] + right[1]) / 2, (mouth[0][1] + mouth[1][1]) / 2
    hidden = {
        "eyes": (abs(y - eyes) < 0.26 * apart) & (abs(x - nose[0]) < 1.1 * apart),
        "mouth": (y > nose[1] - 0.1 * apart) & (y < lips + 0.8 * apart) & (abs(x - nose[0]) < 1.1 * apart),
        "half": (x > nose[0]) & (x < nose[0] + 1.4 * apart),
    }
    return np.where(hidden[part][..., None], CLOTH, image_rgb).astype(np.uint8)
