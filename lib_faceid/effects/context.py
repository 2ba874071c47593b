"""Put tokens into a transformer's context behind the prompt's, and take them out again without a trace.

One standard hook in front of the whole transformer and one behind it, and no forward is ever replaced. A call gets the
context [prompt, tokens], with positions of zeros for all of it, as FLUX.1 Redux was trained
(github.com/black-forest-labs/flux 802fb47, `sampling.py: prepare_redux`). How strongly they act is a bias in the
attention, in all blocks: log(weight) on the tokens' columns, in the rows of the prompt and of the picture; rows of
tokens themselves have none (ComfyUI's `attn_bias`; github.com/kaibioinfo/ComfyUI_AdvancedRefluxControl 04eaa30,
`combine_attention_mask`). A bias multiplies what softmax gives a token before it is normed: weight 1 is the network as
trained, weight 0 the prompt alone. Tokens that are multiplied by 0 would still take their share.

A region is a weight for each place of the picture. The prompt then does not see the tokens, and neither do the tokens
of other units: both would carry them everywhere.

Rows of a call may be of several images, and of none (the negative side). Contexts of one call are equally long: who
has fewer tokens gets empty ones, which nobody looks at. Who wrote the transformer, `flux_call.py` alone asks.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_many
from lib_faceid.effects.context_bias import Acting, bias_of
from lib_faceid.effects.contribution import InContext
from lib_faceid.effects.flux_call import FluxCall, FluxForm, form_of
from lib_faceid.effects.injection import Injection
from lib_faceid.errors import HostError, MismatchError
from lib_faceid.unet.layers import context_dim
from lib_faceid.unet.regions import RegionMasks
from lib_faceid.unet.rows import CarriedSlots
from lib_faceid.units.region import WHOLE, Box

__all__ = ["ContextInjection", "inject_context"]

Shown: TypeAlias = "tuple[int, Box | None] | None"
"""What a row shows: an image of the batch, and which part of the picture, where that is known; None: no tokens."""


class ContextInjection(Injection):
    """The hooks' state while a transformer is injected. Until rows are told, nothing happens."""

    def __init__(self, form: FluxForm, readings: Sequence[InContext], view: Box = WHOLE) -> None:
        super().__init__((), view)
        self._form = form
        self._readings = readings
        self._parts_of = [[source.encode() for source in one.effect.sources] for one in readings]
        self._images = max((max(len(one.effect.sources), len(one.regions)) for one in readings), default=1)
        self._masks = RegionMasks([one.regions for one in readings], view)
        self.has_regions = self.needs_parts = self._masks.any
        self.keeps_apart = True
        self._call: FluxCall | None = None
        self._until_end = ExitStack()
        self._bias: tuple[object, Tensor | None] = None, None

    @property
    def acts(self) -> bool:
        """Whether any unit does anything at the current progress."""
        return any(one.schedule.weight_at(*self._progress) for one in self._readings)

    def begin_call(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Give the transformer its context with the tokens in it, and the bias where it needs one."""
        found = super().begin_call(unet, args, kwargs)
        if self._slots is None:
            return found
        call = self._form(*(found or (args, kwargs)))
        rows = self._rows_shown(self._slots.tolist(), len(call.context))
        if all(one is None for one in rows):
            return found
        acting = {one: self._acting(one, call) for one in dict.fromkeys(rows)}
        counts = {one: sum(len(each.part.tokens) for each in units) for one, units in acting.items()}
        tokens = {one: _tokens(units, max(counts.values()), call.context) for one, units in acting.items()}
        context = torch.cat([call.context, torch.stack([tokens[one] for one in rows])], dim=1)
        self._call = call
        return call.joined(context, self._bias_for(rows, acting, max(counts.values()), call), self._until_end)

    def end_call(self) -> None:
        """Take the bias out of the attention; count the call, if the tokens were read in it."""
        self._until_end.close()
        self.calls += self._call is not None and self._call.was_reached
        self._call = None
        super().end_call()

    def require_width(self, transformer: nn.Module) -> None:
        """Raise MismatchError where the tokens are not as wide as a transformer's context."""
        width = context_dim(transformer)
        for one, parts in zip(self._readings, self._parts_of, strict=True):
            if wrong := next((part for part in parts if part.tokens.shape[-1] != width), None):
                raise MismatchError(
                    f"{one.effect.name} gives tokens {wrong.tokens.shape[-1]} wide, and this transformer reads a "
                    f"context {width} wide. Use an adapter that was made for it."
                )

    def _rows_shown(self, slots: Sequence[int], rows: int) -> list[Shown]:
        """Return what each row of a call shows. Raises HostError for another number of rows than was told."""
        repeated = CarriedSlots(tuple(slots)).for_rows(rows)
        if repeated is None:
            raise HostError(f"The transformer is called with {rows} rows, and {len(slots)} were told of.")
        parts = self._parts or (None,)
        each = max(rows // len(parts), 1)
        return [
            (min(slot, self._images) - 1, parts[min(row // each, len(parts) - 1)]) if slot > 0 else None
            for row, slot in enumerate(repeated.tolist())
        ]

    def _acting(self, shown: Shown, call: FluxCall) -> list[Acting]:
        if shown is None:
            return []
        image, part = shown
        weights = [one.schedule.weight_at(*self._progress) for one in self._readings]
        masks: Sequence[Tensor | None] = [None] * len(weights)
        if self.has_regions and part is not None:
            found = self._masks.at(call.sizes(), tuple(weights), torch.zeros(()), part)
            masks = [None if one is None else one[min(image, len(one) - 1)] for one in found]
        return [
            Acting(parts[min(image, len(parts) - 1)], weight, mask)
            for parts, weight, mask in zip(self._parts_of, weights, masks, strict=True)
            if weight
        ]

    def _bias_for(
        self, rows: Sequence[Shown], acting: dict[Shown, list[Acting]], count: int, call: FluxCall
    ) -> Tensor | None:
        """Return the bias of the attention, [1 or rows, 1, n, n] over prompt, tokens and picture; None: none is needed.

        It is made anew only where something of it changes: a fade, say.
        """
        if all(_is_as_trained(units, count) for units in acting.values()):
            return None
        rows = rows if len(acting) > 1 else rows[:1]
        like = call.context
        now = {one: [(id(each.part), each.weight) for each in units] for one, units in acting.items()}
        sizes = call.sizes() if self.has_regions else None
        key = (list(rows), now, sizes, like.shape[1], call.places, like.device, like.dtype)
        if self._bias[0] != key:
            made = {one: bias_of(units, like.shape[1], count, call.places) for one, units in acting.items()}
            self._bias = key, torch.stack([made[one] for one in rows])[:, None].to(like.device, like.dtype)
        return self._bias[1]


def _is_as_trained(acting: Sequence[Acting], count: int) -> bool:
    """Say whether no bias is needed in rows that have these among `count` tokens."""
    return sum(len(one.part.tokens) for one in acting) == count and all(one.is_as_trained for one in acting)


def _tokens(acting: Sequence[Acting], count: int, like: Tensor) -> Tensor:
    """Return what units put behind a prompt, [count, width], empty tokens at its end, on the device of `like`."""
    found = [one.part.tokens.to(like.device, like.dtype) for one in acting]
    missing = count - sum(map(len, found))
    return torch.cat([*found, like.new_zeros(missing, like.shape[-1])])


@contextmanager
def inject_context(
    transformer: nn.Module, readings: InContext | Iterable[InContext], view: Box = WHOLE
) -> Generator[ContextInjection]:
    """Attach tokens to a FLUX.1 transformer of diffusers or Forge, and yield what steers them.

    Everything that can fail is checked before a hook is set. On leaving, also by an exception, none is left. Raises
    HostError for another network, MismatchError for tokens that are not of its width.
    """
    found = ContextInjection(form_of(transformer), as_many(readings, "readings", InContext, "an InContext"), view)
    found.require_width(transformer)
    with ExitStack() as hooks:
        hooks.callback(transformer.register_forward_pre_hook(found.begin_call, prepend=True, with_kwargs=True).remove)
        hooks.callback(transformer.register_forward_hook(lambda *_: found.end_call(), always_call=True).remove)
        hooks.callback(found.end_call)
        hooks.callback(found.set_rows, None)
        yield found
