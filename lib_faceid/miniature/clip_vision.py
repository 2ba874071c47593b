"""A miniature of CLIP ViT-H's image encoder: its real width and 257 tokens, with two layers instead of 32."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.miniature.tree import Shape, Tree, flatten, linear, norm, numbered
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["clip_vision_shapes", "write_clip_vision"]

WIDTH, PATCH, TOKENS, EMBEDDING = 1280, 14, 257, 1024


def write_clip_vision(path: Path, *, seed: int = 0, layers: int = 2, feed_forward: int = WIDTH) -> Path:
    """Write the encoder as a `.safetensors` file, and return its path. The real one has 32 and 5120."""
    return write_safetensors(path, random_weights(clip_vision_shapes(layers, feed_forward), seed))


def clip_vision_shapes(layers: int, feed_forward: int) -> dict[str, Shape]:
    """Return the name and shape of each tensor, as transformers' `CLIPVisionModelWithProjection` has it."""
    layer = {
        "self_attn": {name: linear(WIDTH, WIDTH) for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
        "layer_norm1": norm(WIDTH),
        "mlp": {"fc1": linear(WIDTH, feed_forward), "fc2": linear(feed_forward, WIDTH)},
        "layer_norm2": norm(WIDTH),
    }
    embeddings: Tree = {
        "class_embedding": (WIDTH,),
        "patch_embedding": {"weight": (WIDTH, 3, PATCH, PATCH)},
        "position_embedding": {"weight": (TOKENS, WIDTH)},
        "position_ids": (1, TOKENS),
    }
    vision = {
        "embeddings": embeddings,
        "pre_layrnorm": norm(WIDTH),  # spelled like this by its authors
        "encoder": {"layers": numbered([layer] * layers)},
        "post_layernorm": norm(WIDTH),
    }
    return flatten({"vision_model": vision, "visual_projection": {"weight": (EMBEDDING, WIDTH)}})
