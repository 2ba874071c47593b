"""A FLUX.1 transformer from one file: its sizes, and its tensors under diffusers' names.

The file's names are those of github.com/black-forest-labs/flux (Apache-2.0, commit 802fb47). diffusers splits the
joined projections, and has scale and shift of the last norm the other way round; its own converter
(`convert_flux_transformer_checkpoint_to_diffusers`) does the same for the published width only. Files in 8 bits keep a
factor beside each matrix (`scale_weight`, `weight_scale`), or none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from lib_faceid.errors import FileError, WrongFamilyError
from lib_faceid.hosts.diffusers.network_sizes import Config, Shapes

__all__ = [
    "MARK",
    "PACKED",
    "PREFIX",
    "diffusers_names",
    "is_flux_file",
    "transformer_config",
    "unscaled",
    "without_prefix",
]

PREFIX = "model.diffusion_model."
MARK = "double_blocks.0.img_attn.qkv.weight"
FACTORS = (".scale_weight", ".weight_scale")
PACKED = 4  # latents in one place of the picture
_MLP = {"0": "net.0.proj", "2": "net.2"}
_STREAMS = {"img": ("norm1", "ff", "to_{}", "to_out.0", "norm_"), "txt": (
    "norm1_context", "ff_context", "add_{}_proj", "to_add_out", "norm_added_",
)}  # fmt: skip
_WHOLE = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
}


def is_flux_file(names: Mapping[str, object]) -> bool:
    """Say whether these are the tensors of a file with a FLUX.1 transformer."""
    return any(prefix + MARK in names for prefix in ("", PREFIX))


def without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a transformer's tensors by their own names: of a file with all parts, or of one with nothing else."""
    prefix = PREFIX if PREFIX + MARK in state else ""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def transformer_config(shapes: Shapes, name: str) -> Config:
    """Return the arguments of `diffusers.FluxTransformer2DModel`, for names without the prefix; name: the file's.

    Raises FileError where a part is missing, WrongFamilyError for a FLUX.1 that needs more than a prompt.
    """
    try:
        head = shapes["double_blocks.0.img_attn.norm.query_norm.scale"][0]
        inner, channels = shapes["img_in.weight"]
        out = shapes["final_layer.linear.weight"][0]
        context, pooled = shapes["txt_in.weight"][1], shapes["vector_in.in_layer.weight"][1]
    except (KeyError, IndexError, ValueError) as error:
        raise FileError(
            f"{name} is no whole FLUX.1 checkpoint (there is no tensor {error} in it). Use one from black-forest-labs, "
            "or in its layout."
        ) from error
    if channels != out:
        raise WrongFamilyError(
            f"{name} is a FLUX.1 that reads a picture beside the prompt (Fill, Depth or Canny). Choose FLUX.1 [dev] or "
            "[schnell]."
        )
    side = head * 7 // 16 // 2 * 2
    return {
        "in_channels": channels,
        "num_layers": _count(shapes, "double_blocks"),
        "num_single_layers": _count(shapes, "single_blocks"),
        "attention_head_dim": head,
        "num_attention_heads": inner // head,
        "joint_attention_dim": context,
        "pooled_projection_dim": pooled,
        "guidance_embeds": "guidance_in.in_layer.weight" in shapes,
        "axes_dims_rope": (head - 2 * side, side, side),  # 16, 56, 56 in every published file
    }


def diffusers_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a transformer's tensors, whose names have no prefix, under diffusers' names; others are left out."""
    return dict(pair for name, tensor in state.items() for pair in _renamed(name, tensor))


def unscaled(state: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Return tensors in a dtype, each matrix of 8 bits times the factor that is kept beside it.

    Raises WrongFamilyError for weights of 4 bits, which need a library of their own.
    """
    if packed := next(
        (name for name in state if re.search(r"\.(quant_state|absmax|bitsandbytes|qweight)", name)), None
    ):
        raise WrongFamilyError(
            f"The checkpoint is in 4 bits ({packed}), which cannot be read here. Use a file in 16 or 8 bits."
        )
    factors = {
        name.removesuffix(ending) + ".weight": tensor
        for ending in FACTORS
        for name, tensor in state.items()
        if name.endswith(ending)
    }
    return {
        name: tensor.to(dtype) * factors[name].to(dtype) if name in factors else tensor.to(dtype)
        for name, tensor in state.items()
        if not name.endswith((*FACTORS, ".scale_input", ".input_scale")) and tensor.numel()
    }


def _count(shapes: Shapes, kind: str) -> int:
    return len({name.split(".")[1] for name in shapes if name.startswith(f"{kind}.")})


def _renamed(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    part, _, kind = name.rpartition(".")
    if part in _WHOLE:
        yield f"{_WHOLE[part]}.{kind}", tensor
    elif part == "final_layer.adaLN_modulation.1":
        yield f"norm_out.linear.{kind}", torch.cat(tensor.chunk(2)[::-1])
    elif match := re.fullmatch(r"double_blocks\.(\d+)\.(img|txt)_(.+)", part):
        yield from _of_double(f"transformer_blocks.{match[1]}", match[2], match[3], kind, tensor)
    elif match := re.fullmatch(r"single_blocks\.(\d+)\.(.+)", part):
        yield from _of_single(f"single_transformer_blocks.{match[1]}", match[2], kind, tensor)


def _of_double(block: str, stream: str, part: str, kind: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    norm, feed_forward, projection, out, qk = _STREAMS[stream]
    if part == "mod.lin":
        yield f"{block}.{norm}.linear.{kind}", tensor
    elif part == "attn.qkv":
        for which, each in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{block}.attn.{projection.format(which)}.{kind}", each
    elif part == "attn.proj":
        yield f"{block}.attn.{out}.{kind}", tensor
    elif match := re.fullmatch(r"attn\.norm\.(query|key)_norm", part):
        yield f"{block}.attn.{qk}{match[1][0]}.weight", tensor
    elif match := re.fullmatch(r"mlp\.([02])", part):
        yield f"{block}.{feed_forward}.{_MLP[match[1]]}.{kind}", tensor


def _of_single(block: str, part: str, kind: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    if part == "modulation.lin":
        yield f"{block}.norm.linear.{kind}", tensor
    elif part == "linear1":  # queries, keys, values and the feed forward, which is four times as wide
        inner = len(tensor) // 7
        for which, each in zip("qkv", tensor[: 3 * inner].chunk(3), strict=True):
            yield f"{block}.attn.to_{which}.{kind}", each
        yield f"{block}.proj_mlp.{kind}", tensor[3 * inner :]
    elif part == "linear2":
        yield f"{block}.proj_out.{kind}", tensor
    elif match := re.fullmatch(r"norm\.(query|key)_norm", part):
        yield f"{block}.attn.norm_{match[1][0]}.weight", tensor
