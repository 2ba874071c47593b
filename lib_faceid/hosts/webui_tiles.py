"""Tiled Diffusion's tiles: it hands the UNet parts of the picture, which do not say where they lie."""

from __future__ import annotations

from typing import Any

from modules import shared

from lib_faceid.region import Box
from lib_faceid.unet.tiles import Tiles

__all__ = ["tiles_of"]


def tiles_of(params: Any) -> Tiles:
    """Return how the picture of the coming step of the denoiser is cut; a whole one where nobody is seen to cut it.

    MultiDiffusion stands in for the denoiser's own model, Mixture of Diffusers for the checkpoint's. Both draw their
    batches of tiles in order for each call that they are given, unless it is of another size (a pass of hires fix).
    """
    height, width = canvas = params.x.shape[-2], params.x.shape[-1]
    for model in (params.denoiser.inner_model.forward, shared.sd_model.apply_model):
        cutter = getattr(model, "__self__", None)
        batches = getattr(cutter, "batched_bboxes", None)
        if batches and (getattr(cutter, "h", 0), getattr(cutter, "w", 0)) == canvas:
            return Tiles(canvas, [[_box(tile, height, width) for tile in batch] for batch in batches])
    return Tiles(canvas)


def _box(tile: Any, height: int, width: int) -> Box:
    """Return a tile of Tiled Diffusion, which counts in latents, in fractions of the picture."""
    return Box(tile.x / width, tile.y / height, (tile.x + tile.w) / width, (tile.y + tile.h) / height)
