"""Pixel values as CLIP is given them, for adapters that have an image encoder in their own file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib_faceid.encoders.clip_vision import ClipVision, Output, preprocess
from lib_faceid.encoders.features import PIXELS

__all__ = ["PixelValues"]


class PixelValues(ClipVision):
    """What stands where an image encoder would, and gives the pixels, which are never kept."""

    def __init__(self) -> None:
        """Need no file."""
        self.source = self.fingerprint = PIXELS.encoder

    @property
    def encoder(self) -> str:
        """The first part of its features' key."""
        return PIXELS.encoder

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device("cpu")

    @property
    def image_px(self) -> int:
        """The side of the square pictures that it gives."""
        return PIXELS.shape[-1]

    @property
    def has_projection(self) -> bool:
        """Never."""
        return False

    def encode_outputs(self, crops_rgb: Sequence[NDArray[np.uint8]], outputs: Sequence[Output]) -> dict[Output, Tensor]:
        """Return the pixel values [n, 3, 224, 224] of n crops (uint8 RGB [H, W, 3])."""
        return {output: torch.stack([preprocess(crop) for crop in crops_rgb]) for output in outputs}

    def blank(self, output: Output = "penultimate") -> Tensor:
        """Return zeros [3, 224, 224], which nothing reads."""
        return torch.zeros(PIXELS.shape)
