"""What a network makes of the pictures that it follows: of each image of a batch and each part of the picture, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.effects.effect import HintPicture
from lib_faceid.units.region import Box

__all__ = ["Hints"]

LUMA = (19595, 38470, 7471)  # of red, green and blue in 65536ths: ITU-R 601-2, as Pillow makes a picture grey


class Hints:
    """Maps of the pictures that a guide follows, made when first asked for and kept for every later call."""

    def __init__(
        self,
        pictures: Sequence[HintPicture],
        view: Box,
        make: Callable[[Tensor], tuple[Tensor, ...]],
        canvas_px: Callable[[int, int], tuple[int, int]],
        channels: int = 3,
    ) -> None:
        """Take what makes maps of pixels [B, channels, H, W] from 0 to 1.

        canvas_px: gives width and height of the pictures for latents of that width and height; channels: 1 for grey.
        """
        self._pictures, self._view = pictures, view
        self._make, self._canvas_px, self._channels = make, canvas_px, channels
        self._made: dict[tuple[object, ...], tuple[Tensor, ...]] = {}

    def of(self, latents: Tensor, slots: Tensor, parts: Sequence[Box]) -> tuple[Tensor, ...]:
        """Return the maps for rows of these slots, which show these parts of the picture: each [B or 1, C, h, w]."""
        size = (latents.shape[-2], latents.shape[-1])
        each = [self._of_part(part, size, latents) for part in parts]
        count = len(each[0][0])
        if len(each) == count == 1:
            return each[0]
        rows = (slots.abs() - 1).clamp(0, count - 1).chunk(len(each))
        return tuple(
            torch.cat([maps[at].index_select(0, images) for maps, images in zip(each, rows, strict=True)])
            for at in range(len(each[0]))
        )

    def _of_part(self, part: Box, size: tuple[int, int], like: Tensor) -> tuple[Tensor, ...]:
        """Return the same for each image of the batch, of a part of the picture."""
        key = (part, size, like.device, like.dtype)
        if key not in self._made:
            canvas_px, view = self._canvas_px(size[1], size[0]), part.inside(self._view)
            drawn = [_channels_of(one.drawn(canvas_px, view), self._channels) for one in self._pictures]
            pixels = torch.stack(drawn).permute(0, 3, 1, 2).to(like.device, like.dtype) / 255
            self._made[key] = self._make(pixels)
        return self._made[key]


def _channels_of(pixels: NDArray[np.uint8], channels: int) -> Tensor:
    """Return RGB pixels [H, W, 3] as they are, or grey ones [H, W, 1]."""
    if channels != 1:
        return torch.from_numpy(pixels)
    grey = (pixels.astype(np.uint32) @ np.array(LUMA, np.uint32) + 0x8000) >> 16
    return torch.from_numpy(grey.astype(np.uint8)[..., None])
