"""Random adapters in the published layouts. The tests own them: nothing here asks the engine.

Sizes that leave a trace in the file layout are the published ones (512, 1024, 1280, 768, 2048); widths of
UNets and ranks of LoRAs are small.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

__all__ = [
    "CONTAINERS",
    "FAMILY",
    "IMAGE_FILES",
    "PAIRS",
    "PUBLISHED",
    "SD15",
    "SDXL",
    "TIES",
    "Parts",
    "Perceiver",
    "Source",
    "full_proj",
    "image_parts_of",
    "instant_id",
    "ip_adapter_layers",
    "linear_proj",
    "mlp",
    "parts_of",
    "plus",
    "published_name",
    "resampler",
    "safetensors_header",
    "sd15_widths",
    "sdxl_widths",
    "tied",
    "tiny_parts_of",
    "write",
]

State = dict[str, Tensor]
SD15, SDXL = 768, 2048
LDM_CHANNELS, SDXL_CHANNELS = 64, (32, 64, 128)  # of the UNets in unets.py


class Source:
    """Random tensors, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def weight(self, *shape: int, gain: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self._generator) * (gain / shape[-1] ** 0.5)

    def bias(self, size: int) -> Tensor:
        return torch.randn(size, generator=self._generator) * 0.1

    def linear(self, name: str, out_dim: int, in_dim: int, *, bias: bool = True) -> State:
        state = {f"{name}.weight": self.weight(out_dim, in_dim)}
        return state | {f"{name}.bias": self.bias(out_dim)} if bias else state

    def norm(self, name: str, size: int) -> State:
        return {f"{name}.weight": 1 + self.bias(size), f"{name}.bias": self.bias(size)}


def mlp(source: Source, cross_dim: int, num_tokens: int, hidden: int = 1024) -> State:
    """Return the `image_proj` of FaceID (4 tokens) or Portrait (16)."""
    return (
        source.linear("proj.0", hidden, 512)
        | source.linear("proj.2", cross_dim * num_tokens, hidden)
        | source.norm("norm", cross_dim)
    )


@dataclass(frozen=True)
class Perceiver:
    """The sizes of a stack of perceiver layers. Published ones have heads for all of `dim`, and four layers."""

    dim: int
    context_dim: int
    out_dim: int
    inner_dim: int = 0
    wide_dim: int = 0
    depth: int = 4

    def state(self, source: Source) -> State:
        dim, inner_dim, wide_dim = self.dim, self.inner_dim or self.dim, self.wide_dim or 4 * self.dim
        state = source.linear("proj_in", dim, self.context_dim) | source.linear("proj_out", self.out_dim, dim)
        state |= source.norm("norm_out", self.out_dim)
        for i in range(self.depth):
            attention, feed_forward = f"layers.{i}.0", f"layers.{i}.1"
            state |= source.norm(f"{attention}.norm1", dim) | source.norm(f"{attention}.norm2", dim)
            state |= source.linear(f"{attention}.to_q", inner_dim, dim, bias=False)
            state |= source.linear(f"{attention}.to_kv", 2 * inner_dim, dim, bias=False)
            state |= source.linear(f"{attention}.to_out", dim, inner_dim, bias=False)
            state |= source.norm(f"{feed_forward}.0", dim)
            state |= source.linear(f"{feed_forward}.1", wide_dim, dim, bias=False)
            state |= source.linear(f"{feed_forward}.3", dim, wide_dim, bias=False)
        return state


def plus(source: Source, cross_dim: int, hidden: int = 1024, inner_dim: int = 256) -> State:
    """Return the `image_proj` of FaceID Plus and Plus v2. Published ones have heads for all of `cross_dim`."""
    wide_dim = 4 * cross_dim * hidden // 1024
    resampled = Perceiver(cross_dim, 1280, cross_dim, inner_dim, wide_dim).state(source)
    return mlp(source, cross_dim, 4, hidden) | {f"perceiver_resampler.{key}": t for key, t in resampled.items()}


