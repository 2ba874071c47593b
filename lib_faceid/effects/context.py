"""Put tokens into a transformer's context behind the prompt's, and take them out again without a trace.

One standard hook in front of the whole transformer, and no forward is ever replaced. A call gets the context
[prompt, tokens], with positions of zeros for all of it, as FLUX.1 Redux was trained
(github.com/black-forest-labs/flux 802fb47, `sampling.py: prepare_redux`). How strongly they act is a bias in the
attention, in all blocks: log(weight) on the tokens' columns, in the rows of the prompt and of the picture; rows of
tokens themselves have none (ComfyUI's `attn_bias`; github.com/kaibioinfo/ComfyUI_AdvancedRefluxControl 04eaa30,
`combine_attention_mask`). A bias multiplies what softmax gives a token before it is normed: weight 1 is the network as
trained, weight 0 the prompt alone. Tokens that are multiplied by 0 would still take their share.

A region is a weight for each place of the picture. The prompt then does not see the tokens, and neither do the tokens
of other units: both would carry them everywhere.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lib_faceid.arguments import as_many
from lib_faceid.effects.contribution import InContext
from lib_faceid.effects.injection import Injection
from lib_faceid.effects.tokens import ContextPart
from lib_faceid.errors import HostError, MismatchError
from lib_faceid.unet.layers import context_dim, is_transformer
from lib_faceid.unet.regions import RegionMasks
from lib_faceid.units.region import WHOLE, Box

__all__ = ["ContextInjection", "inject_context"]

NAMES = ("hidden_states", "encoder_hidden_states", "pooled_projections", "timestep", "img_ids", "txt_ids", "guidance")
LATENTS = 2  # a place of the transformer is so many latents wide and high
MASK = "attention_mask"


class _Acting(NamedTuple):
    """A unit in one step."""

    part: ContextPart
    weight: float
    mask: Tensor | None
    """[places]: how much it counts at each place of the picture; None: fully, everywhere."""

    @property
    def is_as_trained(self) -> bool:
        """Whether no bias is needed for it."""
        return self.mask is None and self.weight == 1 and bool((self.part.weights == 1).all())


class ContextInjection(Injection):
    """The hook's state while a transformer is injected. Until rows are told, nothing happens."""

    def __init__(self, readings: Sequence[InContext], view: Box = WHOLE) -> None:
        super().__init__((), view)
        self._readings = readings
        self._parts_of = [[source.encode() for source in one.effect.sources] for one in readings]
        self._masks = RegionMasks([one.regions for one in readings], view)
        self.has_regions = self.needs_parts = self._masks.any
        self._image: int | None = None
        self._size = (0, 0)  # height and width of the picture in places, where somebody has a region
        self._bias: tuple[object, Tensor | None] = None, None

    @property
    def acts(self) -> bool:
        """Whether any unit does anything at the current progress."""
        return any(one.schedule.weight_at(*self._progress) for one in self._readings)

    def set_rows(self, slots: Sequence[int] | None) -> None:
        """Say whose the rows of the coming calls are: all of one image, with its references (i + 1) or without (0).

        Raises HostError for rows of several: their contexts would have different lengths.
        """
        found = {max(slot, 0) for slot in slots or ()}
        if len(found) > 1:
            raise HostError("A transformer is to be called with the rows of one image at a time, and not with several.")
        slot = next(iter(found), 0)
        self._image = slot - 1 if slot else None

    def begin_call(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
        """Give the transformer its context with the tokens in it, and the bias where it needs one."""
        self.end_call()
        if self._image is None or not self.acts:
            return None
        given = {**dict(zip(NAMES, args, strict=False)), **kwargs}
        prompt, ids = given["encoder_hidden_states"], given["txt_ids"]
        acting = self._acting(self._image, given["img_ids"], prompt)
        tokens = torch.cat([one.part.tokens for one in acting]).to(prompt.device, prompt.dtype)
        given["encoder_hidden_states"] = torch.cat([prompt, tokens.expand(len(prompt), -1, -1)], dim=1)
        given["txt_ids"] = torch.cat([ids, ids.new_zeros(*ids.shape[:-2], len(tokens), ids.shape[-1])], dim=-2)
        if (bias := self._bias_for(acting, prompt, given["hidden_states"].shape[1])) is not None:
            more = given.get("joint_attention_kwargs") or {}
            if more.get(MASK) is not None:
                raise HostError(
                    "Somebody else masks the transformer's attention, and a weight or region needs a mask of its own. "
                    "Set the weight to 1 without a region, or leave the other mask out."
                )
            given["joint_attention_kwargs"] = {**more, MASK: bias}
        self.calls += 1
        return (), given

    def require_width(self, transformer: nn.Module) -> None:
        """Raise MismatchError where the tokens are not as wide as a transformer's context."""
        width = context_dim(transformer)
        for one, parts in zip(self._readings, self._parts_of, strict=True):
            if wrong := next((part for part in parts if part.tokens.shape[-1] != width), None):
                raise MismatchError(
                    f"{one.effect.name} gives tokens {wrong.tokens.shape[-1]} wide, and this transformer reads a "
                    f"context {width} wide. Use an adapter that was made for it."
                )

    def _acting(self, image: int, places: Tensor, like: Tensor) -> list[_Acting]:
        weights = [one.schedule.weight_at(*self._progress) for one in self._readings]
        masks: Sequence[Tensor | None] = [None] * len(weights)
        if self.has_regions:
            self._size = _size(places)
            latent = (self._size[0] * LATENTS, self._size[1] * LATENTS)
            found = self._masks.at((self._size, latent), tuple(weights), torch.zeros(()))
            masks = [None if one is None else one[min(image, len(one) - 1)] for one in found]
        return [
            _Acting(parts[min(image, len(parts) - 1)], weight, mask)
            for parts, weight, mask in zip(self._parts_of, weights, masks, strict=True)
            if weight
        ]

    def _bias_for(self, acting: Sequence[_Acting], prompt: Tensor, places: int) -> Tensor | None:
        """Return the bias of the attention, [1, 1, n, n] over prompt, tokens and picture; None: none is needed.

        It is made anew only where something of it changes: a fade, say.
        """
        if all(one.is_as_trained for one in acting):
            return None
        now = [(id(one.part), one.weight) for one in acting]
        key = (now, self._size, prompt.shape[1], places, prompt.device, prompt.dtype)
        if self._bias[0] != key:
            self._bias = key, _bias_of(acting, prompt.shape[1], places).to(prompt.device, prompt.dtype)
        return self._bias[1]


def _bias_of(acting: Sequence[_Acting], texts: int, places: int) -> Tensor:
    """Return the bias for the rows and columns of `texts` tokens of the prompt, all units' tokens, and places."""
    counts = [len(one.part.tokens) for one in acting]
    picture = texts + sum(counts)
    bias = torch.zeros(picture + places, picture + places)
    first = texts
    for one, count in zip(acting, counts, strict=True):
        own = slice(first, first + count)
        shares = one.part.weights * one.weight
        everywhere = shares.log()
        if one.mask is None:
            bias[:texts, own] = bias[picture:, own] = everywhere
        else:
            inside = bias[own, own].clone()
            bias[:picture, own] = -torch.inf
            bias[own, own] = inside
            bias[picture:, own] = (one.mask[:, None] * shares).log()
        first += count
    return bias[None, None]


@contextmanager
def inject_context(
    transformer: nn.Module, readings: InContext | Iterable[InContext], view: Box = WHOLE
) -> Generator[ContextInjection]:
    """Attach tokens to a FLUX transformer of diffusers, and yield what steers them.

    Everything that can fail is checked before the hook is set. On leaving, also by an exception, it is gone. Raises
    HostError for another network, MismatchError for tokens that are not of its width.
    """
    if not is_transformer(transformer):
        raise HostError(f"A {type(transformer).__name__} is no transformer of FLUX.1, and has no context for tokens.")
    found = ContextInjection(as_many(readings, "readings", InContext, "an InContext"), view)
    found.require_width(transformer)
    with ExitStack() as hooks:
        hooks.callback(transformer.register_forward_pre_hook(found.begin_call, prepend=True, with_kwargs=True).remove)
        hooks.callback(found.set_rows, None)
        yield found


def _size(places: Tensor) -> tuple[int, int]:
    """Return height and width of the picture in places, of their ids [places, 3]: (0, row, column)."""
    places = places[0] if places.ndim == 3 else places
    height, width = (int(side) + 1 for side in places[:, 1:].amax(0))
    if height * width != len(places):
        raise HostError(
            f"The transformer draws {len(places)} places, which are not one picture of {height}x{width}: a region "
            "cannot be placed. Leave the region out."
        )
    return height, width
