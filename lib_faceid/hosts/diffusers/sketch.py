"""A picture that is drawn up to some step, and what it takes to go on from there as if nothing had been in between."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Sketch", "going_on", "watching"]


@dataclass(frozen=True, eq=False)
class Sketch:
    """A picture in work. DDIM keeps nothing from step to step and adds no noise: its latents are all there is."""

    latents: Tensor
    """[1, 4, h, w], after `step`."""
    estimate: Tensor
    """[1, 4, h, w]: what it would be without the noise that is left."""
    step: int
    """Steps that are done."""


@contextmanager
def going_on(scheduler: Any, step: int) -> Generator[None]:
    """Have a scheduler leave out its first steps, while inside."""
    if not step:
        yield
        return
    whole = scheduler.set_timesteps

    def rest(*args: Any, **more: Any) -> None:
        whole(*args, **more)
        scheduler.timesteps = scheduler.timesteps[step:]

    scheduler.set_timesteps = rest
    try:
        yield
    finally:
        del scheduler.set_timesteps


@contextmanager
def watching(scheduler: Any) -> Generator[list[Tensor]]:
    """Give the denoised estimate of the last step that was done inside, in a list that is empty before."""
    step, seen = scheduler.step, list[Tensor]()

    def watched(*args: Any, **more: Any) -> Any:
        result = step(*args, **more)  # (latents, estimate), as the pipelines ask for it
        seen[:] = [result[1]]
        return result

    scheduler.step = watched
    try:
        yield seen
    finally:
        del scheduler.step
