"""UNets of the published sizes with random weights, one at a time, and an adapter and people that fit them."""

from __future__ import annotations

import gc
from collections.abc import Hashable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from builders import SD15, SDXL, Parts, parts_of, sd15_widths, sdxl_widths, write
from contributions import contribution
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from unets import identity_of

from lib_faceid.effects.effect import CrossAttention
from lib_faceid.effects.injection import Contribution
from lib_faceid.effects.schedule import Schedule
from lib_faceid.effects.tokens import Tokens
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.references.identity import Identity

__all__ = ["FULL", "SMALL", "Size", "Subject", "fill", "in_half_precision", "subject"]


PUBLISHED_CHANNELS = 320


@dataclass(frozen=True)
class Size:
    """How large a UNet is, and what it draws."""

    family: str
    channels: tuple[int, ...]
    side: int
    """of the latents, an eighth of the picture's"""
    rows: int = 2
    """uncond and cond of each image; one row where a call takes half a minute"""

    @property
    def label(self) -> str:
        """What a section is called."""
        size = f"{8 * self.side}x{8 * self.side}"
        return f"{self.family} {size}, {self.rows} {'rows' if self.rows > 1 else 'row'}, {self.channels[0]} channels"

    @property
    def is_published(self) -> bool:
        """Whether it is as large as what people use: a small one has little to compute beside a person."""
        return self.channels[0] == PUBLISHED_CHANNELS

    @property
    def context(self) -> int:
        """The width of the conditioning."""
        return SDXL if self.family == "SDXL" else SD15


FULL = (Size("SD 1.5", (320, 640, 1280, 1280), 64), Size("SDXL", (320, 640, 1280), 128, rows=1))
SMALL = (Size("SD 1.5", (32, 64, 128, 128), 16), Size("SDXL", (32, 64, 128), 16))


