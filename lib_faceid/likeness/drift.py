"""The alarm over a run of pictures: a person's likeness has fallen below what it was before.

The rule is a self-starting CUSUM (Page 1954; Hawkins 1987). Each likeness is compared with all before it since the
baseline began, as a standard score that is exact for any number of them (Student's t, made normal by Wallace's
formula). What a score is below -ALLOWANCE is added up, never below 0, and the alarm is given from LIMIT on. A score
counts as -LOWEST at most, so that one bad picture alone is no drift.

Where nothing falls, that is less than one alarm in 1,000 pictures. Of falls by 2, 2.5 and 3 standard deviations, 88, 98
and 99.9 % are found within 8 pictures of a baseline of 20, and 96 % of those by 2 of one of 40 (`bench/drift.py`).
Whoever knew when the fall began could find no more: a t-test of those 8 against the 20 finds 89 % at one in 1,000.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["BASELINE", "Drift", "DriftWatch"]

BASELINE = 20
"""How many pictures there have to be before one can be called worse."""
ALLOWANCE, LIMIT, LOWEST = 0.6, 4.2, 3.0  # in standard deviations
LEAST_SPREAD = 0.005  # pictures with one seed are all the same, and the next one differs by nothing
MOST = 400  # pictures of a baseline: what is longer ago says little


@dataclass(frozen=True)
class Drift:
    """A fall of the likeness."""

    before: float
    """The mean of the baseline."""
    spread: float
    """The standard deviation of the baseline."""
    now: float
    """The mean since the fall began."""
    pictures: int
    """How many pictures that are."""

    def sentence(self, person: str = "") -> str:
        """Return one line that says so."""
        of = f" of {person}" if person else ""
        last = "the last picture has" if self.pictures == 1 else f"the last {self.pictures} pictures have"
        return (
            f"The likeness{of} has fallen: {last} {self.now:.2f} on average, and those before {self.before:.2f} "
            f"(spread {self.spread:.2f}). What was changed since? Adapter, weight, photos, checkpoint, prompt."
        )


class DriftWatch:
    """One person's likenesses, one after the other. After an alarm a new baseline begins, so that it comes once."""

    def __init__(self, before: Iterable[float] = ()) -> None:
        """Take likenesses of earlier pictures that are known to be good."""
        self._known: list[float] = list(before)[-MOST:]
        self._sum, self._since = 0.0, 0

    def add(self, likeness: float | None) -> Drift | None:
        """Return the alarm, if this picture gives one. A picture without a likeness (no face) is left out."""
        if likeness is None:
            return None
        if len(self._known) < BASELINE:
            self._known.append(likeness)
            return None
        self._sum = max(0.0, self._sum - max(_standard_score(likeness, self._known), -LOWEST) - ALLOWANCE)
        self._since = self._since + 1 if self._sum else 0
        self._known.append(likeness)
        if self._sum < LIMIT:
            self._known = self._known[-MOST - self._since :]
            return None
        good, fallen = self._known[: -self._since], self._known[-self._since :]
        self._known, self._sum, self._since = fallen, 0.0, 0
        return Drift(*_mean_and_spread(good), _mean_and_spread(fallen)[0], len(fallen))


def _standard_score(value: float, before: list[float]) -> float:
    """Return where a value lies among those before it, as a normal score: 0 in the middle, -2 is rarely as low."""
    number, free = len(before), len(before) - 1
    mean, spread = _mean_and_spread(before)
    t = (value - mean) / (max(spread, LEAST_SPREAD) * math.sqrt(1 + 1 / number))
    return math.copysign((8 * free + 1) / (8 * free + 3) * math.sqrt(free * math.log1p(t * t / free)), t)


def _mean_and_spread(values: list[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation, which is 0 of a single one."""
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return mean, math.sqrt(squares / max(len(values) - 1, 1))
