"""Real UNet classes that nobody here wrote, narrow and with random weights, and people to put into them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from builders import LDM_CHANNELS, SD15, SDXL, SDXL_CHANNELS, Source, parts_of, sd15_widths, write
from torch import Tensor, nn

from lib_faceid.effects.injection import Contribution, inject
from lib_faceid.methods.adapter import Adapter
from lib_faceid.methods.loading import load_adapter
from lib_faceid.miniature.sizes import PUBLISHED
from lib_faceid.miniature.tree import flatten
from lib_faceid.miniature.unet import unet_tree
from lib_faceid.references.identity import Identity

__all__ = [
    "SMALL",
    "adapter_for",
    "call",
    "diffusers_copy",
    "drawn",
    "identity_of",
    "inputs",
    "ldm_unet",
    "published_names",
    "randomise",
    "sdxl_unet",
    "snapshot",
]

SMALL = 32  # channels, where numbers matter less than time


def randomise(module: nn.Module, seed: int) -> None:
    """Give every parameter a random value: those that start from zero would hide what lies behind them."""
    source = Source(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1:
                parameter.copy_(source.bias(parameter.numel()) + float(name.endswith("weight")))
            else:
                parameter.copy_(source.weight(len(parameter), parameter[0].numel()).view_as(parameter))


def ldm_unet(context_dim: int = SD15, channels: int = LDM_CHANNELS) -> nn.Module:
    """Return Stability's own UNet in the shape of SD 1.5 (2.x has context 1024); skip where it is missing."""
    openaimodel = pytest.importorskip("ldm.modules.diffusionmodules.openaimodel")
    unet = openaimodel.UNetModel(
        image_size=32,
        in_channels=4,
        out_channels=4,
        model_channels=channels,
        attention_resolutions=[4, 2, 1],
        num_res_blocks=2,
        channel_mult=[1, 2, 4, 4],
        num_heads=8,
        use_spatial_transformer=True,
        transformer_depth=1,
        context_dim=context_dim,
        use_checkpoint=False,
        legacy=False,
    )
    randomise(unet, seed=1)
    return unet.eval().requires_grad_(False)


def diffusers_copy(unet: nn.Module) -> nn.Module:
    """Return diffusers' UNet with the weights of a UNet of `ldm_unet`, converted by diffusers itself."""
    diffusers = pytest.importorskip("diffusers")
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    channels = cast("int", unet.model_channels)
    copied = diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(channels, 2 * channels, 4 * channels, 4 * channels),
        cross_attention_dim=SD15,
        attention_head_dim=8,
    )
    prefixed = {f"model.diffusion_model.{key}": tensor for key, tensor in unet.state_dict().items()}
    copied.load_state_dict(convert_ldm_unet_checkpoint(prefixed, dict(copied.config)), strict=True)
    return copied.eval().requires_grad_(False)


def sdxl_unet() -> nn.Module:
    """Return diffusers' UNet in the shape of SDXL: 70 transformer blocks, in depths of 2 and 10."""
    diffusers = pytest.importorskip("diffusers")
    unet = diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=SDXL_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(2, 4, 8),
        cross_attention_dim=SDXL,
        use_linear_projection=True,
    )
    randomise(unet, seed=2)
    return unet.eval().requires_grad_(False)


def published_names(family: str) -> nn.Module:
    """A UNet of which only the names of its attention layers are there, as Stability's checkpoints have them."""
    unet = nn.Module()
    for key in flatten(unet_tree(PUBLISHED[family].unet)):
        if key.endswith("to_q.weight"):
            at = unet
            for name in key.removesuffix(".weight").split("."):
                if name not in at._modules:
                    at.add_module(name, nn.Module())
                at = at.get_submodule(name)
    return unet


def inputs(cross_dim: int = SD15, rows: int = 2, *, seed: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    """Return latents, step numbers and contexts: the same latent in every row, another context in each."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, 4, 16, 16, generator=generator).repeat(rows, 1, 1, 1)
    return latents, torch.full((rows,), 500), torch.randn(rows, 77, cross_dim, generator=generator)


@torch.no_grad()
def call(
    unet: nn.Module, arguments: tuple[Tensor, Tensor, Tensor], dtype: torch.dtype | None = None, **more: Any
) -> Tensor:
    """Return the prediction of a UNet of `ldm` or diffusers."""
    latents, steps, context = arguments
    latents, context = latents.to(dtype), context.to(dtype)
    if hasattr(unet, "input_blocks"):
        return unet(latents, timesteps=steps, context=context, **more)
    return unet(latents, steps, encoder_hidden_states=context, **more).sample


def identity_of(seed: int, *, faces: int = 1, clip: bool = False) -> Identity:
    """Return a made-up person, whose vectors are as long as a recogniser's: forgetting to norm them shows."""
    generator = torch.Generator().manual_seed(1000 + seed)
    vectors = torch.randn(faces, 512, generator=generator)
    if not clip:
        return Identity(vectors)
    hidden = torch.randn(faces, 257, 1280, generator=generator)
    blank = torch.randn(257, 1280, generator=torch.Generator().manual_seed(999))
    return Identity(vectors, hidden, blank)


def adapter_for(folder: Path, variant: str = "faceid", *, seed: int = 0, channels: int = SMALL) -> Adapter:
    """Return a random SD 1.5 adapter, loaded from a file, that fits `ldm_unet` of as many channels."""
    path = folder / f"{variant}-{seed}-{channels}.safetensors"
    if not path.exists():
        write(parts_of(variant, SD15, seed=seed, widths=sd15_widths(channels)), path)
    return load_adapter(path, variant)


def snapshot(unet: nn.Module) -> dict[tuple[str, str], Any]:
    """Return whatever hooks, replaced methods and weights leave on modules."""
    found: dict[tuple[str, str], Any] = {}
    for name, module in unet.named_modules():
        for attribute, value in vars(module).items():
            if "hook" in attribute:
                found[name, attribute] = dict(value) if isinstance(value, dict) else value
        found[name, "replaced"] = [key for key in ("forward", "__call__", "_call_impl") if key in vars(module)]
        for key, parameter in module.named_parameters(recurse=False):
            found[name, key] = (parameter.data_ptr(), parameter._version)
    return found


def drawn(unet: nn.Module, *contributions: Contribution, rows: tuple[int, ...] = (0, 1)) -> Tensor:
    with inject(unet, contributions) as injection:
        injection.set_rows(rows)
        return call(unet, inputs(rows=len(rows)))
