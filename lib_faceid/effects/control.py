"""What ControlNets and T2I-Adapters of ours add to a UNet: schedules, places, and the hooks that carry them.

No forward is replaced. In `ldm` and `sgm` the map of a level is passed on and kept for the way up, and only the copy
that is kept may be changed: it is the last part of what an output block is called with. UNets of diffusers and of Forge
take residuals as arguments (`residuals.py`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.effects.contribution import Contribution, Guide
from lib_faceid.effects.controlnet import ControlNet, Residuals
from lib_faceid.effects.controlnet_blocks import sinusoids
from lib_faceid.effects.injection import Injection, attached
from lib_faceid.effects.members import Member, members_of
from lib_faceid.effects.net_file import dtype_of
from lib_faceid.effects.net_hints import Hints
from lib_faceid.effects.residuals import arguments_of, summed
from lib_faceid.effects.t2i_adapter import LATENT_PX
from lib_faceid.effects.tokens import Tokens
from lib_faceid.unet.layers import attention_layers
from lib_faceid.unet.regions import RegionMasks, rows_of_shares
from lib_faceid.units.region import WHOLE, Box

__all__ = ["GuidedInjection", "inject_guided"]

LATENT_CHANNELS = 4  # a UNet for inpainting is given more; what was trained beside it is not


class _Call(NamedTuple):
    """What a UNet is called with."""

    x: Tensor
    time: Tensor
    """Of each row."""
    context: Tensor
    """[B, tokens, dim]: the prompt of each row."""
    vector: Tensor | None
    """What SDXL is told besides: the pooled prompt and the sizes."""


class _Net:
    """One ControlNet in one UNet: its network, its tokens for each slot if it has any, and what it follows."""

    def __init__(self, guide: Guide, unet: nn.Module, view: Box) -> None:
        self.guide = guide
        self.network: ControlNet = guide.effect.net.network(unet)
        self._dtype = dtype_of(unet)
        self._device: torch.device | None = None  # where the network was put
        tokens: list[Tokens] = [source.encode() for source in guide.effect.sources]
        self._contexts = torch.stack([tokens[0].uncond, *(one.cond for one in tokens)]) if tokens else None
        self.is_plain = not tokens
        """Whether it reads the prompt, as its UNet does."""
        px = self.network.hint_px
        self._hints = Hints(
            guide.effect.pictures, view, lambda pixels: (self.network.hint(pixels),), lambda w, h: (w * px, h * px)
        )

    def residuals(self, call: _Call, slots: Tensor, parts: Sequence[Box]) -> Residuals:
        """Return what it adds to a call for rows of these slots, which show these parts of the picture."""
        x = call.x
        if self._device != x.device:  # once, and not in each call: it asks every parameter
            self.network.to(x.device, self._dtype)
            self._device = x.device
        slots = slots.to(x.device)
        context = call.context.to(self._dtype) if self._contexts is None else self._of_slots(self._contexts, slots)
        vector = None if call.vector is None else call.vector.to(self._dtype)
        latents = x[:, :LATENT_CHANNELS].to(self._dtype)
        return self.network(latents, call.time, context, self._hints.of(latents, slots, parts)[0], vector)

    def _of_slots(self, contexts: Tensor, slots: Tensor) -> Tensor:
        """Return the tokens of each row, [B, tokens, dim]."""
        self._contexts = contexts = contexts.to(slots.device, self._dtype)
        return contexts.index_select(0, slots.clamp(0, len(contexts) - 1))


class _T2INet:
    """One T2I-Adapter in one UNet. It sees its pictures alone, so all that is left for a step is to add its maps."""

    is_plain = True
    """It belongs to no identity."""

    def __init__(self, guide: Guide, unet: nn.Module, view: Box) -> None:
        self.guide = guide
        self._network = guide.effect.net.t2i_adapter(unet)
        self._dtype = dtype_of(unet)
        self._hints = Hints(guide.effect.pictures, view, self._maps, self._canvas_px, self._network.channels)

    def residuals(self, call: _Call, slots: Tensor, parts: Sequence[Box]) -> Residuals:
        """Return what it adds to a call for rows of these slots, which show these parts of the picture."""
        latents = call.x[:, :LATENT_CHANNELS].to(self._dtype)
        maps = self._hints.of(latents, slots.to(call.x.device), parts)
        return Residuals(inside=tuple(one.expand(len(latents), -1, -1, -1) for one in maps))

    def _maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self._network.to(pixels.device, pixels.dtype)(pixels)

    def _canvas_px(self, width: int, height: int) -> tuple[int, int]:
        """Return the size of its pictures for latents of that size, up to whole places of its first map."""
        px = self._network.picture_px
        return math.ceil(width * LATENT_PX / px) * px, math.ceil(height * LATENT_PX / px) * px


class GuidedInjection(Injection):
    """An injection beside which ControlNets of ours run: in the same calls, for the same rows."""

    def __init__(self, members: Sequence[Member], guides: Sequence[Guide], unet: nn.Module, view: Box = WHOLE) -> None:
        super().__init__(members, view)
        self._nets = [(_T2INet if guide.effect.net.is_t2i else _Net)(guide, unet, view) for guide in guides]
        self._net_masks = RegionMasks([guide.regions for guide in guides], view)
        self._net_weights = tuple(guide.schedule.weight for guide in guides)
        self._residuals: Residuals | None = None
        self._acting: frozenset[bool] = frozenset()  # of the nets that act in this call, whether they are plain
        self._is_reached = False
        self.needs_parts = True
        self.arguments = arguments_of(unet)

    @property
    def acts(self) -> bool:
        """Whether anything is done at the current progress, by tokens or by a ControlNet."""
        return super().acts or any(net.guide.schedule.weight_at(*self._progress) for net in self._nets)

    def begin_call(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Read the slots of this call, and run the ControlNets for its rows."""
        changed = super().begin_call(unet, args, kwargs)
        given = changed or (args, kwargs)
        self._residuals = self._summed(unet, *given)
        self._is_reached = self.arguments is not None
        if self._residuals is None or self.arguments is None:
            return changed
        return given[0], self.arguments(given[1], self._residuals)

    def end_call(self) -> None:
        """Forget what belongs to one call; count it."""
        self.calls += False in self._acting and not self._selected
        self.plain_calls += True in self._acting
        self.watch.unreached_calls += bool(self._residuals) and not self._is_reached
        self._residuals, self._acting = None, frozenset()
        super().end_call()

    def add_middle(self, found: Tensor) -> Tensor | None:
        """Return the map after the middle block with the ControlNets' residual; None where there is none."""
        self._is_reached = True
        residual = self._residuals.middle if self._residuals else None
        if residual is None or len(residual) != len(found):
            return None
        return found + _like(residual, found)

    def add_kept(self, number: int, joined: Tensor) -> None:
        """Add a residual to the map from the way down, the last channels of what an output block is called with.

        joined: made for this call a moment ago, and nobody else's; it is written over.
        """
        residual = self._residuals.down[-1 - number] if self._residuals else None
        if residual is not None and len(residual) == len(joined):
            kept = joined[:, -residual.shape[1] :]
            kept += _like(residual, kept)

    def _summed(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Residuals | None:
        """Return what all ControlNets that act now add to this call; None where none does."""
        weights = [net.guide.schedule.weight_at(*self._progress) for net in self._nets]
        if self._slots is None or self._parts is None or not any(weights):
            return None
        call = _inputs(unet, args, kwargs)
        total: Residuals | None = None
        for number, (net, weight) in enumerate(zip(self._nets, weights, strict=True)):
            if weight:
                found = net.residuals(call, self._slots, self._parts)
                total = summed(total, self._masked(number, found, weight))
        self._acting = frozenset(net.is_plain for net, weight in zip(self._nets, weights, strict=True) if weight)
        return total

    def _masked(self, number: int, found: Residuals, weight: float) -> Residuals:
        """Return residuals at a guide's weight, and where it acts."""
        return Residuals(
            tuple(self._weighed(number, one, weight) for one in found.down),
            None if found.middle is None else self._weighed(number, found.middle, weight),
            tuple(self._weighed(number, one, weight) for one in found.inside),
        )

    def _weighed(self, number: int, residual: Tensor, weight: float) -> Tensor:
        size = (residual.shape[-2], residual.shape[-1])
        if not self._net_masks.any or self._slots is None or self._parts is None:
            return residual * weight
        sizes = size, self._latent
        masks = [self._net_masks.at(sizes, self._net_weights, residual, part)[number] for part in self._parts]
        of_parts = [mask for mask in masks if mask is not None]
        if not of_parts:
            return residual * weight
        share = rows_of_shares(of_parts, self._slots)  # [B or 1, places, 1]
        return residual * weight * share.transpose(1, 2).unflatten(2, size)


@contextmanager
def inject_guided(
    unet: nn.Module, contributions: Iterable[Contribution], guides: Sequence[Guide], view: Box = WHOLE
) -> Generator[GuidedInjection]:
    """Attach tokens and ControlNets to a UNet, and yield what steers both; as `inject`.

    Raises FileError, MismatchError or HostError for a net that is damaged, or made for another UNet.
    """
    layers = attention_layers(unet)
    injection = GuidedInjection(members_of(layers, contributions), guides, unet, view)
    with ExitStack() as hooks:
        for handle in _hooks(unet, injection):
            hooks.callback(handle.remove)
        yield hooks.enter_context(attached(unet, layers, injection))


def _hooks(unet: nn.Module, injection: GuidedInjection) -> Iterator[Any]:
    """Set the hooks on blocks, giving each one's handle at once. A UNet that takes residuals itself needs none."""
    if injection.arguments:
        return
    blocks: Any = unet.output_blocks
    middle: Any = unet.middle_block
    yield middle.register_forward_hook(lambda _module, _args, found: injection.add_middle(found))
    for number, block in enumerate(blocks):
        yield block.register_forward_pre_hook(partial(_add_kept, injection, number))


def _add_kept(injection: GuidedInjection, number: int, _block: nn.Module, args: tuple[Any, ...]) -> None:
    injection.add_kept(number, args[0])


def _inputs(unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Call:
    """Return what a UNet is called with."""

    def get(at: int, name: str) -> Any:
        return args[at] if len(args) > at else kwargs.get(name)

    if hasattr(unet, "input_blocks"):
        x, time, context, vector = get(0, "x"), get(1, "timesteps"), get(2, "context"), get(3, "y")
    else:
        x, time, context = get(0, "sample"), get(1, "timestep"), get(2, "encoder_hidden_states")
        vector = _vector(unet, kwargs.get("added_cond_kwargs") or {})
    time = torch.as_tensor(time, device=x.device)
    return _Call(x, time.expand(len(x)) if time.ndim == 0 or len(time) == 1 else time, context, vector)


def _vector(unet: Any, told: dict[str, Any]) -> Tensor | None:
    """Return the pooled prompt and the sizes as one vector, as diffusers makes it of them."""
    if "text_embeds" not in told:
        return None
    pooled, sizes = told["text_embeds"], told["time_ids"]
    each = (unet.add_embedding.linear_1.in_features - pooled.shape[1]) // sizes.shape[1]
    return torch.cat([pooled, sinusoids(sizes.flatten(), each).view(len(sizes), -1).to(pooled.dtype)], 1)


def _like(residual: Tensor, found: Tensor) -> Tensor:
    """Return a residual in the dtype and size of the map it is added to: others may have made that smaller."""
    size = found.shape[-2:]
    fitting = residual if residual.shape[-2:] == size else functional.interpolate(residual, size, mode="nearest")
    return fitting.to(found.dtype)
