"""Aim on our own host: the setting of a unit that makes the picture as alike as is wanted. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib_faceid.app.session import Progress, Session
from lib_faceid.hosts.diffusers.request import Request
from lib_faceid.jobs.aiming import aim_with
from lib_faceid.jobs.job import Job
from lib_faceid.likeness.aim import Aim, Goal
from lib_faceid.units.control import ControlUnit
from lib_faceid.units.job_options import UNSCORED
from lib_faceid.units.unit import Unit

__all__ = ["Aiming"]


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
    controls: Sequence[ControlUnit] = ()

    def run(self, goal: Goal) -> Aim:
        """Return the curve, and the smallest value that reaches the goal. Raises FaceIDError."""
        prepared = self.session.prepare(self._job(self.units), self.checkpoint)
        return aim_with(goal, self._picture, self.session.judge_of(prepared, 0, [self.number]))

    def _picture(self, name: str, value: float) -> NDArray[np.uint8]:
        units = [*self.units]
        units[self.number] = replace(units[self.number], **{name: value})
        progress = lambda _what, step, steps, look: self.progress(f"{name} {value:g}", step, steps, look)  # noqa: E731
        (generated,) = self.session.draw(self.checkpoint, self._job(units), [self.request], progress, UNSCORED)
        return np.asarray(generated.image)

    def _job(self, units: Sequence[Unit]) -> Job:
        return self.session.job(units, self.request, self.controls)
