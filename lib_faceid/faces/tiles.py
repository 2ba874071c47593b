"""Where a large photo is looked at piece by piece, so that a small face in it is large enough for the detector.

Numbers only. The bound: a photo of 100 megapixels takes at most MAX_TILES pieces in each of four rotations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MAX_TILES", "MIN_FACE_PX", "Tile", "is_large", "tiles_of"]

MIN_FACE_PX = 40
"""A face of this size is found wherever it lies."""
# SCRFD-500M finds 33 of 33 faces of 28 px at a score of 0.5 or more, 32 of 33 of 22 px, 28 of 33 of 20 px.
SEEN_PX = 28
FINEST = SEEN_PX / MIN_FACE_PX  # the scale at which the pixels of the photo are looked at
COARSER = 4  # between two levels; a face that is cut by the tiles of one is whole in the next
TILE_PX = 1280
OVERLAP_PX = SEEN_PX * COARSER + 48  # the largest face of a level, with a little around it
STEP_PX = 32  # the detector's coarsest cells
WHOLE_PX = 640  # what the whole photo is fitted into
MAX_TILES = 75


@dataclass(frozen=True)
class Tile:
    """A piece of the photo, and how large it is shown."""

    left: int
    top: int
    right: int
    bottom: int
    scale: float

    @property
    def size_px(self) -> int:
        """The side of the square that the detector sees; a multiple of 32."""
        longer = max(self.right - self.left, self.bottom - self.top) * self.scale
        return math.ceil(longer / STEP_PX - 1e-6) * STEP_PX


def is_large(size_px: tuple[int, int]) -> bool:
    """Return whether a face of 40 px may be missed where the whole photo of that width and height is looked at."""
    return max(size_px) * SEEN_PX > WHOLE_PX * MIN_FACE_PX * 1.15


def tiles_of(size_px: tuple[int, int]) -> Iterator[Tile]:
    """Give the tiles of a photo, the coarsest first: each face from 40 px on is whole and large enough in one."""
    whole = WHOLE_PX / max(size_px)
    scales: list[float] = []
    scale = FINEST
    while scale > whole * 1.15:
        scales.append(scale)
        scale /= COARSER
    for scale in reversed(scales):
        columns, rows = (_cuts(side, scale) for side in size_px)
        for top, bottom in rows:
            yield from (Tile(left, top, right, bottom, scale) for left, right in columns)


def _cuts(side_px: int, scale: float) -> list[tuple[int, int]]:
    """Return where the tiles of one direction begin and end, in pixels of the photo; neighbours overlap."""
    tile, overlap = TILE_PX / scale, OVERLAP_PX / scale
    number = max(1, math.ceil((side_px - overlap) / (tile - overlap)))
    length = math.ceil((side_px + (number - 1) * overlap) / number)
    starts = [round(i * (side_px - length) / max(number - 1, 1)) for i in range(number)]
    return [(start, min(start + length, side_px)) for start in starts]