def resampler(source: Source, dim: int, context_dim: int, out_dim: int, num_tokens: int = 16) -> State:
    """Return the `image_proj` of Portrait unnorm or InstantID (context 512), or IP-Adapter Plus (1280)."""
    latents = source.weight(1, num_tokens, dim, gain=4)
    return {"latents": latents} | Perceiver(dim, context_dim, out_dim).state(source)


def linear_proj(source: Source, feature_dim: int, cross_dim: int, num_tokens: int = 4) -> State:
    """Return the `image_proj` of the base IP-Adapter: image embeds of 1024 (ViT-H) or 1280 (bigG)."""
    return source.linear("proj", num_tokens * cross_dim, feature_dim) | source.norm("norm", cross_dim)


def full_proj(source: Source, cross_dim: int, feature_dim: int = 1280) -> State:
    """Return the `image_proj` of IP-Adapter Full Face: a token of each hidden state."""
    return (
        source.linear("proj.0", feature_dim, feature_dim)
        | source.linear("proj.2", cross_dim, feature_dim)
        | source.norm("proj.3", cross_dim)
    )


def sd15_widths(channels: int = LDM_CHANNELS) -> list[int]:
    """Return the width of each transformer block of SD 1.5 in the files' order: down, up, middle."""
    one, two, four = channels, 2 * channels, 4 * channels
    return [one] * 2 + [two] * 2 + [four] * 2 + [four] * 3 + [two] * 3 + [one] * 3 + [four]


def sdxl_widths(channels: Sequence[int] = SDXL_CHANNELS) -> list[int]:
    """Return the width of each transformer block of SDXL in the files' order: down, up, middle."""
    _, two, four = channels
    return [two] * 4 + [four] * 20 + [four] * 30 + [two] * 6 + [four] * 10


def ip_adapter_layers(source: Source, widths: Sequence[int], cross_dim: int, rank: int = 0) -> State:
    """Return the `ip_adapter` tensors for transformer blocks of those widths, with a LoRA of that rank."""
    state: State = {}
    for block, width in enumerate(widths):
        even, odd = 2 * block, 2 * block + 1
        state[f"{odd}.to_k_ip.weight"] = source.weight(width, cross_dim)
        state[f"{odd}.to_v_ip.weight"] = source.weight(width, cross_dim)
        for index in (even, odd) if rank else ():
            for kind in ("q", "k", "v", "out"):
                in_dim = cross_dim if index == odd and kind in "kv" else width
                state[f"{index}.to_{kind}_lora.down.weight"] = source.weight(rank, in_dim)
                state[f"{index}.to_{kind}_lora.up.weight"] = source.weight(width, rank, gain=0.5)
    return state


@dataclass(frozen=True)
class Parts:
    """The two halves of an adapter file."""

    image_proj: State
    ip_adapter: State

    def nested(self) -> dict[str, State]:
        return {"image_proj": dict(self.image_proj), "ip_adapter": dict(self.ip_adapter)}

    def flat(self) -> State:
        return {f"{half}.{key}": t for half, state in self.nested().items() for key, t in state.items()}


@dataclass(frozen=True)
class Published:
    """What the published files of a variant look like."""

    image_proj: Callable[[Source, int, int], State]
    """(source, cross_dim, hidden): 1024 hidden units as published, or fewer for a small file."""
    has_lora: bool
    file_name: str
    families: tuple[int, ...] = (SD15, SDXL)


