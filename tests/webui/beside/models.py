"""Miniatures that only neighbours need: a ControlNet, a T2I-Adapter, their IP-Adapters, and a UNet for FreeU.

All in the layouts of the published files. Published ControlNets end in zeros before training; here nothing is zero,
so that they act.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
import torch
from safetensors.torch import load_file

from lib_faceid.miniature import FULL, sizes, write_adapter, write_checkpoint
from lib_faceid.miniature.sizes import MINIATURE, RGB, UNetSizes
from lib_faceid.miniature.tree import Tree, conv, flatten, numbered
from lib_faceid.miniature.unet import unet_tree
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["write_neighbours_models"]

HINT = (16, 16, 32, 32, 96, 96, 256)
"""Widths between the picture and the UNet: every second layer halves it, which a latent is an eighth of."""
T2I_PIXELS = RGB * 8 * 8
"""The T2I-Adapter is given 8 x 8 pixels as channels of one."""
WIDE = (1, 1, 1, 1)
"""FreeU knows levels of 1280, 640 and 320 channels only: all of this UNet's are 320 wide."""


def write_neighbours_models(models: Path) -> None:
    """Write all of them where the WebUI looks for them."""
    control = models / "ControlNet"
    for family in ("sd15", "sdxl"):
        unet = MINIATURE[family].unet
        gains = {"zero_convs|middle_block_out": 0.5}
        write_safetensors(
            control / f"mini_control_{family}.safetensors", random_weights(flatten(_controlnet(unet)), 0, gains)
        )
        _write_faceid(control / f"ip-adapter-faceid_{family}.bin", family)
    write_adapter(control / "mini_ip-adapter_sd15.safetensors", "ip_adapter", "sd15", projection=FULL)
    t2i = random_weights(flatten(_t2i_adapter(MINIATURE["sd15"].unet.channels)), 0)
    write_safetensors(control / "mini_t2iadapter_sd15.safetensors", t2i)
    with pytest.MonkeyPatch.context() as patch:
        small = MINIATURE["sd15"]
        patch.setitem(sizes.MINIATURE, "wide", replace(small, unet=replace(small.unet, channels=320, mult=WIDE)))
        write_checkpoint(models / "Stable-diffusion" / "wide_sd15.safetensors", "wide")
        write_adapter(models / "faceid" / "wide" / "ip-adapter-faceid-wide_sd15.safetensors", "faceid", "wide")


def _controlnet(unet: UNetSizes) -> Tree:
    """A ControlNet as in `control_v11p_sd15_canny.pth`: half a UNet, and a way into and out of it."""
    whole = cast("Mapping[str, Tree]", unet_tree(unet))
    halves = {name: part for name, part in whole.items() if name not in ("output_blocks", "out")}
    widths = [unet.channels]
    for level, mult in enumerate(unet.mult):
        last = level == len(unet.mult) - 1
        widths += [unet.channels * mult] * (unet.blocks_per_level + (not last))
    steps = (RGB, *HINT, unet.channels)
    hint = {str(2 * at): conv(into, out) for at, (into, out) in enumerate(pairwise(steps))}
    ways_out = numbered([{"0": conv(width, width, 1)} for width in widths])
    control = {**halves, "input_hint_block": hint, "zero_convs": ways_out}
    return {"control_model": {**control, "middle_block_out": {"0": conv(widths[-1], widths[-1], 1)}}}


def _t2i_adapter(channels: int) -> Tree:
    """A T2I-Adapter as in `t2iadapter_depth_sd14v1.pth`: two blocks for each level of the UNet."""
    widths = [channels, channels, 2 * channels, 2 * channels, *[4 * channels] * 4]
    body: list[Tree] = []
    for into, out in zip([channels, *widths], widths, strict=False):
        entry = {"in_conv": conv(into, out, 1)} if into != out else {}
        body.append({**entry, "block1": conv(out, out), "block2": conv(out, out, 1)})
    return {"conv_in": conv(T2I_PIXELS, channels), "body": numbered(body)}


def _write_faceid(path: Path, family: str) -> None:
    """A FaceID adapter for ControlNet, which takes nothing but full precision on a CPU."""
    flat = load_file(write_adapter(path.with_suffix(".safetensors"), "faceid", family, projection=FULL))
    path.with_suffix(".safetensors").unlink()
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for key, tensor in flat.items():
        part, name = key.split(".", 1)
        nested[part][name] = tensor.float()
    nested["ip_adapter"] = dict(sorted(nested["ip_adapter"].items(), key=lambda one: int(one[0].split(".")[0])))
    torch.save(nested, path)
