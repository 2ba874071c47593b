"""Forge's MultiDiffusion: the tiles that it hands the UNet, which do not say where they lie."""

from __future__ import annotations

from typing import Any

from lib_faceid.unet.tiles import Tiles
from lib_faceid.units.region import Box

__all__ = ["tiles_of"]


def tiles_of(patcher: Any, height: int, width: int) -> Tiles:
    """Return how latents of that size are cut in the coming calls; whole ones where nobody is seen to cut them.

    It cuts when the first call of a picture of another size comes: only then is known how.
    """
    cutter = patcher.model_options.get("model_function_wrapper")
    batches = getattr(cutter, "batched_bboxes", None)
    if batches is None or (cutter.h, cutter.w) != (height, width):
        return Tiles((height, width))
    return Tiles((height, width), [[_box(tile, height, width) for tile in batch] for batch in batches])


def _box(tile: Any, height: int, width: int) -> Box:
    return Box.from_px((tile.x, tile.y, tile.x + tile.w, tile.y + tile.h), width, height)
