"""How a picture looks, in four numbers: smooth, contrasted, clipped, saturated.

They are taken where the face is, since skin has bounds that hold for every picture; the same numbers of the picture
that the same settings give without the person (weight 0) tell more, where it is known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.arguments import as_number
from lib_faceid.pictures.pixels import require_rgb

__all__ = ["Look", "look_at"]

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
BLACK, WHITE = 4, 251  # of 255: at the end of the scale
LEAST_PX = 16
CENTRE = (0.25, 0.15, 0.75, 0.85)
"""What is looked at where no face is known."""
SIDE_PX = 96
"""The longer side to which a part is brought before its detail is measured, so that sizes compare."""
NOISE = 4.0  # two levels


@dataclass(frozen=True)
class Look:
    """The face of a picture in numbers, or its middle where there is no face."""

    detail: float
    """Variance of the Laplacian at 96 px / variance of the grey: skin in photographs has 0.02 to 0.3, wax less."""
    contrast: float
    """Standard deviation of the grey, 0 to 127."""
    clipped: float
    """Fraction of pixels in which a channel is at the end of its scale, 0 or 255 nearly."""
    saturation: float
    """Mean of the difference between the highest and the lowest channel, 0 to 1."""

    def as_dict(self) -> dict[str, float]:
        """Return it as plain values, for JSON."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Look:
        """Return what `as_dict` gave. Raises UnitError."""
        return cls(**{one.name: as_number(values.get(one.name), f"look.{one.name}", 0, 1e6) for one in fields(cls)})


def look_at(image_rgb: NDArray[np.uint8], box: Sequence[float] | None = None) -> Look:
    """Return how a picture (uint8 RGB [H, W, 3]) looks in a box (x0, y0, x1, y1 in fractions), or in its middle."""
    require_rgb(image_rgb)
    height, width = image_rgb.shape[:2]
    x0, y0, x1, y1 = (min(max(float(edge), 0.0), 1.0) for edge in (box or CENTRE))
    columns, rows = _span(x0, x1, width), _span(y0, y1, height)
    part = image_rgb[rows, columns].astype(np.float32)
    grey = part @ GREY
    lowest, highest = part.min(axis=2), part.max(axis=2)
    return Look(
        detail=_detail(grey),
        contrast=float(grey.std()),
        clipped=float(((lowest <= BLACK) | (highest >= WHITE)).mean()),
        saturation=float((highest - lowest).mean() / 255),
    )


def _span(first: float, last: float, size: int) -> slice:
    """Return the pixels from one fraction to another: at least 16, where there are so many."""
    start, end = round(first * size), round(last * size)
    lacking = max(LEAST_PX - (end - start), 0)
    start = max(min(start - lacking // 2, size - LEAST_PX), 0)
    return slice(start, max(end, start + LEAST_PX))


def _detail(grey: NDArray[np.float32]) -> float:
    factor = max(max(grey.shape) // SIDE_PX, 1)
    height, width = (edge // factor * factor for edge in grey.shape)
    small = grey[:height, :width].reshape(height // factor, factor, width // factor, factor).mean(axis=(1, 3))
    inner = small[1:-1, 1:-1]
    laplacian = 4 * inner - small[:-2, 1:-1] - small[2:, 1:-1] - small[1:-1, :-2] - small[1:-1, 2:]
    return float(laplacian.var() / (small.var() + NOISE)) if inner.size else 0.0
