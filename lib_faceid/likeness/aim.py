"""The smallest weight that makes a picture as alike as is wanted, found with a few pictures of one seed.

Likeness rises with the weight, but not evenly, and beyond some weight it falls again: a search that only halves would
be led astray. So both ends of a step over the target are kept, and the next probe lies where a straight line between
them meets it, though never close to an end. Nothing here draws: a host gives one probe at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib_faceid.arguments import as_number
from lib_faceid.errors import UnitError
from lib_faceid.units.aim_request import AIMED_FIELDS

__all__ = ["MOST_PROBES", "TOLERANCE", "Aim", "Goal", "Probe", "aim", "change_between"]

TOLERANCE = 0.03
MOST_PROBES = 8
GRID = 0.01
NARROW = 0.2  # of the way between two probes: no nearer to one of them is the next one
NOTHING = -1.0  # what a picture without a face counts


@dataclass(frozen=True)
class Probe:
    """One picture of the search."""

    value: float
    likeness: float | None
    """None where there is no face."""
    change: float | None = None
    """How far the picture went from the one at 0: the mean difference of its pixels, from 0 to 1."""

    @property
    def counts(self) -> float:
        """The likeness as a number, whether there is a face or not."""
        return NOTHING if self.likeness is None else self.likeness


@dataclass(frozen=True)
class Goal:
    """What is searched for, and between which values."""

    target: float
    lowest: float = 0.0
    highest: float = 2.0
    start: float = 0.8
    """Where to begin: what is set now."""
    name: str = "weight"
    most: int = MOST_PROBES

    def __post_init__(self) -> None:
        as_number(self.target, "target", 0, 1)
        if self.name not in AIMED_FIELDS:
            raise UnitError(f"'{self.name}' cannot be aimed with; one of {', '.join(AIMED_FIELDS)} was expected.")
        if not self.lowest < self.highest or self.most < 2:
            raise UnitError(f"Between {self.lowest:g} and {self.highest:g} with {self.most} probes nothing is found.")


@dataclass(frozen=True)
class Aim:
    """What was found."""

    goal: Goal
    probes: tuple[Probe, ...]
    """In the order in which they were drawn."""

    @property
    def curve(self) -> tuple[Probe, ...]:
        """The probes by value."""
        return tuple(sorted(self.probes, key=lambda one: one.value))

    @property
    def best(self) -> Probe:
        """The most that was reached, at the smallest value."""
        return max(self.curve, key=lambda one: one.counts)

    @property
    def proposed(self) -> Probe | None:
        """The smallest value that meets the target, within the tolerance; None where none does."""
        return next((one for one in self.curve if one.counts >= self.goal.target - TOLERANCE), None)

    def sentence(self) -> str:
        """Return it in words."""
        name, target, drawn = self.goal.name, self.goal.target, f"{len(self.probes)} pictures"
        if (found := self.proposed) is None:
            most = "a face was in none of them" if self.best.likeness is None else _most(name, self.best)
            between = f"between {name} {self.goal.lowest:g} and {self.goal.highest:g}"
            return f"Likeness {target:g} is NOT reached {between}: {most} ({drawn})."
        if found.value <= self.goal.lowest:
            return f"Likeness {target:g} is reached with {name} {found.value:g} already ({drawn})."
        return f"Likeness {target:g}: {name} {found.value:g} gives {found.counts:.2f} ({drawn})."

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        found = self.proposed
        return {
            "field": self.goal.name,
            "target": self.goal.target,
            "between": [self.goal.lowest, self.goal.highest],
            "reached": found is not None,
            "proposed": None if found is None else found.value,
            "most": {"value": self.best.value, "likeness": self.best.likeness},
            "curve": [{"value": one.value, "likeness": one.likeness, "change": one.change} for one in self.curve],
            "sentence": self.sentence(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Aim:
        """Return what `as_dict` gave, its probes by value. Raises UnitError for anything else."""
        try:
            lowest, highest = values["between"]
            probes = [Probe(one["value"], one["likeness"], one["change"]) for one in values["curve"]]
            goal = Goal(values["target"], lowest, highest, name=values["field"])
        except (KeyError, TypeError, ValueError) as error:
            raise UnitError(f"What Aim found is damaged ({error}); what Aim.as_dict() gives was expected.") from error
        return cls(goal, tuple(probes))


def aim(goal: Goal, probe: Callable[[float], Probe | None]) -> Aim:
    """Return the curve and the smallest value that reaches the target. probe: draws one picture, of one seed always.

    None of a probe ends it with what was found so far, which may be nothing.

    At most `goal.most` pictures are drawn. The first is the one at the lowest value, from which changes are measured.
    """
    probes: list[Probe] = []
    value: float | None = goal.lowest
    while value is not None and len(probes) < goal.most and (found := probe(value)) is not None:
        probes.append(found)
        value = _next(goal, sorted(probes, key=lambda one: one.value))
    return Aim(goal, tuple(probes))


def _next(goal: Goal, curve: Sequence[Probe]) -> float | None:
    """Return where to look next; None when it is found, or nothing is to be found."""
    if curve[0].counts >= goal.target - TOLERANCE / 3:
        return None
    above = next((at for at, one in enumerate(curve) if one.counts >= goal.target), None)
    near = next((at for at, one in enumerate(curve) if abs(one.counts - goal.target) <= TOLERANCE), None)
    if near is not None and (above is None or near <= above):
        return None
    if above is not None:
        return _between(curve[above - 1], curve[above], goal.target)
    return _upwards(goal, curve)


def _between(below: Probe, above: Probe, target: float) -> float | None:
    """Return where a line between two probes meets the target; None where nothing lies between them."""
    width = above.value - below.value
    if width < 2 * GRID:
        return None
    base = max(below.counts, 0.0)
    share = (target - base) / max(above.counts - base, GRID)
    value = _rounded(below.value + width * min(max(share, NARROW), 1 - NARROW))
    return min(max(value, _rounded(below.value + GRID)), _rounded(above.value - GRID))


def _upwards(goal: Goal, curve: Sequence[Probe]) -> float | None:
    """Return where more may be reached: further up, or on either side of the best so far."""
    best = max(range(len(curve)), key=lambda at: curve[at].counts)
    if len(curve) == 1:
        return _rounded(goal.start if goal.lowest < goal.start <= goal.highest else (goal.lowest + goal.highest) / 2)
    if best == len(curve) - 1 and curve[-1].value < goal.highest:
        span = goal.highest - curve[-1].value
        return goal.highest if span < 4 * GRID else _rounded(curve[-1].value + span / 2)
    sides = [(curve[at].value, curve[at + 1].value) for at in (best - 1, best) if 0 <= at < len(curve) - 1]
    low, high = max(sides, key=lambda side: side[1] - side[0])
    return _rounded((low + high) / 2) if high - low > 10 * GRID else None


def _rounded(value: float) -> float:
    return round(round(value / GRID) * GRID, 10)


def _most(name: str, best: Probe) -> str:
    return f"the most is {best.counts:.2f}, at {name} {best.value:g}"


def change_between(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Return how far two pictures [H, W, 3] of one size are apart: the mean difference of their values, 0 to 1."""
    return float(np.abs(first.astype(np.float32) - second).mean() / 255)
