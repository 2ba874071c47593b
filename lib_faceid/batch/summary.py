"""What pictures come to, person by person: counts, likenesses, the worst; read in one pass, however many there are."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["BINS", "Line", "Person", "Summary"]

LOWEST, HIGHEST, BINS, WORST = -0.2, 1.0, 24, 10
Line: TypeAlias = tuple[str, int, str, int, "float | None", str]
"""key, row, people, seed, likeness, prompt of one picture."""


@dataclass
class Person:
    """Those of one person, or of several together."""

    name: str
    count: int = 0
    measured: int = 0
    total: float = 0.0
    lowest: float | None = None
    histogram: list[int] = field(default_factory=lambda: [0] * BINS)

    def add(self, likeness: float | None) -> None:
        """Count one more."""
        self.count += 1
        if likeness is None:
            return
        self.measured += 1
        self.total += likeness
        self.lowest = likeness if self.lowest is None else min(self.lowest, likeness)
        place = int((likeness - LOWEST) / (HIGHEST - LOWEST) * BINS)
        self.histogram[min(max(place, 0), BINS - 1)] += 1

    @property
    def mean(self) -> float | None:
        """Over those that have a likeness."""
        return self.total / self.measured if self.measured else None

    def as_dict(self, page: str = "") -> dict[str, Any]:
        """Return it for the page."""
        return {
            "name": self.name, "count": self.count, "mean": self.mean, "lowest": self.lowest,
            "histogram": self.histogram, "page": page,
        }  # fmt: skip


class Summary:
    """All of them."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.count = 0
        self._worst: list[tuple[float, int, Line]] = []

    def read(self, lines: Iterable[Line]) -> Summary:
        """Count pictures, and return itself."""
        for line in lines:
            self.count += 1
            name, likeness = line[2], line[4]
            if name not in self.people:
                self.people[name] = Person(name)
            self.people[name].add(likeness)
            if likeness is not None:
                entry = (-likeness, -self.count, line)
                if len(self._worst) < WORST:
                    heapq.heappush(self._worst, entry)
                else:
                    heapq.heappushpop(self._worst, entry)
        return self

    @property
    def worst(self) -> list[Line]:
        """The ten least alike, the least alike first."""
        return [line for *_, line in sorted(self._worst, reverse=True)]
