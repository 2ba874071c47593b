"""Layers that the VAE and the UNet have in common, with the names and constants of Stability's `ldm`.

The published networks' code is the model (https://github.com/CompVis/latent-diffusion, MIT); this is written anew, from
the names and shapes that a checkpoint needs, and a test compares what it computes with diffusers.
"""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Upsample", "conv3", "group_norm", "swish", "zeroed"]

GROUPS = 32  # of every normalisation, whatever the width: 32 channels would make each a group of its own

Network = TypeVar("Network", nn.Conv2d, nn.Linear)


def group_norm(channels: int, eps: float) -> nn.GroupNorm:
    """Return a normalisation over groups of channels."""
    return nn.GroupNorm(GROUPS, channels, eps=eps)


def conv3(into: int, out: int) -> nn.Conv2d:
    """Return a convolution that keeps the size."""
    return nn.Conv2d(into, out, 3, padding=1)


def zeroed(layer: Network) -> Network:
    """Return the layer with zeros: the last of a block starts as if the block were not there."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def swish(x: Tensor) -> Tensor:
    """Return x * sigmoid(x)."""
    return functional.silu(x)


class Upsample(nn.Module):
    """A picture twice as large, each pixel four times, and a convolution over it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return it [n, channels, 2 * h, 2 * w]."""
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))
