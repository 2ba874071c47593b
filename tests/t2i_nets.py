"""T2I-Adapters for the tests: random ones that fit a UNet, in both layouts, and diffusers' own of the same numbers."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import diffusers as installed
import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from unets import randomise

diffusers: Any = installed  # it makes its names when they are asked for


def adapter_for(unet: Any, kind: str = "", channels: int = 3, seed: int = 3) -> nn.Module:
    """diffusers' adapter for a UNet: "light", or full as its base model has it."""
    widths = list(unet.config["block_out_channels"])
    is_sdxl = unet.config["addition_embed_type"] == "text_time"
    if kind == "light":
        widths = widths[:-1]
    elif is_sdxl:
        widths = [*widths, widths[-1]]
    name = f"{kind or 'full'}_adapter" + ("_xl" if is_sdxl and not kind else "")
    found = diffusers.T2IAdapter(
        channels, widths, 4 if kind == "light" else 2, 16 if is_sdxl else 8, name
    )  # fmt: skip
    randomise(found, seed)
    return found.eval().requires_grad_(False)


def as_tencent(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under TencentARC's names: the blocks of all levels are counted through, but in a light one."""
    is_light = any(".out_conv." in key for key in state)
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key.removeprefix("adapter.")
        if is_light:
            name = name.replace(".resnets.", ".body.")
        elif match := re.fullmatch(r"body\.(\d)\.resnets\.(\d)\.(.+)", name):
            name = f"body.{int(match[1]) * 2 + int(match[2])}.{match[3]}"
        elif match := re.fullmatch(r"body\.(\d)\.in_conv\.(.+)", name):
            name = f"body.{int(match[1]) * 2}.in_conv.{match[2]}"
        found[name] = tensor.clone()
    return found


def grey_image(size_px: tuple[int, int] = (64, 64), seed: int = 1) -> Image.Image:
    """A grey picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size_px[1], size_px[0]), np.uint8)
    return Image.fromarray(pixels)


def drawn_with(modules: Mapping[str, Any], nets: Sequence[Any], images: Sequence[Image.Image], **asked: Any) -> Tensor:
    """The latents of diffusers' own pipeline of adapters, of these networks."""
    net = nets[0] if len(nets) == 1 else diffusers.MultiAdapter(list(nets))
    if "text_encoder_2" in modules:
        pipe = diffusers.StableDiffusionXLAdapterPipeline(**modules, adapter=net)
    else:
        absent: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = diffusers.StableDiffusionAdapterPipeline(**modules, adapter=net, **absent)
    pipe.set_progress_bar_config(disable=True)
    image = images[0] if len(nets) == 1 else list(images)
    generator = torch.Generator("cpu").manual_seed(asked.pop("seed"))
    return pipe(image=image, generator=generator, output_type="latent", **asked).images


@contextmanager
def added_by_hand(
    unet: nn.Module, net: nn.Module, image: Image.Image, scale: float, steps: Sequence[int]
) -> Generator[None]:
    """Give a UNet of diffusers the maps of diffusers' adapter in these of its calls, whatever else it is given."""
    pixels = torch.from_numpy(np.array(image)[None]).permute(0, 3, 1, 2).float() / 255
    maps = [one * scale for one in net(pixels)]
    calls = 0

    def add(_: nn.Module, args: Any, kwargs: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        rows = len(args[0] if args else kwargs["sample"])
        given = [one.expand(rows, -1, -1, -1) for one in maps] if calls - 1 in steps else None
        return args, {**kwargs, "down_intrablock_additional_residuals": given}

    handle = unet.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
