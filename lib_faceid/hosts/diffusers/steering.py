"""A pipeline of diffusers, step by step: a job is told which one begins, and a caller which one is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PIL import Image
from torch import Tensor

from lib_faceid.hosts.calls_per_step import Pace
from lib_faceid.hosts.diffusers.sampling import Attached, Step

__all__ = ["AfterStep", "steer"]

AfterStep = Callable[[int, Callable[[], Image.Image]], None]
"""Is called with the steps that are done, and with what gives the picture as it is so far."""


def steer(
    job: Attached | None,
    first: Step,
    after_step: AfterStep,
    so_far: Callable[[Tensor], Image.Image],
    drawn: range,
) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
    """Begin the job's first step; return the callback that begins the others.

    first: which picture it is and what the others have in common; drawn: the steps that are done now: those before were
    done, those behind are left.
    """
    steps = first.steps

    def begin(step: int) -> None:
        if job and step < steps:
            job.begin(replace(first, number=step))

    def call_done(pipeline: Any, call: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        call += drawn.start
        calls, order = drawn.start + len(pipeline.scheduler.timesteps), pipeline.scheduler.order
        pace = Pace(steps, order, extra=max(calls - order * steps, 0))  # PNDM calls twice at first
        step = pace.step_of(call + 1) if call + 1 < calls else steps
        begin(step)
        after_step(step, lambda: so_far(tensors["latents"]))
        if step == drawn.stop < steps:
            pipeline._interrupt = True  # noqa: SLF001 - as diffusers documents it; it leaves out the rest
        return {}

    begin(drawn.start)
    return call_done
