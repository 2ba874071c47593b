"""A miniature ControlNet in diffusers' layout, made to fit a miniature UNet: IdentityNet's file in the small."""

from __future__ import annotations

from pathlib import Path

from lib_faceid.miniature.sizes import LATENT, MINIATURE, RGB, UNetSizes
from lib_faceid.miniature.tree import Shape, Tree, conv, flatten, linear, norm, numbered
from lib_faceid.miniature.weights import random_weights, write_safetensors

__all__ = ["controlnet_shapes", "write_controlnet"]

HINT = (16, 32, 96, 256)  # channels on the picture's way to the latents, as published


def write_controlnet(path: Path, family: str, *, seed: int = 0) -> Path:
    """Write a ControlNet for the miniature UNet of family "sd15" or "sdxl", and return its path."""
    return write_safetensors(path, random_weights(controlnet_shapes(MINIATURE[family].unet), seed))


def controlnet_shapes(unet: UNetSizes) -> dict[str, Shape]:
    """Return the name and shape of each tensor of a ControlNet for that UNet."""
    first, time = unet.channels, 4 * unet.channels
    levels, maps = _levels(unet)
    deepest = first * unet.mult[-1]
    added = {"add_embedding": _embedding(unet.adm, time)} if unet.adm else {}
    return flatten(
        {
            "conv_in": conv(LATENT, first),
            "time_embedding": _embedding(first, time),
            **added,
            "controlnet_cond_embedding": _hint(first),
            "down_blocks": numbered(levels),
            "mid_block": {
                "resnets": numbered([_residual(deepest, deepest, time)] * 2),
                "attentions": numbered([_transformer(deepest, unet.middle_depth, unet)]),
            },
            "controlnet_down_blocks": numbered([conv(one, one, 1) for one in maps]),
            "controlnet_mid_block": conv(deepest, deepest, 1),
        }
    )


def _levels(unet: UNetSizes) -> tuple[list[Tree], list[int]]:
    """Return the levels of the way down, and the channels of each map."""
    channels, time = unet.channels, 4 * unet.channels
    levels: list[Tree] = []
    maps = [channels]
    for level, (mult, depth) in enumerate(zip(unet.mult, unet.depth, strict=True)):
        out = unet.channels * mult
        widths = [channels, *[out] * (unet.blocks_per_level - 1)]
        parts: dict[str, Tree] = {"resnets": numbered([_residual(one, out, time) for one in widths])}
        if depth:
            parts["attentions"] = numbered([_transformer(out, depth, unet)] * unet.blocks_per_level)
        maps += [out] * unet.blocks_per_level
        if level < len(unet.mult) - 1:
            parts["downsamplers"] = numbered([{"conv": conv(out, out)}])
            maps.append(out)
        levels.append(parts)
        channels = out
    return levels, maps


def _embedding(into: int, out: int) -> Tree:
    return {"linear_1": linear(into, out), "linear_2": linear(out, out)}


def _hint(out: int) -> Tree:
    blocks = [conv(HINT[at], HINT[at + step]) for at in range(len(HINT) - 1) for step in (0, 1)]
    return {"conv_in": conv(RGB, HINT[0]), "blocks": numbered(blocks), "conv_out": conv(HINT[-1], out)}


def _residual(into: int, out: int, time: int) -> Tree:
    shortcut = {"conv_shortcut": conv(into, out, 1)} if into != out else {}
    return {
        "norm1": norm(into),
        "conv1": conv(into, out),
        "time_emb_proj": linear(time, out),
        "norm2": norm(out),
        "conv2": conv(out, out),
        **shortcut,
    }


def _transformer(channels: int, depth: int, unet: UNetSizes) -> Tree:
    project = linear(channels, channels) if unet.linear_projection else conv(channels, channels, 1)
    block = {
        "attn1": _attention(channels, channels),
        "attn2": _attention(channels, unet.context),
        "ff": {"net": {"0": {"proj": linear(channels, 8 * channels)}, "2": linear(4 * channels, channels)}},
        **{f"norm{number}": norm(channels) for number in (1, 2, 3)},
    }
    blocks = numbered([block] * depth)
    return {"norm": norm(channels), "proj_in": project, "transformer_blocks": blocks, "proj_out": project}


def _attention(channels: int, context: int) -> Tree:
    return {
        "to_q": {"weight": (channels, channels)},
        "to_k": {"weight": (channels, context)},
        "to_v": {"weight": (channels, context)},
        "to_out": {"0": linear(channels, channels)},
    }
