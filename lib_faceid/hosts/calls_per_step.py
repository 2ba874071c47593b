"""Samplers call the UNet once, twice or thrice per step, some once more at the beginning: whose step a call is."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

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
    ends: tuple[int, ...] = ()
    """Calls of the last steps, where they have their own numbers of them."""

    def step_of(self, call: int) -> int:
        """Return the step that a call belongs to, both counted from 0."""
        usual = self.steps - len(self.ends)
        late = call - usual * self.calls
        if not self.ends or late < 0:
            return max(call - self.extra, 0) // self.calls
        begun = sum(late >= before for before in accumulate(self.ends[:-1], initial=0))
        return usual + begun - 1


def pace_of(sampler: str, calls: int, levels: int) -> Pace:
    """Return the pace of one of the WebUI's samplers in one pass.

    sampler: the name of its function; calls: how many a step has, as the WebUI declares it; levels: how many levels
    of noise the sampler was given. Between two of them lies a step, but UniPC goes on to one of its own.
    """
    if sampler == "sample_dpm_adaptive":  # three calls give one step and an estimate of its error; it decides on more
        return Pace(0, 3)
    if sampler == "sample_heunpp2":  # Forge's: Heun++ looks two levels ahead, where there are two
        steps = max(levels - 1, 1)
        return Pace(steps, 3, ends=(2, 1)[-steps:])
    steps = levels if sampler == "unipc" else levels - 1
    return Pace(max(steps, 1), calls, extra=1 if sampler == "plms" else 0)
