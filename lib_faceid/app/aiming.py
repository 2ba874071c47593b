"""Aim on our own host: the setting of a unit that makes the picture as alike as is wanted. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.app.session import Progress, Session
from lib_faceid.app.trying import Judge
from lib_faceid.errors import UnitError
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.likeness.aim import Aim, Goal, Probe, aim, change_between
from lib_faceid.units.job_options import UNSCORED
from lib_faceid.units.unit import FIELDS, Range, Unit

__all__ = ["Aiming", "goal_for"]


def goal_for(units: Sequence[Unit], number: int, name: str, target: float) -> Goal:
    """Return what is searched for in a unit's setting, over the range that it has. Raises UnitError."""
    if not 0 <= number < len(units) or not units[number].acts:
        raise UnitError(f"Unit {number} is off or draws nobody. Aim takes a unit that is on, with a photo or a person.")
    goal = Goal(target, name=name)  # first: it checks the name
    limits = FIELDS[name].kind
    lowest, highest = (limits.lowest, limits.highest) if isinstance(limits, Range) else (0.0, 1.0)
    return replace(goal, lowest=lowest, highest=highest, start=float(getattr(units[number], name)))


@dataclass(eq=False)
class Aiming:
    """The pictures of one seed that a search for a setting draws."""

    session: Session
    checkpoint: Path
    units: Sequence[Unit]
    request: Request
    number: int = 0
    """The unit whose setting is searched for, and whose likeness counts."""
    progress: Progress = lambda *_: None
    """May raise to end it."""
    _without: NDArray[np.uint8] | None = field(default=None, init=False)

    def run(self, goal: Goal) -> Aim:
        """Return the curve, and the smallest value that reaches the goal. Raises FaceIDError."""
        prepared = self.session.prepare(self.session.job(self.units, self.request), self.checkpoint)
        judge = self.session.judge_of(prepared, 0, [self.number])
        # The first probe of the weight is at 0: the picture without the person.
        self._without = None if goal.name == "weight" else self._picture("weight", 0.0)
        return aim(goal, lambda value: self._probe(goal.name, value, judge))

    def _probe(self, name: str, value: float, judge: Judge) -> Probe:
        pixels = self._picture(name, value)
        if self._without is None:
            self._without = pixels
        return Probe(value, judge(pixels), change_between(self._without, pixels))

    def _picture(self, name: str, value: float) -> NDArray[np.uint8]:
        units = [*self.units]
        units[self.number] = replace(units[self.number], **{name: value})
        progress = lambda _what, step, steps, look: self.progress(f"{name} {value:g}", step, steps, look)  # noqa: E731
        job = self.session.job(units, self.request)
        (generated,) = self.session.draw(self.checkpoint, job, [self.request], progress, UNSCORED)
        return np.asarray(generated.image)
