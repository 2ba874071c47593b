"""A ControlNet, run by ourselves: what it adds to a UNet, for a context and a picture of our own.

Zhang et al. 2023 (https://arxiv.org/abs/2302.05543): a copy of the UNet's way down, whose maps go through 1x1
convolutions to the same places of the UNet. The WebUI has no diffusers, so this is plain torch, under the names of
diffusers' files; `net_names.py` brings the older files under them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lib_faceid.effects.controlnet_blocks import Embedding, Hint, Level, Middle, State, below, conv, count, sinusoids
from lib_faceid.errors import FileError

__all__ = ["MARK", "ControlNet", "Residuals", "context_dim", "controlnet_of", "cross_widths"]

MARK = "controlnet_cond_embedding.conv_in.weight"
"""The tensor by which a file is known."""
HEADS = 8  # of a width that the UNet does not have


class Residuals(NamedTuple):
    """What a ControlNet adds: to each map on the UNet's way down, in their order, and to the middle.

    Or what a T2I-Adapter adds, within the blocks of the way down: a `T2IAdapter`'s maps.
    """

    down: tuple[Tensor, ...] = ()
    middle: Tensor | None = None
    inside: tuple[Tensor, ...] = ()


class ControlNet(nn.Module):
    """The network of one file, in whatever sizes it has."""

    def __init__(self, state: State, heads: Mapping[int, int]) -> None:
        """Take weights of which only the shapes count here. heads: of the UNet's attention layers, by their width."""
        super().__init__()

        def heads_of(width: int) -> int:
            return heads.get(width, HEADS)

        self.conv_in = conv(below(state, "conv_in."))
        self.time_embedding = Embedding(below(state, "time_embedding."))
        if added := below(state, "add_embedding."):
            self.add_embedding = Embedding(added)
        self.controlnet_cond_embedding = Hint(below(state, "controlnet_cond_embedding."))
        levels, zeros = below(state, "down_blocks."), below(state, "controlnet_down_blocks.")
        self.down_blocks = nn.ModuleList(Level(below(levels, f"{at}."), heads_of) for at in range(count(levels)))
        self.mid_block = Middle(below(state, "mid_block."), heads_of)
        self.controlnet_down_blocks = nn.ModuleList(conv(below(zeros, f"{at}.")) for at in range(count(zeros)))
        self.controlnet_mid_block = conv(below(state, "controlnet_mid_block."))

        self.context_dim = context_dim(state)
        """0 for a small one, which reads no prompt."""

    @property
    def hint_px(self) -> int:
        """How many pixels of the picture lie in a pixel of the latents, along a side."""
        return 2 ** (len(self.controlnet_cond_embedding.blocks) // 2)

    def hint(self, picture: Tensor) -> Tensor:
        """Return what is made of the picture, pixels [B, 3, H, W] from 0 to 1: the same in every step."""
        return self.controlnet_cond_embedding(picture)

    def forward(
        self, x: Tensor, time: Tensor, context: Tensor, hint: Tensor, vector: Tensor | None = None
    ) -> Residuals:
        """Return what is added to the UNet.

        x: latents [B, 4, h, w] as the UNet gets them; time [B]; context [B, tokens, dim]; hint: of `hint`,
        [B or 1, channels, h, w]; vector [B, n]: the pooled prompt and the sizes that SDXL is told.
        """
        known = self.time_embedding(sinusoids(time, self.time_embedding.linear_1.in_features).to(x.dtype))
        if vector is not None and hasattr(self, "add_embedding"):
            known = known + self.add_embedding(vector)
        maps = [self.conv_in(x) + hint]
        for level in self.down_blocks:
            maps += level(maps[-1], known, context)
        middle = self.controlnet_mid_block(self.mid_block(maps[-1], known, context))
        pairs = zip(self.controlnet_down_blocks, maps, strict=True)
        return Residuals(tuple(zero(one) for zero, one in pairs), middle)


def controlnet_of(state: State, name: str, heads: Mapping[int, int]) -> ControlNet:
    """Return the network of a file's tensors, in their dtype, on the CPU. Raises FileError where they make none."""
    try:
        with torch.device("meta"):
            network = ControlNet(state, heads)
        network.load_state_dict(dict(state), strict=True, assign=True)
        if len(network.controlnet_down_blocks) != sum(map(_num_maps, network.down_blocks), 1):
            raise ValueError("its zero convolutions are not as many as its maps")
        if len(network.mid_block.resnets) != len(network.mid_block.attentions) + 1:
            raise ValueError("its middle is not whole")
    except (RuntimeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        reason = " ".join(str(error).split())[-160:]
        raise FileError(f"{name} is no whole ControlNet in diffusers' layout ({reason}). Get it again.") from error
    return network.requires_grad_(False).eval()


def context_dim(state: State) -> int:
    """Return how wide its context is; 0 where it reads none."""
    return next((tensor.shape[1] for key, tensor in state.items() if key.endswith(".attn2.to_k.weight")), 0)


def cross_widths(state: State) -> frozenset[int]:
    """Return the widths of its cross-attention layers."""
    return frozenset(tensor.shape[0] for key, tensor in state.items() if key.endswith(".attn2.to_q.weight"))


def _num_maps(level: nn.Module) -> int:
    return len(level.resnets) + hasattr(level, "downsamplers")  # type: ignore[arg-type]  # a ModuleList
