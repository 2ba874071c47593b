"""When an effect acts, and how strongly."""

from __future__ import annotations

from dataclasses import dataclass

from lib_faceid.arguments import as_number

__all__ = ["Schedule", "WholeSteps"]

ROUNDING = 1e-9


@dataclass(frozen=True)
class Schedule:
    """A weight over the steps of one sampling pass.

    >>> Schedule(weight=0.8, start=0.2).weight_at(progress=0.5)
    0.8
    """

    weight: float = 0.8
    start: float = 0.0
    """Acts from this fraction of the steps ..."""
    end: float = 1.0
    """... up to, and without, this one."""
    fade: float = 0.0
    """Ramps the weight up over this fraction of the steps after start, and down before an end below 1."""

    def __post_init__(self) -> None:
        for name in ("weight", "start", "end", "fade"):
            limits = () if name == "weight" else (0, 1)
            object.__setattr__(self, name, as_number(getattr(self, name), name, *limits))

    def weight_at(self, progress: float, step: float = 0.0) -> float:
        """Return the weight for the step that begins at that fraction of the pass; 0 where nothing is to be done.

        step: how much of the pass that step is. A fade is measured in its middle, so that a pass of few steps loses
        none of them to it.
        """
        if progress < self.start or (self.end <= progress and self.end < 1):
            return 0.0
        if not self.fade:
            return self.weight
        middle = progress + step / 2
        rising, falling = middle - self.start, self.end - middle if self.end < 1 else self.fade
        return self.weight * min(max(min(rising, falling) / self.fade, 0.0), 1.0)


@dataclass(frozen=True)
class WholeSteps(Schedule):
    """A schedule that acts in the steps that lie in it as a whole, as diffusers' ControlNet pipelines count them.

    A step at an end that is no multiple of a step is left out here, where `Schedule` takes it.

    >>> WholeSteps(1.0, 0.0, 0.5).weight_at(progress=0.4, step=0.2)
    0.0
    """

    def weight_at(self, progress: float, step: float = 0.0) -> float:
        """Return the weight for the step that begins at that fraction of the pass, and is that much of it."""
        is_out = progress < self.start - ROUNDING or progress + step > self.end + ROUNDING
        return 0.0 if is_out else self.weight
