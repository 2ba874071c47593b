"""Plus v2 for the trained miniature: FaceID's weights with a resampler, and the image encoder that this one reads.

Both were trained with few channels (`training/plus.py`). What is published has more: the others are zeros here, so that
the files load as what they stand for, a FaceID Plus v2 and a CLIP ViT-H of two layers. The encoder knows faces of
strangers and nothing else; its second layer and its projection, which Plus v2 does not read, are random numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from lib_faceid.methods.loading import METADATA_KEY, RECOGNISER_KEY
from lib_faceid.miniature.adapter import ProjectionSizes, adapter_shapes, published_name
from lib_faceid.miniature.clip_vision import clip_vision_shapes
from lib_faceid.miniature.trained import LORA_RANK, RECOGNISER, SHIPPED, TRAINED, TRAINED_ADAPTER, TRAINED_NAME
from lib_faceid.miniature.tree import Shape
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = [
    "CLIP_FEED_FORWARD",
    "PLUS_NOTE",
    "PLUS_SIZES",
    "TRAINED_CLIP_NAME",
    "TRAINED_PLUS",
    "TRAINED_PLUS_NAME",
    "write_trained_clip",
    "write_trained_plus",
]

TRAINED_PLUS = SHIPPED / "plus.safetensors"
"""What was trained, resampler and encoder, without the zeros."""
TRAINED_PLUS_NAME = f"{published_name('plusv2', 'sd15')}_{TRAINED_NAME}.safetensors"
TRAINED_CLIP_NAME = f"clip_vision_{TRAINED_NAME}.safetensors"
PLUS_SIZES = ProjectionSizes(hidden=512, depth=2, inner=256, widening=0.25)
CLIP_LAYERS, CLIP_FEED_FORWARD, CLIP_SEED = 2, 256, 0
PLUS_NOTE = (
    "A miniature for tests and demos of sd-webui-faceid: Plus v2 and the image encoder that it reads belong together, "
    "and to no other. Stands on embeddings of a non-commercial face recogniser. See MODEL_CARD.md."
)


def write_trained_plus(path: Path, part: Path = TRAINED_PLUS, faceid: Path = TRAINED_ADAPTER) -> Path:
    """Write the Plus v2 adapter, and return its path. With structure 0 it draws what the FaceID adapter draws."""
    trained = {f"image_proj.{name}": tensor for name, tensor in load_file(part).items()}
    shapes = adapter_shapes("plusv2", TRAINED.unet, LORA_RANK, PLUS_SIZES)
    metadata = {RECOGNISER_KEY: RECOGNISER, METADATA_KEY: "plusv2"}
    return write_safetensors(path, _whole(load_file(faceid), trained, shapes), PLUS_NOTE, **metadata)


def write_trained_clip(path: Path, part: Path = TRAINED_PLUS) -> Path:
    """Write the image encoder in transformers' layout of CLIP ViT-H, and return its path."""
    shapes = clip_vision_shapes("clip_vit_h", CLIP_LAYERS, CLIP_FEED_FORWARD)
    return write_safetensors(path, _whole(random_weights(shapes, CLIP_SEED), load_file(part), shapes), PLUS_NOTE)


def _whole(
    others: Mapping[str, torch.Tensor], trained: Mapping[str, torch.Tensor], shapes: Mapping[str, Shape]
) -> dict[str, torch.Tensor]:
    """Return a tensor of each shape: the trained one with zeros around it, or that of the others."""
    return {name: _padded(trained[name], shape) if name in trained else others[name] for name, shape in shapes.items()}


def _padded(tensor: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return a tensor of that shape which begins with the given one; all else is zero."""
    whole = tensor.new_zeros(shape)
    whole[tuple(slice(size) for size in tensor.shape)] = tensor
    return whole
