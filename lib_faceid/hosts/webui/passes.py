"""What the WebUI's processing object says of a pass: its images, the part of the picture, the first pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from modules import devices, images, processing
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.hosts.webui.replaced import replaced
from lib_faceid.jobs.job import Pass
from lib_faceid.units.region import WHOLE, Box

__all__ = [
    "Pixels",
    "decoded_pixels",
    "flat_pixels",
    "init_pictures",
    "is_hires_pass",
    "on_first_pass",
    "pass_of",
    "whole_picture",
]

Pixels = NDArray[np.uint8]


def is_hires_pass(p: Any) -> bool:
    """Say whether the second pass of hires fix is running."""
    return bool(getattr(p, "is_hr_pass", False))


def pass_of(p: Any) -> Pass:
    """Return the pass that is running."""
    alone = getattr(p, "faceid_image", None)  # a search draws the images of a batch one by one,
    batch = getattr(p, "iteration", 0) // getattr(p, "faceid_keep", 1)  # and each batch as often as pictures are kept
    first = batch * p.batch_size if alone is None else alone
    return Pass(is_hires_pass(p), range(first, first + p.batch_size), _view(p))


def init_pictures(p: Any) -> list[Pixels]:
    """Return the init images of img2img as they will be seen, one for each image of the batch; none in txt2img.

    The WebUI takes one for all images of a batch, or one for each; every batch of a job begins with the same ones.
    """
    pictures = [_as_seen(p, picture) for picture in getattr(p, "init_images", None) or ()]
    return pictures * p.batch_size if len(pictures) == 1 else pictures


def _as_seen(p: Any, picture: Any) -> Pixels:
    """Return an init image at the size that is drawn; where a part is inpainted, the whole at its own size."""
    if _view(p) == WHOLE:
        picture = images.resize_image(p.resize_mode if p.resize_mode < 3 else 0, picture, p.width, p.height)
    return flat_pixels(picture)


def whole_picture(p: Any) -> Pixels:
    """Return the init image of img2img at its own size, of which a part may be drawn."""
    return flat_pixels(p.init_images[0])


def on_first_pass(p: Any, see: Callable[[list[Pixels]], None]) -> Callable[[], None]:
    """Have `see` called with the pictures of the first pass, before the second pass of hires fix begins.

    Return what undoes it: a job may be one of many that `p` has, one for each of its batches.
    """
    second_pass = getattr(p, "sample_hr_pass", None)
    if second_pass is None:
        return lambda: None

    def seen_first(samples: Tensor, decoded: Tensor | None, *more: Any) -> Any:
        found = _decoded(p, samples) if decoded is None else decoded
        see([_pixels(one) for one in found])
        return second_pass(samples, decoded, *more)

    return replaced(p, "sample_hr_pass", seen_first)


def _view(p: Any) -> Box:
    """Return the part of the picture that is drawn: another than the whole in "Inpaint area: Only masked"."""
    mask, pasted = getattr(p, "mask_for_overlay", None), getattr(p, "paste_to", None)
    if mask is None or pasted is None:
        return WHOLE
    left, top, width, height = pasted
    return Box.from_px((left, top, left + width, top + height), *mask.size)


def decoded_pixels(p: Any, samples: Tensor) -> Pixels:
    """Return the picture of the first of these latents [B, C, h, w], through the VAE that the WebUI has set."""
    return _pixels(_decoded(p, samples[:1])[0])


def flat_pixels(picture: Any) -> Pixels:
    """Return a picture of the WebUI as uint8 RGB [H, W, 3], on white where it is transparent."""
    return np.asarray(images.flatten(picture, "#ffffff"))


def _decoded(p: Any, samples: Tensor) -> Sequence[Tensor]:
    return processing.decode_latent_batch(p.sd_model, samples, target_device=devices.cpu, check_for_nans=False)


def _pixels(decoded: Tensor) -> Pixels:
    """Return uint8 RGB [H, W, 3] of a picture [3, H, W] from -1 to 1."""
    unit = ((decoded.float() + 1) / 2).clamp(0, 1)
    return (unit * 255).round().byte().permute(1, 2, 0).cpu().numpy()
