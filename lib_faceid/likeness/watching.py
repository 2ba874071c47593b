"""The drift alarms of everybody who is drawn while the program runs. Numbers in memory, nothing on the disk."""

from __future__ import annotations

from collections.abc import Sequence

from lib_faceid.likeness.drift import DriftWatch
from lib_faceid.likeness.judging import Expected
from lib_faceid.likeness.score import PictureScore
from lib_faceid.units.infotext import infotext_key

__all__ = ["Watches"]

MOST_PEOPLE = 200


class Watches:
    """A drift alarm for each person, by her references and the recogniser."""

    def __init__(self) -> None:
        self._watches: dict[tuple[str, str], DriftWatch] = {}

    def add(self, expected: Sequence[Expected], score: PictureScore) -> list[str]:
        """Take the score of one more picture, and return a sentence for each person whose likeness has fallen."""
        lines: list[str] = []
        for one, unit in zip(expected, score.units, strict=True):
            if unit.likeness is None:
                continue
            key = one.identity.fingerprint, score.recogniser
            watch = self._watches.pop(key, None) or DriftWatch()
            self._watches[key] = watch  # last: who was not seen for the longest time is first
            if drift := watch.add(unit.likeness):
                lines.append(drift.sentence(infotext_key(one.number)))
        while len(self._watches) > MOST_PEOPLE:
            self._watches.pop(next(iter(self._watches)))
        return lines
