"""Sizes of the networks in a checkpoint, read off the shapes of their tensors.

The answers are keyword arguments of the classes in `diffusers` and `transformers` that hold each network. KeyError
and IndexError mean that a tensor is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any, TypeAlias

__all__ = [
    "Config",
    "Shapes",
    "clip_config",
    "context_dim",
    "open_clip_config",
    "t5_config",
    "unet_config",
    "vae_config",
]

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
Config: TypeAlias = dict[str, Any]

# Numbers that leave no trace in shapes. They are the same in every published checkpoint of a family.
SD15_HEADS, SDXL_HEAD_DIM, CLIP_HEAD_DIM = 8, 64, 64
VAE_SCALE = {"SD 1.5": 0.18215, "SDXL": 0.13025, "FLUX.1": 0.3611}
VAE_SHIFT = {"FLUX.1": 0.1159}
SIZE_EMBEDDING = 256
LAST_TOKEN = 49_407


def context_dim(unet: Shapes) -> int | None:
    """Return the width of the text conditioning; None where there is no cross-attention at all."""
    return next((shape[1] for key, shape in unet.items() if key.endswith("attn2.to_k.weight")), None)


def unet_config(unet: Shapes, family: str) -> Config:
    """Return the arguments of `diffusers.UNet2DConditionModel`."""
    levels = _unet_levels(unet)
    channels = [out for out, _, _ in levels]
    has_attention = [depth > 0 for _, depth, _ in levels]
    down, up = ({True: f"CrossAttn{way}Block2D", False: f"{way}Block2D"} for way in ("Down", "Up"))
    config: Config = {
        "block_out_channels": channels,
        "layers_per_block": levels[0][2],
        "down_block_types": [down[attends] for attends in has_attention],
        "up_block_types": [up[attends] for attends in reversed(has_attention)],
        "cross_attention_dim": context_dim(unet),
        "transformer_layers_per_block": [max(depth, 1) for _, depth, _ in levels],
        "attention_head_dim": SD15_HEADS,  # a historic misnomer of diffusers: it is the number of heads
        "sample_size": 64,
    }
    if family == "SDXL":
        config |= {
            "attention_head_dim": [max(out // SDXL_HEAD_DIM, 1) for out in channels],
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": SIZE_EMBEDDING,
            "projection_class_embeddings_input_dim": unet["label_emb.0.0.weight"][1],
            "sample_size": 128,
        }
    return config


def _unet_levels(unet: Shapes) -> list[tuple[int, int, int]]:
    """Return (channels, transformer blocks per attention, residual blocks) of each level, finest first."""
    levels: list[tuple[int, int, int]] = []
    fresh = True  # the next residual block begins a level
    for index in range(1, _children(unet, "input_blocks")):
        block = f"input_blocks.{index}"
        if f"{block}.0.op.weight" in unet:
            fresh = True
            continue
        channels = unet[f"{block}.0.in_layers.2.weight"][0]
        depth = _children(unet, f"{block}.1.transformer_blocks")
        blocks = 1 if fresh else levels.pop()[2] + 1
        levels.append((channels, depth, blocks))
        fresh = False
    return levels


def vae_config(vae: Shapes, family: str) -> Config:
    """Return the arguments of `diffusers.AutoencoderKL`."""
    levels = range(_children(vae, "encoder.down"))
    has_quant_conv = "quant_conv.weight" in vae
    return {
        "use_quant_conv": has_quant_conv,
        "use_post_quant_conv": has_quant_conv,
        "shift_factor": VAE_SHIFT.get(family),
        "block_out_channels": [vae[f"encoder.down.{level}.block.0.conv1.weight"][0] for level in levels],
        "layers_per_block": _children(vae, "encoder.down.0.block"),
        "down_block_types": ["DownEncoderBlock2D" for _ in levels],
        "up_block_types": ["UpDecoderBlock2D" for _ in levels],
        "latent_channels": vae["decoder.conv_in.weight"][1],
        "scaling_factor": VAE_SCALE[family],
        "force_upcast": family == "SDXL",  # its activations overflow float16
    }


def t5_config(text: Shapes) -> Config:
    """Return the arguments of `transformers.T5Config` for the encoder of T5 v1.1."""
    heads = text["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"][1]
    words, width = text["shared.weight"]
    return {
        "vocab_size": words,
        "d_model": width,
        "d_kv": text["encoder.block.0.layer.0.SelfAttention.q.weight"][0] // heads,
        "d_ff": text["encoder.block.0.layer.1.DenseReluDense.wi_0.weight"][0],
        "num_layers": _children(text, "encoder.block"),
        "num_heads": heads,
        "relative_attention_num_buckets": text["encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"][
            0
        ],
        "feed_forward_proj": "gated-gelu",
        "is_encoder_decoder": False,
        "use_cache": False,
    }


def clip_config(text: Shapes) -> Config:
    """Return the arguments of `transformers.CLIPTextConfig` for OpenAI's text encoder."""
    # Some old checkpoints lack the level "text_model.".
    text = {key.removeprefix("text_model."): shape for key, shape in text.items()}
    return {
        **_text_config(text["embeddings.token_embedding.weight"], text["embeddings.position_embedding.weight"]),
        "intermediate_size": text["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _children(text, "encoder.layers"),
        "hidden_act": "quick_gelu",
    }


def open_clip_config(text: Shapes) -> Config:
    """Return the arguments of `transformers.CLIPTextConfig` for open_clip's text encoder."""
    return {
        **_text_config(text["token_embedding.weight"], text["positional_embedding"]),
        "intermediate_size": text["transformer.resblocks.0.mlp.c_fc.weight"][0],
        "num_hidden_layers": _children(text, "transformer.resblocks"),
        "projection_dim": text["text_projection"][1],
        "hidden_act": "gelu",
    }


def _text_config(tokens: tuple[int, ...], positions: tuple[int, ...]) -> Config:
    return {
        "vocab_size": tokens[0],
        "hidden_size": tokens[1],
        "num_attention_heads": tokens[1] // CLIP_HEAD_DIM,
        "max_position_embeddings": positions[0],
        "bos_token_id": LAST_TOKEN - 1,
        "eos_token_id": LAST_TOKEN,
    }


def _children(shapes: Shapes, parent: str) -> int:
    """Return how many modules a list called `parent` has."""
    numbers = {key.removeprefix(f"{parent}.").split(".", 1)[0] for key in shapes if key.startswith(f"{parent}.")}
    return sum(1 for _ in takewhile(lambda index: str(index) in numbers, count()))
