"""FLUX.1 as Forge and its descendants have it built in: latents and context in, positions made inside.

All of a context's positions are zeros there, however long it is: what follows the prompt needs none of its own. The
attention of all blocks is one function of the module, which is called by its name there (`attention_function`) and
mostly without a mask. For the time of one call that needs a bias, and for no other, another one stands in its place:
torch's own, which alone takes a bias in every program (SageAttention, say, leaves it out without a word).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from types import ModuleType
from typing import Any, cast

from torch import Tensor, nn
from torch.nn import functional

from lib_faceid.effects.flux_call import Arguments, FluxForm, masked_by_others
from lib_faceid.errors import HostError

__all__ = ["IntegratedCall", "integrated"]

NAMES = ("x", "timestep", "context", "y", "guidance")
ATTENTION = "attention_function"
PATCH = 2  # a place is so many latents wide and high


class IntegratedCall:
    """A call of `IntegratedFluxTransformer2DModel`; `flux_call.FluxCall`. module: whose attention its blocks call."""

    def __init__(self, module: ModuleType | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._module = module
        self._given = {**dict(zip(NAMES, args, strict=False)), **kwargs}
        self.context: Tensor = self._given["context"]
        self._latent = cast("tuple[int, int]", tuple(self._given["x"].shape[-2:]))
        self._size = -(-self._latent[0] // PATCH), -(-self._latent[1] // PATCH)
        self.places = self._size[0] * self._size[1]
        self._bias: Tensor | None = None
        self.was_reached = True

    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return them by the latents; an odd side is filled up to whole places."""
        return self._size, self._latent

    def joined(self, context: Tensor, bias: Tensor | None, until_end: ExitStack) -> Arguments:
        """Return the arguments; the bias is in the attention until the call is over."""
        if bias is not None:
            self._bias, self.was_reached = bias, False
            self._put(until_end)
        return (), {**self._given, "context": context}

    def _put(self, until_end: ExitStack) -> None:
        module = self._module
        if module is None:
            raise HostError(
                "This transformer's attention is not where Forge has it, and a weight or region needs a bias in it. "
                "Set the weight to 1 without a region."
            )
        until_end.callback(setattr, module, ATTENTION, getattr(module, ATTENTION))
        setattr(module, ATTENTION, self._attend)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, _heads: int, mask: Tensor | None = None, **_: Any) -> Tensor:
        """Return the attention [rows, n, heads * width] of q, k and v [rows, heads, n, width] with the bias in it."""
        if mask is not None:
            raise masked_by_others()
        bias = cast("Tensor", self._bias)
        if q.shape[-2] != bias.shape[-1]:
            raise HostError(
                f"The transformer reads {q.shape[-2]} tokens where {bias.shape[-1]} are those of prompt, image and "
                "picture: somebody shows it more, such as a picture to change (Kontext). Set the weight to 1 without a "
                "region, or leave the other out."
            )
        self.was_reached = True
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return found.transpose(1, 2).flatten(2)


def integrated(transformer: nn.Module) -> FluxForm:
    """Return the form of a transformer's calls."""
    return cast("FluxForm", partial(IntegratedCall, next(_modules(transformer), None)))


def _modules(transformer: nn.Module) -> Iterator[ModuleType]:
    """Give the modules in which its blocks find their attention: the class's own, or one that it is made of."""
    block = next(iter(cast("nn.ModuleList", transformer.single_blocks)), transformer)
    for kind in type(block).__mro__:
        module = sys.modules.get(kind.__module__)
        if module is not None and hasattr(module, ATTENTION):
            yield module
