"""A miniature of FLUX.1 in every layout, with the published widths of what adapters see: T5's 4096 and SigLIP's 1152.

The tests own it: nothing here asks the engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    SiglipVisionConfig,
    SiglipVisionModel,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from lib_faceid.hosts.diffusers.tokenizer import write_tokenizer

__all__ = [
    "MODEL_INDEX",
    "SIDE",
    "WORDS",
    "bfl_names",
    "clip",
    "flux_transformer",
    "pipeline_of",
    "siglip",
    "write_flux_folder",
    "write_redux",
    "write_siglip",
    "write_vocabulary",
]

State = dict[str, Tensor]
CONTEXT, POOLED, LATENTS, HEAD, HEADS = 4096, 64, 4, 16, 2
SIDE = 32  # pixels of a picture: 16 latents, 8 places of the transformer
MODEL_INDEX: dict[str, Any] = {
    "_class_name": "FluxPipeline",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "FluxTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
WHOLE = {
    "x_embedder": "img_in",
    "context_embedder": "txt_in",
    "proj_out": "final_layer.linear",
    "time_text_embed.timestep_embedder.linear_1": "time_in.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_in.out_layer",
    "time_text_embed.text_embedder.linear_1": "vector_in.in_layer",
    "time_text_embed.text_embedder.linear_2": "vector_in.out_layer",
    "time_text_embed.guidance_embedder.linear_1": "guidance_in.in_layer",
    "time_text_embed.guidance_embedder.linear_2": "guidance_in.out_layer",
}
STREAMS = {
    "img": ("norm1", "to_out.0", "ff", "to_{}", "norm_"),
    "txt": ("norm1_context", "to_add_out", "ff_context", "add_{}_proj", "norm_added_"),
}
WORDS = ("<pad>", "</s>", "<unk>", "a", "photo", "of", "cat", "dog", "in", "the", "rain", "red", "blue", "house")


def seeded(network: Any, seed: int, gain: float = 1.0) -> Any:
    """A network with weights that depend on the seed alone."""
    source = torch.Generator().manual_seed(seed)
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            parameter.data = torch.randn(parameter.shape, generator=source) * (gain / parameter[0].numel() ** 0.5)
        elif name.endswith("bias"):
            parameter.data = torch.randn(parameter.shape, generator=source) * 0.1
    return network.eval().requires_grad_(requires_grad=False)


def flux_transformer(context: int = CONTEXT, layers: tuple[int, int] = (1, 1), **more: Any) -> FluxTransformer2DModel:
    config: dict[str, Any] = {
        "patch_size": 1, "in_channels": 4 * LATENTS, "num_layers": layers[0], "num_single_layers": layers[1],
        "attention_head_dim": HEAD, "num_attention_heads": HEADS, "joint_attention_dim": context,
        "pooled_projection_dim": POOLED, "axes_dims_rope": (4, 6, 6), "guidance_embeds": True,
    }  # fmt: skip
    return seeded(FluxTransformer2DModel(**{**config, **more}), 1)


def _vae() -> AutoencoderKL:
    return seeded(
        AutoencoderKL(
            block_out_channels=(32, 32), latent_channels=LATENTS, down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2, use_quant_conv=False, use_post_quant_conv=False,
            scaling_factor=0.3611, shift_factor=0.1159,
        ), 2,
    )  # fmt: skip


def _t5() -> T5EncoderModel:
    config = T5Config(
        vocab_size=len(WORDS), d_model=CONTEXT, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        feed_forward_proj="gated-gelu", is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    return seeded(T5EncoderModel(config), 3)


def clip() -> CLIPTextModel:
    config = CLIPTextConfig(
        hidden_size=POOLED, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1, eos_token_id=49_407,
        bos_token_id=49_406,
    )  # fmt: skip
    return seeded(CLIPTextModel(config), 4)


def write_vocabulary(folder: Path) -> Path:
    words = Tokenizer(WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer = T5TokenizerFast(tokenizer_object=words, extra_ids=0, model_max_length=512)
    tokenizer.save_pretrained(str(folder))
    return folder


def write_flux_folder(folder: Path) -> Path:
    """FLUX.1 [dev] as diffusers saves it."""
    write_tokenizer(folder / "tokenizer")
    write_vocabulary(folder / "tokenizer_2")
    scheduler = FlowMatchEulerDiscreteScheduler(
        shift=3.0, use_dynamic_shifting=True, base_image_seq_len=256, max_image_seq_len=4096, base_shift=0.5,
        max_shift=1.15,
    )  # fmt: skip
    parts: dict[str, nn.Module] = {
        "transformer": flux_transformer(), "text_encoder": clip(), "text_encoder_2": _t5(), "vae": _vae(),
    }  # fmt: skip
    for name, part in parts.items():
        part.save_pretrained(str(folder / name))  # pyright: ignore[reportCallIssue]
    scheduler.save_pretrained(str(folder / "scheduler"))
    (folder / "model_index.json").write_text(json.dumps(MODEL_INDEX), encoding="utf-8")
    return folder


def bfl_names(state: State) -> State:
    """A transformer's tensors as black-forest-labs names them, written here a second time, the other way round."""
    found: State = {}
    for ours, theirs in WHOLE.items():
        found |= _whole(state, ours, theirs)
    for kind in ("weight", "bias"):
        scale, shift = state[f"norm_out.linear.{kind}"].chunk(2)
        found[f"final_layer.adaLN_modulation.1.{kind}"] = torch.cat([shift, scale])
    for at in range(_count(state, "transformer_blocks")):
        found |= _double(state, f"transformer_blocks.{at}", f"double_blocks.{at}")
    for at in range(_count(state, "single_transformer_blocks")):
        found |= _single(state, f"single_transformer_blocks.{at}", f"single_blocks.{at}")
    return {name: tensor.contiguous() for name, tensor in found.items()}


