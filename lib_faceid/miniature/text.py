"""The text encoders' tensors: CLIP as `transformers` names it, and as open_clip does (SDXL's second one)."""

from __future__ import annotations

from lib_faceid.miniature.sizes import CONTEXT_LENGTH, VOCABULARY, TextSizes
from lib_faceid.miniature.tree import Tree, linear, norm, numbered

__all__ = ["clip_text_tree", "open_clip_text_tree"]


def clip_text_tree(sizes: TextSizes) -> Tree:
    """Return a CLIP text encoder as `transformers.CLIPTextModel` names it."""
    width = sizes.width
    layer = {
        "self_attn": {name: linear(width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")},
        "layer_norm1": norm(width),
        "mlp": {"fc1": linear(width, sizes.feed_forward), "fc2": linear(sizes.feed_forward, width)},
        "layer_norm2": norm(width),
    }
    embeddings = {
        "position_ids": (1, CONTEXT_LENGTH),
        "token_embedding": {"weight": (VOCABULARY, width)},
        "position_embedding": {"weight": (CONTEXT_LENGTH, width)},
    }
    encoder = {"layers": numbered([layer] * sizes.layers)}
    return {"text_model": {"embeddings": embeddings, "encoder": encoder, "final_layer_norm": norm(width)}}


def open_clip_text_tree(sizes: TextSizes) -> Tree:
    """Return a CLIP text encoder as open_clip names it."""
    width = sizes.width
    layer = {
        "attn": {
            "in_proj_weight": (3 * width, width),
            "in_proj_bias": (3 * width,),
            "out_proj": linear(width, width),
        },
        "ln_1": norm(width),
        "mlp": {"c_fc": linear(width, sizes.feed_forward), "c_proj": linear(sizes.feed_forward, width)},
        "ln_2": norm(width),
    }
    return {
        "token_embedding": {"weight": (VOCABULARY, width)},
        "positional_embedding": (CONTEXT_LENGTH, width),
        "transformer": {"resblocks": numbered([layer] * sizes.layers)},
        "ln_final": norm(width),
        "text_projection": (width, width),
        "logit_scale": (),
    }
