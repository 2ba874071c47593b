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
    of_pass, carrier = patcher(), _Carrier(images)
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

    def __init__(self, images: int) -> None:
        self.images = images
        """Of the batch; 0 when the step is over."""

    def __deepcopy__(self, _memo: Any) -> _Carrier:
        """Be the same in every copy of a patcher, so that all of them see when the step is over."""
        return self

    def __call__(self, model: Any, x: Any, timestep: Any, uncond: Any, cond: Any, *rest: Any) -> tuple[Any, ...]:
        """Change conditionings as Forge has them changed."""
        if self.images:
            for one in cond:
                one["model_conds"][CARRIED] = _Slots(range(1, self.images + 1))
            for one in uncond or ():
                one["model_conds"][CARRIED] = _Slots(range(-1, -self.images - 1, -1))
        return (model, x, timestep, uncond, cond, *rest)


class _Slots:
    """Slots as one of the parts of which Forge makes the arguments of a UNet call."""

    def __init__(self, slots: Sequence[int]) -> None:
        self.cond = tuple(slots)

    def process_cond(self, batch_size: int, **_: Any) -> _Slots:
        """Return them for so many rows."""
        times = -(-batch_size // len(self.cond))
        return _Slots((self.cond * times)[:batch_size])

    def size(self) -> list[int]:
        """Return their shape, by which reForge reckons how much memory a call takes."""
        return [len(self.cond)]

    def can_concat(self, other: Any) -> bool:
        """Say whether they may be joined: always."""
        return isinstance(other, _Slots)

    def concat(self, others: Sequence[_Slots]) -> CarriedSlots:
        """Return the argument of a call: theirs, in the order of its rows."""
        return CarriedSlots(tuple(slot for one in (self, *others) for slot in one.cond))
