"""How a UNet takes the residuals of a net among its arguments, added to those that are there already.

Those of Forge and its kin take lists by name, and each block takes its residual from the end of one; those of diffusers
a tuple and a tensor. Those of `ldm` and `sgm` know nothing of residuals: there hooks add them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import signature
from itertools import zip_longest
from typing import Any, TypeAlias

from torch import Tensor, nn

from lib_faceid.effects.controlnet import Residuals

__all__ = ["Arguments", "arguments_of", "summed"]

Arguments: TypeAlias = Callable[[dict[str, Any], Residuals], dict[str, Any]]
"""keyword arguments of a UNet call, residuals -> the arguments with them."""


def arguments_of(unet: nn.Module) -> Arguments | None:
    """Return what puts residuals among the arguments of a UNet; None where it takes none."""
    if not hasattr(unet, "output_blocks"):
        return _of_diffusers
    return _of_forge if "control" in signature(type(unet).forward).parameters else None


def summed(one: Residuals | None, other: Residuals) -> Residuals:
    """Return what two nets add together."""
    if one is None:
        return other
    middle = _added((one.middle,), (other.middle,))[0]
    return Residuals(_added(one.down, other.down), middle, _added(one.inside, other.inside))


def _added(ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[Any, ...]:
    """Return the sum of two rows of maps, the first with the first. One may be shorter, and have gaps of None."""
    pairs = zip_longest(ours, theirs)
    return tuple(a if b is None else b if a is None else a + b for a, b in pairs)


def _of_diffusers(kwargs: dict[str, Any], ours: Residuals) -> dict[str, Any]:
    """The maps within the way down are a list that the UNet empties, so that each call gets its own."""
    down, middle, inside = (
        "down_block_additional_residuals", "mid_block_additional_residual", "down_intrablock_additional_residuals",
    )  # fmt: skip
    kept, within = (tuple(kwargs.get(name) or ()) for name in (down, inside))
    is_of_net = kwargs.get(middle) is not None  # what comes without it are maps within the way down, by an older name
    others = Residuals(kept, kwargs[middle], within) if is_of_net else Residuals(inside=within or kept)
    total = summed(others, ours)
    return {**kwargs, down: total.down or None, middle: total.middle, inside: list(total.inside) or None}


def _of_forge(kwargs: dict[str, Any], ours: Residuals) -> dict[str, Any]:
    theirs = kwargs.get("control") or {}
    down = _from_the_end(theirs.get("output") or (), ours.down)
    middle = _from_the_end(theirs.get("middle") or (), () if ours.middle is None else (ours.middle,))
    return {**kwargs, "control": {**theirs, "output": down, "middle": middle}}


def _from_the_end(theirs: Sequence[Tensor | None], ours: Sequence[Tensor]) -> list[Tensor | None]:
    """Return two lists as one, the last with the last: others' may be shorter, and have gaps."""
    total: list[Tensor | None] = [None] * max(len(theirs) - len(ours), 0) + list(ours)
    for at, one in enumerate(reversed(theirs), 1):
        mine = total[-at]
        if one is not None:
            total[-at] = one if mine is None else mine + one
    return total
