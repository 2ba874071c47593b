"""Samplers call the UNet once, twice or thrice per step, some once more at the beginning: whose step a call is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Pace", "pace_of"]


@dataclass(frozen=True)
class Pace:
    """How the UNet calls of one pass make up its steps. A step is drawn with the person or without, never half."""

    steps: int
    """0 where nobody knows before the end."""
    calls: int = 1
    """Calls of a step; the last one may have fewer."""
    extra: int = 0
    """Calls of the first step beyond these."""
    ends_alone: bool = False
    """Whether the last step is one call, and the step before it lacks its last one."""

    def step_of(self, call: int) -> int:
        """Return the step that a call belongs to, both counted from 0."""
        last = self.steps - 1
        if self.ends_alone and call >= last * self.calls - 1:
            return last
        return max(call - self.extra, 0) // self.calls


def pace_of(sampler: str, calls: int, levels: int) -> Pace:
    """Return the pace of one of the WebUI's samplers in one pass.

    sampler: the name of its function; calls: how many a step has, as the WebUI declares it; levels: how many levels
    of noise the sampler was given. Between two of them lies a step, but UniPC goes on to one of its own.
    """
    if sampler == "sample_dpm_adaptive":  # three calls give one step and an estimate of its error; it decides on more
        return Pace(0, 3)
    if sampler == "sample_heunpp2":  # Forge's: Heun++ looks two levels ahead, where there are two
        return Pace(max(levels - 1, 1), 3, ends_alone=True)
    steps = levels if sampler == "unipc" else levels - 1
    return Pace(max(steps, 1), calls, extra=1 if sampler == "plms" else 0)
