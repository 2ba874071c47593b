"""Miniature files of PhotoMaker: both versions' tensors under the published names, for the miniature of SDXL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from lib_faceid.miniature.sizes import MINIATURE, SDXL
from lib_faceid.miniature.tree import Tree, flatten, linear, norm, numbered
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["write_photomaker"]

WIDTH, WIDE, LAYERS, PATCH, POSITIONS = 64, 128, 2, 14, 257  # of the image encoder, for pictures of 224 px
ID_DIM, ID_HIDDEN, HIDDEN, HEADS = 512, 32, 64, 128
RANK = 4
# Blocks of SDXL's UNet with attention, in the order of their numbers: where they lie, and how many layers each has.
BLOCKS = (
    *(("down_blocks.1", at, 2) for at in range(2)),
    *(("down_blocks.2", at, 10) for at in range(2)),
    *(("up_blocks.0", at, 10) for at in range(3)),
    *(("up_blocks.1", at, 2) for at in range(3)),
    ("mid_block", 0, 10),
)
# The vector is about 20 long in published files and a trained encoder's rows are far apart: so are these.
GAINS = {r"_lora\.up": 0.1, r"visual_projection": 2.0, r"fuse_module\.mlp.\.fc2": 2.0}


def write_photomaker(path: Path, version: int, *, seed: int = 0) -> Path:
    """Write a file of version 1 or 2, and return its path. A `.bin` has two dicts in it, as published."""
    tree = {"id_encoder": _encoder(version), "lora_weights": {"unet": _lora()}}
    tensors = random_weights(flatten(tree), seed, GAINS)
    if path.suffix == ".safetensors":
        return write_safetensors(path, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {
        half: {key.removeprefix(f"{half}."): one for key, one in tensors.items() if key.startswith(half)}
        for half in ("id_encoder", "lora_weights")
    }
    torch.save(halves, path)
    return path


def _encoder(version: int) -> Tree:
    sizes = MINIATURE[SDXL]
    width, pooled = sizes.unet.context, sizes.text.width
    fuse = {
        "mlp1": {"layernorm": norm(2 * width), "fc1": linear(2 * width, HIDDEN), "fc2": linear(HIDDEN, width)},
        "mlp2": {"layernorm": norm(width), "fc1": linear(width, HIDDEN), "fc2": linear(HIDDEN, width)},
        "layer_norm": norm(width),
    }
    former = {
        "token_proj": {"0": linear(ID_DIM, ID_HIDDEN), "2": linear(ID_HIDDEN, 2 * width)},
        "token_norm": norm(width),
        "perceiver_resampler": _resampler(width),
    }
    return {
        "vision_model": _tower(),
        "visual_projection": {"weight": (pooled, WIDTH)},
        "visual_projection_2": {"weight": (width - pooled, WIDTH)},
        "fuse_module": fuse,
        **({"qformer_perceiver": former} if version == 2 else {}),
    }


def _tower() -> Tree:
    attention = {f"{one}_proj": linear(WIDTH, WIDTH) for one in ("q", "k", "v", "out")}
    layer = {
        "self_attn": attention,
        "layer_norm1": norm(WIDTH),
        "layer_norm2": norm(WIDTH),
        "mlp": {"fc1": linear(WIDTH, WIDE), "fc2": linear(WIDE, WIDTH)},
    }
    return {
        "embeddings": {
            "class_embedding": (WIDTH,),
            "patch_embedding": {"weight": (WIDTH, 3, PATCH, PATCH)},
            "position_embedding": {"weight": (POSITIONS, WIDTH)},
        },
        "pre_layrnorm": norm(WIDTH),
        "encoder": {"layers": numbered([layer] * LAYERS)},
        "post_layernorm": norm(WIDTH),
    }


def _resampler(width: int) -> Tree:
    attention = {
        "norm1": norm(width),
        "norm2": norm(width),
        "to_q": {"weight": (HEADS, width)},
        "to_kv": {"weight": (2 * HEADS, width)},
        "to_out": {"weight": (width, HEADS)},
    }
    feed_forward = {"0": norm(width), "1": {"weight": (HIDDEN, width)}, "3": {"weight": (width, HIDDEN)}}
    return {
        "proj_in": linear(WIDTH, width),
        "proj_out": linear(width, width),
        "norm_out": norm(width),
        "layers": numbered([{"0": attention, "1": feed_forward}] * LAYERS),
    }


def _lora() -> Tree:
    tree: dict[str, Tree] = {}
    for name, channels in zip(_attentions(), MINIATURE[SDXL].unet.attention_channels, strict=True):
        for number, context in ((1, channels), (2, MINIATURE[SDXL].unet.context)):
            inputs = {"q": channels, "k": context, "v": context, "out": channels}
            tree[f"{name}.attn{number}.processor"] = {
                f"to_{kind}_lora": {"down": {"weight": (RANK, into)}, "up": {"weight": (channels, RANK)}}
                for kind, into in inputs.items()
            }
    return tree


def _attentions() -> Iterator[str]:
    for block, at, layers in BLOCKS:
        yield from (f"{block}.attentions.{at}.transformer_blocks.{layer}" for layer in range(layers))
