"""Miniature adapters: every variant's tensors under the published names, made to fit the miniature UNets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_faceid.miniature.sizes import MINIATURE, UNetSizes
from lib_faceid.miniature.tree import Shape, Tree, flatten, linear, norm, numbered
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["FULL", "SMALL", "ProjectionSizes", "adapter_shapes", "published_name", "write_adapter"]

# Of the recogniser's vectors, of CLIP ViT-H's hidden states, and of the image embeds that a variant reads.
ID_DIM, CLIP_DIM = 512, 1280
EMBEDS_DIM = {"ip_adapter": 1024, "ip_adapter_vit_g": 1280}

_TOKENS = {
    "faceid": 4,
    "plus": 4,
    "plusv2": 4,
    "portrait": 16,
    "portrait_unnorm": 16,
    "instantid": 16,
    "ip_adapter": 4,
    "ip_adapter_vit_g": 4,
    "ip_adapter_plus": 16,
}
_FLOAT32 = {"portrait_unnorm": "image_proj.", "instantid": ""}  # as published: all that tells the one from the other
_WITH_LORA = {"faceid", "plus", "plusv2"}
_PUBLISHED_NAMES = {
    "faceid": "ip-adapter-faceid_{family}",
    "plus": "ip-adapter-faceid-plus_{family}",
    "plusv2": "ip-adapter-faceid-plusv2_{family}",
    "portrait": "ip-adapter-faceid-portrait_{family}",
    "portrait_unnorm": "ip-adapter-faceid-portrait_{family}_unnorm",
    "instantid": "ip-adapter_instant_id_{family}",
    "ip_adapter": "ip-adapter_{family}",
    "ip_adapter_vit_g": "ip-adapter_{family}_vit-G",
    "ip_adapter_plus": "ip-adapter-plus_{family}",
}
# Those for SDXL name ViT-H where they read it: the first one, without a name, read ViT-bigG.
_NAMES_FOR_SDXL = {
    "ip_adapter": "ip-adapter_sdxl_vit-h",
    "ip_adapter_vit_g": "ip-adapter_sdxl",
    "ip_adapter_plus": "ip-adapter-plus_sdxl_vit-h",
}

# The recogniser's vectors have length 1, so the first layer multiplies them up; the LoRA is to nudge only.
_GAINS = {r"proj\.0\.weight": ID_DIM**0.5, r"_lora\.up": 0.1, r"to_v_ip": 0.35}


@dataclass(frozen=True)
class ProjectionSizes:
    """What may be smaller in an image_proj without changing its layout; None is as wide as the tokens."""

    hidden: int
    depth: int
    inner: int | None
    """Width of the perceiver's attention: its heads, 64 wide each."""
    widening: float
    """Width of the perceiver's feed-forward layers, in times the tokens' width."""


SMALL = ProjectionSizes(hidden=512, depth=2, inner=128, widening=0.125)
FULL = ProjectionSizes(hidden=1024, depth=4, inner=None, widening=4)


def write_adapter(
    path: Path,
    variant: str,
    family: str,
    *,
    seed: int = 0,
    rank: int = 8,
    projection: ProjectionSizes = SMALL,
) -> Path:
    """Write an adapter for the miniature UNet of family "sd15" or "sdxl", and return its path.

    The extension decides the layout: flat names in a `.safetensors`, a nested dict in a `.bin`. As in the
    published files, only the name (`published_name`) tells Plus from Plus v2.
    """
    shapes = adapter_shapes(variant, MINIATURE[family].unet, rank, projection)
    tensors = random_weights(shapes, seed, _GAINS)
    if variant in _FLOAT32:
        tensors = {key: t.float() if key.startswith(_FLOAT32[variant]) else t for key, t in tensors.items()}
    if path.suffix == ".safetensors":
        return write_safetensors(path, tensors)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(_nested(tensors), path)
    return path


def published_name(variant: str, family: str) -> str:
    """Return what the published file of that variant is called, without extension."""
    special = _NAMES_FOR_SDXL if family == "sdxl" else {}
    return special.get(variant) or _PUBLISHED_NAMES[variant].format(family=family)


def adapter_shapes(variant: str, unet: UNetSizes, rank: int, projection: ProjectionSizes) -> dict[str, Shape]:
    """Return the name and shape of each tensor of an adapter for that UNet."""
    image_proj = _image_proj(variant, unet.context, projection)
    layers: dict[str, Tree] = {}
    for index, channels in enumerate(unet.attention_channels):
        # Even numbers are the self-attention of a transformer block, odd ones its cross-attention.
        layers[str(2 * index)] = _lora(channels, channels, rank) if variant in _WITH_LORA else {}
        layers[str(2 * index + 1)] = {
            "to_k_ip": {"weight": (channels, unet.context)},
            "to_v_ip": {"weight": (channels, unet.context)},
            **(_lora(channels, unet.context, rank) if variant in _WITH_LORA else {}),
        }
    return flatten({"image_proj": image_proj, "ip_adapter": layers})


def _lora(channels: int, context: int, rank: int) -> Tree:
    inputs = {"q": channels, "k": context, "v": context, "out": channels}
    return {
        f"to_{kind}_lora": {"down": {"weight": (rank, into)}, "up": {"weight": (channels, rank)}}
        for kind, into in inputs.items()
    }


def _image_proj(variant: str, width: int, sizes: ProjectionSizes) -> Tree:
    if variant in _FLOAT32:
        dim = CLIP_DIM if sizes == FULL else 128
        return {"latents": (1, _TOKENS[variant], dim), **_perceiver(dim, ID_DIM, width, sizes)}
    if variant in EMBEDS_DIM:
        return {"proj": linear(EMBEDS_DIM[variant], width * _TOKENS[variant]), "norm": norm(width)}
    if variant == "ip_adapter_plus":
        dim = min(width, CLIP_DIM)  # SD 1.5's own width; SDXL's file has CLIP's
        return {"latents": (1, _TOKENS[variant], dim), **_perceiver(dim, CLIP_DIM, width, sizes)}
    mlp = {"0": linear(ID_DIM, sizes.hidden), "2": linear(sizes.hidden, width * _TOKENS[variant])}
    resampler = {"perceiver_resampler": _perceiver(width, CLIP_DIM, width, sizes)} if "plus" in variant else {}
    return {"proj": mlp, "norm": norm(width), **resampler}


def _perceiver(dim: int, context: int, out: int, sizes: ProjectionSizes) -> Tree:
    inner, wide = sizes.inner or dim, int(dim * sizes.widening)
    attention = {
        "norm1": norm(dim),
        "norm2": norm(dim),
        "to_q": {"weight": (inner, dim)},
        "to_kv": {"weight": (2 * inner, dim)},
        "to_out": {"weight": (dim, inner)},
    }
    feed_forward = {"0": norm(dim), "1": {"weight": (wide, dim)}, "3": {"weight": (dim, wide)}}
    return {
        "proj_in": linear(context, dim),
        "proj_out": linear(dim, out),
        "norm_out": norm(out),
        "layers": numbered([{"0": attention, "1": feed_forward}] * sizes.depth),
    }


def _nested(tensors: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in tensors.items():
        part, name = key.split(".", 1)
        nested[part][name] = tensor
    return nested
