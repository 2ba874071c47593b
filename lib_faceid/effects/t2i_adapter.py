"""A T2I-Adapter, run by ourselves: what it makes of a picture is added to a UNet within its way down.

Mou et al. 2023 (https://arxiv.org/abs/2302.08453): a few convolutions that see the picture alone, neither the latents
nor the prompt nor the step. So it runs once for a picture, where a ControlNet runs in every step. Plain torch, under
the names of diffusers' files; `t2i_names.py` brings TencentARC's under them.
"""

from __future__ import annotations

from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.effects.controlnet_blocks import State, below, conv, count
from lib_faceid.errors import FileError, MismatchError

__all__ = ["LATENT_PX", "PREFIX", "SDXL_PX", "Place", "T2IAdapter", "picture_px", "require_places", "t2i_adapter_of"]

PREFIX = "adapter."
"""How the names of its tensors begin in diffusers' layout."""
LATENT_PX = 8  # pixels of the picture in one of the latents, along a side
SD15_PX, SDXL_PX = 8, 16
INPUTS = {pixels**2 * channels: (channels, pixels) for pixels in (SD15_PX, SDXL_PX) for channels in (1, 3)}
"""What the first convolution reads -> channels of the picture, and how many pixels of a side are made one."""
TRIED_PX = 4 * SDXL_PX
MOST_LEVELS = 16  # 4 in every published file
SDXL_HALVING = 2  # of an adapter for SDXL, the one block that halves the map; of the others all but the first do


class Place(NamedTuple):
    """Where a map is added: to so many channels of a map so many times smaller than the latents."""

    channels: int
    halved: int


class T2IAdapter(nn.Module):
    """The network of one file, full or light, in whatever sizes it has."""

    def __init__(self, state: State) -> None:
        """Take weights, by diffusers' names without their beginning, of which only the shapes count here."""
        super().__init__()
        first, body = below(state, "conv_in."), below(state, "body.")
        if count(body) > MOST_LEVELS:
            raise ValueError(f"its body counts {count(body)} parts")
        levels = [below(body, f"{at}.") for at in range(count(body))]
        self.channels, self.picture_px = INPUTS[(first or below(levels[0], "in_conv."))["weight"].shape[1]]
        """Of the picture that it sees, 1 or 3; and how many of its pixels become one, along a side."""
        self.conv_in = conv(first) if first else nn.Identity()
        halving = [at == SDXL_HALVING if first and self.picture_px == SDXL_PX else at > 0 for at in range(len(levels))]
        self.body = nn.ModuleList(_Level(one, halves=half) for one, half in zip(levels, halving, strict=True))
        channels = [int(level.channels) for level in self.body]  # type: ignore[arg-type]  # of a _Level
        sizes = accumulate((1 + half for half in halving), mul)
        self.places = tuple(map(Place, channels, (size * self.picture_px // LATENT_PX for size in sizes)))
        """Where its maps are added, in their order."""

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Return its maps of pictures [B, channels, H, W] from 0 to 1, whose sides it divides."""
        found = self.conv_in(functional.pixel_unshuffle(picture, self.picture_px))
        maps: list[Tensor] = []
        for level in self.body:
            found = level(found)
            maps.append(found)
        return tuple(maps)


class _Level(nn.Module):
    """The blocks of one size of map. A light one is narrower inside."""

    def __init__(self, state: State, *, halves: bool) -> None:
        super().__init__()
        entry, out, blocks = (below(state, start) for start in ("in_conv.", "out_conv.", "resnets."))
        self.in_conv = conv(entry) if entry else nn.Identity()
        self.resnets = nn.Sequential(*(_Residual(below(blocks, f"{at}.")) for at in range(count(blocks))))
        self.out_conv = conv(out) if out else nn.Identity()
        self.channels = (out or below(blocks, "0.block2."))["weight"].shape[0]
        self._halves = halves

    def forward(self, x: Tensor) -> Tensor:
        if self._halves:  # up, as a UNet halves an odd side
            x = functional.avg_pool2d(x, 2, 2, ceil_mode=True)
        return self.out_conv(self.resnets(self.in_conv(x)))


class _Residual(nn.Module):
    def __init__(self, state: State) -> None:
        super().__init__()
        self.block1, self.block2 = conv(below(state, "block1.")), conv(below(state, "block2."))

    def forward(self, x: Tensor) -> Tensor:
        return self.block2(functional.relu(self.block1(x))) + x


def t2i_adapter_of(tensors: State, name: str) -> T2IAdapter:
    """Return the network of a file's tensors, in their dtype, on the CPU. Raises FileError where they make none."""
    state = {key.removeprefix(PREFIX): tensor for key, tensor in tensors.items()}
    try:
        with torch.device("meta"), torch.no_grad():
            network = T2IAdapter(state)
            network(torch.empty(1, network.channels, TRIED_PX, TRIED_PX))  # whether its parts fit each other
        network.load_state_dict(dict(state), strict=True, assign=True)
    except (RuntimeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        reason = " ".join(str(error).split())[-160:]
        raise FileError(
            f"{name} is no whole T2I-Adapter in diffusers' or TencentARC's layout ({reason}). Get it again."
        ) from error
    return network.requires_grad_(False).eval()


def picture_px(tensors: State) -> int:
    """Return how many pixels of the picture an adapter makes one, along a side: 16 of those for SDXL; 0: not known."""
    state = below(tensors, PREFIX)
    first = state.get("conv_in.weight", state.get("body.0.in_conv.weight"))
    return INPUTS.get(first.shape[1], (0, 0))[1] if first is not None and first.ndim > 1 else 0


def require_places(network: T2IAdapter, name: str, unet: nn.Module) -> None:
    """Raise MismatchError unless a UNet of diffusers has a place for each of an adapter's maps, of its size."""
    places = _places_in(unet)
    if network.places != places[: len(network.places)] or len(network.places) < len(places) - 1:
        raise MismatchError(
            f"{name} is a T2I-Adapter for another UNet: its maps are {_in_words(network.places)}, and the checkpoint "
            f"takes {_in_words(places)}. Use the file for it."
        )


def _places_in(unet: Any) -> tuple[Place, ...]:
    """Return where a UNet of diffusers adds such maps: one in each block, and one in the middle.

    A block with cross-attention takes it before it halves its map, another one after (`UNet2DConditionModel.forward`).
    """
    halved, places = 1, list[Place]()
    for block in unet.down_blocks:
        after = halved * 2 if block.downsamplers else halved
        has_attention = getattr(block, "has_cross_attention", False)
        places.append(Place(block.resnets[-1].out_channels, halved if has_attention else after))
        halved = after
    return (*places, Place(places[-1].channels, halved))


def _in_words(places: tuple[Place, ...]) -> str:
    return ", ".join(f"{place.channels} at 1/{place.halved}" for place in places)
