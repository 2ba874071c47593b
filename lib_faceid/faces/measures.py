"""What can be measured in a photo of a face. Every number has its formula here; what it is worth: `photo_report`.

Most are taken from the aligned face, because that is all the recogniser sees: grey is 0.299 R + 0.587 G + 0.114 B,
and "the face" is rows 20 to 103 and columns 18 to 93 of the aligned crop at 112 px, without hair and background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib_faceid.faces.face import Face
from lib_faceid.faces.geometry import TEMPLATE, Floats, pose_degrees

__all__ = ["Measures", "measure"]

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
FACE_ROWS, FACE_COLUMNS = slice(20, 104), slice(18, 94)
DARK, BRIGHT = 30, 225  # of 255: beyond them little is left to see
EYES, MOUTH = (0, 1), (3, 4)
PATCH_PX = (7, 9)  # half the height and half the width of the patch around an eye, in the crop of 112 px
BLOCK_PX = 8  # JPEG's
MIN_BLOCKY_PX = 24  # a smaller box has too few blocks to tell


@dataclass(frozen=True)
class Measures:
    """One face in numbers."""

    size_px: int
    """The longer side of the detector's box."""
    detector_score: float
    """0.5 to 1; 0 where somebody drew the box."""
    yaw_degrees: float
    """From the five points; 0 is frontal, positive is turned to the picture's right."""
    pitch_degrees: float
    """Positive is looking down."""
    roll_degrees: float
    """-180 to 180; positive is tilted clockwise. Straightening undoes it."""
    sharpness: float
    """Variance of the Laplacian of the face at 56 px, divided by the variance of the face: 0.2 to 0.6 when sharp."""
    contrast: float
    """Standard deviation of the face's grey."""
    dark: float
    """Fraction of the face below 30 of 255."""
    bright: float
    """Fraction of the face above 225 of 255."""
    blockiness: float
    """Jumps across the 8 px grid of JPEG, as a multiple of the jumps elsewhere; 1 is none, 20 is quality 5."""
    eyes_contrast: float
    """Standard deviation around the flatter eye, divided by that of the face."""
    mouth_contrast: float
    """The same around the mouth."""
    flatness: float
    """Fraction of the crop of 224 px whose grey differs by less than 1.5 from both the right and the lower pixel."""
    edges: float
    """The 99th percentile of these differences."""
    certainty: float = 0.0
    """Length of the embedding / that of good photos; 0 where that is not known. What a recogniser cannot read,
    covered, noisy, too bright or too dark, it gives short vectors."""
    least_sharp: float = 1.0
    """Sharpness along the least sharp of four directions, at 56 px: 0.1 to 0.2 when sharp."""
    one_way: float = 1.0
    """That / sharpness along the sharpest: 0.4 to 0.7, also out of focus; below 0.27 where the camera moved."""
    noise: float = 0.0
    """Standard deviation of the grain (Immerkaer 1996) / that of the face: 0.04 in good photos."""


def measure(face: Face, image_rgb: NDArray[np.uint8]) -> Measures:
    """Return the measures of a face and the photo (uint8 RGB [H, W, 3]) that it was found in."""
    fine = face.crop_rgb.astype(np.float32) @ GREY
    crop = _halved(fine)
    grey = crop[FACE_ROWS, FACE_COLUMNS]
    pose = pose_degrees(face.points)
    along = _along(_halved(grey)) / (grey.var() + 4)
    steps = np.maximum(np.abs(np.diff(fine, axis=0))[:, :-1], np.abs(np.diff(fine, axis=1))[:-1])
    return Measures(
        size_px=face.size_px,
        detector_score=face.score,
        yaw_degrees=pose.yaw,
        pitch_degrees=pose.pitch,
        roll_degrees=pose.roll,
        sharpness=float(_laplacian(_halved(grey)).var() / (grey.var() + 4)),  # 4: two levels of noise
        contrast=float(grey.std()),
        dark=float((grey < DARK).mean()),
        bright=float((grey > BRIGHT).mean()),
        blockiness=_blockiness(_box_of(image_rgb, face.box)),
        eyes_contrast=min(_contrast_at(crop, TEMPLATE[eye]) for eye in EYES) / (float(grey.std()) + 1),
        mouth_contrast=_contrast_at(crop, TEMPLATE[MOUTH, :].mean(axis=0)) / (float(grey.std()) + 1),
        flatness=float((steps < 1.5).mean()),
        edges=float(np.percentile(steps, 99)),
        certainty=float(np.linalg.norm(face.id_embedding)) / face.usual_length if face.usual_length else 0.0,
        least_sharp=float(along.min()),
        one_way=float((along.min() + 1e-6) / (along.max() + 1e-6)),
        noise=_grain(grey) / (float(grey.std()) + 1),
    )


def _halved(grey: Floats) -> Floats:
    """Return the means of 2x2 pixels."""
    return grey.reshape(grey.shape[0] // 2, 2, grey.shape[1] // 2, 2).mean(axis=(1, 3))


def _laplacian(grey: Floats) -> Floats:
    return 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]


def _along(grey: Floats) -> Floats:
    """Return the mean squares of second differences [4]: across, down, and along both diagonals.

    Those are halved, since their steps are longer.
    """
    twice = 2 * grey[1:-1, 1:-1]
    pairs = [
        (grey[1:-1, :-2], grey[1:-1, 2:]), (grey[:-2, 1:-1], grey[2:, 1:-1]),
        (grey[:-2, :-2], grey[2:, 2:]), (grey[:-2, 2:], grey[2:, :-2]),
    ]  # fmt: skip
    return np.array([np.square(twice - a - b).mean() for a, b in pairs]) * (1, 1, 0.5, 0.5)


def _grain(grey: Floats) -> float:
    """Return the standard deviation of noise by Immerkaer's estimate, which edges and slopes hardly reach."""
    across = 2 * grey[:, 1:-1] - grey[:, :-2] - grey[:, 2:]
    both = 2 * across[1:-1] - across[:-2] - across[2:]
    return float(np.sqrt(np.pi / 2) * np.abs(both).mean() / 6)


def _contrast_at(crop: Floats, point: Floats) -> float:
    x, y = (round(float(value)) for value in point)
    height, width = PATCH_PX
    return float(crop[y - height : y + height + 1, x - width : x + width + 1].std())


def _box_of(image_rgb: NDArray[np.uint8], box: tuple[float, float, float, float]) -> Floats:
    """Return the grey pixels inside the box, which begin on the photo's 8 px grid."""
    x0, y0, x1, y1 = (max(0, round(edge)) for edge in box)
    x0, y0 = (start // BLOCK_PX * BLOCK_PX for start in (x0, y0))
    return image_rgb[y0:y1, x0:x1].astype(np.float32) @ GREY


def _blockiness(grey: Floats) -> float:
    """Return how much more the grey jumps at one phase of an 8 px grid than at the median phase.

    A jump is a step between two pixels beyond the mean of the steps beside it, so that plain edges do not count.
    Mean of both directions. The grid is looked for at every phase: a photo may have been cut after it was compressed.
    """
    if min(grey.shape) < MIN_BLOCKY_PX:
        return 1.0
    across, down = (float(phases.max() / (np.median(phases) + 0.05)) for phases in (_jumps(grey), _jumps(grey.T)))
    return max(1.0, (across + down) / 2)


def _jumps(grey: Floats) -> Floats:
    steps = np.abs(np.diff(grey, axis=1))
    jumps = np.maximum(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, 0).mean(axis=0)
    return np.array([jumps[phase::BLOCK_PX].mean() for phase in range(BLOCK_PX)])
