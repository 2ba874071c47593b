"""Whose the rows of a step's UNet calls are in Forge: slots among the parts that a conditioning is made of.

Forge joins all parts of the conditionings that it draws in one call, each in the same order: cond and uncond, prompts
joined by AND, no uncond at CFG 1. So the slots are one part more. A modifier of conditionings puts them in, which hangs
on the patcher of the pass while a step lasts.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from lib_faceid.effects.injection import Injection
from lib_faceid.hosts.forge.patcher import patcher
from lib_faceid.hosts.forge.tiles import tiles_of
from lib_faceid.hosts.webui.conds import context_of
from lib_faceid.unet.rows import CARRIED, CarriedSlots

__all__ = ["carried_rows"]

MODIFIERS = "conditioning_modifiers"
"""What Forge calls, among a patcher's options, the functions that change conditionings."""


@contextmanager
def carried_rows(params: Any, injection: Injection) -> Generator[None]:
    """Have the rows of the coming UNet calls carry their slots, until the step ends."""
    images, _, height, width = params.x.shape
    tiles = cache(lambda: tiles_of(patcher(), height, width))
    injection.expect_carried(people=len(context_of(params.text_cond)), tiles=tiles)
    of_pass, carrier = patcher(), _Carrier(images, is_apart=injection.keeps_apart)
    before = of_pass.model_options
    of_pass.model_options = {**before, MODIFIERS: [*before.get(MODIFIERS, ()), carrier]}
    try:
        yield
    finally:
        of_pass.model_options = {
            **of_pass.model_options,
            MODIFIERS: [one for one in of_pass.model_options.get(MODIFIERS, ()) if one is not carrier],
        }
        carrier.images = 0


class _Carrier:
    """Puts slots into the conditionings of a step: image i of the batch is i + 1, and without its identity -(i + 1)."""

    def __init__(self, images: int, *, is_apart: bool) -> None:
        self.images = images
        """Of the batch; 0 when the step is over."""
        self._is_apart = is_apart

    def __deepcopy__(self, _memo: Any) -> _Carrier:
        """Be the same in every copy of a patcher, so that all of them see when the step is over."""
        return self

    def __call__(self, model: Any, x: Any, timestep: Any, uncond: Any, cond: Any, *rest: Any) -> tuple[Any, ...]:
        """Change conditionings as Forge has them changed."""
        if self.images:
            for one in cond:
                one["model_conds"][CARRIED] = _Slots(range(1, self.images + 1), is_apart=self._is_apart)
            for one in uncond or ():
                one["model_conds"][CARRIED] = _Slots(range(-1, -self.images - 1, -1), is_apart=self._is_apart)
        return (model, x, timestep, uncond, cond, *rest)


class _Slots:
    """Slots as one of the parts of which Forge makes the arguments of a UNet call.

    is_apart: whether cond and uncond are to come in calls of their own, as contexts of one call are equally long.
    """

    def __init__(self, slots: Sequence[int], *, is_apart: bool) -> None:
        self.cond = tuple(slots)
        self.is_apart = is_apart

    def process_cond(self, batch_size: int, **_: Any) -> _Slots:
        """Return them for so many rows."""
        times = -(-batch_size // len(self.cond))
        return _Slots((self.cond * times)[:batch_size], is_apart=self.is_apart)

    def size(self) -> list[int]:
        """Return their shape, by which reForge reckons how much memory a call takes."""
        return [len(self.cond)]

    def can_concat(self, other: Any) -> bool:
        """Say whether they may be joined: always, but for cond and uncond that keep apart."""
        return isinstance(other, _Slots) and not (self.is_apart and (self.cond[0] > 0) != (other.cond[0] > 0))

    def concat(self, others: Sequence[_Slots]) -> CarriedSlots:
        """Return the argument of a call: theirs, in the order of its rows."""
        return CarriedSlots(tuple(slot for one in (self, *others) for slot in one.cond))
