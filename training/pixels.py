"""Between pictures of bytes and pictures of numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["as_pictures", "as_rgb"]


def as_pictures(pictures_rgb: NDArray[np.uint8]) -> Tensor:
    """Return pictures [n, h, w, 3] as networks take them: [n, 3, h, w] in -1 to 1."""
    return torch.from_numpy(pictures_rgb).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_rgb(pictures: Tensor) -> NDArray[np.uint8]:
    """Return the pictures that networks gave as uint8 [n, h, w, 3]."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
