"""Evidence: what a row of the map finds in the facts of a run, in figures, with its strength and the change to try.

A strength is from 0 to 1, and one scale for all: the part of the likeness, or of the picture, that this cause is
expected to cost. Causes of too little likeness count only where likeness is missing: a low weight is no mistake in a
picture that is alike enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lib_faceid.diagnosis.facts import Facts, UnitFacts

__all__ = [
    "Change",
    "Evidence",
    "Find",
    "clamp",
    "job",
    "kept",
    "of_units",
    "ramp",
    "reference",
    "short",
    "unit_field",
]

UNSEEN = 0.6
"""What a cause counts where nobody looked at the pictures."""
ENOUGH_LACK = 0.05
"""Of the likeness: less is missing from pictures with nothing wrong."""
ALL_LACK = 0.4
"""Of the likeness: from here on, every cause counts in full."""
LEAST = 0.15
"""The strength from which on something is worth a line."""


@dataclass(frozen=True)
class Change:
    """One field, and the value to try in it."""

    target: Literal["job", "unit", "reference"]
    field: str
    value: Any
    """None where only the user can bring it: another photo."""
    words: str
    unit: int | str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "target": self.target,
            "unit": self.unit,
            "field": self.field,
            "value": self.value,
            "words": self.words,
        }


@dataclass(frozen=True)
class Evidence:
    """That a cause applies, in figures."""

    strength: float
    figures: str
    change: Change


Find = Callable[[Facts], "Evidence | None"]


def clamp(value: float) -> float:
    """Return the value, brought between 0 and 1."""
    return min(max(value, 0.0), 1.0)


def ramp(value: float, none: float, all_: float) -> float:
    """Return 0 at `none`, 1 at `all_`, on a line between and beyond not more."""
    return clamp((value - none) / (all_ - none))


def short(facts: Facts, unit: UnitFacts) -> float:
    """Return how much a cause of too little likeness counts: 0 where enough is there."""
    lack = facts.lack(unit)
    if lack is None:
        return UNSEEN
    return 0.0 if lack <= ENOUGH_LACK else 0.5 + 0.5 * clamp(lack / ALL_LACK)


def of_units(find: Callable[[Facts, UnitFacts], Evidence | None]) -> Find:
    """Return what finds the strongest evidence among the units."""

    def strongest(facts: Facts) -> Evidence | None:
        found = [one for unit in facts.units if (one := find(facts, unit)) is not None]
        return max(found, key=lambda one: one.strength, default=None)

    return strongest


def job(field: str, value: Any, words: str) -> Change:
    """Return the change of a setting of the whole picture."""
    return Change("job", field, value, words)


def unit_field(unit: UnitFacts, field: str, value: Any, words: str) -> Change:
    """Return the change of a unit's field."""
    return Change("unit", field, value, words, unit.number)


def reference(unit: UnitFacts, words: str) -> Change:
    """Return a change that needs another photo, which no button has."""
    return Change("reference", "images", None, words, unit.number)


def kept(strength: float, figures: Sequence[str], change: Change) -> Evidence | None:
    """Return the evidence; None where it is not worth a line."""
    return Evidence(clamp(strength), "; ".join(filter(None, figures)), change) if strength >= LEAST else None
