"""MultiDiffusion and its kin, in whichever WebUI: the tiles that they cut pictures into."""

from __future__ import annotations

from typing import Any

from lib_faceid.unet.tiles import Tiles
from lib_faceid.units.region import Box

__all__ = ["tiles_by"]


def tiles_by(cutter: Any, height: int, width: int) -> Tiles:
    """Return the tiles of whoever cuts latents of that size, and the boxes of region control, where it has some."""

    def box(tile: Any) -> Box:  # it counts in latents; a box is in fractions of the picture
        return Box.from_px((tile.x, tile.y, tile.x + tile.w, tile.y + tile.h), width, height)

    batches = [[box(tile) for tile in batch] for batch in cutter.batched_bboxes]
    return Tiles((height, width), batches, [box(one) for one in getattr(cutter, "custom_bboxes", ())])
