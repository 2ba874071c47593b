"""What a manifest comes to before anything is drawn: pictures, identities, time, and every mistake."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import numpy as np

from lib_faceid.batch.mistakes import Mistake
from lib_faceid.batch.picture import Picture
from lib_faceid.batch.reading import Manifest

__all__ = ["Plan", "duration", "plan_of"]

MOST_COMPARED = 20_000_000
"""Pictures among which equal ones are looked for: eight bytes each."""


@dataclass(frozen=True)
class Plan:
    """What is to be drawn."""

    rows: int
    pictures: int
    identities: int
    checkpoints: tuple[str, ...]
    work: float
    """Of all pictures, as `Picture.work` counts."""
    twice: int
    """Pictures that another one equals; each is drawn once."""
    mistakes: tuple[Mistake, ...]
    """The first ones."""
    mistakes_count: int

    @property
    def is_right(self) -> bool:
        """Whether it can be drawn."""
        return not self.mistakes_count

    def sentences(self, speed: float | None, where: str = "") -> list[str]:
        """Return it in lines. speed: work a second, as it was measured last; None where it never was."""
        checkpoints = _many(len(self.checkpoints), "checkpoint")
        lines = [
            (
                f"{_many(self.pictures, 'picture')} from {_many(self.rows, 'row')}: "
                f"{_many(self.identities, 'identity', 'identities')}, {checkpoints}."
            )
        ]
        if self.twice:
            lines.append(f"{_many(self.twice, 'picture')} of them asked for again: each is drawn once.")
        if speed:
            lines.append(f"About {duration(self.work / speed)} at the speed last measured{where}.")
        else:
            lines.append(
                "How long it takes is not known yet: nothing was measured here. Draw some with --limit 20 first."
            )
        return lines


def plan_of(manifest: Manifest) -> Plan:
    """Return what a manifest comes to; every row is read, and pictures are counted, not kept."""
    count, work, marks = 0, 0.0, array("q")
    identities: set[str] = set()
    checkpoints: set[str] = set()
    for asked in manifest.asked():
        for one in asked.settings.all:
            identities.update(one.cast.who)
            checkpoints.add(one.checkpoint)
        for picture in asked.pictures():
            count += 1
            work += picture.work
            if count <= MOST_COMPARED:
                marks.append(_mark(picture))
    found = np.frombuffer(marks, dtype=np.int64) if marks else np.zeros(0, np.int64)
    twice = len(found) - len(np.unique(found))
    wrong = manifest.mistakes
    return Plan(
        manifest.rows, count, len(identities), tuple(sorted(checkpoints)), work, twice, tuple(wrong.first), wrong.count
    )


def duration(seconds: float) -> str:
    """Return a time as people say it: "3 h 20 min"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 72 else f"{hours / 24:.1f} days"


def _mark(picture: Picture) -> int:
    return hash(
        (
            picture.cast.mark, picture.prompt, picture.negative, picture.size, picture.steps, picture.cfg, picture.seed,
            picture.checkpoint, tuple(picture.options.items()), picture.followed,
        )
    )  # fmt: skip


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count:,} {one if count == 1 else several or f'{one}s'}"
