"""Tiled Diffusion: the tiles and boxes that it hands the UNet, which do not say where they lie nor whose they are."""

from __future__ import annotations

import copy
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from modules import shared

from lib_faceid.hosts.webui.conds import context_of, with_context
from lib_faceid.hosts.webui.tiles import tiles_by
from lib_faceid.unet.rows import tag_rows
from lib_faceid.unet.tiles import Tiles

__all__ = ["tagged_boxes", "tiles_of"]


def tiles_of(params: Any) -> Tiles:
    """Return how the picture of the coming step of the denoiser is cut; a whole one where nobody is seen to cut it.

    Tiled Diffusion draws its batches of tiles in order for each call that it is given, and then the boxes of its region
    control, unless the picture is of another size (a pass of hires fix).
    """
    size = params.x.shape[-2], params.x.shape[-1]
    return Tiles(size) if (cutter := _cutter(params)) is None else tiles_by(cutter, *size)


@contextmanager
def tagged_boxes(params: Any) -> Generator[list[int]]:
    """Have the prompts of region control's boxes carry tags, and give the lengths that their contexts then have.

    They are conditionings of its own making, which no callback sees. Each names the box besides: a box is drawn in one
    call or in two, which cannot be told from outside.
    """
    boxes: list[Any] = list(getattr(_cutter(params), "custom_bboxes", ()))
    originals = [(box.cond, box.uncond) for box in boxes]
    lengths: set[int] = set()

    def tagged(entry: Any, slot: int, box: int) -> Any:
        context = tag_rows(context_of(entry.cond)[None], [slot], place=box)[0]
        lengths.add(context.shape[0])
        return entry._replace(cond=with_context(entry.cond, context))

    try:
        for at, box in enumerate(boxes, 1):
            box.cond = _with_parts(box.cond, lambda entry, image, at=at: tagged(entry, image + 1, at))
            box.uncond = [[tagged(entry, -(image + 1), at) for entry in one] for image, one in enumerate(box.uncond)]
        yield sorted(lengths)
    finally:
        for box, (cond, uncond) in zip(boxes, originals, strict=True):
            box.cond, box.uncond = cond, uncond


def _with_parts(cond: Any, change: Any) -> Any:
    """Return the WebUI's conditioning of a batch with each entry of each schedule changed, image by image."""
    changed = copy.copy(cond)
    changed.batch = [[copy.copy(part) for part in parts] for parts in cond.batch]
    for image, parts in enumerate(changed.batch):
        for part in parts:
            part.schedules = [change(entry, image) for entry in part.schedules]
    return changed


def _cutter(params: Any) -> Any | None:
    """Return Tiled Diffusion at work on pictures of this size, if it is.

    MultiDiffusion stands in for the denoiser's own model, Mixture of Diffusers for the checkpoint's.
    """
    size = params.x.shape[-2], params.x.shape[-1]
    for model in (params.denoiser.inner_model.forward, shared.sd_model.apply_model):
        found = getattr(model, "__self__", None)
        is_one = all(hasattr(found, name) for name in ("batched_bboxes", "custom_bboxes", "h", "w"))
        if found is not None and is_one and (found.h, found.w) == size:
            return found
    return None
