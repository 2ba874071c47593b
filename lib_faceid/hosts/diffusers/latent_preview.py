"""How a picture looks that is still being drawn: colours straight from the latents, without the VAE."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

__all__ = ["rough_image"]

# Family -> red, green and blue of each latent channel, and what is added, for values between 0 and 1.
# SD 1.5: discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204, whose result is between -1 and 1.
# SDXL: huggingface.co/blog/TimothyAlexisVass/explaining-the-sdxl-latent-space, whose result is between 0 and 255.
_FACTORS: Mapping[str, tuple[list[list[float]], list[float]]] = {
    "SD 1.5": (
        [[0.149, 0.1035, 0.104], [0.0935, 0.143, 0.0865], [-0.079, 0.0945, 0.132], [-0.092, -0.1355, -0.2365]],
        [0.5, 0.5, 0.5],
    ),
    "SDXL": (
        [[0.2353, 0.2353, 0.2353], [-0.2353, -0.0196, 0.0392], [0.098, 0.0588, -0.0196], [-0.2745, -0.1961, -0.1373]],
        [0.5882, 0.549, 0.5098],
    ),
}
LATENT_PX = 8  # a latent is that many pixels wide and high


def rough_image(latents: Tensor, family: str) -> Image.Image:
    """Return the picture [4, h, w] as it is so far, at its full size and soft. family: "SD 1.5" or "SDXL"."""
    factors, bias = (torch.tensor(values) for values in _FACTORS[family])
    pixels = latents.detach().float().cpu().permute(1, 2, 0) @ factors + bias
    image = Image.fromarray((pixels.nan_to_num().clamp(0, 1) * 255).numpy().astype(np.uint8))
    return image.resize((image.width * LATENT_PX, image.height * LATENT_PX), Image.Resampling.BICUBIC)
