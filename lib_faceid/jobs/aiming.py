"""The setting of a unit that makes a picture as alike as is wanted, whatever host draws the pictures of the search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lib_faceid.errors import UnitError
from lib_faceid.jobs.expected import Judge
from lib_faceid.likeness.aim import Aim, Goal, Probe, aim, change_between
from lib_faceid.units.unit import FIELDS, Range, Unit

__all__ = ["Draw", "aim_with", "goal_for"]

Draw = Callable[[str, float], "NDArray[np.uint8] | None"]
"""Gives the picture (RGB [H, W, 3]) with one setting of the unit at another value, all else as it is; None ends it."""


def goal_for(units: Sequence[Unit], number: int, name: str, target: float) -> Goal:
    """Return what is searched for in a unit's setting, over the range that it has. Raises UnitError."""
    if not 0 <= number < len(units) or not units[number].acts:
        raise UnitError(f"Unit {number} is off or draws nobody. Aim takes a unit that is on, with a photo or a person.")
    goal = Goal(target, name=name)  # first: it checks the name
    limits = FIELDS[name].kind
    lowest, highest = (limits.lowest, limits.highest) if isinstance(limits, Range) else (0.0, 1.0)
    return replace(goal, lowest=lowest, highest=highest, start=float(getattr(units[number], name)))


def aim_with(goal: Goal, draw: Draw, judge: Judge) -> Aim:
    """Return the curve, and the smallest value that reaches the goal. Raises what `draw` and `judge` raise.

    How far a picture went is measured from the one without the person, which for the weight is the first probe.
    """
    without = None if goal.name == "weight" else draw("weight", 0.0)
    if goal.name != "weight" and without is None:
        return Aim(goal, ())

    def probe(value: float) -> Probe | None:
        nonlocal without
        if (picture := draw(goal.name, value)) is None:
            return None
        without = picture if without is None else without
        return Probe(value, judge(picture), change_between(without, picture))

    return aim(goal, probe)
