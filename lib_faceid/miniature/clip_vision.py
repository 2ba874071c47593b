"""Miniatures of CLIP image encoders: their real widths and 257 tokens, with two layers instead of 32 or 48."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.miniature.tree import Shape, Tree, flatten, linear, norm, numbered
from lib_faceid.miniature.weights import random_weights, write_safetensors
from lib_faceid.models.image_encoders import PATCH_PX, POSITIONS, image_encoder

__all__ = ["clip_vision_shapes", "write_clip_vision"]

FEED_FORWARD = 1280


def write_clip_vision(
    path: Path, encoder: str = "clip_vit_h", *, seed: int = 0, layers: int = 2, feed_forward: int = FEED_FORWARD
) -> Path:
    """Write an encoder with its projection as a `.safetensors` file, and return its path.

    The real ViT-H has 32 layers with a feed forward of 5120, bigG has 48 with 8192.
    """
    return write_safetensors(path, random_weights(clip_vision_shapes(encoder, layers, feed_forward), seed))


def clip_vision_shapes(encoder: str, layers: int, feed_forward: int) -> dict[str, Shape]:
    """Return the name and shape of each tensor, as transformers' `CLIPVisionModelWithProjection` has it."""
    kind = image_encoder(encoder)
    width = kind.width
    layer = {
        "self_attn": {name: linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
        "layer_norm1": norm(width),
        "mlp": {"fc1": linear(width, feed_forward), "fc2": linear(feed_forward, width)},
        "layer_norm2": norm(width),
    }
    embeddings: Tree = {
        "class_embedding": (width,),
        "patch_embedding": {"weight": (width, 3, PATCH_PX, PATCH_PX)},
        "position_embedding": {"weight": (POSITIONS, width)},
        "position_ids": (1, POSITIONS),
    }
    vision = {
        "embeddings": embeddings,
        "pre_layrnorm": norm(width),  # spelled like this by its authors
        "encoder": {"layers": numbered([layer] * layers)},
        "post_layernorm": norm(width),
    }
    return flatten({"vision_model": vision, "visual_projection": {"weight": (kind.projection, width)}})
