"""The inputs behind the fixtures, the same numbers on every machine and in every version: nothing here asks the engine.

numpy's PCG64 gives the same numbers everywhere, which torch's generators do not promise.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

__all__ = [
    "CLIP_SHAPE",
    "CROSS_ATTENTION",
    "PAIRS",
    "adapter_shapes",
    "clip_hidden",
    "seeded",
    "small_unet",
    "vectors",
    "write_adapter",
]

CROSS_ATTENTION = {"sd15": 768, "sdxl": 2048}
CLIP_SHAPE = (257, 1280)
PAIRS = [
    *(("sd15", variant) for variant in ("faceid", "plus", "plusv2", "portrait")),
    *(("sdxl", variant) for variant in ("faceid", "plusv2", "portrait", "portrait_unnorm")),
]
HIDDEN, DEPTH, INNER, RANK = 16, 2, 64, 2
CHANNELS = (32, 64, 64, 64)
# Widths of the transformer blocks of `small_unet`, in the files' order: down, up, middle.
WIDTHS = [32] * 2 + [64] * 4 + [64] * 6 + [32] * 3 + [64]

Shapes = dict[str, tuple[int, ...]]


def seeded(name: str, *shape: int, gain: float = 1.0) -> Tensor:
    """Return normal float32 numbers that the name decides."""
    source = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy((source.standard_normal(shape) * gain).astype(np.float32))


def vectors(name: str, faces: int) -> Tensor:
    """Return id_embeddings [faces, 512] as long as a recogniser's."""
    return seeded(name, faces, 512)


def clip_hidden(name: str, faces: int) -> tuple[Tensor, Tensor]:
    """Return CLIP hidden states [faces, 257, 1280] and those of zeros [257, 1280], which a packer makes small."""
    tokens = seeded(f"{name} tokens", faces, CLIP_SHAPE[0], 1).half().float()
    width = torch.arange(CLIP_SHAPE[1]) % 16 / 8 - 1
    blank = (torch.arange(CLIP_SHAPE[0]) % 8 / 4)[:, None].expand(CLIP_SHAPE)
    return (tokens + width).contiguous(), blank.contiguous()


def adapter_shapes(variant: str, family: str) -> Shapes:
    """Return the tensors of a published file of that variant, right in everything but inner widths."""
    width = CROSS_ATTENTION[family]
    tokens = 16 if "portrait" in variant else 4
    if variant == "portrait_unnorm":
        shapes = {"image_proj.latents": (1, tokens, 64), **_perceiver("image_proj.", 64, 512, width)}
    else:
        shapes = {
            **_linear("image_proj.proj.0", HIDDEN, 512),
            **_linear("image_proj.proj.2", width * tokens, HIDDEN),
            **_norm("image_proj.norm", width),
        }
    if variant.startswith("plus"):
        shapes |= _perceiver("image_proj.perceiver_resampler.", width, 1280, width)
    for block, channels in enumerate(WIDTHS):
        odd = f"ip_adapter.{2 * block + 1}"
        shapes |= {f"{odd}.to_{kind}_ip.weight": (channels, width) for kind in "kv"}
        if "portrait" not in variant:
            shapes |= _lora(f"ip_adapter.{2 * block}", channels, channels) | _lora(odd, channels, width)
    return shapes


def write_adapter(folder: Path, variant: str, family: str) -> Path:
    """Write the `.safetensors` adapter into the folder under its published name, and return its path."""
    suffix = f"_{family}_unnorm" if variant == "portrait_unnorm" else f"_{family}"
    name = {"faceid": "", "portrait_unnorm": "-portrait"}.get(variant, f"-{variant}")
    path = folder / f"ip-adapter-faceid{name}{suffix}.safetensors"
    if not path.exists():
        tensors = {
            key: _value(f"{variant} {family} {key}", shape) for key, shape in adapter_shapes(variant, family).items()
        }
        if variant == "portrait_unnorm":  # the published file mixes dtypes, which InstantID does not
            tensors = {key: t if key.startswith("image_proj.") else t.half() for key, t in tensors.items()}
        save_file(tensors, path)
    return path


def small_unet() -> nn.Module:
    """Return diffusers' UNet in the shape of SD 1.5, narrow, with seeded weights."""
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8, block_out_channels=CHANNELS, cross_attention_dim=768, attention_head_dim=8
    )
    state: Mapping[str, Any] = unet.state_dict()
    unet.load_state_dict({key: _value(f"unet {key}", tuple(tensor.shape)) for key, tensor in state.items()})
    return unet.eval().requires_grad_(False)


def _value(name: str, shape: tuple[int, ...]) -> Tensor:
    if len(shape) == 1:
        return seeded(name, *shape, gain=0.1) + float("norm" in name and name.endswith("weight"))
    return seeded(name, *shape, gain=float(np.prod(shape[1:])) ** -0.5)


def _linear(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _perceiver(at: str, dim: int, context: int, out: int) -> Shapes:
    shapes = _linear(f"{at}proj_in", dim, context) | _linear(f"{at}proj_out", out, dim) | _norm(f"{at}norm_out", out)
    for layer in range(DEPTH):
        attention, feed_forward = f"{at}layers.{layer}.0", f"{at}layers.{layer}.1"
        shapes |= _norm(f"{attention}.norm1", dim) | _norm(f"{attention}.norm2", dim) | _norm(f"{feed_forward}.0", dim)
        shapes |= {
            f"{attention}.to_q.weight": (INNER, dim),
            f"{attention}.to_kv.weight": (2 * INNER, dim),
            f"{attention}.to_out.weight": (dim, INNER),
            f"{feed_forward}.1.weight": (HIDDEN, dim),
            f"{feed_forward}.3.weight": (dim, HIDDEN),
        }
    return shapes


def _lora(at: str, channels: int, context: int) -> Shapes:
    inputs = {"q": channels, "k": context, "v": context, "out": channels}
    shapes: Shapes = {}
    for kind, into in inputs.items():
        shapes[f"{at}.to_{kind}_lora.down.weight"] = (RANK, into)
        shapes[f"{at}.to_{kind}_lora.up.weight"] = (channels, RANK)
    return shapes
