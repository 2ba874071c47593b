"""The autoencoder's tensors, which both families name alike."""

from __future__ import annotations

from itertools import pairwise

from lib_faceid.miniature.sizes import LATENT, RGB, VAESizes
from lib_faceid.miniature.tree import Tree, conv, norm, numbered

__all__ = ["vae_tree"]


def vae_tree(sizes: VAESizes) -> Tree:
    """Return the autoencoder (`ldm.models.autoencoder.AutoencoderKL`)."""
    levels = [sizes.channels * mult for mult in sizes.mult]
    down: list[Tree] = [
        {
            "block": numbered(_vae_blocks(into, out, sizes.blocks_per_level)),
            "downsample": {"conv": conv(out, out)},
        }
        for into, out in pairwise([levels[0], *levels])
    ]
    up: list[Tree] = [
        {
            "block": numbered(_vae_blocks(into, out, sizes.blocks_per_level + 1)),
            "upsample": {"conv": conv(out, out)},
        }
        for out, into in pairwise([*levels, levels[-1]])
    ]
    down[-1] = {"block": down[-1]["block"]}  # the last of each stays at its resolution
    up[0] = {"block": up[0]["block"]}
    ends = {"mid": _vae_middle(levels[-1])}
    return {
        "encoder": {
            "conv_in": conv(RGB, levels[0]),
            "down": numbered(down),
            **ends,
            "norm_out": norm(levels[-1]),
            "conv_out": conv(levels[-1], 2 * LATENT),
        },
        "decoder": {
            "conv_in": conv(LATENT, levels[-1]),
            **ends,
            "up": numbered(up),
            "norm_out": norm(levels[0]),
            "conv_out": conv(levels[0], RGB),
        },
        "quant_conv": conv(2 * LATENT, 2 * LATENT, 1),
        "post_quant_conv": conv(LATENT, LATENT, 1),
    }


def _vae_blocks(into: int, out: int, count: int) -> list[Tree]:
    return [_vae_residual(into if i == 0 else out, out) for i in range(count)]


def _vae_residual(into: int, out: int) -> Tree:
    shortcut = {"nin_shortcut": conv(into, out, 1)} if into != out else {}
    return {
        "norm1": norm(into),
        "conv1": conv(into, out),
        "norm2": norm(out),
        "conv2": conv(out, out),
        **shortcut,
    }


def _vae_middle(channels: int) -> Tree:
    attention = {
        "norm": norm(channels),
        **{name: conv(channels, channels, 1) for name in ("q", "k", "v", "proj_out")},
    }
    block = _vae_residual(channels, channels)
    return {"block_1": block, "attn_1": attention, "block_2": block}
