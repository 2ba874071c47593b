"""A detector (SCRFD) and a recogniser (ArcFace) on onnxruntime alone: boxes, five points, and 512 numbers.

The formulas are those of insightface 2.1 (github.com/deepinsight/insightface, `model_zoo/scrfd.py` and
`arcface_onnx.py`, MIT), whose results these give (tested). It is not needed itself, nor is `onnx`, which it imports:
versions below 1.18 have open advisories, and the WebUI's protobuf allows no newer one. Pixels are BGR here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import FileError
from lib_faceid.faces.crops import aligned, blob, resized

__all__ = ["ArcFace", "Scrfd", "is_mxnet", "run"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

LEVELS = {9: (3, 2), 15: (5, 1)}  # outputs -> feature maps (strides 8, 16, ...), anchors at each place
OVERLAP = 0.4  # of two boxes that are taken for one face


class Scrfd:
    """A detector with five points for each face."""

    def __init__(self, session: Any, least_score: float) -> None:
        """Raise ValueError for a model that is not of this kind."""
        self.session, self._least_score = session, least_score
        outputs = session.get_outputs()
        if len(outputs) not in LEVELS:
            raise ValueError(f"{len(outputs)} outputs, 9 or 15 were expected")
        self._levels, self._anchors = LEVELS[len(outputs)]
        self._is_batched = len(outputs[0].shape) == 3
        one = session.get_inputs()[0]
        self._input = one.name
        sides = one.shape[2:4] if len(one.shape) == 4 else ()
        self._size = (int(sides[1]), int(sides[0])) if sides and all(isinstance(side, int) for side in sides) else None

    def detect(self, img: Pixels, input_size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Return boxes and scores [n, 5] (left, top, right, bottom, score) and points [n, 5, 2], best first, in pixels.

        img: uint8 BGR [H, W, 3], which is shrunk into (width, height); a model for one size takes that one.
        Raises FileError where the model does not run, or what it gives does not fit together.
        """
        size = self._size or input_size
        canvas, scale = _fitted(img, *size)
        outputs = run(self.session, {self._input: blob(canvas, 127.5, 128.0)})
        found = [self._decoded(outputs[level :: self._levels], 8 << level, size) for level in range(self._levels)]
        scores, boxes, points = (np.concatenate(parts) for parts in zip(*found, strict=True))
        order = np.argsort(-scores, kind="stable")
        rows = np.column_stack([boxes / scale, scores]).astype(np.float32)[order]
        keep = _distinct(rows)
        return rows[keep], (points / scale).astype(np.float32)[order][keep]

    def _decoded(self, outputs: Sequence[Floats], stride: int, size: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
        """Return scores [n], boxes [n, 4] and points [n, 5, 2] of the faces at one stride, in the canvas' pixels.

        outputs: scores, distances to the edges, and distances to the points, of each anchor, in strides.
        """
        scores, sides, away = (one[0] for one in outputs) if self._is_batched else outputs
        x, y = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        places: Floats = np.column_stack([x.ravel(), y.ravel()]).astype(np.float32) * np.float32(stride)
        places = np.repeat(places, self._anchors, axis=0)
        if scores.size != len(places) or sides.shape != (len(places), 4) or away.shape != (len(places), 10):
            raise FileError(
                f"The detector gave {scores.size} scores, {list(sides.shape)} boxes and {list(away.shape)} points for "
                f"a picture of {size[0]}x{size[1]} at stride {stride}; {len(places)} of each were expected. Use a "
                "detector with five points, such as det_10g.onnx of buffalo_l."
            )
        likely = np.flatnonzero(scores.ravel() >= self._least_score)
        at = places[likely]
        edges = sides[likely].astype(np.float32) * np.float32(stride)
        boxes: Floats = np.concatenate([at - edges[:, :2], at + edges[:, 2:]], axis=1)
        points = (away[likely].astype(np.float32) * np.float32(stride)).reshape(-1, 5, 2) + at[:, None]
        return scores.ravel()[likely].astype(np.float32), boxes, points


class ArcFace:
    """A recogniser: a straightened face becomes 512 numbers."""

    def __init__(self, session: Any, *, is_mxnet: bool = False) -> None:
        one = session.get_inputs()[0]
        self._session, self._input = session, one.name
        self.input_size = tuple(one.shape[2:4][::-1])
        self.output_shape = session.get_outputs()[0].shape
        self._mean, self._std = (0.0, 1.0) if is_mxnet else (127.5, 127.5)

    def crop(self, image_rgb: Pixels, _box: Any, points: Any) -> Pixels:
        """Return the straightened face, RGB [112, 112, 3]."""
        return aligned(image_rgb, points, self.input_size[0])

    def get_feat(self, imgs: Pixels) -> Floats:
        """Return the embedding [1, 512] of an aligned face, uint8 BGR [112, 112, 3]; not normalised."""
        return np.asarray(run(self._session, {self._input: blob(imgs, self._mean, self._std)})[0], np.float32)


def is_mxnet(first_nodes: Sequence[str]) -> bool:
    """Return whether a recogniser's first eight nodes shift and scale the pixels themselves, as those of mxnet do."""
    return any(name.startswith(("Sub", "_minus")) for name in first_nodes) and any(
        name.startswith(("Mul", "_mul")) for name in first_nodes
    )


def run(session: Any, inputs: dict[str, Floats]) -> list[Floats]:
    """Return a model's outputs. Raises FileError where it cannot take what is given."""
    try:
        return [np.asarray(one) for one in session.run(None, inputs)]
    except Exception as error:  # onnxruntime has an exception type for every kind of failure
        shapes = ", ".join(str(list(one.shape)) for one in inputs.values())
        raise FileError(
            f"A face model could not run on an input of {shapes}: {error}. Use the files of a face model pack such as "
            "buffalo_l."
        ) from error


def _fitted(img: Pixels, width: int, height: int) -> tuple[Pixels, float]:
    """Return the picture shrunk into the top left corner of a black canvas, and by how much."""
    ratio = img.shape[0] / img.shape[1]
    is_tall = ratio > height / width
    new_width, new_height = (int(height / ratio), height) if is_tall else (width, int(width * ratio))
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[:new_height, :new_width] = resized(img, (new_width, new_height))
    return canvas, new_height / img.shape[0]


def _distinct(rows: Floats) -> list[int]:
    """Return the indices of boxes [n, 5], best first, without those that lie over a better one."""
    x0, y0, x1, y1, _ = rows.T
    areas = (x1 - x0 + 1) * (y1 - y0 + 1)
    left, keep = np.arange(len(rows)), []
    while left.size:
        best, others = int(left[0]), left[1:]
        keep.append(best)
        across = np.minimum(x1[best], x1[others]) - np.maximum(x0[best], x0[others]) + 1
        down = np.minimum(y1[best], y1[others]) - np.maximum(y0[best], y0[others]) + 1
        shared = np.maximum(across, 0) * np.maximum(down, 0)
        left = others[shared / (areas[best] + areas[others] - shared) <= OVERLAP]
    return keep
