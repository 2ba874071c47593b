"""The UNet's tensors as Stability's `ldm` (SD 1.5) and `sgm` (SDXL) name them."""

from __future__ import annotations

from lib_faceid.miniature.sizes import LATENT, UNetSizes
from lib_faceid.miniature.tree import Tree, conv, linear, norm, numbered

__all__ = ["unet_tree"]


def unet_tree(sizes: UNetSizes) -> Tree:
    """Return the UNet (`openaimodel.UNetModel`)."""
    first, deepest = sizes.channels, sizes.channels * sizes.mult[-1]
    time = 4 * first
    inputs, skips = _unet_inputs(sizes)
    label = {"label_emb": {"0": {"0": linear(sizes.adm, time), "2": linear(time, time)}}} if sizes.adm else {}
    return {
        "time_embed": {"0": linear(first, time), "2": linear(time, time)},
        **label,
        "input_blocks": numbered(inputs),
        "middle_block": {
            "0": _residual(deepest, deepest, time),
            "1": _transformer(deepest, sizes.middle_depth, sizes),
            "2": _residual(deepest, deepest, time),
        },
        "output_blocks": numbered(_unet_outputs(sizes, skips)),
        "out": {"0": norm(first), "2": conv(first, LATENT)},
    }


def _unet_inputs(sizes: UNetSizes) -> tuple[list[Tree], list[int]]:
    """Return the input blocks, and the channels that each hands to its output block."""
    channels = sizes.channels
    blocks: list[Tree] = [{"0": conv(sizes.inputs, channels)}]
    skips = [channels]
    for level, (mult, depth) in enumerate(zip(sizes.mult, sizes.depth, strict=True)):
        if level:
            blocks.append({"0": {"op": conv(channels, channels)}})
            skips.append(channels)
        for _ in range(sizes.blocks_per_level):
            out = sizes.channels * mult
            blocks.append(_with_attention(_residual(channels, out, 4 * sizes.channels), out, depth, sizes))
            skips.append(channels := out)
    return blocks, skips


def _unet_outputs(sizes: UNetSizes, skips: list[int]) -> list[Tree]:
    channels, waiting = sizes.channels * sizes.mult[-1], list(skips)
    blocks: list[Tree] = []
    for level in reversed(range(len(sizes.mult))):
        out, depth = sizes.channels * sizes.mult[level], sizes.depth[level]
        for _ in range(sizes.blocks_per_level + 1):
            residual = _residual(channels + waiting.pop(), out, 4 * sizes.channels)
            blocks.append(_with_attention(residual, out, depth, sizes))
            channels = out
        if level:
            blocks[-1] = {
                **blocks[-1],
                str(len(blocks[-1])): {"conv": conv(out, out)},
            }  # the upsampler comes last
    return blocks


def _with_attention(residual: Tree, channels: int, depth: int, sizes: UNetSizes) -> Tree:
    return {"0": residual, "1": _transformer(channels, depth, sizes)} if depth else {"0": residual}


def _residual(into: int, out: int, time: int) -> Tree:
    skip = {"skip_connection": conv(into, out, 1)} if into != out else {}
    return {
        "in_layers": {"0": norm(into), "2": conv(into, out)},
        "emb_layers": {"1": linear(time, out)},
        "out_layers": {"0": norm(out), "3": conv(out, out)},
        **skip,
    }


def _transformer(channels: int, depth: int, sizes: UNetSizes) -> Tree:
    project = linear(channels, channels) if sizes.linear_projection else conv(channels, channels, 1)
    block = {
        "attn1": _attention(channels, channels),
        "ff": {"net": {"0": {"proj": linear(channels, 8 * channels)}, "2": linear(4 * channels, channels)}},
        "attn2": _attention(channels, sizes.context),
        **{f"norm{i}": norm(channels) for i in (1, 2, 3)},
    }
    blocks = numbered([block] * depth)
    return {"norm": norm(channels), "proj_in": project, "transformer_blocks": blocks, "proj_out": project}


def _attention(channels: int, context: int) -> Tree:
    keys_values = {name: {"weight": (channels, context)} for name in ("to_k", "to_v")}
    return {
        "to_q": {"weight": (channels, channels)},
        **keys_values,
        "to_out": {"0": linear(channels, channels)},
    }
