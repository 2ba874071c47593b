"""A Portrait adapter for the trained miniature, made of its FaceID adapter's weights without further training."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file

from lib_faceid.miniature.adapter import published_name
from lib_faceid.miniature.trained import RECOGNISER, TRAINED_ADAPTER, TRAINED_NAME, TRAINED_NOTE
from lib_faceid.miniature.weights import write_safetensors

__all__ = ["TRAINED_PORTRAIT_NAME", "write_trained_portrait"]

TRAINED_PORTRAIT_NAME = f"{published_name('portrait', 'sd15')}_{TRAINED_NAME}.safetensors"
TIMES = 4  # FaceID's four tokens become Portrait's sixteen
TOKENS = "image_proj.proj.2."


def write_trained_portrait(path: Path, faceid: Path = TRAINED_ADAPTER) -> Path:
    """Write the Portrait adapter, and return its path.

    Portrait has no LoRA, and makes 16 tokens of each photo, side by side. FaceID's 4 tokens stand in there four times
    each, between which and once attention makes no difference: with one photo it draws what FaceID draws without its
    LoRA, with several each place of the picture looks at the tokens of all photos.
    """
    tensors = {name: tensor for name, tensor in load_file(faceid).items() if "_lora." not in name}
    for name in (TOKENS + "weight", TOKENS + "bias"):
        tensors[name] = tensors[name].repeat(TIMES, *[1] * (tensors[name].ndim - 1))
    return write_safetensors(path, tensors, TRAINED_NOTE, recogniser=RECOGNISER)
