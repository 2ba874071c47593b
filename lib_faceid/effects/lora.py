"""A LoRA that lies in an adapter's file, trained together with it: merged into the UNet while a job runs."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_number, require
from lib_faceid.errors import MismatchError
from lib_faceid.unet.layers import attention_layers

__all__ = ["LoraPair", "LoraWeights", "merge_lora", "named_lora"]


class LoraPair(NamedTuple):
    """The two factors of one layer's LoRA: its weight gets `strength * up @ down` added."""

    down: Tensor
    """[rank, in]"""
    up: Tensor
    """[out, rank]"""


@runtime_checkable
class LoraWeights(Protocol):
    """The part of an adapter that is merged into the UNet's attention weights."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the file does."""
        ...

    @property
    def base(self) -> str:
        """The base model it was made for, in words."""
        ...

    @property
    def lora_hint(self) -> str:
        """What the names of files contain that have such a LoRA alone: one that the user typed is not put in twice."""
        ...

    @property
    def lora(self) -> Mapping[int, Mapping[str, LoraPair]]:
        """Layer number -> `q`, `k`, `v`, `out` -> factors; empty where it has no LoRA."""
        ...


def named_lora(adapter: LoraWeights, unet: nn.Module) -> dict[str, LoraPair]:
    """Return the adapter's LoRA by the dotted names of this UNet's Linears (`...attn1.to_q`, `...attn2.to_out.0`).

    Raises MismatchError when a factor does not fit its layer.
    """
    layers = {layer.index: layer for layer in attention_layers(unet)}
    named: dict[str, LoraPair] = {}
    for index, pairs in adapter.lora.items():
        for kind, pair in pairs.items():
            layer = layers.get(index)
            shape = layer.shape(kind) if layer else "no such layer"
            fits = shape == (pair.up.shape[0], pair.down.shape[1]) and pair.up.shape[1] == pair.down.shape[0]
            if layer is None or not fits:
                raise MismatchError(
                    f"The LoRA in {adapter.name} does not fit this UNet (layer {index}, to_{kind}: {shape}). "
                    f"It is for {adapter.base}: choose a checkpoint of that base model."
                )
            named[f"{layer.name}.to_{kind}" + (".0" if kind == "out" else "")] = pair
    return named


@contextmanager
def merge_lora(unet: nn.Module, adapter: LoraWeights, strength: float) -> Generator[None]:
    """Add `strength * up @ down` to the UNet's attention weights, and put the very same numbers back on leaving.

    Nothing happens at strength 0, or where the adapter has no LoRA. Several may be merged at once, and leave in any
    order. The weights stay where they are in memory; what they were waits on the CPU (for SDXL 1.9 GB in half
    precision), and not on the device.

    >>> adapter, before = load_adapter("ip-adapter-faceid_sd15.safetensors"), next(unet.parameters()).clone()
    >>> with merge_lora(unet, adapter, 0.6):
    ...     noise = unet(latents, timestep, context).sample
    >>> bool((next(unet.parameters()) == before).all())
    True
    """
    require(unet, "unet", nn.Module, "the UNet itself, a torch.nn.Module such as pipeline.unet,")
    require(adapter, "adapter", LoraWeights, "an Adapter, as load_adapter(path) gives one,")
    strength = as_number(strength, "strength")
    added: list[tuple[nn.Linear, _Addition]] = []
    try:
        if strength != 0:
            for name, pair in named_lora(adapter, unet).items():
                module = unet.get_submodule(name)
                linear = cast("nn.Linear", getattr(module, "base_layer", module))
                one = _Addition(pair, strength, _aside(linear.weight.data))
                _additions.setdefault(linear, []).append(one)
                added.append((linear, one))
                _put(linear, _merged(linear.weight.data, pair, strength))
        yield
    finally:
        for linear, one in reversed(added):
            _leave(linear, one)


@dataclass(eq=False)
class _Addition:
    """What one LoRA adds to a Linear."""

    pair: LoraPair
    strength: float
    before: Tensor
    """The weight without it and those that came later, on the CPU."""


_additions: WeakKeyDictionary[nn.Linear, list[_Addition]] = WeakKeyDictionary()  # in the order in which they came


def _leave(linear: nn.Linear, one: _Addition) -> None:
    """Take an addition out; those that came after it are made anew on what was before it."""
    additions = _additions[linear]
    at = additions.index(one)
    _put(linear, one.before)
    del additions[at]
    for later in additions[at:]:
        later.before = _aside(linear.weight.data)
        _put(linear, _merged(linear.weight.data, later.pair, later.strength))


def _put(linear: nn.Linear, weight: Tensor) -> None:
    linear.weight.data.copy_(weight)  # to wherever the UNet may have moved meanwhile


def _aside(weight: Tensor) -> Tensor:
    """Return a copy on the CPU. Not in pinned memory: that is quicker twice a job, and torch never gives it back."""
    return weight.to("cpu", copy=True)


@torch.no_grad()
def _merged(weight: Tensor, pair: LoraPair, strength: float) -> Tensor:
    """Return the sum in the weight's own dtype, computed in float32: half and float8 would round twice."""
    down, up = (factor.to(device=weight.device, dtype=torch.float32) for factor in pair)
    return torch.addmm(weight.float(), up, down, alpha=strength).to(weight.dtype)
