"""ControlNets for the tests: random ones that fit a UNet, in both layouts, and diffusers' own of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers as installed
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from unets import randomise

from lib_faceid.effects.net_names import ONCE, RESIDUAL

diffusers: Any = installed  # it makes its names when they are asked for


def net_for(unet: Any, seed: int = 3, **sizes: Any) -> nn.Module:
    """diffusers' net for a UNet, with random numbers also where training begins with zeros. sizes: other than its."""
    names = (
        "block_out_channels", "layers_per_block", "down_block_types", "cross_attention_dim", "attention_head_dim",
        "transformer_layers_per_block", "use_linear_projection", "addition_embed_type", "addition_time_embed_dim",
        "projection_class_embeddings_input_dim",
    )  # fmt: skip
    found = diffusers.ControlNetModel(**{name: unet.config[name] for name in names} | sizes)
    randomise(found, seed)
    return found.eval().requires_grad_(False)


def write_net(net: nn.Module, path: Path) -> Path:
    """Its file in diffusers' layout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.contiguous() for key, tensor in net.state_dict().items()}, path)
    return path


def as_ldm(state: Mapping[str, Tensor], prefix: str = "control_model.") -> dict[str, Tensor]:
    """The same tensors under lllyasviel's names: the other way round than the program, block by block."""
    back = {ours: theirs for theirs, ours in {**ONCE, "middle_block.0": "mid_block.resnets.0"}.items()}
    back["mid_block.resnets.1"] = "middle_block.2"
    inner = {ours: theirs for theirs, ours in RESIDUAL.items()}
    number = 0
    for level in range(8):
        for at in range(4):
            if f"down_blocks.{level}.resnets.{at}.norm1.weight" in state:
                number += 1
                back[f"down_blocks.{level}.resnets.{at}"] = f"input_blocks.{number}.0"
                back[f"down_blocks.{level}.attentions.{at}"] = f"input_blocks.{number}.1"
        if f"down_blocks.{level}.downsamplers.0.conv.weight" in state:
            number += 1
            back[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{number}.0.op"
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        parts = key.split(".")
        if parts[0] == "controlnet_cond_embedding":
            at = {"conv_in": 0, "conv_out": 14}.get(parts[1], 2 + 2 * int(parts[2]) if parts[1] == "blocks" else 0)
            name = f"input_hint_block.{at}.{parts[-1]}"
        elif parts[0] == "controlnet_down_blocks":
            name = f"zero_convs.{parts[1]}.0.{parts[-1]}"
        else:
            start = next(one for one in sorted(back, key=len, reverse=True) if key.startswith(f"{one}."))
            rest = key.removeprefix(f"{start}.").rsplit(".", 1)
            rest[0] = inner.get(rest[0], rest[0]) if "resnets" in start else rest[0]
            name = ".".join([back[start], *rest])
        found[prefix + name] = tensor.clone()
    return found


def hint_image(size_px: tuple[int, int] = (64, 64), seed: int = 1) -> Image.Image:
    """A picture of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size_px[1], size_px[0], 3), np.uint8)
    return Image.fromarray(pixels)


def drawn_by_diffusers(modules: Mapping[str, Any], nets: list[Any], images: list[Image.Image], **asked: Any) -> Tensor:
    """The latents of diffusers' own ControlNet pipeline of these networks."""
    net = nets[0] if len(nets) == 1 else diffusers.MultiControlNetModel(nets)
    if "text_encoder_2" in modules:
        pipe = diffusers.StableDiffusionXLControlNetPipeline(**modules, controlnet=net, add_watermarker=False)
    else:
        absent: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
        pipe = diffusers.StableDiffusionControlNetPipeline(**modules, controlnet=net, **absent)
    pipe.set_progress_bar_config(disable=True)
    image = images[0] if len(nets) == 1 else images
    generator = torch.Generator("cpu").manual_seed(asked.pop("seed"))
    return pipe(image=image, generator=generator, output_type="latent", **asked).images
