"""Whose the rows of a step's UNet calls are in AUTOMATIC1111: a tag in front of each row of the conditioning."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from lib_faceid.effects.injection import Injection
from lib_faceid.errors import HostError
from lib_faceid.hosts.a1111.tiles import tagged_boxes, tiles_of
from lib_faceid.hosts.webui.conds import context_of, with_context
from lib_faceid.hosts.webui.passes import is_hires_pass
from lib_faceid.jobs.job import Job
from lib_faceid.unet.rows import follow_images, tag_rows

__all__ = ["row_images", "tagged_rows"]


@contextmanager
def tagged_rows(p: Any, job: Job, params: Any, injection: Injection) -> Generator[None]:
    """Tag the rows that the coming UNet calls are made of; Tiled Diffusion's boxes until the step ends."""
    if injection.writing is not None:
        from lib_faceid.hosts.a1111.texts import written  # here, as most jobs write nobody into the prompt

        images = row_images(p, len(context_of(params.text_cond)), is_cond=True)
        params.text_cond = written(p, injection.writing, params, images)
    params.text_cond = _tagged(params.text_cond, _slots(p, job, params.text_cond, params.x))
    params.text_uncond = _tagged(params.text_uncond, _slots(p, job, params.text_uncond))
    lengths = [context_of(cond).shape[1] for cond in (params.text_cond, params.text_uncond)]
    with tagged_boxes(params) as of_boxes:
        people = len(context_of(params.text_cond))
        injection.expect_tags([*lengths, *of_boxes], people=people, tiles=tiles_of(params))
        yield


def row_images(p: Any, rows: int, *, is_cond: bool) -> list[int] | None:
    """Return which image of the batch each row of the conditioning belongs to, from 0; None where that is not known.

    A prompt with AND has several rows for one image, and each image of a batch its own number of them.
    """
    conds = getattr(p, "hr_c" if is_hires_pass(p) else "c", None) if is_cond else None
    counts = [len(parts) for parts in getattr(conds, "batch", ())]
    if sum(counts) == rows:
        return [image for image, count in enumerate(counts) for _ in range(count)]
    times, rest = divmod(rows, p.batch_size)
    return None if rest else [image for image in range(p.batch_size) for _ in range(times)]


def _slots(p: Any, job: Job, cond: Any, latents: Tensor | None = None) -> list[int]:
    """Return the slot of each row: image i of the batch with its identity is i + 1, without it -(i + 1).

    latents: what the step begins with, for the rows of cond; None for those of uncond.
    """
    rows = len(context_of(cond))
    images = row_images(p, rows, is_cond=latents is not None)
    if images and latents is not None and job.differs_by_image and 0 < max(images) < rows - 1:
        images = follow_images(latents, images)  # Regional Prompter's latent mode sorts them by its regions
    if images is None:
        if job.differs_by_image:
            raise HostError(
                f"It cannot be told which image each of the {rows} prompts of this step belongs to, and the units "
                f"differ from image to image. Set the batch size to 1, or leave AND out of the prompt."
            )
        images = [0] * rows
    return [-(image + 1) if latents is None else image + 1 for image in images]


def _tagged(cond: Any, slots: Sequence[int]) -> Any:
    """Return the conditioning with a tag in front of every row."""
    return with_context(cond, tag_rows(context_of(cond), slots))