PUBLISHED: Mapping[str, Published] = {
    "plusv2": Published(plus, has_lora=True, file_name="ip-adapter-faceid-plusv2"),
    "plus": Published(plus, has_lora=True, file_name="ip-adapter-faceid-plus", families=(SD15,)),
    "portrait": Published(
        lambda source, dim, hidden: mlp(source, dim, 16, hidden),
        has_lora=False,
        file_name="ip-adapter-faceid-portrait",
    ),
    "faceid": Published(
        lambda source, dim, hidden: mlp(source, dim, 4, hidden),
        has_lora=True,
        file_name="ip-adapter-faceid",
    ),
    "portrait_unnorm": Published(
        lambda source, dim, hidden: resampler(source, max(hidden // 8, 64), 512, dim),
        has_lora=False,
        file_name="ip-adapter-faceid-portrait_unnorm",
        families=(SDXL,),
    ),
    "instantid": Published(
        lambda source, dim, hidden: resampler(source, max(hidden // 8, 64), 512, dim),
        has_lora=False,
        file_name="ip-adapter_instant_id",
        families=(SDXL,),
    ),
}


# File name of a published layout -> (variant, cross_dim, its `image_proj`). Resamplers have fewer heads than published.
IMAGE_FILES: Mapping[str, tuple[str, int, Callable[[Source], State]]] = {
    "ip-adapter_sd15": ("ip_adapter", SD15, lambda source: linear_proj(source, 1024, SD15)),
    "ip-adapter_sd15_vit-G": ("ip_adapter_vit_g", SD15, lambda source: linear_proj(source, 1280, SD15)),
    "ip-adapter-plus_sd15": ("ip_adapter_plus", SD15, lambda source: resampler(source, 128, 1280, SD15)),
    "ip-adapter-plus-face_sd15": ("ip_adapter_plus_face", SD15, lambda source: resampler(source, 128, 1280, SD15)),
    "ip-adapter-full-face_sd15": ("ip_adapter_full_face", SD15, lambda source: full_proj(source, SD15)),
    "ip_plus_composition_sd15": ("ip_adapter_composition", SD15, lambda source: resampler(source, 128, 1280, SD15)),
    "ip-adapter_sdxl": ("ip_adapter_vit_g", SDXL, lambda source: linear_proj(source, 1280, SDXL)),
    "ip-adapter_sdxl_vit-h": ("ip_adapter", SDXL, lambda source: linear_proj(source, 1024, SDXL)),
    "ip-adapter-plus_sdxl_vit-h": ("ip_adapter_plus", SDXL, lambda source: resampler(source, 128, 1280, SDXL)),
    "ip-adapter-plus_sdxl_vit-G": ("ip_adapter_plus_vit_g", SDXL, lambda source: resampler(source, 128, 1664, SDXL)),
}


def image_parts_of(file_name: str, *, seed: int = 0, widths: Sequence[int] = ()) -> Parts:
    """Return a random IP-Adapter in the layout of that file, for the UNets of unets.py or blocks of other widths."""
    _, cross_dim, image_proj = IMAGE_FILES[file_name]
    source = Source(seed)
    widths = widths or (sd15_widths() if cross_dim == SD15 else sdxl_widths())
    return Parts(image_proj(source), ip_adapter_layers(source, widths, cross_dim))


def parts_of(variant: str, cross_dim: int, *, seed: int = 0, rank: int = 4, widths: Sequence[int] = ()) -> Parts:
    """Return a random adapter of that variant for the UNets of unets.py, or for blocks of other widths."""
    published, source = PUBLISHED[variant], Source(seed)
    widths = widths or (sd15_widths() if cross_dim == SD15 else sdxl_widths())
    layers = ip_adapter_layers(source, widths, cross_dim, rank if published.has_lora else 0)
    return Parts(published.image_proj(source, cross_dim, 1024), layers)


def tiny_parts_of(variant: str, cross_dim: int, *, seed: int = 0) -> Parts:
    """Return an adapter that is right in everything but its inner widths, for tests of files; in published dtypes."""
    published, source = PUBLISHED[variant], Source(seed)
    layers = ip_adapter_layers(source, [8, 16], cross_dim, rank=2 if published.has_lora else 0)
    image_proj = published.image_proj(source, cross_dim, 8)
    if variant == "instantid":
        return Parts(image_proj, layers)
    if variant != "portrait_unnorm":  # the published one mixes dtypes
        image_proj = {key: tensor.half() for key, tensor in image_proj.items()}
    return Parts(image_proj, {key: tensor.half() for key, tensor in layers.items()})


PAIRS = [(name, dim) for name, published in PUBLISHED.items() for dim in published.families]
FAMILY = {SD15: "sd15", SDXL: "sdxl"}
# The only tensors that two variants share. A variant that makes a new tie has to say here how it is broken.
TIES = {
    ("plus", SD15): {"plusv2"},
    ("plusv2", SD15): {"plus"},
    ("portrait_unnorm", SDXL): {"instantid"},
    ("instantid", SDXL): {"portrait_unnorm"},
}


def published_name(variant: str, dim: int) -> str:
    stem = f"{PUBLISHED[variant].file_name}_{FAMILY[dim]}"
    return stem.replace("_unnorm_sdxl", "_sdxl_unnorm")


def instant_id(dtype: torch.dtype = torch.float32) -> Parts:
    source = Source(0)
    parts = Parts(resampler(source, 64, 512, SDXL), ip_adapter_layers(source, [8, 16], SDXL))
    return Parts(*({key: t.to(dtype) for key, t in half.items()} for half in (parts.image_proj, parts.ip_adapter)))


def _training_layout(parts: Parts) -> State:
    """Return what the training scripts save: the frozen UNet, the projection and the attention processors."""
    return (
        {
            "unet.conv_in.weight": torch.zeros(4, 4, 3, 3),
            "unet.down_blocks.0.resnets.0.conv1.weight": torch.zeros(1),
        }
        | {f"image_proj_model.{key}": t for key, t in parts.image_proj.items()}
        | {f"adapter_modules.{key}": t for key, t in parts.ip_adapter.items()}
    )


def _save_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def _save_safetensors(state: State, path: Path, metadata: dict[str, str] | None = None) -> None:
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, path, metadata)


CONTAINERS: Mapping[str, tuple[str, Callable[[Parts, Path], None]]] = {
    "safetensors": (".safetensors", lambda parts, path: _save_safetensors(parts.flat(), path)),
    "bin": (".bin", lambda parts, path: torch.save(parts.nested(), path)),
    "legacy bin": (".bin", lambda parts, path: _save_legacy(parts.nested(), path)),
    "legacy pth": (".pth", lambda parts, path: _save_legacy(parts.nested(), path)),
    "training": (".bin", lambda parts, path: torch.save(_training_layout(parts), path)),
    "training legacy": (".bin", lambda parts, path: _save_legacy(_training_layout(parts), path)),
    "training safetensors": (
        ".safetensors",
        lambda parts, path: _save_safetensors(_training_layout(parts), path),
    ),
    "alias safetensors": (
        ".safetensors",
        lambda parts, path: _save_safetensors(
            {k.replace("ip_adapter.", "adapter_modules."): t for k, t in parts.flat().items()}, path
        ),
    ),
    "alias bin": (
        ".bin",
        lambda parts, path: torch.save({"image_proj": parts.image_proj, "adapter_modules": parts.ip_adapter}, path),
    ),
    "no levels": (".bin", lambda parts, path: torch.save(parts.image_proj | parts.ip_adapter, path)),
}


def write(content: Parts | State, path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Write an adapter, or any tensors, as `.safetensors`, and return the path."""
    _save_safetensors(content.flat() if isinstance(content, Parts) else content, path, metadata)
    return path


def safetensors_header(path: Path) -> tuple[int, dict[str, Any]]:
    """Return where the data of a `.safetensors` file begins, and its header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return 8 + length, json.loads(file.read(length))


def tied(folder: Path, name: str, metadata: dict[str, str] | None = None) -> Path:
    return write(tiny_parts_of("plus", SD15), folder / name, metadata)
