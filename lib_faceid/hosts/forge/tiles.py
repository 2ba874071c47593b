"""Forge's MultiDiffusion: the tiles that it hands the UNet, which do not say where they lie."""

from __future__ import annotations

from typing import Any

from lib_faceid.hosts.webui.tiles import tiles_by
from lib_faceid.unet.tiles import Tiles

__all__ = ["tiles_of"]


def tiles_of(patcher: Any, height: int, width: int) -> Tiles:
    """Return how latents of that size are cut in the coming calls; whole ones where nobody is seen to cut them.

    It cuts when the first call of a picture of another size comes: only then is known how.
    """
    cutter = patcher.model_options.get("model_function_wrapper")
    if not hasattr(cutter, "batched_bboxes") or (cutter.h, cutter.w) != (height, width):
        return Tiles((height, width))
    return tiles_by(cutter, height, width)