def _whole(state: State, ours: str, theirs: str) -> State:
    kinds = ("weight", "bias")
    return {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in kinds if f"{ours}.{kind}" in state}


def _joined(state: State, theirs: str, *ours: str) -> State:
    kinds = ("weight", "bias")
    return {f"{theirs}.{kind}": torch.cat([state[f"{one}.{kind}"] for one in ours]) for kind in kinds}


def _norms(state: State, ours: str, theirs: str) -> State:
    names = {"q": "query", "k": "key"}
    return {f"{theirs}.{long}_norm.scale": state[f"{ours}{short}.weight"] for short, long in names.items()}


def _count(state: State, kind: str) -> int:
    return len({name.split(".")[1] for name in state if name.startswith(f"{kind}.")})


def _double(state: State, ours: str, theirs: str) -> State:
    found: State = {}
    for stream, (norm, out, feed, query, which) in STREAMS.items():
        found |= _joined(state, f"{theirs}.{stream}_attn.qkv", *(f"{ours}.attn.{query.format(one)}" for one in "qkv"))
        found |= _whole(state, f"{ours}.{norm}.linear", f"{theirs}.{stream}_mod.lin")
        found |= _whole(state, f"{ours}.attn.{out}", f"{theirs}.{stream}_attn.proj")
        found |= _whole(state, f"{ours}.{feed}.net.0.proj", f"{theirs}.{stream}_mlp.0")
        found |= _whole(state, f"{ours}.{feed}.net.2", f"{theirs}.{stream}_mlp.2")
        found |= _norms(state, f"{ours}.attn.{which}", f"{theirs}.{stream}_attn.norm")
    return found


def _single(state: State, ours: str, theirs: str) -> State:
    found = _whole(state, f"{ours}.norm.linear", f"{theirs}.modulation.lin")
    found |= _joined(state, f"{theirs}.linear1", *(f"{ours}.attn.to_{one}" for one in "qkv"), f"{ours}.proj_mlp")
    found |= _whole(state, f"{ours}.proj_out", f"{theirs}.linear2")
    return found | _norms(state, f"{ours}.attn.norm_", f"{theirs}.norm")


def siglip() -> SiglipVisionModel:
    """transformers' own SigLIP so400m with one thin layer, its pooling head with it."""
    config = SiglipVisionConfig(
        hidden_size=1152, intermediate_size=16, num_hidden_layers=1, num_attention_heads=16, image_size=384,
        patch_size=14, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
    )  # fmt: skip
    return seeded(SiglipVisionModel(config), 5)


def write_siglip(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in siglip().state_dict().items()}, path)
    return path


def write_redux(path: Path, inner: int = 16, dtype: torch.dtype = torch.float32) -> Path:
    source = torch.Generator().manual_seed(6)
    shapes = {"redux_up": (inner, 1152), "redux_down": (CONTEXT, inner)}
    state = {f"{name}.weight": torch.randn(shape, generator=source) / shape[1] ** 0.5 for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.randn(shape[0], generator=source) * 0.1 for name, shape in shapes.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.to(dtype) for name, tensor in state.items()}, path)
    return path


def pipeline_of(folder: Path) -> FluxPipeline:
    """diffusers' own pipeline of a folder: the oracle."""
    return FluxPipeline.from_pretrained(str(folder), local_files_only=True, use_safetensors=True)
