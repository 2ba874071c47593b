"""What our tokens need to know of a FLUX.1 transformer, whoever wrote it: the port that its forms are behind.

A call of it reads a row [prompt, picture] of tokens. Where the prompt's lie in its arguments, how the picture's places
are told and by which way a bias reaches the attention, each program has in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Protocol, TypeAlias

from torch import Tensor, nn

from lib_faceid.errors import HostError
from lib_faceid.unet.layers import is_transformer

__all__ = ["Arguments", "FluxCall", "FluxForm", "form_of", "masked_by_others"]

Arguments: TypeAlias = "tuple[tuple[Any, ...], dict[str, Any]]"
Size: TypeAlias = "tuple[int, int]"


class FluxCall(Protocol):
    """One call of a transformer."""

    @property
    def context(self) -> Tensor:
        """The prompt's tokens, [rows, tokens, width]."""
        ...

    @property
    def places(self) -> int:
        """How many places of the picture stand behind them."""
        ...

    def sizes(self) -> tuple[Size, Size]:
        """Return height and width of the picture, in places and in latents. Raises HostError where it is none."""
        ...

    def joined(self, context: Tensor, bias: Tensor | None, until_end: ExitStack) -> Arguments:
        """Return its arguments with another context, and have a bias reach the attention.

        bias: [1 or rows, 1, n, n] over prompt and picture; None: none. until_end: closed when the call is over. Raises
        HostError where somebody else's mask is in its place.
        """
        ...

    @property
    def was_reached(self) -> bool:
        """Whether the bias reached an attention, once the call is over; so it did where there was none."""
        ...


FluxForm: TypeAlias = "Callable[[tuple[Any, ...], dict[str, Any]], FluxCall]"
"""Makes a call of its arguments."""


def form_of(transformer: nn.Module) -> FluxForm:
    """Return the form in which a transformer is called. Raises HostError for another network."""
    if not is_transformer(transformer):
        raise HostError(f"A {type(transformer).__name__} is no transformer of FLUX.1, and has no context for tokens.")
    if hasattr(transformer, "context_embedder"):
        from lib_faceid.effects.flux_diffusers import DiffusersCall

        return DiffusersCall
    from lib_faceid.effects.flux_integrated import integrated

    return integrated(transformer)


def masked_by_others() -> HostError:
    """Return the error for a call whose attention somebody else masks."""
    return HostError(
        "Somebody else masks the transformer's attention, and a weight or region needs a mask of its own. "
        "Set the weight to 1 without a region, or leave the other mask out."
    )