class Subject:
    """One UNet on its device, with what it is called with and who may be drawn."""

    def __init__(self, size: Size, folder: Path, device: str, dtype: torch.dtype) -> None:
        self.size = size
        self.device, self.dtype = torch.device(device), dtype
        self.unet: Any = _unet(size, self.device, dtype)
        self.parts = self.parts_with_lora(0)
        self.adapter = self.loaded(self.parts, folder / f"faceid-{size.family}-{size.channels[0]}.safetensors")
        self._step = torch.tensor(500, device=self.device)
        self._take_inputs()

    def _take_inputs(self) -> None:
        size, generator = self.size, torch.Generator().manual_seed(1)
        noise = torch.randn(1, 4, size.side, size.side, generator=generator)
        self._latents = self._here(noise.expand(size.rows, -1, -1, -1))
        self._context = self._here(torch.randn(size.rows, 77, size.context, generator=generator))
        self._more = {} if size.family == "SD 1.5" else self._of_sdxl()

    def drawing(self, side: int, images: int = 1) -> Subject:
        """Return the same UNet, called with latents of that side for so many images at once."""
        other = copy(self)
        other.size = replace(self.size, side=side, rows=self.size.rows * images)
        other._take_inputs()
        return other

    def loaded(self, parts: Parts, path: Path) -> Adapter:
        """Return an adapter with these tensors, read from a file as usual."""
        return load_adapter(write(parts, path), "faceid")

    def parts_with_lora(self, rank: int) -> Parts:
        """Return FaceID's tensors for this UNet in halves, as published, with a LoRA of that rank."""
        widths = sdxl_widths(self.size.channels) if self.size.family == "SDXL" else sd15_widths(self.size.channels[0])
        parts = parts_of("faceid", self.size.context, rank=rank, widths=widths)
        layers = {key: tensor for key, tensor in parts.ip_adapter.items() if rank or "lora" not in key}
        return in_half_precision(Parts(parts.image_proj, layers))

    @property
    def slots(self) -> tuple[int, ...]:
        """Whose rows they are: the uncond ones first, as in diffusers."""
        uncond = self.size.rows // 2
        return (0,) * uncond + (1,) * (self.size.rows - uncond)

    def person(self, seed: int, tokens: int = 4) -> Identity:
        """Return somebody with so many tokens, four for each face: as many as the variant at hand has."""
        return identity_of(seed, faces=tokens // 4)

    def contribution(self, seed: int, tokens: int = 4, **settings: Any) -> Contribution:
        """Return somebody, as a unit of the page contributes to a picture."""
        return contribution(self.adapter, [self.person(seed, tokens)], weight=0.7, **settings)

    def image(self, seed: int, tokens: int) -> Contribution:
        """Return an image prompt of so many tokens, as a unit contributes it: what they encode costs nothing here."""
        source = RandomTokens(seed, tokens, self.adapter.cross_attention_dim)
        return Contribution(CrossAttention(self.adapter, [source]), Schedule(0.7))

    @torch.inference_mode()
    def call(self, **more: Any) -> Tensor:
        """Return what the UNet predicts."""
        added = {**self._more, **more.pop("added_cond_kwargs", {})}
        return self.unet(
            self._latents, self._step, encoder_hidden_states=self._context, added_cond_kwargs=added, **more
        ).sample

    def _of_sdxl(self) -> dict[str, Tensor]:
        width = self.unet.config.projection_class_embeddings_input_dim - 6 * self.unet.config.addition_time_embed_dim
        rows, size_px = self.size.rows, 8 * self.size.side
        sizes = torch.tensor([[size_px, size_px, 0, 0, size_px, size_px]]).expand(rows, -1)
        return {"text_embeds": self._here(torch.randn(rows, width)), "time_ids": self._here(sizes)}

    def _here(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, self.dtype)


@dataclass(frozen=True)
class RandomTokens:
    """Tokens as an image adapter's network gives them, in number and size."""

    seed: int
    count: int
    width: int

    @property
    def key(self) -> Hashable:
        """What tells them from others."""
        return ("random", self.seed, self.count, self.width)

    def encode(self) -> Tokens:
        """Return them, cond and uncond."""
        generator = torch.Generator().manual_seed(self.seed)
        cond, uncond = torch.randn(2, self.count, self.width, generator=generator)
        return Tokens(cond, uncond)


def subject(size: Size, folder: Path, device: str = "cpu") -> Subject:
    """Return a UNet and its company, in half precision on a GPU. Free the one before: SDXL has 10 GB in float32."""
    gc.collect()
    return Subject(size, folder, device, torch.float32 if device == "cpu" else torch.float16)


def in_half_precision(parts: Parts) -> Parts:
    """Return the parts as they are published."""
    return Parts(*({key: tensor.half() for key, tensor in half.items()} for half in parts.nested().values()))


def fill(module: nn.Module, seed: int = 0) -> None:
    """Give each weight random values of a size that keeps numbers moderate, from one block used over and over."""
    block = torch.randn(1 << 20, generator=torch.Generator().manual_seed(seed))
    for name, parameter in module.named_parameters():
        if parameter.ndim == 1:
            parameter.data.fill_(float(name.endswith("weight")))
            continue
        scale = parameter[0].numel() ** -0.5
        for part in parameter.data.view(-1).split(len(block)):
            part.copy_(block[: len(part)]).mul_(scale)


def _unet(size: Size, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Return diffusers' UNet in the published shape. Nothing is made twice: it is built without memory first."""
    settings: dict[str, Any] = {"block_out_channels": size.channels, "cross_attention_dim": size.context}
    if size.family == "SDXL":
        settings |= {
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20) if size.is_published else (2, 4, 8),
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        }
    else:
        settings["attention_head_dim"] = 8
    with torch.device("meta"):
        unet = cast("nn.Module", UNet2DConditionModel(**settings)).to(dtype)
    if device.type != "meta":
        unet = unet.to_empty(device=device)
        fill(unet)
    return unet.eval().requires_grad_(False)
