"""Any recogniser in an ONNX file as a judge of pictures: its size is read from its input, its pixels are named.

Published ones differ in little more: AdaFace wants BGR of an aligned face (-1 to 1), facenet-pytorch RGB of the
detector's box at 160 px ((pixel - 127.5) / 128). What they give may have any length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import FileError
from lib_faceid.faces.crops import aligned, blob, resized
from lib_faceid.faces.geometry import Floats
from lib_faceid.faces.networks import run

__all__ = ["AnyRecogniser", "JudgePixels"]

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class JudgePixels:
    """How a recogniser takes a face. The defaults are ArcFace's.

    >>> JudgePixels(colours="bgr").name
    '-bgr'
    """

    colours: Literal["rgb", "bgr"] = "rgb"
    mean: float = 127.5
    std: float = 127.5
    crop: Literal["aligned", "box"] = "aligned"
    """The face straightened by its five points, or the detector's box as it is."""
    size_px: int = 0
    """Of a model that takes any size; 0 where its file says it."""

    @property
    def name(self) -> str:
        """What is not usual, to stand behind the model's name: the same file with other pixels is another judge."""
        usual = JudgePixels()
        names = ("colours", "crop", "mean", "std", "size_px")
        return "".join(f"-{getattr(self, one)}" for one in names if getattr(self, one) != getattr(usual, one))


class AnyRecogniser:
    """One ONNX model [n, 3, h, w] or [n, h, w, 3] -> [n, d]."""

    def __init__(self, session: Any, pixels: JudgePixels, name: str) -> None:
        """Raise FileError for a model that takes no pictures, or any size while none is named."""
        self._session, self._pixels, self._name = session, pixels, name
        one = session.get_inputs()[0]
        shape = list(one.shape)
        self._input, self._is_last = one.name, len(shape) == 4 and shape[3] == 3
        sides = shape[1:3] if self._is_last else shape[2:4]
        if len(session.get_inputs()) != 1 or len(shape) != 4 or (not self._is_last and shape[1] not in (3, None)):
            raise FileError(
                f"{name} takes {shape}, and a recogniser takes [n, 3, height, width]. Export it with one input."
            )
        side = pixels.size_px or sides[0]
        if not isinstance(side, int) or any(isinstance(one, int) and one != side for one in sides):
            raise FileError(
                f"{name} takes pictures of {sides[0]}x{sides[1]}, and {pixels.size_px or 'no size'} was named. Name "
                "the size of a square face with --judge-size, such as 112 or 160."
            )
        self.input_size = (side, side)

    def crop(self, image_rgb: Pixels, box: Floats, points: Floats) -> Pixels:
        """Return the face as the model wants to see it, RGB [side, side, 3]."""
        if self._pixels.crop == "aligned":
            return aligned(image_rgb, points, self.input_size[0])
        height, width = image_rgb.shape[:2]
        x0, y0 = (
            int(np.clip(np.floor(edge), 0, size - 1)) for edge, size in zip(box[:2], (width, height), strict=True)
        )
        x1, y1 = (int(np.clip(np.ceil(edge), 1, size)) for edge, size in zip(box[2:4], (width, height), strict=True))
        part = image_rgb[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
        return resized(part, self.input_size, is_mean=min(part.shape[:2]) > self.input_size[0])

    def get_feat(self, imgs: Pixels) -> NDArray[np.float32]:
        """Return the embedding [1, d] of a BGR crop, not normalised. Raises FileError where it is no vector."""
        own = imgs if self._pixels.colours == "rgb" else imgs[:, :, ::-1]  # `blob` turns the colours round
        made = blob(np.ascontiguousarray(own), self._pixels.mean, self._pixels.std)
        given = run(self._session, {self._input: made.transpose(0, 2, 3, 1) if self._is_last else made})[0]
        found = np.asarray(given, np.float32).reshape(1, -1)
        if found.shape[1] < 2 or not np.isfinite(found).all() or not found.any():
            raise FileError(f"{self._name} gave {list(given.shape)} for a face; finite numbers were expected.")
        return found
