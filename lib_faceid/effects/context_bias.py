"""The bias that says how much of a transformer's attention tokens in its context get, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from lib_faceid.effects.tokens import ContextPart

__all__ = ["Acting", "bias_of"]

NOTHING = -30_000.0
"""What is as good as minus infinity in every dtype, and divides nothing by 0 where a whole block of columns is it."""


class Acting(NamedTuple):
    """A unit in one step."""

    part: ContextPart
    weight: float
    mask: Tensor | None
    """[places]: how much it counts at each place of the picture; None: fully, everywhere."""

    @property
    def is_as_trained(self) -> bool:
        """Whether no bias is needed for it."""
        return self.mask is None and self.weight == 1 and bool((self.part.weights == 1).all())


def bias_of(acting: Sequence[Acting], texts: int, count: int, places: int) -> Tensor:
    """Return the bias [n, n] over `texts` tokens of the prompt, `count` of units or empty ones, and places.

    Nobody looks at empty tokens, which stand behind the units' where another row of the same call has more.
    """
    picture = texts + count
    bias = torch.zeros(picture + places, picture + places)
    first = texts
    for one in acting:
        own = slice(first, first + len(one.part.tokens))
        shares = one.part.weights * one.weight
        if one.mask is None:
            bias[:texts, own] = bias[picture:, own] = shares.log()
        else:
            inside = bias[own, own].clone()
            bias[:picture, own] = -torch.inf
            bias[own, own] = inside
            bias[picture:, own] = (one.mask[:, None] * shares).log()
        first = own.stop
    bias[:first, first:picture] = bias[picture:, first:picture] = -torch.inf
    return bias.clamp(min=NOTHING)
