"""A miniature of FLUX.1 [dev] in one file as Forge loads it, with what Forge has to be told of its sizes.

T5's width is the published one, as adapters see it; everything else is small. Its vocabulary has a few words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from lib_faceid.miniature.config import write_text_folder
from lib_faceid.miniature.sizes import MINIATURE
from lib_faceid.miniature.text import clip_text_tree
from lib_faceid.miniature.tree import Shape, Tree, flatten, numbered
from lib_faceid.miniature.vae import vae_tree
from lib_faceid.miniature.weights import random_weights, write_safetensors
from tests import flux_integrated, flux_mini
from tests.webui.forge_repos import vae_config, write_json

__all__ = ["write_flux", "write_flux_repos"]

SMALL = MINIATURE["sd15"]
CONTEXT, INNER, LAYERS, FEED = 4096, 32, 2, 32
TRANSFORMER: dict[str, Any] = {
    "in_channels": 4, "vec_in_dim": SMALL.text.width, "context_in_dim": CONTEXT, "hidden_size": 32, "mlp_ratio": 4.0,
    "num_heads": 2, "depth": 2, "depth_single_blocks": 2, "axes_dim": [4, 6, 6], "theta": 10_000, "qkv_bias": True,
    "guidance_embed": True,
}  # fmt: skip
T5 = {
    "_class_name": "T5EncoderModel", "d_model": CONTEXT, "d_ff": FEED, "d_kv": INNER // 2, "num_heads": 2,
    "num_layers": LAYERS, "vocab_size": len(flux_mini.WORDS), "dense_act_fn": "gelu_pytorch_tanh", "is_gated_act": True,
    "model_type": "t5", "eos_token_id": 1, "pad_token_id": 0, "architectures": ["T5EncoderModel"],
}  # fmt: skip
SCHEDULER = {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5, "max_shift": 1.15}


def write_flux(path: Path, *, schnell: bool = False) -> Path:
    """The whole checkpoint of [dev], or of [schnell], which is not told how strongly to be guided."""
    with torch.device("meta"):
        transformer = flux_integrated.Transformer(**TRANSFORMER).state_dict()
    shapes: dict[str, Shape] = {f"model.diffusion_model.{name}": tuple(one.shape) for name, one in transformer.items()}
    text: Tree = {"clip_l.transformer": clip_text_tree(SMALL.text), "t5xxl.transformer": _t5_tree()}
    shapes |= flatten({"text_encoders": text, "vae": vae_tree(SMALL.vae)})
    if schnell:
        shapes = {name: shape for name, shape in shapes.items() if "guidance_in" not in name}
    gains = {r"_norm\.scale": 0.0, r"final_layer\.linear": 2.0, r"decoder\.conv_out\.weight": 0.5}
    weights = random_weights(shapes, 0, gains)
    weights |= {name: torch.ones_like(one) for name, one in weights.items() if name.endswith("_norm.scale")}
    return write_safetensors(path, weights)


def write_flux_repos(folder: Path) -> None:
    """The folders in the form of diffusers that the probe extension names to Forge: one for each kind."""
    for name in ("flux-dev", "flux-schnell"):
        _write_repo(folder / name)


def _write_repo(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_json(folder / "model_index.json", flux_mini.MODEL_INDEX)
    sizes = {name: size for name, size in TRANSFORMER.items() if name != "guidance_embed"}
    write_json(folder / "sizes.json", {**sizes, "out_channels": 4, "t5_inner": INNER})
    scheduler = folder / "scheduler" / "scheduler_config.json"
    write_json(scheduler, {"_class_name": "FlowMatchEulerDiscreteScheduler", **SCHEDULER})
    for part in ("text_encoder", "tokenizer"):
        write_text_folder(folder / part, SMALL.text)
    write_json(folder / "text_encoder_2" / "config.json", T5)
    flux_mini.write_vocabulary(folder / "tokenizer_2")
    write_json(folder / "transformer" / "config.json", {"_class_name": "FluxTransformer2DModel"})
    write_json(folder / "vae" / "config.json", {**vae_config(SMALL.vae, 0.3611), "shift_factor": 0.1159})


def _t5_tree() -> Tree:
    scale: Tree = {"weight": (CONTEXT,)}
    into: Tree = {"weight": (INNER, CONTEXT)}

    def layer(at: int) -> Tree:
        attention: Tree = {"q": into, "k": into, "v": into, "o": {"weight": (CONTEXT, INNER)}}
        if at == 0:
            attention = {**attention, "relative_attention_bias": {"weight": (32, 2)}}
        feed: Tree = {"wi_0": {"weight": (FEED, CONTEXT)}, "wi_1": {"weight": (FEED, CONTEXT)}}
        feed = {**feed, "wo": {"weight": (CONTEXT, FEED)}}
        parts: list[Tree] = [
            {"SelfAttention": attention, "layer_norm": scale},
            {"DenseReluDense": feed, "layer_norm": scale},
        ]
        return {"layer": numbered(parts)}

    encoder: Tree = {"block": numbered([layer(at) for at in range(LAYERS)]), "final_layer_norm": scale}
    return {"shared": {"weight": (len(flux_mini.WORDS), CONTEXT)}, "encoder": encoder}
