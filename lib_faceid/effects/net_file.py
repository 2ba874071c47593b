"""The file of a ControlNet or T2I-Adapter: read when a UNet needs it, checked against that UNet, and in memory once.

Whoever uses it uses the same.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from lib_faceid.effects.controlnet import ControlNet, controlnet_of
from lib_faceid.effects.net_names import named_as_diffusers
from lib_faceid.effects.t2i_adapter import T2IAdapter, require_places, t2i_adapter_of
from lib_faceid.effects.t2i_names import is_t2i_adapter
from lib_faceid.errors import HostError, MismatchError
from lib_faceid.models.checkpoint import read_whole
from lib_faceid.models.numbers import check_finite, check_floats
from lib_faceid.models.shards import fingerprint_of
from lib_faceid.unet.layers import AttentionLayer, attention_layers

__all__ = ["NetFile", "dtype_of", "net_file"]

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


class NetFile:
    """One ControlNet or T2I-Adapter. Nothing is read before it is asked for.

    What was placed on a device goes with the last user.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self._network: tuple[tuple[object, ...], ControlNet] | None = None

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """The file's tensors by diffusers' names, mapped from the disk. Raises FileError."""
        tensors = named_as_diffusers(self.path.name, read_whole(self.path).tensors)
        check_floats(self.path.name, tensors.items())
        check_finite(self.path.name, tensors.items())
        return tensors

    @property
    def is_t2i(self) -> bool:
        """Whether it is a T2I-Adapter. Raises FileError."""
        return is_t2i_adapter(self.tensors)

    @cached_property
    def _adapter(self) -> T2IAdapter:
        return t2i_adapter_of(self.tensors, self.path.name)

    def t2i_adapter(self, unet: nn.Module) -> T2IAdapter:
        """Return the network of a T2I-Adapter.

        Raises FileError for a damaged file, MismatchError for one that was made for another UNet, HostError for a UNet
        that takes no maps within its way down.
        """
        if not hasattr(unet, "down_blocks"):
            raise HostError(f"{self.path.name} is a T2I-Adapter, which UNets of diffusers alone take. Leave it out.")
        require_places(self._adapter, self.path.name, unet)
        return self._adapter

    def network(self, unet: nn.Module) -> ControlNet:
        """Return the network of a ControlNet, with as many attention heads as the UNet has.

        Raises FileError for a damaged file, MismatchError for one that was made for another UNet.
        """
        layers = attention_layers(unet)
        heads = {layer.hidden_dim: layer.heads for layer in layers}
        key = tuple(sorted(heads.items()))
        if self._network is None or self._network[0] != key:
            self._network = key, controlnet_of(self.tensors, self.path.name, heads)
        _require_fit(self._network[1], self.path.name, unet, layers)
        return self._network[1]


def net_file(path: Path) -> NetFile:
    """Return the net of a file: the same object as long as anybody uses it."""
    key = (path, fingerprint_of(path))
    found = _used.get(key)
    if found is None:
        found = _used[key] = NetFile(path)
    return found


_used: WeakValueDictionary[tuple[Path, str], NetFile] = WeakValueDictionary()


def dtype_of(unet: nn.Module) -> torch.dtype:
    """Return the dtype in which a UNet computes; half, where its weights are kept in fewer bits."""
    found = next((one.dtype for one in unet.parameters() if one.is_floating_point()), torch.float32)
    return found if found in FLOATS else torch.float16


def _require_fit(net: ControlNet, name: str, unet: nn.Module, layers: tuple[AttentionLayer, ...]) -> None:
    """Raise MismatchError unless the net's maps are the UNet's, and its context is as wide."""
    expected = _shape_of(unet, layers)
    found = net.conv_in.out_channels, len(net.controlnet_down_blocks), net.context_dim or expected[2]
    if found != expected:
        raise MismatchError(
            f"{name} is a ControlNet for another UNet: it has {found[0]} channels, {found[1]} maps and a context of "
            f"{found[2]}, and the checkpoint {expected[0]}, {expected[1]} and {expected[2]}. Use the file for it."
        )


def _shape_of(unet: nn.Module, layers: tuple[AttentionLayer, ...]) -> tuple[int, int, int]:
    """Return a UNet's first channels, how many maps its way down has, and how wide its context is."""
    context = next(layer.context_dim for layer in layers if layer.is_cross)
    if hasattr(unet, "input_blocks"):  # `ldm` and `sgm`
        blocks: Any = unet.input_blocks
        return blocks[0][0].out_channels, len(blocks), context
    levels: Any = unet.down_blocks
    maps = 1 + sum(len(one.resnets) + len(one.downsamplers or ()) for one in levels)
    first: Any = unet.conv_in
    return first.out_channels, maps, context
